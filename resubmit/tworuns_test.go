package resubmit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// requireNoSecondPush requires that each order was accepted at most once, and that no two orders of a subscription were
// in progress at once or in the wrong order.
func requireNoSecondPush(t *testing.T, s *shop, orders []*shopOrder) {
	t.Helper()
	last := map[string]time.Time{}
	for _, l := range s.ledger {
		require.Zero(t, l.open, "%s was pushed while another order of its subscription was in progress", l.id)
		o := s.orders[l.id]
		require.True(t, o.PlacedAt.After(last[o.SubscriptionIDs[0]]), "%s was pushed after a younger order, or twice", l.id)
		last[o.SubscriptionIDs[0]] = o.PlacedAt
	}
	for _, o := range orders {
		require.LessOrEqual(t, s.accepted(o.ID), 1, o.ID)
	}
}

// Two plans of overlapping orders and one journal: no order is pushed twice, at once or one after the other (I14).
func TestTwoPlansWithOneJournalPushNothingTwice(t *testing.T) {
	t.Parallel()
	for name, atOnce := range map[string]bool{"at once": true, "one after the other": false} {
		for share := range 2 { // orders of a subscription, minus one
			t.Run(fmt.Sprintf("%s, %d of a subscription", name, share+1), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					orders := make([]*shopOrder, 200)
					for i := range orders {
						orders[i] = outageOrder(i, fmt.Sprint(i/(share+1)))
					}
					s := newShop(orders...)
					slow := func(c *resubmit.Config) { c.Pusher, c.Concurrency = slowPusher{s, newMeter()}, 8 }
					plans := []*plan.Plan{planFor(t, orders[:150]...), planFor(t, orders[50:]...)}
					reports := make([]*resubmit.Report, 2)
					var both sync.WaitGroup
					for i, p := range plans {
						both.Go(func() {
							var err error
							reports[i], err = runnerFor(t, s, slow).Apply(t.Context(), p)
							require.NoError(t, err)
						})
						if !atOnce {
							both.Wait()
						}
					}
					both.Wait()
					requireNoSecondPush(t, s, orders)
					first, second := reports[0].Result, reports[1].Result
					require.Equal(t, len(s.ledger), first.Completed+second.Completed)
					if share == 0 {
						require.Equal(t, 200, first.Completed+second.Completed)
						// An order that the other run has pushed a moment ago is claimed, or is read and has moved.
						require.Equal(t, 100, first.ClaimedElsewhere+second.ClaimedElsewhere+first.Skipped+second.Skipped)
					}
					require.Equal(t, 300, first.Total()+second.Total())
				})
			})
		}
	}
}

// latePusher answers at once that the connection broke, and acts later.
type latePusher struct {
	shop  *shop
	after time.Duration
}

func (p latePusher) Push(ctx context.Context, id string, to commerce.Status) error {
	time.AfterFunc(p.after, func() { _ = p.shop.Push(context.WithoutCancel(ctx), id, to) })
	return errors.New("connection reset by peer")
}

// entryAfter is the entry of a new plan for an order that the journal knows.
func entryAfter(t *testing.T, o *shopOrder) *plan.Entry {
	t.Helper()
	rec, err := journalOf(t).Get(t.Context(), protocol.OrderKey(o.ID))
	require.NoError(t, err)
	e := entryFor(o)
	e.Version = rec.Version
	return e
}

// A run was killed while a push was in flight, or before it was sent. A new plan of the same failure resolves that by
// reads, and pushes again only what is proven unchanged.
func TestNewPlanResolvesWhatAKilledRunLeft(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		pusher   func(*shop) resubmit.Pusher // of the killed run
		kill     int                         // at that Put
		requests bool
		outcome  protocol.Outcome
		accepted int
	}{
		"the push was never sent": {
			pusher: func(s *shop) resubmit.Pusher { return s }, kill: 2, requests: true,
			outcome: protocol.Completed, accepted: 1,
		},
		"the push acts after the new plan was made": {
			pusher: func(s *shop) resubmit.Pusher { return latePusher{s, 100 * time.Second} }, kill: 3, requests: true,
			outcome: protocol.Completed, accepted: 1,
		},
		"the push is lost": {
			pusher: func(*shop) resubmit.Pusher { return latePusher{newShop(), 0} }, kill: 3, requests: true,
			outcome: protocol.Completed, accepted: 1,
		},
		"the push is lost and Connect cannot prove that": {
			pusher: func(*shop) resubmit.Pusher { return latePusher{newShop(), 0} }, kill: 3,
			outcome: protocol.Unknown,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := outageOrder(1, "a")
				s := newShop(o)
				s.answer("a", connect.StatusApproved, "")
				killed := runnerFor(t, s, func(c *resubmit.Config) {
					c.Pusher, c.Journal = tt.pusher(s), &dyingJournal{Journal: c.Journal, left: tt.kill, stores: true}
				})
				_, err := killed.Apply(t.Context(), planFor(t, o))
				require.ErrorIs(t, err, errDead)
				require.True(t, recordOf(t, 1).InFlight())
				next := runnerFor(t, s, func(c *resubmit.Config) {
					if tt.requests {
						c.Requests = s
					}
				})
				report, err := next.Apply(t.Context(), planWith(t, nil, entryAfter(t, o)))
				require.NoError(t, err)
				require.Equal(t, tt.outcome, itemOf(t, report, 1).Outcome, itemOf(t, report, 1).Why)
				require.Equal(t, tt.accepted, s.accepted(o.ID))
			})
		})
	}
}

