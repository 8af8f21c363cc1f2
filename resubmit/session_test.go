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
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
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
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = claimJournal{journalOf(t), s} })
		first, second := entryFor(one), entryFor(two)
		session := open(t, r, planWith(t, nil, first, second))

		for range 3 { // the second and third time there is nothing left to do
			item, err := session.Attempt(t.Context(), second)
			require.NoError(t, err)
			require.Equal(t, protocol.Completed, item.Outcome)
		}
		require.Equal(t, []string{"read id-2", "claim id-2", "push id-2", "read id-2"}, s.steps)
		require.Len(t, s.ledger, 1)
		item, err := session.Attempt(t.Context(), first)
		require.NoError(t, err)
		require.Equal(t, protocol.Completed, item.Outcome)
	})
}

func TestSessionChecksOnceWithoutTimeout(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fate    fate
		push    []fault
		outcome protocol.Outcome
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
				e := entryFor(o)
				plan := planWith(t, nil, e)
				looks := 0
				var item resubmit.Item
				for item.Outcome == "" || item.Outcome == protocol.Progressing {
					r := runnerFor(t, s, func(c *resubmit.Config) { c.Verify.Timeout = -1 })
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
						item, err := session.AttemptID(t.Context(), e.OrderID)
						if err == nil && item.Outcome == protocol.Completed {
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
		one.fates = []fate{{time.Second, "PF", "Reason: 504 Gateway Timeout."}}
		s := newShop(one, two)
		first, second := entryFor(one), entryFor(two)
		session := open(t, runnerFor(t, s, nil), planWith(t, nil, first, second))
		for range 2 { // before and after the first one was tried
			item, err := session.Attempt(t.Context(), second)
			require.NoError(t, err)
			require.Equal(t, protocol.Blocked, item.Outcome)
			require.Contains(t, item.Why, "blocked by the order SO000001")
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
		require.NoError(t, json.Unmarshal([]byte("12.50"), &good.Total.Amount)) // in JSON it is 12.5
		good.Total.Currency = "EUR"
		hold.Decision.Action, hold.Target = rules.Hold, ""
		session := open(t, runnerFor(t, s, nil), planWith(t, nil, good, hold))
		changed := *good
		changed.Target = "PR"
		for _, e := range []*plan.Entry{hold, &changed, entryFor(outageOrder(3, "c"))} {
			item, err := session.Attempt(t.Context(), e)
			require.ErrorIs(t, err, resubmit.ErrEntryMismatch)
			require.Equal(t, protocol.NotStarted, item.Outcome)
		}
		_, err := session.AttemptID(t.Context(), held.ID)
		require.ErrorIs(t, err, resubmit.ErrEntryMismatch)
		require.Empty(t, s.calls)

		text, err := json.Marshal(good) // as the argument of a job
		require.NoError(t, err)
		var read plan.Entry
		require.NoError(t, json.Unmarshal(text, &read))
		item, err := session.Attempt(t.Context(), &read)
		require.NoError(t, err)
		require.Equal(t, protocol.Completed, item.Outcome)
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
		outcome protocol.Outcome
		reopens bool // the session is over
	}{
		"by its caller, at the gate": {
			func(_ *resubmit.Runner, _ *resubmit.Session, cancel context.CancelCauseFunc) { cancel(errEnough) },
			time.Minute, errEnough, "notStarted", false,
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
			time.Minute, resubmit.ErrDrained, "notStarted", true,
		},
		"by Cancel": {
			func(r *resubmit.Runner, _ *resubmit.Session, _ context.CancelCauseFunc) { r.Cancel() },
			time.Minute, resubmit.ErrCancelled, "notStarted", true,
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
				require.Equal(t, protocol.Completed, item.Outcome)
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
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = badJournal{journalOf(t), protocol.Pushed} })
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
		r := runnerFor(t, newShop(orders...), nil)
		session := open(t, r, planFor(t, orders...))
		defer session.Close()
		var wg sync.WaitGroup
		wg.Go(func() {
			item, err := session.Attempt(t.Context(), entryFor(orders[0]))
			require.NoError(t, err)
			require.Equal(t, protocol.Completed, item.Outcome)
		})
		synctest.Wait()
		r.Pause()
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		item, err := session.Attempt(ctx, entryFor(orders[1]))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, protocol.NotStarted, item.Outcome)
		require.Equal(t, time.Minute, time.Since(start))
		wg.Wait()
	})
}

// Two callers with one order: the second one is told so, and the order is pushed once.
func TestSessionRejectsASecondAttemptOfAnOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s1")
		s := newShop(o)
		session := open(t, runnerFor(t, s, nil), planFor(t, o))
		first := make(chan resubmit.Item, 1)
		go func() {
			item, err := session.AttemptID(t.Context(), o.ID)
			if err != nil {
				t.Error(err)
			}
			first <- item
		}()
		synctest.Wait()
		item, err := session.AttemptID(t.Context(), o.ID)
		require.ErrorIs(t, err, resubmit.ErrInProgress)
		require.Equal(t, protocol.NotStarted, item.Outcome)
		require.Equal(t, protocol.Completed, (<-first).Outcome)
		require.Len(t, s.ledger, 1)
		item, err = session.AttemptID(t.Context(), o.ID)
		require.NoError(t, err)
		require.Equal(t, protocol.Completed, item.Outcome)
	})
}

// An order that was not attempted does not block the one behind it for the rest of the session.
func TestSessionForgetsWhatBlockedAnOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := outageOrder(1, "a"), outageOrder(2, "a")
		one.fates = []fate{{after: time.Hour, status: "CP"}}
		s := newShop(one, two)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Verify.Timeout = -1 })
		session := open(t, r, planFor(t, one, two))
		r.Pause()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := session.AttemptID(ctx, "id-1")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		r.Resume()
		for _, want := range []protocol.Outcome{protocol.Progressing, protocol.Completed} {
			item, err := session.AttemptID(t.Context(), "id-1")
			require.NoError(t, err)
			require.Equal(t, want, item.Outcome, item.Why)
			<-time.After(time.Hour)
		}
		item, err := session.AttemptID(t.Context(), "id-2")
		require.NoError(t, err)
		require.Equal(t, protocol.Progressing, item.Outcome, item.Why)
		require.Len(t, s.ledger, 2)
	})
}

// A Session ends in good order without the events of a run: it has neither a begin nor an end that concerns all orders.
func TestSessionHasNoEventsOfOrdersThatWereNotAttempted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := outageOrder(1, "a"), outageOrder(2, "b")
		seen := new(diary)
		r := runnerFor(t, newShop(one, two), func(c *resubmit.Config) { c.OnEvent = seen.on })
		p := planFor(t, one, two)
		session := open(t, r, p)
		_, err := session.AttemptID(t.Context(), "id-1")
		require.NoError(t, err)
		session.Close()
		require.Equal(t, "SO000001 intent 1\nSO000001 reread \"\"\nSO000001 pushed PD\nSO000001 done completed",
			seen.String())
	})
}
