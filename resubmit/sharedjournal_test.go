package resubmit_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// process is one of several that apply one plan with one journal.
type process struct {
	runner *resubmit.Runner
	report *resubmit.Report
	err    error
}

// processesFor starts Runners that apply a plan, each with Connect and Commerce for itself, and waits for them.
func processesFor(
	t *testing.T, s *shop, p *plan.Plan, n int, change func(*resubmit.Config),
) (all []*process, wait func()) {
	t.Helper()
	var group sync.WaitGroup
	for range n {
		x := &process{runner: runnerFor(t, s, change)}
		all = append(all, x)
		group.Go(func() { x.report, x.err = x.runner.Apply(t.Context(), p) })
	}
	return all, group.Wait
}

// Commands that are recorded in the journal reach all processes that apply the plan.
func TestControlReachesAllProcesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := quickOrders(1, 400)[0]
		s := newShop(orders...)
		p := planFor(t, orders...)
		control := func(change func(*protocol.Control)) {
			t.Helper()
			require.NoError(t, resubmit.ChangeControl(t.Context(), journalOf(t), p.Digest(), func(c *protocol.Control) {
				c.By, c.Why = "ana", "trouble"
				change(c)
			}))
		}
		control(func(c *protocol.Control) { c.Paused = true }) // before they begin
		all, wait := processesFor(t, s, p, 3, func(c *resubmit.Config) {
			c.RateLimit, c.SharedRate = 5, new(resubmit.MemoryJournal)
		})
		<-time.After(time.Minute)
		require.Empty(t, s.ledger)
		for _, x := range all {
			require.Equal(t, resubmit.StatePaused, x.runner.Status().State)
			require.Equal(t, "paused by ana: trouble", x.runner.Status().Gate)
		}
		control(func(c *protocol.Control) { c.Paused, c.Rate = false, 1 })
		<-time.After(time.Minute)
		require.NotEmpty(t, s.ledger)
		for _, x := range all {
			require.Equal(t, resubmit.StateRunning, x.runner.Status().State)
			require.InDelta(t, 1, x.runner.Status().Rate, 0)
		}
		control(func(c *protocol.Control) { c.Stop = protocol.StopDrain })
		wait()
		for _, x := range all {
			require.ErrorIs(t, x.err, resubmit.ErrDrained)
			require.Positive(t, x.report.Result.NotStarted)
		}
		sent := len(s.ledger)
		control(func(c *protocol.Control) { c.Stop = protocol.StopCancel })
		_, err := runnerFor(t, s, nil).Apply(t.Context(), p)
		require.ErrorIs(t, err, resubmit.ErrCancelled)
		require.ErrorContains(t, err, "by ana: trouble")
		require.Len(t, s.ledger, sent)

		control(func(c *protocol.Control) { c.Stop = "" })
		all, wait = processesFor(t, s, p, 3, nil)
		<-time.After(time.Second)
		control(func(c *protocol.Control) { c.Stop = protocol.StopCancel })
		wait()
		for _, x := range all {
			if x.err != nil { // else it was done before
				require.ErrorIs(t, x.err, resubmit.ErrCancelled)
			}
		}
		requireNoSecondPush(t, s, orders)
	})
}

// The rate of a command holds until SetLimits or another rate, and not for the next plan.
func TestControlOfTheRateEndsWithTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders, more := quickOrders(1, 400)[0], outageOrder(9999, "z")
		s := newShop(append(orders, more)...)
		p, next := planFor(t, orders...), planFor(t, more)
		all, wait := processesFor(t, s, p, 1, func(c *resubmit.Config) { c.RateLimit = 5 })
		r := all[0].runner
		for _, step := range []struct {
			change func(*protocol.Control)
			set    float64 // by SetLimits, after the change
			want   float64
		}{
			{change: func(c *protocol.Control) { c.Rate = 2 }, want: 2},
			{change: func(c *protocol.Control) { c.Rate = 0 }, want: 5},
			{change: func(c *protocol.Control) { c.Rate = 3 }, set: 4, want: 4},
			{change: func(c *protocol.Control) { c.By = "ben" }, want: 4},
			{change: func(c *protocol.Control) { c.Rate = 1 }, want: 1},
			{change: func(c *protocol.Control) { c.Stop = protocol.StopDrain }},
		} {
			require.NoError(t, resubmit.ChangeControl(t.Context(), journalOf(t), p.Digest(), step.change))
			if step.want == 0 {
				break
			}
			<-time.After(20 * time.Second)
			require.NoError(t, r.SetLimits(step.set, 0))
			require.InDelta(t, step.want, r.Status().Rate, 0)
		}
		wait()
		require.ErrorIs(t, all[0].err, resubmit.ErrDrained)
		done := make(chan error, 1)
		go func() {
			_, err := r.Apply(t.Context(), next)
			done <- err
		}()
		<-time.After(time.Millisecond)
		require.InDelta(t, 4, r.Status().Rate, 0, "as SetLimits has set it")
		require.NoError(t, <-done)
	})
}

