package availability

import (
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// TrackerStatus is what a [Tracker] knows at an instant.
type TrackerStatus struct {
	At        time.Time
	Condition Condition
	// Since is when the condition began, as far as looks and windows tell; zero
	// when it is unknown.
	Since time.Time
	// Window is the announced window that holds, nil when none does.
	Window *maintenance.Window
	// Outage is what goes on: nil when Connect is up, or not known to be down.
	Outage *Outage
	// Class and LookedAt are those of the newest look, Said is what it said.
	Class    connect.Availability
	LookedAt time.Time
	Said     string
	// Version is the newest Connect-Version that was seen.
	Version string
	// Clock says what is wrong with the clock on this side, "" when nothing is.
	Clock string
}

// Up reports whether Connect is up, inside a window or not.
func (s TrackerStatus) Up() bool {
	return s.Condition == ConditionUp || s.Condition == ConditionUpInWindow
}

// String is the status in sentences, on one line.
func (s TrackerStatus) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Connect: %s", s.Condition)
	if !s.Since.IsZero() {
		fmt.Fprintf(&b, " since %s", text.Clock(s.Since, time.UTC))
	}
	b.WriteString(".")
	if s.Window != nil {
		fmt.Fprintf(&b, " Announced: %s.", s.Window)
	}
	if s.LookedAt.IsZero() {
		b.WriteString(" Nobody has looked yet.")
	} else {
		fmt.Fprintf(&b, " Last look at %s: %s.", text.Clock(s.LookedAt, time.UTC), s.Class)
	}
	if s.Condition == ConditionUnreachable {
		b.WriteString(" The cause may be the network on this side.")
	}
	if s.Clock != "" {
		b.WriteString(" Beware: " + s.Clock + ".")
	}
	return text.OneLine(b.String())
}

// Status is what is known at the instant now, usually time.Now(). Without a look for
// longer than the gap of the configuration the condition is unknown.
func (t *Tracker) Status(now time.Time) TrackerStatus {
	t.lock()
	defer t.mu.Unlock()
	s := TrackerStatus{
		At: now.UTC(), Condition: ConditionUnknown,
		Class: t.seen.Last.Class, LookedAt: t.seen.Last.At, Said: t.seen.Last.Said,
		Version: t.seen.Release, Clock: t.clockTrouble(now),
	}
	if w, ok := t.calendar().At(now); ok {
		s.Window = &w
	}
	connect, network := &t.seen.Connect, &t.seen.Network
	fresh := func(b *book) bool { return b.Settled != "" && now.Sub(b.Last) <= t.cfg.Gap }
	switch {
	case !fresh(network):
		return s
	case network.Settled == bad:
		s.Condition, s.Since = ConditionUnreachable, network.Since
		s.Outage = new(network.Open.clone())
		return s
	case !fresh(connect):
		return s
	}
	s.Since = connect.Since
	if connect.Open != nil {
		s.Outage = new(connect.Open.clone())
	}
	s.Condition = condition(connect.Settled == good, s.Window != nil)
	if s.Window != nil {
		s.Since = laterOf(s.Since, s.Window.Span().Start)
	} else if w, ok := t.calendar().Last(now); ok {
		s.Since = laterOf(s.Since, w.Span().End)
	}
	return s
}

func condition(up, inWindow bool) Condition {
	switch {
	case up && inWindow:
		return ConditionUpInWindow
	case up:
		return ConditionUp
	case inWindow:
		return ConditionMaintenance
	default:
		return ConditionOutage
	}
}

// clockTrouble tells of a clock that differs now, or was set within a day.
func (t *Tracker) clockTrouble(now time.Time) string {
	ahead, jump := t.seen.Last.Ahead, t.seen.Jump
	switch {
	case ahead > clockTolerance:
		return fmt.Sprintf("the clock here is %s ahead of the one that answered", ahead.Round(time.Second))
	case ahead < -clockTolerance:
		return fmt.Sprintf("the clock here is %s behind the one that answered", -ahead.Round(time.Second))
	case jump.By != 0 && now.Sub(jump.At).Abs() < 24*time.Hour:
		way := "was set back"
		if jump.By > 0 {
			way = "was set forward (or this machine slept)" // a steady clock sleeps, too
		}
		return fmt.Sprintf("the clock here %s by %s at %s", way, jump.By.Abs().Round(time.Second), text.Clock(jump.At, time.UTC))
	default:
		return ""
	}
}
