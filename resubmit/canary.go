package resubmit

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// CanaryConfig configures the canary: a few orders of each group are pushed first. The orders of one
// vendor, type and reason class are a group. A group of at least five orders is pushed in steps. A step starts when all
// orders of the steps before it are judged and enough of them are good. After the last step the group
// has no limit. Zero fields have the defaults.
//
// An order is good if it completes, or if it has left its failure and is in progress in Connect
// after Verify.HealthyAfter, since a vendor may take days. It is bad if it fails again, if Connect does
// not confirm it, or if Commerce refuses the push. An order without such a verdict after the settle delay is set
// aside, and another one takes its place.
//
// A group stops when at least two orders of different customers are bad, fewer than MinSuccessRatio are
// good, and at least five were tried or none was good. It also stops when three orders were set aside. Its other orders
// are not started, and other groups continue. Of a group with a single customer, any two orders can be bad.
//
// A resumed run counts the orders that it has pushed before, so that it continues at the same step.
type CanaryConfig struct {
	// Steps are the numbers of orders of a group that are pushed in each step. Default 1, 2, 5,
	// 20, 50. Empty, but not nil, is no canary.
	Steps []int
	// MinSuccessRatio is the fraction of a group's orders so far that must be good before more are
	// pushed. Default 0.8.
	MinSuccessRatio float64
}

// CanaryStatus is the progress of one canary group.
type CanaryStatus struct {
	Group string `json:"group"`
	// Limit is how many orders of the group may be tried now; -1 is all of them.
	Limit int `json:"limit"`
	// Tried counts the orders that were tried while there was a limit, Good and Bad those of them
	// that were judged. SetAside counts the orders without a verdict, which are not in Tried.
	Tried    int `json:"tried"`
	Good     int `json:"good"`
	Bad      int `json:"bad"`
	SetAside int `json:"setAside,omitempty"`
	// Stopped is why the other orders of the group are not started; "" if they are.
	Stopped string `json:"stopped,omitempty"`
}

func (c CanaryConfig) withDefaults() CanaryConfig {
	if c.Steps == nil {
		c.Steps = []int{1, 2, 5, 20, 50}
	}
	c.Steps = slices.Clone(c.Steps)
	c.MinSuccessRatio = cmp.Or(c.MinSuccessRatio, 0.8)
	return c
}

func (c CanaryConfig) validate(bad func(string, ...any)) {
	for _, n := range c.Steps {
		if n < 1 || n > mostCount {
			bad("Config.Canary.Steps is %v; give counts of at least 1, nil for the default or none at all for no canary",
				c.Steps)
			break
		}
	}
	if !(c.MinSuccessRatio >= 0 && c.MinSuccessRatio <= 1) {
		bad("Config.Canary.MinSuccessRatio is %v; give a share up to 1, or 0 for the default", c.MinSuccessRatio)
	}
}

// canary decides how many orders of each group may be pushed. The lock of the scheduler guards it.
type canary struct {
	cfg    CanaryConfig
	limits []int // how many orders are tried up to the end of each step
	groups []canaryGroup
	events *events
}

// canaryGroup is the progress of one group.
type canaryGroup struct {
	name    string
	step    int
	extra   int // orders beyond the step, because too few were good
	tried   int // orders that may be pushed or were, without those set aside
	good    int
	bad     int
	aside   int
	done    bool   // there is no limit any more
	stopped string // why no more orders are pushed
	// customers has the customers of the orders that were tried, bads those of the bad ones.
	customers, bads map[uint32]bool
	distinct        int // customers of the whole group, counted up to 2
}

const (
	// canaryMin is how many orders a group must have to have steps, and how many must be tried to stop it unless none
	// was good.
	canaryMin = 5
	// canaryAside is how many orders without a verdict stop a group.
	canaryAside = 3
)

func newCanary(cfg CanaryConfig, index *plan.Index, events *events) *canary {
	c := &canary{cfg: cfg, events: events, groups: make([]canaryGroup, len(index.Groups()))}
	sum := 0
	for _, n := range cfg.Steps {
		sum += n
		c.limits = append(c.limits, sum)
	}
	sizes, first := make([]int, len(c.groups)), make([]uint32, len(c.groups))
	for i := range index.Len() {
		g := index.Group(i)
		if sizes[g]++; sizes[g] == 1 {
			first[g], c.groups[g].distinct = index.Customer(i), 1
		} else if index.Customer(i) != first[g] {
			c.groups[g].distinct = 2
		}
	}
	for i, name := range index.Groups() {
		g := &c.groups[i]
		g.name = groupName(name)
		g.done = len(c.limits) == 0 || sizes[i] < canaryMin
		g.customers, g.bads = make(map[uint32]bool), make(map[uint32]bool)
	}
	return c
}

