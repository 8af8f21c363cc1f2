package resubmit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// Texts of failures while Connect was down, and while it still is.
const (
	outage    = "Reason: 502 Bad Gateway."
	stillDown = "Reason: 504 Gateway Timeout."
)

// fault is what happens to one call.
type fault string

const (
	fine        fault = ""
	lostActed   fault = "lost after it acted"
	lostIgnored fault = "lost before it acted"
	conflict    fault = "409"
	limited     fault = "429"
	badToken    fault = "401"
	forbidden   fault = "403"
	notSent     fault = "not sent"
	broken      fault = "read broken"
	missing     fault = "404"
	stale       fault = "read stale"
)

// fate is what becomes of an order after an accepted push.
type fate struct {
	after  time.Duration
	status commerce.Status // "" leaves it in PR for ever
	reason string
}

var completes = fate{after: 5 * time.Second, status: commerce.StatusCompleted}

// shopOrder is an order in the shop, and what will happen to it.
type shopOrder struct {
	commerce.Order
	fates      []fate  // one for each accepted push; completes when used up
	pushFaults []fault // one for each push; fine when used up
	readFaults []fault
	onRead     func(*shopOrder) // somebody else acts right before a read
	silent     bool             // readings do not tell the transitions

	pending    *fate
	due        time.Time
	generation int            // how often it has failed
	first      commerce.Order // what a stale read returns
}

// pushed is one line of the ledger: a push that reached the shop.
type pushed struct {
	id         string
	target     commerce.Status
	at         time.Time
	accepted   bool
	generation int
	open       int // other orders of its subscription in PR at that time
}

// shop is a small Commerce and Connect. It is the server of these tests: what it
// saw is what counts.
type shop struct {
	mu         sync.Mutex
	orders     map[string]*shopOrder
	ledger     []pushed
	reads      map[string]int
	calls      []time.Time
	steps      []string
	requests   map[connect.RequestKey][]connect.LatestRequest
	finderErr  error
	lookups    int
	retryAfter time.Duration
	onPush     func(ctx context.Context, id string)
	fate       func(o *shopOrder) fate // instead of the orders' own
}

func newShop(orders ...*shopOrder) *shop {
	s := &shop{
		orders: make(map[string]*shopOrder), reads: make(map[string]int),
		requests: make(map[connect.RequestKey][]connect.LatestRequest), retryAfter: 30 * time.Second,
	}
	for _, o := range orders {
		o.generation, o.first = 1, o.Order
		s.orders[o.ID] = o
	}
	return s
}

// outageOrder is a purchase of subscription sub that failed in an outage, the
// n-th by age.
func outageOrder(n int, sub string) *shopOrder {
	o := &shopOrder{Order: commerce.Order{
		ID: fmt.Sprintf("id-%d", n), Number: fmt.Sprintf("SO%06d", n), Type: commerce.TypeSales,
		Status: commerce.StatusProvisioningFailed, PlacedAt: time.Now().Add(-2*time.Hour + time.Duration(n)*time.Second),
		VendorAccountID: "1", Channel: commerce.ChannelDirect, CustomerName: "Acme",
		Failure: commerce.Failure{Messages: map[string]string{"en_US": outage}},
		Transitions: []commerce.Transition{
			{To: commerce.StatusCancelled}, {To: commerce.StatusProvisioning}, {To: commerce.StatusPaid},
		},
	}}
	if sub != "" {
		o.SubscriptionIDs = []string{sub}
	}
	return o
}

// advance lets due fates happen.
func (s *shop) advance(o *shopOrder) {
	if o.pending == nil || time.Now().Before(o.due) || o.pending.status == "" {
		return
	}
	o.Status = o.pending.status
	if o.Status == commerce.StatusProvisioningFailed {
		o.generation++
		o.Failure.Messages = map[string]string{"en_US": o.pending.reason}
		o.Transitions = []commerce.Transition{{To: commerce.StatusPaid}}
	}
	o.pending = nil
}

func take(list *[]fault) fault {
	if len(*list) == 0 {
		return fine
	}
	f := (*list)[0]
	*list = (*list)[1:]
	return f
}

func (s *shop) fail(op string, f fault) error {
	e := &commerce.Error{Op: op, CorrelationID: "corr-1"}
	switch f {
	case lostActed, lostIgnored:
		return errors.New("connection reset by peer")
	case conflict:
		e.HTTPStatus, e.Message, e.Delivery = 409, "the order is locked", commerce.DeliveryRefused
	case limited:
		e.HTTPStatus, e.RetryAfter, e.Delivery = 429, s.retryAfter, commerce.DeliveryRefused
	case badToken:
		e.HTTPStatus, e.Delivery = 401, commerce.DeliveryRefused
	case forbidden:
		e.HTTPStatus, e.Err, e.Delivery = 200, commerce.ErrForbidden, commerce.DeliveryRefused
	case notSent:
		e.Err, e.Delivery = errors.New("connection refused"), commerce.DeliveryNotSent
	case missing:
		e.HTTPStatus = 404
	default:
		e.HTTPStatus = 503
	}
	return e
}

