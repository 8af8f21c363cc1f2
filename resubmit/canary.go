package resubmit

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// CanaryConfig configures the canary: a few orders of each group are pushed first. A group is pushed
// in steps. A step starts when all orders of the steps before it are judged and enough of them are
// good. After the last step the group has no limit. A group with too many bad orders stops: its
// other orders are skipped, and other groups continue. Zero fields have the defaults.
//
// An order is good if it completes, or if it has left its failure and is in progress in Connect
// after Verify.HealthyAfter, since a vendor may take days. It is bad if it fails again, if Connect does
// not confirm it, if Commerce refuses the push, or if its outcome is unknown. An order that was
// already moved and is not pushed does not count.
//
// A resumed run counts the orders that the journal records as pushed, so that it continues at the
// same step. A stopped group stays stopped: make another plan when the cause is fixed.
type CanaryConfig struct {
	// Steps are the numbers of orders of a group that are pushed in each step. Default 1, 2, 5,
	// 20, 50. Empty, but not nil, is no canary.
	Steps []int
	// MinSuccessRatio is the fraction of a group's orders so far that must be good before more are
	// pushed. Default 0.8.
	MinSuccessRatio float64
	// Group returns the name of the group of an order. Each group takes some hundred bytes for the
	// whole run. Default: the account that sold the order and the class of its failure.
	Group func(*plan.Entry) string
}

// CanaryStatus is the progress of one canary group.
type CanaryStatus struct {
	Group string `json:"group"`
	// Limit is how many orders of the group may be pushed now; -1 is all of them.
	Limit int `json:"limit"`
	// Pushed counts the orders that were released for a push while there was a limit, Good and Bad
	// those of them that were judged.
	Pushed int `json:"pushed"`
	Good   int `json:"good"`
	Bad    int `json:"bad"`
	// Waiting counts the orders in memory that wait for the next step.
	Waiting int `json:"waiting,omitempty"`
	// Stopped is why the other orders of the group are skipped; "" if they are not.
	Stopped string `json:"stopped,omitempty"`
}

// DefaultCanarySteps returns the numbers of orders of a group that are pushed in each canary step.
func DefaultCanarySteps() []int { return []int{1, 2, 5, 20, 50} }

func (c CanaryConfig) withDefaults() CanaryConfig {
	if c.Steps == nil {
		c.Steps = DefaultCanarySteps()
	}
	c.Steps = slices.Clone(c.Steps)
	c.MinSuccessRatio = cmp.Or(c.MinSuccessRatio, 0.8)
	return c
}

// groupOf returns the group of an order.
func (c *CanaryConfig) groupOf(e *plan.Entry) string {
	if c.Group != nil {
		return c.Group(e)
	}
	return groupName(e.VendorAccountID, e.Attribution.Class)
}

// groupName returns the default group.
func groupName(vendor string, class failure.Class) string {
	return cmp.Or(vendor, "unknown vendor") + ", " + string(class)
}

func (c CanaryConfig) validate(bad func(string, ...any)) {
	for _, n := range c.Steps {
		if n < 1 {
			bad("Config.Canary.Steps is %v; give counts of at least 1, nil for the default or none at all for no canary",
				c.Steps)
			break
		}
	}
	if !(c.MinSuccessRatio >= 0 && c.MinSuccessRatio <= 1) {
		bad("Config.Canary.MinSuccessRatio is %v; give a share up to 1, or 0 for the default", c.MinSuccessRatio)
	}
}

// canary is the canary of one run. The lock of the run guards it. The outcomes are judged in
// canaryjudge.go.
type canary struct {
	cfg    CanaryConfig
	limits []int // how many orders may be pushed up to the end of each step
	groups map[string]*ramp
	events *events
	// queued counts the open orders that may have to wait; at most it is most.
	queued, most int
}

// ramp is the progress of one group.
type ramp struct {
	name      string
	step      int
	pushed    int
	good, bad int
	parked    []*job
	open      bool   // there is no limit any more
	stopped   string // why no more orders are pushed
	queued    int
	left      bool // an order was left out because of this group
}