func TestControlIsReportedAfterTheBeginning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "a")
		s, p := newShop(o), planFor(t, o)
		change := func(paused bool) {
			require.NoError(t, resubmit.ChangeControl(t.Context(), journalOf(t), p.Digest(),
				func(c *protocol.Control) { c.Paused, c.By = paused, "ana" }))
		}
		change(true)
		time.AfterFunc(time.Minute, func() { change(false) })
		var events []resubmit.Event
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.OnEvent = func(e resubmit.Event) { events = append(events, e) }
		})
		_, err := r.Apply(t.Context(), p)
		require.NoError(t, err)
		require.IsType(t, resubmit.RunStarted{}, events[0])
		require.Contains(t, events, resubmit.RunStateChange{State: resubmit.StatePaused, Why: "by ana"})
		require.Contains(t, events, resubmit.RunStateChange{State: resubmit.StateRunning, Why: "by ana"})
	})
}

// A plan that was paused before it was begun is still checked as one that was not.
func TestControlBeginsNoRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "a")
		s, p := newShop(o), planFor(t, o)
		require.NoError(t, resubmit.ChangeControl(t.Context(), journalOf(t), p.Digest(),
			func(c *protocol.Control) { c.Rate = 3 }))
		report, err := resubmit.RecordedReport(t.Context(), journalOf(t), p)
		require.NoError(t, err)
		require.Nil(t, report, "it was not applied")
		<-time.After(25 * time.Hour)
		_, err = runnerFor(t, s, nil).Apply(t.Context(), p)
		require.ErrorIs(t, err, resubmit.ErrStalePlan)
	})
}

func TestControlNeedsItsJournal(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left on device")
	j := brokenJournal{new(resubmit.MemoryJournal), full}
	err := resubmit.ChangeControl(t.Context(), j, "sha256:1", func(c *protocol.Control) { c.Paused = true })
	require.ErrorIs(t, err, full)
}

func TestControlNeedsAValidRate(t *testing.T) {
	t.Parallel()
	j := new(resubmit.MemoryJournal)
	for _, rate := range []float64{math.NaN(), math.Inf(1), 1e-300, -2, 1e6} {
		err := resubmit.ChangeControl(t.Context(), j, "sha256:1", func(c *protocol.Control) { c.Rate = rate })
		require.ErrorContains(t, err, "resubmit: ChangeControl: the rate is ")
		r, err := j.Get(t.Context(), protocol.RunKey("sha256:1"))
		require.NoError(t, err)
		require.Nil(t, r.Run, "nothing is recorded")
	}
	for _, rate := range []float64{0.001, -1, 0} {
		err := resubmit.ChangeControl(t.Context(), j, "sha256:1", func(c *protocol.Control) { c.Rate = rate })
		require.NoError(t, err)
	}
}

// brokenJournal writes nothing.
type brokenJournal struct {
	resubmit.Journal
	err error
}

func (j brokenJournal) Put(context.Context, resubmit.Durability, ...protocol.Record) (uint64, error) {
	return 0, j.err
}

// Three processes that apply one plan: each reports the outcome of every order, and together they make hardly more calls
// than one.
func TestProcessesOfOnePlanReportAllOutcomes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := make([]*shopOrder, 300)
		for i := range orders {
			orders[i] = outageOrder(i, fmt.Sprint(i/3)) // chains of three
			orders[i].fates = []fate{{status: "CP", after: 5 * time.Second}}
		}
		s := newShop(orders...)
		all, wait := processesFor(t, s, planFor(t, orders...), 3, func(c *resubmit.Config) {
			c.RateLimit, c.Concurrency = 5, 8
		})
		wait()
		for _, x := range all {
			require.NoError(t, x.err)
			require.Equal(t, resubmit.OutcomeCounts{Completed: 300}, x.report.Result)
		}
		requireNoSecondPush(t, s, orders)
		require.Less(t, len(s.calls), 4*300)
	})
}

