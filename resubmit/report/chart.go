package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// Chart shows the failed orders over time, by class, together with the maintenance as announced and as observed, and
// with what the runs sent and verified. It is safe for concurrent use.
type Chart struct{ doc *Document }

// Chart returns the chart of the document.
func (d *Document) Chart() *Chart { return &Chart{d} }

// Title says what the chart shows: which time of the orders, and how long a bin is.
func (c *Chart) Title() string {
	t := &c.doc.Timeline
	if t.From.IsZero() {
		return "Failed orders over time"
	}
	by := "time of failure"
	switch t.ByPlaced {
	case 0:
	case c.doc.All.Orders - t.Undated:
		by = "time placed"
	default:
		by = "time of failure, or of placing if that is not known"
	}
	return fmt.Sprintf("Failed orders by %s, per %s", by, binText(t.BinMinutes))
}

// binText returns the length of a bin: "10 min", "6 h", "1 d".
func binText(minutes int) string {
	switch {
	case minutes%1440 == 0:
		return fmt.Sprintf("%d d", minutes/1440)
	case minutes%60 == 0:
		return fmt.Sprintf("%d h", minutes/60)
	default:
		return fmt.Sprintf("%d min", minutes)
	}
}

// Description describes the chart in a few sentences.
func (c *Chart) Description() string {
	d, t := c.doc, &c.doc.Timeline
	if d.All.Orders == 0 {
		return "There is no failed order to show."
	}
	var parts []string
	for _, s := range []string{c.failures(), c.inWindows(), c.classes(), c.runs(), c.missing(t)} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return text.OneLine(strings.Join(parts, " "))
}

// failures says how many orders failed, and when.
func (c *Chart) failures() string {
	d, t := c.doc, &c.doc.Timeline
	s := text.Orders(d.All.Orders) + " failed"
	switch {
	case t.First.IsZero():
		return s + "."
	case t.ByPlaced == d.All.Orders-t.Undated:
		s += ", placed"
	case t.ByPlaced > 0:
		s += fmt.Sprintf(", or, of %d, were placed", t.ByPlaced)
	}
	return fmt.Sprintf("%s %s.", s, d.span(t.First, t.Last))
}

// span returns two times as Document.span does, without date and zone if they are those of the first order.
func (c *Chart) span(from, to time.Time) string {
	at := c.doc.Timeline.First.In(c.doc.zone())
	s := c.doc.span(from, to)
	if at.Format(dayForm) == to.In(c.doc.zone()).Format(dayForm) {
		s = strings.TrimSuffix(strings.TrimPrefix(s, at.Format(dayForm+" ")), at.Format(" MST"))
	}
	return s
}

// inWindows says how many of the orders failed in a maintenance.
func (c *Chart) inWindows() string {
	d := c.doc
	var main *Window
	n := 0
	for i := range d.Windows {
		w := &d.Windows[i]
		if w.Inside > 0 {
			n++
		}
		if main == nil || w.Inside > main.Inside {
			main = w
		}
	}
	switch {
	case main == nil:
		return "No maintenance is known in this time."
	case n > 1:
		return fmt.Sprintf("%d of them are within %d maintenance windows.", d.Timeline.InWindows, n)
	case main.Observed == nil:
		return fmt.Sprintf("%d of them %s within the announced maintenance %s.", main.Inside, are(main.Inside),
			c.span(main.Announced.Start, main.Announced.End))
	}
	s := fmt.Sprintf("%d of them %s within the observed maintenance %s", main.Inside, are(main.Inside),
		c.span(main.Observed.Start, main.Observed.End))
	if main.Announced != nil {
		s += fmt.Sprintf(" (announced %s)", c.span(main.Announced.Start, main.Announced.End))
	}
	return s + "."
}

func (c *Chart) classes() string {
	var parts []string
	for _, one := range c.doc.byClass() {
		parts = append(parts, fmt.Sprintf("%d %s", one.N, words(one.Class)))
	}
	if parts == nil {
		return ""
	}
	return strings.Join(parts, ", ") + "."
}

