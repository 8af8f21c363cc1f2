package otelresubmit_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	otelresubmit "github.com/cloudblue-go/cloudblue/resubmit/otel"
)

// local is a Commerce in memory, whose orders complete when they are pushed.
type local struct {
	begin time.Time
	n     int
	mu    sync.Mutex
	done  map[string]bool
}

func (l *local) order(i int) *commerce.Order {
	id := fmt.Sprintf("id-%06d", i)
	o := &commerce.Order{
		ID: id, Number: fmt.Sprintf("SO%06d", i), Type: commerce.TypeSales, Status: commerce.StatusProvisioningFailed,
		CustomerID: id, SubscriptionIDs: []string{id}, PlacedAt: l.begin.Add(time.Duration(i) * time.Millisecond),
		Failure:     commerce.Failure{Messages: map[string]string{"en_US": "HTTP 502 Bad Gateway"}},
		Transitions: []commerce.Transition{{To: commerce.StatusPaid}},
	}
	if l.done[id] {
		o.Status, o.Failure = commerce.StatusCompleted, commerce.Failure{}
	}
	return o
}

func (l *local) Orders(context.Context, commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		for i := range l.n {
			if !yield(l.order(i), nil) {
				return
			}
		}
	}
}

func (l *local) Order(_ context.Context, id string) (*commerce.Order, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var i int
	_, err := fmt.Sscanf(id, "id-%d", &i)
	return l.order(i), err
}

func (l *local) Push(_ context.Context, id string, _ commerce.Status) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done[id] = true
	return nil
}

// localSystems are the systems of a local Commerce with n failed orders.
func localSystems(n int) resubmit.Systems {
	l := &local{begin: time.Now().Add(-time.Hour).Truncate(time.Second), n: n, done: map[string]bool{}}
	return resubmit.Systems{
		Name: "local", Lister: l, Reader: l, Pusher: l,
		Capabilities: commerce.Capabilities{Failure: true, Transitions: true},
	}
}

func twoOrders() resubmit.Systems { return localSystems(2) }

// lastNight has the window in which the orders failed.
func lastNight() *maintenance.Calendar {
	now := time.Now()
	c, err := maintenance.NewCalendar([]maintenance.Window{
		{ID: "CHG-7", Start: now.Add(-2 * time.Hour), End: now.Add(-20 * time.Minute)},
	})
	if err != nil {
		panic(err)
	}
	return c
}

// telemetry returns one whose spans and metrics are made, and dropped instead of exported.
func telemetry(b *testing.B) *otelresubmit.Telemetry {
	traces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter()))
	b.Cleanup(func() { _ = traces.Shutdown(context.Background()) })
	tel, err := otelresubmit.New(otelresubmit.Options{
		TracerProvider: traces,
		MeterProvider:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
	})
	require.NoError(b, err)
	return tel
}

// BenchmarkApply resubmits an order without any network, so that the overhead of spans and metrics is at its largest.
func BenchmarkApply(b *testing.B) {
	for name, tel := range map[string]*otelresubmit.Telemetry{"bare": nil, "observed": telemetry(b)} {
		b.Run(name, func(b *testing.B) {
			systems, windows := localSystems(b.N), lastNight()
			cfg := resubmit.Config{
				Journal: new(resubmit.MemoryJournal), RateLimit: -1, Concurrency: 2, OmitItems: true,
				Canary: resubmit.CanaryConfig{Steps: []int{}}, Verify: resubmit.VerifyConfig{InitialInterval: time.Millisecond},
			}
			if tel != nil {
				systems = tel.Systems(systems)
				cfg.Tracer, cfg.OnEvent = tel, tel.OnEvent(nil)
			}
			cfg.Systems = systems
			p, err := resubmit.BuildPlan(b.Context(), resubmit.PlanConfig{
				Systems: systems, Journal: cfg.Journal, Filter: filter.Everything(), Calendar: windows, RateLimit: -1,
				IgnoreConnect: true,
			})
			require.NoError(b, err)
			runner, err := resubmit.NewRunner(cfg)
			require.NoError(b, err)
			b.ReportAllocs()
			b.ResetTimer()
			report, err := runner.Apply(b.Context(), p)
			require.NoError(b, err)
			require.Equal(b, b.N, report.Result.Completed)
		})
	}
}

// BenchmarkRequest makes a request on loopback.
func BenchmarkRequest(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "{}")
	}))
	b.Cleanup(server.Close)
	for name, transport := range map[string]http.RoundTripper{
		"bare": http.DefaultTransport, "observed": telemetry(b).Transport(http.DefaultTransport),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, server.URL+"/orders/1", http.NoBody)
				require.NoError(b, err)
				resp, err := transport.RoundTrip(r)
				require.NoError(b, err)
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
}
