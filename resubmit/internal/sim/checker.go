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

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// book is what a world saw the program do, and what was wrong with it. It looks at
// the servers and at the bytes of the journal, not at what the program believes.
type book struct {
	w  *world
	mu sync.Mutex

	approved map[int]*approvedOrder // by index; only what is to be resubmitted
	lanes    map[string][]int       // of these, by subscription, oldest first
	counts   plan.ActionCounts

	read    int // bytes of the disk that durable is made of
	durable map[string]resubmit.Record
	intents map[int]time.Time // when the last intent became durable
	tries   map[int][]mark    // pushes that were not clearly refused
	taken   map[failing]int   // accepted pushes of the program
	pushed  map[int]int       // the same, of all failures of an order
	held    map[string]bool   // subscriptions with an order that the planner could not look at
	// patience is what the servers asked the process before for, Connect or Commerce.
	patience map[bool]patience

	wrong []Violation // guarded by the world's lock
}

type approvedOrder struct {
	entry *plan.Entry
	place int
}

type failing struct{ order, failure int }

// mark is a push that may have moved its order, or the intent of one.
type mark struct {
	at    time.Time
	life  int
	ghost bool // nothing but the intent is known
}

// trip is one call on its way.
type trip struct {
	at    time.Time
	truth *commercetest.Order // of the order when the server acted
	twice bool                // the network's own doing
}

func (t *trip) second() *trip { return &trip{at: t.at, twice: true} }

// ownBook is what is known of one process only.
type ownBook struct {
	journal resubmit.Journal

	mu       sync.Mutex
	calls    []time.Time // departures of the last second, or longer at less than one a second
	patience map[bool]patience
	readings map[int]reading

	denied   time.Time // when its credentials were refused first
	lateCall bool      // one after that was found

	failed map[int]bool // orders that the process found to have failed again for a transient reason
	opened time.Time    // when the breaker had to open because of them; zero: not yet
}

// patience is what a system asked for.
type patience struct{ since, until time.Time }

// reading is what the process was last told about an order.
type reading struct {
	at     time.Time // when it was asked
	truth  *commercetest.Order
	before *reading
}

// violated marks a violation in the history.
const violated = "!! "

func (b *book) violate(rule string, order int, format string, args ...any) {
	v := Violation{Rule: rule, Order: b.w.name(order), Text: fmt.Sprintf(format, args...), At: time.Since(b.w.start)}
	b.w.note("%s%s", violated, v)
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	b.wrong = append(b.wrong, v)
}

// approve takes the plan for the approved one.
func (b *book) approve(p *process, cfg *resubmit.PlanConfig, data []byte, before, after []string) error {
	plan, err := plan.Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.approved, b.lanes, b.counts = map[int]*approvedOrder{}, map[string][]int{}, plan.Counts()
	b.held = map[string]bool{}
	b.durable, b.intents, b.tries, b.taken, b.pushed = map[string]resubmit.Record{}, map[int]time.Time{}, map[int][]mark{}, map[failing]int{}, map[int]int{}
	var planned, unsure []string // unsure: whether the filter selects them is not known
	for e, err := range plan.Entries() {
		if err != nil {
			return err
		}
		b.w.note("planned: %s: %s (%s)", e.Number, e.Decision.Action, e.Decision.Why)
		b.unseen(e)
		planned = append(planned, e.OrderID)
		switch e.Decision.RuleID {
		case "order-unread", "order-not-failed": // was selected, or not, by what the list told of it
			unsure = append(unsure, e.OrderID)
		}
		if e.Decision.Action != rules.Resubmit {
			continue
		}
		b.w.happened("orders to resubmit")
		i := b.w.index(e.OrderID)
		b.judgeRow(p, i)
		if !cfg.IgnoreConnect {
			b.judgeRequests(p, i)
		}
		b.approved[i] = &approvedOrder{entry: e, place: len(b.approved)}
		s := b.w.truth(i).Subscription // whatever the plan says
		b.lanes[s] = append(b.lanes[s], i)
	}
	b.checkSelection(planned, unsure, before, after)
	return nil
}

