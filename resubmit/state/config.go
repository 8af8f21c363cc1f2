package state

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// Config configures a [Dir]. Systems and Plan.Filter are required.
type Config struct {
	// Systems are the clients, for planning and for applying.
	Systems resubmit.Systems
	// Policy has the settings on which planning and applying must agree.
	Policy resubmit.Policy
	// Plan has the other settings of the planner. Its Systems, Policy and Journal are not used.
	Plan resubmit.PlanConfig
	// Runner has the other settings of the Runner. Its Systems, Policy and Journal are not used.
	Runner resubmit.Config
	// Calendar returns the maintenance windows that are known now. Nil: Plan.Calendar.
	Calendar func() *maintenance.Calendar

	// Journal is the memory of all runs on the installation. Nil: the file journal in the directory. Several hosts need
	// a shared one, with a shared Anchor.
	Journal resubmit.Journal
	// Anchor keeps the position of the journal outside of the directory, so that a missing or older journal is noticed.
	// Nil: a file in the user's configuration directory, named after the installation. Required with Journal.
	Anchor Anchor

	// Limits are the limits within which a plan is applied without approval.
	Limits Limits
	// Approvers are the keys of which one must sign a plan beyond Limits, see [Dir.Approve]. Empty: Runner.Require, and
	// if that is empty too, a key in the user's configuration directory, which the first approval makes. Tests set
	// Anchor and Approvers, so that nothing is left there.
	Approvers []ed25519.PublicKey
	// Observed returns when Connect was seen down, for reports. Nil: that is not known.
	Observed func() []maintenance.Window
	// Location is the time zone of reports. Nil: UTC.
	Location *time.Location
	// Audit are options of the audit logs, such as [audit.WithAnchor] and [audit.WithKey]. Optional.
	Audit []audit.Option
	// Retention is how long ended runs are kept. Default 400 days; -1 forever.
	Retention time.Duration
	// Program is the name of this program, for people. Default: that of the executable.
	Program string
	// Command is how the commands begin that messages tell a person to enter. Default: "aftermaintenance -state DIR".
	Command string
	// Logger logs what an operator must see. Nil: nothing is logged.
	Logger *slog.Logger
}

// Limits are the limits of unattended runs. A plan beyond them waits for approval. The zero value has the defaults.
type Limits struct {
	// MaxOrders is the most orders that are resubmitted. Default 500; -1 no limit.
	MaxOrders int
	// MaxAmount is the largest sum of the orders' totals, by currency. A plan with an order in another currency, or
	// with an unknown total, is beyond it. Empty: no limit.
	MaxAmount map[string]decimal.Decimal
	// Verdicts are the verdicts with which orders are resubmitted, unless the operator named the order. Default: caused
	// and likely.
	Verdicts []failure.Verdict
	// MaxShareOfView is the largest share of the orders of the view, as far as the filter selects them, that are
	// resubmitted: 0 to 1. It does not apply to fewer than ten orders. 0: no limit.
	MaxShareOfView float64
	// MaxRate is the highest rate limit that a command may set, in calls per second. Default: Runner.RateLimit.
	MaxRate float64
	// ApprovalTime is how long a plan waits for approval before the next [Dir.Once] replaces it. Default 12 h.
	ApprovalTime time.Duration
}

// minShareOrders is how many orders a plan must resubmit before their share is limited.
const minShareOrders = 10

// Of resubmit.Config.RateLimit, in calls per second.
const (
	defaultRate = 5
	minRate     = 0.001
	maxRate     = 100_000
)

