package failure

import (
	"cmp"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// Margins say how generously failures are held against windows.
type Margins struct {
	// Lead and Tail widen each window: before its start and after its end. Zero is none.
	Lead, Tail time.Duration
	// Lookback: where only the time of placing is known, an order placed up to this long
	// before a window is likely to have failed in it. Inferred: a maintenance also fails
	// orders that have waited for their vendor (commerce/WIRE.md#6.2), and how long they
	// wait is up to the vendor. Default 24 h, -1 none.
	Lookback time.Duration
	// Now: a window that begins after it has not caused anything yet. Zero: all count.
	Now time.Time
}

func (m Margins) lookBack() time.Duration {
	return max(0, cmp.Or(m.Lookback, 24*time.Hour))
}

// AttributorConfig says what failures are held against. The zero value knows of no
// window.
type AttributorConfig struct {
	// Calendar has the windows, planned and as they really went. Nil: none.
	Calendar *maintenance.Calendar
	// Classifier tells the class of a reason. Nil: the default classifier.
	Classifier *Classifier
	// Margins widen the windows.
	Margins Margins
	// Rates are how many failed when, from a pass before. Nil: nobody counted.
	Baseline *Baseline
}

// Attributor says of failed orders whether a maintenance of Connect caused them,
// and what speaks for it. It is immutable, pure and safe for concurrent use.
//
// Two things decide. The time is that of the failure where it is known, else that
// of placing, since the first call of an order that is placed during a maintenance
// fails it. The reason is the class of the failure's text.
//
//	the time is …                                        transient  unclassified
//	in a window, as it really went or else as planned    caused     likely
//	in a window as planned, but not while it was seen    likely     unknown
//	while nothing answered, maybe for our own network    likely     unknown
//	of placing, at most LookBack before a window         likely     unknown
//	of placing, longer before a window                   unknown    unknown
//	outside all windows; of placing, after all of them   unrelated  unrelated
//	not known, or no window is known                     unknown    unknown
//
// A reason that is permanent, and a service that exists already, is unrelated at
// any time.
//
// Two more things can weaken what came of that, each by one step from caused to
// likely to unknown, and never strengthen it. One is the newest request in Connect,
// see [Attributor.AttributeAsked]. The other is the rate of failures: what fails as
// often before and after a window did not need the window to fail, see [Baseline].
type Attributor struct {
	classifier *Classifier
	margins    Margins

	seen    *maintenance.Calendar // each window as it really went, or else as planned
	planned *maintenance.Calendar // as planned; nil when that is all that is known
	silent  *maintenance.Calendar // when nothing answered; nil when that was never so
	rates   *rateBook             // nil: nobody counted
}

// NewAttributor prepares all that does not depend on the order, which costs more
// than a few orders do.
func NewAttributor(cfg AttributorConfig) *Attributor {
	cal := cfg.Calendar
	if cfg.Margins.Lead != 0 || cfg.Margins.Tail != 0 {
		cal = cal.WithMargins(cfg.Margins.Lead, cfg.Margins.Tail)
	}
	a := &Attributor{classifier: cfg.Classifier, margins: cfg.Margins, seen: cal}
	windows := cal.Windows()
	if slices.ContainsFunc(windows, unreachable) {
		a.silent = cal.Filter(unreachable)
		a.seen = cal.Filter(func(w maintenance.Window) bool { return !unreachable(w) })
	}
	if slices.ContainsFunc(windows, exact) {
		a.planned = a.seen.Announced()
	}
	if cfg.Baseline != nil {
		a.rates = cfg.Baseline.book(cfg.Margins, a.seen, a.planned, a.silent)
	}
	return a
}

func unreachable(w maintenance.Window) bool { return w.Source == maintenance.SourceUnreachable }

// exact reports whether it is known how an announced window really went.
func exact(w maintenance.Window) bool { return !w.ActualStart.IsZero() || !w.ActualEnd.IsZero() }

// Attribute is [Attributor.Attribute] for one order, with a nil calendar and a nil
// classifier as in [AttributorConfig]. For many orders make an Attributor.
func Attribute(o *commerce.Order, cal *maintenance.Calendar, c *Classifier, m Margins) Attribution {
	return NewAttributor(AttributorConfig{Calendar: cal, Classifier: c, Margins: m}).Attribute(o)
}

// Attribute says whether a maintenance of Connect caused an order to fail, without
// asking Connect for its requests.
func (a *Attributor) Attribute(o *commerce.Order) Attribution {
	f := a.Begin(o)
	return f.Attribution
}

// Finding is an attribution that can still be weakened by what Connect has of the order. It is
// for one goroutine.
type Finding struct {
	Attribution
	window maintenance.Window // that the verdict speaks of, caused or not
	where  where
	placed bool // the time is that of placing
}

// where is how a time lies to the window.
type where int

const (
	nowhere where = iota
	inside
	outsideSeen // in the plan, but not in what was seen
	insideSilence
	shortlyBefore
)

// Begin attributes an order without asking Connect for its requests, so that what Connect
// answers can be weighed afterwards, see [Finding.Weigh].
func (a *Attributor) Begin(o *commerce.Order) Finding {
	class, pattern := a.classifier.Classify(o.Failure.Message())
	f := Finding{Attribution: Attribution{Class: class, Evidence: make([]Evidence, 0, 4)}} // reason, time, window, and one of the planner's
	f.Evidence = append(f.Evidence, Evidence{Kind: "reason", Text: reasonText(class, o.Failure), Ref: pattern.ID})
	if class == Permanent || class == AlreadyProvisioned {
		f.Verdict = Unrelated
		return f
	}
	switch {
	case !o.FailedAt.IsZero():
		f.at("the time of the failure is known", o.FailedAt)
		a.failedAt(&f, o.FailedAt)
	case !o.PlacedAt.IsZero():
		f.placed = true
		f.at("only the time of placing is known", o.PlacedAt)
		a.placedAt(&f, o.PlacedAt)
	default:
		f.Verdict = UnknownCause
		f.at("neither the time of the failure nor that of placing is known", time.Time{})
	}
	if f.WindowID != "" && a.rates != nil {
		a.rates.judge(&f, o)
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
		return "no reason is told"
	default:
		return "the reason fits no known pattern"
	}
}

func (f *Finding) at(text string, t time.Time) {
	f.Evidence = append(f.Evidence, Evidence{Kind: "time", Text: text, At: t.Round(0).UTC()})
}

func (a *Attributor) failedAt(f *Finding, t time.Time) {
	switch {
	case a.holding(f, t):
	case !a.begun(t):
		f.without()
	default:
		f.Verdict = Unrelated
		f.say("failed outside all windows", maintenance.Window{})
	}
}

func (a *Attributor) placedAt(f *Finding, t time.Time) {
	if a.holding(f, t) {
		return
	}
	next, ok := a.seen.Next(t)
	if !ok || !a.started(next) {
		a.placedLast(f, t)
		return
	}
	f.Verdict = UnknownCause
	if next.Span().Start.Add(-a.margins.Lead).Sub(t) > a.margins.lookBack() {
		f.say("placed too long before this window to say whether it still waited", next)
		return
	}
	f.verdict(shortlyBefore, next)
	f.say("placed shortly before this window, which fails waiting orders too", next)
}

// placedLast is about an order after whose placing no window has begun.
func (a *Attributor) placedLast(f *Finding, t time.Time) {
	last, ok := a.seen.Last(t)
	if !ok {
		f.without()
		return
	}
	f.Verdict = Unrelated
	f.say("placed after every window, the last of which is this", last)
}

// holding finds the window that holds at t, by the strongest evidence that there is.
func (a *Attributor) holding(f *Finding, t time.Time) bool {
	for _, c := range [...]struct {
		where    where
		calendar *maintenance.Calendar
	}{{inside, a.seen}, {outsideSeen, a.planned}, {insideSilence, a.silent}} {
		if c.calendar == nil {
			continue
		}
		if w, ok := c.calendar.At(t); ok && a.started(w) {
			f.verdict(c.where, w)
			f.say(f.holds(), w)
			return true
		}
	}
	return false
}

// verdict is the table of Attributor for what is neither permanent nor there already.
func (f *Finding) verdict(where where, w maintenance.Window) {
	f.where, f.window, f.WindowID = where, w, w.ID
	switch {
	case where == inside && f.Class == Transient:
		f.Verdict = Caused
	case where == inside || f.Class == Transient:
		f.Verdict = Likely
	default:
		f.unknown()
	}
}

func (f *Finding) unknown() { f.Verdict, f.WindowID = UnknownCause, "" }

// weaken takes the verdict one step down.
func (f *Finding) weaken() {
	switch f.Verdict {
	case Caused:
		f.Verdict = Likely
	case Likely:
		f.unknown()
	case Unrelated, UnknownCause:
	}
}

// holds says how it is known that the window held.
func (f *Finding) holds() string {
	if f.placed {
		return placedTexts[f.certainty()]
	}
	return failedTexts[f.certainty()]
}

// certainty is how well it is known that a window held.
type certainty int

const (
	onlyPlanned certainty = iota
	asItWent
	unannounced
	notSeen
	maybeNetwork
)

func (f *Finding) certainty() certainty {
	switch {
	case f.where == insideSilence:
		return maybeNetwork
	case f.where == outsideSeen:
		return notSeen
	case f.window.Source == maintenance.SourceObserved:
		return unannounced
	case exact(f.window):
		return asItWent
	default:
		return onlyPlanned
	}
}

var failedTexts = [...]string{
	onlyPlanned:  "failed in this window as it was planned",
	asItWent:     "failed in this window as it really went",
	unannounced:  "failed in this outage, which was observed and not announced",
	notSeen:      "failed in this window as it was planned, but not while it was seen",
	maybeNetwork: "failed while nothing answered in the place of Connect, maybe because of the network on this side",
}

var placedTexts = [...]string{
	onlyPlanned:  "placed in this window as it was planned; the first call of such an order fails it",
	asItWent:     "placed in this window as it really went; the first call of such an order fails it",
	unannounced:  "placed in this outage, which was observed and not announced; the first call of such an order fails it",
	notSeen:      "placed in this window as it was planned, but not while it was seen",
	maybeNetwork: "placed while nothing answered in the place of Connect, maybe because of the network on this side",
}

func (f *Finding) without() {
	f.Verdict = UnknownCause
	f.say("no window is known that could have caused it", maintenance.Window{})
}

func (f *Finding) say(text string, w maintenance.Window) {
	f.Evidence = append(f.Evidence, Evidence{Kind: "window", Text: text, Ref: w.ID, At: w.Span().Start.Round(0).UTC()})
}

// started reports whether a window, with its lead, has begun by Margins.Now.
func (a *Attributor) started(w maintenance.Window) bool {
	return a.margins.Now.IsZero() || !w.Span().Start.Add(-a.margins.Lead).After(a.margins.Now)
}

// begun reports whether there is any window, before or after t, that has begun.
func (a *Attributor) begun(t time.Time) bool {
	if _, ok := a.seen.Last(t); ok {
		return true
	}
	next, ok := a.seen.Next(t)
	return ok && a.started(next)
}