// checkSelection is I11: what the planner selected with the help of the server is
// what a full scan selects. Where orders moved in the meantime, those that did not
// must be there.
func (b *book) checkSelection(planned, unsure, before, after []string) {
	for _, id := range before {
		if slices.Contains(after, id) && !slices.Contains(planned, id) && !b.w.seenOtherwise(b.w.index(id)) {
			b.violate("I11", b.w.index(id), "is not in the plan, but %v selects it", b.w.s.filter)
		}
	}
	if b.w.s.filter == nil {
		return
	}
	b.w.happened("plans held against a full scan")
	same := slices.Equal(before, after) && len(b.w.s.odd) == 0 // what an odd row says is not known
	for _, id := range planned {
		if same && !slices.Contains(before, id) && !slices.Contains(unsure, id) {
			b.violate("I11", b.w.index(id), "is in the plan, but %s does not select it", b.w.s.filter)
		}
	}
	text := b.w.s.filter.String()
	if again, err := filter.Parse(text); err != nil || again.String() != text {
		b.violate("I11", -1, "%s is read as %v, %v", text, again, err)
	}
}

// wrote notes a record that the program put, and again when it is durable if that is
// later.
func (b *book) wrote(p *process, order int, r resubmit.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch r.State {
	case resubmit.RecordSending:
		b.intents[order] = time.Now()
	case resubmit.RecordFailedAgain:
		b.failedAgain(p, order)
	}
}

// failedAgain counts what opens the breaker, the first time in a process.
func (b *book) failedAgain(p *process, order int) {
	most := b.w.s.limits.Breaker.Failures
	class, _ := failure.DefaultClassifier().Classify(b.w.truth(order).Failure)
	if class != failure.Transient || most < 1 || p.own.failed[order] || b.w.s.way != byOrderManager { // the others tell no reason
		return
	}
	p.own.failed[order] = true
	if len(p.own.failed) == most {
		b.w.happened("orders failed again so often that the breaker had to open")
		p.own.opened = time.Now()
	}
}

// judgeBreaker is I8: behind the failures that open the breaker nothing is pushed,
// at least until Connect is looked at. What is on its way has left already.
func (b *book) judgeBreaker(p *process, c *call, now time.Time) {
	opened := p.own.opened
	if opened.IsZero() || b.w.s.stale > 0 || !now.After(opened) || !now.Before(opened.Add(b.w.s.limits.Breaker.Wait)) {
		return
	}
	b.violate("I8", c.order, "is pushed %v after the breaker had to open", now.Sub(opened))
}

// record is what is durable about an order now.
func (b *book) record(p *process, id string) (resubmit.Record, bool) {
	fresh := b.w.disk.since(b.read)
	if b.read == 0 && len(fresh) == 0 && p.own.journal != nil { // its bytes are elsewhere
		r, ok, err := p.own.journal.Get(id)
		return r, ok && err == nil
	}
	n, _ := readLog(fresh, func(l logLine) { // what cannot be read is not there
		if l.Record != nil {
			b.durable[l.Record.OrderID] = *l.Record
		}
	})
	b.read += n
	r, ok := b.durable[id]
	return r, ok
}

// leave notes what the servers asked a process for that has come to its end. The next
// one is to know of it, unless the process could not leave word.
func (b *book) leave(p *process) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.own.mu.Lock()
	defer p.own.mu.Unlock()
	if p.own.patience == nil {
		return // it did not come so far
	}
	clear(b.patience)
	for system, ask := range p.own.patience {
		if now := time.Now(); p.unkept.Load() == 0 && now.Before(ask.until) && now.Sub(ask.since) >= time.Millisecond {
			p.w.happened("Retry-After that outlives the process")
			b.patience[system] = ask
		}
	}
}

