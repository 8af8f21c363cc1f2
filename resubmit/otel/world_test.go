package otelresubmit_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	otelresubmit "github.com/cloudblue-go/cloudblue/resubmit/otel"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// The customers of the orders, which nothing may report.
const (
	customer = "Fjord Freight"
	comment  = "leave it at the back door"
)

// world is both test systems after a maintenance of Connect in which orders failed.
type world struct {
	commerce                *commercetest.System
	commerceURL, connectURL string
	windows                 *maintenance.Calendar
}

// newWorld lets orders fail. Some fail again, some must not be resubmitted, and some answers to pushes are lost.
func newWorld(t testing.TB, orders int) *world {
	vendors := connecttest.New(connecttest.Config{Delay: 20 * time.Millisecond})
	connectURL, err := vendors.Start()
	require.NoError(t, err)
	t.Cleanup(func() { _ = vendors.Close() })
	sys, err := commercetest.New(commercetest.Config{
		ConnectURL: connectURL, ConnectKey: connecttest.DefaultKey, PollInterval: 10 * time.Millisecond, StaleEventFor: -1,
	})
	require.NoError(t, err)
	commerceURL, err := sys.Start()
	require.NoError(t, err)
	t.Cleanup(func() { _ = sys.Close() })
	window := maintenance.Window{ID: "CHG-7", Start: time.Now().Truncate(time.Second)}
	vendors.SetMaintenance(true)
	again := map[string]bool{}
	for i := range orders {
		o := commercetest.OrderSpec{CustomerName: customer, Comments: comment, VendorAccount: []string{"", "1000101"}[i%2]}
		switch i % 10 {
		case 3:
			o.FailWith = "customer not found"
		case 6:
			o.FailWith = "something else went wrong"
		}
		placed := sys.Place(o)
		again[placed.ID] = i%25 == 22
	}
	require.NoError(t, sys.Step(t.Context()))
	for id, fails := range again {
		if fails {
			require.NoError(t, sys.FailWith(id, "HTTP 502 Bad Gateway"))
		}
	}
	require.NoError(t, sys.AddFault(commercetest.Fault{
		Method: http.MethodPost, Path: "*/push", Kind: commercetest.FaultReset, After: true, Skip: 3, Every: 9,
	}))
	vendors.SetMaintenance(false)
	window.End = time.Now()
	windows, err := maintenance.NewCalendar([]maintenance.Window{window})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	go func() { _ = sys.Run(ctx) }()
	<-time.After(1100 * time.Millisecond) // the settle delay
	return &world{commerce: sys, commerceURL: commerceURL, connectURL: connectURL, windows: windows}
}

// systems returns clients, observed by t if it is not nil.
func (w *world) systems(t testing.TB, tel *otelresubmit.Telemetry) resubmit.Systems {
	commerceOptions, connectOptions := []ordermanager.Option{}, []connect.Option{}
	if tel != nil {
		commerceOptions = append(commerceOptions, ordermanager.WithMiddleware(tel.Transport))
		connectOptions = append(connectOptions, connect.WithMiddleware(tel.Transport))
	}
	orders, err := ordermanager.New(w.commerceURL, ordermanager.Token(commercetest.DefaultToken), commerceOptions...)
	require.NoError(t, err)
	vendors, err := connect.New(w.connectURL, connect.APIKey(connecttest.DefaultKey), connectOptions...)
	require.NoError(t, err)
	systems := resubmit.SystemsOf(orders, orders)
	systems.Requests, systems.Prober = vendors, vendors
	if tel != nil {
		return tel.Systems(systems)
	}
	return systems
}

var policy = resubmit.Policy{SettleDelay: time.Second}

// providers are an SDK that exports to a collector, as programs set it up.
type providers struct {
	traces  *sdktrace.TracerProvider
	metrics *sdkmetric.MeterProvider
	logs    *sdklog.LoggerProvider
}

func newProviders(t testing.TB, c *collector, more ...sdkmetric.Option) *providers {
	ctx := t.Context()
	spans, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(c.server.URL+"/v1/traces"))
	require.NoError(t, err)
	values, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(c.server.URL+"/v1/metrics"))
	require.NoError(t, err)
	records, err := otlploghttp.New(ctx, otlploghttp.WithEndpointURL(c.server.URL+"/v1/logs"))
	require.NoError(t, err)
	p := &providers{
		traces: sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans, sdktrace.WithMaxQueueSize(1<<16))),
		metrics: sdkmetric.NewMeterProvider(
			append(more, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(values)))...),
		logs: sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(records))),
	}
	return p
}

// flush exports everything.
func (p *providers) flush(t testing.TB) {
	require.NoError(t, p.traces.Shutdown(t.Context()))
	require.NoError(t, p.metrics.Shutdown(t.Context()))
	require.NoError(t, p.logs.Shutdown(t.Context()))
}

// demo is what was planned, done and reported.
type demo struct {
	*world
	plan    *plan.Plan
	report  *resubmit.Report
	notSent map[string]int // pushes that were not sent, by the number of the order
}

// play plans and applies, observed by a Telemetry.
func play(t testing.TB, w *world, p *providers) *demo {
	tel, err := otelresubmit.New(otelresubmit.Options{TracerProvider: p.traces, MeterProvider: p.metrics})
	require.NoError(t, err)
	systems, journal := w.systems(t, tel), new(resubmit.MemoryJournal)
	ctx, job := p.traces.Tracer("billing").Start(t.Context(), "nightly job")
	defer job.End()
	made, err := resubmit.BuildPlan(ctx, resubmit.PlanConfig{
		Systems: systems, Policy: policy, Journal: journal, Calendar: w.windows, Filter: filter.Everything(), RateLimit: -1,
		Tracer: tel,
	})
	require.NoError(t, err)
	d := &demo{world: w, plan: made, notSent: map[string]int{}}
	runner, err := resubmit.NewRunner(resubmit.Config{
		Systems: systems, Policy: policy, Journal: journal, RateLimit: -1, Concurrency: 8,
		Verify: resubmit.VerifyConfig{InitialInterval: 50 * time.Millisecond, MaxInterval: time.Second},
		Tracer: tel, OnEvent: tel.OnEvent(d.note),
		Logger: slog.New(otelslog.NewHandler("billing", otelslog.WithLoggerProvider(p.logs))),
	})
	require.NoError(t, err)
	runner.Pause()
	time.AfterFunc(100*time.Millisecond, runner.Resume)
	d.report, err = runner.Apply(ctx, made)
	require.NoError(t, err)
	return d
}

// note counts the pushes that were not sent. With the short settle delay of the demo, a slow machine is often too late.
func (d *demo) note(e resubmit.Event) {
	refused, ok := e.(resubmit.PushRefused)
	if !ok {
		return
	}
	if err, ok := errors.AsType[*commerce.Error](refused.Err); ok && err.Delivery == commerce.DeliveryNotSent {
		d.notSent[refused.Number]++
	}
}
