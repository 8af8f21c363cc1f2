package resubmit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/orders"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// CheckConfig configures CheckPlan.
type CheckConfig struct {
	// Systems are the clients. Reader is required.
	Systems
	// Sample is how many of the orders that the plan marks for resubmission are read,
	// evenly spread over it; 0 reads all of them.
	Sample int
	// Concurrency is how many orders are read at the same time. Default 4.
	Concurrency int
	// RateLimit is the limit of calls per second, as in PlanConfig. Default 5; -1 no limit.
	RateLimit float64
}

// CheckPlan reads the orders that a plan marks for resubmission and calls each for every order that
// has changed since, in the order of the plan; orders without changes are only counted. It only
// reads. An order that cannot be read is reported as unread. Refused credentials, and an error of
// each, end the check.
//
// It is for people who want to know in advance: Apply checks each order again before its push.
func CheckPlan(ctx context.Context, p *plan.Plan, cfg CheckConfig,
	each func(plan.Difference) error) (plan.DiffCounts, error) {
	if err := cfg.check(p); err != nil {
		return plan.DiffCounts{}, fmt.Errorf("resubmit: check plan: %w", err)
	}
	if err := p.CheckSystem(cfg.Name); err != nil {
		return plan.DiffCounts{}, err
	}
	calls, ctx := newPacedCalls(ctx, cmp.Or(cfg.RateLimit, defaultRate), slog.New(slog.DiscardHandler), &cfg.Systems)
	defer calls.stop(nil)
	var counts plan.DiffCounts
	some := make([]*plan.Entry, 0, cmp.Or(cfg.Concurrency, 4))
	total := p.Counts().Resubmit
	place := -1
	for e, err := range p.Entries() {
		if err != nil {
			return counts, err
		}
		if e.Decision.Action != rules.Resubmit {
			continue
		}
		if place++; !sampled(place, cfg.Sample, total) {
			continue
		}
		if some = append(some, e); len(some) < cap(some) {
			continue
		}
		if err := checkOrders(ctx, calls, cfg.Reader, some, &counts, each); err != nil {
			return counts, err
		}
		some = some[:0]
	}
	err := checkOrders(ctx, calls, cfg.Reader, some, &counts, each)
	return counts, err
}

func (c *CheckConfig) check(p *plan.Plan) error {
	switch {
	case p == nil:
		return errors.New("the plan is nil; read one with plan.Open or plan.Read")
	case c.Reader == nil:
		return errors.New("CheckConfig.Reader is nil; give the client that reads orders")
	case c.Sample < 0 || c.Concurrency < 0:
		return fmt.Errorf("CheckConfig.Sample is %d and Concurrency is %d; give counts, or 0 for the defaults",
			c.Sample, c.Concurrency)
	}
	return cmp.Or(checkRate("CheckConfig.RateLimit", c.RateLimit), c.validate("CheckConfig"))
}

// sampled reports whether the order at a place, of total orders, is among the n that are read.
func sampled(place, n, total int) bool {
	return n == 0 || n >= total || place*n/total != (place-1)*n/total || place == 0
}

// checkOrders reads some orders concurrently, then counts and reports their changes in order.
func checkOrders(ctx context.Context, calls *pacedCalls, reader OrderReader, some []*plan.Entry,
	counts *plan.DiffCounts,
	each func(plan.Difference) error) error {
	found := make([]plan.Difference, len(some))
	errs := make([]error, len(some))
	var reads sync.WaitGroup
	for i, e := range some {
		reads.Go(func() {
			o, err := callback.Call(func() (*commerce.Order, error) { return calls.read(ctx, reader, e.OrderID) })
			found[i], errs[i] = differenceNow(e, o, err), err
		})
	}
	reads.Wait()
	if ctx.Err() != nil {
		return fmt.Errorf("resubmit: check plan: %w", context.Cause(ctx))
	}
	for i, x := range found {
		if errors.Is(errs[i], commerce.ErrUnauthorized) {
			return fmt.Errorf("resubmit: check plan: order %s: %w", text.Short(some[i].Label()), errs[i])
		}
		counts.Add(x.Kind)
		if x.Kind == plan.DiffSame || each == nil {
			continue
		}
		if err := each(x); err != nil {
			return err
		}
	}
	return nil
}