// begin looks what the processes before have left.
func (o *ownBook) begin(p *process) {
	b := &p.w.book
	b.mu.Lock()
	defer b.mu.Unlock()
	o.patience, o.readings, o.failed = maps.Clone(b.patience), map[int]reading{}, map[int]bool{}
	for i, a := range b.approved {
		r, ok := b.record(p, a.entry.OrderID)
		if !ok || r.State != resubmit.RecordSending && r.State != resubmit.RecordUnknown {
			continue
		}
		p.w.happened("intents without an outcome found after a restart")
		at := time.Now()
		if sent := cmp.Or(r.SentAt, r.At); sent.Before(at) {
			at = sent
		}
		if len(b.tries[i]) <= r.Lost { // this one is not known yet
			b.tries[i] = append(b.tries[i], mark{at: at, life: p.life - 1, ghost: true})
		}
	}
}

// depart judges a call when it leaves the program.
func (b *book) depart(p *process, c *call) *trip {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := &trip{at: time.Now()}
	b.judgeDenied(p, c, t.at)
	if !p.applying.Load() {
		return t
	}
	b.judgePace(p, c, t.at)
	if c.kind != callPush {
		return t
	}
	b.w.counts.countUnder(&b.w.mu, "pushes")
	a := b.approved[c.order]
	if a == nil {
		b.violate("I12", c.order, "is pushed, and the approved plan does not say so")
		return t
	}
	if !slices.Contains(resubmit.DefaultTargets(), c.to) {
		b.violate("I12", c.order, "is pushed to %s, which does not resubmit it", c.to)
	}
	if p.paused.Load() {
		b.violate("pause", c.order, "is pushed while the operator pauses")
	}
	b.judgeWindow(c, t.at)
	b.judgeBreaker(p, c, t.at)
	b.judgeIntent(p, c, a)
	b.judgeReading(p, c, a)
	b.judgeTries(p, c, t.at)
	return t
}

// judgePace is I7.
func (b *book) judgePace(p *process, c *call, now time.Time) {
	o := &p.own
	o.mu.Lock()
	defer o.mu.Unlock()
	if ask, ok := o.patience[c.connect]; ok && now.Before(ask.until) && now.After(ask.since) {
		b.violate("I7", c.order, "%s: goes out %v before the server's Retry-After has passed", c, ask.until.Sub(now))
	}
	rate := b.w.s.limits.RateLimit
	if rate <= 0 {
		return
	}
	span := max(time.Second, time.Duration(float64(time.Second)/rate))
	o.calls = slices.DeleteFunc(append(o.calls, now), func(t time.Time) bool { return now.Sub(t) >= span })
	if n := len(o.calls); n > max(1, int(rate)) {
		b.violate("I7", c.order, "%s: is call %d within %v; %v a second are allowed", c, n, span, rate)
	}
}

// judgeWindow is I4, by what is announced now.
func (b *book) judgeWindow(c *call, now time.Time) {
	b.w.mu.Lock()
	spans := make([]span, 0, len(b.w.spans))
	for _, s := range b.w.spans {
		spans = append(spans, s)
	}
	b.w.mu.Unlock()
	for _, s := range spans {
		switch {
		case !now.Before(s.from) && (s.to.IsZero() || now.Before(s.to)):
			b.violate("I4", c.order, "is pushed in a maintenance window")
		case now.Before(s.from) && s.from.Sub(now) < b.w.s.limits.Guard:
			b.violate("I4", c.order, "is pushed %v before the next maintenance window", s.from.Sub(now))
		}
	}
}

// judgeIntent is I2.
func (b *book) judgeIntent(p *process, c *call, a *approvedOrder) {
	r, ok := b.record(p, a.entry.OrderID)
	switch {
	case !ok:
		b.violate("I2", c.order, "is pushed, and the journal knows nothing of it")
	case r.State != resubmit.RecordSending:
		b.violate("I2", c.order, "is pushed, and the last that the journal knows is that it was %s", r.State)
	case r.Fingerprint != a.entry.Fingerprint:
		b.violate("I2", c.order, "is pushed, and the journal has the intent for another failure")
	}
}

