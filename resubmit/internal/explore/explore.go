package explore

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Result says what was explored.
type Result struct {
	// States and Steps count the different states and the events between them.
	States, Steps int
	// Depth is the number of events up to which all states were explored.
	Depth int
	// Complete means that there are no other states. Ends are then the states in which everything has
	// ended, if Config.Ends is set.
	Complete bool
	Ends     []string
	Elapsed  time.Duration
	// Violation is a shortest way to break an invariant; nil if none was found.
	Violation *Violation
}

func (r Result) String() string {
	text := fmt.Sprintf("%d states, %d steps, depth %d, %s", r.States, r.Steps, r.Depth, r.Elapsed.Round(time.Millisecond))
	if r.Complete {
		text += ", all states"
	}
	if r.Violation != nil {
		text += "\n" + r.Violation.String()
	}
	return text
}

// Violation is a shortest sequence of events that breaks an invariant.
type Violation struct {
	Broken []Breach
	// Events are the events, and what followed from them, one a line. Depth counts the events.
	Events []string
	Depth  int
}

// Breach is an invariant that is broken, such as "I5" (resubmit/SAFETY.md#invariants), and how.
type Breach struct{ Invariant, Why string }

func (v *Violation) String() string {
	var b strings.Builder
	for _, broken := range v.Broken {
		fmt.Fprintf(&b, "%s is broken after %d events: %s\n", broken.Invariant, v.Depth, broken.Why)
	}
	return b.String() + strings.Join(v.Events, "\n")
}

// search is a breadth-first search.
type search struct {
	cfg     *Config
	hasher  *hasher
	indexes map[key]int32
	count   int32   // of the states
	parents []int32 // of each state
	by      []event // the event that led to it
	edges   []edge  // kept if cfg.liveness
	finals  []int32
	result  Result
}

type edge struct{ from, to int32 }

// node is a state that is to be expanded. Its world is nil if there are too many to keep them in memory.
type node struct {
	world *world
	index int32
}

// Explore explores all states up to a depth, breadth first, and stops at the first violation.
func Explore(ctx context.Context, cfg Config) (Result, error) {
	if err := cfg.prepare(); err != nil {
		return Result{}, err
	}
	s := &search{cfg: &cfg, hasher: newHasher(), indexes: map[key]int32{}}
	start := time.Now()
	first := newWorld(&cfg)
	s.add(first, -1, event{})
	level := []node{{first, 0}}
	for len(level) > 0 && s.result.Depth != cfg.MaxDepth {
		next, done := s.level(ctx, level)
		if !done {
			break
		}
		level = next
		if len(level) > 0 {
			s.result.Depth++
		}
	}
	s.result.Complete = len(level) == 0 && s.result.Violation == nil
	if s.result.Complete {
		s.checkEnds()
	}
	s.result.States, s.result.Elapsed = len(s.parents), time.Since(start)
	return s.result, ctx.Err()
}

// level expands the states of a level and returns the next one. It reports whether it has expanded all of them.
func (s *search) level(ctx context.Context, level []node) (next []node, done bool) {
	for i := range level {
		if ctx.Err() != nil || len(s.parents) >= s.cfg.MaxStates {
			return nil, false
		}
		next = s.expand(level[i], next)
		level[i].world = nil
		if s.result.Violation != nil {
			return nil, false
		}
	}
	return next, true
}

// add adds a state and returns its index, and whether it is new.
func (s *search) add(w *world, parent int32, by event) (index int32, isNew bool) {
	k := s.hasher.key(w)
	if i, ok := s.indexes[k]; ok {
		return i, false
	}
	index = s.count
	s.count++
	s.indexes[k] = index
	s.parents, s.by = append(s.parents, parent), append(s.by, by)
	return index, true
}

