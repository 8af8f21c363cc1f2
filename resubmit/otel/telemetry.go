package otelresubmit

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// scope is the name under which spans and metrics are reported.
const scope = "github.com/cloudblue-go/cloudblue/resubmit/otel"

// Options are where spans and metrics are reported to. Zero fields are the global providers of package otel.
type Options struct {
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
}

// Telemetry reports plans, runs, orders and calls. It is a [resubmit.Tracer]. Use one for a process.
type Telemetry struct {
	options Options
	tracer  trace.Tracer
	metrics metrics

	mu    sync.Mutex
	plans []plannedSpan // the last ones
}

var _ resubmit.Tracer = (*Telemetry)(nil)

// New returns a Telemetry. It returns an error if the MeterProvider rejects an instrument.
func New(o Options) (*Telemetry, error) {
	if o.TracerProvider == nil {
		o.TracerProvider = otel.GetTracerProvider()
	}
	if o.MeterProvider == nil {
		o.MeterProvider = otel.GetMeterProvider()
	}
	t := &Telemetry{options: o, tracer: o.TracerProvider.Tracer(scope)}
	if err := t.metrics.make(o.MeterProvider.Meter(scope)); err != nil {
		return nil, fmt.Errorf("otelresubmit: %w", err)
	}
	t.metrics.zero(context.Background())
	return t, nil
}

// make makes the instruments.
func (m *metrics) make(meter metric.Meter) error {
	var errs []error
	counter := func(name, unit, what string) metric.Int64Counter {
		c, err := meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what))
		errs = append(errs, err)
		return c
	}
	upDown := func(name, what string) metric.Int64UpDownCounter {
		c, err := meter.Int64UpDownCounter(name, metric.WithUnit("{run}"), metric.WithDescription(what))
		errs = append(errs, err)
		return c
	}
	gauge := func(name, unit, what string) metric.Int64Gauge {
		g, err := meter.Int64Gauge(name, metric.WithUnit(unit), metric.WithDescription(what))
		errs = append(errs, err)
		return g
	}
	histogram := func(name, what string, bounds []float64) metric.Float64Histogram {
		h, err := meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(what),
			metric.WithExplicitBucketBoundaries(bounds...))
		errs = append(errs, err)
		return h
	}
	const prefix = "cloudblue.resubmit."
	m.orders = counter(prefix+"orders", "{order}", "Orders that are done.")
	m.pushes = counter(prefix+"pushes", "{push}", "Pushes that were answered, or were not.")
	m.runs = counter(prefix+"runs", "{run}", "Runs that have ended.")
	m.active = upDown(prefix+"active_runs", "Runs that are applied now.")
	m.waiting = upDown(prefix+"waiting", "Runs whose pushes wait.")
	m.planned = gauge(prefix+"plan.orders", "{order}", "Orders of the last applied plan.")
	m.groups = gauge(prefix+"canary.groups", "{group}", "Groups of the last run.")
	m.circuit = gauge(prefix+"circuit.state", "{run}", "Whether the circuit breaker is in this state.")
	m.calls = histogram(prefix+"call.duration", "Calls to Commerce and Connect, with their retries.", callBounds)
	m.waits = histogram(prefix+"wait.duration", "How long pushes have waited.", longBounds)
	m.durations = histogram(prefix+"run.duration", "How long runs took.", longBounds)
	m.recovery = histogram(prefix+"recovery.duration",
		"From the end of the maintenance until a completed order was verified.", longBounds)
	rate, err := meter.Float64Gauge(prefix+"rate", metric.WithUnit("{call}/s"),
		metric.WithDescription("The rate limit in force; -1 is no limit."))
	m.rate = rate
	return errors.Join(append(errs, err)...)
}

// The bounds of the histograms, in seconds: those of HTTP's conventions for calls, a second to a day for the rest.
var (
	callBounds = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120}
	longBounds = []float64{1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400}
)
