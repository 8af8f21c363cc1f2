package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// The places of the parts of the chart, in the units of its viewBox.
const (
	left, right = 44, 708
	barsTop     = 80
	barsBottom  = 230
	runsTop     = 299 // of the line of verified orders
	runsBottom  = 336
	charWidth   = 6.4 // of the small labels, about
)

//go:embed chart.gotmpl
var chartTemplate string

var svgTemplate = template.Must(template.New("chart").Parse(chartTemplate))

// SVG returns the chart as an SVG element for an HTML page that has the style of [CSS]; "" if there is nothing to draw.
func (c *Chart) SVG(o ChartOptions) template.HTML {
	if c.doc.Timeline.From.IsZero() {
		return ""
	}
	return render("svg", drawing{c}.view(o))
}

// Figure returns the chart as an HTML figure, with its description and the table of its bins.
func (c *Chart) Figure(o ChartOptions) template.HTML {
	return render("figure", struct {
		Title, Description string
		SVG                template.HTML
		Rows               []ChartRow
	}{c.Title(), c.Description(), c.SVG(o), c.Table()})
}

// render executes a template that is known to work with its data.
func render(name string, data any) template.HTML {
	var b strings.Builder
	if err := svgTemplate.ExecuteTemplate(&b, name, data); err != nil {
		return template.HTML(template.HTMLEscapeString("the chart cannot be shown: " + err.Error())) //nolint:gosec // escaped
	}
	return template.HTML(b.String()) //nolint:gosec // of html/template
}

// drawing draws a chart as SVG.
type drawing struct{ *Chart }

// svgView is what the template of the chart draws. All numbers are formatted.
type svgView struct {
	ID, Role, Title, Description string
	Height                       int
	Grid                         []svgLabel
	Ticks                        []svgLabel
	Bands                        []svgBand
	Bars                         []svgBar
	Legend                       []svgLegend
	Earlier                      string
	Runs                         *svgRuns
}

// svgLabel is a line of the grid, or a tick, with its label. Day is a second line.
type svgLabel struct{ At, Text, Day string }

// svgBand is a maintenance, as announced or observed.
type svgBand struct {
	Class, Link           string
	Y, LabelY, X, Width   string
	Start, End            string // the lines; "" for none
	Label, LabelX, Anchor string
	Inside                bool
}

// svgBar is a bin.
type svgBar struct {
	Title    string
	Segments []svgSegment
}

type svgSegment struct{ Class, Pattern, X, Y, Width, Height string }

type svgLegend struct{ Class, Pattern, X, TextX, Text, Link string }

// svgRuns is the second panel.
type svgRuns struct {
	Sent, FailedAgain       []string // x
	Line                    string
	End, EndX, EndY, Anchor string
	Good                    bool // all are verified
	Legend                  []svgLegend
	Marks                   []svgMark
}

type svgMark struct{ Class, Path, Title string }

// num formats a coordinate.
func num(v float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", v), "0"), ".")
}

// x returns the place of a time, within the time axis.
func (c drawing) x(at time.Time) float64 {
	t := &c.doc.Timeline
	share := at.Sub(t.From).Seconds() / t.To.Sub(t.From).Seconds()
	return left + max(0, min(1, share))*(right-left)
}

func (c drawing) view(o ChartOptions) *svgView {
	v := &svgView{ID: o.ID, Role: "img", Title: c.Title(), Description: c.Description(), Height: 268}
	if v.ID == "" {
		v.ID = "chart"
	}
	if o.ClassLink != nil || o.WindowLink != nil {
		v.Role = "group" // whose links are reachable
	}
	top := c.scale()
	for n := 0; n <= top.max; n += top.step {
		v.Grid = append(v.Grid, svgLabel{At: num(top.y(n)), Text: grouped(n)})
	}
	v.Ticks = c.ticks()
	v.Bands = c.bands(o.WindowLink)
	for _, b := range c.doc.Timeline.Bins {
		v.Bars = append(v.Bars, c.bar(b, top))
	}
	v.Legend = c.legend(o.ClassLink)
	if n := c.doc.Timeline.Earlier; n > 0 {
		v.Earlier = fmt.Sprintf("◂ %s earlier", grouped(n))
	}
	if c.doc.State != StatePlanned && c.doc.Planned.Resubmit > 0 {
		v.Height, v.Runs = 372, c.runsPanel()
	}
	return v
}

