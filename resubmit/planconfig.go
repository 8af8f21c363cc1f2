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

// PlanConfig configures the planner, which only reads. A Lister, Reader, Requests or Filter that
// holds a nil pointer, map or function is an error. A panic in Reader, Requests or RequestType
// holds the orders of that call; one in Lister or Filter ends planning with an error.
type PlanConfig struct {
	// Systems are the clients. Lister is required.
	Systems
	// Policy has the settings on which the Runner must agree.
	Policy
	// IgnoreConnect decides by the reason of the failure alone, without look-ups in Connect.
	IgnoreConnect bool

	// View is the failure view to list. The zero value is commerce.FailedOrdersView.
	View commerce.View
	// Filter selects among the orders of the view. Required; [filter.Everything] selects all.
	Filter filter.Filter
	// Calendar has the windows to which failures are attributed. Nil: no windows.
	Calendar *maintenance.Calendar
	// Margins widen the windows. The planner sets its Now.
	Margins failure.Margins
	// Baseline has the failure rates outside windows, from [MeasureBaseline], so that what
	// always fails is not attributed to a window. Nil: not used.
	Baseline *failure.Baseline
	// Rules are applied before the default rules.
	Rules []rules.Rule
	// Override are the orders, by number or id, that the operator wants resubmitted whatever
	// the default rules say. Filter must select them. Planning fails with a *NotPlannedError
	// if one of them is not in the plan.
	Override []string
	// OverrideIfFound are like Override, but may be missing, such as the orders of an export
	// that is some hours old. Missing orders are logged.
	OverrideIfFound []string

	// Concurrency is the limit of concurrent calls, to Commerce and Connect together.
	// Default 4.
	Concurrency int
	// RateLimit is the limit of calls per second while planning, to both systems together. With
	// the clients of this library it covers every request: pages, reads, look-ups, sign-ins
	// and retries. With other clients it covers their calls only. Default 5; -1 no limit. No
	// call is made while a server asks for a pause (Retry-After); a pause longer than a day
	// ends planning with ErrPatience.
	RateLimit float64
	// Progress is called with the progress of planning once per second, never twice at the
	// same time. Planning waits for it to return. It is not called again after a panic,
	// which is logged. Nil: no progress is reported.
	Progress func(PlanProgress)
	// Logger logs what an operator must see. Nil: nothing is logged.
	Logger *slog.Logger
}

func (c *PlanConfig) setDefaults() error {
	if c.Lister == nil {
		return errors.New("PlanConfig.Lister is nil; give the client that lists orders")
	}
	if err := cmp.Or(c.Systems.validate("PlanConfig"), c.Policy.validate("PlanConfig"),
		callback.RejectNil(callback.Field{Name: "PlanConfig.Filter", Value: c.Filter})); err != nil {
		return err
	}
	if err := filter.Validate(c.Filter); err != nil {
		return fmt.Errorf("PlanConfig.Filter: %w", err)
	}
	if c.View.Name == "" && len(c.View.Statuses) == 0 {
		c.View = commerce.FailedOrdersView()
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
		if slices.Contains(names, "") { // it would match every order without a number
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
