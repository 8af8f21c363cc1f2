package report

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

const (
	maxBins = 60
	// runBins is the number of steps of Timeline.Runs: one for two units of the chart's width.
	runBins = 332
	day     = 24 * time.Hour
)

// binMinutes are the lengths of bins.
var binMinutes = [...]int{1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1440, 7 * 1440, 30 * 1440, 365 * 1440}

// points has the times of all orders.
type points struct {
	orders                instants // sorted by sort
	classes               map[failure.Class]instants
	byPlaced, undated     int
	sent, verified, again instants
}

type instants []time.Time

// add adds an order. now is when the document is made.
func (p *points) add(i *Item, now time.Time) {
	at := i.At()
	switch {
	case at.Unix() < 0 || at.After(now.Add(day)): // or zero
		p.undated++
	default:
		if i.FailedAt.IsZero() {
			p.byPlaced++
		}
		p.orders = append(p.orders, at)
		p.classes[i.Class] = append(p.classes[i.Class], at)
	}
	if !i.PushedAt.IsZero() {
		p.sent = append(p.sent, i.PushedAt)
	}
	switch {
	case i.DoneAt.IsZero():
	case i.Outcome == protocol.Completed:
		p.verified = append(p.verified, i.DoneAt)
	case i.Outcome == protocol.FailedAgain:
		p.again = append(p.again, i.DoneAt)
	}
}

func (p *points) sort() { slices.SortFunc(p.orders, time.Time.Compare) }

// span returns the first and the last time; zero if there is none.
func (t instants) span() (first, last time.Time) {
	for _, at := range t {
		first, last = widen(first, last, at)
	}
	return first, last
}

// before counts the times before one. The times must be sorted.
func (t instants) before(at time.Time) int {
	return sort.Search(len(t), func(i int) bool { return !t[i].Before(at) })
}

// inside counts the times in a span. They must be sorted.
func (t instants) inside(s maintenance.Span) int {
	end := len(t)
	if !s.End.IsZero() {
		end = t.before(s.End)
	}
	return max(0, end-t.before(s.Start))
}

// timeline returns the bins of the time axis. The windows of the document must be set.
func (p *points) timeline(d *Document) Timeline {
	t := Timeline{ByPlaced: p.byPlaced, Undated: p.undated}
	if len(p.orders) == 0 {
		return t
	}
	t.First, t.Last = p.orders[0], p.orders[len(p.orders)-1]
	for _, s := range union(d.Windows) {
		t.InWindows += p.orders.inside(s)
	}
	from, to := p.extent(d)
	t.set(from, to, d.location)
	t.Earlier = p.orders.before(t.From)
	t.count(p)
	return t
}

// extent returns the ends of what is drawn.
func (p *points) extent(d *Document) (from, to time.Time) {
	from, to = p.orders[0], p.orders[len(p.orders)-1]
	oldest, newest := from.Add(-day), to.Add(day) // a window may be long
	var core, coreEnd time.Time                   // of the windows in which orders failed
	for i := range d.Windows {
		w := &d.Windows[i]
		for _, s := range []*maintenance.Span{w.Announced, w.Observed} {
			if s == nil {
				continue
			}
			end := s.End
			if end.IsZero() {
				end = d.MadeAt
			}
			if end.After(newest) {
				end = newest
			}
			from, to = widen(from, to, later(s.Start, oldest))
			from, to = widen(from, to, later(end, oldest))
			if w.Inside > 0 || w.Attributed > 0 {
				core, coreEnd = widen(core, coreEnd, s.Start)
				core, coreEnd = widen(core, coreEnd, end)
			}
		}
	}
	for _, ts := range []instants{p.sent, p.verified, p.again} {
		first, last := ts.span()
		from, to = widen(from, to, first)
		from, to = widen(from, to, last)
	}
	for _, m := range d.Marks {
		from, to = widen(from, to, m.At)
	}
	if short := 30*time.Minute - to.Sub(from); short > 0 {
		from, to = from.Add(-short/2), to.Add(short/2)
	}
	// Old failures must not make the maintenance too small to be seen.
	if margin := max(2*coreEnd.Sub(core), 6*time.Hour); !core.IsZero() && to.Sub(from) > 30*time.Hour {
		from = later(from, core.Add(-margin))
	}
	return from, to
}

