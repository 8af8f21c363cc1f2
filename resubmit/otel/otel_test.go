package otelresubmit_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// TestDemo compares what a collector received of a run with its report and with the ledger of the test system.
func TestDemo(t *testing.T) {
	t.Parallel()
	c, registry := newCollector(t), prometheus.NewRegistry()
	reader, err := exporter.New(exporter.WithRegisterer(registry))
	require.NoError(t, err)
	p := newProviders(t, c, sdkmetric.WithReader(reader))
	d := play(t, newWorld(t, 150), p)
	families, err := registry.Gather()
	require.NoError(t, err)
	p.flush(t)
	t.Logf("%s; %d spans, %d metrics", d.report.Result, len(c.spans), len(c.metrics))

	t.Run("spans of plan and run", func(t *testing.T) { checkRun(t, d, c) })
	t.Run("spans of orders and pushes", func(t *testing.T) { checkOrders(t, d, c) })
	t.Run("metrics", func(t *testing.T) { checkMetrics(t, d, c) })
	t.Run("metrics of calls", func(t *testing.T) { checkCalls(t, c) })
	t.Run("logs", func(t *testing.T) {
		require.Contains(t, c.logged, "resubmission started")
		require.Contains(t, c.logged, "resubmission finished")
	})
	t.Run("nothing is reported that must not be", func(t *testing.T) { checkSecrets(t, d, c) })
	t.Run("dashboard and alerts", func(t *testing.T) { checkDashboards(t, families) })
}

func only(t testing.TB, spans []*span) *span {
	t.Helper()
	require.Len(t, spans, 1)
	return spans[0]
}

func checkRun(t *testing.T, d *demo, c *collector) {
	job, made, run := only(t, c.named("nightly job")), only(t, c.named("resubmit plan")), only(t, c.named("resubmit run"))
	require.Equal(t, job.id(), made.parent())
	require.Equal(t, job.id(), run.parent())
	require.Len(t, run.Links, 1)
	require.Equal(t, made.id(), string(run.Links[0].SpanId))
	require.Equal(t, d.plan.Digest(), made.attrs["cloudblue.plan.digest"])
	require.Equal(t, d.plan.Digest(), run.attrs["cloudblue.plan.digest"])
	for _, o := range protocol.Outcomes() {
		n, _ := strconv.Atoi(run.attrs["cloudblue.orders."+string(o)])
		require.Equal(t, d.report.Result.Of(o), n, o)
	}
	for _, s := range c.spans {
		require.Equal(t, job.TraceId, s.TraceId, "%s is in another trace", s.Name)
		if s != job {
			require.NotEmpty(t, s.parent(), "%s has no parent", s.Name)
		}
	}
}

func checkOrders(t *testing.T, d *demo, c *collector) {
	run, spans := only(t, c.named("resubmit run")), map[string]*span{}
	for _, s := range c.named("resubmit order") {
		require.Equal(t, run.id(), s.parent())
		require.Nil(t, spans[s.attrs["cloudblue.order.number"]], "two spans of one order")
		spans[s.attrs["cloudblue.order.number"]] = s
	}
	require.Len(t, d.report.Items, d.report.Plan.Resubmit)
	require.Len(t, spans, len(d.report.Items))
	attempts := 0
	for i := range d.report.Items {
		item := &d.report.Items[i]
		s := spans[item.Number]
		require.NotNil(t, s, item.Number)
		require.Equal(t, string(item.Outcome), s.attrs["cloudblue.order.outcome"])
		require.Equal(t, strconv.Itoa(item.Attempts), s.attrs["cloudblue.order.attempts"])
		require.Equal(t, string(item.Target), s.attrs["cloudblue.order.target"])
		pushes, requests := 0, 0
		for _, call := range c.below(s) {
			require.Contains(t, []string{"read order", "push order"}, call.Name)
			if call.Name != "push order" {
				continue
			}
			sent := c.below(call)
			pushes, requests = pushes+1, requests+len(sent)
			require.LessOrEqual(t, len(sent), 1, "a push is one request")
			for _, request := range sent {
				require.Equal(t, "HTTP POST", request.Name)
			}
		}
		require.Equal(t, item.Attempts+d.notSent[item.Number], pushes, item.Number)
		require.GreaterOrEqual(t, requests, item.Attempts, "a push that was not sent may be a request without a connection")
		attempts += item.Attempts
	}
	require.Len(t, d.commerce.Pushes(), attempts)
	require.Empty(t, d.commerce.Violations())
}

