package maintenance

import (
	"context"
	"errors"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/callback"
)

// WindowSource tells when Connect is under maintenance: code, a file, a status page, a
// calendar that people keep, or a [Multi] of them. Implementations are safe for
// concurrent use.
type WindowSource interface {
	// Windows are those that hold at some time in the half-open range [from, to),
	// each by its Span, oldest first. Cancelled ones are among them, by the time
	// at which they would have held, so that who merges sources can cancel. Each has
	// its Source set, an id that no other of this source has, and passes Validate. A range that is
	// empty or runs backwards has none.
	//
	// What is odd with an answer comes beside it, not in its place: windows and an
	// error of which each part is a [*SourceWarning] (see [SplitWarnings]). Any
	// other error says that the source failed; windows that come with it are a part of
	// the answer at best. No windows and no error means that there is no maintenance.
	Windows(ctx context.Context, from, to time.Time) ([]Window, error)
}

// ask asks a source. A panic of the source is an error, and so is a source that is nil.
func ask(ctx context.Context, source WindowSource, from, to time.Time) ([]Window, error) {
	if callback.Nil(source) {
		return nil, errors.New("connect: the source of windows is nil")
	}
	return callback.Call(func() ([]Window, error) { return source.Windows(ctx, from, to) })
}

// SourceFunc is a function as a [WindowSource]. It has the contract of Windows to
// keep.
type SourceFunc func(ctx context.Context, from, to time.Time) ([]Window, error)

// Windows calls the function.
func (f SourceFunc) Windows(ctx context.Context, from, to time.Time) ([]Window, error) {
	return f(ctx, from, to)
}

// fromCode is the Source of windows that were made by the program itself.
const fromCode = "code"

// CalendarSource tells the windows of a calendar, the occurrences of its weekly
// rules among them. Margins are left out: they widen lookups, not windows. Windows
// without a Source get "code". It never fails.
func CalendarSource(c *Calendar) WindowSource {
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

// announced are the windows of the range, cancelled ones included.
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
