package resubmit

import (
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// ErrStalePlan means that a plan is too old, or that maintenance has begun or changed since it was
// made. Nothing was sent. CheckPlan reports which of its orders have changed.
var ErrStalePlan = errors.New("the plan is stale")

// calendarSpan is the time before a plan for which its calendar and the current one are compared. No
// older order is worth resubmitting.
const calendarSpan = 31 * 24 * time.Hour

// plannedJournal is a Journal that returns the digest of its plan; "" before Begin.
type plannedJournal interface{ Plan() string }

// planOf returns the digest of the plan of a journal, and whether the journal reports it.
func planOf(j Journal) (digest string, ok bool, err error) {
	b, ok := journalAs[plannedJournal](j)
	if !ok {
		return "", false, nil
	}
	defer callback.Recover(&err)
	return b.Plan(), true, nil
}

// admitPlan returns an error if a plan must not be applied, because it has no required signature or
// is stale. A plan that the journal has begun is not stale: the orders that were pushed must be
// verified, and each other order is compared with the plan before its push.
func (c *Config) admitPlan(p *plan.Plan, planned *maintenance.Calendar, now time.Time) error {
	if len(c.Require) > 0 {
		s, err := p.SignedBy(c.Require...)
		if err != nil {
			return err
		}
		c.Logger.Info("the plan is signed", "signer", s.Signer, "signedAt", s.SignedAt, "key", plan.KeyName(s.Key))
	}
	if digest, ok, err := planOf(c.Journal); err != nil || c.MaxPlanAge < 0 || ok && digest == p.Digest() {
		return err
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
