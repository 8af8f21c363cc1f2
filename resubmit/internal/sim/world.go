package sim

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/wait"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

const (
	commerceURL = "https://commerce.sim"
	connectURL  = "https://connect.sim/public/v1"
	// faultyProcesses is the number of processes after which nothing fails any more, so that every world ends.
	faultyProcesses = 8
	maxProcesses    = 100
	maxDuration     = 30 * time.Hour // of a world
)

// world is a running scenario: both systems and the programs.
type world struct {
	cfg     *Config
	s       *scenario
	ctx     context.Context //nolint:containedctx // of run
	verbose bool            // record a history

	commerce  *commercetest.System
	connect   *connecttest.System
	clockJump atomic.Int64 // of the clock of Commerce, in ns
	store     *Store       // the journal, unless Config.Journal opens another one
	dir       string       // for a journal in files; "" without one
	start     time.Time    // of the programs
	programs  []*program
	running   sync.WaitGroup // the programs

	mu              sync.Mutex
	ids             []string       // of the orders, by index; "" if left out
	byID            map[string]int // index by id and by billing id
	numbers         []string
	ordersByRequest map[string][]int // indexes by tenant and request type, oldest first
	repeatFailures  map[string]int   // pushes that Connect will not answer, by tenant and request type
	repeatTries     map[string]int   // calls for these
	spans           map[int]span     // announced windows by number
	calendar        *maintenance.Calendar
	callCounts      map[callKey]int
	answers         map[callKey]answer // the last ones
	systemCalls     map[bool]int       // calls to Connect (true) and to Commerce
	denialStarts    []startedIn        // by index of the denial
	panicCalls      map[callKey]int
	orderReads      map[int]int      // reads of orders by runs
	opened          resubmit.Journal // by Config.Journal; nil if it is not open
	users           int              // processes that have it open
	shared          *approvedPlan    // of the first program
	anchor          plan.Position    // of the journal, kept outside of it
	anchorAt        time.Time
	maintenances    int // number of maintenances in progress
	unplanned       int // maintenances of actions
	counts          Counts
	history         []string

	checker checker

	background sync.WaitGroup // goroutines of the world, which end with ctx
}

type span struct{ from, to time.Time }

type callKey struct {
	kind  callKind
	order int
}

func newWorld(ctx context.Context, cfg *Config, s *scenario, verbose bool) *world {
	w := &world{
		cfg: cfg, s: s, ctx: ctx, verbose: verbose, store: &Store{locked: s.locked}, counts: Counts{},
		start: time.Now().Add(beforeStart), orderReads: map[int]int{},
		byID: map[string]int{}, ordersByRequest: map[string][]int{}, repeatFailures: map[string]int{},
		repeatTries: map[string]int{}, spans: map[int]span{}, callCounts: map[callKey]int{}, answers: map[callKey]answer{},
		systemCalls: map[bool]int{}, denialStarts: make([]startedIn, len(s.denials)), panicCalls: map[callKey]int{},
	}
	w.checker.init(w)
	for i := range s.programs {
		w.programs = append(w.programs, &program{w: w, index: i, spec: &s.programs[i]})
	}
	return w
}

// run builds the systems, lets the orders fail, and runs the program until it has finished.
func (w *world) run() {
	ctx, stop := context.WithCancel(w.ctx)
	defer stop()
	w.ctx = ctx
	defer func() { _ = os.RemoveAll(w.dir) }() // a rest stays in the directory for temporary files
	if err := w.build(); err != nil {
		w.checker.violate("world", -1, "%v", err)
		return
	}
	w.background.Go(func() { _ = w.commerce.Run(ctx) }) // it returns the error of ctx
	w.runPast(ctx)
	events := w.schedule()
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	w.background.Go(func() { // one after the other, even at the same moment
		for _, e := range events {
			if sleep(ctx, time.Until(w.start.Add(e.at))) != nil {
				return
			}
			e.do()
		}
	})
	w.runPrograms(ctx)
	if w.s.twin { // both ends are compared once nothing more happens
		_ = sleep(ctx, 15*time.Minute) // after an error it ends too
	}
	stop()
	w.background.Wait()
	w.checker.checkServers()
}

func (w *world) build() error {
	w.connect = connecttest.New(connecttest.Config{
		Seed: w.s.seed, Vendor: w.vendor, Now: w.connectNow, ShuffleTies: w.s.ties,
	})
	var err error
	if w.cfg.Journal != nil {
		if w.dir, err = os.MkdirTemp("", "world"); err != nil {
			return err
		}
	}
	w.commerce, err = commercetest.New(commercetest.Config{
		Seed: w.s.seed, ConnectURL: connectURL, ConnectKey: connecttest.DefaultKey,
		ConnectHTTP:          &http.Client{Transport: &connectorNetwork{w: w, to: w.connect.Transport()}},
		WaitingOrdersSurvive: w.s.asyncHeals,
		PollInterval:         w.s.poll, StaleReadsFor: w.s.staleReads, MaxPageSize: w.s.listPage, ShuffleTies: w.s.ties,
		Now: func() time.Time { return time.Now().Add(w.s.commerceSkew + time.Duration(w.clockJump.Load())) },
	})
	if err != nil {
		return err
	}
	w.announce(-1, span{bubbleStart.Add(windowAt), bubbleStart.Add(windowEnd)})
	return w.addSubscriptions()
}

