package otelresubmit

import (
	"context"
	"net/http"
	"net/url"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Transport returns a transport with a span for each request, for the option WithMiddleware of a client. Do not use it
// with WithHTTPClient: a client cannot check or copy a transport that it does not know, and a push needs one of its
// own. Spans have URLs without their queries, and of errors only their types.
func (t *Telemetry) Transport(next http.RoundTripper) http.RoundTripper {
	return hideQuery{otelhttp.NewTransport(restoreURL{next},
		otelhttp.WithTracerProvider(quietProvider{t.options.TracerProvider}),
		otelhttp.WithMeterProvider(t.options.MeterProvider),
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator()))} // none
}

// quietProvider provides tracers whose spans have no texts of errors. otelhttp sets such a text as the description of
// the status, and net/http quotes bytes of the server in it, and addresses. The attribute error.type remains.
type quietProvider struct{ trace.TracerProvider }

func (p quietProvider) Tracer(name string, options ...trace.TracerOption) trace.Tracer {
	return quietTracer{p.TracerProvider.Tracer(name, options...)}
}

type quietTracer struct{ trace.Tracer }

func (t quietTracer) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (
	context.Context, trace.Span,
) {
	ctx, span := t.Tracer.Start(ctx, name, options...)
	return ctx, quietSpan{span}
}

// quietSpan is only for otelhttp. The context has the span itself.
type quietSpan struct{ trace.Span }

func (s quietSpan) SetStatus(code codes.Code, _ string) { s.Span.SetStatus(code, "") }

// urlKey is the key of the URL of a request in its context.
type urlKey struct{}

// hideQuery passes requests on without the query of their URL, which may name customers.
type hideQuery struct{ next http.RoundTripper }

func (h hideQuery) RoundTrip(r *http.Request) (*http.Response, error) {
	u := *r.URL
	u.User, u.RawQuery, u.ForceQuery = nil, "", false
	hidden := r.WithContext(context.WithValue(r.Context(), urlKey{}, r.URL))
	hidden.URL = &u
	return h.next.RoundTrip(hidden)
}

// restoreURL undoes hideQuery.
type restoreURL struct{ next http.RoundTripper }

func (n restoreURL) RoundTrip(r *http.Request) (*http.Response, error) {
	whole := r.WithContext(r.Context())
	if u, ok := r.Context().Value(urlKey{}).(*url.URL); ok {
		whole.URL = u
	}
	return n.next.RoundTrip(whole)
}
