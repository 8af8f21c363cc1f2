package sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// mostReplays bounds the search for a shorter history.
const mostReplays = 300

// shortest leaves out of a scenario what it can and the same rule is still broken.
func shortest(t *testing.T, cfg *Config, s *scenario) *Failure {
	found := play(t, cfg, s, false)
	if len(found.wrong) == 0 { // it depended on what the scheduler did
		found = again(t, cfg, s)
	}
	if len(found.wrong) == 0 {
		return &Failure{
			Seed: s.seed, World: s.describe(), Command: cfg.Command + fmt.Sprint(s.seed),
			Violations: []Violation{{Rule: "world", Text: "the violation was not seen again in 20 replays"}},
		}
	}
	rule := found.wrong[0].Rule
	left := cmp.Or(cfg.replays, mostReplays)
	breaks := func(c *scenario) bool {
		left--
		o := play(t, cfg, c, false)
		return slices.ContainsFunc(o.wrong, func(v Violation) bool { return v.Rule == rule })
	}
	for again := true; again && left > 0; {
		again = false
		for _, smaller := range s.smaller() {
			if left > 0 && breaks(smaller) {
				s, again = smaller, true
				break
			}
		}
	}
	o := play(t, cfg, s, true)
	if len(o.wrong) == 0 {
		o.wrong = found.wrong
	}
	return &Failure{
		Seed: s.seed, Violations: o.wrong, World: s.describe(), History: upToTheLast(o.history),
		Command: cfg.Command + fmt.Sprint(s.seed),
	}
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

func again(t *testing.T, cfg *Config, s *scenario) (o outcome) {
	for range 20 {
		if o = play(t, cfg, s, false); len(o.wrong) > 0 {
			break
		}
	}
	return o
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
	if len(s.acts) > 1 {
		add(func(c *scenario) { c.acts = nil })
	}
	if len(s.orders) > 2 {
		half := len(s.orders) / 2
		add(func(c *scenario) { c.orders = s.orders[:half] })
		add(func(c *scenario) { c.orders = s.orders[half:] })
	}
	for i := range s.orders {
		if len(s.orders) > 1 {
			add(func(c *scenario) { c.orders = without(s.orders, i) })
		}
	}
	for i := range s.windows {
		add(func(c *scenario) { c.windows = without(s.windows, i) })
	}
	for i := range s.storms {
		add(func(c *scenario) { c.storms = without(s.storms, i) })
	}
	for i := range s.acts {
		add(func(c *scenario) { c.acts = without(s.acts, i) })
	}
	for i := range s.faults {
		add(func(c *scenario) { c.faults = without(s.faults, i) })
	}
	for i := range s.crashes {
		add(func(c *scenario) { c.crashes = without(s.crashes, i) })
	}
	all = append(all, s.lessTrouble()...)
	if s.stale > 0 {
		add(func(c *scenario) { c.stale = 0 })
	}
	if s.filter != nil {
		add(func(c *scenario) { c.filter = nil })
	}
	if len(s.rules) > 0 {
		add(func(c *scenario) { c.rules = nil })
	}
	return all
}

func without[T any](from []T, i int) []T { return slices.Concat(from[:i], from[i+1:]) }

func (s *scenario) describeLimits() string {
	l := &s.limits
	return fmt.Sprintf("limits: guard %v, settle delay %v, %v calls a second, concurrency %d, %d deferrals, verify %+v, "+
		"canary %v, breaker %+v, probe %t, retry %+v", l.Guard, l.SettleDelay, l.RateLimit, l.Concurrency, l.MaxDeferrals,
		l.Verify, l.Canary.Steps, l.Breaker, s.probe, l.Retry)
}

// describe says what is in a scenario.
func (s *scenario) describe() []string {
	lines := []string{s.describeLimits()}
	if s.way != byOrderManager {
		lines = append(lines, "way in: "+string(s.way))
	}
	if s.stale > 0 {
		lines = append(lines, fmt.Sprintf("readings are old for %v after a push", s.stale))
	}
	if s.filter != nil {
		lines = append(lines, "filter: "+s.filter.String())
	}
	for _, o := range s.orders {
		lines = append(lines, o.String())
	}
	for _, w := range s.windows {
		lines = append(lines, w.String())
	}
	for _, f := range s.faults {
		lines = append(lines, f.String())
	}
	for _, st := range s.storms {
		lines = append(lines, st.String())
	}
	for _, a := range s.acts {
		lines = append(lines, a.String())
	}
	for _, c := range s.crashes {
		lines = append(lines, c.String())
	}
	return append(lines, s.trouble.describe()...)
}
