package resubmit

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// Canary lets a few orders go first. A group of orders is pushed in steps, and the
// next step waits until what came of all orders before it is known and enough of
// them did well. After the last step nothing holds the group any more. A group that
// does not do well stops: its other orders are skipped, and those of other groups go
// on. Zero fields take the defaults.
//
// An order does well that completes. An order does too that left its failure and is
// still under way in Connect after Verify.GoodAfter, since a vendor may take days.
// It does not if it fails again, if Connect does not confirm it, if Commerce refuses
// the push, or if nothing is known about it. An order that turns out to be moved
// already, and is not pushed, does not count.
//
// A run that goes on with a journal climbs the steps again by what the journal says
// about the orders that were pushed, so that it begins where it was. A group that was
// stopped stays so: make another plan when what stopped it is mended.
type CanaryConfig struct {
	// Steps are how many orders of a group go in each step. Default 1, 2, 5, 20, 50.
	// Empty, but not nil, is no canary.
	Steps []int
	// MinGood is the share of the orders of a group, of all steps so far, that must do
	// well. Default 0.8.
	MinSuccessRatio float64
	// Group names the group of an order. Each costs some hundred bytes for the whole
	// run. Default: the account that sold it and the class of its failure.
	Group func(*plan.Entry) string
}

// CanaryStatus is how far a group of orders was let go.
type CanaryStatus struct {
	Group string `json:"group"`
	// Limit is how many of its orders may be pushed by now; -1 is all of them.
	Limit int `json:"limit"`
	// Pushed counts its orders that were let go until the limit was lifted, Good and Bad
	// what came of them.
	Pushed int `json:"pushed"`
	Good   int `json:"good"`
	Bad    int `json:"bad"`
	// Waiting are in memory and wait for the next step.
	Waiting int `json:"waiting,omitempty"`
	// Stopped says why the others of the group are skipped; "" when they are not.
	Stopped string `json:"stopped,omitempty"`
}

// DefaultSteps are how many orders of a group go in each step of the canary.
func DefaultSteps() []int { return []int{1, 2, 5, 20, 50} }

func (c CanaryConfig) withDefaults() CanaryConfig {
	if c.Steps == nil {
		c.Steps = DefaultSteps()
	}
	c.Steps = slices.Clone(c.Steps)
	c.MinSuccessRatio = cmp.Or(c.MinSuccessRatio, 0.8)
	return c
}

// groupOf names the group of an order.
func (c *CanaryConfig) groupOf(e *plan.Entry) string {
	if c.Group != nil {
		return c.Group(e)
	}
	return groupName(e.VendorAccountID, e.Attribution.Class)
}

// groupName names a group where the user does not.
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

// canary is the Canary of one run. The lock of the run guards it.
type canary struct {
	cfg    CanaryConfig
	limits []int // how many may be pushed in each step and those before it
	groups map[string]*ramp
	events *events
	// queued counts the orders that were taken in hand and may have to wait. When there
	// are most, no further one is to be taken.
	queued, most int
}

// ramp is one group.
type ramp struct {
	name      string
	step      int
	pushed    int
	good, bad int
	parked    []*job
	open      bool   // no limit any more
	stopped   string // why none may go any more
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

// full reports whether an order would have to wait and enough do: of all groups
// together, or of its own so many as its steps take.
func (c *canary) full(j *job) bool {
	r := c.group(j)
	if !c.crowded(r) {
		return false
	}
	r.left = true
	return true
}

// crowded reports whether no further order of a group may be taken that could wait.
func (c *canary) crowded(r *ramp) bool {
	return r.climbs() && (r.queued >= c.enough() || c.queued >= c.most)
}

func (c *canary) enough() int { return c.limits[len(c.limits)-1] }

// roomy reports whether an order that was left out could be taken now.
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

// enter counts an order that was taken in hand.
func (c *canary) enter(j *job) {
	if r := c.group(j); r.climbs() {
		j.queued = true
		r.queued++
		c.queued++
	}
}

// unqueue ends what enter began.
func (c *canary) unqueue(j *job) {
	if j.queued && j.ramp.climbs() {
		j.ramp.queued--
		c.queued--
	}
	j.queued = false
}

// ask reports whether an order may go now; if not it is parked, unless its group is
// stopped.
func (c *canary) ask(j *job) (goes bool) {
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

// release counts an order that goes now, or went in an earlier run.
func (c *canary) release(j *job) {
	c.unqueue(j)
	j.released = true
	if j.ramp.climbs() {
		j.ramp.pushed++
	}
}

// climb takes a group as far as the verdicts on its orders allow.
func (c *canary) climb(r *ramp) {
	for r.climbs() {
		limit, judged := c.limits[r.step], r.good+r.bad
		if float64(r.bad) > (1-c.cfg.MinSuccessRatio)*float64(max(limit, judged))+1e-9 {
			c.end(r, func() {
				r.stopped = fmt.Sprintf(
					"the canary of %q stopped: %d of the first %d orders did not do well, and at least %.0f %% must",
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

// judge counts what came of an order, which may be judged anew, and returns the
// parked ones that may go now, and those that never may.
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
		// The records of earlier runs come in any order: they count together.
		return nil, nil
	}
	return c.goOn(r)
}

// recount counts an order that an earlier run has brought to an end, as release and
// judge do one after the other.
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
	return c.goOn(r)
}

// goOn takes a group as far as it may go, and returns its parked orders that may go
// now, and those that never may.
func (c *canary) goOn(r *ramp) (ready, stopped []*job) {
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

// admit asks the canary whether an order may go now.
func (x *run) admit(j *job) (n next, goes bool) {
	if x.waitsForOthers(j) {
		select {
		case <-x.ahead:
		case <-j.ctx.Done():
		}
	}
	if x.stopping() {
		return x.unstarted(j), false
	}
	x.mu.Lock()
	goes = x.canary.ask(j)
	stopped := j.ramp.stopped
	parked := !goes && stopped == ""
	late := parked && x.stopping() // whoever stopped the run may have looked already
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

// waitsForOthers reports whether an order must not ask before younger ones that an
// earlier run has pushed are counted.
func (x *run) waitsForOthers(j *job) bool {
	if !x.resumed || j.released {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return j.ramp.climbs()
}

// recount counts an order that an earlier run has pushed, and that could not count before.
func (x *run) recount(j *job) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if j.recalled && !j.released && j.ramp.climbs() {
		x.canary.release(j)
	}
}

// freeParked lets all go that wait for their groups, because the run ends.
func (x *run) freeParked() {
	x.mu.Lock()
	all := x.canary.unpark()
	x.mu.Unlock()
	for _, j := range all {
		x.ready <- j
	}
}

// unpark returns all that wait, because the run ends.
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

// view lists the groups by name. Without a canary there are none to tell of.
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
