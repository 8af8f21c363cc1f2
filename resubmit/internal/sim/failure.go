package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Violation is something that a world saw and that must never happen.
type Violation struct {
	// Rule is the invariant of resubmit/SAFETY.md#invariants, as in "I4", or "end" for a run that
	// does not end.
	Rule  string
	Order string // its number; "" when it is about no single one
	Text  string
	At    time.Duration // since the program was first started
}

// String is one line.
func (v Violation) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s: %s %s", v.Rule, v.Order, v.Text))
}

// Failure is the shortest history found in which a rule is broken.
type Failure struct {
	Seed       uint64
	Violations []Violation
	// World describes what of the world is needed for it, and History what happened.
	World   []string
	History []string
	// Command replays the whole world.
	Command string
}

// Broke reports whether a rule was broken.
func (f *Failure) Broke(rule string) bool {
	return slices.ContainsFunc(f.Violations, func(v Violation) bool { return v.Rule == rule })
}

// String tells it all.
func (f *Failure) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d breaks:\n", f.Seed)
	for _, v := range f.Violations {
		fmt.Fprintf(&b, "  %s\n", v)
	}
	b.WriteString("in this world:\n")
	for _, line := range f.World {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	b.WriteString("where this happened:\n")
	for _, line := range f.History {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	fmt.Fprintf(&b, "replay: %s", f.Command)
	return b.String()
}

// Counts are how often something really happened, by its name.
type Counts map[string]int

func (c Counts) add(other Counts) {
	for k, n := range other {
		c[k] += n
	}
}

// countUnder counts one under a lock.
func (c Counts) countUnder(mu *sync.Mutex, what string) {
	mu.Lock()
	defer mu.Unlock()
	c[what]++
}

// String is a table, sorted by name.
func (c Counts) String() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&b, "%10d  %s\n", c[k], k)
	}
	return b.String()
}