// connectNow is the clock of Connect.
func (w *world) connectNow() time.Time {
	now := time.Now().Add(w.s.connectSkew)
	if w.s.wholeSeconds {
		now = now.Truncate(time.Second)
	}
	return now
}

// addSubscriptions adds the existing subscriptions to Connect, with their failed cancel requests.
func (w *world) addSubscriptions() error {
	known := map[int]bool{}
	add := func(o *orderSpec, request connect.RequestType, status connect.RequestStatus, reason string) error {
		_, err := w.connect.AddRequest(connecttest.RequestSpec{
			ExternalUID: tenant(o.tenant), ExternalID: subscription(o.subscription), ProductID: o.product,
			Type: request, Status: status, Reason: reason, Created: time.Now().Add(-24 * time.Hour),
		})
		return err
	}
	for _, o := range w.s.orders {
		if !o.existing {
			continue
		}
		if !known[o.tenant] {
			known[o.tenant] = true
			if err := add(&o, connect.TypePurchase, connect.StatusApproved, ""); err != nil {
				return err
			}
		}
		for range o.failedCancels {
			if err := add(&o, connect.TypeCancel, connect.StatusFailed, "the vendor's system said no"); err != nil {
				return err
			}
		}
	}
	return nil
}

func tenant(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

func subscription(n int) string { return fmt.Sprint(700100 + n) }

// runPast places the orders and lets them fail, until the program starts.
func (w *world) runPast(ctx context.Context) {
	begin := time.Now()
	at := func(d time.Duration) { _ = sleep(ctx, time.Until(begin.Add(d))) }
	size := 0
	for _, o := range w.s.orders {
		size = max(size, o.index+1)
	}
	w.ids, w.numbers = make([]string, size), make([]string, size)
	byTime := slices.SortedStableFunc(slices.Values(w.s.orders),
		func(a, b orderSpec) int { return cmp.Compare(a.placedAfter, b.placedAfter) })
	place := func(from time.Duration, causes ...cause) {
		for _, o := range byTime {
			if slices.Contains(causes, o.cause) {
				at(from + o.placedAfter)
				w.place(&o)
			}
		}
	}
	at(outageAt)
	w.setMaintenance(true)
	place(outageAt+time.Second, causeOutage)
	at(outageEnd)
	w.setMaintenance(false)
	place(rejectedAt, causeRejected, causeTrouble, causeHealthy)
	place(reachedAt, causeReached, causeMarked)
	at(windowAt)
	w.setMaintenance(true)
	place(windowAt+time.Second, causeWindow)
	at(windowEnd)
	w.setMaintenance(false)
	at(markedAt)
	for _, o := range w.s.orders {
		if o.cause == causeMarked || o.cause == causeReached && w.s.asyncHeals {
			text := cmp.Or(o.text, "Timeout exception")
			_ = w.commerce.MarkFailed(w.ids[o.index], text) // it may have completed meanwhile
		}
	}
	at(beforeStart)
	w.countTies()
	w.mu.Lock() // Commerce polls at the same time
	defer w.mu.Unlock()
	for _, o := range w.s.orders {
		if o.repeatFailures > 0 {
			w.repeatFailures[tenant(o.tenant)+string(requestOf(&o))] += o.repeatFailures
		}
	}
}

func (w *world) place(o *orderSpec) {
	n := commercetest.OrderSpec{
		Type: o.kind, RequestType: o.request, VendorAccount: o.vendor, Product: o.product,
		Customer:     fmt.Sprint(3000100 + o.tenant),
		Subscription: subscription(o.subscription), Tenant: tenant(o.tenant),
	}
	if o.cause == causeTrouble {
		n.FailWith = o.text
	}
	w.mu.Lock()
	key := n.Tenant + string(requestOf(o))
	w.ordersByRequest[key] = append(w.ordersByRequest[key], o.index)
	w.mu.Unlock()
	made := w.commerce.Place(n)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.register(o.index, &made)
}

// register stores the id and number of an order. The lock must be held.
func (w *world) register(index int, made *commercetest.Order) {
	w.ids[index], w.numbers[index] = made.ID, made.Number
	w.byID[made.ID], w.byID[made.BillingID] = index, index
}

// requestOf is the type of request that the connector makes for an order.
func requestOf(o *orderSpec) connect.RequestType {
	if o.request != "" {
		return o.request
	}
	kind, _ := rules.RequestTypeFor(o.kind)
	return kind
}

// vendor replies to a request of an order. It must not call the systems.
func (w *world) vendor(call connecttest.PendingRequest) connecttest.VendorAnswer {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := 0
	if call.Request.Type == connect.TypeCancel {
		for _, o := range w.s.orders {
			if tenant(o.tenant) == call.Request.Asset.ExternalUID && o.existing {
				before += o.failedCancels
			}
		}
	}
	if call.Request.Type == connect.TypePurchase && call.Earlier > 0 {
		before = 1
	}
	own := w.ordersByRequest[call.Request.Asset.ExternalUID+string(call.Request.Type)]
	n := call.Earlier - before
	if n < 0 || n >= len(own) {
		return connecttest.VendorAnswer{Action: connecttest.VendorApprove, After: 5 * time.Second}
	}
	for _, o := range w.s.orders {
		if o.index != own[n] {
			continue
		}
		switch o.cause {
		case causeRejected:
			return connecttest.VendorAnswer{Action: connecttest.VendorReject, After: 10 * time.Second,
				Reason: "the domain is not verified"}
		case causeReached: // after the maintenance
			return connecttest.VendorAnswer{Action: o.reply.action, After: windowEnd - reachedAt + o.reply.after,
				Reason: "no more seats"}
		case causeHealthy:
			return connecttest.VendorAnswer{Action: connecttest.VendorApprove, After: time.Second}
		}
		return connecttest.VendorAnswer{Action: o.reply.action, After: o.reply.after, Reason: "no more seats"}
	}
	return connecttest.VendorAnswer{Action: connecttest.VendorApprove}
}

// restartClock makes the clock of the programs jump back at a restart.
func (w *world) restartClock(ahead time.Duration) {
	if ahead <= 0 || w.cfg.Journal != nil || len(w.programs) > 1 {
		return
	}
	w.store.setBack(ahead)
	w.count("clock of the program jumped back")
}

// setMaintenance starts or ends a maintenance of Connect. Maintenances can overlap.
func (w *world) setMaintenance(on bool) {
	w.mu.Lock()
	if on {
		w.maintenances++
	} else {
		w.maintenances--
	}
	down := w.maintenances > 0
	w.mu.Unlock()
	w.connect.SetMaintenance(down)
	w.logf("Connect is in maintenance: %t", down)
}

// announce adds window n to the calendar, or moves it.
func (w *world) announce(n int, at span) {
	if err := w.tryAnnounce(n, at); err != nil {
		w.checker.violate("world", -1, "%v", err)
	}
}

func (w *world) tryAnnounce(n int, at span) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spans[n] = at
	windows := make([]maintenance.Window, 0, len(w.spans))
	for _, i := range slices.Sorted(maps.Keys(w.spans)) {
		s := w.spans[i]
		win := maintenance.Window{ID: fmt.Sprintf("W%d", i+1), Start: s.from, End: s.to}
		if s.to.IsZero() {
			win.End, win.ActualStart = s.from.Add(time.Minute), s.from
		}
		windows = append(windows, win)
	}
	c, err := maintenance.NewCalendar(windows)
	if err == nil {
		w.calendar = c
	}
	return err
}

