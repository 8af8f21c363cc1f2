package watch

import (
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Episode is the maintenance that one plan handles: usually one window. Windows that
// overlap, touch, or leave too little time between them to push are one episode, and so
// are windows that passed before the first could be handled.
//
// An episode covers a time, not the IDs of windows. A window that later gets another ID,
// source or time is not handled again for the time that was covered. If it began earlier
// or ended later than known, the rest becomes an episode of its own.
type Episode struct {
	// ID is "maintenance-" and the start of the first window. The run in the state directory is for it, see
	// state.Run.For.
	ID string `json:"id"`
	// Windows are the windows as known when the plan was made, oldest first, followed by
	// later corrections. A window that was covered in part is cut, by its ActualStart and
	// ActualEnd, to the rest.
	Windows []maintenance.Window `json:"windows"`
	State   EpisodeState         `json:"state"`
	// After is the ID of the newest run in the state directory when planning began: the run of the episode is a later
	// one. "" if there was none.
	After string `json:"after,omitempty"`
	// Run is the ID of the run in the state directory; "" while the episode is open, or if there was no plan.
	Run string `json:"run,omitempty"`
	// ClosedAt is when the episode was closed; zero while it is open.
	ClosedAt time.Time `json:"closedAt,omitzero"`
	// Note says how the episode ended.
	Note string `json:"note,omitempty"`
}

// EpisodeState is the progress of an episode.
type EpisodeState string

// The states of an episode. All but the first are final.
const (
	EpisodeOpen     EpisodeState = "open"     // its plan is made, waits for approval, or is applied
	EpisodeApplied  EpisodeState = "applied"  // the plan was applied, at least in part
	EpisodeEmpty    EpisodeState = "empty"    // there was no order to resubmit
	EpisodeRejected EpisodeState = "rejected" // the plan was rejected, or cancelled before it was applied
	EpisodeExpired  EpisodeState = "expired"  // older than Config.MaxAge before it was handled
)

func (s EpisodeState) valid() bool {
	return slices.Contains([]EpisodeState{EpisodeOpen, EpisodeApplied, EpisodeEmpty, EpisodeRejected, EpisodeExpired}, s)
}

// End returns the end of the last window; zero if it is not known.
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

// String returns the windows with their times, on one line.
func (e Episode) String() string {
	var parts []string
	for _, w := range e.announcedFirst() {
		parts = append(parts, windowText(w))
	}
	return text.OneLine(strings.Join(parts, "; "))
}

// name returns the labels of the windows, without their times.
func (e Episode) name() string {
	var parts []string
	for _, w := range e.announcedFirst() {
		if n := label(w); !slices.Contains(parts, n) {
			parts = append(parts, n)
		}
	}
	return strings.Join(parts, " and ")
}

// announcedFirst returns the windows with the observed ones last.
func (e Episode) announcedFirst() []maintenance.Window {
	var first, last []maintenance.Window
	for _, w := range e.Windows {
		if w.Source == maintenance.SourceObserved {
			last = append(last, w)
		} else {
			first = append(first, w)
		}
	}
	return append(first, last...)
}

func (e Episode) clone() Episode {
	e.Windows = slices.Clone(e.Windows)
	return e
}

// covers reports whether a window of the episode overlaps with s.
func (e Episode) covers(s maintenance.Span) bool {
	return slices.ContainsFunc(e.Windows, func(w maintenance.Window) bool { return overlap(w.Span(), s) })
}

func overlap(a, b maintenance.Span) bool {
	return (b.End.IsZero() || a.Start.Before(b.End)) && (a.End.IsZero() || b.Start.Before(a.End))
}

// outstanding returns the windows that began before now and ended after from, without the
// time that an episode covers, oldest first. done are those that are covered completely.
func outstanding(c *maintenance.Calendar, episodes []Episode, from, now time.Time) (due, done []maintenance.Window) {
	for w := range c.OverlappingSeq(from, now.Add(1)) {
		left := []maintenance.Span{w.Span()}
		for _, e := range episodes {
			for _, covered := range e.Windows {
				left = without(left, covered.Span())
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

// without returns the spans without the time of cut.
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

// addCorrection adds a window whose ID or time differs from the ones known, and reports
// whether it did. The known windows stay, so that they are not handled again.
func (e *Episode) addCorrection(w maintenance.Window) bool {
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

// windowText describes a window with its times.
func windowText(w maintenance.Window) string { return label(w) + ", " + spanText(w.Span()) }

// label names a window.
func label(w maintenance.Window) string {
	if w.Source == maintenance.SourceObserved {
		return "the outage " + text.Short(w.ID)
	}
	return w.Label()
}

// spanText formats a span in UTC.
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

// momentText formats a time with its date, timeText one without.
func momentText(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func timeText(t time.Time) string { return t.UTC().Format("15:04 UTC") }