func (s *shop) Order(ctx context.Context, id string) (*commerce.Order, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, time.Now())
	s.reads[id]++
	s.steps = append(s.steps, "read "+id)
	o := s.orders[id]
	if o == nil {
		return nil, s.fail("read order", missing)
	}
	switch f := take(&o.readFaults); f {
	case fine:
	case stale:
		return &o.first, nil
	default:
		return nil, s.fail("read order", f)
	}
	s.advance(o)
	if o.onRead != nil {
		o.onRead(o)
	}
	read := o.Order
	if o.silent {
		read.Transitions = nil
	}
	return &read, nil
}

func (s *shop) Push(ctx context.Context, id string, to commerce.Status) error {
	if s.onPush != nil {
		s.onPush(ctx, id)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.calls = append(s.calls, now)
	s.steps = append(s.steps, "push "+id)
	o := s.orders[id]
	if o == nil {
		return s.fail("push order", missing)
	}
	s.advance(o)
	f := take(&o.pushFaults)
	line := pushed{id: id, target: to, at: now, generation: o.generation, open: s.underWay(o)}
	accept := f == fine || f == lostActed
	if accept && !o.Offers(to) {
		accept, f = false, conflict
	}
	if accept {
		line.accepted = true
		o.Status, o.Transitions = commerce.StatusProvisioning, []commerce.Transition{}
		next := completes
		if len(o.fates) > 0 {
			next, o.fates = o.fates[0], o.fates[1:]
		}
		if s.fate != nil {
			next = s.fate(o)
		}
		o.pending, o.due = &next, now.Add(next.after)
	}
	s.ledger = append(s.ledger, line)
	if f == fine {
		return nil
	}
	return s.fail("push order", f)
}

// underWay counts the other orders of an order's subscriptions that are in PR.
func (s *shop) underWay(o *shopOrder) int {
	n := 0
	for _, other := range s.orders {
		s.advance(other)
		if other != o && other.Status == commerce.StatusProvisioning && slices.ContainsFunc(other.SubscriptionIDs,
			func(id string) bool { return slices.Contains(o.SubscriptionIDs, id) }) {
			n++
		}
	}
	return n
}

func (s *shop) LatestRequests(_ context.Context,
	keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, time.Now())
	s.lookups++
	if s.finderErr != nil {
		return nil, s.finderErr
	}
	out := make(map[connect.RequestKey][]connect.LatestRequest)
	for _, k := range keys {
		out[k] = append([]connect.LatestRequest{}, s.requests[k]...)
	}
	return out, nil
}

// answer sets the newest request of a subscription's purchase.
func (s *shop) answer(sub string, status connect.RequestStatus, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := connect.RequestKey{SubscriptionID: sub, Type: connect.TypePurchase}
	s.requests[k] = []connect.LatestRequest{{Request: connect.Request{
		ID: "PR-" + sub, Type: connect.TypePurchase, Status: status, Reason: reason, Updated: time.Now(),
	}}}
}

func (s *shop) pushes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ledger)
}

func (s *shop) accepted(id string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.ledger {
		if l.id == id && l.accepted {
			n++
		}
	}
	return n
}

// entryFor is the plan's entry for an order as it is now.
func entryFor(o *shopOrder) *plan.Entry {
	before := plan.SnapshotOf(&o.Order)
	return &plan.Entry{
		OrderID: o.ID, Number: o.Number, Type: o.Type, VendorAccountID: o.VendorAccountID, Channel: o.Channel,
		Customer: o.CustomerName, Subscriptions: o.SubscriptionIDs, TenantID: o.TenantID,
		Before: before, Fingerprint: plan.Fingerprint(o.ID, before),
		Attribution: failure.Attribution{Verdict: failure.Caused, Class: failure.Transient},
		Decision:    rules.Decision{Action: rules.Resubmit, RuleID: "test", Why: "test"},
		Target:      commerce.StatusPaid,
	}
}

var journals sync.Map // test → *resubmit.MemoryJournal

// journalOf returns the journal of a test.
func journalOf(t require.TestingT) *resubmit.MemoryJournal {
	j, _ := journals.LoadOrStore(t, new(resubmit.MemoryJournal))
	return j.(*resubmit.MemoryJournal) //nolint:forcetypeassert // only such are stored
}

