package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// scenario is a world as data: all that is there and all that goes wrong. It
// follows from its seed; parts of it can be left out to find the shortest history.
type scenario struct {
	seed   uint64
	limits resubmit.Config // of the operator; its other fields are empty
	probe  bool            // the breaker probes Connect
	// twin says that the world is calm but for crashes or one kind of trouble, so that
	// its end can be held against that of the same world without them (I10).
	twin bool
	// scan says that the plan is held against a full scan with this filter (I11).
	filter filter.Filter

	way       wayIn
	heals     bool          // commercetest.Config.AsyncHeals
	stale     time.Duration // commercetest.Config.StaleReads
	poll      time.Duration // commercetest.Config.Poll
	listPage  int           // commercetest.Config.MaxPage
	tries     int           // of a read, by the clients
	skew      time.Duration // of the clock of Commerce
	otherSkew time.Duration // of the clock of Connect

	orders  []orderSeed
	windows []windowSeed
	crashes []crashSeed
	faults  []faultSeed
	storms  []stormSeed
	acts    []actSeed
	rules   []rules.Rule

	trouble
}

// wayIn is by which API of Commerce the program works.
type wayIn string

const (
	byOrderManager wayIn = "Order Management"
	byBilling      wayIn = "Billing"
	bySimpleAPI    wayIn = "Simple API"
)

// cause is why an order is failed when the program starts.
type cause string

const (
	causeWindow   cause = "placed in the maintenance"
	causeOutage   cause = "placed in an outage that nobody announced"
	causeReached  cause = "waiting for its vendor when the maintenance began"
	causeRejected cause = "rejected by its vendor"
	causeTrouble  cause = "failing before Connect is asked"
	causeMarked   cause = "marked as failed by a person"
	causeHealthy  cause = "not failed"
)

// orderSeed is an order.
type orderSeed struct {
	index        int // its name in faults and acts
	kind         commerce.OrderType
	request      connect.RequestType // overrides that of the type
	vendor       string
	product      string
	subscription int // orders of one subscription have the same
	bought       bool
	cause        cause
	text         string // of causeTrouble and causeMarked
	after        time.Duration
	failedBefore int // cancels that failed earlier
	fate         fate
	relapses     int // how often Connect will not answer for it, once the program runs
}

func (o orderSeed) String() string {
	more := ""
	if o.relapses > 0 {
		more = fmt.Sprintf(", fails the same way %d times more", o.relapses)
	}
	if o.failedBefore > 0 {
		more += fmt.Sprintf(", %d cancels failed before", o.failedBefore)
	}
	return fmt.Sprintf("order %d: %s of subscription %d, %s; vendor: %s %v%s", o.index, o.kind, o.subscription, o.cause,
		o.fate.action, o.fate.after, more)
}

// fate is what a vendor does with the request of an order.
type fate struct {
	action connecttestAction
	after  time.Duration
}

// windowSeed is a maintenance after the start of the program. Times are since then.
type windowSeed struct {
	announced    time.Duration // when it is in the calendar; 0: from the start
	start, end   time.Duration
	movedAt      time.Duration // when it is moved; 0: never
	movedBy      time.Duration
	overrun      time.Duration // how much later it really ends
	nobodySaysSo bool          // it is never in the calendar
}

func (w windowSeed) String() string {
	s := fmt.Sprintf("maintenance from %v to %v, announced at %v", w.start, w.end, w.announced)
	if w.nobodySaysSo {
		s = fmt.Sprintf("outage from %v to %v, never announced", w.start, w.end)
	}
	if w.movedAt > 0 {
		s += fmt.Sprintf(", moved by %v at %v", w.movedBy, w.movedAt)
	}
	if w.overrun > 0 {
		s += fmt.Sprintf(", takes %v longer", w.overrun)
	}
	return s
}

// crashSeed ends a process: at its n-th step, while its n-th push is on the way, or
// after a time.
type crashSeed struct {
	life  int
	step  int           // counted from 1 over all the points where it can die; 0: not so
	push  int           // counted from 1; 0: not so
	after time.Duration // since the process started
	tear  float64       // which part of a write arrives if it dies in one
	down  time.Duration // until it is started again
	ahead time.Duration // how far its clock was ahead: it jumps back at the restart
}

