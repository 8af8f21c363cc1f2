package resubmittest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/conformance"
)

// What the Runner promises to the values of its configuration.
const (
	runEvents   = "emits RunStarted first and RunFinished last, and gives OnEvent what it gives Audit"
	runOneEvent = "calls OnEvent for one event at a time"
	runOutcomes = "emits one OrderDone for each order"
	runIntents  = "emits PushIntended before each push"
	runReads    = "reads an order before each push of it"
	runOnePush  = "pushes an order once at a time, and not again after it was done"
	runCalendar = "calls Calendar before each push"
	runKeys     = "looks up each key once per call"
	runCalls    = "makes calls only between RunStarted and RunFinished"
)

// CheckRunner returns c with checks: t fails if a [resubmit.Runner] with the result breaks one of its promises when
// Apply is called. These are that RunStarted is the first event and RunFinished the last one, that OnEvent gets one
// event at a time, that there is one OrderDone for each order, that before each push the order was read, Calendar was
// called and PushIntended was emitted, that no order is pushed twice at the same time or after it is done, that no key
// is looked up twice by one call, and that nothing is called outside of a run. Use it in tests of what relies on that:
// your own clients, windows, rules and consumers of events. A broken promise is reported once, when the test ends.
func CheckRunner(t testing.TB, c resubmit.Config) resubmit.Config {
	t.Helper()
	return checkRunner(&runnerCheck{Checks: conformance.NewChecks(t)}, c)
}

func checkRunner(r *runnerCheck, c resubmit.Config) resubmit.Config {
	r.to, r.orders = c, map[string]*checkedOrder{}
	c.Audit, c.OnEvent = r.audit, r.onEvent
	if c.Reader != nil {
		c.Reader = checkedReader{r}
	}
	if c.Pusher != nil {
		c.Pusher = checkedPusher{r}
	}
	if c.Requests != nil {
		c.Requests = checkedFinder{r}
	}
	if c.Calendar != nil {
		c.Calendar = r.calendar
	}
	return c
}

// runnerCheck checks the runs of one Runner.
type runnerCheck struct {
	*conformance.Checks

	to         resubmit.Config
	plans      bool         // a planner makes calls outside of a run
	delivering atomic.Int32 // calls of OnEvent

	mu                 sync.Mutex
	running            bool
	audited, delivered int // events
	calendars, pushes  int // calls
	orders             map[string]*checkedOrder
}

// checkedOrder is what happened to an order in a run since its last push began.
type checkedOrder struct {
	read, pushing, done bool
	intended            commerce.Status
}

// order returns what happened to an order. Called with mu held.
func (r *runnerCheck) order(id string) *checkedOrder {
	if r.orders[id] == nil {
		r.orders[id] = new(checkedOrder)
	}
	return r.orders[id]
}

func (r *runnerCheck) audit(e resubmit.Event) error {
	r.count(e)
	if r.to.Audit == nil {
		return nil
	}
	return r.to.Audit(e)
}

// count checks an event that Audit gets.
func (r *runnerCheck) count(e resubmit.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, starts := e.(resubmit.RunStarted); starts {
		r.Require(!r.running, runEvents, "RunStarted is emitted twice")
		r.running, r.audited, r.delivered, r.calendars, r.pushes = true, 0, 0, 0, 0
		r.orders = map[string]*checkedOrder{}
	}
	r.Require(r.running, runEvents, "%T is emitted outside of a run", e)
	r.audited++
	switch e := e.(type) {
	case resubmit.PushIntended:
		r.order(e.OrderID).intended = e.Target
	case resubmit.OrderDone:
		o := r.order(e.OrderID)
		r.Require(!o.done, runOutcomes, "the order %s has two", e.Number)
		o.done = true
	case resubmit.RunFinished:
		r.running = false
	}
}

func (r *runnerCheck) onEvent(e resubmit.Event) {
	r.Require(r.delivering.Add(1) == 1, runOneEvent, "it is called while it handles another event")
	defer r.delivering.Add(-1)
	r.deliver(e)
	if r.to.OnEvent != nil {
		r.to.OnEvent(e)
	}
}

// deliver checks an event that OnEvent gets.
func (r *runnerCheck) deliver(e resubmit.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.delivered++
	_, starts := e.(resubmit.RunStarted)
	r.Require(starts == (r.delivered == 1), runEvents, "OnEvent gets %T as event %d", e, r.delivered)
	if _, ends := e.(resubmit.RunFinished); ends {
		r.Require(r.delivered == r.audited, runEvents, "OnEvent gets %d events and Audit %d", r.delivered, r.audited)
	}
}

func (r *runnerCheck) calendar() *maintenance.Calendar {
	r.mu.Lock()
	r.calendars++
	r.mu.Unlock()
	return r.to.Calendar()
}

// called checks that a call is made in a run. Called with mu held.
func (r *runnerCheck) called(what string) {
	r.Require(r.running || r.plans, runCalls, "%s is called outside of a run", what)
}

type checkedReader struct{ *runnerCheck }

func (r checkedReader) Order(ctx context.Context, id string) (*commerce.Order, error) {
	r.mu.Lock()
	r.called("Reader")
	r.mu.Unlock()
	order, err := r.to.Reader.Order(ctx, id)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.order(id).read = true
	return order, err
}

type checkedPusher struct{ *runnerCheck }

func (p checkedPusher) Push(ctx context.Context, id string, to commerce.Status) error {
	p.begin(id, to)
	err := p.to.Pusher.Push(ctx, id, to)
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.order(id)
	o.pushing = false
	if errors.Is(err, commerce.ErrUnauthorized) || errors.Is(err, commerce.ErrForbidden) {
		o.read, o.intended = true, to // it is tried once more at once, with new credentials
	}
	return err
}

func (p checkedPusher) begin(id string, to commerce.Status) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.called("Pusher")
	p.pushes++
	o := p.order(id)
	p.Require(o.read, runReads, "the order %q was not read since its last push, or ever", id)
	p.Require(o.intended == to, runIntents, "the order %q is pushed to %q, and the intent was to push it to %q", id, to,
		o.intended)
	p.Require(!o.pushing, runOnePush, "the order %q is pushed while it is being pushed", id)
	p.Require(!o.done, runOnePush, "the order %q is pushed after it was done", id)
	p.Require(p.to.Calendar == nil || p.calendars >= p.pushes, runCalendar, "it was called %d times before push %d",
		p.calendars, p.pushes)
	*o = checkedOrder{pushing: true, done: o.done}
}

type checkedFinder struct{ *runnerCheck }

func (f checkedFinder) LatestRequests(ctx context.Context, keys []connect.RequestKey) (
	map[connect.RequestKey][]connect.LatestRequest, error,
) {
	f.mu.Lock()
	f.called("Requests")
	f.mu.Unlock()
	seen := map[connect.RequestKey]bool{}
	for _, k := range keys {
		f.Require(!seen[k], runKeys, "the key %+v is there twice", k)
		seen[k] = true
	}
	f.Require(len(keys) > 0, runKeys, "there is no key")
	return f.to.Requests.LatestRequests(ctx, keys)
}
