package resubmit_test

import (
	"context"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// hanging lets the n-th call and all later ones hang until the test ends.
type hanging struct {
	free chan struct{}
	mu   sync.Mutex
	left int
}

func (h *hanging) call() {
	h.mu.Lock()
	h.left--
	hangs := h.left < 0
	h.mu.Unlock()
	if hangs {
		<-h.free
	}
}

// hangingJournal hangs in the calls of some methods.
type hangingJournal struct {
	resubmit.Journal
	hangs  *hanging
	method string
}

func (j hangingJournal) in(method string) {
	if j.method == method || j.method == "" {
		j.hangs.call()
	}
}

func (j hangingJournal) Begin(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
	j.in("Begin")
	return j.Journal.Begin(ctx, u)
}

func (j hangingJournal) Put(ctx context.Context, d resubmit.Durability, r ...protocol.Record) (uint64, error) {
	j.in("Put")
	return j.Journal.Put(ctx, d, r...)
}

func (j hangingJournal) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	j.in("Get")
	return j.Journal.Get(ctx, k)
}

func (j hangingJournal) Records(ctx context.Context) iter.Seq2[protocol.Record, error] {
	j.in("Records")
	return j.Journal.Records(ctx)
}

func (j hangingJournal) Flush(ctx context.Context) (plan.Position, error) {
	j.in("Flush")
	return j.Journal.Flush(ctx)
}

type hangingReader struct {
	*shop
	hangs *hanging
}

func (r hangingReader) Order(ctx context.Context, id string) (*commerce.Order, error) {
	r.hangs.call()
	return r.shop.Order(ctx, id)
}

type hangingPusher struct {
	*shop
	hangs *hanging
}

func (p hangingPusher) Push(ctx context.Context, id string, to commerce.Status) error {
	p.hangs.call()
	return p.shop.Push(ctx, id, to)
}

type hangingFinder struct {
	*shop
	hangs *hanging
}

func (f hangingFinder) LatestRequests(ctx context.Context, keys []connect.RequestKey) (
	map[connect.RequestKey][]connect.LatestRequest, error,
) {
	f.hangs.call()
	return f.shop.LatestRequests(ctx, keys)
}

// Whatever hangs, at whichever call, Apply returns when the context has ended and a push could have ended.
func TestApplyReturnsAlthoughACallHangs(t *testing.T) {
	t.Parallel()
	const most = 2*time.Minute + 10*time.Second
	journal := func(method string) func(*resubmit.Config, *shop, *hanging) {
		return func(c *resubmit.Config, _ *shop, h *hanging) { c.Journal = hangingJournal{c.Journal, h, method} }
	}
	for name, hang := range map[string]func(*resubmit.Config, *shop, *hanging){
		"journal": journal(""), "Begin": journal("Begin"), "Put": journal("Put"), "Get": journal("Get"),
		"Records": journal("Records"), "Flush": journal("Flush"),
		"calendar": func(c *resubmit.Config, _ *shop, h *hanging) {
			c.Calendar = func() *maintenance.Calendar { h.call(); return nil }
		},
		"OnEvent": func(c *resubmit.Config, _ *shop, h *hanging) { c.OnEvent = func(resubmit.Event) { h.call() } },
		"Audit": func(c *resubmit.Config, _ *shop, h *hanging) {
			c.Audit = func(resubmit.Event) error { h.call(); return nil }
		},
		"reader": func(c *resubmit.Config, s *shop, h *hanging) { c.Reader = hangingReader{s, h} },
		"pusher": func(c *resubmit.Config, s *shop, h *hanging) { c.Pusher = hangingPusher{s, h} },
		"finder": func(c *resubmit.Config, s *shop, h *hanging) { c.Requests = hangingFinder{s, h} },
	} {
		for n := range 12 {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					h := &hanging{left: n, free: make(chan struct{})}
					defer close(h.free)
					orders := []*shopOrder{outageOrder(1, "a"), outageOrder(2, "a"), outageOrder(3, "b")}
					s := newShop(orders...)
					s.answer("a", connect.StatusApproved, "")
					s.answer("b", connect.StatusApproved, "")
					r := runnerFor(t, s, func(c *resubmit.Config) { hang(c, s, h) })
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					defer cancel()
					start := time.Now()
					report, err := r.Apply(ctx, planFor(t, orders...))
					require.LessOrEqual(t, time.Since(start), time.Minute+most)
					if report == nil {
						require.Error(t, err)
						return
					}
					require.Equal(t, 3, report.Result.Total())
					for _, o := range orders {
						require.LessOrEqual(t, s.accepted(o.ID), 1)
					}
				})
			})
		}
	}
}

// A push that hangs ends the run also if its context does not end, so that a person learns of it.
func TestApplyEndsAfterAPushThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &hanging{free: make(chan struct{})}
		defer close(h.free)
		o := outageOrder(1, "a")
		s := newShop(o)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Pusher = hangingPusher{s, h} })
		p := planFor(t, o)
		report, err := r.Apply(t.Context(), p)
		require.ErrorContains(t, err, "the push of order id-1 has not returned 10s after its context ended")
		require.Equal(t, resubmit.OutcomeCounts{Unknown: 1}, report.Result)
		require.Equal(t, protocol.Claimed, recordOf(t, 1).Phase, "the next run finds out what became of it")
	})
}

func TestSecondCancelDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := []*shopOrder{outageOrder(1, "a"), outageOrder(2, "b")}
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Pusher, c.Concurrency = lengthyPusher{s, 100 * time.Second}, 1 })
		start, p := time.Now(), planFor(t, orders...)
		time.AfterFunc(10*time.Second, r.Cancel)
		time.AfterFunc(20*time.Second, func() {
			require.Equal(t, resubmit.StateCancelled, r.Status().State)
			r.Cancel()
			r.Cancel()
		})
		report, err := r.Apply(t.Context(), p)
		require.ErrorIs(t, err, resubmit.ErrCancelled)
		require.Equal(t, 20*time.Second, time.Since(start))
		require.Equal(t, resubmit.OutcomeCounts{Unknown: 1, NotStarted: 1}, report.Result)

		report, err = r.Apply(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 2}, report.Result)
		for _, o := range orders {
			require.Equal(t, 1, s.accepted(o.ID))
		}
	})
}

func TestSessionReturnsAlthoughACallHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &hanging{free: make(chan struct{})}
		defer close(h.free)
		o := outageOrder(1, "a")
		s := newShop(o)
		session := open(t, runnerFor(t, s, func(c *resubmit.Config) { c.Reader = hangingReader{s, h} }), planFor(t, o))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		item, err := session.AttemptID(ctx, o.ID)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, protocol.Unknown, item.Outcome)
		require.LessOrEqual(t, time.Since(start), 3*time.Minute+10*time.Second)
		_, err = session.AttemptID(t.Context(), o.ID)
		require.ErrorIs(t, err, resubmit.ErrInProgress, "the call still has the order")
	})
}