// scale is the y axis of the bars.
type scale struct{ max, step int }

// scale returns the axis: from 0 to a step of 1, 2 or 5 times a power of ten above the largest bin, with 3 to 5 steps.
func (c drawing) scale() scale {
	largest := 1
	for _, b := range c.doc.Timeline.Bins {
		largest = max(largest, b.Total())
	}
	for power := 1; ; power *= 10 {
		for _, step := range [...]int{power, 2 * power, 5 * power} {
			if steps := largest/step + 1; steps <= 5 {
				return scale{max: steps * step, step: step}
			}
		}
	}
}

func (s scale) y(n int) float64 {
	return barsBottom - float64(n)/float64(s.max)*(barsBottom-barsTop)
}

// bar returns a bin, with the most frequent class at the base line and gaps of one unit between the classes.
func (c drawing) bar(b Bin, top scale) svgBar {
	t := &c.doc.Timeline
	from, to := c.x(b.Start)+1, c.x(b.Start.Add(t.bin()))-1
	bar := svgBar{Title: c.binTitle(b)}
	below := 0
	for _, class := range classes() {
		n := *b.of(class)
		if n == 0 {
			continue
		}
		y, height := top.y(below+n), top.y(below)-top.y(below+n)
		if below > 0 && height > 2 {
			height--
		}
		below += n
		bar.Segments = append(bar.Segments, svgSegment{
			Class: string(class), Pattern: pattern(class), X: num(from), Y: num(y), Width: num(to - from), Height: num(height),
		})
	}
	return bar
}

// pattern returns the name of the pattern of a class; "" if it is plain.
func pattern(class failure.Class) string {
	switch class {
	case failure.Unclassified:
		return "diagonal"
	case failure.Permanent:
		return "dots"
	case failure.AlreadyProvisioned:
		return "lines"
	default:
		return ""
	}
}

// binTitle describes a bin.
func (c drawing) binTitle(b Bin) string {
	var parts []string
	for _, class := range classes() {
		if n := *b.of(class); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, words(class)))
		}
	}
	return fmt.Sprintf("%s: %s", c.doc.span(b.Start, b.Start.Add(c.doc.Timeline.bin())), strings.Join(parts, ", "))
}

func (c drawing) legend(link func(failure.Class) string) (list []svgLegend) {
	for _, one := range c.doc.byClass() {
		l := svgLegend{
			Class: string(one.Class), Pattern: pattern(one.Class),
			Text: fmt.Sprintf("%s %s", words(one.Class), grouped(one.N)),
		}
		if link != nil {
			l.Link = link(one.Class)
		}
		list = append(list, l)
	}
	return placed(list)
}

// placed sets the places of the entries of a legend, one beside the other.
func placed(list []svgLegend) []svgLegend {
	x := float64(left)
	for i := range list {
		l := &list[i]
		l.X, l.TextX = num(x), num(x+16)
		x += 16 + float64(len([]rune(l.Text)))*charWidth + 18
	}
	return list
}

// tickSteps are the distances of ticks in minutes.
var tickSteps = [...]int{
	1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2 * 1440, 7 * 1440, 14 * 1440, 30 * 1440, 90 * 1440,
	365 * 1440, 5 * 365 * 1440, 10 * 365 * 1440,
}

const maxTicks = 8

