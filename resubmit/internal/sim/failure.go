package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Violation is one broken rule.
type Violation struct {
	// Rule is the invariant of resubmit/SAFETY.md#invariants, such as "I4", "end" for a run that does not end,
	// "lost" for an order that was not done, "pause", "credentials", or "world" for an error of the simulator.
	Rule  string
	Order string // number of the order; "": the violation is not about one order
	Text  string
	At    time.Duration // since the start of the program
}

// String is the violation in one line.
func (v Violation) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s: %s %s", v.Rule, v.Order, v.Text))
}

// Failure is the shortest history found in which a rule is broken.
type Failure struct {
	Seed       uint64
	Violations []Violation
	// World lists what the world needs for it, and History what happened.
	World   []string
	History []string
	// Command replays the world, before it was shortened.
	Command string
}

// Breaks reports whether a rule was broken.
func (f *Failure) Breaks(rule string) bool {
	return slices.ContainsFunc(f.Violations, func(v Violation) bool { return v.Rule == rule })
}

// String returns everything, for a test log.
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
	b.WriteString("history:\n")
	for _, line := range f.History {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	fmt.Fprintf(&b, "replay: %s", f.Command)
	return b.String()
}

// Counts is how often each event happened, by its name.
type Counts map[string]int

func (c Counts) add(other Counts) {
	for k, n := range other {
		c[k] += n
	}
}

// String is a table of all events, sorted by name.
func (c Counts) String() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&b, "%10d  %s\n", c[k], k)
	}
	return b.String()
}
