package sim

import (
	"bytes"
	"cmp"
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
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// checker records what the program did and reports violations. It reads the servers and the bytes of the journal, not
// what the program believes.
type checker struct {
	w  *world
	mu sync.Mutex

	approved map[int]*approvedOrder // orders that the plan resubmits, by index
	lanes    map[string][]int       // their indexes by subscription, oldest first
	counts   plan.ActionCounts

	read              int // number of bytes of the disk that are in durable
	durable           map[string]resubmit.Record
	intents           map[int]time.Time  // when the last intent became durable
	attempts          map[int][]attempt  // pushes that may have moved the order
	acceptedByFailure map[failureKey]int // accepted pushes of the program
	acceptedPushes    map[int]int        // the same by order
	heldSubscriptions map[string]bool    // subscriptions with an order that was held because a call failed
	pauses            map[bool]pause     // those of earlier processes, by Connect (true) and Commerce

	violations []Violation // the lock of the world protects it
}

// approvedOrder is an order that the plan resubmits.
type approvedOrder struct {
	entry    *plan.Entry
	position int // in the plan
}

type failureKey struct{ order, failure int }

// attempt is a push that may have moved its order, or the intent of one.
type attempt struct {
	at         time.Time
	process    int
	intentOnly bool // only the intent is known
}

// inFlight is one call in flight.
type inFlight struct {
	at        time.Time
	truth     *commercetest.Order // the order when the server acted
	duplicate bool                // repeated by the network
}

func (t *inFlight) repeat() *inFlight { return &inFlight{at: t.at, duplicate: true} }

// processState is what the checker knows about one process.
type processState struct {
	journal resubmit.Journal

	mu       sync.Mutex
	calls    []time.Time // times of the last second, or longer at less than one call per second
	pauses   map[bool]pause
	readings map[int]reading

	deniedAt      time.Time // when its credentials were first refused
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

// approve records the plan and checks it.
func (ch *checker) approve(p *process, cfg *resubmit.PlanConfig, data []byte, before, after []string) error {
	plan, err := plan.Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return err
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.approved, ch.lanes, ch.counts = map[int]*approvedOrder{}, map[string][]int{}, plan.Counts()
	ch.heldSubscriptions = map[string]bool{}
	ch.durable, ch.intents, ch.attempts = map[string]resubmit.Record{}, map[int]time.Time{}, map[int][]attempt{}
	ch.acceptedByFailure, ch.acceptedPushes = map[failureKey]int{}, map[int]int{}
	var planned, unsure []string // unsure: the filter may not select them
	for e, err := range plan.Entries() {
		if err != nil {
			return err
		}
		ch.w.logf("planned: %s: %s (%s)", e.Number, e.Decision.Action, e.Decision.Why)
		ch.noteHeld(e)
		planned = append(planned, e.OrderID)
		switch e.Decision.RuleID {
		case "order-unread", "order-not-failed": // selected by its row in the list
			unsure = append(unsure, e.OrderID)
		}
		if e.Decision.Action != rules.Resubmit {
			continue
		}
		ch.w.count("orders to resubmit")
		i := ch.w.indexOf(e.OrderID)
		ch.checkRow(p, i)
		if !cfg.IgnoreConnect {
			ch.checkRequests(p, i)
		}
		ch.approved[i] = &approvedOrder{entry: e, position: len(ch.approved)}
		s := ch.w.order(i).Subscription // independent of the plan
		ch.lanes[s] = append(ch.lanes[s], i)
	}
	ch.checkSelection(planned, unsure, before, after)
	return nil
}

// noteHeld records an order that was held because a call failed.
func (ch *checker) noteHeld(e *plan.Entry) {
	switch e.Decision.RuleID {
	case "order-unread", "connect-unknown":
		ch.heldSubscriptions[ch.w.order(ch.w.indexOf(e.OrderID)).Subscription] = true
	}
}

// noteRecord records that the program put a record. It is called again when an asynchronous record is durable.
func (ch *checker) noteRecord(p *process, order int, r resubmit.Record) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	switch r.State {
	case resubmit.RecordSending:
		ch.intents[order] = time.Now()
	case resubmit.RecordFailedAgain:
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

// durableRecord is the record of an order that is durable now.
func (ch *checker) durableRecord(p *process, id string) (resubmit.Record, bool) {
	fresh := ch.w.disk.since(ch.read)
	if ch.read == 0 && len(fresh) == 0 && p.state.journal != nil { // the journal is not on the disk
		r, ok, err := p.state.journal.Get(id)
		return r, ok && err == nil
	}
	n, _ := readLog(fresh, func(l logLine) { // an unreadable line is not durable
		if l.Record != nil {
			ch.durable[l.Record.OrderID] = *l.Record
		}
	})
	ch.read += n
	r, ok := ch.durable[id]
	return r, ok
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
	clear(ch.pauses)
	now := time.Now()
	for system, pause := range p.state.pauses {
		if p.unsavedPauses.Load() == 0 && now.Before(pause.until) && now.Sub(pause.since) >= time.Millisecond {
			p.w.count("Retry-After that outlives the process")
			ch.pauses[system] = pause
		}
	}
}

// start reads what earlier processes left.
func (o *processState) start(p *process) {
	ch := &p.w.checker
	ch.mu.Lock()
	defer ch.mu.Unlock()
	o.pauses, o.readings, o.failedAgain = maps.Clone(ch.pauses), map[int]reading{}, map[int]bool{}
	for i, a := range ch.approved {
		r, ok := ch.durableRecord(p, a.entry.OrderID)
		if !ok || r.State != resubmit.RecordSending && r.State != resubmit.RecordUnknown {
			continue
		}
		p.w.count("intents without an outcome found after a restart")
		at := time.Now()
		if sent := cmp.Or(r.SentAt, r.At); sent.Before(at) {
			at = sent
		}
		if len(ch.attempts[i]) <= r.Lost { // it is not recorded yet
			ch.attempts[i] = append(ch.attempts[i], attempt{at: at, process: p.number - 1, intentOnly: true})
		}
	}
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
			ch.noteAccepted(c, line.FailureNumber)
		}
	}
	return ans
}

// noteAccepted checks I1 and I5.
func (ch *checker) noteAccepted(c *call, failure int) {
	ch.w.counts.countUnder(&ch.w.mu, "pushes accepted")
	f := failureKey{c.order, failure}
	ch.acceptedByFailure[f]++
	ch.acceptedPushes[c.order]++
	if n := ch.acceptedByFailure[f]; n > 1 {
		ch.violate("I1", c.order, "%d pushes were accepted for its failure %d", n, failure)
	}
	if ch.w.s.staleReads > 0 {
		return // an order in a final status may not look so yet
	}
	a := ch.approved[c.order]
	if a == nil {
		return
	}
	for _, older := range ch.lanes[ch.w.order(c.order).Subscription] {
		if o := ch.w.order(older); ch.approved[older].position < a.position && !isFinal(o.Status) {
			ch.violate("I5", c.order, "was pushed while the older %s of its subscription is %s", o.Number, o.Status)
		}
	}
}

// noteAnswer records the answer that the program gets.
func (ch *checker) noteAnswer(p *process, c *call, t *inFlight, ans *answer, err error) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if c.kind == callPush && surelyRefused(ans, err) {
		ch.attempts[c.order] = slices.DeleteFunc(ch.attempts[c.order], func(m attempt) bool { return m.at.Equal(t.at) })
	}
	if err != nil {
		return
	}
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	if ans.denied && p.state.deniedAt.IsZero() && (p.applying.Load() || ans.status == http.StatusUnauthorized) {
		p.state.deniedAt = time.Now() // while planning, Connect may forbid the look-up of some orders only
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