// A claim of another run that lives is not taken for that of a crashed one, however old it is (two processes that share
// a journal).
func TestClaimOfALivingRunIsLeftToIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "a")
		s := newShop(o)
		slow := runnerFor(t, s, func(c *resubmit.Config) { c.Pusher = lengthyPusher{s, 110 * time.Second} })
		var both sync.WaitGroup
		both.Go(func() {
			report, err := slow.Apply(t.Context(), planFor(t, o))
			require.NoError(t, err)
			require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
		})
		<-time.After(time.Second)
		require.Equal(t, protocol.Claimed, recordOf(t, 1).Phase)
		report, err := runnerFor(t, s, nil).Apply(t.Context(), planWith(t, nil, entryAfter(t, o)))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{ClaimedElsewhere: 1}, report.Result)
		both.Wait()
		require.Len(t, s.ledger, 1)
		require.Equal(t, 2, s.reads[o.ID], "the second run has not even read the order")
	})
}

// The second process of one plan leaves the first one its claims, and finishes the rest.
func TestSecondProcessOfAPlanLeavesTheFirstOneItsClaims(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := []*shopOrder{outageOrder(1, "a"), outageOrder(2, "b"), outageOrder(3, "c")}
		s := newShop(orders...)
		p := planFor(t, orders...)
		slow := func(c *resubmit.Config) { c.Pusher, c.Concurrency = lengthyPusher{s, 50 * time.Second}, 1 }
		var both sync.WaitGroup
		reports := make([]*resubmit.Report, 2)
		for i := range reports {
			both.Go(func() {
				<-time.After(time.Duration(i) * 20 * time.Second)
				var err error
				reports[i], err = runnerFor(t, s, slow).Apply(t.Context(), p)
				require.NoError(t, err)
			})
		}
		both.Wait()
		require.Len(t, s.ledger, 3)
		requireNoSecondPush(t, s, orders)
		require.Equal(t, 3, reports[0].Result.Total())
		require.Equal(t, 3, reports[1].Result.Total())
	})
}

// A plan is rejected if the journal is another one, or was restored from an older copy (I15).
func TestApplyRejectsAJournalThatWasReplacedOrRestored(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	use := func(path string, f func(*journal.File)) {
		j, err := journal.Open(path)
		require.NoError(t, err)
		defer func() { require.NoError(t, j.Close()) }()
		f(j)
	}
	planOf := func(j *journal.File, o *shopOrder) *plan.Plan {
		at, err := j.Begin(t.Context(), resubmit.JournalUse{System: testSystem})
		require.NoError(t, err)
		p, _ := writtenPlan(t, plan.Header{System: testSystem, Journal: at.Position}, entryFor(o))
		return p
	}
	one, two := outageOrder(1, "a"), outageOrder(2, "b")
	s := newShop(one, two)
	apply := func(j resubmit.Journal, p *plan.Plan) error {
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Journal, c.Verify = j, resubmit.VerifyConfig{InitialInterval: -1, Timeout: -1}
		})
		_, err := r.Apply(t.Context(), p)
		return err
	}
	var first, second *plan.Plan
	use(path, func(j *journal.File) { first = planOf(j, one) })
	copied, err := os.ReadFile(path)
	require.NoError(t, err)
	use(path, func(j *journal.File) {
		require.NoError(t, apply(j, first))
		second = planOf(j, two)
	})
	older := filepath.Join(t.TempDir(), "journal")
	require.NoError(t, os.WriteFile(older, copied, 0o600))
	calls := len(s.calls)
	use(older, func(j *journal.File) { require.ErrorIs(t, apply(j, second), resubmit.ErrJournalMismatch) })
	other := filepath.Join(t.TempDir(), "journal")
	use(other, func(j *journal.File) { require.ErrorIs(t, apply(j, second), resubmit.ErrJournalMismatch) })
	require.ErrorIs(t, apply(new(resubmit.MemoryJournal), second), resubmit.ErrJournalMismatch)
	require.Len(t, s.calls, calls, "nothing was sent")
	use(path, func(j *journal.File) { require.NoError(t, apply(j, second)) })
	require.Equal(t, 1, s.accepted(two.ID))
}