func checkMetrics(t *testing.T, d *demo, c *collector) {
	byClass, byOutcome := map[string]int{}, map[string]int{}
	for _, g := range d.report.Groups {
		for _, o := range protocol.Outcomes() {
			if n := g.Result.Of(o); n > 0 {
				byClass[string(g.Class)+" "+string(o)] += n
				byOutcome[string(o)] += n
			}
		}
	}
	const prefix = "cloudblue.resubmit."
	require.Equal(t, byClass, positive(c.sums(t, prefix+"orders", "cloudblue.failure.class", "cloudblue.order.outcome")))
	require.Equal(t, byOutcome, positive(c.sums(t, prefix+"orders", "cloudblue.order.outcome")))
	require.Len(t, c.sums(t, prefix+"orders", "cloudblue.order.outcome"), len(protocol.Outcomes()), "they begin at zero")
	require.Positive(t, byOutcome["failedAgain"], "the demo shows too little")
	planned := d.report.Plan
	require.Equal(t, map[string]int{
		"resubmit": planned.Resubmit, "wait": planned.Wait, "hold": planned.Hold, "quarantine": planned.Quarantine,
		"complete": planned.Complete, "manual": planned.Manual,
	}, c.sums(t, prefix+"plan.orders", "cloudblue.plan.action"))
	require.Positive(t, planned.Hold+planned.Quarantine, "the demo shows too little")
	attempts, last, window := 0, 0.0, d.windows.Windows()[0].End
	for i := range d.report.Items {
		item := &d.report.Items[i]
		attempts += item.Attempts
		if item.Outcome == protocol.Completed {
			last = max(last, item.DoneAt.Sub(window).Seconds())
		}
	}
	answers := c.sums(t, prefix+"pushes", "cloudblue.push.answer")
	require.Equal(t, attempts, answers["accepted"]+answers["unanswered"]+answers["refused"])
	late := 0
	for _, n := range d.notSent {
		late += n
	}
	require.Equal(t, late, answers["notSent"])
	require.Positive(t, answers["unanswered"], "the demo shows too little")
	require.Equal(t, map[string]int{"": d.report.Result.Completed}, c.sums(t, prefix+"recovery.duration"))
	require.InDelta(t, last, c.metrics[prefix+"recovery.duration"].GetHistogram().DataPoints[0].GetMax(), 1e-6)
	require.Equal(t, map[string]int{"incomplete": 1}, c.sums(t, prefix+"run.duration", "cloudblue.run.result"))
	require.Equal(t, map[string]int{"completed": 0, "incomplete": 1, "stopped": 0, "failed": 0},
		c.sums(t, prefix+"runs", "cloudblue.run.result"))
	require.InDelta(t, d.report.FinishedAt.Sub(d.report.StartedAt).Seconds(),
		c.metrics[prefix+"run.duration"].GetHistogram().DataPoints[0].GetSum(), 0.5)
	require.Equal(t, map[string]int{"": 0}, c.sums(t, prefix+"active_runs"))
	require.Equal(t, map[string]int{"closed": 1, "open": 0, "halfOpen": 0},
		c.sums(t, prefix+"circuit.state", "cloudblue.circuit.state"))
	groups := map[string]int{"testing": 0, "released": 0, "stopped": 0}
	for _, g := range d.report.Canary {
		switch {
		case g.Stopped != "":
			groups["stopped"]++
		case g.Limit < 0:
			groups["released"]++
		default:
			groups["testing"]++
		}
	}
	require.Equal(t, groups, c.sums(t, prefix+"canary.groups", "cloudblue.canary.state"))
	require.Equal(t, map[string]int{"": 0}, c.sums(t, prefix+"waiting"))
	require.Equal(t, map[string]int{"": 1}, c.sums(t, prefix+"wait.duration"))
	require.Equal(t, map[string]int{"": -1}, c.sums(t, prefix+"rate"))
}

