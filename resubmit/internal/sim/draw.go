package sim

import (
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// dice is a source of random values.
type dice struct{ *rand.Rand }

func newDice(seed uint64, stream uint64) dice { return dice{rand.New(rand.NewPCG(seed, stream))} }

// chance is true in n of 100 draws.
func (d dice) chance(n int) bool { return d.IntN(100) < n }

func (d dice) between(from, to time.Duration) time.Duration {
	return from + time.Duration(d.Int64N(int64(to-from)+1))
}

// pick draws one of several values.
func pick[T any](d dice, from ...T) T { return from[d.IntN(len(from))] }

// draw makes the scenario of a seed.
func draw(seed uint64, change func(*resubmit.Config)) *scenario {
	d := newDice(seed, 1)
	s := &scenario{seed: seed, maxTries: pick(d, 1, 1, 1, 1, 3)}
	s.api = pick(d, apiOrderManager, apiOrderManager, apiOrderManager, apiOrderManager, apiOrderManager, apiBilling,
		apiSimple)
	s.limits, s.probe = drawLimits(d)
	if change != nil {
		change(&s.limits)
	}
	if s.api != apiOrderManager {
		s.limits.RateLimit = max(s.limits.RateLimit, 1) // a push takes several calls and must end before its timeout
	}
	if s.twin = d.chance(20); s.twin {
		// With these on, the set of pushed orders depends on which finished first, and so on when the program was killed.
		s.limits.Canary.Steps, s.limits.Breaker.Failures = []int{}, -1
	}
	s.commerceSkew, s.connectSkew = d.between(-90*time.Second, 90*time.Second), d.between(-90*time.Second, 90*time.Second)
	if s.connectDate = seed%2 == 0; s.connectDate { // a larger difference closes the gate
		most := s.limits.Guard/2 - 2*time.Second
		s.connectSkew = min(max(s.connectSkew, -most), most)
	}
	s.poll = pick(d, 0, 3*time.Minute, 5*time.Minute, 5*time.Minute)
	s.listPage = pick(d, 0, 0, 2, 3)
	s.asyncHeals = s.twin || d.chance(30)
	s.drawOrders(d)
	s.drawRules(d)
	s.drawCrashes(d)
	s.programs = []programSpec{{plans: 1}}
	if d.chance(25) && s.api == apiOrderManager { // the others show too few properties
		s.programs[0].filter = drawFilter(d)
	}
	if s.twin {
		s.drawOneFault(newDice(seed, 2))
		s.locked = seed%4 < 2
		return s
	}
	if d.chance(30) {
		s.staleReads = d.between(time.Second, min(200*time.Second, max(2*time.Second, s.limits.SettleDelay-40*time.Second)))
	}
	s.drawWindows(d)
	s.drawFaults(d)
	s.drawActions(d)
	s.drawMisbehavior(newDice(seed, 2))
	d = newDice(seed, 3)
	s.drawPrograms(d)
	s.drawJournal(d)
	s.drawTiming(d)
	return s
}

// drawPrograms draws a second program, further plans, orders that are named in them, and plans that are replaced.
func (s *scenario) drawPrograms(d dice) {
	if d.chance(40) {
		second := programSpec{plans: 1 + d.IntN(2), start: d.between(0, 15*time.Minute)}
		if d.chance(40) { // both plan at the same time
			second.start = d.between(0, 3*time.Second)
		}
		if second.shares = d.chance(25); second.shares {
			second.plans = 1
		} else if s.api == apiOrderManager && d.chance(60) {
			second.filter = drawFilter(d)
		}
		s.programs = append(s.programs, second)
		for i := range s.crashes {
			s.crashes[i].program = d.IntN(2)
		}
		for i := range s.actions {
			s.actions[i].program = d.IntN(2)
		}
	} else {
		s.locked = d.chance(50)
	}
	first := &s.programs[0]
	first.plans = pick(d, 1, 1, 2, 3)
	for i := range s.programs {
		g := &s.programs[i]
		g.pause = d.between(time.Second, 20*time.Minute)
		for _, o := range s.orders {
			if d.chance(15) {
				g.named = append(g.named, o.index)
			}
		}
	}
	s.signed = d.chance(20)
	if s.signed && d.chance(60) {
		first.swap = &swapSpec{plan: d.IntN(first.plans), after: d.between(0, 2*time.Minute),
			kind: pick(d, swapEdited, swapUnsigned, swapForged, swapLate)}
	}
}

// drawJournal draws what happens to the journal.
func (s *scenario) drawJournal(d dice) {
	if d.chance(15) {
		s.slowPuts = 3 * time.Second
	}
	if len(s.programs) == 1 && d.chance(20) {
		g := &s.programs[0]
		g.loss = &lossSpec{after: d.IntN(3), replaced: d.chance(30), share: d.Float64()}
		g.plans = max(2, g.plans)
	}
	for range d.IntN(3) {
		if d.chance(15) {
			s.faults = append(s.faults, faultSpec{call: callJournal, order: -1, n: d.IntN(60), kind: faultLostAfter})
		}
	}
}

// drawTiming draws suspended processes, and what others do right before a push.
func (s *scenario) drawTiming(d dice) {
	for d.chance(15) {
		s.suspensions = append(s.suspensions, suspendSpec{
			program: d.IntN(len(s.programs)), process: pick(d, 0, 0, 1), step: 1 + d.IntN(120),
			d: pick(d, d.between(time.Second, 20*time.Second), d.between(30*time.Second, 15*time.Minute)),
		})
	}
	for d.chance(30) {
		a := actionSpec{
			read: pick(d, 1, 1, 2, 3), order: d.IntN(len(s.orders)), program: d.IntN(len(s.programs)),
			kind: pick(d, actionWindow, actionWindow, actionPush, actionCancel, actionFail, actionPause),
			d:    d.between(time.Second, 15*time.Minute),
		}
		s.actions = append(s.actions, a)
	}
}

func drawLimits(d dice) (limits resubmit.Config, probe bool) {
	limits = resubmit.Config{
		Guard:        pick(d, 5*time.Minute, time.Minute, 10*time.Second),
		Policy:       resubmit.Policy{SettleDelay: pick(d, 240*time.Second, 240*time.Second, 300*time.Second)},
		RateLimit:    pick(d, 5.0, 5, 1, 1, 10, 10, 50, 50, 0.05, 0.02),
		Concurrency:  pick(d, 1, 2, 2, 4),
		MaxDeferrals: pick(d, 3, 1, -1),
		Verify: resubmit.VerifyConfig{
			InitialInterval: pick(d, 10*time.Second, time.Second, 30*time.Second),
			MaxInterval:     pick(d, 5*time.Minute, 5*time.Minute, time.Minute),
			Timeout:         pick(d, 30*time.Minute, 15*time.Minute, 15*time.Minute),
		},
		Canary: resubmit.CanaryConfig{Steps: pick(d, nil, nil, []int{}, []int{}, []int{2})},
		Breaker: resubmit.BreakerConfig{Failures: pick(d, 1, 1, 2, 3, -1), SampleSize: 20,
			Wait:     pick(d, time.Minute, 10*time.Second),
			MaxOpens: pick(d, -1, 1, 5)},
	}
	probe = d.chance(50)
	limits.Retry = protocol.RetryPolicy{MaxAttempts: pick(d, 0, 0, 2, 2, 3), Spacing: pick(d, 0, -1, 10*time.Minute)}
	limits.MaxResubmissions = pick(d, 0, 0, 2, 5)
	return limits, probe
}

func (s *scenario) drawCrashes(d dice) {
	if !s.twin && d.chance(30) {
		return
	}
	for process := range 1 + d.IntN(3) {
		c := crashSpec{process: process, tear: d.Float64(), downtime: d.between(time.Second, 2*time.Minute)}
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
			c.clockAhead = d.between(time.Second, time.Hour)
		}
		s.crashes = append(s.crashes, c)
	}
}

