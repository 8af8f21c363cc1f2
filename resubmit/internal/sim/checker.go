package sim

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// checker records what the programs did and reports violations. It reads the servers and the durable records of the
// journal, not what the programs believe.
type checker struct {
	w  *world
	mu sync.Mutex

	attempts map[int][]attempt      // pushes that may have moved the order, by all programs and plans
	accepted map[failureKey]int     // accepted pushes of the programs
	moved    map[int]int            // number of the failure of the last accepted push, by order
	held     map[string]bool        // tenants with an order that was held because a call failed, in the last plan
	pauses   map[bool]pause         // those of earlier processes, by Connect (true) and Commerce
	lostAt   time.Time              // when the journal was lost; zero if it was not
	named    map[int]bool           // orders that the operator named
	vouched  map[int]bool           // those that were named since the loss
	phases   map[int]protocol.Phase // in the last records of orders

	violations []Violation // the lock of the world protects it
}

func (ch *checker) init(w *world) {
	ch.w = w
	ch.attempts, ch.accepted, ch.moved = map[int][]attempt{}, map[failureKey]int{}, map[int]int{}
	ch.held, ch.pauses = map[string]bool{}, map[bool]pause{}
	ch.named, ch.vouched, ch.phases = map[int]bool{}, map[int]bool{}, map[int]protocol.Phase{}
}

// approval is what the operator approved with a plan.
type approval struct {
	digest   string
	orders   map[int]*approvedOrder // orders that the plan resubmits, by index
	lanes    map[string][]int       // their indexes by subscription and tenant, oldest first
	counts   plan.ActionCounts
	outages  []time.Time // ends of the windows that were over
	accepted map[int]int // accepted pushes by order
}

// approvedOrder is an order that the plan resubmits.
type approvedOrder struct {
	entry    *plan.Entry
	position int // in the plan
}

type failureKey struct{ order, failure int }

// attempt is a push that may have moved its order, or the claim of one.
type attempt struct {
	at         time.Time
	process    int
	plan       string // its digest
	template   string // of the failure in the plan
	intentOnly bool   // only the claim is known
	gateway    bool   // a gateway answered it
	accepted   bool   // the program knows that it was accepted
}

// inFlight is one call in flight.
type inFlight struct {
	at        time.Time
	process   *process
	truth     *commercetest.Order // the order when the server acted
	duplicate bool                // repeated by the network
}

func (t *inFlight) repeat() *inFlight {
	return &inFlight{at: t.at, process: t.process, duplicate: true}
}

// processState is what the checker knows about one process.
type processState struct {
	approval *approval // nil before there is a plan

	mu       sync.Mutex
	epoch    uint64      // of its lease
	calls    []time.Time // times of the last second, or longer at less than one call per second
	pauses   map[bool]pause
	readings map[int]reading
	claims   map[int]time.Time // when the last claim of an order was made

	deniedAt      time.Time // since when its credentials are refused; zero if they are not
	deniedBy      bool      // by Connect
	deniedPush    bool      // one push was refused and no other call since, so that the run tries once more
	lateCallFound bool      // a later call was reported

	failedAgain     map[int]bool // orders that failed again for a transient reason
	breakerOpenedAt time.Time    // when the breaker had to open because of them; zero: it did not
}

// pause is a Retry-After of a system.
type pause struct{ since, until time.Time }

// reading is the last read of an order by a process.
type reading struct {
	at     time.Time // when the read left
	truth  *commercetest.Order
	before *reading // nil in a reading that is itself a before
}

// violated marks violations in the history.
const violated = "!! "

// violate reports a violation of a rule by an order; -1 for none.
func (ch *checker) violate(rule string, order int, format string, args ...any) {
	v := Violation{Rule: rule, Order: ch.w.numberOf(order), Text: fmt.Sprintf(format, args...), At: time.Since(ch.w.start)}
	ch.w.logf("%s%s", violated, v)
	ch.w.mu.Lock()
	defer ch.w.mu.Unlock()
	ch.violations = append(ch.violations, v)
}

