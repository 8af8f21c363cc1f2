package watch

import (
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// Episode is what a [Watcher] deals with at once, by one plan: all maintenance that
// is over and was not dealt with before. Mostly that is one window. Windows that
// overlap, touch or leave no time between them to push anything are one episode, and
// so are several that went by while nobody could deal with the first.
//
// What an episode is about is its time, not the ids of its windows. A window that is
// known by another id, from another source or with other times later is not dealt with
// again as far as its time was dealt with. If it turns out to have begun earlier or to
// have lasted longer, the rest is an episode of its own, with the window cut to it.
type Episode struct {
	// ID is "maintenance-" and when the first window began, and the name of the plan
	// and the journal in the state directory.
	ID string `json:"id"`
	// Windows are as they were known when the plan was made, oldest first, and after
	// them what was told otherwise later. One that was dealt with in part before is cut, by
	// its ActualStart and ActualEnd, to the rest.
	Windows []maintenance.Window `json:"windows"`
	State   EpisodeState         `json:"state"`
	// PlannedAt is when the plan was made: it knows what had failed by then.
	PlannedAt time.Time `json:"plannedAt,omitzero"`
	// Plan is the digest of the plan, Counts are its counts.
	Plan   string            `json:"plan,omitempty"`
	Counts plan.ActionCounts `json:"counts,omitzero"`
	// Result is what came of the orders, once they were resubmitted.
	Result resubmit.OutcomeCounts `json:"result,omitzero"`
	// ClosedAt is when the episode was over and done with; zero before.
	ClosedAt time.Time `json:"closedAt,omitzero"`
	// Note says in a sentence how the episode ended.
	Note string `json:"note,omitempty"`
}

// EpisodeState is how far an episode got.
type EpisodeState string

// The states of an episode. All but the first two are ends.
const (
	// EpisodePlanned: there is a plan, and nobody has decided about it yet.
	EpisodePlanned EpisodeState = "planned"
	// EpisodeApplying: the plan was approved and is being carried out.
	EpisodeApplying EpisodeState = "applying"
	// EpisodeApplied: the plan was carried out, see Result.
	EpisodeApplied EpisodeState = "applied"
	// EpisodeEmpty: the plan had no order to resubmit.
	EpisodeEmpty EpisodeState = "nothing to do"
	// EpisodeRejected: the plan was not approved.
	EpisodeRejected EpisodeState = "declined"
	// EpisodeExpired: nothing was done within [Config].MaxAge.
	EpisodeExpired EpisodeState = "too old"
)

func (s EpisodeState) open() bool { return s == EpisodePlanned || s == EpisodeApplying }

func (s EpisodeState) valid() bool {
	return slices.Contains([]EpisodeState{
		EpisodePlanned, EpisodeApplying, EpisodeApplied, EpisodeEmpty, EpisodeRejected, EpisodeExpired,
	}, s)
}

// End is when the last of the windows ended; zero if that is not known.
func (e Episode) End() time.Time {
	var end time.Time
	for _, w := range e.Windows {
		span := w.Span()
		if span.End.IsZero() {
			return time.Time{}
		}
		if span.End.After(end) {
			end = span.End
		}
	}
	return end
}

// String names the windows with their times, on one line.
func (e Episode) String() string {
	var parts []string
	for _, w := range e.spoken() {
		parts = append(parts, windowText(w))
	}
	return text.OneLine(strings.Join(parts, "; "))
}

// name names the windows without their times.
func (e Episode) name() string {
	var parts []string
	for _, w := range e.spoken() {
		if n := called(w); !slices.Contains(parts, n) {
			parts = append(parts, n)
		}
	}
	return strings.Join(parts, " and ")
}

// spoken are the windows in the order in which people speak of them: what was announced,
// and what was seen besides.
func (e Episode) spoken() []maintenance.Window {
	rank := func(w maintenance.Window) int {
		if w.Source == maintenance.SourceObserved {
			return 1
		}
		return 0
	}
	return slices.SortedStableFunc(slices.Values(e.Windows),
		func(a, b maintenance.Window) int { return rank(a) - rank(b) })
}

// knows is the time up to which what failed in the windows is dealt with.
func (e Episode) knows() time.Time {
	if e.PlannedAt.IsZero() {
		return e.ClosedAt
	}
	return e.PlannedAt
}

// covers reports whether one of the windows overlaps with a span.
func (e Episode) covers(s maintenance.Span) bool {
	return slices.ContainsFunc(e.Windows, func(w maintenance.Window) bool { return overlap(w.Span(), s) })
}

func overlap(a, b maintenance.Span) bool {
	return (b.End.IsZero() || a.Start.Before(b.End)) && (a.End.IsZero() || b.Start.Before(a.End))
}

// outstanding are the windows that have begun and were not dealt with, oldest first:
// of those that ended after from, the time that is in no window of an episode. The
// other windows, of which nothing is left, are dealt with.
func outstanding(c *maintenance.Calendar, episodes []Episode, from, now time.Time) (due, done []maintenance.Window) {
	for w := range c.All(from, now.Add(1)) {
		left := []maintenance.Span{w.Span()}
		for _, e := range episodes {
			for _, dealt := range e.Windows {
				left = without(left, dealt.Span())
			}
		}
		if len(left) == 0 {
			done = append(done, w)
		}
		for _, s := range left {
			if s != w.Span() {
				w.ActualStart, w.ActualEnd = s.Start, s.End
			}
			due = append(due, w)
		}
	}
	slices.SortStableFunc(due, func(a, b maintenance.Window) int { return a.Span().Start.Compare(b.Span().Start) })
	return due, done
}

// without is what is left of spans beside another one.
func without(spans []maintenance.Span, cut maintenance.Span) []maintenance.Span {
	var left []maintenance.Span
	for _, s := range spans {
		if !overlap(s, cut) {
			left = append(left, s)
			continue
		}
		if s.Start.Before(cut.Start) {
			left = append(left, maintenance.Span{Start: s.Start, End: cut.Start})
		}
		if !cut.End.IsZero() && (s.End.IsZero() || cut.End.Before(s.End)) {
			left = append(left, maintenance.Span{Start: cut.End, End: s.End})
		}
	}
	return left
}

// learn takes in that a window which was dealt with is told otherwise now, and reports
// whether that is news. What was known before stays, so that the window cannot come back.
func (e *Episode) learn(w maintenance.Window) bool {
	same := func(o maintenance.Window) bool {
		a, b := o.Span(), w.Span()
		return o.ID == w.ID && a.Start.Equal(b.Start) && a.End.Equal(b.End)
	}
	if !e.covers(w.Span()) || slices.ContainsFunc(e.Windows, same) {
		return false
	}
	e.Windows = append(slices.Clone(e.Windows), w)
	return true
}

// windowText is a window in a sentence, with its times.
func windowText(w maintenance.Window) string { return called(w) + ", " + spanText(w.Span()) }

// called is how a window is called in the diary.
func called(w maintenance.Window) string {
	if w.Source == maintenance.SourceObserved {
		return "the outage " + text.Short(w.ID)
	}
	return w.Label()
}

// spanText is a span in a sentence, in UTC.
func spanText(s maintenance.Span) string {
	if s.End.IsZero() {
		return "since " + momentText(s.Start)
	}
	const day = "2006-01-02"
	from, end := s.Start.UTC(), momentText(s.End)
	if from.Format(day) == s.End.UTC().Format(day) {
		end = timeText(s.End)
	}
	return from.Format(day+" 15:04") + " to " + end
}

// momentText is a time with its day, timeText one without. Seconds are for machines.
func momentText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func timeText(t time.Time) string { return t.UTC().Format("15:04 UTC") }
