package resubmit_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// open opens a session that ends with the test.
func open(t *testing.T, r *resubmit.Runner, plan *plan.Plan) *resubmit.Session {
	t.Helper()
	s, err := r.Open(t.Context(), plan)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

func TestSessionResubmitsSingleOrders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := outageOrder(1, "a"), outageOrder(2, "b")
		s := newShop(one, two)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = intentJournal{new(resubmit.MemoryJournal), s} })
		first, second := entryFor(one), entryFor(two)
		session := open(t, r, planWith(t, nil, first, second))

		for range 3 { // the second and third time there is nothing left to do
			item, err := session.Attempt(t.Context(), second)
			require.NoError(t, err)
			require.Equal(t, resubmit.OutcomeCompleted, item.Outcome)
		}
		require.Equal(t, []string{"intent id-2", "read id-2", "push id-2", "read id-2"}, s.steps)
		require.Len(t, s.ledger, 1)
		item, err := session.Attempt(t.Context(), first)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCompleted, item.Outcome)
	})
}

func TestSessionChecksOnceWithoutTimeout(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fate    fate
		push    []fault
		outcome resubmit.Outcome
		looks   int // at least
	}{
		"it completes": {fate{after: time.Hour, status: "CP"}, nil, "completed", 50},
		"it fails again": {fate{after: time.Hour, status: "PF", reason: "Vendor has failed request PR-1"}, nil,
			"failedAgain", 50},
		"it fails again in like words": {fate{status: "PF", reason: outage}, nil, "failedAgain", 5},
		"the answer was lost":          {fate{after: time.Hour, status: "CP"}, []fault{lostActed}, "completed", 50},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := outageOrder(1, "a")
				o.fates, o.pushFaults = []fate{tt.fate}, tt.push
				s := newShop(o)
				e, journal := entryFor(o), new(resubmit.MemoryJournal)
				plan := planWith(t, nil, e)
				looks := 0
				var item resubmit.Item
				for item.Outcome == "" || item.Outcome == resubmit.OutcomeProgressing {
					r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal, c.Verify.Timeout = journal, -1 })
					session := open(t, r, plan) // as a job would, in whatever process
					var err error
					item, err = session.Attempt(t.Context(), e)
					require.NoError(t, err)
					session.Close()
					looks++
					<-time.After(time.Minute)
				}
				require.Equal(t, tt.outcome, item.Outcome, item.Why)
				require.GreaterOrEqual(t, looks, tt.looks)
				require.Len(t, s.ledger, 1)
			})
		})
	}
}

func TestSessionKeepsTheOrderOfASubscription(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var orders []*shopOrder
		var entries []*plan.Entry
		for n := range 24 {
			o := outageOrder(n, []string{"a", "b", "c"}[n%3])
			if n%4 == 0 {
				o.SubscriptionIDs = []string{"a", "b"}
			}
			orders, entries = append(orders, o), append(entries, entryFor(o))
		}
		s := newShop(orders...)
		session := open(t, runnerFor(t, s, nil), planWith(t, nil, entries...))
		var all sync.WaitGroup
		blocked := newMeter()
		for _, e := range slices.Backward(entries) { // the youngest first
			for range 2 {
				all.Go(func() {
					for {
						item, err := session.Attempt(t.Context(), e)
						if err == nil && item.Outcome == resubmit.OutcomeCompleted {
							return
						}
						if err != nil && !errors.Is(err, resubmit.ErrInProgress) {
							t.Error(err)
							return
						}
						blocked.enter()
						<-time.After(7 * time.Second)
					}
				})
			}
		}
		all.Wait()
		require.Positive(t, blocked.most)
		require.Len(t, s.ledger, len(orders))
		last := map[string]time.Time{}
		for _, l := range s.ledger {
			require.Zero(t, l.open, "I5: %s was pushed while another order of its subscription was under way", l.id)
			o := s.orders[l.id]
			for _, sub := range o.SubscriptionIDs {
				require.True(t, o.PlacedAt.After(last[sub]), "I5: %s was pushed behind a younger one", l.id)
				last[sub] = o.PlacedAt
			}
		}
	})
}

func TestSessionSkipsBlockedOrders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := outageOrder(1, "a"), outageOrder(2, "a")
		one.fates = []fate{{time.Second, "PF", stillDown}}
		s := newShop(one, two)
		first, second := entryFor(one), entryFor(two)
		session := open(t, runnerFor(t, s, nil), planWith(t, nil, first, second))
		for range 2 { // before and after the first one was tried
			item, err := session.Attempt(t.Context(), second)
			require.NoError(t, err)
			require.Equal(t, resubmit.OutcomeSkipped, item.Outcome)
			require.Contains(t, item.Why, "blocked by the order id-1")
			_, err = session.Attempt(t.Context(), first)
			require.NoError(t, err)
		}
		require.Zero(t, s.reads["id-2"])
		require.Len(t, s.ledger, 1)
	})
}

