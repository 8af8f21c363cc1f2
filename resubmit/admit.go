package resubmit

import (
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// ErrStalePlan says that a plan is too old, or that maintenance has come between it
// and now. Nothing was sent. CheckPlan tells which of its orders changed since.
var ErrStalePlan = errors.New("the plan is stale")

// calendarSpan is how far before a plan its calendar and the one of now are compared:
// more than the days of any order that is still worth resubmitting.
const calendarSpan = 31 * 24 * time.Hour

// begun is a Journal that tells the plan that it belongs to, "" before it has one.
type begun interface{ Plan() string }

// planOf is the plan that a journal was begun with, if the journal tells that.
func planOf(j Journal) (digest string, ok bool, err error) {
	b, ok := journalAs[begun](j)
	if !ok {
		return "", false, nil
	}
	defer callback.Recover(&err)
	return b.Plan(), true, nil
}

// admitPlan says why a plan must not be applied: not signed by whom it has to be, or
// stale. A plan that the journal has begun already is not stale any more: its orders
// are under way, those that were pushed have to be seen to, and each of the others is
// compared with the plan before its push in any case.
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
		return fmt.Errorf("resubmit: %w: %s; make the plan anew, or see with CheckPlan what changed", ErrStalePlan, why)
	}
	return nil
}

// stale says why a plan is stale at now, "" when it is not.
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

// calendarChange says how the maintenance up to the making of a plan is known
// differently now. What is to come does not count: the gate looks at it before each
// push.
func calendarChange(planned, today *maintenance.Calendar, made time.Time) string {
	from := made.Add(-calendarSpan)
	was, is := planned.Spans(from, made), today.Spans(from, made)
	for i := range max(len(was), len(is)) {
		switch {
		case i >= len(is) || i < len(was) && was[i].Start.Before(is[i].Start):
			return fmt.Sprintf("the maintenance %s that it was made with is not known any more", betweenText(was[i]))
		case i >= len(was) || is[i].Start.Before(was[i].Start):
			return fmt.Sprintf("the maintenance %s was not known when it was made", betweenText(is[i]))
		case !was[i].End.Equal(is[i].End):
			return fmt.Sprintf("the maintenance %s that it was made with is known as %s now", betweenText(was[i]),
				betweenText(is[i]))
		}
	}
	return ""
}

func betweenText(s maintenance.Span) string {
	if s.End.IsZero() {
		return "from " + s.Start.UTC().Format(time.RFC3339) + " on"
	}
	return s.Start.UTC().Format(time.RFC3339) + " to " + s.End.UTC().Format(time.RFC3339)
}
