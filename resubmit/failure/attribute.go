package failure

import (
	"cmp"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// Margins define how close to a window a failure must be for the window to count as its cause.
type Margins struct {
	// Lead and Tail extend each window before its start and after its end.
	Lead, Tail time.Duration
	// Lookback is used if the time of the failure is not known: a window is a likely cause of orders that were placed
	// at most that long before it. 0 means 24 hours, -1 means none. Inferred: Commerce polls for waiting orders all
	// the time, so a maintenance fails them too (the connector's code, commerce/WIRE.md#6.2). How long they wait depends
	// on the vendor.
	Lookback time.Duration
	// Now is the current time: windows that start later are ignored. Zero includes all windows.
	Now time.Time
}

func (m Margins) lookback() time.Duration {
	return max(0, cmp.Or(m.Lookback, 24*time.Hour))
}

// Before returns how long before a window an order can have been placed or have failed that the window affected.
func (m Margins) Before() time.Duration { return m.Lead + m.lookback() }

// AttributorConfig configures an [Attributor]. With the zero value no window is known.
type AttributorConfig struct {
	// Calendar has the maintenance windows. Nil means none.
	Calendar *maintenance.Calendar
	// Classifier classifies the failure texts. Nil means [DefaultClassifier].
	Classifier *Classifier
	// Margins extend the windows.
	Margins Margins
	// Baseline has the failure counts from an earlier pass over the orders. Nil means that rates are not considered.
	Baseline *Baseline
}

// Attributor determines whether a maintenance of Connect caused an order to fail. It is immutable and safe for
// concurrent use.
//
// The verdict depends on the time and on the class of the failure text. The time is that of the failure if known,
// otherwise that of placing, because the first call of an order placed during a maintenance fails.
//
//	time                                                  transient  unclassified
//	inside a window (actual times, otherwise planned)     caused     likely
//	inside the planned times of a window, not the actual  likely     unknown
//	while nothing answered, possibly our own network      likely     unknown
//	placed at most Margins.Lookback before a window       likely     unknown
//	placed longer before a window                         unknown    unknown
//	failed outside all windows, or placed after them      unrelated  unrelated
//	time unknown, or no window known                      unknown    unknown
//
// Failures that are permanent or already provisioned are unrelated at any time.
//
// Two checks can weaken a verdict, each by one step from caused to likely to unknown; neither ever strengthens it:
// the order's latest requests in Connect (see [Finding.ApplyRequests]), and the rate of failures (see [Baseline]).
// A product that fails as often before and after a window did not fail because of it.
type Attributor struct {
	classifier *Classifier
	margins    Margins

	actual  *maintenance.Calendar // windows with their actual times, otherwise their planned ones
	planned *maintenance.Calendar // planned times; nil if no actual times are known
	silent  *maintenance.Calendar // when nothing answered; nil if never
	rates   *rateBook             // nil without a baseline
}

// NewAttributor returns an Attributor. It does the work that does not depend on the order, so reuse it.
func NewAttributor(cfg AttributorConfig) *Attributor {
	cal := cfg.Calendar
	if cfg.Margins.Lead != 0 || cfg.Margins.Tail != 0 {
		cal = cal.WithMargins(cfg.Margins.Lead, cfg.Margins.Tail)
	}
	a := &Attributor{classifier: cfg.Classifier, margins: cfg.Margins, actual: cal}
	windows := cal.Windows()
	if slices.ContainsFunc(windows, unreachable) {
		a.silent = cal.Filter(unreachable)
		a.actual = cal.Filter(func(w maintenance.Window) bool { return !unreachable(w) })
	}
	if slices.ContainsFunc(windows, hasActualTimes) {
		a.planned = a.actual.Announced()
	}
	if cfg.Baseline != nil {
		a.rates = cfg.Baseline.book(cfg.Margins, a.actual, a.planned, a.silent)
	}
	return a
}

func unreachable(w maintenance.Window) bool { return w.Source == maintenance.SourceUnreachable }

func hasActualTimes(w maintenance.Window) bool {
	return !w.ActualStart.IsZero() || !w.ActualEnd.IsZero()
}

// Finding is the preliminary [Attribution] of one order, before its requests in Connect are considered.
type Finding struct {
	Attribution
	order    *commerce.Order
	window   maintenance.Window // that the verdict is about
	position position
}

// position is where the time of an order is, relative to a window.
type position int

const (
	nowhere position = iota
	inside
	insidePlanned // but outside the actual times
	insideSilence
	shortlyBefore
)

// Attribute determines why an order failed, without its requests in Connect.
// The Finding refers to the order, so do not change the order while you use it.
func (a *Attributor) Attribute(o *commerce.Order) Finding {
	class, pattern := a.classifier.Classify(o.Failure.Message())
	f := Finding{order: o, Attribution: Attribution{Class: class, Evidence: make([]Evidence, 0, 4)}}
	f.add("reason", reasonText(class, o.Failure), pattern.ID, time.Time{})
	if class == Permanent || class == AlreadyProvisioned {
		f.Verdict = Unrelated
		return f
	}
	switch {
	case !o.FailedAt.IsZero():
		f.add("time", "the time of the failure is known", "", o.FailedAt)
		a.byFailure(&f, o.FailedAt)
	case !o.PlacedAt.IsZero():
		f.add("time", "only the time of placing is known", "", o.PlacedAt)
		a.byPlacing(&f, o.PlacedAt)
	default:
		f.Verdict = UnknownCause
		f.add("time", "neither the time of the failure nor that of placing is known", "", time.Time{})
	}
	if f.WindowID != "" && a.rates != nil {
		a.rates.judge(&f)
	}
	return f
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
		return "the order has no reason"
	default:
		return "the reason matches no known pattern"
	}
}

