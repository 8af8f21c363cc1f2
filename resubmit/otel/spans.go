package otelresubmit

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// The attributes of spans that metrics do not have.
const (
	digestKey   = attribute.Key("cloudblue.plan.digest")
	ordersKey   = attribute.Key("cloudblue.plan.orders")
	orderIDKey  = attribute.Key("cloudblue.order.id")
	numberKey   = attribute.Key("cloudblue.order.number")
	typeKey     = attribute.Key("cloudblue.order.type")
	vendorKey   = attribute.Key("cloudblue.order.vendor")
	attemptsKey = attribute.Key("cloudblue.order.attempts")
	targetKey   = attribute.Key("cloudblue.order.target")
)

// mostPlans is how many plans are remembered, to link runs to them.
const mostPlans = 64

// plannedSpan is the span in which a plan was made.
type plannedSpan struct {
	digest string
	span   trace.SpanContext
}

// Plan implements [resubmit.Tracer].
func (t *Telemetry) Plan(ctx context.Context) (context.Context, func(string, plan.ActionCounts, error)) {
	ctx, span := t.tracer.Start(ctx, "resubmit plan")
	return ctx, func(digest string, counts plan.ActionCounts, err error) {
		for action, n := range actions(&counts) {
			span.SetAttributes(attribute.Int("cloudblue.plan."+string(action), n))
		}
		if err == nil {
			span.SetAttributes(digestKey.String(digest), ordersKey.Int(counts.Total))
			t.remember(plannedSpan{digest, span.SpanContext()})
		}
		end(span, err)
	}
}

func (t *Telemetry) remember(p plannedSpan) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.plans = append(t.plans, p)
	t.plans = slices.Delete(t.plans, 0, max(0, len(t.plans)-mostPlans))
}

// planLinks returns a link to the span of a plan; none if that is not known.
func (t *Telemetry) planLinks(digest string) (links []trace.Link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.plans {
		if p.digest == digest {
			links = []trace.Link{{SpanContext: p.span}}
		}
	}
	return links
}

// calendarKey is the key of the calendar of a plan in the context of its run.
type calendarKey struct{}

// Run implements [resubmit.Tracer].
func (t *Telemetry) Run(ctx context.Context, p *plan.Plan) (context.Context, func(*resubmit.Report, error)) {
	began := time.Now()
	ctx, span := t.tracer.Start(ctx, "resubmit run", trace.WithLinks(t.planLinks(p.Digest())...),
		trace.WithAttributes(digestKey.String(p.Digest()), ordersKey.Int(p.Counts().Resubmit)))
	if c, err := p.Header().Calendar(); err == nil { // Apply returns the error
		ctx = context.WithValue(ctx, calendarKey{}, c)
	}
	return ctx, func(r *resubmit.Report, err error) {
		result := resultOf(r, err)
		span.SetAttributes(resultKey.String(result))
		for _, o := range protocol.Outcomes() {
			if r != nil && r.Result.Of(o) > 0 {
				span.SetAttributes(attribute.Int("cloudblue.orders."+string(o), r.Result.Of(o)))
			}
		}
		t.metrics.run(ctx, 1, result)
		t.metrics.durations.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(resultKey.String(result)))
		end(span, err)
	}
}

// The values of cloudblue.run.result.
const (
	runCompleted  = "completed"
	runIncomplete = "incomplete"
	runStopped    = "stopped"
	runFailed     = "failed"
)

func resultOf(r *resubmit.Report, err error) string {
	switch {
	case r == nil:
		return runFailed
	case err != nil:
		return runStopped
	case r.OK():
		return runCompleted
	default:
		return runIncomplete
	}
}

// Order implements [resubmit.Tracer].
func (t *Telemetry) Order(ctx context.Context, e *plan.Entry) (context.Context, func(*resubmit.Item)) {
	attributed := e.Attribution.WindowID != ""
	ctx, span := t.tracer.Start(ctx, "resubmit order", trace.WithAttributes(
		orderIDKey.String(e.OrderID), numberKey.String(e.Number), typeKey.String(string(e.Type)),
		classKey.String(class(e.Attribution.Class)), vendorKey.String(e.VendorAccountID)))
	return ctx, func(i *resubmit.Item) {
		span.SetAttributes(outcomeKey.String(string(i.Outcome)), attemptsKey.Int(i.Attempts))
		if i.Target != "" {
			span.SetAttributes(targetKey.String(string(i.Target)))
		}
		calendar, _ := ctx.Value(calendarKey{}).(*maintenance.Calendar)
		if w, ok := calendar.Last(i.DoneAt); ok && attributed && i.Outcome == protocol.Completed {
			t.metrics.recovery.Record(ctx, i.DoneAt.Sub(w.Span().End).Seconds())
		}
		end(span, nil)
	}
}

// end ends a span. The text of an error may quote a customer or a URL, so only its kind is reported.
func end(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "")
		span.SetAttributes(errorKey.String(errorType(err)))
	}
	span.End()
}

// errorType returns one of a few words, or the HTTP status of an answer.
func errorType(err error) string {
	status := 0
	if e, ok := errors.AsType[*commerce.Error](err); ok {
		status = e.HTTPStatus
	} else if e, ok := errors.AsType[*connect.Error](err); ok {
		status = e.HTTPStatus
	}
	switch {
	case status != 0:
		return strconv.Itoa(status)
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, commerce.ErrUnavailable), errors.Is(err, connect.ErrUnavailable):
		return "unavailable"
	default:
		return "_OTHER"
	}
}
