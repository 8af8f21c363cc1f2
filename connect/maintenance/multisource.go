package maintenance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// cachedSource is a source with its last good answer.
type cachedSource struct {
	name   string
	source WindowSource
	store  answerStore

	mu     sync.Mutex
	calls  int // so far
	loaded bool
	last   *keptAnswer // nil before the first one
	odd    error       // why the file could not be read
}

func remember(s NamedSource, store answerStore) *cachedSource {
	return &cachedSource{name: s.Name, source: s.Source, store: store}
}

// ask queries the source for the wide span and returns its windows of the wanted one.
func (r *cachedSource) ask(ctx context.Context, timeout time.Duration, wide, wanted Span) ([]Window, SourceStatus) {
	answer := &keptAnswer{call: r.next(), At: time.Now().UTC(), Span: wide}
	var failure error
	answer.Windows, answer.Warnings, failure = r.consult(ctx, timeout, wide)

	r.mu.Lock()
	defer r.mu.Unlock()
	r.load()
	state := SourceStatus{Name: r.name, At: answer.At}
	var odd []*SourceWarning
	switch {
	case failure == nil && !answer.stale():
		odd = r.keep(answer)
	case failure == nil: // its own earlier answer, which must not be stored as new
		state.At, state.Stale = r.lastAt(), true
	case r.last != nil:
		answer, state.At, state.Stale = r.last, r.last.At, true
		odd = append(answer.beyond(wanted), &SourceWarning{Kind: ErrStale, Err: earlier(answer.At, failure)})
	default:
		state.At = time.Time{}
		odd = []*SourceWarning{{Kind: ErrIncomplete, Err: fmt.Errorf("it failed, and there is no earlier answer: %w",
			failure)}}
	}
	if r.odd != nil {
		odd = append(odd, &SourceWarning{Kind: ErrUncertain, Err: r.odd})
	}
	if r.last == answer {
		r.odd = nil
	}
	found := r.named(answer.Windows, wanted)
	state.Windows, state.Err = len(found), r.warn(slices.Concat(answer.Warnings, odd), wanted)
	return found, state
}

// next numbers the calls in the order in which they start.
func (r *cachedSource) next() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	return r.calls
}

func (r *cachedSource) lastAt() time.Time {
	if r.last == nil {
		return time.Time{}
	}
	return r.last.At
}

// consult queries the source and removes what no calendar can hold.
func (r *cachedSource) consult(ctx context.Context, timeout time.Duration, wide Span) ([]Window, []*SourceWarning,
	error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	windows, err := ask(limited, r.source, wide.Start, wide.End)
	windows, odd := usable(windows)
	warnings, failure := SplitWarnings(errors.Join(err, errors.Join(odd...)))
	if failure != nil && limited.Err() != nil && ctx.Err() == nil {
		failure = fmt.Errorf("it did not answer within %s: %w", timeout, failure)
	}
	return windows, warnings, failure
}

func (r *cachedSource) load() {
	if !r.loaded {
		r.loaded = true
		r.last, r.odd = r.store.load(r.name)
	}
}

// keep stores an answer as the last good one, unless a later call has stored another.
func (r *cachedSource) keep(a *keptAnswer) []*SourceWarning {
	// Times do not decide: the clock may have been ahead when the last one was stored.
	if r.last != nil && r.last.call > a.call {
		return nil
	}
	a.inherit(r.last)
	r.last = a
	if err := r.store.save(r.name, a); err != nil {
		return []*SourceWarning{{Kind: ErrUncertain, Err: fmt.Errorf("the answer could not be stored: %w", err)}}
	}
	return nil
}

// named returns the windows of a span with the ids and the Source of Multi.
func (r *cachedSource) named(windows []Window, span Span) []Window {
	var named []Window
	for _, w := range windows {
		if w.Span().Overlaps(span.Start, span.End) {
			w.ID, w.Source = r.name+"/"+w.ID, r.name
			named = append(named, w)
		}
	}
	return named
}

// warn joins the warnings that affect a span, with the ids and the Source of Multi.
func (r *cachedSource) warn(warnings []*SourceWarning, span Span) error {
	var errs []error
	for _, w := range warnings {
		if !w.Span.Overlaps(span.Start, span.End) {
			continue
		}
		named := *w
		named.Source = r.name
		if w.WindowID != "" {
			named.WindowID = r.name + "/" + w.WindowID
		}
		errs = append(errs, &named)
	}
	return errors.Join(errs...)
}

// keptAnswer is a good answer of a source, with the ids of the source.
type keptAnswer struct {
	call int // the number of the call that got it; 0 if it was on disk
	At   time.Time
	// Span is the range of the answer.
	Span     Span
	Windows  []Window
	Warnings []*SourceWarning
}

// stale reports whether the source itself used an earlier answer.
func (a *keptAnswer) stale() bool {
	for _, w := range a.Warnings {
		if errors.Is(w, ErrStale) {
			return true
		}
	}
	return false
}

// inherit copies windows from the previous answer that this one cannot have: those outside
// its range, and those that it reports as missing.
func (a *keptAnswer) inherit(old *keptAnswer) {
	if old == nil {
		return
	}
	known := make(map[string]bool, len(a.Windows))
	for _, w := range a.Windows {
		known[w.ID] = true
	}
	meet := !old.Span.Start.After(a.Span.End) && !a.Span.Start.After(old.Span.End)
	for _, w := range old.Windows {
		outside := !w.Span().Overlaps(a.Span.Start, a.Span.End)
		if !known[w.ID] && (meet && outside || a.lacks(w)) {
			a.Windows = append(a.Windows, w)
		}
	}
	if meet {
		a.Span = Span{Start: earliest(a.Span.Start, old.Span.Start), End: latest(a.Span.End, old.Span.End)}
	}
}

// lacks reports whether the answer reports the window as missing: by id, or by a span of
// which not all windows are known.
func (a *keptAnswer) lacks(old Window) bool {
	rule, _, _ := cutOccurrence(old.ID)
	for _, w := range a.Warnings {
		switch {
		case !errors.Is(w.Kind, ErrIncomplete):
		case w.WindowID != "":
			if w.WindowID == old.ID || w.WindowID == rule {
				return true
			}
		case !w.Span.End.IsZero(): // a warning about all time would keep everything forever
			if s := old.Span(); !s.Start.Before(w.Span.Start) && s.endsBy(w.Span.End) {
				return true
			}
		}
	}
	return false
}

// beyond warns about the parts of the span that the answer does not cover.
func (a *keptAnswer) beyond(wanted Span) []*SourceWarning {
	var odd []*SourceWarning
	unknown := func(s Span) {
		if s.Start.Before(s.End) {
			odd = append(odd, &SourceWarning{Kind: ErrIncomplete, Span: s, Err: fmt.Errorf(
				"nothing is known from %s to %s, which the last good answer does not cover", stamp(s.Start), stamp(s.End))})
		}
	}
	unknown(Span{Start: wanted.Start, End: earliest(wanted.End, a.Span.Start)})
	unknown(Span{Start: latest(wanted.Start, a.Span.End), End: wanted.End})
	return odd
}