// approve records a plan and checks it.
func (ch *checker) approve(p *process, cfg *resubmit.PlanConfig, data []byte, before, after []selected) (*approval,
	error) {
	made, err := plan.Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	a := &approval{
		digest: made.Digest(), orders: map[int]*approvedOrder{}, lanes: map[string][]int{}, counts: made.Counts(),
		accepted: map[int]int{},
	}
	for w := range cfg.Calendar.OverlappingSeq(time.Time{}, time.Now()) {
		if end := w.Span().End; !end.After(time.Now()) {
			a.outages = append(a.outages, end)
		}
	}
	ch.held = map[string]bool{}
	var planned, unsure []string // unsure: the filter may not select them
	for e, err := range made.Entries() {
		if err != nil {
			return nil, err
		}
		ch.w.logf("planned: %s: %s (%s)", e.Number, e.Decision.Action, e.Decision.Why)
		planned = append(planned, e.OrderID)
		switch e.Decision.RuleID {
		case rules.IDReadFailed, rules.IDOrderNotFailed: // selected by its row in the list
			unsure = append(unsure, e.OrderID)
		}
		ch.noteEntry(p, cfg, a, e)
	}
	ch.checkSelection(p.program.spec.filter, planned, unsure, before, after)
	return a, nil
}

// noteEntry records and checks one decision.
func (ch *checker) noteEntry(p *process, cfg *resubmit.PlanConfig, a *approval, e *plan.Entry) {
	i := ch.w.indexOf(e.OrderID)
	o := ch.w.order(i) // independent of the plan
	switch e.Decision.RuleID {
	case rules.IDReadFailed, "connect-unknown":
		ch.held[o.Tenant] = true
	case rules.IDHistory, rules.IDLaneBusy, rules.IDNewerOrderSent, rules.IDOrderInProgress:
		ch.w.count("planned: " + string(e.Decision.Action) + " because of " + e.Decision.RuleID)
	}
	if e.Decision.Action != rules.Resubmit {
		return
	}
	ch.w.count("orders to resubmit")
	if e.Named {
		ch.w.count("named orders to resubmit")
		ch.named[i], ch.vouched[i] = true, true
	}
	ch.checkRow(p, i)
	if !cfg.IgnoreConnect {
		ch.checkRequests(p, i)
	}
	a.orders[i] = &approvedOrder{entry: e, position: len(a.orders)}
	for _, lane := range ch.w.lanes(&o) {
		a.lanes[lane] = append(a.lanes[lane], i)
	}
}

// lanes are what only one order at a time may use, by the truth about an order.
func (w *world) lanes(o *commercetest.Order) []string {
	lanes := []string{"subscription " + o.Subscription}
	if w.s.api == apiOrderManager { // the others do not show tenants
		lanes = append(lanes, "tenant "+o.Tenant)
	}
	return lanes
}

// noteLoss records that the journal was lost.
func (ch *checker) noteLoss() {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.lostAt = time.Now()
	clear(ch.vouched)
	clear(ch.attempts) // from now on the operator decides about these orders
	clear(ch.accepted)
	clear(ch.moved)
}

// noteLease records the lease of a process.
func (ch *checker) noteLease(p *process, epoch uint64) {
	for _, g := range ch.w.programs {
		if other := ch.w.process(g.index); other != nil && other != p && other.applying.Load() {
			ch.w.count("two runs at the same time")
		}
	}
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	p.state.epoch = epoch
}

// noteRecord records that a run has written the record of an order. began is when the write began.
func (ch *checker) noteRecord(p *process, order int, r *protocol.Record, began time.Time) {
	if r.Order == nil || !p.applying.Load() {
		return
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.phases[order] == protocol.Unanswered && r.Order.Phase != protocol.Unanswered {
		ch.w.count("push without an answer: then " + string(r.Order.Phase))
	}
	ch.phases[order] = r.Order.Phase
	switch {
	case r.Order.Phase == protocol.Claimed:
		p.state.mu.Lock()
		p.state.claims[order] = began
		p.state.mu.Unlock()
	case r.Order.Phase == protocol.Ended && r.Order.Outcome == protocol.FailedAgain:
		ch.noteFailedAgain(p, order)
	}
}

// noteFailedAgain counts the failures that open the breaker, once per order and process.
func (ch *checker) noteFailedAgain(p *process, order int) {
	most := ch.w.s.limits.Breaker.Failures
	class, _ := failure.DefaultClassifier().Classify(ch.w.order(order).Failure)
	if class != failure.Transient || most < 1 || p.state.failedAgain[order] || ch.w.s.api != apiOrderManager {
		return // other APIs show no reason
	}
	p.state.failedAgain[order] = true
	if len(p.state.failedAgain) == most {
		ch.w.count("failures that had to open the breaker")
		p.state.breakerOpenedAt = time.Now()
	}
}

// durable is the record of a key that is durable now.
func (ch *checker) durable(p *process, k protocol.Key) protocol.Record {
	if ch.w.cfg.Journal == nil {
		return ch.w.store.durable(k)
	}
	r, _ := p.journal.inner.Get(context.Background(), k) // without a record there is a violation
	return r
}

// records are all records of the journal.
func (ch *checker) records(p *process) (all []protocol.Record) {
	if ch.w.cfg.Journal == nil {
		return ch.w.store.all()
	}
	for r, err := range p.journal.inner.Records(context.Background()) {
		if err == nil {
			all = append(all, r)
		}
	}
	return all
}

// endProcess keeps the Retry-After values of a process for the next one, unless the process could not store them.
func (ch *checker) endProcess(p *process) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	if p.state.pauses == nil {
		return // it made no plan
	}
	now := time.Now()
	maps.DeleteFunc(ch.pauses, func(_ bool, was pause) bool { return !now.Before(was.until) })
	for system, pause := range p.state.pauses {
		if p.unsavedPauses.Load() == 0 && now.Before(pause.until) && now.Sub(pause.since) >= time.Millisecond {
			p.w.count("Retry-After that outlives the process")
			if pause.until.After(ch.pauses[system].until) {
				ch.pauses[system] = pause
			}
		}
	}
}

