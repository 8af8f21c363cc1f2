package maintenance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// remembered is a source with its last good answer.
type remembered struct {
	name   string
	source WindowSource
	store  answerStore

	mu     sync.Mutex
	calls  int // so far
	loaded bool
	last   *keptAnswer // nil before the first one
	odd    error       // why the one on disk could not be read
}

func remember(s NamedSource, store answerStore) *remembered {
	return &remembered{name: s.Name, source: s.Source, store: store}
}

// ask asks the source for the wide span and tells what it knows of the one that is
// wanted.
func (r *remembered) ask(ctx context.Context, timeout time.Duration, wide, wanted Span) ([]Window, SourceStatus) {
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
	case failure == nil: // it told what it knows from before, which is not to be kept as new
		state.At, state.Stale = r.lastAt(), true
	case r.last != nil:
		answer, state.At, state.Stale = r.last, r.last.At, true
		odd = append(answer.beyond(wanted), &SourceWarning{Kind: ErrStale, Err: earlier(answer.At, failure)})
	default:
		state.At = time.Time{}
		odd = []*SourceWarning{{Kind: ErrIncomplete, Err: fmt.Errorf("it failed, and nothing is known from before: %w", failure)}}
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

// next numbers the calls in the order in which they begin.
func (r *remembered) next() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	return r.calls
}

func (r *remembered) lastAt() time.Time {
	if r.last == nil {
		return time.Time{}
	}
	return r.last.At
}

// consult asks the source, and takes out of its answer what no calendar can hold.
func (r *remembered) consult(ctx context.Context, timeout time.Duration, wide Span) ([]Window, []*SourceWarning, error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	windows, err := ask(limited, r.source, wide.Start, wide.End)
	windows, odd := usable(windows)
	warnings, failure := SplitWarnings(errors.Join(err, errors.Join(odd...)))
	if failure != nil && limited.Err() != nil && ctx.Err() == nil {
		failure = fmt.Errorf("it gave no answer within %s: %w", timeout, failure)
	}
	return windows, warnings, failure
}

func (r *remembered) load() {
	if !r.loaded {
		r.loaded = true
		r.last, r.odd = r.store.load(r.name)
	}
}

// keep makes an answer the last good one, unless another call got a newer one.
func (r *remembered) keep(a *keptAnswer) []*SourceWarning {
	// Not by the time: the clock may have been ahead when the last one was kept.
	if r.last != nil && r.last.call > a.call {
		return nil
	}
	a.inherit(r.last)
	r.last = a
	if err := r.store.save(r.name, a); err != nil {
		return []*SourceWarning{{Kind: ErrUncertain, Err: fmt.Errorf("the answer is not kept on disk: %w", err)}}
	}
	return nil
}

// named are the windows of a span as they leave Multi.
func (r *remembered) named(windows []Window, span Span) []Window {
	var named []Window
	for _, w := range windows {
		if w.Span().Overlaps(span.Start, span.End) {
			w.ID, w.Source = r.name+"/"+w.ID, r.name
			named = append(named, w)
		}
	}
	return named
}

// warn joins the warnings that concern a span, as they leave Multi.
func (r *remembered) warn(warnings []*SourceWarning, span Span) error {
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

// keptAnswer is a good answer of a source, with its own ids.
type keptAnswer struct {
	call int // the number of the call that got it; 0 if it was on disk
	At   time.Time
	// Span is the range that it is about.
	Span     Span
	Windows  []Window
	Warnings []*SourceWarning
}

// stale reports whether the source told an earlier answer of its own.
func (a *keptAnswer) stale() bool {
	for _, w := range a.Warnings {
		if errors.Is(w, ErrStale) {
			return true
		}
	}
	return false
}

// inherit takes over from the answer before what this one cannot tell: windows
// outside its range, and those that it lacks.
func (a *keptAnswer) inherit(old *keptAnswer) {
	if old == nil {
		return
	}
	told := make(map[string]bool, len(a.Windows))
	for _, w := range a.Windows {
		told[w.ID] = true
	}
	meet := !old.Span.Start.After(a.Span.End) && !a.Span.Start.After(old.Span.End)
	for _, w := range old.Windows {
		outside := !w.Span().Overlaps(a.Span.Start, a.Span.End)
		if !told[w.ID] && (meet && outside || a.lacks(w)) {
			a.Windows = append(a.Windows, w)
		}
	}
	if meet {
		a.Span = Span{Start: earliest(a.Span.Start, old.Span.Start), End: latest(a.Span.End, old.Span.End)}
	}
}

// lacks reports whether the window may be missing because the source says so: it
// could not be used, or is of a time of which not all windows are told.
func (a *keptAnswer) lacks(old Window) bool {
	rule, _, _ := cutOccurrence(old.ID)
	for _, w := range a.Warnings {
		switch {
		case !errors.Is(w.Kind, ErrIncomplete):
		case w.WindowID != "":
			if w.WindowID == old.ID || w.WindowID == rule {
				return true
			}
		case !w.Span.End.IsZero(): // one about all time would keep everything for ever
			if s := old.Span(); !s.Start.Before(w.Span.Start) && s.endsBy(w.Span.End) {
				return true
			}
		}
	}
	return false
}

// beyond warns where the answer does not reach as far as the span.
func (a *keptAnswer) beyond(wanted Span) []*SourceWarning {
	var odd []*SourceWarning
	unknown := func(s Span) {
		if s.Start.Before(s.End) {
			odd = append(odd, &SourceWarning{Kind: ErrIncomplete, Span: s, Err: fmt.Errorf(
				"nothing is known from %s to %s, which the last good answer does not reach", stamp(s.Start), stamp(s.End))})
		}
	}
	unknown(Span{Start: wanted.Start, End: earliest(wanted.End, a.Span.Start)})
	unknown(Span{Start: latest(wanted.Start, a.Span.End), End: wanted.End})
	return odd
}
