package resubmit

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// PlanConfig configures the planner, which only reads. A Lister, Reader, Requests, Prober, Journal
// or Filter that holds a nil pointer, map or function is an error. A panic in Reader, Requests or
// Prober holds the orders of that call; one in Lister, Journal or Filter ends planning with an error.
type PlanConfig struct {
	// Systems are the clients. Lister is required.
	Systems
	// Policy has the settings on which the Runner must agree. The plan records it.
	Policy
	// Journal is the memory of all runs on this installation of Commerce. Required; give the same one
	// to the Runner. With new(MemoryJournal), only this process remembers. The planner writes to it
	// only to free the lanes of orders that it reads as completed or cancelled.
	Journal Journal
	// IgnoreConnect decides by the reason of the failure alone, without look-ups in Connect.
	IgnoreConnect bool

	// View is the failure view to list. The zero value is commerce.FailedOrdersView.
	View commerce.View
	// Filter selects among the orders of the view. Required; [filter.Everything] selects all. The
	// planner lists the other orders of the view too, up to the youngest that the filter can select:
	// an order must not overtake an older one of its subscription, even if that is not selected.
	Filter filter.Filter
	// Calendar has the windows to which failures are attributed. Nil: no windows. If a window or
	// an observed outage in it ended since an order was resubmitted in vain, the order is resubmitted
	// again.
	Calendar *maintenance.Calendar
	// Margins widen the windows. The planner sets its Now.
	Margins failure.Margins
	// Baseline has the failure rates outside windows, from [MeasureBaseline], so that what
	// always fails is not attributed to a window. Nil: not used.
	Baseline *failure.Baseline
	// Rules are applied before the default rules. They cannot lift a hold after a repeated failure,
	// nor a window, nor a limit of Connect, see [rules.Rule].
	Rules []rules.Rule
	// Override are the orders, by number or id, that the operator decided to resubmit: their reason may be
	// unclassified or not reported, and they are resubmitted, by this plan, even if they failed again
	// or too often before, or a newer order of their subscription was resubmitted. It changes no other
	// decision. Filter must select them. Planning fails with a *NotPlannedError if one of them is
	// not in the plan.
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
	// ends planning with ErrRetryAfterTooLong.
	RateLimit float64
	// Progress is called with the progress of planning once per second, never twice at the
	// same time. Planning waits for it to return. It is not called again after a panic,
	// which is logged. Nil: no progress is reported.
	Progress func(PlanProgress)
	// Tracer observes the planner. Optional.
	Tracer Tracer
	// Logger logs what an operator must see. Nil: nothing is logged.
	Logger *slog.Logger
}

// PlanProgress is the progress of planning.
type PlanProgress struct {
	Listed   int // orders that were listed and may be selected by the filter
	Read     int // orders read for their details
	LookedUp int // subscriptions and tenants that were looked up in Connect
	Decided  int // entries of the plan
	// Until is when calls start again, after a server asked for a pause (Retry-After);
	// zero when none did.
	Until time.Time
}

// String returns the progress on one line, such as "300 listed, 12 read, 250 looked up, 256 decided".
func (p PlanProgress) String() string {
	text := fmt.Sprintf("%d listed, %d read, %d looked up, %d decided", p.Listed, p.Read, p.LookedUp, p.Decided)
	if !p.Until.IsZero() {
		text += "; a server asked for a pause until " + p.Until.UTC().Format(time.RFC3339)
	}
	return text
}

func (c *PlanConfig) setDefaults() error {
	if c.Lister == nil {
		return errors.New("PlanConfig.Lister is nil; give the client that lists orders")
	}
	if c.Journal == nil {
		return errors.New("PlanConfig.Journal is nil; give the journal of the installation, or new(MemoryJournal)")
	}
	if err := cmp.Or(c.validate("PlanConfig"), validatePolicy(&c.Policy, "PlanConfig"),
		callback.RejectNil(callback.Field{Name: "PlanConfig.Filter", Value: c.Filter},
			callback.Field{Name: "PlanConfig.Journal", Value: c.Journal},
			callback.Field{Name: "PlanConfig.Tracer", Value: c.Tracer})); err != nil {
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
	if err := c.checkNumbers(); err != nil {
		return err
	}
	for field, names := range map[string][]string{"Override": c.Override, "OverrideIfFound": c.OverrideIfFound} {
		if slices.Contains(names, "") { // it would match every order without a number
			return fmt.Errorf("PlanConfig.%s has an empty name; leave it out", field)
		}
	}
	c.RateLimit = cmp.Or(c.RateLimit, defaultRate)
	c.Concurrency = cmp.Or(c.Concurrency, 4)
	c.Policy = c.WithDefaults()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// maxConcurrency is more than any installation serves.
const maxConcurrency = 10_000

func (c *PlanConfig) checkNumbers() error {
	if c.Concurrency < 0 || c.Concurrency > maxConcurrency {
		return fmt.Errorf("PlanConfig.Concurrency is %d; give 1 to %d, or 0 for the default", c.Concurrency, maxConcurrency)
	}
	for _, m := range []struct {
		field    string
		value    time.Duration
		disabled bool // by -1
	}{
		{"Lead", c.Margins.Lead, false}, {"Tail", c.Margins.Tail, false}, {"Lookback", c.Margins.Lookback, true},
	} {
		if m.value != 0 && m.value < time.Millisecond && (!m.disabled || m.value != -1) {
			return fmt.Errorf("PlanConfig.Margins.%s is %v; give at least a millisecond, or 0 for the default", m.field, m.value)
		}
	}
	return checkRate("PlanConfig.RateLimit", c.RateLimit)
}