// ticks returns the labels of the time axis. The first one, each one of another day, and each one after the clock was
// changed also has the date or the zone.
func (c drawing) ticks() (labels []svgLabel) {
	t, zone := &c.doc.Timeline, c.doc.zone()
	lastDay, lastZone := "", ""
	for _, at := range tickTimes(t.From, t.To, zone) {
		local := at.In(zone)
		l := svgLabel{At: num(c.x(at)), Text: local.Format(clockForm)}
		if d, z := local.Format(dayForm), local.Format("MST"); d != lastDay || z != lastZone {
			l.Day = d
			if z != lastZone {
				l.Day += " " + z
			}
			lastDay, lastZone = d, z
		}
		labels = append(labels, l)
	}
	if len(labels) > 1 && t.To.Sub(t.From) > 4*day { // whole days
		for i := range labels {
			labels[i].Text, labels[i].Day = labels[i].Day, ""
		}
	}
	return labels
}

// tickTimes returns at most maxTicks times, at whole steps of the clock of the zone.
func tickTimes(from, to time.Time, zone *time.Location) (times []time.Time) {
	for _, minutes := range tickSteps {
		times = times[:0]
		for at := firstTick(from, minutes, zone); at.Before(to) && len(times) <= maxTicks; at = nextTick(at, minutes) {
			if !at.Before(from) {
				times = append(times, at)
			}
		}
		if len(times) <= maxTicks {
			break
		}
	}
	return times
}

// firstTick returns the last tick that is not after a time.
func firstTick(from time.Time, minutes int, zone *time.Location) time.Time {
	_, offset := from.In(zone).Zone()
	shift := time.Duration(offset) * time.Second
	if minutes >= 1440 {
		shift += 3 * day
	}
	return floor(from, time.Duration(minutes)*time.Minute, shift).In(zone)
}

// nextTick returns the tick after another one. Days are those of the calendar, so they may have 23 or 25 hours.
func nextTick(at time.Time, minutes int) time.Time {
	if minutes >= 1440 {
		return at.AddDate(0, 0, minutes/1440)
	}
	return at.Add(time.Duration(minutes) * time.Minute)
}

// bands returns the windows that are at least partly within the time axis.
func (c drawing) bands(link func(id string) string) (bands []svgBand) {
	t := &c.doc.Timeline
	numbered := len(c.doc.Windows) > 3
	taken := map[string]float64{} // where the last label of a lane ends
	for i := range c.doc.Windows {
		w := &c.doc.Windows[i]
		if c.doc.hidden(w) {
			continue
		}
		for _, one := range []struct {
			class string
			span  *maintenance.Span
			y     float64
		}{{"announced", w.Announced, 28}, {"observed", w.Observed, 46}} {
			if one.span == nil || !one.span.Start.Before(t.To) || !one.span.End.IsZero() && !one.span.End.After(t.From) {
				continue
			}
			label := one.class + " " + c.windowLabel(one.span)
			if numbered {
				label = fmt.Sprint(i + 1)
			}
			b := c.band(one.class, one.span, one.y, label, taken)
			if link != nil {
				b.Link = link(w.ID)
			}
			bands = append(bands, b)
		}
	}
	return bands
}

// maxWindows is from how many windows on those without orders are not drawn.
const maxWindows = 20

func (d *Document) hidden(w *Window) bool { return len(d.Windows) > maxWindows && w.unmatched() }

// windowLabel returns the times of a window without the date.
func (c drawing) windowLabel(s *maintenance.Span) string {
	from := s.Start.In(c.doc.zone()).Format(clockForm)
	if s.End.IsZero() {
		return from + ", still down"
	}
	return from + "–" + s.End.In(c.doc.zone()).Format(clockForm)
}

// band returns a window.
func (c drawing) band(class string, s *maintenance.Span, y float64, label string, taken map[string]float64) svgBand {
	t, from, to := &c.doc.Timeline, c.x(s.Start), float64(right)
	b := svgBand{Class: class, Y: num(y), LabelY: num(y + 9), Label: label}
	if !s.End.IsZero() {
		to = c.x(s.End)
	}
	b.X, b.Width = num(from), num(max(to-from, 1.5))
	if s.Start.After(t.From) {
		b.Start = num(from)
	}
	if !s.End.IsZero() && s.End.Before(t.To) {
		b.End = num(to)
	}
	taken[class] = b.place(from, to, taken[class])
	return b
}

