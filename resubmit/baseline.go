package resubmit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// MeasureBaseline measures failure rates for PlanConfig.Baseline: it lists the orders of a view that
// were placed in [from, to) and counts them. The zero view is commerce.FailedOrdersView. An order that
// was placed earlier and failed in that time is not counted. If the list has no reasons, as that
// of Order Management, all failures count for the account that sold the order. It makes at most
// five calls per second.
func MeasureBaseline(ctx context.Context, lister OrderLister, view commerce.View, from, to time.Time,
	c *failure.Classifier) (rates *failure.Baseline, err error) {
	if callback.Nil(lister) {
		return nil, errors.New("resubmit: baseline: the lister is nil; give the client that lists orders")
	}
	defer callback.Recover(&err)
	rates, err = failure.NewBaseline(from, to, c)
	if err != nil {
		return nil, err
	}
	if view.Name == "" && len(view.Statuses) == 0 {
		view = commerce.FailedOrdersView()
	}
	if view.PlacedFrom.Before(from) {
		view.PlacedFrom = from
	}
	if view.PlacedTo.IsZero() || view.PlacedTo.After(to) {
		view.PlacedTo = to
	}
	if err := view.Validate(); err != nil {
		return nil, fmt.Errorf("resubmit: baseline: view: %w", err)
	}
	calls, ctx := newPacedCalls(ctx, defaultRate, slog.New(slog.DiscardHandler))
	defer calls.stop(nil)
	turn, err := calls.next(ctx)
	if err != nil {
		return nil, fmt.Errorf("resubmit: baseline: list orders: %w", err)
	}
	for o, err := range lister.Orders(turn, view.Query()) {
		if err == nil && o == nil {
			err = errNoOrder
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("resubmit: baseline: list orders: %w", err)
		}
		if view.Match(o) {
			rates.Add(o)
		}
	}
	return rates, nil
}
