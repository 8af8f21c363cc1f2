package maintenance

import (
	"errors"
	"fmt"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// The kinds of a [SourceWarning], for errors.Is.
var (
	// ErrIncomplete says that windows may be missing: that there is none at some time
	// does not mean that there is no maintenance then.
	ErrIncomplete = errors.New("windows may be missing")
	// ErrUncertain says that something about the windows is odd, such as a clock
	// that is off or a zone that is not known. None is missing for it.
	ErrUncertain = errors.New("doubtful")
	// ErrStale says that the windows are those of an earlier answer.
	ErrStale = errors.New("windows are of an earlier answer")
)

// SourceWarning is what is odd with an answer of a [WindowSource] that is usable
// nevertheless. It comes beside the windows, alone or as a part of a joined error.
type SourceWarning struct { //nolint:errname // it is no failure, and its name says so
	// Source names the source, as in Window.Source; [Multi] puts its name there.
	Source string
	// Kind is [ErrIncomplete], [ErrUncertain] or [ErrStale].
	Kind error
	// Span is the time that it is about. The zero Span is all time.
	Span Span
	// WindowID is the id of the window that was left out or changed; for all
	// occurrences of a rule, what their ids have before the last "@". "" is none.
	WindowID string
	// Err says what is odd and what to do about it, on one line.
	Err error
}

// Error is one line: the source, the kind, and what is odd.
func (w *SourceWarning) Error() string {
	return text.Excerpt(fmt.Sprintf("connect: windows of %s: %v: %v", text.Excerpt(w.Source, 200), w.Kind, w.Err),
		2000)
}

// Unwrap returns the kind and the cause.
func (w *SourceWarning) Unwrap() []error { return []error{w.Kind, w.Err} }

// SplitWarnings takes the error of a [WindowSource] apart: the warnings, in their
// order, and what else there is, joined. The windows that came with the error are all that is
// known if failure is nil.
func SplitWarnings(err error) (warnings []*SourceWarning, failure error) {
	var failures []error
	var split func(error)
	split = func(err error) {
		switch e := err.(type) { //nolint:errorlint // only a warning that stands by itself leaves the rest good; one inside another error does not
		case nil:
		case *SourceWarning:
			warnings = append(warnings, e)
		case interface{ Unwrap() []error }:
			for _, part := range e.Unwrap() {
				split(part)
			}
		default:
			failures = append(failures, err)
		}
	}
	split(err)
	return warnings, errors.Join(failures...)
}
