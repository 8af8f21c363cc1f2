package resubmit_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// engine is a workflow engine: it keeps the time of the orders of a plan, and has several workers, each with a session.
type engine struct {
	t       *testing.T
	workers []*resubmit.Session
	calls   int

	done     resubmit.OrderSet
	tried    map[int]resubmit.Health // also those that are done with a health
	running  map[int]*engineChain    // by the place of the order
	outcomes map[int]protocol.Outcome
	most     int // chains that ran at once
	last     resubmit.Ready
}

type engineChain struct {
	places []int
	ids    []string
	look   bool
	due    time.Time
	judge  bool
}

func newEngine(t *testing.T, p *plan.Plan, s *shop, workers int, change func(*resubmit.Config)) *engine {
	t.Helper()
	e := &engine{
		t: t, tried: make(map[int]resubmit.Health), running: make(map[int]*engineChain),
		outcomes: make(map[int]protocol.Outcome),
	}
	for range workers {
		e.workers = append(e.workers, open(t, runnerFor(t, s, change), p))
	}
	return e
}

// worker returns the workers in turn.
func (e *engine) worker() *resubmit.Session {
	e.calls++
	return e.workers[e.calls%len(e.workers)]
}

// run handles all orders.
func (e *engine) run() {
	e.t.Helper()
	for e.begin() {
		now := time.Now()
		for place, c := range e.running {
			if !now.Before(c.due) {
				e.step(place, c)
			}
		}
		<-time.After(time.Second)
	}
}

// begin begins what may begin, and reports whether anything is left.
func (e *engine) begin() bool {
	e.t.Helper()
	ready, err := e.worker().Ready(e.t.Context(), "", e.byOutcome(), e.tried, 3)
	require.NoError(e.t, err)
	e.last = ready
	for i := range 8 * len(ready.NotStarted) {
		if ready.NotStarted.Has(i) {
			e.done.Add(i)
			e.outcomes[i] = protocol.NotStarted
		}
	}
	for _, c := range ready.Chains {
		first := c.Places[0]
		require.NotContains(e.t, e.running, first, "an order is begun twice")
		e.running[first] = &engineChain{places: c.Places, ids: c.IDs, judge: ready.Judging}
		e.tried[first] = ""
	}
	e.most = max(e.most, len(e.running))
	return len(e.running) > 0 || ready.Left > 0 || len(ready.NotStarted) > 0
}

// byOutcome returns the orders that are done.
func (e *engine) byOutcome() map[protocol.Outcome]resubmit.OrderSet {
	done := make(map[protocol.Outcome]resubmit.OrderSet)
	for place, o := range e.outcomes {
		p := done[o]
		p.Add(place)
		done[o] = p
	}
	return done
}

func (e *engine) step(place int, c *engineChain) {
	e.t.Helper()
	r, err := e.worker().Step(e.t.Context(), c.ids[0], resubmit.StepOptions{
		MaxWait: 2 * time.Second, LookOnly: c.look, Judge: c.judge,
	})
	require.NoError(e.t, err)
	e.tried[place] = r.Health
	if !r.Done {
		c.look = !r.Push && (r.Item.Outcome == protocol.Progressing || r.Item.Outcome == protocol.Unknown)
		c.due = r.Again
		return
	}
	e.done.Add(place)
	e.outcomes[place] = r.Item.Outcome
	delete(e.running, place)
	if r.Health == "" {
		delete(e.tried, place)
	}
	if len(c.ids) > 1 {
		next := c.places[1]
		e.running[next] = &engineChain{places: c.places[1:], ids: c.ids[1:], judge: c.judge}
		e.tried[next] = ""
	}
}

func (e *engine) count(o protocol.Outcome) (n int) {
	for _, outcome := range e.outcomes {
		if outcome == o {
			n++
		}
	}
	return n
}

func entriesFor(orders []*shopOrder) []*plan.Entry {
	entries := make([]*plan.Entry, len(orders))
	for i, o := range orders {
		entries[i] = entryFor(o)
	}
	return entries
}

func TestStepsOfSeveralWorkersResubmitAPlan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := outageOrders(90, func(i int) string { return fmt.Sprint(i / 3) })
		for i, o := range orders {
			switch {
			case i%10 == 1:
				o.fates = []fate{{after: 20 * time.Minute, status: "CP"}}
			case i%15 == 5:
				o.pushFaults = []fault{lostActed}
			case i%15 == 8:
				o.pushFaults = []fault{lostIgnored}
			}
		}
		s := newShop(orders...)
		e := newEngine(t, planWith(t, nil, entriesFor(orders)...), s, 3, func(c *resubmit.Config) {
			c.Verify.MaxInterval = time.Minute
		})
		e.run()
		require.Equal(t, 90, e.count(protocol.Completed)+e.count(protocol.Unknown)+e.count(protocol.Blocked), e.outcomes)
		for _, o := range orders {
			require.LessOrEqual(t, s.accepted(o.ID), 1, o.ID)
		}
		last := map[string]time.Time{}
		for _, l := range s.ledger {
			require.Zero(t, l.open, "I5: %s was pushed while another order of its subscription was under way", l.id)
			o := s.orders[l.id]
			require.False(t, o.PlacedAt.Before(last[o.SubscriptionIDs[0]]), "I5: %s was pushed behind a younger one", l.id)
			last[o.SubscriptionIDs[0]] = o.PlacedAt
		}
		require.Greater(t, e.most, 3)
	})
}

func TestStepDecidesAboutAPushWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fault{"it acted": lostActed, "it was ignored": lostIgnored} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := outageOrder(1, "")
				o.pushFaults = []fault{f}
				s := newShop(o)
				e := newEngine(t, planWith(t, nil, entryFor(o)), s, 2, nil)
				e.run()
				require.Equal(t, 1, e.count(protocol.Completed), e.outcomes)
				require.Equal(t, 1, s.accepted(o.ID))
			})
		})
	}
}

func TestStepDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "a")
		s := newShop(o)
		start := time.Now()
		window := maintenance.Window{ID: "W", Start: start.Add(-time.Hour), End: start.Add(time.Hour)}
		p := planWith(t, nil, entryFor(o))
		cal, err := maintenance.NewCalendar([]maintenance.Window{window})
		require.NoError(t, err)
		closed := true
		session := open(t, runnerFor(t, s, func(c *resubmit.Config) {
			c.MaxPlanAge = -1
			c.Calendar = func() *maintenance.Calendar {
				if closed {
					return cal
				}
				return nil
			}
		}), p)
		closed = false
		options := resubmit.StepOptions{MaxWait: 3 * time.Second, LookOnly: true}

		r, err := session.Step(t.Context(), "id-1", options)
		require.NoError(t, err)
		require.True(t, r.Push, "looking never pushes")
		require.False(t, r.Done)
		require.Zero(t, s.pushes())

		closed, options.LookOnly = true, false
		r, err = session.Step(t.Context(), "id-1", options)
		require.NoError(t, err)
		require.False(t, r.Done)
		require.Equal(t, 3*time.Second, time.Since(start))
		require.Contains(t, r.Why, "maintenance")
		require.WithinDuration(t, window.End.Add(defaultSettle), r.Again, time.Second)
		require.Zero(t, s.pushes())

		closed, options.NotAfter = false, time.Now().Round(0).Add(-time.Millisecond)
		r, err = session.Step(t.Context(), "id-1", options)
		require.NoError(t, err)
		require.Contains(t, r.Why, "too long ago")
		require.Zero(t, s.pushes(), "nothing is sent too late")

		options.NotAfter = time.Now().Round(0).Add(time.Minute)
		r, err = session.Step(t.Context(), "id-1", options)
		require.NoError(t, err)
		require.Equal(t, protocol.Progressing, r.Item.Outcome, "pushed, and to be verified")
		require.Equal(t, 10*time.Second, time.Until(r.Again).Round(time.Second))
		require.Equal(t, 1, s.pushes())
	})
}

// A push that its client delays, after the last check of the Runner, is not sent late either.
func TestStepSendsNothingLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "a")
		s := newShop(o)
		o.onRead = func(*shopOrder) { time.Sleep(2 * time.Second) }
		session := open(t, runnerFor(t, s, nil), planWith(t, nil, entryFor(o)))
		r, err := session.Step(t.Context(), "id-1", resubmit.StepOptions{
			MaxWait: time.Minute, NotAfter: time.Now().Round(0).Add(time.Second),
		})
		require.NoError(t, err)
		require.False(t, r.Done)
		require.Contains(t, r.Why, "too long ago")
		require.Zero(t, s.pushes())
		_, err = session.Step(t.Context(), "id-2", resubmit.StepOptions{})
		require.ErrorIs(t, err, resubmit.ErrEntryMismatch)
	})
}

// At a low rate, the push waits for longer than the call may wait for the permission to push.
func TestStepPushesAtALowRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := outageOrders(6, ownSubscription)
		s := newShop(orders...)
		e := newEngine(t, planWith(t, nil, entriesFor(orders)...), s, 2, func(c *resubmit.Config) { c.RateLimit = 0.25 })
		e.run()
		require.Equal(t, 6, e.count(protocol.Completed))
		require.Equal(t, 6, s.pushes())

		ready, err := e.worker().Ready(t.Context(), "as after a restart", nil, nil, 10)
		require.NoError(t, err)
		require.Equal(t, 6, ready.Ended[protocol.Completed].Len())
		require.Empty(t, ready.Chains)
	})
}

func TestReadyKeepsTheCanary(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fate      fate
		completed int
		pushes    int // at most
	}{
		"all good":     {completes, 60, 60},
		"all bad":      {fate{time.Second, "PF", textPermanent}, 0, 3},
		"without end":  {fate{status: ""}, 0, 60},
		"none answers": {fate{after: 40 * time.Minute, status: "CP"}, 0, 60},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := outageOrders(60, ownSubscription)
				for i, o := range orders {
					o.fates, o.CustomerName = []fate{tt.fate}, fmt.Sprint(i)
				}
				s := newShop(orders...)
				e := newEngine(t, planWith(t, nil, entriesFor(orders)...), s, 2, func(c *resubmit.Config) {
					c.Canary = resubmit.CanaryConfig{}
				})
				e.run()
				require.Equal(t, tt.completed, e.count(protocol.Completed), e.last.Canary)
				require.LessOrEqual(t, s.pushes(), tt.pushes)
				require.Equal(t, 60, e.done.Len())
				require.Equal(t, 60-s.pushes(), e.count(protocol.NotStarted))
			})
		})
	}
}

