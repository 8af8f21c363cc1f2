package otelresubmit_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	otelresubmit "github.com/cloudblue-go/cloudblue/resubmit/otel"
)

// Two orders are planned and applied. A real program has exporters, for example otlptracehttp and otlpmetrichttp, and
// passes Telemetry.Transport to the option WithMiddleware of its clients.
func Example() {
	spans, metrics := tracetest.NewSpanRecorder(), metric.NewManualReader()
	t, err := otelresubmit.New(otelresubmit.Options{
		TracerProvider: trace.NewTracerProvider(trace.WithSpanProcessor(spans)),
		MeterProvider:  metric.NewMeterProvider(metric.WithReader(metrics)),
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, systems, windows := context.Background(), t.Systems(twoOrders()), lastNight()
	journal := new(resubmit.MemoryJournal)
	plan, err := resubmit.BuildPlan(ctx, resubmit.PlanConfig{
		Systems: systems, Journal: journal, Calendar: windows, Filter: filter.Everything(), IgnoreConnect: true,
		RateLimit: -1, Tracer: t,
	})
	if err != nil {
		log.Fatal(err)
	}
	runner, err := resubmit.NewRunner(resubmit.Config{
		Systems: systems, Journal: journal, RateLimit: -1, Tracer: t, OnEvent: t.OnEvent(nil),
		Verify: resubmit.VerifyConfig{InitialInterval: time.Millisecond},
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := runner.Apply(ctx, plan); err != nil {
		log.Fatal(err)
	}

	for _, s := range spans.Ended() {
		switch s.Name() {
		case "resubmit plan", "resubmit run", "resubmit order", "push order":
			fmt.Println(s.Name())
		}
	}
	var all metricdata.ResourceMetrics
	if err := metrics.Collect(ctx, &all); err != nil {
		log.Fatal(err)
	}
	for _, m := range all.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok && m.Name == "cloudblue.resubmit.orders" {
			n := int64(0)
			for _, p := range sum.DataPoints { // by outcome and class
				n += p.Value
			}
			fmt.Println(m.Name, n)
		}
	}
	// Unordered output:
	// resubmit plan
	// push order
	// resubmit order
	// push order
	// resubmit order
	// resubmit run
	// cloudblue.resubmit.orders 2
}