func (c crashSeed) String() string {
	s := fmt.Sprintf("life %d is killed at its step %d", c.life, c.step)
	switch {
	case c.push > 0:
		s = fmt.Sprintf("life %d is killed while its push %d is on the way", c.life, c.push)
	case c.step == 0:
		s = fmt.Sprintf("life %d is killed after %v", c.life, c.after)
	}
	if c.ahead > 0 {
		s += fmt.Sprintf(", its clock was %v ahead", c.ahead)
	}
	return s
}

// callKind is what a call is for.
type callKind string

const (
	callList    callKind = "list"
	callRead    callKind = "read"
	callPush    callKind = "push"
	callLookUp  callKind = "look-up in Connect"
	callJournal callKind = "journal" // a write
	callSignIn  callKind = "sign-in"
	callProbe   callKind = "probe of Connect"
)

// faultSeed spoils one call: the n-th of a kind for an order, over all lives.
type faultSeed struct {
	call  callKind
	order int // -1 for calls that are not about one
	n     int // from 0
	kind  faultKind
	wait  time.Duration // Retry-After, or how slow
	date  bool          // Retry-After as a date
	// status is that of a faultStatus or faultStatusAfter.
	status int
}

func (f faultSeed) String() string {
	return fmt.Sprintf("%s %d of order %d: %s (%v)", f.call, f.n, f.order, f.name(), f.wait)
}

// name says what goes wrong.
func (f faultSeed) name() string {
	if f.status != 0 {
		return fmt.Sprintf("%d %s", f.status, f.kind)
	}
	return string(f.kind)
}

// faultKind is what goes wrong.
type faultKind string

const (
	faultRefused   faultKind = "connection refused"
	faultLost      faultKind = "lost before the server"
	faultLostAfter faultKind = "answer lost after the server acted"
	faultGateway   faultKind = "502 before the server"
	faultGateAfter faultKind = "502 after the server acted"
	faultBusy      faultKind = "429"
	faultDown      faultKind = "503"
	faultSignIn    faultKind = "401"
	faultCut       faultKind = "answer cut short"
	faultSlow      faultKind = "slow answer"
	faultPage      faultKind = "HTML page with 200 after the server acted"
	faultTwice     faultKind = "delivered twice"
	faultOldAnswer faultKind = "answered with the answer before"
	faultFull      faultKind = "disk full"
	// faultStatus and faultStatusAfter are answers of a gateway with the status of the fault.
	faultStatus      faultKind = "from a gateway before the server"
	faultStatusAfter faultKind = "from a gateway after the server acted"
)

// stormSeed is a time in which a system refuses calls.
type stormSeed struct {
	connect  bool
	from, to time.Duration
	status   int
	wait     time.Duration
	date     bool
}

func (s stormSeed) String() string {
	return fmt.Sprintf("storm of %d from %v to %v, Retry-After %v", s.status, s.from, s.to, s.wait)
}

// actKind is what somebody else does.
type actKind string

const (
	actPush   actKind = "a person resubmits it in the panel"
	actCancel actKind = "another operator cancels it"
	actFail   actKind = "another operator marks it as failed"
	actPause  actKind = "the operator pauses"
	actStop   actKind = "the operator stops the program"
	actDrain  actKind = "the operator drains the program"
	actClock  actKind = "the clock of Commerce jumps"
	actPlace  actKind = "a customer places an order"
)

// actSeed is an act at a time since the start of the program.
type actSeed struct {
	at    time.Duration
	kind  actKind
	order int
	d     time.Duration // how long a pause is, how far a clock jumps
}

func (a actSeed) String() string {
	return fmt.Sprintf("at %v %s (order %d, %v)", a.at, a.kind, a.order, a.d)
}

// dice draws.
type dice struct{ *rand.Rand }

func newDice(seed uint64, stream uint64) dice { return dice{rand.New(rand.NewPCG(seed, stream))} }

// chance is true in n of 100 cases.
func (d dice) chance(n int) bool { return d.IntN(100) < n }

func (d dice) between(from, to time.Duration) time.Duration {
	return from + time.Duration(d.Int64N(int64(to-from)+1))
}

func one[T any](d dice, from ...T) T { return from[d.IntN(len(from))] }