// climbs reports whether the group is still in its steps.
func (r *ramp) climbs() bool { return !r.open && r.stopped == "" }

func newCanary(cfg CanaryConfig, most int, events *events) *canary {
	c := &canary{cfg: cfg, groups: make(map[string]*ramp), most: most, events: events}
	sum := 0
	for _, n := range cfg.Steps {
		sum += n
		c.limits = append(c.limits, sum)
	}
	return c
}

func (c *canary) group(j *job) *ramp {
	if j.ramp == nil {
		j.ramp = c.ramp(j.group)
	}
	return j.ramp
}

func (c *canary) ramp(name string) *ramp {
	r := c.groups[name]
	if r == nil {
		r = &ramp{name: name, open: len(c.limits) == 0}
		c.groups[name] = r
	}
	return r
}

// full reports whether an order would have to wait although enough orders wait: those of all groups
// together, or as many of its own group as its steps take.
func (c *canary) full(j *job) bool {
	r := c.group(j)
	if !c.crowded(r) {
		return false
	}
	r.left = true
	return true
}

// crowded reports whether no further order of a group may be opened that could wait.
func (c *canary) crowded(r *ramp) bool {
	return r.climbs() && (r.queued >= c.enough() || c.queued >= c.most)
}

func (c *canary) enough() int { return c.limits[len(c.limits)-1] }

// roomy reports whether an order that was left out could be opened now.
func (c *canary) roomy() bool {
	for _, r := range c.groups {
		if r.left && (!r.climbs() || r.queued <= c.enough()/2 && c.queued <= c.most/2) {
			return true
		}
	}
	return false
}

func (c *canary) forgetLeft() {
	for _, r := range c.groups {
		r.left = false
	}
}

// enter counts an order that was opened.
func (c *canary) enter(j *job) {
	if r := c.group(j); r.climbs() {
		j.queued = true
		r.queued++
		c.queued++
	}
}

// unqueue reverses enter.
func (c *canary) unqueue(j *job) {
	if j.queued && j.ramp.climbs() {
		j.ramp.queued--
		c.queued--
	}
	j.queued = false
}

// allow reports whether an order may be pushed now. Otherwise it is parked, unless its group is stopped.
func (c *canary) allow(j *job) (goes bool) {
	r := j.ramp
	if j.released {
		return true
	}
	c.climb(r)
	switch {
	case r.stopped != "":
		c.unqueue(j)
		return false
	case r.climbs() && r.pushed >= c.limits[r.step]:
		r.parked = append(r.parked, j)
		return false
	}
	c.release(j)
	return true
}

// release counts an order that is pushed now, or was pushed by an earlier run.
func (c *canary) release(j *job) {
	c.unqueue(j)
	j.released = true
	if j.ramp.climbs() {
		j.ramp.pushed++
	}
}

// climb advances a group as far as the judgments of its orders allow.
func (c *canary) climb(r *ramp) {
	for r.climbs() {
		limit, judged := c.limits[r.step], r.good+r.bad
		if float64(r.bad) > (1-c.cfg.MinSuccessRatio)*float64(max(limit, judged))+1e-9 {
			c.end(r, func() {
				r.stopped = fmt.Sprintf(
					"the canary of %q stopped: %d of the first %d orders were bad, and at least %.0f %% must be good",
					r.name, r.bad, judged, 100*c.cfg.MinSuccessRatio)
			})
			return
		}
		if judged < limit {
			return
		}
		if r.step+1 < len(c.limits) {
			r.step++
			c.events.emit(CanaryChange{c.status(r)})
			continue
		}
		c.end(r, func() { r.open = true })
	}
}

func (c *canary) end(r *ramp, how func()) {
	c.queued -= r.queued
	r.queued = 0
	how()
	c.events.emit(CanaryChange{c.status(r)})
}