// groupName returns the name of a group, such as "VA-000-000, SO, transient".
func groupName(g plan.Group) string {
	return cmp.Or(g.VendorAccountID, "unknown vendor") + ", " + string(g.Type) + ", " + string(g.Class)
}

// climbs reports whether the group is still in its steps.
func (g *canaryGroup) climbs() bool { return !g.done && g.stopped == "" }

// allows reports whether another order of a group may be tried.
func (c *canary) allows(g *canaryGroup) bool {
	return g.done || g.stopped != "" || g.tried < c.limit(g)
}

func (c *canary) limit(g *canaryGroup) int { return c.limits[g.step] + g.extra }

// steps returns how many steps a group of some size has before it.
func (c *canary) steps(g *canaryGroup, size int) (n int) {
	for _, limit := range c.limits[g.step:] {
		if n++; limit >= size {
			break
		}
	}
	return n
}

// try counts an order that is tried.
func (g *canaryGroup) try(customer uint32) {
	if g.climbs() {
		g.tried++
		g.customers[customer] = true
	}
}

// Health is what an order says about its group for the canary: that it is well, that it is not, or nothing; "" as long
// as that is not known. Its values are opaque: give them to [Session.Ready].
type Health string

const (
	unjudged Health = ""
	good     Health = "good"
	bad      Health = "bad"
	setAside Health = "setAside" // it has no verdict after a long time, so that another order takes its place
	notTried Health = "notTried" // it was not pushed
)

// judge replaces the health of an order that was tried.
func (c *canary) judge(group int, customer uint32, was, now Health) {
	if g := &c.groups[group]; g.judge(customer, was, now) {
		c.climb(g)
	}
}

// judge reports whether the judgment of an order that was tried has changed and counts.
func (g *canaryGroup) judge(customer uint32, was, now Health) bool {
	if !g.climbs() || was == now {
		return false
	}
	g.count(was, -1)
	g.count(now, 1)
	if now == bad {
		g.bads[customer] = true
	}
	return true
}

func (g *canaryGroup) count(h Health, n int) {
	switch h {
	case good:
		g.good += n
	case bad:
		g.bad += n
	case setAside:
		g.aside += n
		g.tried -= n
	case notTried:
		g.tried -= n
	case unjudged:
	}
}

// climb advances a group as far as the judgments of its orders allow, or stops it.
func (c *canary) climb(g *canaryGroup) {
	for g.climbs() {
		judged := g.good + g.bad
		// Orders that are not judged yet may all be good. They are pushed already, so that there is no hurry.
		many := float64(g.bad) > (1-c.cfg.MinSuccessRatio)*float64(max(judged, c.limit(g)))+1e-9
		switch {
		case g.aside >= canaryAside:
			g.stopped = fmt.Sprintf("the canary of %q stopped: %d of its orders have no result yet", g.name, g.aside)
		case many && g.bad > 1 && len(g.bads) >= min(2, g.distinct) && (judged >= canaryMin || g.good == 0):
			g.stopped = fmt.Sprintf(
				"the canary of %q stopped: %d of the first %d orders were bad, and at least %.0f %% must be good",
				g.name, g.bad, judged, 100*c.cfg.MinSuccessRatio)
		case judged < c.limit(g):
			return
		case many:
			g.extra++
			continue
		case g.step+1 < len(c.limits):
			g.step++
			g.extra = max(0, judged-c.limits[g.step])
		default:
			g.done = true
		}
		c.events.emit(CanaryChange{c.status(g)})
	}
}

func (c *canary) status(g *canaryGroup) CanaryStatus {
	limit := -1
	if g.climbs() {
		limit = c.limit(g)
	}
	return CanaryStatus{
		Group: g.name, Limit: limit, Tried: g.tried, Good: g.good, Bad: g.bad, SetAside: g.aside, Stopped: g.stopped,
	}
}

// view lists the groups by name; nil without a canary.
func (c *canary) view() []CanaryStatus {
	if len(c.limits) == 0 {
		return nil
	}
	list := make([]CanaryStatus, 0, len(c.groups))
	for i := range c.groups {
		list = append(list, c.status(&c.groups[i]))
	}
	slices.SortFunc(list, func(a, b CanaryStatus) int { return cmp.Compare(a.Group, b.Group) })
	return list
}
