package resubmit_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
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

// countingJournal counts the orders whose records are read one by one, and may fail to read all records.
type countingJournal struct {
	resubmit.Journal
	mu    sync.Mutex
	gets  map[string]int
	fails error // of Records, after the first one
}

func (j *countingJournal) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.gets[k.ID]++
	return j.Journal.Get(ctx, k)
}

func (j *countingJournal) Records(ctx context.Context) iter.Seq2[protocol.Record, error] {
	return func(yield func(protocol.Record, error) bool) {
		for r, err := range j.Journal.Records(ctx) {
			if !yield(r, err) {
				return
			}
			if j.fails != nil {
				yield(protocol.Record{}, j.fails)
				return
			}
		}
	}
}

// halfDone is a plan of ten orders, each in a lane of its own, and the journal of a run that has completed those with an
// even number.
func halfDone(t *testing.T) (*shop, *plan.Plan, *countingJournal) {
	orders := make([]*shopOrder, 10)
	for i := range orders {
		orders[i] = outageOrder(i, fmt.Sprint(i))
	}
	p := planFor(t, orders...)
	for i, o := range orders {
		if i%2 == 0 {
			leave(t, p, entryFor(o), func(o *protocol.Order) {
				o.Phase, o.Outcome, o.Status, o.Why = protocol.Ended, protocol.Completed, "CP", "done"
			})
		}
	}
	return newShop(orders...), p, &countingJournal{Journal: journalOf(t), gets: make(map[string]int)}
}

func TestResumeDoesNotOpenFinishedOrders(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*resubmit.Config){
		"with items":       func(*resubmit.Config) {},
		"with an observer": func(c *resubmit.Config) { c.OmitItems, c.OnEvent = true, func(resubmit.Event) {} },
		"with neither":     func(c *resubmit.Config) { c.OmitItems = true },
		"with a canary":    func(c *resubmit.Config) { c.Canary.Steps = []int{1, 2} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, plan, j := halfDone(t)
				r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = j; change(c) })
				report, err := r.Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Completed: 10}, report.Result)
				require.Equal(t, 5, report.Earlier)
				require.Equal(t, 5, s.pushes())
				for i := range 10 {
					id := fmt.Sprintf("id-%d", i)
					require.Equal(t, i%2 == 1, j.gets[id] > 0, id)
					require.Equal(t, i%2, s.accepted(id))
				}
				for _, item := range report.Items {
					require.Equal(t, item.Earlier, item.Why == "done", item.Why)
				}
			})
		})
	}
}

func TestResumePushesNothingIfTheJournalCannotBeRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, plan, j := halfDone(t)
		j.fails = errors.New("the disk is gone")
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = j })
		report, err := r.Apply(t.Context(), plan)
		require.ErrorIs(t, err, j.fails)
		require.ErrorContains(t, err, "resubmit: the journal: ")
		require.Equal(t, err.Error(), report.Err)
		require.Equal(t, 10, report.Result.Total())
		require.Empty(t, s.calls)

		j.fails = nil
		report, err = r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 10}, report.Result)
	})
}

func TestResumeOfAFinishedPlanReportsItAsEarlier(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, plan, _ := halfDone(t)
		r := runnerFor(t, s, nil)
		_, err := r.Apply(t.Context(), plan)
		require.NoError(t, err)
		calls := len(s.calls)
		report, err := r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 10}, report.Result)
		require.Equal(t, 10, report.Earlier, "nothing is presented as new")
		require.Len(t, s.calls, calls)
	})
}

func TestResumeBlocksLanesOfFailedOrdersWithoutItems(t *testing.T) {
	t.Parallel()
	for outcome, status := range map[protocol.Outcome]commerce.Status{
		protocol.FailedAgain: "PF", protocol.Skipped: "PR", protocol.NotMoved: "PF",
	} {
		t.Run(string(outcome), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newShop(outageOrder(1, "a"), outageOrder(2, "a"))
				plan := planFor(t, s.orders["id-1"], s.orders["id-2"])
				leave(t, plan, entryFor(s.orders["id-1"]), func(o *protocol.Order) {
					o.Phase, o.Outcome, o.Status = protocol.Ended, outcome, status
				})
				r := runnerFor(t, s, func(c *resubmit.Config) { c.OmitItems = true })
				report, err := r.Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Equal(t, []resubmit.Blocker{{Number: "SO000001", Orders: 1}}, report.Blockers)
				require.Equal(t, 1, report.Result.Blocked)
				require.Empty(t, s.calls)
			})
		})
	}
}