// expand adds the states that follow a state.
func (s *search) expand(n node, next []node) []node {
	progress := false
	if n.world == nil {
		n.world = s.replay(n.index)
	}
	for _, e := range n.world.events(nil) {
		fault := n.world.fault(e)
		w := n.world.clone()
		w.apply(e)
		s.result.Steps++
		progress = progress || !fault
		if len(w.broken) > 0 {
			s.violate(n.index, w.broken, e)
			return next
		}
		index, isNew := s.add(w, n.index, e)
		if s.cfg.Ends && !fault && index != n.index {
			s.edges = append(s.edges, edge{n.index, index})
		}
		if isNew {
			if len(next) >= s.cfg.maxWorlds {
				w = nil
			}
			next = append(next, node{w, index})
		}
	}
	switch final := n.world.final(); {
	case final && s.cfg.Ends:
		s.finals = append(s.finals, n.index)
		if end := n.world.end(); !slices.Contains(s.result.Ends, end) {
			s.result.Ends = append(s.result.Ends, end)
		}
	case !final && !progress:
		s.violate(n.index, []Breach{{"I19", "nothing can follow, and not all orders have ended"}})
	}
	return next
}

// final reports whether everything has ended, and a new plan would send nothing.
func (w *world) final() bool {
	if len(w.wire) > 0 || w.procs[0].running || w.procs[1].running {
		return false
	}
	for p := range w.cfg.Processes {
		if pl := w.planOf(p); !w.knows(*w.anchor(p)) || pl.run != "" && w.knows(pl.position) && !w.cfg.SamePlan {
			return false // a plan is to be applied
		}
		for o := range w.cfg.Orders {
			if w.orders[o].status == processing {
				return false
			}
			if w.cfg.Filters[p]&(1<<o) != 0 && w.decide(o, &plan{}, false) == "" {
				return false
			}
		}
	}
	return true
}

// end describes a state in which everything has ended.
func (w *world) end() string {
	var b strings.Builder
	for o := range w.cfg.Orders {
		fmt.Fprintf(&b, "%s is %s, text %d", orderNames[o], w.orders[o].status, w.orders[o].text)
		if rec := w.journal.orders[o].Order; rec != nil {
			fmt.Fprintf(&b, ", recorded as %s %s", rec.Phase, rec.Outcome)
		}
		b.WriteString("; ")
	}
	if l := w.journal.lane.Lane; l != nil && l.Order != "" {
		fmt.Fprintf(&b, "%s has the lane, blocked: %t", l.Order, l.Blocked)
	}
	return b.String()
}

// checkEnds requires that each state leads to an end if nothing fails any more.
func (s *search) checkEnds() {
	if !s.cfg.Ends {
		return
	}
	back := make([][]int32, len(s.parents))
	for _, e := range s.edges {
		back[e.to] = append(back[e.to], e.from)
	}
	reached := make([]bool, len(s.parents))
	queue := s.finals
	for _, i := range queue {
		reached[i] = true
	}
	for len(queue) > 0 {
		i := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, from := range back[i] {
			if !reached[from] {
				reached[from] = true
				queue = append(queue, from)
			}
		}
	}
	for i := range s.count {
		if !reached[i] {
			s.violate(i, []Breach{{"I19", "from here no end can be reached, even if nothing fails any more"}})
			return
		}
	}
}

// violate reports a violation with the events that led to a state, and a last one.
func (s *search) violate(index int32, broken []Breach, last ...event) {
	events := append(s.events(index), last...)
	v := &Violation{Broken: broken, Depth: len(events)}
	w := newWorld(s.cfg)
	w.trace = func(text string) { v.Events = append(v.Events, text) }
	for i, e := range events {
		v.Events = append(v.Events, fmt.Sprintf("%2d. %s", i+1, w.describe(e)))
		w.apply(e)
	}
	s.result.Violation = v
}

// replay returns a state.
func (s *search) replay(index int32) *world {
	w := newWorld(s.cfg)
	for _, e := range s.events(index) {
		w.apply(e)
	}
	return w
}

// events returns the events that led to a state.
func (s *search) events(index int32) []event {
	var events []event
	for i := index; s.parents[i] >= 0; i = s.parents[i] {
		events = append(events, s.by[i])
	}
	slices.Reverse(events)
	return events
}