// judge counts the health of an order, which replaces an earlier judgment, and returns the parked
// orders that may be pushed now, and those that must not be pushed any more.
func (c *canary) judge(j *job, v health) (ready, stopped []*job) {
	r := j.ramp
	if r == nil || !j.released || !r.climbs() {
		return nil, nil
	}
	r.count(j.health, -1)
	r.count(v, 1)
	if j.health = v; v == unknownHealth {
		r.pushed--
		j.released = false
	}
	if j.ended && len(r.parked) == 0 {
		// Records of earlier runs are read in any order, so they count together.
		return nil, nil
	}
	return c.advance(r)
}

// recount counts an order that an earlier run has finished, as release and judge do one after the
// other.
func (c *canary) recount(r *ramp, v health) (ready, stopped []*job) {
	if !r.climbs() {
		return nil, nil
	}
	if r.count(v, 1); v != unknownHealth {
		r.pushed++
	}
	if len(r.parked) == 0 {
		return nil, nil
	}
	return c.advance(r)
}

// advance advances a group and returns its parked orders that may be pushed now, and those that must
// not be pushed any more.
func (c *canary) advance(r *ramp) (ready, stopped []*job) {
	c.climb(r)
	if r.stopped != "" {
		stopped, r.parked = r.parked, nil
		return nil, stopped
	}
	for len(r.parked) > 0 && (r.open || r.pushed < c.limits[r.step]) {
		c.release(r.parked[0])
		ready, r.parked = append(ready, r.parked[0]), r.parked[1:]
	}
	return ready, nil
}

func (r *ramp) count(v health, n int) {
	switch v {
	case good:
		r.good += n
	case bad:
		r.bad += n
	case unknownHealth:
	}
}

// admit reports whether the canary allows an order to be pushed now.
func (x *run) admit(j *job) (n next, goes bool) {
	if x.waitsForOthers(j) {
		select {
		case <-x.filled:
		case <-j.ctx.Done():
		}
	}
	if x.stopping() {
		return x.unstarted(j), false
	}
	x.mu.Lock()
	goes = x.canary.allow(j)
	stopped := j.ramp.stopped
	parked := !goes && stopped == ""
	late := parked && x.stopping() // the parked orders may have been freed already
	x.room.Signal()
	x.mu.Unlock()
	switch {
	case goes:
		return nextAgain, true
	case late:
		x.freeParked()
		return nextParked, false
	case parked:
		return nextParked, false
	default:
		return x.leave(j, stopped), false
	}
}

// waitsForOthers reports whether an order must wait until younger ones that an earlier run has pushed
// are counted.
func (x *run) waitsForOthers(j *job) bool {
	if !x.resumed || j.released {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return j.ramp.climbs()
}

// recount counts an order that an earlier run has pushed and that was not counted before.
func (x *run) recount(j *job) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if j.recalled && !j.released && j.ramp.climbs() {
		x.canary.release(j)
	}
}

// freeParked makes all parked orders ready, because the run ends.
func (x *run) freeParked() {
	x.mu.Lock()
	all := x.canary.unpark()
	x.mu.Unlock()
	for _, j := range all {
		x.ready <- j
	}
}

// unpark removes and returns all parked orders.
func (c *canary) unpark() (all []*job) {
	for _, r := range c.groups {
		all = append(all, r.parked...)
		r.parked = nil
	}
	return all
}

func (c *canary) status(r *ramp) CanaryStatus {
	limit := -1
	if r.climbs() {
		limit = c.limits[r.step]
	}
	return CanaryStatus{
		Group: r.name, Limit: limit, Pushed: r.pushed, Good: r.good, Bad: r.bad, Waiting: len(r.parked), Stopped: r.stopped,
	}
}

// view lists the groups by name; nil without a canary.
func (c *canary) view() []CanaryStatus {
	if len(c.limits) == 0 {
		return nil
	}
	list := make([]CanaryStatus, 0, len(c.groups))
	for _, r := range c.groups {
		list = append(list, c.status(r))
	}
	slices.SortFunc(list, func(a, b CanaryStatus) int { return cmp.Compare(a.Group, b.Group) })
	return list
}
