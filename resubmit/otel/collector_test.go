package otelresubmit_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	logs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	traces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metricdata "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracedata "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// collector is an OTLP receiver, as an OpenTelemetry Collector has it.
type collector struct {
	server *httptest.Server

	mu      sync.Mutex
	spans   []*span
	metrics map[string]*metricdata.Metric // the last ones
	logged  []string
	raw     map[string]*bytes.Buffer // all that came, as JSON, by path
}

// span is a span with its attributes as text.
type span struct {
	*tracedata.Span
	attrs map[string]string
}

func (s *span) id() string     { return string(s.SpanId) }
func (s *span) parent() string { return string(s.ParentSpanId) }

func newCollector(t testing.TB) *collector {
	c := &collector{metrics: map[string]*metricdata.Metric{}, raw: map[string]*bytes.Buffer{}}
	mux := http.NewServeMux()
	handle(mux, c, "/v1/traces", func(r *traces.ExportTraceServiceRequest) {
		for _, resource := range r.ResourceSpans {
			for _, scope := range resource.ScopeSpans {
				for _, s := range scope.Spans {
					c.add(&span{s, texts(s.Attributes)})
				}
			}
		}
	})
	handle(mux, c, "/v1/metrics", func(r *metrics.ExportMetricsServiceRequest) {
		for _, resource := range r.ResourceMetrics {
			for _, scope := range resource.ScopeMetrics {
				for _, m := range scope.Metrics {
					c.metrics[m.Name] = m
				}
			}
		}
	})
	handle(mux, c, "/v1/logs", func(r *logs.ExportLogsServiceRequest) {
		for _, resource := range r.ResourceLogs {
			for _, scope := range resource.ScopeLogs {
				for _, l := range scope.LogRecords {
					c.logged = append(c.logged, l.Body.GetStringValue())
				}
			}
		}
	})
	c.server = httptest.NewServer(mux)
	t.Cleanup(c.server.Close)
	return c
}

// add adds a span once: exporters send a batch again if its answer comes too late.
func (c *collector) add(s *span) {
	if !slices.ContainsFunc(c.spans, func(other *span) bool { return other.id() == s.id() }) {
		c.spans = append(c.spans, s)
	}
}

func handle[M any, P interface {
	*M
	proto.Message
}](mux *http.ServeMux, c *collector, path string, receive func(P)) {
	c.raw[path] = new(bytes.Buffer)
	mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		m := P(new(M))
		if err == nil {
			err = proto.Unmarshal(body, m)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		text, _ := protojson.Marshal(m)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw[path].Write(text)
		receive(m)
	})
}

func texts(attrs []*common.KeyValue) map[string]string {
	found := map[string]string{}
	for _, a := range attrs {
		found[a.Key] = a.Value.GetStringValue()
		if n, ok := a.Value.Value.(*common.AnyValue_IntValue); ok {
			found[a.Key] = strconv.FormatInt(n.IntValue, 10)
		}
	}
	return found
}

// named returns the spans of a name.
func (c *collector) named(name string) (found []*span) {
	for _, s := range c.spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// below returns the spans whose parent is s.
func (c *collector) below(s *span) (found []*span) {
	for _, child := range c.spans {
		if child.parent() == s.id() {
			found = append(found, child)
		}
	}
	return found
}

// sums returns the values of a metric by the values of some attributes. A histogram has its counts.
func (c *collector) sums(t testing.TB, name string, by ...string) map[string]int {
	t.Helper()
	m := c.metrics[name]
	require.NotNil(t, m, "there is no metric %s, but %v", name, slices.Sorted(maps.Keys(c.metrics)))
	found := map[string]int{}
	add := func(attrs []*common.KeyValue, n int) {
		var key []string
		for _, k := range by {
			key = append(key, texts(attrs)[k])
		}
		found[strings.Join(key, " ")] += n
	}
	for _, p := range slices.Concat(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()) {
		add(p.Attributes, int(p.GetAsInt())+int(p.GetAsDouble()))
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		add(p.Attributes, int(p.Count))
	}
	return found
}

// attributesOf returns the attributes of each series of a metric.
func attributesOf(m *metricdata.Metric) (series []map[string]string) {
	for _, p := range slices.Concat(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()) {
		series = append(series, texts(p.Attributes))
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		series = append(series, texts(p.Attributes))
	}
	return series
}
