package resubmit

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// read reads the orders that were listed without details.
func (p *planner) read(ctx context.Context, candidates []candidate) error {
	if p.Reader == nil {
		return nil
	}
	var reads sync.WaitGroup
	for i := range candidates {
		c := &candidates[i]
		if c.order.HasTransitions() || len(c.order.Problems) > 0 || p.take(ctx) != nil {
			continue
		}
		turn, err := p.calls.next(ctx) // before the goroutine starts, so that orders are read in order
		if err != nil {
			c.err = err
			p.give()
			continue
		}
		reads.Go(func() {
			defer p.give()
			o, err := p.Reader.Order(turn, c.order.ID)
			p.calls.pauseFor(err)
			p.counters.read.Add(1)
			switch {
			case err != nil:
				if c.err = err; forbidden(err) {
					p.forbidden.Add(1)
				}
			case o == nil || o.ID != c.order.ID:
				c.err = errors.New("the answer is about another order")
			default:
				p.readable.Store(true)
				c.err = identityOf(c.order).check(identityOf(o))
				if c.err == nil {
					c.order = withCode(readable(completed(o, c.order)))
				}
			}
		})
	}
	reads.Wait()
	for i := range candidates {
		if err := candidates[i].err; unauthorized(err) || forbidden(err) && p.allForbidden() {
			// The credentials are at fault: further calls might lock the account.
			return fmt.Errorf("resubmit: plan: read order %s: %w", text.Short(candidates[i].order.Label()), err)
		}
	}
	return ctx.Err() // a cancelled read says nothing about its order
}

// allForbidden reports whether no order may be read.
func (p *planner) allForbidden() bool {
	return !p.readable.Load() && p.forbidden.Load() >= forbiddenInRow
}

// completed returns an order as it was read, with the fields that only the list has.
func completed(read, listed *commerce.Order) *commerce.Order {
	o := *read
	if o.PlacedAt.IsZero() {
		o.PlacedAt = listed.PlacedAt
	}
	if o.FailedAt.IsZero() && o.Status == listed.Status {
		o.FailedAt = listed.FailedAt
	}
	if len(o.SubscriptionIDs) == 0 {
		o.SubscriptionIDs = listed.SubscriptionIDs
	}
	if o.TenantID == "" {
		o.TenantID = listed.TenantID
	}
	return &o
}
