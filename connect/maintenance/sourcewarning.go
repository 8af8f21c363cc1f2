package maintenance

import (
	"errors"
	"fmt"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// The kinds of a [SourceWarning], for errors.Is.
var (
	// ErrIncomplete means that windows may be missing from the result.
	ErrIncomplete = errors.New("windows may be missing")
	// ErrUncertain means that the times of windows may be wrong, for instance because of a clock
	// difference or an unknown zone, but that no window is missing.
	ErrUncertain = errors.New("uncertain")
	// ErrStale means that a source failed and its last good answer is used.
	ErrStale = errors.New("windows are from an earlier answer")
)

// SourceWarning is a problem with a usable answer of a [WindowSource]. It is returned with
// the windows, alone or as a part of a joined error.
type SourceWarning struct { //nolint:errname // it is no failure, and its name says so
	// Source names the source, as in Window.Source; [Multi] puts its name there.
	Source string
	// Kind is [ErrIncomplete], [ErrUncertain] or [ErrStale].
	Kind error
	// Span is the time that is affected. The zero Span is all time.
	Span Span
	// WindowID is the id of the window that was left out or changed. For all
	// occurrences of a rule it is the part of their ids before the last "@".
	WindowID string
	// Err is the problem and what to do about it, on one line.
	Err error
}

// Error returns one line: the source, the kind and the problem.
func (w *SourceWarning) Error() string {
	return text.Excerpt(fmt.Sprintf("maintenance: windows of %s: %v: %v", text.Excerpt(w.Source, 200), w.Kind, w.Err),
		2000)
}

// Unwrap returns the kind and the cause.
func (w *SourceWarning) Unwrap() []error { return []error{w.Kind, w.Err} }

// SplitWarnings splits the error of a [WindowSource] into its warnings, in order, and the
// other errors, joined. If failure is nil, the windows returned with err are complete
// except for what the warnings say.
func SplitWarnings(err error) (warnings []*SourceWarning, failure error) {
	var failures []error
	var split func(error)
	split = func(err error) {
		switch e := err.(type) { //nolint:errorlint // a warning inside another error is a failure
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