// While Commerce does not answer one process, no other one pushes, until it does or that process has died.
func TestCircuitHoldsForAllProcesses(t *testing.T) {
	t.Parallel()
	for _, dies := range []bool{false, true} {
		t.Run(fmt.Sprint("dies: ", dies), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				lists := quickOrders(2, 300)
				s, cut := newShop(append(lists[0], lists[1]...)...), new(cutReader)
				cut.OrderReader = s
				ctx, die := context.WithCancel(t.Context())
				first := runnerFor(t, s, func(c *resubmit.Config) { c.Reader, c.RateLimit = cut, 2 })
				second := runnerFor(t, s, func(c *resubmit.Config) { c.RateLimit = 2 })
				var both sync.WaitGroup
				p, other := planFor(t, lists[0]...), planFor(t, lists[1]...)
				both.Go(func() { _, _ = first.Apply(ctx, p) })
				both.Go(func() {
					report, err := second.Apply(t.Context(), other)
					require.NoError(t, err)
					require.Equal(t, 300, report.Result.Completed)
				})
				<-time.After(10 * time.Second)
				cut.set(errors.New("connection refused"))
				<-time.After(time.Minute)
				synctest.Wait()
				sent := len(s.ledger)
				require.Contains(t, second.Status().Gate,
					"another process pushes nothing: Commerce does not answer: connection refused")
				<-time.After(time.Minute)
				synctest.Wait()
				require.Len(t, s.ledger, sent)
				if dies {
					die()
				} else {
					cut.set(nil)
				}
				<-time.After(10 * time.Minute)
				synctest.Wait()
				require.Greater(t, len(s.ledger), sent)
				die()
				both.Wait()
			})
		})
	}
}

// cutReader is a Commerce that one process cannot reach while err is set.
type cutReader struct {
	resubmit.OrderReader
	mu  sync.Mutex
	err error
}

func (r *cutReader) set(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *cutReader) Order(ctx context.Context, id string) (*commerce.Order, error) {
	r.mu.Lock()
	err := r.err
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return r.OrderReader.Order(ctx, id)
}

// A process that passed over an order, because it was cancelled, works on the next one of the subscription. A second
// process waits for that, and reports the same outcomes.
func TestProcessWaitsBehindALaneOfAnother(t *testing.T) {
	t.Parallel()
	for name, finishes := range map[string]bool{"that finishes": true, "that dies": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := []*shopOrder{outageOrder(1, "a"), outageOrder(2, "a"), outageOrder(3, "a")}
				s, p := newShop(orders...), planFor(t, orders...)
				orders[1].Status, orders[1].Transitions = commerce.StatusCancelled, nil
				orders[2].fates = []fate{{status: "CP", after: 5 * time.Minute}}
				ctx, die := context.WithCancel(t.Context())
				defer die()
				var both sync.WaitGroup
				both.Go(func() { _, _ = runnerFor(t, s, nil).Apply(ctx, p) })
				<-time.After(time.Minute)
				require.Equal(t, 1, s.accepted(orders[2].ID))
				if !finishes {
					time.AfterFunc(time.Minute, die)
				}
				report, err := runnerFor(t, s, nil).Apply(t.Context(), p)
				require.NoError(t, err)
				both.Wait()
				require.Equal(t, protocol.Completed, itemOf(t, report, 1).Outcome)
				require.Equal(t, protocol.Completed, itemOf(t, report, 3).Outcome)
				if finishes {
					require.Equal(t, protocol.Skipped, itemOf(t, report, 2).Outcome, itemOf(t, report, 2).Why)
				}
				requireNoSecondPush(t, s, orders)
			})
		})
	}
}

// holderEpoch is that of another process of a plan, as the journal shows it.
const holderEpoch = 999

// liveHolder renews the lease of that process.
func liveHolder(t *testing.T, p *plan.Plan) {
	t.Helper()
	key := protocol.LeaseKey(p.Digest(), holderEpoch)
	old, err := journalOf(t).Get(t.Context(), key)
	require.NoError(t, err)
	_, err = journalOf(t).Put(t.Context(), resubmit.Durable, protocol.Record{
		Key: key, Version: old.Version, At: time.Now(), Run: &protocol.Run{Epoch: holderEpoch, Started: time.Now()},
	})
	require.NoError(t, err)
}

