package resubmit

import (
	"fmt"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// maxSkew is the difference of the clocks from which the time of Commerce is used: half the default guard time. A run
// would not push then.
const maxSkew = 150 * time.Second

// planClock is the clock of Commerce if the local one differs too much: the times of orders are those of Commerce.
type planClock struct {
	baseURL string // of Commerce
	calls   *planCalls
	skew    atomic.Int64 // by which the local clock was ahead; 0 if it was used
}

// moment is the time of some decisions.
type moment struct {
	now       time.Time
	ahead     time.Duration // by which the local clock is ahead of that of Commerce; 0 if now is the local time
	unsettled string        // why no order may be resubmitted; "" if orders may be
	due       time.Time     // when that is over
}

// moment returns the present.
func (c *planClock) moment() moment {
	m := moment{now: time.Now()}
	if ahead := c.ahead(); ahead.Abs() > maxSkew {
		m.ahead = ahead.Round(time.Second)
		m.now = m.now.Add(-m.ahead)
		c.skew.Store(int64(m.ahead))
	}
	return m
}

// ahead returns how far the local clock is ahead of that of Commerce, or of the system whose clock differs most if the
// base URL of Commerce is not known.
func (c *planClock) ahead() time.Duration {
	if u, err := url.Parse(c.baseURL); err == nil && u.Host != "" {
		ahead, _ := c.calls.Ahead(u.Host)
		return ahead
	}
	_, ahead := c.calls.Worst()
	return ahead
}

// difference says how the clocks differ.
func (m *moment) difference() string {
	how := "ahead of"
	if m.ahead < 0 {
		how = "behind"
	}
	return fmt.Sprintf("the local clock is %s %s that of Commerce, whose time is used", m.ahead.Abs(), how)
}

// unsettled returns why no order may be resubmitted now, and until when; "" if orders may be.
func unsettled(cal *maintenance.Calendar, now time.Time, settle time.Duration) (why string, due time.Time) {
	if w, ok := cal.At(now); ok {
		return fmt.Sprintf("the maintenance window %s is open; plan again %s after its end", w.ID, settle),
			w.Span().End.Add(settle)
	}
	if w, ok := cal.Last(now); ok {
		if due := w.Span().End.Add(settle); due.After(now) {
			return fmt.Sprintf("the maintenance window %s ended less than %s ago; plan again after %s",
				w.ID, settle, due.UTC().Format(time.RFC3339)), due
		}
	}
	return "", time.Time{}
}