// draw makes the scenario of a seed.
func draw(seed uint64, change func(*resubmit.Config)) *scenario {
	d := newDice(seed, 1)
	s := &scenario{seed: seed, tries: one(d, 1, 1, 1, 1, 3)}
	s.way = one(d, byOrderManager, byOrderManager, byOrderManager, byOrderManager, byOrderManager, byBilling, bySimpleAPI)
	s.limits, s.probe = drawLimits(d)
	if change != nil {
		change(&s.limits)
	}
	if s.way != byOrderManager {
		s.limits.RateLimit = max(s.limits.RateLimit, 1) // a push takes several calls, and is given up after a time
	}
	if s.twin = d.chance(20); s.twin {
		// Which orders go at all depends there on which came to an end first, and so on
		// when the program was killed.
		s.limits.Canary.Steps, s.limits.Breaker.Failures = []int{}, -1
	}
	s.skew, s.otherSkew = d.between(-90*time.Second, 90*time.Second), d.between(-90*time.Second, 90*time.Second)
	s.poll = one(d, 0, 3*time.Minute, 5*time.Minute, 5*time.Minute)
	s.listPage = one(d, 0, 0, 2, 3)
	s.heals = s.twin || d.chance(30)
	s.drawOrders(d)
	s.drawRules(d)
	s.drawCrashes(d)
	if d.chance(25) && s.way == byOrderManager { // the others tell too little
		s.filter = drawFilter(d)
	}
	if s.twin {
		s.drawOneTrouble(newDice(seed, 2))
		return s
	}
	if d.chance(30) {
		s.stale = d.between(time.Second, min(200*time.Second, max(2*time.Second, s.limits.SettleDelay-40*time.Second)))
	}
	s.drawWindows(d)
	s.drawFaults(d)
	s.drawActs(d)
	s.drawTrouble(newDice(seed, 2))
	return s
}

func drawLimits(d dice) (limits resubmit.Config, probe bool) {
	limits = resubmit.Config{
		Guard:        one(d, 5*time.Minute, time.Minute, 10*time.Second),
		SettleDelay:  one(d, 240*time.Second, 240*time.Second, 300*time.Second),
		RateLimit:    one(d, 5.0, 5, 1, 1, 10, 10, 50, 50, 0.05, 0.02),
		Concurrency:  one(d, 1, 2, 2, 4),
		MaxDeferrals: one(d, 3, 1, -1),
		Verify: resubmit.VerifyConfig{
			First: one(d, 10*time.Second, time.Second, 30*time.Second), Max: one(d, 5*time.Minute, 5*time.Minute, time.Minute),
			Timeout: one(d, 30*time.Minute, 15*time.Minute, 15*time.Minute),
		},
		Canary: resubmit.CanaryConfig{Steps: one(d, nil, nil, []int{}, []int{}, []int{2})},
		Breaker: resubmit.BreakerConfig{Failures: one(d, 1, 1, 2, 3, -1), Of: 20, Wait: one(d, time.Minute, 10*time.Second),
			MaxOpens: one(d, -1, 1, 5)},
	}
	probe = d.chance(50)
	limits.Retry = resubmit.RetryPolicy{MaxAttempts: one(d, 0, 0, 2, 2, 3), Spacing: one(d, 0, -1, 10*time.Minute)}
	return limits, probe
}

func (s *scenario) drawCrashes(d dice) {
	if !s.twin && d.chance(30) {
		return
	}
	for life := range 1 + d.IntN(3) {
		c := crashSeed{life: life, tear: d.Float64(), down: d.between(time.Second, 2*time.Minute)}
		switch n := d.IntN(100); {
		case n < 15:
			c.push = 1 + d.IntN(4)
		case n < 80:
			c.step = 1 + d.IntN(60)
			if d.chance(30) {
				c.step += d.IntN(200)
			}
		default:
			c.after = d.between(0, 10*time.Minute)
		}
		if d.chance(15) {
			c.ahead = d.between(time.Second, time.Hour)
		}
		s.crashes = append(s.crashes, c)
	}
}

func (s *scenario) drawWindows(d dice) {
	for range d.IntN(3) {
		w := windowSeed{start: d.between(time.Second, 30*time.Minute)}
		w.end = w.start + d.between(time.Minute, 20*time.Minute)
		switch d.IntN(6) {
		case 0:
			w.announced = d.between(0, w.start)
		case 1:
			w.announced = w.start // nobody knew before it was there
		case 2:
			w.movedAt = d.between(0, w.start)
			w.movedBy = d.between(-w.start+w.movedAt, 20*time.Minute)
		case 3:
			w.overrun = d.between(time.Second, 10*time.Minute)
		case 4:
			w.nobodySaysSo = true
		}
		s.windows = append(s.windows, w)
	}
}

