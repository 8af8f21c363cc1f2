package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
)

const (
	// maxReplays bounds the search for a shorter history.
	maxReplays = 300
	// maxRetries is how often a world is replayed until it breaks a rule again, which can depend on the scheduler.
	maxRetries = 20
)

// shortest leaves out of a scenario what it can while the same rule is still broken. broken are the violations of its
// first run, for the case that no replay has one.
func shortest(t *testing.T, cfg *Config, s *scenario, broken []Violation) *Failure {
	var found result
	for range 1 + maxRetries {
		if found = simulate(t, cfg, s, false); len(found.violations) > 0 {
			break
		}
	}
	f := &Failure{Seed: s.seed, Command: cfg.Command + fmt.Sprint(s.seed)}
	if len(found.violations) == 0 {
		f.World = s.describe()
		f.Violations = append(slices.Clone(broken),
			Violation{Rule: "world", Text: fmt.Sprintf("no violation in %d replays", 1+maxRetries)})
		return f
	}
	rule := found.violations[0].Rule
	left := cmp.Or(cfg.replays, maxReplays)
	breaks := func(c *scenario) bool {
		left--
		o := simulate(t, cfg, c, false)
		return slices.ContainsFunc(o.violations, func(v Violation) bool { return v.Rule == rule })
	}
	for smaller := true; smaller && left > 0; {
		smaller = false
		for _, c := range s.smaller() {
			if left > 0 && breaks(c) {
				s, smaller = c, true
				break
			}
		}
	}
	o := simulate(t, cfg, s, true)
	if len(o.violations) == 0 {
		o.violations = found.violations
	}
	f.Violations, f.World, f.History = o.violations, s.describe(), upToTheLast(o.history)
	return f
}

// upToTheLast leaves out what happened after the last violation.
func upToTheLast(history []string) []string {
	for i := range slices.Backward(history) {
		if strings.Contains(history[i], violated) {
			if left := len(history) - i - 1; left > 0 {
				return append(slices.Clone(history[:i+1]), fmt.Sprintf("and %d more", left))
			}
			break
		}
	}
	return history
}

// smaller are the scenarios with one thing less, the largest things first.
func (s *scenario) smaller() []*scenario {
	var all []*scenario
	add := func(change func(*scenario)) {
		c := *s
		change(&c)
		all = append(all, &c)
	}
	if len(s.faults) > 1 {
		add(func(c *scenario) { c.faults = nil })
	}
	if len(s.actions) > 1 {
		add(func(c *scenario) { c.actions = nil })
	}
	if len(s.orders) > 2 {
		half := len(s.orders) / 2
		add(func(c *scenario) { c.orders = s.orders[:half] })
		add(func(c *scenario) { c.orders = s.orders[half:] })
	}
	if len(s.orders) > 1 {
		all = append(all, shorten(s, func(c *scenario) *[]orderSpec { return &c.orders })...)
	}
	all = append(all, shorten(s, func(c *scenario) *[]windowSpec { return &c.windows })...)
	all = append(all, shorten(s, func(c *scenario) *[]stormSpec { return &c.storms })...)
	all = append(all, shorten(s, func(c *scenario) *[]actionSpec { return &c.actions })...)
	all = append(all, shorten(s, func(c *scenario) *[]faultSpec { return &c.faults })...)
	all = append(all, shorten(s, func(c *scenario) *[]crashSpec { return &c.crashes })...)
	all = append(all, shorten(s, func(c *scenario) *[]malformedSpec { return &c.malformed })...)
	all = append(all, shorten(s, func(c *scenario) *[]unattributedSpec { return &c.unattributed })...)
	all = append(all, shorten(s, func(c *scenario) *[]denialSpec { return &c.denials })...)
	all = append(all, shorten(s, func(c *scenario) *[]panicSpec { return &c.panics })...)
	if s.ties {
		add(func(c *scenario) { c.ties = false })
	}
	if s.staleReads > 0 {
		add(func(c *scenario) { c.staleReads = 0 })
	}
	all = append(all, shorten(s, func(c *scenario) *[]suspendSpec { return &c.suspensions })...)
	if len(s.programs) > 1 {
		all = append(all, shorten(s, func(c *scenario) *[]programSpec { return &c.programs })...)
	}
	for i := range s.programs {
		for _, change := range simpler(&s.programs[i]) {
			add(func(c *scenario) {
				c.programs = slices.Clone(s.programs)
				change(&c.programs[i])
			})
		}
	}
	if s.slowPuts > 0 {
		add(func(c *scenario) { c.slowPuts = 0 })
	}
	if len(s.rules) > 0 {
		add(func(c *scenario) { c.rules = nil })
	}
	return all
}

// simpler are the changes that make a program simpler.
func simpler(g *programSpec) (all []func(*programSpec)) {
	if g.filter != nil {
		all = append(all, func(g *programSpec) { g.filter = nil })
	}
	if g.plans > 1 && g.loss == nil {
		all = append(all, func(g *programSpec) { g.plans-- })
	}
	if g.loss != nil {
		all = append(all, func(g *programSpec) { g.loss = nil })
	}
	if g.swap != nil {
		all = append(all, func(g *programSpec) { g.swap = nil })
	}
	if len(g.named) > 0 {
		all = append(all, func(g *programSpec) { g.named = nil })
	}
	return all
}

// shorten are the scenarios in which a list has one element less.
func shorten[T any](s *scenario, list func(*scenario) *[]T) (all []*scenario) {
	elements := *list(s)
	for i := range elements {
		c := *s
		*list(&c) = slices.Concat(elements[:i], elements[i+1:])
		all = append(all, &c)
	}
	return all
}

// describe lists what is in a scenario, one line each.
func (s *scenario) describe() []string {
	l := &s.limits
	lines := []string{
		fmt.Sprintf("limits: guard %v, settle delay %v, %v calls per second, concurrency %d, %d deferrals, verify %+v",
			l.Guard, l.SettleDelay, l.RateLimit, l.Concurrency, l.MaxDeferrals, l.Verify),
		fmt.Sprintf("canary %v, breaker %+v, probe %t, retry %+v, %d resubmissions", l.Canary.Steps, l.Breaker, s.probe,
			l.Retry, l.Policy.WithDefaults().MaxResubmissions),
		"API: " + string(s.api),
	}
	if s.staleReads > 0 {
		lines = append(lines, fmt.Sprintf("reads are stale for %v after a push", s.staleReads))
	}
	if s.slowPuts > 0 {
		lines = append(lines, fmt.Sprintf("journal writes take up to %v", s.slowPuts))
	}
	lines = appendAll(lines, s.programs)
	lines = appendAll(lines, s.orders)
	lines = appendAll(lines, s.windows)
	lines = appendAll(lines, s.faults)
	lines = appendAll(lines, s.storms)
	lines = appendAll(lines, s.actions)
	lines = appendAll(lines, s.crashes)
	lines = appendAll(lines, s.suspensions)
	if s.ties {
		lines = append(lines, fmt.Sprintf("both systems return equal rows in a new order each time, %d requests per page",
			s.tiesPage))
	}
	if s.wholeSeconds {
		lines = append(lines, "the clock of Connect has whole seconds")
	}
	lines = appendAll(lines, s.malformed)
	lines = appendAll(lines, s.unattributed)
	lines = appendAll(lines, s.denials)
	return appendAll(lines, s.panics)
}

func appendAll[T fmt.Stringer](lines []string, elements []T) []string {
	for _, e := range elements {
		lines = append(lines, e.String())
	}
	return lines
}