// differenceNow returns how an order that was read, or could not be, differs from its entry.
func differenceNow(e *plan.Entry, o *commerce.Order, err error) plan.Difference {
	d := plan.Difference{Kind: plan.DiffUnread, Old: e}
	if err == nil && o != nil && o.ID == e.OrderID {
		if other := orders.EntryIdentity(e).Check(orders.IdentityOf(o)); other != nil {
			d.Kind, d.Text = plan.DiffChanged, other.Error()
			return d
		}
	}
	if err == nil && o != nil {
		err = orders.Unreadable(o, e.Before.Status)
	}
	switch {
	case errors.Is(err, commerce.ErrNotFound):
		d.Kind, d.Text = plan.DiffGone, "the order no longer exists"
		return d
	case err != nil:
		d.Text = "could not be read: " + text.Short(err.Error())
		return d
	case o == nil || o.ID != e.OrderID:
		d.Text = "could not be read: the answer is about another order"
		return d
	}
	d.Text = e.Before.Diff(plan.SnapshotOf(o))
	switch {
	case d.Text == "":
		d.Kind = plan.DiffSame
	case o.Status != e.Before.Status:
		d.Kind = plan.DiffGone
	default:
		d.Kind = plan.DiffChanged
	}
	return d
}

// ErrStalePlan means that a plan is too old, or that maintenance has begun or changed since it was
// made. Nothing was sent. CheckPlan reports which of its orders have changed.
var ErrStalePlan = errors.New("the plan is stale")

// calendarSpan is the time before a plan for which its calendar and the current one are compared. No
// older order is worth resubmitting.
const calendarSpan = 31 * 24 * time.Hour

// admitPlan returns an error if a plan must not be applied, because it has no required signature or
// is stale. A plan that was begun is not stale: the orders that were pushed must be
// verified, and each other order is compared with the plan before its push.
func (c *Config) admitPlan(p *plan.Plan, planned *maintenance.Calendar, begun bool, now time.Time) error {
	if len(c.Require) > 0 {
		s, err := p.SignedBy(c.Require...)
		if err != nil {
			return err
		}
		c.Logger.Info("the plan is signed", "signer", s.Signer, "signedAt", s.SignedAt, "key", plan.KeyName(s.Key))
	}
	if begun || c.MaxPlanAge < 0 {
		return nil
	}
	var today *maintenance.Calendar
	if c.Calendar != nil {
		var err error
		if today, err = guarded(c.Calendar); err != nil {
			return fmt.Errorf("resubmit: Config.Calendar: %w", err)
		}
	}
	if why := stale(p.Header(), planned, today, c.Calendar != nil, c.MaxPlanAge, now); why != "" {
		return fmt.Errorf("resubmit: %w: %s; make a new plan, or see with CheckPlan what changed", ErrStalePlan, why)
	}
	return nil
}

// stale returns why a plan is stale at now; "" if it is not.
func stale(h plan.Header, planned, today *maintenance.Calendar, given bool, most time.Duration, now time.Time) string {
	made := h.CreatedAt
	if age := now.Sub(made); age > most {
		return fmt.Sprintf("it was made %s, %s ago, and may be %s old", made.Format(time.RFC3339), age.Round(time.Second),
			most)
	}
	if !given {
		today = planned
	}
	for w := range today.OverlappingSeq(made, now) {
		if start := w.Span().Start; start.After(made) && !start.After(now) {
			return fmt.Sprintf("it was made %s, before the maintenance %s that began at %s",
				made.Format(time.RFC3339), w.Label(), start.Format(time.RFC3339))
		}
	}
	if given {
		return calendarChange(planned, today, made)
	}
	return ""
}

// calendarChange returns how the maintenance before a plan was made differs between two calendars.
// Later windows are ignored: the gate checks them before each push.
func calendarChange(planned, today *maintenance.Calendar, made time.Time) string {
	from := made.Add(-calendarSpan)
	was, is := planned.Spans(from, made), today.Spans(from, made)
	for i := range max(len(was), len(is)) {
		switch {
		case i >= len(is) || i < len(was) && was[i].Start.Before(is[i].Start):
			return fmt.Sprintf("the maintenance %s with which it was made is no longer known", betweenText(was[i]))
		case i >= len(was) || is[i].Start.Before(was[i].Start):
			return fmt.Sprintf("the maintenance %s was not known when it was made", betweenText(is[i]))
		case !was[i].End.Equal(is[i].End):
			return fmt.Sprintf("the maintenance %s with which it was made is now known as %s", betweenText(was[i]),
				betweenText(is[i]))
		}
	}
	return ""
}

func betweenText(s maintenance.Span) string {
	if s.End.IsZero() {
		return "since " + s.Start.UTC().Format(time.RFC3339)
	}
	return s.Start.UTC().Format(time.RFC3339) + " to " + s.End.UTC().Format(time.RFC3339)
}