func (s *scenario) drawFaults(d dice) {
	if d.chance(15) {
		return
	}
	byCall := map[callKind][]faultKind{
		callList: {faultRefused, faultLost, faultLostAfter, faultGateway, faultBusy, faultDown, faultSignIn, faultCut,
			faultSlow, faultPage},
		callRead: {faultRefused, faultLost, faultLostAfter, faultGateway, faultBusy, faultDown, faultSignIn, faultCut,
			faultSlow, faultPage, faultTwice, faultOldAnswer},
		callPush: {faultRefused, faultLost, faultLostAfter, faultLostAfter, faultGateway, faultGateAfter, faultBusy,
			faultDown, faultSignIn, faultCut, faultSlow, faultPage, faultTwice},
		callLookUp: {faultRefused, faultLost, faultLostAfter, faultGateway, faultBusy, faultDown, faultSignIn, faultCut,
			faultSlow, faultPage},
	}
	for range 1 + d.IntN(10) {
		f := faultSeed{order: -1, call: one(d, callPush, callPush, callRead, callRead, callRead, callLookUp, callList,
			callJournal)}
		switch f.call {
		case callPush:
			f.order, f.n = d.IntN(len(s.orders)), one(d, 0, 0, 0, 1)
		case callRead:
			f.order, f.n = d.IntN(len(s.orders)), d.IntN(6)
		case callJournal:
			f.n, f.kind = d.IntN(40), faultFull
			s.faults = append(s.faults, f)
			continue
		default:
			f.n = d.IntN(8)
		}
		f.kind = one(d, byCall[f.call]...)
		f.date = d.chance(30)
		f.wait = d.between(time.Second, 90*time.Second).Truncate(time.Second)
		s.faults = append(s.faults, f)
	}
	for range d.IntN(3) {
		if !d.chance(30) {
			continue
		}
		st := stormSeed{connect: d.chance(40), from: d.between(0, 15*time.Minute), status: one(d, 429, 503),
			date: d.chance(30)}
		st.to = st.from + d.between(time.Second, 5*time.Minute)
		st.wait = d.between(time.Second, 2*time.Minute).Truncate(time.Second)
		if d.chance(40) { // so long that crashes fall into it
			st.wait = d.between(2*time.Minute, 20*time.Minute).Truncate(time.Second)
		}
		s.storms = append(s.storms, st)
	}
}

func (s *scenario) drawActs(d dice) {
	for range d.IntN(5) {
		a := actSeed{at: d.between(0, 15*time.Minute), order: d.IntN(len(s.orders))}
		if d.chance(50) {
			a.at = d.between(0, time.Minute)
		}
		a.kind = one(d, actPush, actPush, actCancel, actFail, actPause, actStop, actDrain, actClock, actPlace)
		switch a.kind {
		case actPause:
			a.d = d.between(time.Second, 10*time.Minute)
		case actClock:
			a.d = d.between(-2*time.Minute, 2*time.Minute)
		}
		s.acts = append(s.acts, a)
	}
}

func (s *scenario) drawRules(d dice) {
	if s.way != byOrderManager { // no reason is told, so somebody has to answer for them
		s.rules = append(s.rules, rules.Rule{
			ID: "operator", Classes: []failure.Class{failure.Unclassified}, Action: rules.Resubmit, Why: "the operator says so",
		})
	}
	if d.chance(40) {
		s.rules = append(s.rules, rules.Rule{
			ID: "tickets", Reason: "*ticket*", Action: rules.Resubmit, Why: "the ticket is closed",
		})
	}
}

func drawFilter(d dice) filter.Filter {
	leaf := func() filter.Filter {
		return one(d,
			filter.Types(commerce.TypeSales), filter.Types(commerce.TypeChange, commerce.TypeCancellation),
			filter.Statuses(commerce.StatusProvisioningFailed), filter.NumberLike("SO*"), filter.Vendor(resellers[1]),
			filter.ReasonClass(nil, failure.Transient), filter.ReasonLike("*Internal*"),
			filter.PlacedBetween(bubbleStart.Add(beforeStart-20*time.Minute), bubbleStart.Add(beforeStart)), filter.Everything())
	}
	switch d.IntN(4) {
	case 0:
		return leaf()
	case 1:
		return filter.And(leaf(), leaf())
	case 2:
		return filter.Or(leaf(), leaf())
	default:
		return filter.And(leaf(), filter.Not(leaf()))
	}
}

// bubbleStart is when time begins in a bubble of testing/synctest.
var bubbleStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

var resellers = []string{"", "1000101", "1000102"}

const strictProduct, quickProduct = "PRD-100-200-302", commercetest.DefaultProduct
