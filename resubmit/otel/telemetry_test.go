package otelresubmit_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	otelresubmit "github.com/cloudblue-go/cloudblue/resubmit/otel"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// measured returns a Telemetry, and a function that returns the values of a metric by some attributes.
func measured(t *testing.T) (*otelresubmit.Telemetry, func(name string, by ...attribute.Key) map[string]int64) {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	tel, err := otelresubmit.New(otelresubmit.Options{
		MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
	})
	require.NoError(t, err)
	return tel, func(name string, by ...attribute.Key) map[string]int64 {
		t.Helper()
		return collect(t, reader, name, by...)
	}
}

// collect returns the values of a metric by some attributes.
func collect(t *testing.T, reader sdkmetric.Reader, name string, by ...attribute.Key) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	found := map[string]int64{}
	if len(all.ScopeMetrics) == 0 {
		return found
	}
	for _, m := range all.ScopeMetrics[0].Metrics {
		if m.Name != "cloudblue.resubmit."+name {
			continue
		}
		var points []metricdata.DataPoint[int64]
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			points = data.DataPoints
		case metricdata.Gauge[int64]:
			points = data.DataPoints
		}
		for _, p := range points {
			var key []string
			for _, k := range by {
				v, _ := p.Attributes.Value(k)
				key = append(key, v.AsString())
			}
			found[strings.Join(key, " ")] += p.Value
		}
	}
	return found
}

// positive returns the values that are not zero.
func positive[N int | int64](values map[string]N) map[string]N {
	maps.DeleteFunc(values, func(_ string, n N) bool { return n == 0 })
	return values
}

func TestOnEvent(t *testing.T) {
	t.Parallel()
	tel, value := measured(t)
	passed := 0
	on, other := tel.OnEvent(func(resubmit.Event) { passed++ }), tel.OnEvent(nil)
	group := func(name, stopped string, limit int) resubmit.CanaryChange {
		return resubmit.CanaryChange{CanaryStatus: resubmit.CanaryStatus{Group: name, Stopped: stopped, Limit: limit}}
	}
	started := resubmit.RunStarted{Counts: plan.ActionCounts{Resubmit: 3, Hold: 1}, Rate: 5}
	for _, e := range []resubmit.Event{
		started, resubmit.GateClosed{Why: "paused"}, resubmit.GateClosed{Why: "in a window"},
		group("a", "", 1), group("b", "", -1), group("c", "it failed", -1),
		resubmit.BreakerChange{State: resubmit.BreakerOpen},
		resubmit.OrderDone{Item: resubmit.Item{Outcome: protocol.Skipped, Class: "a text of somebody"}},
		resubmit.OrderDone{Item: resubmit.Item{Outcome: protocol.Completed, Earlier: true}},
	} {
		on(e)
	}
	other(started)
	require.Equal(t, 9, passed)
	require.Equal(t, map[string]int64{"": 1}, value("waiting"), "the reason has changed, and it waits once")
	require.Equal(t, map[string]int64{"": 2}, value("active_runs"))
	require.Equal(t, map[string]int64{"skipped other": 1},
		positive(value("orders", "cloudblue.order.outcome", "cloudblue.failure.class")))
	on(resubmit.GateOpened{Waited: time.Second})
	on(resubmit.GateClosed{})
	on(resubmit.RunFinished{Report: &resubmit.Report{Canary: []resubmit.CanaryStatus{
		{Group: "a", Limit: -1}, {Group: "b", Limit: -1}, {Group: "c", Stopped: "it failed"},
	}}})
	require.Equal(t, map[string]int64{"": 0}, value("waiting"))
	require.Equal(t, map[string]int64{"": 1}, value("active_runs"))
	require.Equal(t, map[string]int64{"testing": 0, "released": 2, "stopped": 1},
		value("canary.groups", "cloudblue.canary.state"))
}

// TestPushesAreCountedByAnswer checks that a push that was not sent does not count as refused: Commerce did not see it.
func TestPushesAreCountedByAnswer(t *testing.T) {
	t.Parallel()
	tel, value := measured(t)
	on := tel.OnEvent(nil)
	on(resubmit.PushRefused{Err: &commerce.Error{Delivery: commerce.DeliveryNotSent}})
	on(resubmit.PushRefused{Err: fmt.Errorf("held back: %w", &commerce.Error{Delivery: commerce.DeliveryNotSent})})
	on(resubmit.PushRefused{Err: &commerce.Error{Delivery: commerce.DeliveryRefused}})
	on(resubmit.PushUnanswered{})
	require.Equal(t, map[string]int64{"accepted": 0, "refused": 1, "unanswered": 1, "notSent": 2},
		value("pushes", "cloudblue.push.answer"))
}