// newJournal gives a test another journal from now on.
func newJournal(t require.TestingT) { journals.Store(t, new(resubmit.MemoryJournal)) }

func planWith(t require.TestingT, windows []maintenance.Window, entries ...*plan.Entry) *plan.Plan {
	plan, _ := planFile(t, windows, entries...)
	return plan
}

func planWithWeekly(t require.TestingT, weekly maintenance.Weekly, entries ...*plan.Entry) *plan.Plan {
	plan, _ := writtenPlan(t, plan.Header{System: testSystem, Weekly: []maintenance.Weekly{weekly}}, entries...)
	return plan
}

// planFile is a plan and the bytes that it is read from.
func planFile(t require.TestingT, windows []maintenance.Window, entries ...*plan.Entry) (*plan.Plan, []byte) {
	return writtenPlan(t, plan.Header{System: testSystem, Windows: windows}, entries...)
}

func writtenPlan(t require.TestingT, h plan.Header, entries ...*plan.Entry) (*plan.Plan, []byte) {
	var b bytes.Buffer
	h.CreatedAt, h.View, h.Filter = time.Now(), "Failed Orders", "everything()"
	if h.Journal == (plan.Position{}) {
		lease, err := journalOf(t).Begin(context.Background(), resubmit.JournalUse{System: testSystem})
		require.NoError(t, err)
		h.Journal = lease.Position
	}
	w, err := plan.NewWriter(&b, h)
	require.NoError(t, err)
	for _, e := range entries {
		require.NoError(t, w.Write(e))
	}
	_, _, err = w.Close()
	require.NoError(t, err)
	p, err := plan.Read(bytes.NewReader(b.Bytes()), int64(b.Len()))
	require.NoError(t, err)
	return p, b.Bytes()
}

func planFor(t require.TestingT, orders ...*shopOrder) *plan.Plan {
	entries := make([]*plan.Entry, 0, len(orders))
	for _, o := range orders {
		entries = append(entries, entryFor(o))
	}
	return planWith(t, nil, entries...)
}

// runnerFor is a runner without a rate limit and canary, for tests that are not
// about them.
func runnerFor(t require.TestingT, s *shop, change func(*resubmit.Config)) *resubmit.Runner {
	cfg := resubmit.Config{
		Systems: systemsOf(resubmit.Systems{Reader: s, Pusher: s}), RateLimit: -1, Journal: journalOf(t),
		Canary: resubmit.CanaryConfig{Steps: []int{}},
	}
	if change != nil {
		change(&cfg)
	}
	r, err := resubmit.NewRunner(cfg)
	require.NoError(t, err)
	return r
}

// itemOf finds the item of the n-th order.
func itemOf(t testing.TB, r *resubmit.Report, n int) resubmit.Item {
	t.Helper()
	id := fmt.Sprintf("id-%d", n)
	at := slices.IndexFunc(r.Items, func(i resubmit.Item) bool { return i.OrderID == id })
	require.GreaterOrEqual(t, at, 0, "the report has no item for %s", id)
	return r.Items[at]
}

// diary records events.
type diary struct {
	mu     sync.Mutex
	lines  []string
	closed []resubmit.GateClosed
	opened []resubmit.GateOpened
}

func (d *diary) write(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) on(e resubmit.Event) {
	switch e := e.(type) {
	case resubmit.RunStarted:
		d.write("started %d", e.Counts.Resubmit)
	case resubmit.GateClosed:
		d.closed = append(d.closed, e)
		d.write("gate closed")
	case resubmit.GateOpened:
		d.opened = append(d.opened, e)
		d.write("gate opened")
	case resubmit.PushIntended:
		d.write("%s intent %d", e.Number, e.Attempt)
	case resubmit.OrderReread:
		d.write("%s reread %q", e.Number, e.Changed)
	case resubmit.PushAccepted:
		d.write("%s pushed %s", e.Number, e.Target)
	case resubmit.PushRefused:
		d.write("%s refused again=%v", e.Number, e.Again)
	case resubmit.PushUnanswered:
		d.write("%s unknown", e.Number)
	case resubmit.OrderDone:
		d.write("%s done %s", e.Number, e.Outcome)
	case resubmit.RunFinished:
		d.write("finished %d", e.Result.Total())
	}
}

func (d *diary) String() string { return strings.Join(d.lines, "\n") }

// claimJournal also writes the claims among the steps of the shop.
type claimJournal struct {
	resubmit.Journal
	shop *shop
}