// judgeReading is I13: right before the push the order was read, and was as the
// plan says.
func (b *book) judgeReading(p *process, c *call, a *approvedOrder) {
	p.own.mu.Lock()
	r, ok := p.own.readings[c.order]
	p.own.mu.Unlock()
	if b.w.s.way == byBilling && r.before != nil {
		r = *r.before // a push by Billing begins with a reading of its own, which nobody sees
	}
	switch {
	case !ok || r.at.Before(b.intents[c.order]):
		b.violate("I13", c.order, "is pushed without having been read behind the intent")
	case r.truth == nil || b.w.s.stale > 0 && r.truth.Pushes > 0: // it was told something old
	case r.truth.Status != a.entry.Before.Status,
		b.w.s.way == byOrderManager && !b.w.sameReason(c.order, r.truth, a.entry):
		b.violate("I13", c.order, "is pushed, though it was %s (%s) when it was read, and the plan is for %s (%s)",
			r.truth.Status, r.truth.Failure, a.entry.Before.Status, a.entry.Before.Reason)
	}
}

// judgeTries is I3 and I6: behind a push that may have moved the order there is
// another one only as the policy says.
func (b *book) judgeTries(p *process, c *call, now time.Time) {
	limits := &b.w.s.limits
	tries := b.tries[c.order]
	b.tries[c.order] = append(tries, mark{at: now, life: p.life})
	if len(tries) == 0 {
		return
	}
	last := tries[len(tries)-1]
	rule := "I6"
	if last.ghost || last.life != p.life {
		rule = "I3"
	}
	most, spacing := allowed(limits, b.w.truth(c.order).Type)
	switch rest := max(limits.SettleDelay, spacing) - now.Sub(last.at); {
	case len(tries) >= most:
		b.violate(rule, c.order, "is pushed, though %d pushes of it may have been accepted already and %d are allowed", len(tries), most)
	case rest > 0:
		b.violate(rule, c.order, "is pushed %v too early after one that may have been accepted", rest)
	default:
		b.w.happened("another push behind one that got no answer")
	}
}

// allowed is what the limits say about an order type (resubmit/SAFETY.md#f6).
func allowed(limits *resubmit.Config, t commerce.OrderType) (most int, spacing time.Duration) {
	own := limits.Retry.ByType[t]
	most = cmp.Or(own.MaxAttempts, limits.Retry.MaxAttempts, 1)
	spacing = cmp.Or(own.Spacing, limits.Retry.Spacing, 300*time.Second)
	if t == commerce.TypeCancellation || t == commerce.TypeCancellationCharge {
		most, spacing = min(most, 4), max(spacing, 300*time.Second)
	}
	return most, spacing
}

// watch lets a server act, and looks what it did.
func (b *book) watch(_ *process, c *call, t *trip, act func() *answerKept) *answerKept {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.order >= 0 {
		truth := b.w.truth(c.order)
		t.truth = &truth
	}
	if c.kind != callPush {
		return act()
	}
	before := len(b.w.commerce.Ledger())
	ans := act()
	for _, line := range b.w.commerce.Ledger()[before:] {
		if line.Origin == commercetest.OriginPanel || !line.Accepted || t.twice || line.Order != t.truth.ID && line.Order != t.truth.InternalID {
			continue
		}
		b.accepted(c, line.Failure)
	}
	return ans
}