// TestCountersBeginAtZero checks that each series of a counter is there before it counts anything. Otherwise it begins
// with its first value, and Prometheus sees no increase.
func TestCountersBeginAtZero(t *testing.T) {
	t.Parallel()
	tel, value := measured(t)
	zero := func(values []string) map[string]int64 {
		all := map[string]int64{}
		for _, v := range values {
			all[v] = 0
		}
		return all
	}
	outcomes, classes := []string{}, []string{"other"}
	answers := []string{"accepted", "refused", "unanswered", "notSent"}
	results := []string{"completed", "incomplete", "stopped", "failed"}
	for _, o := range protocol.Outcomes() {
		outcomes = append(outcomes, string(o))
	}
	for _, c := range failure.Classes() {
		classes = append(classes, string(c))
	}
	check := func() {
		t.Helper()
		require.Equal(t, zero(outcomes), value("orders", "cloudblue.order.outcome"))
		require.Equal(t, zero(classes), value("orders", "cloudblue.failure.class"))
		require.Len(t, value("orders", "cloudblue.order.outcome", "cloudblue.failure.class"), len(outcomes)*len(classes))
		require.Equal(t, zero(answers), value("pushes", "cloudblue.push.answer"))
		require.Equal(t, zero(results), value("runs", "cloudblue.run.result"))
	}
	check()
	on := tel.OnEvent(nil)
	on(resubmit.RunStarted{})
	check()
	on(resubmit.OrderDone{Item: resubmit.Item{Outcome: protocol.FailedAgain, Class: failure.Transient}})
	on(resubmit.RunStarted{}) // of another run
	require.EqualValues(t, 1, value("orders", "cloudblue.order.outcome")["failedAgain"], "it counts on")
	_, done := tel.Run(t.Context(), new(plan.Plan))
	done(nil, errors.New("it could not start"))
	require.EqualValues(t, 1, value("runs", "cloudblue.run.result")["failed"])
}

// TestEachRunBeginsAtZero checks that a run reports the zeros again. Those of New are lost if the global provider is
// set later, or if what is exported are differences.
func TestEachRunBeginsAtZero(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader(sdkmetric.WithTemporalitySelector(sdkmetric.DeltaTemporalitySelector))
	tel, err := otelresubmit.New(otelresubmit.Options{
		MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
	})
	require.NoError(t, err)
	begun := collect(t, reader, "orders", "cloudblue.order.outcome")
	require.Contains(t, begun, "failedAgain")
	require.Empty(t, collect(t, reader, "orders", "cloudblue.order.outcome"))
	tel.OnEvent(nil)(resubmit.RunStarted{})
	require.Equal(t, begun, collect(t, reader, "orders", "cloudblue.order.outcome"))
}

func TestSystemsKeepsWhatIsRejected(t *testing.T) {
	t.Parallel()
	tel, _ := record(t)
	var missing *connect.Client
	s := tel.Systems(resubmit.Systems{Name: "local", Requests: missing})
	require.Nil(t, s.Reader)
	require.Nil(t, s.Pusher)
	require.Equal(t, resubmit.RequestFinder(missing), s.Requests)
	_, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
		Systems: s, Journal: new(resubmit.MemoryJournal), Filter: filter.Everything(),
	})
	require.Error(t, err)
}

// failing fails each call.
type failing struct {
	*local
	err   error
	panic bool
}

func (f failing) Order(context.Context, string) (*commerce.Order, error) {
	if f.panic {
		panic("the client is broken")
	}
	return nil, f.err
}

func TestErrorsOfCallsAreReportedByTheirKind(t *testing.T) {
	t.Parallel()
	const secret = "Fjord Freight"
	for name, test := range map[string]struct {
		client failing
		want   string
	}{
		"status":    {failing{err: &commerce.Error{HTTPStatus: 502, Message: secret}}, "502"},
		"timeout":   {failing{err: fmt.Errorf("%s: %w", secret, context.DeadlineExceeded)}, "timeout"},
		"canceled":  {failing{err: context.Canceled}, "canceled"},
		"no answer": {failing{err: &commerce.Error{Err: commerce.ErrUnavailable}}, "unavailable"},
		"another":   {failing{err: errors.New(secret)}, "_OTHER"},
		"panic":     {failing{panic: true}, "_OTHER"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tel, spans := record(t)
			s := tel.Systems(resubmit.Systems{Reader: test.client})
			func() {
				defer func() { require.Equal(t, test.client.panic, recover() != nil) }()
				_, err := s.Reader.Order(t.Context(), "id-1")
				require.Equal(t, test.client.err, err)
			}()
			require.Len(t, spans.Ended(), 1)
			text := fmt.Sprint(spans.Ended()[0].Attributes(), spans.Ended()[0].Status(), spans.Ended()[0].Events())
			require.NotContains(t, text, secret)
			require.Contains(t, text, test.want)
			require.Equal(t, "Error", spans.Ended()[0].Status().Code.String())
		})
	}
}

func TestRunWithoutItsPlanHasNoLink(t *testing.T) {
	t.Parallel()
	systems, journal := twoOrders(), new(resubmit.MemoryJournal)
	p, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
		Systems: systems, Journal: journal, Calendar: lastNight(), Filter: filter.Everything(), IgnoreConnect: true,
		RateLimit: -1,
	})
	require.NoError(t, err)
	tel, spans := record(t)
	r, err := resubmit.NewRunner(resubmit.Config{
		Systems: systems, Journal: journal, RateLimit: -1, Tracer: tel,
		Verify: resubmit.VerifyConfig{InitialInterval: time.Millisecond},
	})
	require.NoError(t, err)
	_, err = r.Apply(t.Context(), p)
	require.NoError(t, err)
	_, err = r.Apply(t.Context(), p) // nothing is left
	require.NoError(t, err)
	runs := 0
	for _, s := range spans.Ended() {
		if s.Name() == "resubmit run" {
			runs++
			require.Empty(t, s.Links())
		}
	}
	require.Equal(t, 2, runs)
}
