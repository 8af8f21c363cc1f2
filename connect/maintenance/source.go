package maintenance

import (
	"context"
	"errors"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/callback"
)

// WindowSource provides maintenance windows: from code, a file, a status page, an iCalendar
// feed, or several of them ([Multi]). Implementations are safe for concurrent use.
type WindowSource interface {
	// Windows returns the windows whose Span overlaps [from, to), oldest first,
	// including cancelled ones. Each has a Source and an id that is unique in this
	// source, and is valid. An empty or reversed range has none.
	//
	// Problems with a usable answer are returned with it, as an error that joins
	// [*SourceWarning] values (see [SplitWarnings]). Any other error means that the
	// source failed, and that the windows may be incomplete. No windows and no error
	// means that there is no maintenance.
	Windows(ctx context.Context, from, to time.Time) ([]Window, error)
}

// ask calls a source. A panic or a nil source is an error.
func ask(ctx context.Context, source WindowSource, from, to time.Time) ([]Window, error) {
	if callback.Nil(source) {
		return nil, errors.New("maintenance: the source of windows is nil")
	}
	return callback.Call(func() ([]Window, error) { return source.Windows(ctx, from, to) })
}

// SourceFunc adapts a function to a [WindowSource].
type SourceFunc func(ctx context.Context, from, to time.Time) ([]Window, error)

// Windows calls the function.
func (f SourceFunc) Windows(ctx context.Context, from, to time.Time) ([]Window, error) {
	return f(ctx, from, to)
}

// fromCode is the Source of windows made by the program itself.
const fromCode = "code"

// NewCalendarSource returns a source of the windows of a calendar, including the occurrences
// of weekly rules, without margins. Windows without a Source get "code". It never fails.
func NewCalendarSource(c *Calendar) WindowSource {
	plain := c.withoutMargins()
	return SourceFunc(func(_ context.Context, from, to time.Time) ([]Window, error) {
		return plain.announced(from, to), nil
	})
}

func (c *Calendar) withoutMargins() *Calendar {
	if !c.hasMargins() {
		return c
	}
	plain := &Calendar{}
	for _, e := range c.entries {
		plain.entries = append(plain.entries, entry{Window: e.Window})
	}
	for _, r := range c.rules {
		bare := *r
		bare.margins = margins{}
		plain.rules = append(plain.rules, &bare)
	}
	return index(plain.entries, plain.rules)
}

// announced returns the windows of the range, including cancelled ones.
func (c *Calendar) announced(from, to time.Time) []Window {
	windows := c.Overlapping(from, to)
	for _, w := range c.Windows() {
		if w.Cancelled && w.Span().Overlaps(from, to) {
			windows = append(windows, w)
		}
	}
	sortWindows(windows)
	for i := range windows {
		if windows[i].Source == "" {
			windows[i].Source = fromCode
		}
	}
	return windows
}