func (b *book) accepted(c *call, failure int) {
	b.w.counts.countUnder(&b.w.mu, "pushes accepted")
	f := failing{c.order, failure}
	b.taken[f]++
	b.pushed[c.order]++
	if n := b.taken[f]; n > 1 {
		b.violate("I1", c.order, "%d pushes were accepted for its failure %d", n, failure)
	}
	if b.w.s.stale > 0 {
		return // an order that is at rest may not look so yet
	}
	a := b.approved[c.order]
	if a == nil {
		return
	}
	for _, older := range b.lanes[b.w.truth(c.order).Subscription] {
		if o := b.w.truth(older); b.approved[older].place < a.place && !atRest(o.Status) {
			b.violate("I5", c.order, "was pushed while the older %s of its subscription is %s", o.Number, o.Status)
		}
	}
}

// arrived notes what the program was told.
func (b *book) arrived(p *process, c *call, t *trip, ans *answerKept, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c.kind == callPush && clearlyRefused(ans, err) {
		b.tries[c.order] = slices.DeleteFunc(b.tries[c.order], func(m mark) bool { return m.at.Equal(t.at) })
	}
	if err != nil {
		return
	}
	p.own.mu.Lock()
	defer p.own.mu.Unlock()
	if ans.denied && p.own.denied.IsZero() && (p.applying.Load() || ans.status == http.StatusUnauthorized) {
		p.own.denied = time.Now() // while planning, Connect may forbid to look up some orders only
	}
	if !p.applying.Load() {
		return
	}
	if c.kind == callRead && ans.status == http.StatusOK && !ans.cut {
		last := p.own.readings[c.order]
		last.before = nil
		p.own.readings[c.order] = reading{t.at, t.truth, &last}
	}
	if until := asked(ans); until.After(p.own.patience[c.connect].until) {
		p.own.patience[c.connect] = patience{time.Now(), until}
	}
}

// clearlyRefused says that whoever gets this knows that nothing was moved.
func clearlyRefused(ans *answerKept, err error) bool {
	if err != nil {
		return notSent(err)
	}
	switch ans.status {
	case http.StatusOK, http.StatusInternalServerError:
		return bytes.Contains(ans.body, []byte("<fault>")) && !ans.cut // of Billing
	case http.StatusUnauthorized, http.StatusTooManyRequests:
		return true
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusConflict,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return strings.Contains(ans.header.Get("Content-Type"), "json") && !ans.cut // in the words of the API
	default:
		return false // a gateway says nothing about Commerce (resubmit/SAFETY.md#f19)
	}
}

// asked is until when an answer asks for patience.
func asked(ans *answerKept) time.Time {
	text := ans.header.Get("Retry-After")
	if text == "" {
		return time.Time{}
	}
	if d, err := time.ParseDuration(text + "s"); err == nil {
		return time.Now().Add(d)
	}
	at, _ := http.ParseTime(text) // page writes nothing else
	return at
}

// report is I9, and holds what is said of each order against Commerce.
func (b *book) report(r *resubmit.Report, counts plan.ActionCounts, over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := r.Result.Total(); n != b.counts.Resubmit || n != counts.Resubmit {
		b.violate("I9", -1, "the report counts %d orders, and the plan marks %d", n, b.counts.Resubmit)
	}
	sum := resubmit.OutcomeCounts{}
	for _, g := range r.Groups {
		sum = resubmit.OutcomeCounts{
			Completed: sum.Completed + g.Result.Completed, Progressing: sum.Progressing + g.Result.Progressing,
			FailedAgain: sum.FailedAgain + g.Result.FailedAgain, FalseSuccess: sum.FalseSuccess + g.Result.FalseSuccess,
			Skipped: sum.Skipped + g.Result.Skipped, Unknown: sum.Unknown + g.Result.Unknown,
		}
	}
	if sum.Skipped += r.Unread; sum != r.Result {
		b.violate("I9", -1, "the groups of the report sum to %q, the report says %q", sum, r.Result)
	}
	seen := map[string]bool{}
	for i := range r.Items {
		item := &r.Items[i]
		if seen[item.OrderID] || b.approved[b.w.index(item.OrderID)] == nil {
			b.violate("I9", b.w.index(item.OrderID), "is in the report twice, or is not in the plan")
		}
		seen[item.OrderID] = true
		if over {
			b.w.counts.countUnder(&b.w.mu, "outcome "+string(item.Outcome))
			b.judgeOutcome(item)
		}
	}
	if !over || r.Items == nil && b.counts.Resubmit > 0 {
		return
	}
	if len(seen)+r.Unread != b.counts.Resubmit {
		b.violate("I9", -1, "the report has %d orders, and the plan marks %d", len(seen), b.counts.Resubmit)
	}
}