// Another process of the plan takes the lane of an order after its read, right before its claim.
func TestClaimWaitsForALaneOfAnotherProcess(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		lives, ends time.Duration // of the other process, and of its order; an order that does not end is 0
		want        protocol.Outcome
		most        time.Duration
	}{
		"until its order has ended":              {time.Hour, 7 * time.Minute, protocol.Completed, 12 * time.Minute},
		"until its lease is over":                {time.Minute, 0, protocol.Blocked, 4 * time.Minute},
		"not for longer than it takes to verify": {5 * time.Hour, 0, protocol.Blocked, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				other, o := outageOrder(1, "a"), outageOrder(2, "a")
				s, p := newShop(o), planFor(t, o)
				o.onRead = func(*shopOrder) {
					o.onRead = nil
					liveHolder(t, p)
					leave(t, p, entryFor(other), func(o *protocol.Order) { o.Epoch, o.Phase = holderEpoch, protocol.Claimed })
				}
				process, end := context.WithTimeout(t.Context(), tt.lives)
				var both sync.WaitGroup
				both.Go(func() {
					for began := time.Now(); process.Err() == nil; {
						<-time.After(20 * time.Second)
						if liveHolder(t, p); tt.ends > 0 && time.Since(began) >= tt.ends {
							leave(t, p, entryFor(other), func(o *protocol.Order) {
								o.Epoch, o.Phase, o.Outcome = holderEpoch, protocol.Ended, protocol.Completed
							})
							return
						}
					}
				})
				began := time.Now()
				report, err := runnerFor(t, s, nil).Apply(t.Context(), p)
				end()
				require.NoError(t, err)
				require.Equal(t, tt.want, itemOf(t, report, 2).Outcome, itemOf(t, report, 2).Why)
				require.Greater(t, time.Since(began), max(tt.ends, time.Minute))
				require.Less(t, time.Since(began), tt.most)
				both.Wait()
			})
		})
	}
}

// A process that holds a lane ends its order right after another one has read the lane.
func TestLaneThatIsFreedAfterItWasReadBlocksNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		other, orders := outageOrder(1, "a"), []*shopOrder{outageOrder(2, "a"), outageOrder(3, "a")}
		s, p := newShop(orders...), planFor(t, orders...)
		liveHolder(t, p)
		leave(t, p, entryFor(other), func(o *protocol.Order) { o.Epoch, o.Phase = holderEpoch, protocol.Claimed })
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Journal = endingJournal{c.Journal, protocol.OrderKey(other.ID), sync.OnceFunc(func() {
				leave(t, p, entryFor(other), func(o *protocol.Order) {
					o.Epoch, o.Phase, o.Outcome = holderEpoch, protocol.Ended, protocol.Completed
				})
			})}
		})
		report, err := r.Apply(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 2}, report.Result)
	})
}

// endingJournal calls ends before it reads the record of an order.
type endingJournal struct {
	resubmit.Journal
	of   protocol.Key
	ends func()
}

func (j endingJournal) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	if k == j.of {
		j.ends()
	}
	return j.Journal.Get(ctx, k)
}

// A run that ends while an order waits for a lane, before its read or before its claim, has not started it.
func TestOrderThatWaitsForALaneIsNotStartedWhenTheRunEnds(t *testing.T) {
	t.Parallel()
	for name, claims := range map[string]bool{"before its read": false, "before its claim": true} {
		for how, end := range map[string]func(*resubmit.Runner){
			"cancelled": (*resubmit.Runner).Cancel, "drained": (*resubmit.Runner).Drain,
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					other, o := outageOrder(1, "a"), outageOrder(2, "a")
					s, p := newShop(o), planFor(t, o)
					takes := func() {
						liveHolder(t, p)
						leave(t, p, entryFor(other), func(o *protocol.Order) { o.Epoch, o.Phase = holderEpoch, protocol.Claimed })
					}
					if o.onRead = func(*shopOrder) { o.onRead = nil; takes() }; !claims {
						takes()
						o.onRead = nil
					}
					r := runnerFor(t, s, nil)
					time.AfterFunc(time.Second, func() { end(r) })
					report, err := r.Apply(t.Context(), p)
					require.Error(t, err)
					require.Equal(t, resubmit.OutcomeCounts{NotStarted: 1}, report.Result, itemOf(t, report, 2).Why)
					require.Empty(t, s.ledger)
				})
			})
		}
	}
}
