package sim

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

const (
	commerceURL = "https://commerce.sim"
	connectURL  = "https://connect.sim/public/v1"
	// mostLives is after how many lives of the program nothing goes wrong any more,
	// so that every world comes to an end.
	mostLives = 8
	// longest is how long a world may take, and mostStarts how often the program may start.
	longest    = 24 * time.Hour
	mostStarts = 100
)

// world is a scenario that happens: both systems, and the program in its lives.
type world struct {
	cfg  *Config
	s    *scenario
	ctx  context.Context //nolint:containedctx // a world is one call of happen
	tell bool

	commerce *commercetest.System
	connect  *connecttest.System
	jump     atomic.Int64 // of the clock of Commerce, in ns
	disk     *Disk
	dir      string    // for files; "" when nobody asks for it
	start    time.Time // of the program

	mu       sync.Mutex
	ids      []string       // of the orders, by their index; "" when left out
	byID     map[string]int // and back, also by billing id
	numbers  []string
	fates    map[string][]int // by tenant and type: the orders, oldest first
	relapses map[string]int   // by tenant and type: calls that Connect will not answer
	// relapseTries counts the tries of these.
	relapseTries map[string]int
	spans        map[int]span // what is announced, by the number of the window
	calendar     *maintenance.Calendar
	nth          map[callKey]int // calls so far
	answers      map[callKey]answerKept
	systemCalls  map[bool]int // to Connect, and to Commerce
	refusing     []began      // by the index of the refusal
	panicCalls   map[callKey]int
	current      *process
	plan         []byte
	down         int // real maintenances that are going on
	counts       Counts
	history      []string
	last         *resubmit.Report

	book book

	// lasting ends with the world; going counts what goes on by itself.
	lasting context.Context //nolint:containedctx // as ctx
	going   sync.WaitGroup
}

type span struct{ from, to time.Time }

type callKey struct {
	kind  callKind
	order int
}

func newWorld(ctx context.Context, cfg *Config, s *scenario, tell bool) *world {
	w := &world{
		cfg: cfg, s: s, ctx: ctx, tell: tell, disk: &Disk{}, counts: Counts{},
		byID: map[string]int{}, fates: map[string][]int{}, relapses: map[string]int{}, relapseTries: map[string]int{},
		spans: map[int]span{},
		nth:   map[callKey]int{}, answers: map[callKey]answerKept{},
		systemCalls: map[bool]int{}, refusing: make([]began, len(s.refusals)), panicCalls: map[callKey]int{},
	}
	w.book.w, w.book.patience = w, map[bool]patience{}
	w.start = time.Now().Add(beforeStart)
	return w
}

// happen is all of it.
func (w *world) happen() {
	ctx, stop := context.WithCancel(w.ctx)
	defer stop()
	w.lasting = ctx
	defer w.cleanUp()
	if err := w.build(); err != nil {
		w.book.violate("world", -1, "%v", err) // the simulator itself is wrong
		return
	}
	w.going.Go(func() { _ = w.commerce.Run(ctx) }) // it ends with the error of ctx
	w.past(ctx)
	acts := w.schedule()
	slices.SortStableFunc(acts, func(a, b act) int { return cmp.Compare(a.at, b.at) })
	w.going.Go(func() { // one after the other, also those of one moment
		for _, a := range acts {
			if sleep(ctx, time.Until(w.start.Add(a.at))) != nil {
				return
			}
			a.do()
		}
	})
	w.lives(ctx)
	if w.s.twin { // both of them are to come to rest
		_ = sleep(ctx, 15*time.Minute) // it ends after this
	}
	stop()
	w.going.Wait()
	w.book.close()
}

// lives runs the program until it has come to its end.
func (w *world) lives(ctx context.Context) {
	ctx, cancel := context.WithDeadline(ctx, w.start.Add(longest))
	defer cancel()
	for life := 0; ; life++ {
		if ctx.Err() != nil || life == mostStarts {
			w.book.violate("end", -1, "the program has not ended after %v and %d lives", time.Since(w.start).Round(time.Second),
				life)
			return
		}
		over, down := w.live(ctx, life)
		if over {
			return
		}
		_ = sleep(ctx, down) // an error is seen above
	}
}

func (w *world) build() error {
	w.connect = connecttest.New(connecttest.Config{
		Seed: w.s.seed, Vendor: w.vendor,
		Now: w.connectNow, ShuffleTies: w.s.ties,
	})
	var err error
	if w.cfg.Journal != nil {
		if w.dir, err = os.MkdirTemp("", "world"); err != nil {
			return err
		}
	}
	w.commerce, err = commercetest.New(commercetest.Config{
		Seed: w.s.seed, ConnectURL: connectURL, ConnectKey: connecttest.DefaultKey,
		ConnectHTTP: &http.Client{Transport: &connectorLine{w: w, to: w.connect.Transport()}},
		AsyncHeals:  w.s.heals, Poll: w.s.poll, StaleReads: w.s.stale, MaxPage: w.s.listPage, ShuffleTies: w.s.ties,
		Now: func() time.Time { return time.Now().Add(w.s.skew + time.Duration(w.jump.Load())) },
	})
	if err != nil {
		return err
	}
	w.announce(-1, span{bubbleStart.Add(windowAt), bubbleStart.Add(windowEnd)})
	return w.bought()
}