func (c *Config) setDefaults(dir string) error {
	if err := callback.RejectNil(callback.Field{Name: "Config.Journal", Value: c.Journal},
		callback.Field{Name: "Config.Anchor", Value: c.Anchor}); err != nil {
		return err
	}
	switch {
	case c.Systems.Name == "":
		return errors.New("Config.Systems.Name is empty; use resubmit.SystemsOf, or name the Commerce installation")
	case c.Journal != nil && c.Anchor == nil:
		return errors.New("Config.Journal is shared, but Config.Anchor is nil; give an Anchor that is shared too")
	case len(c.Runner.Require) > 0 && slices.ContainsFunc(c.Approvers, func(k ed25519.PublicKey) bool {
		return !slices.ContainsFunc(c.Runner.Require, func(r ed25519.PublicKey) bool { return r.Equal(k) })
	}):
		return errors.New("Config.Approvers has a key that is not in Runner.Require; the Runner would reject its plans")
	case c.Retention < -1:
		return fmt.Errorf("Config.Retention is %v; give a duration, 0 for the default or -1 for no end", c.Retention)
	}
	c.Retention = cmp.Or(c.Retention, 400*24*time.Hour)
	c.Program = cmp.Or(text.Short(c.Program), durable.ThisProcess("").Program)
	c.Command = cmp.Or(c.Command, fmt.Sprintf("aftermaintenance -state %q", dir))
	if len(c.Approvers) == 0 {
		c.Approvers = c.Runner.Require
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Plan.Logger == nil {
		c.Plan.Logger = c.Logger
	}
	if c.Runner.Logger == nil {
		c.Runner.Logger = c.Logger
	}
	if c.Calendar == nil {
		calendar := c.Plan.Calendar
		c.Calendar = func() *maintenance.Calendar { return calendar }
	}
	return c.Limits.setDefaults(c.Runner.RateLimit)
}

// checkRunner returns what is wrong with Runner and Policy, before a plan is made with them. A directory without a
// Pusher is only looked at.
func (c *Config) checkRunner() error {
	if c.Systems.Reader == nil || c.Systems.Pusher == nil {
		return nil
	}
	r := c.Runner
	r.Systems, r.Policy, r.Journal = c.Systems, c.Policy, new(resubmit.MemoryJournal)
	_, err := resubmit.NewRunner(r)
	return err
}

// setDefaults sets the defaults. rate is Config.Runner.RateLimit.
func (l *Limits) setDefaults(rate float64) error {
	switch {
	case l.MaxOrders < -1:
		return fmt.Errorf("Limits.MaxOrders is %d; give a count, 0 for the default or -1 for no limit", l.MaxOrders)
	case !(l.MaxShareOfView >= 0 && l.MaxShareOfView <= 1):
		return fmt.Errorf("Limits.MaxShareOfView is %v; give a share up to 1, or 0 for no limit", l.MaxShareOfView)
	case !(l.MaxRate == 0 || l.MaxRate >= minRate && l.MaxRate <= maxRate):
		return fmt.Errorf("Limits.MaxRate is %v; give %v to %d calls per second, or 0 for the default", l.MaxRate, minRate,
			maxRate)
	case l.ApprovalTime < 0:
		return fmt.Errorf("Limits.ApprovalTime is %v; give a duration, or 0 for the default", l.ApprovalTime)
	}
	for _, v := range l.Verdicts {
		if !slices.Contains(failure.Verdicts(), v) {
			return fmt.Errorf("Limits.Verdicts has %q; give some of %q", v, failure.Verdicts())
		}
	}
	l.MaxOrders = cmp.Or(l.MaxOrders, 500)
	if rate == -1 {
		rate = maxRate
	}
	l.MaxRate = cmp.Or(l.MaxRate, rate, defaultRate)
	l.ApprovalTime = cmp.Or(l.ApprovalTime, 12*time.Hour)
	if l.Verdicts == nil {
		l.Verdicts = []failure.Verdict{failure.Caused, failure.Likely}
	}
	return nil
}

// WithDefaults returns the limits with their defaults, or an error for invalid ones. rate is Config.Runner.RateLimit.
func (l Limits) WithDefaults(rate float64) (Limits, error) {
	err := l.setDefaults(rate)
	return l, err
}

// Exceeded returns in which respects a plan is beyond the limits, which must have their defaults.
func (l Limits) Exceeded(p *plan.Plan) (reasons []string, err error) {
	count := p.Counts()
	if l.MaxOrders != -1 && count.Resubmit > l.MaxOrders {
		reasons = append(reasons, fmt.Sprintf("it resubmits %s, more than %d", text.Orders(count.Resubmit), l.MaxOrders))
	}
	if share := float64(count.Resubmit) / float64(max(count.Total, 1)); l.MaxShareOfView > 0 &&
		count.Resubmit >= minShareOrders && share > l.MaxShareOfView {
		reasons = append(reasons, fmt.Sprintf("it resubmits %.0f %% of the listed orders, more than %.0f %%", 100*share,
			100*l.MaxShareOfView))
	}
	verdicts := make(map[failure.Verdict]int)
	sums := make(map[string]decimal.Decimal)
	for e, err := range p.Entries() {
		if err != nil {
			return nil, err
		}
		if e.Decision.Action != rules.Resubmit {
			continue
		}
		if v := e.Attribution.Verdict; !e.Named && !slices.Contains(l.Verdicts, v) {
			verdicts[v]++
		}
		sums[e.Total.Currency] = sums[e.Total.Currency].Add(e.Total.Amount.Abs())
	}
	for _, v := range failure.Verdicts() {
		if n := verdicts[v]; n > 0 {
			reasons = append(reasons, fmt.Sprintf("it resubmits %s with the verdict %q", text.Orders(n), v))
		}
	}
	if len(l.MaxAmount) == 0 {
		return reasons, nil
	}
	for currency, sum := range sums {
		if limit, ok := l.MaxAmount[currency]; !ok || currency == "" {
			reasons = append(reasons, fmt.Sprintf("it resubmits orders in %s, for which there is no limit",
				cmp.Or(text.Short(currency), "an unknown currency")))
		} else if sum.GreaterThan(limit) {
			reasons = append(reasons, fmt.Sprintf("its orders amount to %s %s, more than %s", sum, text.Short(currency), limit))
		}
	}
	slices.Sort(reasons)
	return reasons, nil
}

// Config returns the configuration of the directory, with the defaults set. Do not change what it refers to.
func (d *Dir) Config() Config { return d.cfg }
