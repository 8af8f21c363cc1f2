package resubmit

import (
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
)

// DefaultLookBack is how long before a window an order may have been placed for
// the window to be a likely cause. Inferred: orders that wait for a vendor are
// asked for all the time, so that a maintenance fails them too (facts/commerce.md
// 6.2), and how long they wait is up to the vendor.
const DefaultLookBack = 24 * time.Hour

// Margins say how generously failures are held against windows.
type Margins struct {
	// Lead and Tail widen each window: before its start and after its end. Zero is none.
	Lead, Tail time.Duration
	// LookBack: where only the time of placing is known, an order placed up to
	// this long before a window is likely to have failed in it. 0 is
	// [DefaultLookBack], -1 none.
	LookBack time.Duration
	// Now: a window that begins after it has not caused anything yet. Zero: all count.
	Now time.Time
}

func (m Margins) lookBack() time.Duration {
	if m.LookBack == 0 {
		return DefaultLookBack
	}
	return max(0, m.LookBack)
}

// Attribute says whether a maintenance of Connect caused an order to fail, and
// what speaks for it. It is pure. A nil calendar has no window, a nil classifier is
// the default one.
//
// The time is that of the failure where it is known, else that of placing, since the
// first call of an order that is placed during a maintenance fails it.
//
//   - caused: the reason is transient, and the time is in a window
//   - likely: the reason is transient and the order was placed at most
//     Margins.LookBack before a window; or the time is in a window and the
//     reason is not classified
//   - unrelated: the reason is permanent or the service exists already, whatever the
//     time; or the order failed outside all windows, or was placed after them
//   - unknown: there is too little to tell
func Attribute(o *commerce.Order, cal *connect.Calendar, c *Classifier, m Margins) Attribution {
	if m.Lead != 0 || m.Tail != 0 {
		cal = cal.WithMargins(m.Lead, m.Tail)
	}
	return attribute(o, cal, c, m)
}

// attribute is Attribute with a calendar that has the margins already, because
// they cost more to apply than all the rest.
func attribute(o *commerce.Order, cal *connect.Calendar, c *Classifier, m Margins) Attribution {
	class, pattern := c.Classify(o.Failure.Message())
	a := Attribution{Class: class, Evidence: make([]Evidence, 0, 4)} // reason, time, window, and one of the planner's
	a.Evidence = append(a.Evidence, Evidence{Kind: "reason", Text: reasonText(class, o.Failure), Ref: pattern.ID})
	if class == Permanent || class == AlreadyProvisioned {
		a.Verdict = Unrelated
		return a
	}
	switch {
	case !o.FailedAt.IsZero():
		a.at("the time of the failure is known", o.FailedAt)
		a.failedAt(o.FailedAt, cal, m)
	case !o.PlacedAt.IsZero():
		a.at("only the time of placing is known", o.PlacedAt)
		a.placedAt(o.PlacedAt, cal, m)
	default:
		a.Verdict = UnknownCause
		a.at("neither the time of the failure nor that of placing is known", time.Time{})
	}
	return a
}

func reasonText(class Class, f commerce.Failure) string {
	switch {
	case class == Transient:
		return "the reason is transient"
	case class == Permanent:
		return "the reason is permanent, so no maintenance caused it"
	case class == AlreadyProvisioned:
		return "the service exists already, so no maintenance caused it"
	case f.Message() == "":
		return "no reason is told"
	default:
		return "the reason fits no known pattern"
	}
}

func (a *Attribution) at(text string, t time.Time) {
	a.Evidence = append(a.Evidence, Evidence{Kind: "time", Text: text, At: t.Round(0).UTC()})
}

func (a *Attribution) failedAt(t time.Time, cal *connect.Calendar, m Margins) {
	if w, ok := windowAt(cal, t, m); ok {
		a.inside(w, "failed in this window")
		return
	}
	if !begun(cal, t, m) {
		a.without()
		return
	}
	a.Verdict = Unrelated
	a.window("failed outside all windows", connect.Window{})
}

func (a *Attribution) placedAt(t time.Time, cal *connect.Calendar, m Margins) {
	if w, ok := windowAt(cal, t, m); ok {
		a.inside(w, "placed in this window, where the first call of an order fails it")
		return
	}
	next, ok := cal.Next(t)
	if !ok || !started(next, m) {
		a.placedLast(t, cal)
		return
	}
	if next.Span().Start.Add(-m.Lead).Sub(t) > m.lookBack() {
		a.Verdict = UnknownCause
		a.window("placed too long before this window to say whether it still waited", next)
		return
	}
	a.Verdict = UnknownCause
	if a.Class == Transient {
		a.Verdict = Likely
		a.WindowID = next.ID
	}
	a.window("placed shortly before this window, which fails waiting orders too", next)
}

// placedLast is about an order after whose placing no window has begun.
func (a *Attribution) placedLast(t time.Time, cal *connect.Calendar) {
	last, ok := cal.Last(t)
	if !ok {
		a.without()
		return
	}
	a.Verdict = Unrelated
	a.window("placed after every window, the last of which is this", last)
}

// inside is the verdict on a time in a window: sure if the reason fits too.
func (a *Attribution) inside(w connect.Window, text string) {
	a.Verdict = Likely
	if a.Class == Transient {
		a.Verdict = Caused
	}
	a.WindowID = w.ID
	a.window(text, w)
}

func (a *Attribution) without() {
	a.Verdict = UnknownCause
	a.window("no window is known that could have caused it", connect.Window{})
}

func (a *Attribution) window(text string, w connect.Window) {
	a.Evidence = append(a.Evidence, Evidence{Kind: "window", Text: text, Ref: w.ID, At: w.Span().Start.Round(0).UTC()})
}

func windowAt(cal *connect.Calendar, t time.Time, m Margins) (connect.Window, bool) {
	w, ok := cal.At(t)
	return w, ok && started(w, m)
}

// started reports whether a window, with its lead, has begun by Margins.Now.
func started(w connect.Window, m Margins) bool {
	return m.Now.IsZero() || !w.Span().Start.Add(-m.Lead).After(m.Now)
}

// begun reports whether there is any window, before or after t, that has begun.
func begun(cal *connect.Calendar, t time.Time, m Margins) bool {
	if _, ok := cal.Last(t); ok {
		return true
	}
	next, ok := cal.Next(t)
	return ok && started(next, m)
}