// connectNow is the clock of Connect. It shows whole seconds where requests are to be of
// the same time.
func (w *world) connectNow() time.Time {
	now := time.Now().Add(w.s.otherSkew)
	if w.s.ties {
		now = now.Truncate(time.Second)
	}
	return now
}

func (w *world) cleanUp() {
	if w.dir != "" {
		_ = os.RemoveAll(w.dir) // what is left is in the directory for such things
	}
}

// bought gives Connect the subscriptions that were bought long ago, and the
// cancels that failed.
func (w *world) bought() error {
	known := map[int]bool{}
	long := time.Now().Add(-24 * time.Hour)
	for _, o := range w.s.orders {
		if o.bought && !known[o.subscription] {
			known[o.subscription] = true
			if _, err := w.connect.AddRequest(connecttest.RequestSeed{
				ExternalUID: tenant(o.subscription), ExternalID: subscription(o.subscription), ProductID: o.product,
				Type: connect.TypePurchase, Status: connect.StatusApproved, Created: long,
			}); err != nil {
				return err
			}
		}
		if !o.bought {
			continue
		}
		for range o.failedBefore {
			if _, err := w.connect.AddRequest(connecttest.RequestSeed{
				ExternalUID: tenant(o.subscription), ExternalID: subscription(o.subscription), ProductID: o.product,
				Type: connect.TypeCancel, Status: connect.StatusFailed, Reason: "the vendor's system said no", Created: long,
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

func tenant(subscription int) string {
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", subscription)
}

func subscription(n int) string { return fmt.Sprint(700100 + n) }

// past lives through what was before the program starts.
func (w *world) past(ctx context.Context) {
	w.ids, w.numbers = make([]string, 0, len(w.s.orders)), make([]string, 0, len(w.s.orders))
	begin := time.Now()
	at := func(d time.Duration) { _ = sleep(ctx, time.Until(begin.Add(d))) }
	size := 0
	for _, o := range w.s.orders {
		size = max(size, o.index+1)
	}
	w.ids, w.numbers = make([]string, size), make([]string, size)
	byTime := slices.SortedStableFunc(slices.Values(w.s.orders),
		func(a, b orderSeed) int { return cmp.Compare(a.after, b.after) })
	place := func(from time.Duration, causes ...cause) {
		for _, o := range byTime {
			if slices.Contains(causes, o.cause) {
				at(from + o.after)
				w.place(&o)
			}
		}
	}
	at(outageAt)
	w.maintenance(true)
	place(outageAt+time.Second, causeOutage)
	at(outageEnd)
	w.maintenance(false)
	place(rejectedAt, causeRejected, causeTrouble, causeHealthy)
	place(reachedAt, causeReached, causeMarked)
	at(windowAt)
	w.maintenance(true)
	place(windowAt+time.Second, causeWindow)
	at(windowEnd)
	w.maintenance(false)
	at(markedAt)
	for _, o := range w.s.orders {
		if o.cause == causeMarked || o.cause == causeReached && w.s.heals {
			text := o.text
			if text == "" {
				text = "Timeout exception"
			}
			_ = w.commerce.MarkFailed(w.ids[o.index], text) // it may have come through by itself
		}
	}
	at(beforeStart)
	w.countTies()
	w.mu.Lock() // Commerce asks at the same time
	defer w.mu.Unlock()
	for _, o := range w.s.orders {
		if o.relapses > 0 {
			w.relapses[tenant(o.subscription)+string(requestOf(&o))] += o.relapses
		}
	}
}

func (w *world) place(o *orderSeed) {
	n := commercetest.NewOrder{
		Type: o.kind, Request: o.request, Vendor: o.vendor, Product: o.product,
		Customer:     fmt.Sprint(3000100 + o.subscription),
		Subscription: subscription(o.subscription), Tenant: tenant(o.subscription),
	}
	if o.cause == causeTrouble {
		n.FailWith = o.text
	}
	w.mu.Lock()
	key := n.Tenant + string(requestOf(o))
	w.fates[key] = append(w.fates[key], o.index)
	w.mu.Unlock()
	made := w.commerce.Place(n)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enter(o.index, &made)
}

// enter keeps the names of an order. The lock must be held.
func (w *world) enter(index int, made *commercetest.Order) {
	w.ids[index], w.numbers[index] = made.ID, made.Number
	w.byID[made.ID], w.byID[made.InternalID] = index, index
}

// requestOf is the type of request that the connector makes for an order.
func requestOf(o *orderSeed) connect.RequestType {
	if o.request != "" {
		return o.request
	}
	kind, _ := rules.RequestType(o.kind)
	return kind
}

// vendor answers for the order whose request it is. It must not call the systems.
func (w *world) vendor(call connecttest.VendorCall) connecttest.VendorAnswer {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := 0
	if call.Request.Type == connect.TypeCancel {
		for _, o := range w.s.orders {
			if tenant(o.subscription) == call.Request.Asset.ExternalUID && o.bought {
				before += o.failedBefore
			}
		}
	}
	if call.Request.Type == connect.TypePurchase && call.Earlier > 0 {
		before = 1
	}
	own := w.fates[call.Request.Asset.ExternalUID+string(call.Request.Type)]
	n := call.Earlier - before
	if n < 0 || n >= len(own) {
		return connecttest.VendorAnswer{Action: connecttest.Approve, After: 5 * time.Second}
	}
	for _, o := range w.s.orders {
		if o.index != own[n] {
			continue
		}
		switch o.cause {
		case causeRejected:
			return connecttest.VendorAnswer{Action: connecttest.Reject, After: 10 * time.Second,
				Reason: "the domain is not verified"}
		case causeReached: // not before the maintenance
			return connecttest.VendorAnswer{Action: o.fate.action, After: windowEnd - reachedAt + o.fate.after,
				Reason: "no more seats"}
		case causeHealthy:
			return connecttest.VendorAnswer{Action: connecttest.Approve, After: time.Second}
		}
		return connecttest.VendorAnswer{Action: o.fate.action, After: o.fate.after, Reason: "no more seats"}
	}
	return connecttest.VendorAnswer{Action: connecttest.Approve}
}

// maintenance begins or ends one of Connect. They can overlap.
func (w *world) maintenance(on bool) {
	w.mu.Lock()
	if on {
		w.down++
	} else {
		w.down--
	}
	down := w.down > 0
	w.mu.Unlock()
	w.connect.SetMaintenance(down)
	w.note("Connect is in maintenance: %t", down)
}

// announce puts a window into the calendar that everybody knows.
func (w *world) announce(n int, at span) {
	if err := w.tryAnnounce(n, at); err != nil {
		w.book.violate("world", -1, "%v", err)
	}
}

func (w *world) tryAnnounce(n int, at span) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spans[n] = at
	windows := make([]maintenance.Window, 0, len(w.spans))
	for i := range len(w.s.windows) + 1 {
		s, ok := w.spans[i-1]
		if !ok {
			continue
		}
		win := maintenance.Window{ID: fmt.Sprintf("W%d", i), Start: s.from, End: s.to}
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

// note writes the history, if somebody will read it.
func (w *world) note(format string, args ...any) {
	if !w.tell {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.history = append(w.history, fmt.Sprintf("%12v  ", time.Since(w.start).Round(time.Millisecond))+fmt.Sprintf(format,
		args...))
}

// happened counts a fault that really took place.
func (w *world) happened(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts[what]++
}

// orderEnd is how an order and its requests stand in the end.
type orderEnd struct {
	index    int
	order    commercetest.Order
	requests string
}

// ends is the final state of both systems.
func (w *world) ends() []orderEnd {
	if w.commerce == nil {
		return nil
	}
	requests := map[string][]string{}
	for _, r := range w.connect.Requests() {
		requests[r.Asset.ExternalUID] = append(requests[r.Asset.ExternalUID], fmt.Sprintf("%s %s", r.Type, r.Status))
	}
	var all []orderEnd
	for i, id := range w.ids {
		if o, ok := w.commerce.Order(id); ok {
			all = append(all, orderEnd{i, o, strings.Join(requests[o.Tenant], ", ")})
		}
	}
	return all
}

// truth is an order as Commerce has it, whatever it shows.
func (w *world) truth(index int) commercetest.Order {
	w.mu.Lock()
	id := ""
	if index >= 0 && index < len(w.ids) {
		id = w.ids[index]
	}
	w.mu.Unlock()
	o, _ := w.commerce.Order(id)
	return o
}

// index is that of an order, by any of its names; -1 when it is none of the world's.
func (w *world) index(id string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if i, ok := w.byID[id]; ok {
		return i
	}
	return slices.Index(w.numbers, id)
}

func (w *world) name(index int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if index < 0 || index >= len(w.numbers) {
		return ""
	}
	return w.numbers[index]
}

// atRest says that nothing more happens to an order in this status.
func atRest(s commerce.Status) bool {
	return s.Provisioned() || s == commerce.StatusCancelled || s == commerce.StatusFraud
}

// sleep waits, or returns the error of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