func (w *world) calendarNow() *maintenance.Calendar {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calendar
}

// countCall returns how many calls of a kind for an order there were before.
func (w *world) countCall(kind callKind, order int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := callKey{kind, order}
	n := w.callCounts[key]
	w.callCounts[key]++
	return n
}

// logf adds a line to the history, if it is recorded.
func (w *world) logf(format string, args ...any) {
	if !w.verbose {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, fmt.Sprintf("%12v  ", time.Since(w.start).Round(time.Millisecond))+fmt.Sprintf(format,
		args...))
}

// count counts an event that really happened.
func (w *world) count(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

// order is an order as Commerce stores it, whatever it shows.
func (w *world) order(index int) commercetest.Order {
	w.mu.Lock()
	id := ""
	if index >= 0 && index < len(w.ids) {
		id = w.ids[index]
	}
	w.mu.Unlock()
	o, _ := w.commerce.Order(id)
	return o
}

// indexOf is the index of an order by its id, billing id or number; -1 for an unknown order.
func (w *world) indexOf(id string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i, ok := w.byID[id]; ok {
		return i
	}
	return slices.Index(w.numbers, id)
}

// numberOf is the number of an order; "" for an unknown order.
func (w *world) numberOf(index int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if index < 0 || index >= len(w.numbers) {
		return ""
	}
	return w.numbers[index]
}

// isFinal says that nothing more happens to an order in this status.
func isFinal(s commerce.Status) bool {
	return s.Provisioned() || s == commerce.StatusCancelled || s == commerce.StatusFraud
}

// sleep waits for d, or returns the error of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	return wait.For(ctx, d, nil)
}

// countTies counts rows that have the same time as another one.
func (w *world) countTies() {
	if !w.s.ties {
		return
	}
	placed, created := map[string]bool{}, map[string]bool{}
	for _, o := range w.commerce.Orders() {
		second := o.PlacedAt.Format(time.RFC3339)
		if placed[second] {
			w.count("order placed in the second of another")
		}
		placed[second] = true
	}
	for _, r := range w.connect.Requests() {
		second := r.Created.Format(time.RFC3339) + string(r.Type)
		if created[second] {
			w.count("request created in the second of another")
		}
		created[second] = true
	}
}