func (f *Finding) add(kind, text, ref string, at time.Time) {
	f.Evidence = append(f.Evidence, Evidence{Kind: kind, Text: text, Ref: ref, At: at.Round(0).UTC()})
}

func (f *Finding) addWindow(text string, w maintenance.Window) {
	f.add("window", text, w.ID, w.Span().Start)
}

// onlyPlaced reports whether the time of the failure is unknown.
func (f *Finding) onlyPlaced() bool { return f.order.FailedAt.IsZero() }

func (a *Attributor) byFailure(f *Finding, t time.Time) {
	switch {
	case a.during(f, t):
	case !a.anyStarted(t):
		f.noWindow()
	default:
		f.Verdict = Unrelated
		f.addWindow("failed outside all windows", maintenance.Window{})
	}
}

func (a *Attributor) byPlacing(f *Finding, t time.Time) {
	if a.during(f, t) {
		return
	}
	if next, ok := a.actual.Next(t); ok && a.started(next) {
		if next.Span().Start.Add(-a.margins.Lead).Sub(t) > a.margins.lookback() {
			f.Verdict = UnknownCause
			f.addWindow("placed so long before this window that it may not have waited any more", next)
			return
		}
		f.judge(shortlyBefore, next)
		f.addWindow("placed shortly before this window, which fails waiting orders too", next)
		return
	}
	last, ok := a.actual.Last(t)
	if !ok {
		f.noWindow()
		return
	}
	f.Verdict = Unrelated
	f.addWindow("placed after every window, the last of which is this", last)
}

// during looks for the window in effect at t, with the strongest evidence first.
func (a *Attributor) during(f *Finding, t time.Time) bool {
	for _, c := range [...]struct {
		position position
		calendar *maintenance.Calendar
	}{{inside, a.actual}, {insidePlanned, a.planned}, {insideSilence, a.silent}} {
		if c.calendar == nil {
			continue
		}
		if w, ok := c.calendar.At(t); ok && a.started(w) {
			f.judge(c.position, w)
			f.addWindow(f.duringText(), w)
			return true
		}
	}
	return false
}

// judge sets the verdict from the table of Attributor, for the classes Transient and Unclassified.
func (f *Finding) judge(p position, w maintenance.Window) {
	f.position, f.window, f.WindowID = p, w, w.ID
	switch {
	case p == inside && f.Class == Transient:
		f.Verdict = Caused
	case p == inside || f.Class == Transient:
		f.Verdict = Likely
	default:
		f.Verdict, f.WindowID = UnknownCause, ""
	}
}

// weaken takes the verdict one step down.
func (f *Finding) weaken() {
	switch f.Verdict {
	case Caused:
		f.Verdict = Likely
	case Likely:
		f.Verdict, f.WindowID = UnknownCause, ""
	case Unrelated, UnknownCause:
	}
}

// duringText says in which window the order failed or was placed, and how certain that is.
func (f *Finding) duringText() string {
	text := "failed "
	if f.onlyPlaced() {
		text = "placed "
	}
	switch {
	case f.position == insideSilence:
		return text + "while Connect did not answer, possibly because of the network on this side"
	case f.position == insidePlanned:
		return text + "in the planned times of this window, but not in its actual ones"
	case f.window.Source == maintenance.SourceObserved:
		text += "in this outage, which was observed and not announced"
	case hasActualTimes(f.window):
		text += "in the actual times of this window"
	default:
		text += "in the planned times of this window"
	}
	if f.onlyPlaced() {
		text += "; the first call of such an order fails it"
	}
	return text
}

func (f *Finding) noWindow() {
	f.Verdict = UnknownCause
	f.addWindow("no window is known that could have caused it", maintenance.Window{})
}

// started reports whether a window, with its lead, has started by Margins.Now.
func (a *Attributor) started(w maintenance.Window) bool {
	return a.margins.Now.IsZero() || !w.Span().Start.Add(-a.margins.Lead).After(a.margins.Now)
}

// anyStarted reports whether any window has started, before or after t.
func (a *Attributor) anyStarted(t time.Time) bool {
	if _, ok := a.actual.Last(t); ok {
		return true
	}
	next, ok := a.actual.Next(t)
	return ok && a.started(next)
}