func TestOrderSet(t *testing.T) {
	t.Parallel()
	var p resubmit.OrderSet
	require.False(t, p.Has(9))
	p.Add(9)
	p.Add(0)
	p.Add(9)
	require.True(t, p.Has(9))
	require.False(t, p.Has(8))
	require.False(t, p.Has(1000))
	require.Equal(t, 2, p.Len())
}

// hookedJournal calls a function before the first write of an order.
type hookedJournal struct {
	resubmit.Journal
	once   sync.Once
	before func()
}

func (j *hookedJournal) Put(ctx context.Context, d resubmit.Durability, r ...protocol.Record) (uint64, error) {
	if r[0].Kind == protocol.KindOrder {
		j.once.Do(j.before)
	}
	return j.Journal.Put(ctx, d, r...)
}

// Two processes have the same order at the same time, as after an activity that was taken to be lost.
func TestStepContinuesWhatAnotherProcessHasClaimed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "a")
		s := newShop(o)
		p := planWith(t, nil, entryFor(o))
		first := open(t, runnerFor(t, s, nil), p)
		options := resubmit.StepOptions{MaxWait: time.Second}
		j := &hookedJournal{Journal: journalOf(t), before: func() {
			if _, err := first.Step(t.Context(), "id-1", options); err != nil {
				t.Error(err)
			}
		}}
		second := open(t, runnerFor(t, s, func(c *resubmit.Config) { c.Journal = j }), p)
		r, err := second.Step(t.Context(), "id-1", options)
		require.NoError(t, err)
		require.False(t, r.Done, r.Item.Why)
		require.Equal(t, protocol.ClaimedElsewhere, r.Item.Outcome)
		<-time.After(time.Minute)
		r, err = second.Step(t.Context(), "id-1", options)
		require.NoError(t, err)
		require.True(t, r.Done)
		require.Equal(t, protocol.Completed, r.Item.Outcome)
		require.Equal(t, 1, s.pushes())
	})
}

// While the breaker is half open, a Session tries one order, also if the call about it has ended before its outcome.
func TestStepTriesOneOrderWhileTheBreakerIsHalfOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := outageOrders(40, ownSubscription)
		for i, o := range orders {
			o.fates = []fate{{time.Second, "PF", "Connect: 503 Service Unavailable, again"}}
			if i >= 2 {
				o.fates[0].after = 20 * time.Minute
			}
		}
		s := newShop(orders...)
		x := open(t, runnerFor(t, s, func(c *resubmit.Config) {
			c.Breaker = resubmit.BreakerConfig{Failures: 2, SampleSize: 20, Wait: time.Minute}
		}), planFor(t, orders...))
		step := func(n int, wait time.Duration) {
			_, err := x.Step(t.Context(), fmt.Sprintf("id-%d", n), resubmit.StepOptions{MaxWait: wait})
			require.NoError(t, err)
		}
		for i := range 2 {
			step(i, 20*time.Minute)
		}
		<-time.After(2 * time.Minute)
		for i := 2; i < 40; i++ {
			step(i, 2*time.Second)
		}
		require.Len(t, s.ledger, 3)
	})
}

// countedJournal counts how often all records are read.
type countedJournal struct {
	resubmit.Journal
	reads int
}

func (j *countedJournal) Records(ctx context.Context) iter.Seq2[protocol.Record, error] {
	j.reads++
	return j.Journal.Records(ctx)
}

// The journal may have the orders of many plans, so Ready does not read it each time.
func TestReadyReadsTheJournalOnceForEachRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := outageOrders(30, ownSubscription)
		j := &countedJournal{Journal: journalOf(t)}
		session := open(t, runnerFor(t, newShop(orders...), func(c *resubmit.Config) { c.Journal = j }),
			planWith(t, nil, entriesFor(orders)...))
		before := j.reads
		for run, ended := range []int{0, 3} {
			var done resubmit.OrderSet
			for range 3 {
				ready, err := session.Ready(t.Context(), fmt.Sprint(run),
					map[protocol.Outcome]resubmit.OrderSet{protocol.Completed: done}, nil, 1)
				require.NoError(t, err)
				require.Equal(t, run+1, j.reads-before)
				require.Equal(t, ended, ready.Ended[protocol.Completed].Len())
				for place := range 30 {
					if ready.Ended[protocol.Completed].Has(place) {
						done.Add(place)
					}
				}
				ended = 0
				r, err := session.Step(t.Context(), ready.Chains[0].IDs[0], resubmit.StepOptions{MaxWait: time.Hour})
				require.NoError(t, err)
				require.Equal(t, protocol.Completed, r.Item.Outcome)
				done.Add(ready.Chains[0].Places[0])
			}
		}
	})
}
