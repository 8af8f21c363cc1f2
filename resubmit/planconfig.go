package resubmit

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// PlanConfig says what to plan. Planning only reads. A Source, Reader, Requests or Filter
// that holds a nil pointer, map or function is an error. A panic in Reader, Requests or
// RequestType holds the orders that the call was about; one in Source or Filter ends the
// planning with an error.
type PlanConfig struct {
	// Systems are the clients. Lister is required.
	Systems
	// Policy has what the Runner must agree on.
	Policy
	// IgnoreConnect decides by the reason of the failure alone.
	IgnoreConnect bool

	// View is the failure view to list. The zero value is commerce.FailedOrders.
	View commerce.View
	// Filter selects among the orders of the view. Required: say Everything() for all.
	Filter filter.Filter
	// Calendar has the windows that failures are held against. Nil: none is known.
	Calendar *maintenance.Calendar
	// Margins widen the windows. Its Now is set by the planner.
	Margins failure.Margins
	// Rates, from a pass before, let the attribution tell what fails all the time from
	// what failed in a window, see [MeasureBaseline]. Nil: nobody counted.
	Baseline *failure.Baseline
	// Rules come before the default ones.
	Rules []rules.Rule
	// Explicit are the orders that the operator answers for, by number or id. They do not
	// select: Filter does. Planning fails with a *NotPlannedError if one of them is not in
	// the plan.
	Override []string
	// Vouched are like Explicit, but may be missing, such as the orders of an export that
	// is some hours old. Missing orders are logged.
	OverrideIfFound []string

	// Concurrency is the most calls at once, to Commerce and Connect together.
	// Default 4.
	Concurrency int
	// Rate is the limit of calls per second while planning, to both systems together. With
	// the clients of this library it covers every request: pages, reads, look-ups, sign-ins
	// and retries. With other sources, readers and finders it covers their calls only. Default
	// 5, -1 no limit. No call is made while a server asks for a pause
	// (Retry-After); a pause longer than a day ends planning with ErrPatience.
	RateLimit float64
	// Progress is called with the progress of planning once per second, never twice at the
	// same time. Planning waits for it to return. It is not called again after a panic,
	// which is logged. Nil: no progress is reported.
	Progress func(PlanProgress)
	// Logger gets what an operator must see. Nil: nothing is logged.
	Logger *slog.Logger
}

func (c *PlanConfig) setDefaults() error {
	if c.Lister == nil {
		return errors.New("PlanConfig.Lister is nil; give what lists the orders")
	}
	if err := cmp.Or(c.Systems.validate("PlanConfig"), c.Policy.validate("PlanConfig"),
		callback.RejectNil(callback.Field{Name: "PlanConfig.Filter", Value: c.Filter})); err != nil {
		return err
	}
	if err := filter.Validate(c.Filter); err != nil {
		return fmt.Errorf("PlanConfig.Filter: %w", err)
	}
	if c.View.Name == "" && len(c.View.Statuses) == 0 {
		c.View = commerce.FailedOrders()
	}
	if err := c.View.Validate(); err != nil {
		return fmt.Errorf("PlanConfig.View: %w", err)
	}
	if err := rules.Validate(c.Rules); err != nil {
		return fmt.Errorf("PlanConfig.Rules: %w", err)
	}
	if c.Concurrency < 0 {
		return fmt.Errorf("PlanConfig.Concurrency is %d; give at least 1, or 0 for the default", c.Concurrency)
	}
	if err := checkRate("PlanConfig.RateLimit", c.RateLimit); err != nil {
		return err
	}
	if c.Margins.Lookback < -1 {
		return fmt.Errorf("PlanConfig.Margins.Lookback is %v; give a duration, 0 for the default or -1 for none",
			c.Margins.Lookback)
	}
	for field, names := range map[string][]string{"Override": c.Override, "OverrideIfFound": c.OverrideIfFound} {
		if slices.Contains(names, "") { // it would be every order without a number
			return fmt.Errorf("PlanConfig.%s has an empty name; leave it out", field)
		}
	}
	c.RateLimit = cmp.Or(c.RateLimit, defaultRate)
	c.Concurrency = cmp.Or(c.Concurrency, 4)
	c.Policy = completePolicy(c.Policy)
	c.SettleDelay = max(0, c.SettleDelay)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}