// start reads what earlier processes left.
func (o *processState) start(p *process, a *approval) {
	ch := &p.w.checker
	ch.mu.Lock()
	defer ch.mu.Unlock()
	o.approval = a
	o.pauses, o.readings, o.failedAgain = maps.Clone(ch.pauses), map[int]reading{}, map[int]bool{}
	o.claims = map[int]time.Time{}
	for i, n := range a.orders {
		r := ch.durable(p, protocol.OrderKey(n.entry.OrderID)).Order
		if r == nil || r.Phase != protocol.Claimed && r.Phase != protocol.Unanswered || p.w.alive(r.Epoch) {
			continue
		}
		p.w.count("intents without an outcome found after a restart")
		if r.Run != a.digest {
			p.w.count("intents of another plan without an outcome")
		}
		if last := len(ch.attempts[i]) - 1; last >= 0 {
			ch.attempts[i][last].accepted = false // the record of that was lost
		}
		at := r.ClaimedAt
		if made := p.w.store.made(protocol.OrderKey(n.entry.OrderID)); !made.IsZero() && made.Before(at) {
			at = made // the clock was set back since
		}
		if last := ch.lastPush(p, r); at.After(last) {
			at = last // the claim was written after the lease was over, so nothing was sent with it
		}
		if r.Phase == protocol.Claimed && len(ch.attempts[i]) < r.Resubmissions { // it is not recorded yet
			ch.attempts[i] = append(ch.attempts[i], attempt{at: at, process: -1, plan: r.Run, intentOnly: true})
		}
	}
}

// lastPush is when a push of a claim was over at the latest, if its run has not ended by itself.
func (ch *checker) lastPush(p *process, r *protocol.Order) time.Time {
	lease := ch.durable(p, protocol.LeaseKey(r.Run, r.Epoch)).Run
	if lease == nil || !lease.Ended.IsZero() {
		return r.ClaimedAt
	}
	return lease.LeaseEnd.Add(ch.w.s.limits.Policy.WithDefaults().PushTimeout)
}

// alive reports whether the process with a lease still runs.
func (w *world) alive(epoch uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.programs, func(g *program) bool {
		if g.current == nil {
			return false
		}
		g.current.state.mu.Lock()
		defer g.current.state.mu.Unlock()
		return g.current.state.epoch == epoch
	})
}

// observe lets a server act and records what it did.
func (ch *checker) observe(c *call, t *inFlight, act func() *answer) *answer {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if c.order >= 0 {
		truth := ch.w.order(c.order)
		t.truth = &truth
	}
	if c.kind != callPush {
		return act()
	}
	before := len(ch.w.commerce.Pushes())
	ans := act()
	for _, line := range ch.w.commerce.Pushes()[before:] {
		ours := line.Origin != commercetest.OriginPanel && (line.Order == t.truth.ID || line.Order == t.truth.BillingID)
		if ours && line.Accepted && !t.duplicate {
			ch.noteAccepted(t, c.order, line.FailureNumber)
		}
	}
	return ans
}

// noteAccepted checks I1 and I5.
func (ch *checker) noteAccepted(t *inFlight, order, failure int) {
	ch.w.count("pushes accepted")
	f := failureKey{order, failure}
	ch.accepted[f]++
	if n := ch.accepted[f]; n > 1 {
		ch.violate("I1", order, "%d pushes were accepted for its failure %d", n, failure)
	}
	a := t.process.state.approval
	a.accepted[order]++
	if n := a.orders[order]; n != nil && ch.w.s.staleReads == 0 { // an order in a final status may not look so yet
		ch.checkLanes(a, n, order, t.truth)
	}
	ch.moved[order] = failure
}