// checkCalls compares the metrics of calls and requests with their spans.
func checkCalls(t *testing.T, c *collector) {
	calls, requests := map[string]int{}, map[string]int{}
	for _, s := range c.spans {
		if operation := s.attrs["cloudblue.operation"]; operation != "" {
			calls[operation+" "+s.attrs["error.type"]]++
		}
		if method := s.attrs["http.request.method"]; method != "" {
			requests[method]++
		}
	}
	require.Equal(t, calls, c.sums(t, "cloudblue.resubmit.call.duration", "cloudblue.operation", "error.type"))
	require.Equal(t, requests, c.sums(t, "http.client.request.duration", "http.request.method"))
}

func checkSecrets(t *testing.T, d *demo, c *collector) {
	secrets := []string{
		commercetest.DefaultToken, connecttest.DefaultKey, strings.TrimPrefix(connecttest.DefaultKey, "ApiKey "), customer,
		comment, "not found", "Bad Gateway", "?", "limit(",
	}
	labels := slices.Clone(secrets)
	for _, o := range d.commerce.Orders() {
		labels = append(labels, `"`+o.Number, o.ID, `"`+o.Customer+`"`, `"`+o.Subscription+`"`)
	}
	require.NotEmpty(t, c.raw["/v1/traces"].String())
	for path, texts := range map[string][]string{"/v1/traces": secrets, "/v1/metrics": labels} {
		for _, text := range texts {
			require.NotContains(t, c.raw[path].String(), text)
		}
	}
	require.Contains(t, c.raw["/v1/traces"].String(), d.report.Items[0].Number)
	values := map[string]map[string]bool{}
	for name, m := range c.metrics {
		for _, attrs := range attributesOf(m) {
			for k, v := range attrs {
				if values[k] == nil {
					values[k] = map[string]bool{}
				}
				values[k][v] = true
			}
		}
		require.LessOrEqual(t, len(attributesOf(m)), 50, "%s has too many series", name)
	}
	known := []string{
		"cloudblue.canary.state", "cloudblue.circuit.state", "cloudblue.failure.class", "cloudblue.operation",
		"cloudblue.order.outcome", "cloudblue.plan.action", "cloudblue.push.answer", "cloudblue.run.result",
		"cloudblue.system", "error.type", "http.request.method", "http.response.status_code",
		"network.protocol.name", "network.protocol.version", "server.address", "server.port", "url.scheme",
	}
	require.Subset(t, known, slices.Collect(maps.Keys(values)), "a new attribute: is it bounded?")
}

// promLabels returns the labels and their values of each metric as Prometheus has it.
func promLabels(families []*dto.MetricFamily) map[string]map[string][]string {
	found := map[string]map[string][]string{}
	for _, f := range families {
		labels := map[string][]string{}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				labels[l.GetName()] = append(labels[l.GetName()], l.GetValue())
			}
		}
		if f.GetType() == dto.MetricType_HISTOGRAM {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				found[f.GetName()+suffix] = maps.Clone(labels)
			}
			found[f.GetName()+"_bucket"]["le"] = nil
			continue
		}
		found[f.GetName()] = labels
	}
	return found
}

func describe(labels map[string]map[string][]string) string {
	return fmt.Sprint(slices.Sorted(maps.Keys(labels)))
}