func (b *book) judgeOutcome(item *resubmit.Item) {
	i := b.w.index(item.OrderID)
	o := b.w.truth(i)
	switch item.Outcome {
	case resubmit.OutcomeSkipped:
		if b.pushed[i] > 0 {
			b.violate("I9", i, "is said to be skipped (%s), but %d pushes of it were accepted", item.Why, b.pushed[i])
		}
	case resubmit.OutcomeCompleted:
		if !o.Status.Provisioned() {
			b.violate("I9", i, "is said to be completed, but is %s", o.Status)
		}
	case resubmit.OutcomeUnknown:
	default:
		switch {
		case b.w.s.stale > 0: // a clock that jumps can let readings be old for longer than the settle time
		case item.Outcome == resubmit.OutcomeFailedAgain && o.Failures < 2 && o.Status != commerce.StatusCancelled:
			b.violate("I9", i, "is said to have failed again (%s), but failed %d times and is %s", item.Why, o.Failures, o.Status)
		case item.Outcome == resubmit.OutcomeFalseSuccess && !o.Status.Provisioned():
			b.violate("I9", i, "is said to be done in Commerce (%s), but is %s", item.Why, o.Status)
		}
		if o.Pushes == 0 {
			b.violate("I9", i, "is said to be %s (%s), but nobody pushed it", item.Outcome, item.Why)
		}
	}
}

// inPanel tells whether somebody pushed an order in the panel.
func (w *world) inPanel() bool {
	return slices.ContainsFunc(w.commerce.Ledger(), func(c commercetest.Call) bool { return c.Origin == commercetest.OriginPanel })
}

// close looks at what the servers themselves found wrong.
func (b *book) close() {
	for _, v := range b.w.commerce.Violations() {
		if v.Rule == commercetest.RuleLane {
			b.violate("I5", b.w.index(v.ID), "%s", v.Text)
		}
	}
	for _, v := range b.w.connect.Violations() {
		if v.Rule == connecttest.RuleFifthCancel && v.At.After(b.w.start.Add(b.w.s.otherSkew)) && !b.w.inPanel() {
			b.violate("F6", -1, "%s", v.Text)
		}
	}
}

// sameEnd is I10, and I20. In a world where nothing goes wrong but crashes, or one kind
// of trouble, each order that this is not about has to
// end as in the world without them: its status, provisioning status, failures and
// accepted pushes, and the requests of its subscription in Connect. One that the
// report calls unknown, and those behind it, may have stayed as they were: whether
// its push went out died with the process, and the policy allows no other. Where it
// does, an order that failed again in the same words cannot be told from one that was
// never pushed, so that it may have been pushed again, and those behind it differ.
func sameEnd(s *scenario, crashed, calm *outcome) (wrong []Violation) {
	excused, unknown := map[string]bool{}, map[string]bool{} // by number, by subscription
	orders := map[string]int{}                               // by subscription
	for i := range crashed.final {
		orders[crashed.final[i].order.Subscription]++
	}
	for i := range crashed.final {
		e := &crashed.final[i]
		// Each crash, or gateway, can take one push with it that the policy allows, and a request of
		// another order of the subscription can pass for one of this push.
		most, _ := allowed(&s.limits, e.order.Type)
		if crashed.outcomeOf(e) == resubmit.OutcomeUnknown && (most <= s.lostPushes() || orders[e.order.Subscription] > 1) {
			excused[e.order.Number], unknown[e.order.Subscription] = true, true
		}
	}
	for i := range crashed.final {
		if e := &crashed.final[i]; crashed.outcomeOf(e) == resubmit.OutcomeSkipped && unknown[e.order.Subscription] {
			excused[e.order.Number] = true
		}
	}
	again := map[string]bool{} // subscriptions with an order that failed in the same words as before
	for i := range min(len(crashed.final), len(calm.final)) {
		a, b := &crashed.final[i].order, &calm.final[i].order
		most, _ := allowed(&s.limits, a.Type)
		if a.Pushes > b.Pushes && a.Pushes <= most && b.Pushes == 1 && b.Failures > 1 {
			again[a.Subscription] = true
		}
	}
	for i := range min(len(crashed.final), len(calm.final)) {
		a, b := &crashed.final[i], &calm.final[i]
		left, right := a.String(), b.String()
		if left == right || s.concerns(a, crashed) || again[a.order.Subscription] || excused[a.order.Number] &&
			a.order.Pushes == 0 || unknown[a.order.Subscription] && a.sameOrder(b) {
			continue
		}
		wrong = append(wrong, Violation{Rule: "I10", Order: a.order.Number,
			Text: fmt.Sprintf("ends as %s, and without the trouble as %s", left, right)})
	}
	return wrong
}

