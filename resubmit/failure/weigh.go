package failure

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

const (
	// ratesBeside is how long before and after a window rates are compared with.
	ratesBeside = 24 * time.Hour
	// steadyFrom is how many failures there must be on each side of a window for them
	// to be steady rather than chance (inferred).
	steadyFrom = 5
	// steadyBelow is how much more often something may fail in the window and still be
	// called steady (inferred).
	steadyBelow = 2
	// roseFrom is from how much more often on something failed more than usual (inferred).
	roseFrom = 3
)

// rateBook is Rates with what it takes to read a window off in no time. It does
// not change, but that it remembers what it has said.
type rateBook struct {
	from, now time.Time
	step      time.Duration
	margins   Margins
	calm      []uint32 // of the steps before each: how many touch no window
	all       *tally
	groups    map[string]*tally
	said      sync.Map // saidFor → *rateFinding
}

// tally are running totals of failures by step: element i counts those before step i.
type tally struct{ any, calm []uint32 }

type saidFor struct {
	window, group string
	planned       bool // the window as it was planned has other times than as it went
}

// rateFinding is what the rates say about a window and a group.
type rateFinding struct {
	evidence []Evidence
	steady   bool
}

func (r *Baseline) book(m Margins, calendars ...*maintenance.Calendar) *rateBook {
	calm := make([]bool, r.steps)
	for i := range calm {
		calm[i] = true
	}
	end := r.from.Add(time.Duration(r.steps) * r.step)
	for _, c := range calendars {
		for _, s := range c.Merged(r.from, end) {
			for i := r.stepOf(s.Start); i < r.steps && r.from.Add(time.Duration(i)*r.step).Before(s.End); i++ {
				calm[i] = false
			}
		}
	}
	b := &rateBook{from: r.from, now: m.Now, step: r.step, margins: m, groups: make(map[string]*tally, len(r.groups))}
	ones := make([]uint32, r.steps)
	for i := range ones {
		ones[i] = 1
	}
	b.calm = tallyOf(ones, calm).calm
	b.all = tallyOf(r.all, calm)
	for name, counts := range r.groups {
		b.groups[name] = tallyOf(counts, calm)
	}
	return b
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

// rate is so many failures in so much time.
type rate struct {
	n  int
	in time.Duration
}

func (r rate) hourly() float64 { return float64(r.n) / r.in.Hours() }

// around are the rates in a window and beside it.
type around struct{ before, in, after rate }

// usual is the higher of the rates beside the window.
func (a around) usual() float64 {
	most := 0.0
	for _, r := range []rate{a.before, a.after} {
		if r.in > 0 {
			most = max(most, r.hourly())
		}
	}
	return most
}

// steady reports whether the failures go on before and after as they do in the window.
func (a around) steady() bool {
	return a.before.n >= steadyFrom && a.after.n >= steadyFrom &&
		a.in.hourly() <= steadyBelow*min(a.before.hourly(), a.after.hourly())
}

func (a around) rose() bool { return a.in.n > 0 && a.in.hourly() >= roseFrom*a.usual() }

func (a around) String() string {
	text := fmt.Sprintf("%d in its %s (%.1f an hour)", a.in.n, shortly(a.in.in), a.in.hourly())
	for _, side := range []struct {
		rate
		name string
	}{{a.before, "before"}, {a.after, "after"}} {
		if side.in > 0 {
			text += fmt.Sprintf(", %d in %s %s (%.1f an hour)", side.n, shortly(side.in), side.name, side.hourly())
		}
	}
	return text
}

// judge weakens the verdict if the order's product, or else its seller, fails all the
// time, and says the rates either way.
func (b *rateBook) judge(f *Finding, o *commerce.Order) {
	group := ""
	for _, name := range groupsOf(o, o.Failure.Message()) {
		if group == "" && b.groups[name] != nil {
			group = name
		}
	}
	key := saidFor{window: f.window.ID, group: group, planned: f.where == outsideSeen}
	known, ok := b.said.Load(key)
	if !ok {
		known, _ = b.said.LoadOrStore(key, b.weigh(f.window, group))
	}
	found, _ := known.(*rateFinding)
	f.Evidence = append(f.Evidence, found.evidence...)
	if found.steady {
		f.weaken()
	}
}

// weigh says how the rates of a window compare with those beside it.
func (b *rateBook) weigh(w maintenance.Window, group string) *rateFinding {
	i, j, ok := b.stepsOf(w)
	if !ok {
		return &rateFinding{evidence: []Evidence{b.evidence(w, "the rate of failures was not measured for this window")}}
	}
	found := &rateFinding{}
	all := b.around(b.all, i, j)
	if t := b.groups[group]; t != nil {
		of := b.around(t, i, j)
		found.steady = of.steady()
		text := fmt.Sprintf("failures still open of %s: %s", group, of)
		if found.steady {
			text += ": it fails all the time, which speaks against the window"
		}
		found.evidence = append(found.evidence, b.evidence(w, text))
	}
	text := fmt.Sprintf("failures still open of all: %s", all)
	rose, active := b.together(i, j)
	switch {
	case active > 1 && all.rose() && 2*rose >= active:
		text += fmt.Sprintf("; %d of %d products and sellers failed more than usual together, which speaks for the window",
			rose, active)
	case active > 1:
		text += fmt.Sprintf("; %d of %d products and sellers failed more than usual", rose, active)
	}
	found.evidence = append(found.evidence, b.evidence(w, text))
	return found
}

func (b *rateBook) evidence(w maintenance.Window, text string) Evidence {
	return Evidence{Kind: "rate", Text: text, Ref: w.ID}
}

// stepsOf are the steps that a window with its margins touches, cut to those that
// were counted and have begun.
func (b *rateBook) stepsOf(w maintenance.Window) (from, to int, ok bool) {
	last := b.last()
	span := w.Span()
	first := math.Floor(float64(span.Start.Add(-b.margins.Lead).Sub(b.from)) / float64(b.step))
	end := float64(last)
	if !span.End.IsZero() {
		end = min(end, math.Ceil(float64(span.End.Add(b.margins.Tail).Sub(b.from))/float64(b.step)))
	}
	from, to = int(max(first, 0)), int(max(end, 0))
	return from, to, from < to
}

// last is how many steps have begun.
func (b *rateBook) last() int {
	steps := len(b.calm) - 1
	if b.now.IsZero() {
		return steps
	}
	return min(steps, int(max(0, b.now.Sub(b.from))/b.step)+1)
}

// around compares the steps of a window with a day of calm ones on each side.
func (b *rateBook) around(t *tally, i, j int) around {
	beside := int(ratesBeside / b.step)
	calm := func(from, to int) rate {
		return rate{n: int(t.calm[to] - t.calm[from]), in: time.Duration(b.calm[to]-b.calm[from]) * b.step}
	}
	return around{
		before: calm(max(0, i-beside), i),
		in:     rate{n: int(t.any[j] - t.any[i]), in: time.Duration(j-i) * b.step},
		after:  calm(j, max(j, min(b.last(), j+beside))),
	}
}

// together counts the groups that failed in the window, and those of them that did
// so more than usual.
func (b *rateBook) together(i, j int) (rose, active int) {
	for _, t := range b.groups {
		a := b.around(t, i, j)
		if a.in.n > 0 {
			active++
		}
		if a.rose() {
			rose++
		}
	}
	return rose, active
}