var errDead = errors.New("the process was killed")

// dyingJournal fails every call from the n-th Put on, as if the process had been killed there. It may store that one.
type dyingJournal struct {
	resubmit.Journal
	mu     sync.Mutex
	left   int // puts
	stores bool
	dead   bool
}

func (j *dyingJournal) alive() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.dead {
		return errDead
	}
	return nil
}

func (j *dyingJournal) Put(ctx context.Context, d resubmit.Durability, r ...protocol.Record) (uint64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.dead {
		return 0, errDead
	}
	j.left--
	j.dead = j.left < 0
	if j.dead && !j.stores {
		return 0, errDead
	}
	seq, err := j.Journal.Put(ctx, d, r...)
	if j.dead {
		return 0, errDead
	}
	return seq, err
}

func (j *dyingJournal) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	if err := j.alive(); err != nil {
		return protocol.Record{}, err
	}
	return j.Journal.Get(ctx, k)
}

func (j *dyingJournal) Flush(ctx context.Context) (plan.Position, error) {
	if err := j.alive(); err != nil {
		return plan.Position{}, err
	}
	return j.Journal.Flush(ctx)
}

// Whenever a run is killed, the same command finishes: every order completes, each with one accepted push (I1, I19). An
// order that also loses the answer to its first push can use up its attempts.
func TestResumeAfterAKillBetweenAnyTwoSteps(t *testing.T) {
	t.Parallel()
	for _, stores := range []bool{false, true} {
		for n := range 30 {
			t.Run(fmt.Sprintf("at put %d, stored %v", n+1, stores), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					orders := []*shopOrder{
						outageOrder(1, "a"), outageOrder(2, "a"), outageOrder(3, "b"), outageOrder(4, "c"), outageOrder(5, "d"),
					}
					orders[2].pushFaults = []fault{lostIgnored}
					orders[3].pushFaults = []fault{lostActed}
					orders[4].pushFaults = []fault{limited}
					s := newShop(orders...)
					p, dying := planFor(t, orders...), &dyingJournal{Journal: journalOf(t), left: n, stores: stores}
					config := func(c *resubmit.Config) { c.Requests, c.Journal, c.RateLimit = s, claimJournal{c.Journal, s}, 5 }
					killed := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = dying; config(c) })
					report, err := killed.Apply(t.Context(), p)
					if n < 12 {
						require.ErrorIs(t, err, errDead, "the run was to be killed")
					}
					if report != nil {
						require.Equal(t, 5, report.Result.Total())
					}
					for _, o := range orders {
						for _, sub := range o.SubscriptionIDs {
							s.answer(sub, "approved", "")
						}
					}
					report, err = runnerFor(t, s, config).Apply(t.Context(), p)
					require.NoError(t, err)
					for i, o := range orders {
						if item := itemOf(t, report, i+1); item.Outcome == protocol.NotMoved && o == orders[2] {
							require.Zero(t, s.accepted(o.ID))
							continue
						}
						require.Equal(t, protocol.Completed, itemOf(t, report, i+1).Outcome, itemOf(t, report, i+1).Why)
						require.Equal(t, 1, s.accepted(o.ID), o.ID)
					}
					requireReadAndClaimBeforeEachPush(t, s)
				})
			})
		}
	}
}

// A process that was killed a moment ago may still be sending, as far as anybody knows: its lease has to end first.
func TestResumeWaitsForTheLeaseOfAKilledRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "a")
		s := newShop(o)
		s.answer("a", "approved", "")
		p := planFor(t, o)
		config := func(c *resubmit.Config) { c.Requests = s }
		killed := runnerFor(t, s, func(c *resubmit.Config) {
			config(c)
			c.Journal = &dyingJournal{Journal: journalOf(t), left: 2, stores: true} // after the claim
		})
		start := time.Now()
		_, err := killed.Apply(t.Context(), p)
		require.ErrorIs(t, err, errDead)
		require.Empty(t, s.ledger)
		report, err := runnerFor(t, s, config).Apply(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
		require.Equal(t, 2, itemOf(t, report, 1).Attempts)
		lease, push := time.Minute, 2*time.Minute
		require.GreaterOrEqual(t, s.ledger[0].at.Sub(start), lease+push+2*defaultSettle)
	})
}
