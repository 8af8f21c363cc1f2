package otelresubmit_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
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

// answering returns the URL of a server that answers each connection with a text and closes it.
func answering(t *testing.T, text string) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, text)
			_ = c.Close()
		}
	}()
	return "http://" + l.Addr().String()
}

// get makes a request and returns its error, or that of reading the body.
func get(t *testing.T, rt http.RoundTripper, url string) error {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return err
	}
	_, err = io.ReadAll(resp.Body)
	require.NoError(t, resp.Body.Close())
	return err
}

// requireNoText checks that a span has failed and says nothing about it but its type.
func requireNoText(t *testing.T, spans *tracetest.SpanRecorder, secrets ...string) {
	t.Helper()
	require.Len(t, spans.Ended(), 1)
	s := spans.Ended()[0]
	require.Equal(t, sdktrace.Status{Code: codes.Error}, s.Status())
	require.Empty(t, s.Events())
	types := 0
	for _, a := range s.Attributes() {
		if a.Key == "error.type" {
			types++
		}
		for _, secret := range secrets {
			require.NotContains(t, a.Value.String(), secret)
		}
	}
	require.Equal(t, 1, types)
}

func TestSpanHasNoTextOfAnswer(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"no HTTP":           "Fjord Freight\r\n\r\n",
		"malformed status":  "HTTP/1.1 Fjord\r\n\r\n",
		"malformed header":  "HTTP/1.1 200 OK\r\nFjord Freight\r\n\r\n",
		"malformed length":  "HTTP/1.1 200 OK\r\nContent-Length: Fjord\r\n\r\n",
		"cut off":           "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nFjord",
		"malformed chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFjord\r\n",
		"malformed trailer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nFjord\r\n\r\n",
		"no such status":    "HTTP/1.1 999 Fjord\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tel, spans := record(t)
			url, next := answering(t, answer), &http.Transport{DisableKeepAlives: true}
			bare := get(t, next, url)
			require.Equal(t, bare, get(t, tel.Transport(next), url))
			require.Equal(t, name == "no such status", bare == nil)
			requireNoText(t, spans, "Fjord")
		})
	}
}

// brokenBody fails with an error when it is read.
type brokenBody struct{ err error }

func (b brokenBody) Read([]byte) (int, error) { return 0, b.err }
func (b brokenBody) Close() error             { return nil }

func TestSpanHasNoTextOfError(t *testing.T) {
	t.Parallel()
	cause := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("Fjord Freight")}
	failed := fmt.Errorf("of Fjord: %w", cause)
	for name, rt := range map[string]observer{
		"request": func(*http.Request) (*http.Response, error) { return nil, failed },
		"body": func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", Body: brokenBody{failed}, Request: r}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tel, spans := record(t)
			err := get(t, tel.Transport(rt), "http://localhost/orders")
			require.Same(t, failed, err)
			found := new(net.OpError)
			require.ErrorAs(t, err, &found)
			require.Same(t, cause, found)
			requireNoText(t, spans, "Fjord")
		})
	}
}

// observer is a function as a transport.
type observer func(*http.Request) (*http.Response, error)

func (f observer) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