func TestSessionRejectsOtherEntries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o, held := outageOrder(1, "a"), outageOrder(2, "b")
		s := newShop(o, held, outageOrder(3, "c"))
		good, hold := entryFor(o), entryFor(held)
		hold.Decision.Action, hold.Target = rules.Hold, ""
		session := open(t, runnerFor(t, s, nil), planWith(t, nil, good, hold))
		changed := *good
		changed.Target = "PR"
		for _, e := range []*plan.Entry{hold, &changed, entryFor(outageOrder(3, "c"))} {
			item, err := session.Attempt(t.Context(), e)
			require.ErrorIs(t, err, resubmit.ErrEntryMismatch)
			require.Equal(t, resubmit.OutcomeSkipped, item.Outcome)
		}
		require.Empty(t, s.calls)

		text, err := json.Marshal(good) // as the argument of a job
		require.NoError(t, err)
		var read plan.Entry
		require.NoError(t, json.Unmarshal(text, &read))
		item, err := session.Attempt(t.Context(), &read)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCompleted, item.Outcome)
	})
}

func TestSessionAndRunExcludeEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "a")
		s := newShop(o)
		r, plan := runnerFor(t, s, nil), planFor(t, o)
		session := open(t, r, plan)
		_, err := r.Apply(t.Context(), plan)
		require.ErrorIs(t, err, resubmit.ErrRunning)
		_, err = r.Open(t.Context(), plan)
		require.ErrorIs(t, err, resubmit.ErrRunning)
		session.Close()
		session.Close()
		_, err = session.Attempt(t.Context(), entryFor(o))
		require.ErrorIs(t, err, resubmit.ErrClosed)
		s.onPush = func(context.Context, string) {
			_, err := r.Open(t.Context(), plan)
			require.ErrorIs(t, err, resubmit.ErrRunning)
		}
		report, err := r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
		_, err = r.Open(t.Context(), nil)
		require.ErrorContains(t, err, "no plan")
	})
}

func TestSessionResumesACancelledAttempt(t *testing.T) {
	t.Parallel()
	errEnough := errors.New("enough")
	tests := map[string]struct {
		cut     func(r *resubmit.Runner, s *resubmit.Session, cancel context.CancelCauseFunc)
		after   time.Duration
		err     error
		outcome resubmit.Outcome
		reopens bool // the session is over
	}{
		"by its caller, at the gate": {
			func(_ *resubmit.Runner, _ *resubmit.Session, cancel context.CancelCauseFunc) { cancel(errEnough) },
			time.Minute, errEnough, "skipped", false,
		},
		"by its caller, while it is verified": {
			func(_ *resubmit.Runner, _ *resubmit.Session, cancel context.CancelCauseFunc) { cancel(errEnough) },
			15 * time.Minute, errEnough, "progressing", false,
		},
		"by Close": {
			func(_ *resubmit.Runner, s *resubmit.Session, _ context.CancelCauseFunc) { s.Close() },
			15 * time.Minute, resubmit.ErrClosed, "progressing", true,
		},
		"by Drain": {
			func(r *resubmit.Runner, _ *resubmit.Session, _ context.CancelCauseFunc) { r.Drain() },
			time.Minute, resubmit.ErrDrained, "skipped", true,
		},
		"by Cancel": {
			func(r *resubmit.Runner, _ *resubmit.Session, _ context.CancelCauseFunc) { r.Cancel() },
			time.Minute, resubmit.ErrCancelled, "skipped", true,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				window := maintenance.Window{ID: "w", Start: now.Add(-time.Hour), End: now.Add(6 * time.Minute)}
				o := outageOrder(1, "a")
				o.fates = []fate{{20 * time.Minute, "CP", ""}}
				s, e := newShop(o), entryFor(o)
				plan := planWith(t, []maintenance.Window{window}, e)
				r := runnerFor(t, s, nil)
				session := open(t, r, plan)
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				time.AfterFunc(tt.after, func() { tt.cut(r, session, cancel) })
				item, err := session.Attempt(ctx, e)
				require.ErrorIs(t, err, tt.err)
				require.Equal(t, tt.outcome, item.Outcome, item.Why)
				if tt.reopens {
					session.Close()
					session = open(t, r, plan)
				}
				item, err = session.Attempt(t.Context(), e)
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCompleted, item.Outcome)
				require.Len(t, s.ledger, 1)
			})
		})
	}
}

func TestSessionEndsIfTheJournalFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := outageOrder(1, "a"), outageOrder(2, "b")
		s := newShop(one, two)
		first, second := entryFor(one), entryFor(two)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = &badJournal{fails: resubmit.RecordPushed} })
		session := open(t, r, planWith(t, nil, first, second))
		for _, e := range []*plan.Entry{first, second} {
			_, err := session.Attempt(t.Context(), e)
			require.ErrorContains(t, err, "no space left on device")
		}
		require.Len(t, s.ledger, 1)
	})
}

func TestSessionReturnsACancelledCallerAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := []*shopOrder{outageOrder(1, "s1"), outageOrder(2, "s2")}
		orders[0].fates = []fate{{after: 20 * time.Minute, status: "CP"}}
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.MaxOpenOrders = 1 })
		plan := planFor(t, orders...)
		session := open(t, r, plan)
		defer session.Close()
		var wg sync.WaitGroup
		wg.Go(func() {
			item, err := session.Attempt(t.Context(), entryFor(orders[0]))
			require.NoError(t, err)
			require.Equal(t, resubmit.OutcomeCompleted, item.Outcome)
		})
		synctest.Wait()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		entry := *entryFor(orders[1])
		item, err := session.Attempt(ctx, &entry)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, resubmit.OutcomeSkipped, item.Outcome)
		require.Equal(t, time.Minute, time.Since(start))
		wg.Wait()
	})
}