func TestApplyRejectsAPlanThatWasMadeTooEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		one, two := outageOrder(1, "a"), outageOrder(2, "b")
		s := newShop(one, two)
		due := time.Now().Add(time.Hour).UTC()
		var entries []*plan.Entry
		for i, o := range []*shopOrder{one, two} {
			e := entryFor(o)
			e.Decision.Action, e.Target = rules.Wait, ""
			e.Due = due.Add(time.Duration(1-i) * time.Hour)
			entries = append(entries, e)
		}
		p := planWith(t, nil, entries...)
		report, err := runnerFor(t, s, nil).Apply(t.Context(), p)
		require.Nil(t, report)
		var early *resubmit.TooEarlyError
		require.ErrorAs(t, err, &early)
		require.Equal(t, &resubmit.TooEarlyError{Due: due, Wait: 2}, early)
		require.EqualError(t, err, "resubmit: it is too early: 2 orders of the plan wait, and none may be sent now; "+
			"make a new plan after 2000-01-01T01:00:00Z")
		require.Nil(t, runOf(t, p))
		require.Empty(t, s.calls)

		report, err = runnerFor(t, s, nil).Apply(t.Context(), planWith(t, nil, entryFor(one), entries[1]))
		require.NoError(t, err, "a part may be sent")
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
		require.False(t, report.OK())
	})
}

func policyJSON(t *testing.T, p resubmit.Policy) []byte {
	t.Helper()
	full, err := json.Marshal(p.WithDefaults())
	require.NoError(t, err)
	return full
}

func TestApplyRejectsAPlanWithAnotherPolicy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "a")
		s := newShop(o)
		with := func(p resubmit.Policy) *plan.Plan {
			made, _ := writtenPlan(t, plan.Header{System: testSystem, Policy: policyJSON(t, p)}, entryFor(o))
			return made
		}
		planned := with(resubmit.Policy{MaxResubmissions: 5})
		report, err := runnerFor(t, s, nil).Apply(t.Context(), planned)
		require.Nil(t, report)
		require.ErrorContains(t, err, "resubmit: the plan was made with another policy: "+
			"MaxResubmissions is 5 in the plan and 3 in the Runner; give both")
		require.ErrorContains(t, err, "give both the same Policy, or make a new plan")
		_, err = runnerFor(t, s, nil).Apply(t.Context(), with(resubmit.Policy{SettleDelay: 5 * time.Minute,
			Retry: protocol.RetryPolicy{MaxAttempts: 3}}))
		require.ErrorContains(t, err, "SettleDelay is 5m0s in the plan and 4m0s in the Runner, ")
		require.ErrorContains(t, err, `Retry is {"maxAttempts":3,`)
		hostile, _ := writtenPlan(t, plan.Header{System: testSystem, Policy: []byte(`{"settleDelay":"` +
			strings.Repeat("9", 1<<20) + `"}`)}, entryFor(o))
		_, err = runnerFor(t, s, nil).Apply(t.Context(), hostile)
		require.ErrorContains(t, err, "the policy of the plan: ")
		require.Less(t, len(err.Error()), 1000)
		unknown, _ := writtenPlan(t, plan.Header{System: testSystem, Policy: []byte(`{"new":1,` +
			string(policyJSON(t, resubmit.Policy{}))[1:])}, entryFor(o))
		_, err = runnerFor(t, s, nil).Apply(t.Context(), unknown)
		require.ErrorContains(t, err, "it has settings that this version of the library does not know")
		require.NotContains(t, err.Error(), "\n")
		require.Empty(t, s.calls)
		same := func(c *resubmit.Config) { c.MaxResubmissions = 5 }
		report, err = runnerFor(t, s, same).Apply(t.Context(), planned)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
	})
}

// Two processes that apply one plan do not wait for each other for ever, if each has an order that stays in progress.
func TestProcessesOfOnePlanDoNotWaitForEachOtherForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(2)
		for _, o := range orders {
			o.fates = []fate{{}}
		}
		s, p := newShop(orders...), planFor(t, orders...)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				r := runnerFor(t, s, func(c *resubmit.Config) { c.RateLimit, c.Verify.Timeout = 1, 10*time.Minute })
				began := time.Now()
				report, err := r.Apply(t.Context(), p)
				require.NoError(t, err)
				require.Less(t, time.Since(began), time.Hour)
				require.Equal(t, 2, report.Result.Progressing+report.Result.ClaimedElsewhere)
			})
		}
		both.Wait()
		require.Equal(t, 2, s.pushes())
	})
}

// An order that another process of the run claimed and gave back is resubmitted by this one.
func TestOrderThatAnotherProcessGaveBackIsResubmitted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "a")
		s, p, done := newShop(o), planFor(t, o), false
		o.onRead = func(*shopOrder) {
			if done {
				return
			}
			done = true
			e := entryFor(o)
			_, err := journalOf(t).Put(context.Background(), resubmit.Durable, protocol.Record{
				Key: protocol.OrderKey(o.ID), At: time.Now(),
				Order: &protocol.Order{
					Number: o.Number, Run: p.Digest(), Epoch: 999, Fingerprint: e.Fingerprint, Phase: protocol.Open,
					Lanes: e.Lanes(), PlacedAt: e.Before.PlacedAt,
				},
			})
			require.NoError(t, err)
		}
		report, err := runnerFor(t, s, nil).Apply(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
	})
}
