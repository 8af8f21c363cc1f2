package resubmit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
)

const (
	// pushTimeout bounds a push, even if the run ends meanwhile.
	pushTimeout = 2 * time.Minute
	// callGrace is how long a call may take after its context has ended.
	callGrace = 10 * time.Second
)

// errHung is the error of an abandoned call. The server may have acted.
var errHung = errors.New("no answer, although the context has ended")

// timed measures the calls of one kind, and slows the rate if the server is overloaded.
type timed struct {
	x    *run
	what string

	mu    sync.Mutex
	calls int
	usual float64 // seconds
	// recent and spread are the mean of the last calls and of how far they were from it.
	recent, spread float64
	slow           int // calls in a row that took much longer than usual
}

const (
	usualAfter = 16 // calls that say what is usual
	slowRow    = 5  // calls in a row that say that it is not usual any more
	slowAtMost = 0.25
)

// watch records a call.
func (t *timed) watch(began time.Time, err error) {
	callback.Log(t.x.cfg.Logger, err)
	took := time.Since(began)
	if why := overloaded(err); why != "" {
		t.x.pace.slow(began, t.what+" was answered with "+why)
		return
	}
	if usual, ok := t.add(took.Seconds()); ok {
		t.x.pace.slow(began, fmt.Sprintf("%s takes %v and took %v before",
			t.what, took.Round(time.Millisecond), usual.Round(time.Millisecond)))
	}
}

// add records the duration of a call and reports whether the last ones took much longer
// than usual.
func (t *timed) add(seconds float64) (usual time.Duration, slow bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
	if t.calls == 1 {
		t.usual, t.recent = seconds, seconds
	}
	far := max(seconds-t.recent, t.recent-seconds)
	t.recent += (seconds - t.recent) / 8
	t.spread += (far - t.spread) / 4
	if t.calls <= usualAfter || seconds <= 2*t.usual+slowAtMost {
		t.usual += (seconds - t.usual) / float64(min(t.calls, 128))
		t.slow = 0
		return 0, false
	}
	if t.slow++; t.slow < slowRow {
		return 0, false
	}
	was := t.usual
	t.usual += (seconds - t.usual) / 8 // it may stay so
	t.slow = 0
	return time.Duration(was * float64(time.Second)), true
}

// expected returns how long the next call may take.
func (t *timed) expected() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return min(pushTimeout, time.Duration((t.recent+4*t.spread)*float64(time.Second)))
}

// overloaded returns how a server reported overload; "" if it did not.
func overloaded(err error) string {
	if err == nil {
		return ""
	}
	status := 0
	if e, ok := errors.AsType[*commerce.Error](err); ok {
		status = e.HTTPStatus
	} else if e, ok := errors.AsType[*connect.Error](err); ok {
		status = e.HTTPStatus
	}
	switch {
	case status == 429 || errors.Is(err, commerce.ErrRateLimited) || errors.Is(err, connect.ErrRateLimited):
		return "429, too many calls"
	case status == 503:
		return "503, unavailable"
	default:
		return ""
	}
}

// timedReader, timedPusher and timedFinder wrap the clients of a run.
type timedReader struct {
	timed
	to OrderReader
}

func (r *timedReader) Order(ctx context.Context, id string) (*commerce.Order, error) {
	began, more := time.Now(), &callLimiter{x: r.x, who: "Commerce"}
	ctx = ratelimit.With(ctx, more)
	o, err := within(ctx, func() (*commerce.Order, error) { return r.to.Order(ctx, id) })
	r.watch(began.Add(more.took()), err)
	return o, err
}

type timedPusher struct {
	timed
	to Pusher
}

func (p *timedPusher) Push(ctx context.Context, id string, to commerce.Status) error {
	began, more := time.Now(), &callLimiter{x: p.x, who: "Commerce", push: id}
	ctx = ratelimit.With(ctx, more)
	_, err := within(ctx, func() (struct{}, error) { return struct{}{}, p.to.Push(ctx, id, to) })
	p.watch(began.Add(more.took()), err)
	if errors.Is(err, errHung) {
		p.x.cancel(
			fmt.Errorf("resubmit: the push of order %s was given up after %v: %w; a Pusher must return when its context ends",
				id, time.Since(began).Round(time.Second), err))
	}
	return err
}

type timedFinder struct {
	timed
	to RequestFinder
}

func (f *timedFinder) LatestRequests(ctx context.Context,
	keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	began, more := time.Now(), &callLimiter{x: f.x, who: "Connect"}
	ctx = ratelimit.With(ctx, more)
	found, err := within(ctx, func() (map[connect.RequestKey][]connect.LatestRequest,
		error) {
		return f.to.LatestRequests(ctx, keys)
	})
	f.watch(began.Add(more.took()), err)
	return found, err
}

// watchCalls wraps the clients of the run.
func (x *run) watchCalls() {
	x.cfg.Reader = &timedReader{timed: timed{x: x, what: "reading an order"}, to: x.cfg.Reader}
	pusher := &timedPusher{timed: timed{x: x, what: "a push"}, to: x.cfg.Pusher}
	x.cfg.Pusher, x.gate.call = pusher, pusher.expected
	if x.cfg.Requests != nil {
		x.cfg.Requests = &timedFinder{timed: timed{x: x, what: "a look-up in Connect"}, to: x.cfg.Requests}
	}
}

// within makes a call on its own goroutine, and gives it up callGrace after its context has ended. The result of an
// abandoned call is discarded.
func within[T any](ctx context.Context, call func() (T, error)) (T, error) {
	answered := callback.Start(call)
	select {
	case r := <-answered:
		return r.Value, r.Err
	case <-ctx.Done():
	}
	timer := time.NewTimer(callGrace)
	defer timer.Stop()
	select {
	case r := <-answered:
		return r.Value, r.Err
	case <-timer.C:
		var none T
		return none, fmt.Errorf("%w for %v: %w", errHung, callGrace, context.Cause(ctx))
	}
}