func (s *scenario) drawWindows(d dice) {
	for range d.IntN(3) {
		w := windowSpec{start: d.between(time.Second, 30*time.Minute)}
		w.end = w.start + d.between(time.Minute, 20*time.Minute)
		switch d.IntN(6) {
		case 0:
			w.announced = d.between(0, w.start)
		case 1:
			w.announced = w.start // announced only when it begins
		case 2:
			w.movedAt = d.between(0, w.start)
			w.movedBy = d.between(-w.start+w.movedAt, 20*time.Minute)
		case 3:
			w.overrun = d.between(time.Second, 10*time.Minute)
		case 4:
			w.unannounced = true
		}
		s.windows = append(s.windows, w)
	}
}

func (s *scenario) drawFaults(d dice) {
	if d.chance(15) {
		return
	}
	common := []faultKind{faultRefused, faultLost, faultLostAfter, faultGateway, faultRateLimited, faultUnavailable,
		faultUnauthorized, faultTruncated, faultSlow, faultPage}
	byCall := map[callKind][]faultKind{
		callList: common, callLookUp: common, callRead: append(common, faultDuplicate, faultStaleAnswer),
		callPush: {faultRefused, faultLost, faultLostAfter, faultLostAfter, faultGateway, faultGatewayAfter, faultRateLimited,
			faultUnavailable, faultUnauthorized, faultTruncated, faultSlow, faultPage, faultDuplicate},
	}
	for range 1 + d.IntN(10) {
		f := faultSpec{order: -1, call: pick(d, callPush, callPush, callRead, callRead, callRead, callLookUp, callList,
			callJournal)}
		switch f.call {
		case callPush:
			f.order, f.n = d.IntN(len(s.orders)), pick(d, 0, 0, 0, 1)
		case callRead:
			f.order, f.n = d.IntN(len(s.orders)), d.IntN(6)
		case callJournal:
			f.n, f.kind = d.IntN(40), faultDiskFull
			s.faults = append(s.faults, f)
			continue
		default:
			f.n = d.IntN(8)
		}
		f.kind = pick(d, byCall[f.call]...)
		f.date = d.chance(30)
		f.wait = d.between(time.Second, 90*time.Second).Truncate(time.Second)
		s.faults = append(s.faults, f)
	}
	for range d.IntN(3) {
		if !d.chance(30) {
			continue
		}
		st := stormSpec{connect: d.chance(40), from: d.between(0, 15*time.Minute), status: pick(d, 429, 503),
			date: d.chance(30)}
		st.to = st.from + d.between(time.Second, 5*time.Minute)
		st.wait = d.between(time.Second, 2*time.Minute).Truncate(time.Second)
		if d.chance(40) { // long enough for crashes to fall into it
			st.wait = d.between(2*time.Minute, 20*time.Minute).Truncate(time.Second)
		}
		s.storms = append(s.storms, st)
	}
}

