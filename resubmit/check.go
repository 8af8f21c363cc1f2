package resubmit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
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
	switch {
	case p == nil:
		return plan.DiffCounts{}, errors.New("resubmit: check plan: the plan is nil; read one with plan.Open or plan.Read")
	case cfg.Reader == nil:
		return plan.DiffCounts{},
			errors.New("resubmit: check plan: CheckConfig.Reader is nil; give the client that reads orders")
	case cfg.Sample < 0 || cfg.Concurrency < 0:
		return plan.DiffCounts{},
			fmt.Errorf(
				"resubmit: check plan: CheckConfig.Sample is %d and Concurrency is %d; give counts, or 0 for the defaults",
				cfg.Sample, cfg.Concurrency)
	}
	if err := checkRate("CheckConfig.RateLimit", cfg.RateLimit); err != nil {
		return plan.DiffCounts{}, fmt.Errorf("resubmit: check plan: %w", err)
	}
	if err := cfg.validate("CheckConfig"); err != nil {
		return plan.DiffCounts{}, fmt.Errorf("resubmit: check plan: %w", err)
	}
	if err := p.CheckSystem(cfg.Name); err != nil {
		return plan.DiffCounts{}, err
	}
	calls, ctx := newPacedCalls(ctx, cmp.Or(cfg.RateLimit, defaultRate), slog.New(slog.DiscardHandler))
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
		if other := entryIdentity(e).check(identityOf(o)); other != nil {
			d.Kind, d.Text = plan.DiffChanged, other.Error()
			return d
		}
	}
	if err == nil && o != nil {
		err = unreadable(o, e.Before.Status)
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