// runs says what was sent, and what became of it.
func (c *Chart) runs() string {
	d := c.doc
	if d.State == StatePlanned || d.Planned.Resubmit == 0 {
		return ""
	}
	first, last := time.Time{}, time.Time{}
	for _, r := range d.Timeline.Runs {
		if r.Sent > 0 {
			first, last = widen(first, last, r.Start)
		}
	}
	s := ""
	switch {
	case !first.IsZero():
		s = "Sent " + c.span(first, last) + "; "
	case d.Outcomes.NotStarted+d.Open == d.Planned.Resubmit:
		s = "Nothing was sent; "
	}
	s += fmt.Sprintf("%d verified", d.Outcomes.Completed)
	if at := d.Times.LastVerifiedAt; !at.IsZero() {
		s += " by " + c.span(at, at)
	}
	if n := d.Outcomes.FailedAgain; n > 0 {
		s += fmt.Sprintf(", %d failed again", n)
	}
	if n := d.ByActor[ActorPerson]; n > 0 {
		s += fmt.Sprintf(", %d wait for a person", n)
	}
	return s + "."
}

// missing says what is not drawn.
func (c *Chart) missing(t *Timeline) string {
	var parts []string
	if t.Earlier > 0 {
		parts = append(parts, fmt.Sprintf("%s from before %s %s not drawn.", text.Orders(t.Earlier), c.doc.clock(t.From),
			are(t.Earlier)))
	}
	if t.Undated > 0 {
		parts = append(parts, fmt.Sprintf("%s without a usable time %s not drawn.", text.Orders(t.Undated), are(t.Undated)))
	}
	hidden := 0
	for i := range c.doc.Windows {
		if c.doc.hidden(&c.doc.Windows[i]) {
			hidden++
		}
	}
	if hidden > 0 {
		parts = append(parts, fmt.Sprintf("%s without orders %s not drawn.", text.Count(hidden, "maintenance window"),
			are(hidden)))
	}
	return strings.Join(parts, " ")
}

// ChartRow is one bin of the chart.
type ChartRow struct {
	// Time is when the bin starts, in the zone of the document.
	Time string
	Bin
	Sent, Verified, FailedAgain int
	// Notes are the windows that start or end, and the marks.
	Notes []string
}

// Table returns what the chart shows as a table, without rows that have nothing.
func (c *Chart) Table() []ChartRow {
	d, t := c.doc, &c.doc.Timeline
	if t.From.IsZero() {
		return nil
	}
	rows := make([]ChartRow, t.To.Sub(t.From)/t.bin())
	at := func(when time.Time) *ChartRow {
		return &rows[max(0, min(len(rows)-1, int(when.Sub(t.From)/t.bin())))]
	}
	for _, b := range t.Bins {
		at(b.Start).Bin = b
	}
	for _, r := range t.Runs {
		row := at(r.Start)
		row.Sent, row.Verified, row.FailedAgain = row.Sent+r.Sent, row.Verified+r.Verified, row.FailedAgain+r.FailedAgain
	}
	for _, n := range c.notes() {
		row := at(n.At)
		row.Notes = append(row.Notes, n.Text)
	}
	var kept []ChartRow
	for i := range rows {
		r := &rows[i]
		r.Start = t.From.Add(time.Duration(i) * t.bin())
		r.Time = r.Start.In(d.zone()).Format(fullForm + " MST")
		if r.Total() > 0 || r.Sent+r.Verified+r.FailedAgain > 0 || r.Notes != nil {
			kept = append(kept, *r)
		}
	}
	return kept
}

// notes returns what the table says besides numbers.
func (c *Chart) notes() []Mark {
	d, t := c.doc, &c.doc.Timeline
	var notes []Mark
	add := func(at time.Time, format string, args ...any) {
		if !at.Before(t.From) && at.Before(t.To) {
			notes = append(notes, Mark{At: at, Text: text.Sentence(fmt.Sprintf(format, args...))})
		}
	}
	for i := range d.Windows {
		w := &d.Windows[i]
		if s := w.Announced; s != nil {
			add(s.Start, "announced start of %s", w.ID)
			add(s.End, "announced end of %s", w.ID)
		}
		if s := w.Observed; s != nil {
			add(s.Start, "observed start of %s", w.ID)
			add(s.End, "observed end of %s", w.ID)
		}
	}
	for _, m := range d.Marks {
		add(m.At, "%s %s", markSign(m), m.Text)
	}
	return notes
}

func markSign(m Mark) string {
	if m.Stopped {
		return "▼"
	}
	return "▲"
}

// levels are the heights of a bin in Line, from none to the largest.
const (
	levels      = "·▁▂▃▄▅▆▇█"
	asciiLevels = " .:-=+*#%@"
)

const (
	minCells, maxCells = 24, 60
	maxLineWindows     = 4
)