func (s *scenario) drawActions(d dice) {
	for range d.IntN(5) {
		a := actionSpec{at: d.between(0, 15*time.Minute), order: d.IntN(len(s.orders))}
		if d.chance(50) {
			a.at = d.between(0, time.Minute)
		}
		a.kind = pick(d, actionPush, actionPush, actionCancel, actionFail, actionPause, actionStop, actionDrain, actionClock,
			actionPlace)
		switch a.kind {
		case actionPause:
			a.d = d.between(time.Second, 10*time.Minute)
		case actionClock:
			a.d = d.between(-2*time.Minute, 2*time.Minute)
		}
		s.actions = append(s.actions, a)
	}
}

func (s *scenario) drawRules(d dice) {
	if s.api != apiOrderManager { // it shows no reason, so that the operator has to decide
		s.rules = append(s.rules, rules.Rule{
			ID: "operator", Classes: []failure.Class{failure.Unclassified}, Action: rules.Resubmit, Why: "the operator says so",
		})
	}
	if d.chance(40) {
		s.rules = append(s.rules, rules.Rule{
			ID: "tickets", Message: "*ticket*", Action: rules.Resubmit, Why: "the ticket is closed",
		})
	}
}

func drawFilter(d dice) filter.Filter {
	leaf := func() filter.Filter {
		return pick(d,
			filter.Types(commerce.TypeSales), filter.Types(commerce.TypeChange, commerce.TypeCancellation),
			filter.Statuses(commerce.StatusProvisioningFailed), filter.NumberLike("SO*"), filter.VendorAccounts(resellers[1]),
			filter.MessageClass(nil, failure.Transient), filter.MessageLike("*Internal*"),
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

// drawOrders draws a few orders; several share a subscription.
func (s *scenario) drawOrders(d dice) {
	shared := 1 + d.IntN(3) // existing subscriptions
	for i := range 2 + d.IntN(6) {
		o := orderSpec{index: i, vendor: resellers[d.IntN(len(resellers))], product: quickProduct, reply: drawReply(d)}
		o.kind = pick(d, commerce.TypeSales, commerce.TypeSales, commerce.TypeSales, commerce.TypeChange, commerce.TypeChange,
			commerce.TypeUpgrade, commerce.TypeDowngrade, commerce.TypeCancellation, commerce.TypeCancellationCharge,
			commerce.TypeRenewal)
		switch {
		case o.kind == commerce.TypeSales:
			o.subscription = 100 + i
		case i > 0 && d.chance(30):
			o.subscription = s.orders[i-1].subscription
			o.existing = s.orders[i-1].existing
		default:
			o.subscription, o.existing = d.IntN(shared), true
		}
		o.tenant = o.subscription
		s.drawCause(d, &o)
		if s.twin {
			o.reply.after = min(o.reply.after, 90*time.Second)
		}
		s.orders = append(s.orders, o)
	}
	if s.seed%3 == 0 && s.api == apiOrderManager { // some existing subscriptions have one tenant, which others do not show
		for i := range s.orders {
			if o := &s.orders[i]; o.existing && o.subscription < shared {
				o.tenant = 0
			}
		}
	}
}

func (s *scenario) drawCause(d dice, o *orderSpec) {
	o.placedAfter = time.Duration(o.index)*5*time.Second + d.between(0, 4*time.Second) // later ones are younger
	o.cause = pick(d, causeWindow, causeWindow, causeWindow, causeWindow, causeOutage, causeReached, causeReached,
		causeRejected, causeTrouble, causeMarked, causeHealthy)
	switch o.cause {
	case causeTrouble:
		o.text = pick(d, testkit.FailAlreadyExists, testkit.FailInvalidValue, testkit.FailCustomerNotFound,
			testkit.FailConcurrentOrder, testkit.FailZeroQuantity, testkit.FailResellerInactive)
	case causeMarked:
		o.text = pick(d, "Marked as failed by the operator: see ticket 4711.",
			"Script local-check-7 returned 3: ask Basement Billing",
			"Connection timed out")
	case causeRejected:
		o.product = strictProduct
	}
	if o.kind == commerce.TypeCancellation && d.chance(40) {
		o.failedCancels = d.IntN(6)
	}
	if d.chance(15) {
		o.repeatFailures = 1 + d.IntN(2)
	}
	if o.kind == commerce.TypeSales && o.cause == causeWindow && d.chance(8) {
		// Commerce accepts a change where Connect should have a purchase.
		o.request, o.subscription, o.tenant, o.existing = connect.TypeChange, 50, 50, true
	}
}

func drawReply(d dice) vendorReply {
	f := vendorReply{action: connecttest.VendorApprove, after: d.between(time.Second, 2*time.Minute)}
	switch d.IntN(12) {
	case 0:
		f.action = connecttest.VendorReject
	case 1:
		f.action = connecttest.VendorWait
	case 2:
		f.action = connecttest.VendorInquire
	case 3:
		f.after = d.between(10*time.Minute, time.Hour)
	}
	return f
}

// gatewayStatuses are statuses that a gateway answers instead of Commerce. They say nothing about what Commerce did,
// except for 429, which is a refusal.
var gatewayStatuses = []int{302, 307, 404, 405, 408, 413, 425, 429, 460, 499, 500, 502, 503, 504, 520, 521, 522, 524}

func (s *scenario) drawStatuses(d dice) {
	if s.twin {
		s.limits.MaxDeferrals = 3 // otherwise a 429 ends an order
	}
	for range 1 + d.IntN(3) {
		f := faultSpec{
			call: callPush, order: d.IntN(len(s.orders)), n: pick(d, 0, 0, 0, 1),
			kind:   pick(d, faultStatusAfter, faultStatusAfter, faultStatus),
			status: pick(d, gatewayStatuses...), wait: d.between(time.Second, 90*time.Second).Truncate(time.Second),
		}
		if f.status == http.StatusTooManyRequests && (s.staleReads > 0 || s.twin) {
			f.kind = faultStatus // otherwise nothing shows that an order moved and failed again at once
		}
		s.faults = append(s.faults, f)
	}
}

func (s *scenario) drawMalformed(d dice) {
	kinds := []malformedKind{
		malformedDateNumber, malformedDateText, malformedDateShort, malformedDateFar, malformedAmountPower,
		malformedAmountDigits, malformedReasonList, malformedReasonLong, malformedIDBlank, malformedStatusMissing,
		malformedRowNull,
	}
	for range 1 + d.IntN(2) {
		o := malformedSpec{order: d.IntN(len(s.orders)), kind: pick(d, kinds...)}
		if o.kind.unreadable() && d.chance(25) { // a readable one would look as if the order had changed
			o.from = d.between(0, 2*time.Minute)
		}
		s.malformed = append(s.malformed, o)
	}
}

func (s *scenario) drawUnattributed(d dice) {
	for range 1 + d.IntN(2) {
		s.unattributed = append(s.unattributed, unattributedSpec{
			order: d.IntN(len(s.orders)),
			kind:  pick(d, unattributedAsset, unattributedType, unattributedStatus, unattributedRow),
			from:  pick(d, 0, 0, 0, d.between(0, 2*time.Minute)),
		})
	}
}

func (s *scenario) drawDenial(d dice) {
	r := denialSpec{connect: d.chance(40),
		status: pick(d, http.StatusUnauthorized, http.StatusUnauthorized, http.StatusForbidden), call: d.IntN(40)}
	if r.connect {
		r.call = d.IntN(8)
	}
	if s.twin { // a 403 for a few orders concerns only these
		r.status = http.StatusUnauthorized
	}
	if d.chance(40) {
		r.lasts = d.between(time.Second, 5*time.Minute)
	}
	s.denials = append(s.denials, r)
}

func (s *scenario) drawPanics(d dice) {
	if s.twin {
		s.limits.MaxDeferrals = 3 // otherwise a panic in a read ends an order
	}
	for range 1 + d.IntN(3) {
		p := panicSpec{call: pick(d, callPush, callPush, callPush, callRead, callRead, callLookUp, callList, callEvent),
			order: -1, after: d.chance(50)}
		switch p.call {
		case callPush:
			p.order, p.n = d.IntN(len(s.orders)), pick(d, 0, 0, 1)
		case callRead:
			p.order, p.n = d.IntN(len(s.orders)), d.IntN(5)
		case callEvent:
			p.n, p.after = d.IntN(20), false
		default:
			p.n = d.IntN(3)
		}
		s.panics = append(s.panics, p)
	}
}

// drawMisbehavior adds to a world in which calls fail too.
func (s *scenario) drawMisbehavior(d dice) {
	for _, draw := range s.faultDraws() {
		if d.chance(12) {
			draw(d)
		}
	}
}

// faultDraws add one kind of misbehavior each.
func (s *scenario) faultDraws() []func(dice) {
	return []func(dice){s.drawStatuses, s.drawMalformed, s.drawDenial, s.drawTies, s.drawUnattributed, s.drawPanics}
}

// tiesAfter is not a round time, so that nothing else happens at the same moment.
const tiesAfter = 1700 * time.Millisecond

// drawTies places orders of different subscriptions at the same time.
func (s *scenario) drawTies(d dice) {
	s.ties, s.wholeSeconds = true, true // the clock is also that of the twin
	s.tiesPage, s.listPage = pick(d, 2, 2, 3, 0), pick(d, 2, 2, 3, 5)
	earlier := map[int]int{} // by subscription
	for i := range s.orders {
		o := &s.orders[i]
		o.placedAfter = tiesAfter + time.Duration(earlier[o.subscription])*time.Second
		earlier[o.subscription]++
		if o.cause == causeOutage {
			o.cause = causeWindow
		}
	}
}

// drawOneFault replaces the crashes of a twin by one kind of misbehavior, in half of the draws.
func (s *scenario) drawOneFault(d dice) {
	if d.chance(50) {
		return
	}
	s.crashes = nil
	pick(d, s.faultDraws()...)(d)
}