// checkLanes checks I5 when a push of an order is accepted: the older orders of the plan in its lanes are done, and no
// other order that a program has pushed is in progress there or is younger.
func (ch *checker) checkLanes(a *approval, n *approvedOrder, order int, truth *commercetest.Order) {
	for _, lane := range ch.w.lanes(truth) {
		for _, older := range a.lanes[lane] {
			if o := ch.w.order(older); a.orders[older].position < n.position && !isFinal(o.Status) {
				ch.violate("I5", order, "was pushed while the older %s of its %s is %s", o.Number, lane, o.Status)
			}
		}
	}
	for other, failure := range ch.moved {
		o := ch.w.order(other)
		if other == order || !slices.ContainsFunc(ch.w.lanes(&o), func(lane string) bool {
			return slices.Contains(ch.w.lanes(truth), lane)
		}) {
			continue
		}
		if o.Failures == failure && !isFinal(o.Status) {
			ch.violate("I5", order, "was pushed while %s, which was pushed before in its lane, is %s", o.Number, o.Status)
		}
		if o.PlacedAt.Sub(truth.PlacedAt) > time.Second && !n.entry.Named {
			ch.violate("I5", order, "was pushed after the younger %s of its lane", o.Number)
		}
	}
}

// noteAnswer records the answer that the program gets.
func (ch *checker) noteAnswer(p *process, c *call, t *inFlight, ans *answer, err error) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if c.kind == callPush {
		ch.notePushAnswer(p, c, t, ans, err)
	}
	if err != nil {
		return
	}
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	switch denied := ans.denied && !c.optional && (p.applying.Load() || ans.status == http.StatusUnauthorized); {
	case denied && p.state.deniedAt.IsZero(): // while planning, Connect may forbid the look-up of some orders only
		p.state.deniedAt, p.state.deniedBy, p.state.deniedPush = time.Now(), c.connect, c.kind == callPush
	case denied:
		p.state.deniedPush = false
	case ans.served && !ans.denied && p.state.deniedBy == c.connect: // they are accepted again
		p.state.deniedAt = time.Time{}
	}
	if !p.applying.Load() {
		return
	}
	if c.kind == callRead && ans.status == http.StatusOK && !ans.truncated {
		last := p.state.readings[c.order]
		last.before = nil
		p.state.readings[c.order] = reading{t.at, t.truth, &last}
	}
	if until := retryAfterOf(ans); until.After(p.state.pauses[c.connect].until) {
		p.state.pauses[c.connect] = pause{time.Now(), until}
	}
}

// notePushAnswer records what the program knows about its push.
func (ch *checker) notePushAnswer(p *process, c *call, t *inFlight, ans *answer, err error) {
	own := func(m attempt) bool { return m.process == p.id && m.at.Equal(t.at) }
	if surelyRefused(ans, err) {
		ch.attempts[c.order] = slices.DeleteFunc(ch.attempts[c.order], own)
		return
	}
	i := slices.IndexFunc(ch.attempts[c.order], own)
	if err != nil || i < 0 {
		return
	}
	m := &ch.attempts[c.order][i]
	html := strings.Contains(ans.header.Get("Content-Type"), "html")
	m.accepted = ans.status < 300 && !html && !ans.truncated && ans.slow == 0
	m.gateway = ans.status >= 300
}

// noteLostAnswer records that a process did not get the answer to its last push of an order.
func (ch *checker) noteLostAnswer(p *process, order int) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if last := len(ch.attempts[order]) - 1; last >= 0 && ch.attempts[order][last].process == p.id {
		ch.attempts[order][last].accepted = false
	}
}

// surelyRefused reports whether an answer proves that nothing was moved.
func surelyRefused(ans *answer, err error) bool {
	if err != nil {
		return notSent(err)
	}
	switch ans.status {
	case http.StatusOK, http.StatusInternalServerError:
		return bytes.Contains(ans.body, []byte("<fault>")) && !ans.truncated // of Billing
	case http.StatusUnauthorized, http.StatusTooManyRequests:
		return true
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
		http.StatusUnprocessableEntity:
		return strings.Contains(ans.header.Get("Content-Type"), "json") && !ans.truncated // from the API
	default:
		return false // a gateway says nothing about Commerce (resubmit/SAFETY.md#f19)
	}
}

// retryAfterOf is the time until which an answer asks to wait; zero for none.
func retryAfterOf(ans *answer) time.Time {
	text := ans.header.Get("Retry-After")
	if text == "" {
		return time.Time{}
	}
	if d, err := time.ParseDuration(text + "s"); err == nil {
		return time.Now().Add(d)
	}
	at, _ := http.ParseTime(text) // written by page
	return at
}