// Line returns the chart as one line of at most width columns, for a terminal: the orders of each bin, of all classes,
// with announced windows in parentheses and observed ones in brackets, if there are at most four. With ascii it has
// only ASCII characters. It is empty if there is nothing to draw.
func (c *Chart) Line(width int, ascii bool) string {
	t := &c.doc.Timeline
	if t.From.IsZero() || width < 1 {
		return ""
	}
	marks := c.brackets()
	start, end := c.ends()
	for _, form := range []struct{ labels, largest bool }{{true, true}, {true, false}, {false, false}} {
		rest := width - len(marks)
		if form.labels {
			rest -= len(start) + len(end) + 2
		}
		if form.largest {
			rest -= len("  max 100000 per 365 d")
		}
		if rest < minCells && form.labels {
			continue
		}
		if rest < 1 {
			marks, rest = nil, width
		}
		cells, largest, minutes := c.cells(min(rest, maxCells))
		line := drawCells(cells, largest, marks, t, minutes, ascii)
		if form.labels {
			line = start + " " + line + " " + end
		}
		if form.largest {
			line += fmt.Sprintf("  max %d per %s", largest, binText(minutes))
		}
		return line
	}
	return ""
}

// ends returns the labels of the ends of the line.
func (c *Chart) ends() (start, end string) {
	from, to := c.doc.Timeline.From.In(c.doc.zone()), c.doc.Timeline.To.In(c.doc.zone())
	form := clockForm
	if from.Format(dayForm) != to.Format(dayForm) {
		form = fullForm
	}
	return from.Format(form), to.Format(form + " MST")
}

// cells joins bins, so that there are at most n. minutes is the length of a cell.
func (c *Chart) cells(n int) (cells []int, largest, minutes int) {
	t := &c.doc.Timeline
	bins := int(t.To.Sub(t.From) / t.bin())
	joined := (bins + n - 1) / n
	cells = make([]int, (bins+joined-1)/joined)
	for _, b := range t.Bins {
		i := int(b.Start.Sub(t.From)/t.bin()) / joined
		cells[i] += b.Total()
		largest = max(largest, cells[i])
	}
	return cells, largest, joined * t.BinMinutes
}

// bracket is the start or the end of a window in Line.
type bracket struct {
	at   time.Time
	sign rune
}

// brackets returns those of the windows that are drawn; none if there are too many windows.
func (c *Chart) brackets() (marks []bracket) {
	t := &c.doc.Timeline
	if len(c.doc.Windows) > maxLineWindows {
		return nil
	}
	add := func(at time.Time, sign rune) {
		if at.After(t.From) && at.Before(t.To) {
			marks = append(marks, bracket{at, sign})
		}
	}
	for i := range c.doc.Windows {
		w := &c.doc.Windows[i]
		if w.Announced != nil {
			add(w.Announced.Start, '(')
			add(w.Announced.End.Add(-1), ')') // ends are half-open
		}
		if w.Observed != nil {
			add(w.Observed.Start, '[')
			add(w.Observed.End.Add(-1), ']')
		}
	}
	return marks
}

func drawCells(cells []int, largest int, marks []bracket, t *Timeline, minutes int, ascii bool) string {
	signs := []rune(levels)
	if ascii {
		signs = []rune(asciiLevels)
	}
	cell := time.Duration(minutes) * time.Minute
	var b strings.Builder
	for i, n := range cells {
		start := t.From.Add(time.Duration(i) * cell)
		within := func(m bracket) bool { return !m.at.Before(start) && m.at.Before(start.Add(cell)) }
		for _, m := range marks {
			if within(m) && (m.sign == '(' || m.sign == '[') {
				b.WriteRune(m.sign)
			}
		}
		level := 0
		if largest > 0 {
			level = (n*(len(signs)-1) + largest - 1) / largest
		}
		b.WriteRune(signs[level])
		for _, m := range marks {
			if within(m) && (m.sign == ')' || m.sign == ']') {
				b.WriteRune(m.sign)
			}
		}
	}
	return b.String()
}

// ChartOptions are the options of [Chart.SVG] and [Chart.Figure]. The zero value is useful.
type ChartOptions struct {
	// ID starts the ids in the SVG, so that a page can have several charts. Empty: "chart".
	ID string
	// ClassLink and WindowLink return the address of the page about a class of failures, and about a window, by its id.
	// Nil: no links.
	ClassLink  func(failure.Class) string
	WindowLink func(id string) string
}
