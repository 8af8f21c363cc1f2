package failure

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// The rates in a window are compared with those of a day on each side. The thresholds are inferred.
const (
	sideLength   = 24 * time.Hour
	steadyCount  = 5 // failures on each side of a window that are more than chance
	steadyFactor = 2 // up to which rate in the window, relative to the lower one beside it, failures are steady
	raisedFactor = 3 // from which rate in the window, relative to the higher one beside it, failures are raised
)

// rateBook prepares a Baseline so that the rates of a window can be computed in constant time. It is immutable except
// for its cache.
type rateBook struct {
	from, now time.Time
	step      time.Duration
	margins   Margins
	calm      []uint32 // calm[i] is how many steps before i touch no window
	all       *tally
	series    map[string]*tally
	cache     sync.Map // rateKey → *rateFinding
}

// tally has running totals of failures: element i counts those before step i, calm only those in calm steps.
type tally struct{ any, calm []uint32 }

type rateKey struct {
	window, series string
	planned        bool // planned times of a window that also has actual ones
}

// rateFinding is what the rates say about a window and a series.
type rateFinding struct {
	evidence []Evidence
	steady   bool
}

func (b *Baseline) book(m Margins, calendars ...*maintenance.Calendar) *rateBook {
	calm := make([]bool, b.steps)
	ones := make([]uint32, b.steps)
	for i := range calm {
		calm[i], ones[i] = true, 1
	}
	end := b.from.Add(time.Duration(b.steps) * b.step)
	for _, c := range calendars {
		for _, s := range c.Spans(b.from, end) {
			for i := b.stepOf(s.Start); i < b.steps && b.from.Add(time.Duration(i)*b.step).Before(s.End); i++ {
				calm[i] = false
			}
		}
	}
	book := &rateBook{from: b.from, now: m.Now, step: b.step, margins: m, series: make(map[string]*tally, len(b.series))}
	book.calm = tallyOf(ones, calm).calm
	book.all = tallyOf(b.all, calm)
	for name, counts := range b.series {
		book.series[name] = tallyOf(counts, calm)
	}
	return book
}

func tallyOf(counts []uint32, calm []bool) *tally {
	t := &tally{any: make([]uint32, len(counts)+1), calm: make([]uint32, len(counts)+1)}
	for i, n := range counts {
		t.any[i+1], t.calm[i+1] = t.any[i]+n, t.calm[i]
		if calm[i] {
			t.calm[i+1] += n
		}
	}
	return t
}

// rate is a number of failures in a time.
type rate struct {
	n  int
	in time.Duration
}

func (r rate) hourly() float64 { return float64(r.n) / r.in.Hours() }

// rates are the rates in a window and beside it. Beside it, no time may be counted.
type rates struct{ before, in, after rate }

// steady reports whether failures are about as frequent beside the window as in it.
func (r rates) steady() bool {
	return r.before.n >= steadyCount && r.after.n >= steadyCount &&
		r.in.hourly() <= steadyFactor*min(r.before.hourly(), r.after.hourly())
}

// raised reports whether failures are much more frequent in the window.
func (r rates) raised() bool {
	usual := 0.0
	for _, side := range []rate{r.before, r.after} {
		if side.in > 0 {
			usual = max(usual, side.hourly())
		}
	}
	return r.in.n > 0 && r.in.hourly() >= raisedFactor*usual
}

func (r rates) String() string {
	s := fmt.Sprintf("%d in its %s (%.1f an hour)", r.in.n, shortDuration(r.in.in), r.in.hourly())
	for _, side := range []struct {
		rate
		name string
	}{{r.before, "before"}, {r.after, "after"}} {
		if side.in > 0 {
			s += fmt.Sprintf(", %d in %s %s (%.1f an hour)", side.n, shortDuration(side.in), side.name, side.hourly())
		}
	}
	return s
}

// judge adds the rates to the evidence, and weakens the verdict if the order's product, or else its seller, fails all
// the time.
func (b *rateBook) judge(f *Finding) {
	series := ""
	for _, name := range seriesOf(f.order) {
		if series == "" && b.series[name] != nil {
			series = name
		}
	}
	key := rateKey{window: f.window.ID, series: series, planned: f.position == insidePlanned}
	cached, ok := b.cache.Load(key)
	if !ok {
		cached, _ = b.cache.LoadOrStore(key, b.weigh(f.window, series))
	}
	found, _ := cached.(*rateFinding)
	f.Evidence = append(f.Evidence, found.evidence...)
	if found.steady {
		f.weaken()
	}
}

// weigh compares the rates in a window with those beside it.
func (b *rateBook) weigh(w maintenance.Window, series string) *rateFinding {
	found := &rateFinding{}
	add := func(text string) {
		found.evidence = append(found.evidence, Evidence{Kind: "rate", Text: text, Ref: w.ID})
	}
	i, j := b.stepsOf(w)
	if i >= j {
		add("the rate of failures was not measured for this window")
		return found
	}
	if t := b.series[series]; t != nil {
		r := b.rates(t, i, j)
		found.steady = r.steady()
		text := fmt.Sprintf("open failures of %s: %s", series, r)
		if found.steady {
			text += ": it fails all the time, so the window is less likely the cause"
		}
		add(text)
	}
	all := b.rates(b.all, i, j)
	text := fmt.Sprintf("open failures of all products: %s", all)
	if raised, active := b.raised(i, j); active > 1 {
		text += fmt.Sprintf("; %d of %d products and sellers failed more than usual", raised, active)
		if all.raised() && 2*raised >= active {
			text += ", so the window is more likely the cause"
		}
	}
	add(text)
	return found
}

// stepsOf returns the steps that a window touches, with its margins, limited to those that were counted and have
// started.
func (b *rateBook) stepsOf(w maintenance.Window) (from, to int) {
	span := w.Span()
	first := math.Floor(float64(span.Start.Add(-b.margins.Lead).Sub(b.from)) / float64(b.step))
	end := float64(b.started())
	if !span.End.IsZero() {
		end = min(end, math.Ceil(float64(span.End.Add(b.margins.Tail).Sub(b.from))/float64(b.step)))
	}
	return int(max(first, 0)), int(max(end, 0))
}

// started returns the number of steps that have started.
func (b *rateBook) started() int {
	steps := len(b.calm) - 1
	if b.now.IsZero() {
		return steps
	}
	return min(steps, int(max(0, b.now.Sub(b.from))/b.step)+1)
}

// rates returns the rates in the steps [i, j) of a window, and in the calm steps of a day on each side.
func (b *rateBook) rates(t *tally, i, j int) rates {
	beside := int(sideLength / b.step)
	calm := func(from, to int) rate {
		return rate{n: int(t.calm[to] - t.calm[from]), in: time.Duration(b.calm[to]-b.calm[from]) * b.step}
	}
	return rates{
		before: calm(max(0, i-beside), i),
		in:     rate{n: int(t.any[j] - t.any[i]), in: time.Duration(j-i) * b.step},
		after:  calm(j, max(j, min(b.started(), j+beside))),
	}
}

// raised returns how many series failed more than usual in the steps [i, j), and how many failed at all.
func (b *rateBook) raised(i, j int) (raised, active int) {
	for _, t := range b.series {
		r := b.rates(t, i, j)
		if r.in.n > 0 {
			active++
		}
		if r.raised() {
			raised++
		}
	}
	return raised, active
}