// place sets where the label of a band is: on the right of it if there is room, else on the left, else inside.
// taken is where the label before it in the lane ends. It returns where the label and the band end.
func (b *svgBand) place(from, to, taken float64) float64 {
	width := float64(len([]rune(b.Label)))*charWidth + 4
	b.LabelX, b.Anchor = num(to+4), "start"
	switch {
	case to+4+width <= right:
		return to + 4 + width
	case from-4-width >= max(left, taken):
		b.LabelX, b.Anchor = num(from-4), "end"
	case to-from >= width:
		b.LabelX, b.Inside = num(from+4), true
	default:
		b.LabelX, b.Anchor = num(right), "end"
		return right
	}
	return to
}

// runsPanel returns the second panel: what was sent, verified, and failed again.
func (c drawing) runsPanel() *svgRuns {
	d := c.doc
	r := new(svgRuns)
	all := max(1, d.Planned.Resubmit)
	y := func(n int) float64 { return runsBottom - min(1, float64(n)/float64(all))*(runsBottom-runsTop) }
	step := d.Timeline.To.Sub(d.Timeline.From) / runBins
	sent, verified, lineEnd := 0, 0, 0.0
	var line strings.Builder
	for _, one := range d.Timeline.Runs {
		x := c.x(one.Start.Add(step / 2))
		if one.Sent > 0 {
			r.Sent = append(r.Sent, num(x))
			sent += one.Sent
		}
		if one.FailedAgain > 0 {
			r.FailedAgain = append(r.FailedAgain, num(x))
		}
		if one.Verified == 0 {
			continue
		}
		if line.Len() == 0 {
			fmt.Fprintf(&line, "M%s %s", num(x), num(y(0)))
		}
		verified += one.Verified
		fmt.Fprintf(&line, "L%s %sL%s %s", num(x), num(y(verified-one.Verified)), num(x), num(y(verified)))
		lineEnd = x
	}
	r.Line = line.String()
	c.endLabel(r, lineEnd, y(verified))
	if d.Unlisted > 0 {
		sent = -1
	}
	r.Legend = runsLegend(sent, d.Outcomes.Completed, d.Planned.Resubmit, d.Outcomes.FailedAgain)
	for _, m := range d.Marks {
		r.Marks = append(r.Marks, c.mark(m))
	}
	return r
}

// endLabel says at the end of the line whether all is verified.
func (c drawing) endLabel(r *svgRuns, x, y float64) {
	d := c.doc
	if r.Line == "" {
		return
	}
	r.End = fmt.Sprintf("%s not verified", grouped(d.Planned.Resubmit-d.Outcomes.Completed))
	if r.Good = d.allVerified(); r.Good {
		r.End = "all verified " + d.Times.LastVerifiedAt.In(d.zone()).Format(clockForm)
		if s := d.Times.CloseToVerifiedSeconds; s > 0 {
			r.End += ", " + duration(s) + " after the end"
		}
	}
	r.EndX, r.Anchor = num(min(x+2, right)), "end"
	if x-left < float64(len(r.End))*charWidth {
		r.EndX, r.Anchor = num(max(x-2, left)), "start"
	}
	r.EndY = num(y - 4)
}

// mark returns a triangle above the second panel.
func (c drawing) mark(m Mark) svgMark {
	x := c.x(m.At)
	if m.Stopped {
		return svgMark{"stopped", fmt.Sprintf("M%s 278h8l-4 7z", num(x-4)), text.Sentence(m.Text)}
	}
	return svgMark{"passed", fmt.Sprintf("M%s 285h8l-4 -7z", num(x-4)), text.Sentence(m.Text)}
}

// runsLegend returns the legend of the second panel. sent is -1 if it is not known.
func runsLegend(sent, verified, all, again int) []svgLegend {
	sentText := "sent"
	if sent >= 0 {
		sentText += " " + grouped(sent)
	}
	return placed([]svgLegend{
		{Class: "sent", Text: sentText},
		{Class: "verified", Text: fmt.Sprintf("verified %s of %s", grouped(verified), grouped(all))},
		{Class: "again", Text: "failed again " + grouped(again)},
	})
}
