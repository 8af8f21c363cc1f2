package otelresubmit_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/testkit/wiretest"
	otelresubmit "github.com/cloudblue-go/cloudblue/resubmit/otel"
)

// record returns a Telemetry and what it reports.
func record(t testing.TB) (*otelresubmit.Telemetry, *tracetest.SpanRecorder) {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	tel, err := otelresubmit.New(otelresubmit.Options{
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)),
	})
	require.NoError(t, err)
	return tel, spans
}

// outcome is what is known after a push that failed.
type outcome struct {
	requests int
	notSent  bool
	status   int
}

func push(t *testing.T, protocol string, mode wiretest.Mode, warm bool, wrap rest.Middleware) outcome {
	t.Helper()
	s := wiretest.New(t, protocol, `{}`)
	timeout := 10 * time.Second
	if mode.Slow {
		timeout = 3 * time.Second
	}
	c, err := rest.New(rest.Config{
		BaseURL: s.URL, Timeout: timeout, Wrap: wrap,
		HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: s.TLS, ForceAttemptHTTP2: true}},
	})
	require.NoError(t, err)
	if warm {
		resp, err := c.Do(t.Context(), rest.Request{Op: "read", Method: http.MethodGet, Safety: rest.Read, Fresh: true})
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	s.Fail(mode, 0)
	_, err = c.JSON(t.Context(), rest.Request{Op: "push", Method: http.MethodPost, Body: []byte(`{"a":1}`)}, nil)
	e := new(rest.Error)
	require.ErrorAs(t, err, &e)
	return outcome{s.Seen(), e.NotSent, e.Status}
}

// TestPushOnTheWire compares pushes with and without spans, on new and on used connections.
func TestPushOnTheWire(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{wiretest.HTTP1, wiretest.HTTP1TLS, wiretest.HTTP2} {
		for _, mode := range wiretest.Modes(protocol) {
			for name, warm := range map[string]bool{"new": false, "used": true} {
				t.Run(strings.Join([]string{protocol, mode.Name, name}, "/"), func(t *testing.T) {
					t.Parallel()
					tel, spans := record(t)
					bare := push(t, protocol, mode, warm, nil)
					traced := push(t, protocol, mode, warm, tel.Transport)
					require.Equal(t, bare, traced)
					require.LessOrEqual(t, traced.requests, 1)
					sent := 0
					for _, s := range spans.Ended() {
						if s.Name() == "HTTP POST" {
							sent++
						}
					}
					require.Equal(t, 1, sent)
				})
			}
		}
	}
}

func TestSpanHasNoQuery(t *testing.T) {
	t.Parallel()
	s := wiretest.New(t, wiretest.HTTP1, `{}`)
	tel, spans := record(t)
	var sent *http.Request
	c, err := rest.New(rest.Config{BaseURL: s.URL, Wrap: func(next http.RoundTripper) http.RoundTripper {
		return tel.Transport(observer(func(r *http.Request) (*http.Response, error) {
			sent = r
			return next.RoundTrip(r)
		}))
	}})
	require.NoError(t, err)
	resp, err := c.JSON(t.Context(), rest.Request{
		Op: "list", Method: http.MethodGet, Path: "orders", RawQuery: "customer=Fjord", Safety: rest.Read,
	}, nil)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "customer=Fjord", sent.URL.RawQuery)
	require.Empty(t, sent.Header.Get("Traceparent"))
	require.Len(t, spans.Ended(), 1)
	for _, a := range spans.Ended()[0].Attributes() {
		require.NotContains(t, a.Value.String(), "Fjord")
		if a.Key == "url.full" {
			require.Equal(t, s.URL+"/orders", a.Value.AsString())
		}
	}
}

// observer is a function as a transport.
type observer func(*http.Request) (*http.Response, error)

func (f observer) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
