package otelresubmit

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// The values of cloudblue.system.
const (
	commerceName = "commerce"
	connectName  = "connect"
)

// Systems returns systems whose calls are spans and are measured. Give it to planners and Runners. A field that holds
// a nil pointer stays as it is, so that they reject it.
func (t *Telemetry) Systems(s resubmit.Systems) resubmit.Systems {
	if !callback.Nil(s.Lister) {
		s.Lister = lister{s.Lister, t}
	}
	if !callback.Nil(s.Reader) {
		s.Reader = reader{s.Reader, t}
	}
	if !callback.Nil(s.Pusher) {
		s.Pusher = pusher{s.Pusher, t}
	}
	if !callback.Nil(s.Requests) {
		s.Requests = finder{s.Requests, t}
	}
	if !callback.Nil(s.Prober) {
		s.Prober = prober{s.Prober, t}
	}
	return s
}

// errPanicked is the error of a call until it has returned.
var errPanicked = errors.New("the call panicked")

// call begins a call. The returned function must be deferred, so that it is called even if the call panics.
func (t *Telemetry) call(ctx context.Context, system, operation string, more ...attribute.KeyValue) (
	context.Context, func(*error),
) {
	began, attrs := time.Now(), []attribute.KeyValue{systemKey.String(system), operationKey.String(operation)}
	ctx, span := t.tracer.Start(ctx, operation, trace.WithAttributes(attrs...), trace.WithAttributes(more...))
	return ctx, func(err *error) {
		if *err != nil {
			attrs = append(attrs, errorKey.String(errorType(*err)))
		}
		t.metrics.calls.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(attrs...))
		end(span, *err)
	}
}

type lister struct {
	resubmit.OrderLister
	t *Telemetry
}

func (l lister) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		err := errPanicked
		ctx, end := l.t.call(ctx, commerceName, "list orders")
		defer end(&err)
		var failed error
		for o, e := range l.OrderLister.Orders(ctx, q) {
			failed = e
			if !yield(o, e) {
				break
			}
		}
		err = failed
	}
}

type reader struct {
	resubmit.OrderReader
	t *Telemetry
}

func (r reader) Order(ctx context.Context, id string) (o *commerce.Order, err error) {
	ctx, end := r.t.call(ctx, commerceName, "read order", orderIDKey.String(id))
	err = errPanicked
	defer end(&err)
	return r.OrderReader.Order(ctx, id)
}

type pusher struct {
	resubmit.Pusher
	t *Telemetry
}

func (p pusher) Push(ctx context.Context, id string, to commerce.Status) (err error) {
	ctx, end := p.t.call(ctx, commerceName, "push order", orderIDKey.String(id), targetKey.String(string(to)))
	err = errPanicked
	defer end(&err)
	return p.Pusher.Push(ctx, id, to)
}

type finder struct {
	resubmit.RequestFinder
	t *Telemetry
}

func (f finder) LatestRequests(ctx context.Context, keys []connect.RequestKey) (
	found map[connect.RequestKey][]connect.LatestRequest, err error,
) {
	ctx, end := f.t.call(ctx, connectName, "look up requests", attribute.Int("cloudblue.keys", len(keys)))
	err = errPanicked
	defer end(&err)
	return f.RequestFinder.LatestRequests(ctx, keys)
}

type prober struct {
	availability.Prober
	t *Telemetry
}

func (p prober) Probe(ctx context.Context) (probe connect.Probe, err error) {
	ctx, end := p.t.call(ctx, connectName, "probe")
	failed := errPanicked
	defer end(&failed)
	probe, err = p.Prober.Probe(ctx)
	failed = cmp.Or(err, probe.Err)
	return probe, err
}
