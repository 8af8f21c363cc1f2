package availability

import (
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// TrackerStatus is what a [Tracker] knows about Connect at an instant.
type TrackerStatus struct {
	At        time.Time
	Condition Condition
	// Since is when the condition began, according to probes and windows; zero if
	// unknown.
	Since time.Time
	// Window is the announced window in effect, nil if none.
	Window *maintenance.Window
	// Outage is the ongoing outage; nil if Connect is up or its state is unknown.
	Outage *Outage
	// Class, ProbedAt and Message are those of the latest probe.
	Class    connect.ProbeClass
	ProbedAt time.Time
	Message  string
	// Version is the latest Connect-Version seen.
	Version string
	// ClockProblem describes a problem with the local clock, "" if there is none.
	ClockProblem string
}

// Up reports whether Connect is up, inside or outside a window.
func (s TrackerStatus) Up() bool {
	return s.Condition == ConditionUp || s.Condition == ConditionUpInWindow
}

// String describes the status in sentences, on one line.
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
	if s.ProbedAt.IsZero() {
		b.WriteString(" Not probed yet.")
	} else {
		fmt.Fprintf(&b, " Last probe at %s: %s.", text.Clock(s.ProbedAt, time.UTC), s.Class)
	}
	if s.Condition == ConditionUnreachable {
		b.WriteString(" The cause may be the local network.")
	}
	if s.ClockProblem != "" {
		b.WriteString(" Warning: " + s.ClockProblem + ".")
	}
	return text.OneLine(b.String())
}

// Status returns the state at now, usually time.Now(). The condition is unknown if
// there was no probe within TrackerConfig.MaxGap.
func (t *Tracker) Status(now time.Time) TrackerStatus {
	t.lock()
	defer t.mu.Unlock()
	s := TrackerStatus{
		At: now.UTC(), Condition: ConditionUnknown,
		Class: t.state.Last.Class, ProbedAt: t.state.Last.At, Message: t.state.Last.Message,
		Version: t.state.Release, ClockProblem: t.clockTrouble(now),
	}
	if w, ok := t.calendar().At(now); ok {
		s.Window = &w
	}
	connect, network := &t.state.Connect, &t.state.Network
	fresh := func(b *debouncer) bool { return b.Settled != "" && now.Sub(b.Last) <= t.cfg.MaxGap }
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

// clockTrouble describes a clock that differs now or was set within a day.
func (t *Tracker) clockTrouble(now time.Time) string {
	ahead, jump := t.state.Last.Ahead, t.state.Jump
	switch {
	case ahead > clockTolerance:
		return fmt.Sprintf("the local clock is %s ahead of the server", ahead.Round(time.Second))
	case ahead < -clockTolerance:
		return fmt.Sprintf("the local clock is %s behind the server", -ahead.Round(time.Second))
	case jump.By != 0 && now.Sub(jump.At).Abs() < 24*time.Hour:
		way := "was set back"
		if jump.By > 0 {
			way = "was set forward (or the machine slept)" // a monotonic clock stops during sleep
		}
		return fmt.Sprintf("the local clock %s by %s at %s", way, jump.By.Abs().Round(time.Second),
			text.Clock(jump.At, time.UTC))
	default:
		return ""
	}
}