func (j claimJournal) Put(
	ctx context.Context, d resubmit.Durability, records ...protocol.Record,
) (uint64, error) {
	seq, err := j.Journal.Put(ctx, d, records...)
	if r := records[0]; err == nil && r.Order != nil && r.Order.Phase == protocol.Claimed {
		j.shop.mu.Lock()
		defer j.shop.mu.Unlock()
		j.shop.steps = append(j.shop.steps, "claim "+r.ID)
	}
	return seq, err
}

// meter counts how many are in at the same time.
type meter struct {
	mu        sync.Mutex
	now, most int
}

func newMeter() *meter { return new(meter) }

func (m *meter) enter() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now++
	m.most = max(m.most, m.now)
}

func (m *meter) exit() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now--
}

// slowPusher takes a second for each push.
type slowPusher struct {
	shop *shop
	busy *meter
}

func (p slowPusher) Push(ctx context.Context, id string, to commerce.Status) error {
	p.busy.enter()
	defer p.busy.exit()
	<-time.After(time.Second)
	return p.shop.Push(ctx, id, to)
}

// lengthyPusher takes that long for each push, and acts at the end.
type lengthyPusher struct {
	shop  *shop
	takes time.Duration
}

func (p lengthyPusher) Push(ctx context.Context, id string, to commerce.Status) error {
	<-time.After(p.takes)
	return p.shop.Push(ctx, id, to)
}

// frail is a shop whose calls take a second, and that bears only some at once.
type frail struct {
	shop  *shop
	busy  *meter
	bears int
}

func (f frail) System() string { return testSystem }

func (f frail) BaseURL() string { return "" }

func (f frail) Capabilities() commerce.Capabilities {
	return commerce.Capabilities{Failure: true, Transitions: true, MaxConcurrency: f.bears}
}

func (f frail) Order(ctx context.Context, id string) (*commerce.Order, error) {
	f.busy.enter()
	defer f.busy.exit()
	<-time.After(time.Second)
	return f.shop.Order(ctx, id)
}

func (f frail) Push(ctx context.Context, id string, to commerce.Status) error {
	f.busy.enter()
	defer f.busy.exit()
	<-time.After(time.Second)
	return f.shop.Push(ctx, id, to)
}

// recordOf returns the journal's record of the n-th order; nil if there is none.
func recordOf(t testing.TB, n int) *protocol.Order {
	t.Helper()
	rec, err := journalOf(t).Get(t.Context(), protocol.OrderKey(fmt.Sprintf("id-%d", n)))
	require.NoError(t, err)
	return rec.Order
}

// runOf returns the journal's record of the run of a plan; nil if it has not begun.
func runOf(t testing.TB, p *plan.Plan) *protocol.Run {
	t.Helper()
	rec, err := journalOf(t).Get(t.Context(), protocol.RunKey(p.Digest()))
	require.NoError(t, err)
	return rec.Run
}

// leave writes to the journal what an earlier run of a plan, which has ended, left of an order and its lanes.
func leave(t require.TestingT, p *plan.Plan, e *plan.Entry, change func(*protocol.Order)) {
	j, ctx, now := journalOf(t), context.Background(), time.Now()
	o := protocol.Order{
		Number: e.Number, Run: p.Digest(), Epoch: 1, Fingerprint: e.Fingerprint, Lanes: e.Lanes(),
		PlacedAt: e.Before.PlacedAt, Attempts: 1, Resubmissions: 1, Target: commerce.StatusPaid, Status: e.Before.Status,
		ClaimedAt: now, FirstClaimAt: now, Why: "as it was",
	}
	change(&o)
	if o.Phase != protocol.Claimed {
		o.SentAt = o.ClaimedAt
	}
	records := []protocol.Record{{Key: protocol.OrderKey(e.OrderID), At: now, Order: &o}}
	for _, id := range e.Lanes() {
		lane := &protocol.Lane{Newest: e.OrderID, NewestAt: e.Before.PlacedAt}
		if o.Outcome != protocol.Completed && o.Status != commerce.StatusCompleted {
			lane.Order, lane.Number, lane.Blocked = e.OrderID, e.Number, o.Phase == protocol.Ended
		}
		records = append(records, protocol.Record{Key: protocol.Key{Kind: protocol.KindLane, ID: id}, At: now, Lane: lane})
	}
	for i := range records {
		old, err := j.Get(ctx, records[i].Key)
		require.NoError(t, err)
		records[i].Version = old.Version
	}
	_, err := j.Put(ctx, resubmit.Durable, records...)
	require.NoError(t, err)
}

// readerFunc is a function that reads orders.
type readerFunc func(ctx context.Context, id string) (*commerce.Order, error)

func (f readerFunc) Order(ctx context.Context, id string) (*commerce.Order, error) { return f(ctx, id) }