// lost finds the orders that a run without any trouble left undone. Each order of its
// plan has to be pushed then, but those that came through by themselves and those of a
// subscription in which another one did not come to a good end.
func lost(calm *outcome) (wrong []Violation) {
	stopped := map[string]bool{} // subscriptions
	for i := range calm.final {
		e := &calm.final[i]
		switch calm.outcomeOf(e) {
		case resubmit.OutcomeProgressing, resubmit.OutcomeFailedAgain, resubmit.OutcomeFalseSuccess:
			stopped[e.order.Subscription] = true
		}
	}
	for i := range calm.final {
		e := &calm.final[i]
		what := calm.outcomeOf(e)
		skipped := what == resubmit.OutcomeSkipped && e.order.Status == commerce.StatusProvisioningFailed && !stopped[e.order.Subscription]
		if skipped || what == resubmit.OutcomeUnknown {
			wrong = append(wrong, Violation{Rule: "lost", Order: e.order.Number, Text: fmt.Sprintf("is %s, and nothing stood in its way: %s", what, e)})
		}
	}
	return wrong
}

// outcomeOf is what the last report says about an order; "" for nothing.
func (o *outcome) outcomeOf(e *orderEnd) resubmit.Outcome {
	if o.last == nil {
		return ""
	}
	i := slices.IndexFunc(o.last.Items, func(i resubmit.Item) bool { return i.Number == e.order.Number })
	if i < 0 {
		return ""
	}
	return o.last.Items[i].Outcome
}

func (e *orderEnd) String() string {
	return e.orderString() + "; requests: " + cmp.Or(e.requests, "none")
}

func (e *orderEnd) orderString() string {
	return fmt.Sprintf("%s, provisioning %s, failed %d times, pushed %d times", e.order.Status, e.order.Provisioning, e.order.Failures, e.order.Pushes)
}

func (e *orderEnd) sameOrder(other *orderEnd) bool { return e.orderString() == other.orderString() }

// matching is the full scan: what of the failure view the filter selects now.
func (w *world) matching(f filter.Filter) []string {
	if w.s.filter == nil {
		return w.failed()
	}
	client, err := directClient(w)
	if err != nil {
		w.book.violate("world", -1, "%v", err)
		return nil
	}
	var ids []string
	view := commerce.FailedOrders().Query()
	for o, err := range client.Orders(w.ctx, commerce.Query{}) {
		if err == nil {
			o, err = client.Order(w.ctx, o.ID)
		}
		if err != nil {
			w.book.violate("world", -1, "%v", err)
			return nil
		}
		if view.Match(o) && f.Match(o) {
			ids = append(ids, o.ID)
		}
	}
	slices.Sort(ids)
	return ids
}
