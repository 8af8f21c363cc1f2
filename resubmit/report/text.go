package report

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// How many blocking orders and groups Text names.
const (
	maxTextBlockers = 10
	maxTextGroups   = 5 // and windows
)

// Text returns the document in a few lines for people, without the single orders and without the chart, see
// [Chart.Line]. Each line ends with a line break. It has no control characters, whatever the servers sent.
func (d *Document) Text() string {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(text.Clean(fmt.Sprintf(format, args...)) + "\n") }
	line("%s", d.Sentence())
	line("%s", d.Chart().Description())
	textRun(d, line)
	for _, c := range d.Canary {
		if c.Stopped != "" {
			line("  %s", c.Stopped)
		}
	}
	for _, h := range d.Blockers[:min(maxTextBlockers, len(d.Blockers))] {
		line("  %d blocked by %s", h.Orders, text.Short(h.Number))
	}
	if rest := len(d.Blockers) - maxTextBlockers; rest > 0 {
		line("  and others by %s more", text.Orders(rest))
	}
	for i := range d.FailedAgain[:min(maxTextGroups, len(d.FailedAgain))] {
		g := &d.FailedAgain[i]
		line("  %d failed again (%s): %s", g.Orders, words(g.Class), cmp.Or(text.Short(g.Template), "no reason reported"))
	}
	if rest := len(d.FailedAgain) - maxTextGroups; rest > 0 {
		line("  and for %s more", text.Count(rest, "other reason"))
	}
	textWindows(d, line)
	if d.Waiting.Orders > 0 && d.State != StatePlanned {
		line("waiting: %s", d.Waiting)
	}
	for _, s := range d.Next {
		if line("next: %s", s.Text); s.Command != "" {
			line("      %s", s.Command)
		}
	}
	return b.String()
}

// textWindows warns about windows that match no order.
func textWindows(d *Document, line func(string, ...any)) {
	n := 0
	for i := range d.Windows {
		if !d.Windows[i].unmatched() {
			continue
		}
		if n++; n <= maxTextGroups {
			line("warning: no order fits the window %s. Are its times and its time zone right?", d.windowText(&d.Windows[i]))
		}
	}
	if n > maxTextGroups {
		line("warning: no order fits %s more", text.Count(n-maxTextGroups, "window"))
	}
}

// textRun writes what concerns the whole run.
func textRun(d *Document, line func(string, ...any)) {
	switch {
	case d.Earlier == 0:
	case d.Earlier == d.Outcomes.Total():
		line("nothing was sent now: an earlier run of this plan has ended, and these are its results")
	default:
		line("%d of these results are of an earlier run of this plan", d.Earlier)
	}
	if rest := d.Planned.Total - d.Planned.Resubmit; rest > 0 || d.Planned.Mismatched > 0 {
		line("the whole plan: %s", d.Planned)
	}
	if d.Unlisted > 0 && !d.allVerified() {
		line("which of %s have which result is not known: they count as waiting", text.Orders(d.Unlisted))
	}
	if d.EventError != "" {
		line("the event callback was removed: %s", text.Sentence(d.EventError))
	}
}

// windowText returns a window on one line.
func (d *Document) windowText(w *Window) string {
	s := text.Short(w.ID)
	if w.Title != "" {
		s += fmt.Sprintf(" %q", text.Short(w.Title))
	}
	if w.Announced != nil {
		s += ", announced " + d.span(w.Announced.Start, w.Announced.End)
	}
	if w.Observed != nil {
		s += ", observed " + d.span(w.Observed.Start, w.Observed.End)
	}
	return s
}
