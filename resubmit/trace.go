package resubmit

import (
	"context"
	"log/slog"

	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// Tracer observes what a planner or a Runner does, for a tracing system: see package resubmit/otel. Each method is
// called at a beginning. It returns the context for the calls of that part, and a function that is called once, at the
// end. Both must return at once; they are called concurrently. If one panics, that part is not traced, and the stack is
// logged.
type Tracer interface {
	// Plan is called when a plan is made. At the end, digest is "" if there is an error.
	Plan(ctx context.Context) (_ context.Context, end func(digest string, counts plan.ActionCounts, err error))
	// Run is called when Apply is called. At the end, the report is nil if the run could not start.
	Run(ctx context.Context, p *plan.Plan) (_ context.Context, end func(*Report, error))
	// Order is called when a run, or a session, begins to work on an order. The end of an order that is abandoned,
	// because a call does not return, is not reported.
	Order(ctx context.Context, e *plan.Entry) (_ context.Context, end func(*Item))
}

// tracing calls a Tracer, which may be nil.
type tracing struct {
	Tracer
	log *slog.Logger
}

func (t tracing) plan(ctx context.Context) (context.Context, func(string, plan.ActionCounts, error)) {
	if t.Tracer == nil {
		return ctx, func(string, plan.ActionCounts, error) {}
	}
	s := start(ctx, t.log, t.Plan)
	return s.ctx, func(digest string, c plan.ActionCounts, err error) {
		s.finish(t.log, func() { s.end(digest, c, err) })
	}
}

func (t tracing) run(ctx context.Context, p *plan.Plan) (context.Context, func(*Report, error)) {
	if t.Tracer == nil {
		return ctx, func(*Report, error) {}
	}
	s := start(ctx, t.log, func(ctx context.Context) (context.Context, func(*Report, error)) { return t.Run(ctx, p) })
	return s.ctx, func(r *Report, err error) { s.finish(t.log, func() { s.end(r, err) }) }
}

func (t tracing) order(ctx context.Context, e *plan.Entry) (context.Context, func(*Item)) {
	if t.Tracer == nil {
		return ctx, func(*Item) {}
	}
	s := start(ctx, t.log, func(ctx context.Context) (context.Context, func(*Item)) { return t.Order(ctx, e) })
	return s.ctx, func(i *Item) { s.finish(t.log, func() { s.end(i) }) }
}

// span is what a method of a Tracer returned.
type span[F any] struct {
	ctx context.Context //nolint:containedctx // it is returned at once
	end F
	ok  bool
}

// start calls a method of a Tracer. If that panics, or returns no context, the span has the given one, and no end.
func start[F any](ctx context.Context, log *slog.Logger, begin func(context.Context) (context.Context, F)) span[F] {
	s, err := callback.Call(func() (span[F], error) {
		own, end := begin(ctx)
		return span[F]{ctx: own, end: end, ok: own != nil}, nil
	})
	callback.Log(log, err)
	if !s.ok {
		return span[F]{ctx: ctx}
	}
	return s
}

func (s span[F]) finish(log *slog.Logger, end func()) {
	if s.ok {
		callback.Log(log, callback.Do(func() error { end(); return nil }))
	}
}