// set sets the ends and the length of the bins, so that there are at most maxBins, with an empty one at each end. Bins
// are aligned to the clock of the zone at their beginning.
func (t *Timeline) set(from, to time.Time, zone *time.Location) {
	_, offset := from.In(zone).Zone()
	shift := time.Duration(offset)*time.Second + 3*day // weeks start on Monday
	for _, t.BinMinutes = range binMinutes {
		bin := t.bin()
		t.From = floor(from, bin, shift).Add(-bin)
		t.To = floor(to, bin, shift).Add(2 * bin)
		if t.To.Sub(t.From) <= maxBins*bin {
			return
		}
	}
	t.From = t.To.Add(-maxBins * t.bin())
}

// check returns an error for a timeline that cannot be drawn.
func (t *Timeline) check() error {
	if t.From.IsZero() {
		return nil
	}
	if length := t.To.Sub(t.From); t.BinMinutes < 1 || t.BinMinutes > binMinutes[len(binMinutes)-1] ||
		length < t.bin() || length > maxBins*t.bin() {
		return errors.New("it does not have between 1 and 60 bins")
	}
	for _, b := range t.Bins {
		least := min(b.Transient, b.Unclassified, b.Permanent, b.AlreadyProvisioned)
		if least < 0 || b.Start.Before(t.From) || !b.Start.Before(t.To) {
			return fmt.Errorf("the bin of %s is negative or outside", b.Start.Format(time.RFC3339))
		}
	}
	return nil
}

// bin returns the length of a bin.
func (t *Timeline) bin() time.Duration { return time.Duration(t.BinMinutes) * time.Minute }

// floor rounds a time down to a multiple of a duration after 1970, as seen by a clock that is ahead of UTC.
func floor(at time.Time, to, ahead time.Duration) time.Time {
	step, shift := int64(to/time.Second), int64(ahead/time.Second)
	s := at.Unix() + shift
	s -= (s%step + step) % step
	return time.Unix(s-shift, 0).UTC()
}

// count fills the bins.
func (t *Timeline) count(p *points) {
	bins := make([]Bin, t.To.Sub(t.From)/t.bin())
	for class, ts := range p.classes {
		for _, at := range ts {
			if !at.Before(t.From) {
				*bins[at.Sub(t.From)/t.bin()].of(class)++
			}
		}
	}
	for i := range bins {
		if bins[i].Start = t.From.Add(time.Duration(i) * t.bin()); bins[i].Total() > 0 {
			t.Bins = append(t.Bins, bins[i])
		}
	}
	runs := make([]RunBin, runBins)
	step := t.To.Sub(t.From) / runBins
	of := func(at time.Time) *RunBin { return &runs[max(0, min(runBins-1, at.Sub(t.From)/step))] }
	for _, at := range p.sent {
		of(at).Sent++
	}
	for _, at := range p.verified {
		of(at).Verified++
	}
	for _, at := range p.again {
		of(at).FailedAgain++
	}
	for i, r := range runs {
		if r.Start = t.From.Add(time.Duration(i) * step); r.Sent+r.Verified+r.FailedAgain > 0 {
			t.Runs = append(t.Runs, r)
		}
	}
}

// of returns the count of a class.
func (b *Bin) of(class failure.Class) *int {
	switch class {
	case failure.Transient:
		return &b.Transient
	case failure.Permanent:
		return &b.Permanent
	case failure.AlreadyProvisioned:
		return &b.AlreadyProvisioned
	default:
		return &b.Unclassified
	}
}

// union returns the times in which any of the windows was in effect, as spans that do not overlap.
func union(windows []Window) []maintenance.Span {
	var spans, joined []maintenance.Span
	for i := range windows {
		spans = append(spans, windows[i].span())
	}
	slices.SortFunc(spans, func(a, b maintenance.Span) int { return a.Start.Compare(b.Start) })
	for _, s := range spans {
		n := len(joined) - 1
		switch {
		case n < 0 || !joined[n].Contains(s.Start) && !joined[n].End.Equal(s.Start):
			joined = append(joined, s)
		case joined[n].End.IsZero():
		case s.End.IsZero() || s.End.After(joined[n].End):
			joined[n].End = s.End
		}
	}
	return joined
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
