package resubmit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

func TestPlannerDoesNotOvertakeOlderOrders(t *testing.T) {
	t.Parallel()
	const sub, other = "1", "2"
	order := func(n int, text string, subscriptions ...string) *commerce.Order {
		o := failedOrder(n)
		o.Type, o.Failure, o.SubscriptionIDs = commerce.TypeChange, failed(text), subscriptions
		return o
	}
	rls := []rules.Rule{
		{ID: "wait", Message: "please wait", Action: rules.Wait, Why: "x"},
		{ID: "manual", Message: "ask a person", Action: rules.Manual, Why: "x"},
	}
	for name, test := range map[string]struct {
		orders []*commerce.Order
		want   []string
		named  []string
	}{
		"held": {[]*commerce.Order{order(0, textOther, sub), order(1, textTransient, sub)},
			[]string{"reason-unclassified", "older-order-first"}, nil},
		"waiting": {[]*commerce.Order{order(0, "please wait", sub), order(1, textTransient, sub)},
			[]string{"wait", "older-order-first"}, nil},
		"manual": {[]*commerce.Order{order(0, "ask a person", sub), order(1, textTransient, sub)},
			[]string{"manual", "older-order-first"}, nil},
		"quarantined": {[]*commerce.Order{order(0, textPermanent, sub), order(1, textTransient, sub)},
			[]string{"reason-permanent", "connect-none"}, nil},
		"to complete": {[]*commerce.Order{order(0, textProvisioned, sub), order(1, textTransient, sub)},
			[]string{"reason-already-provisioned", "connect-none"}, nil},
		"sent": {[]*commerce.Order{order(0, textTransient, sub), order(1, textTransient, sub)},
			[]string{"connect-none", "connect-none"}, nil},
		"younger": {[]*commerce.Order{order(0, textTransient, sub), order(1, textOther, sub)},
			[]string{"connect-none", "reason-unclassified"}, nil},
		"of another": {[]*commerce.Order{order(0, textOther, other), order(1, textTransient, sub)},
			[]string{"reason-unclassified", "connect-none"}, nil},
		"a younger one that is not sent anyway keeps its rule": {
			[]*commerce.Order{order(0, textOther, sub), order(1, textPermanent, sub), order(2, "please wait", sub),
				order(3, textTransient, sub)},
			[]string{"reason-unclassified", "reason-permanent", "wait", "older-order-first"}, nil,
		},
		"one that waits holds up those of its other subscriptions": {
			[]*commerce.Order{order(0, textOther, sub), order(1, textTransient, sub, other), order(2, textTransient, other)},
			[]string{"reason-unclassified", "older-order-first", "older-order-first"}, nil,
		},
		"not even by one that the operator named": {
			[]*commerce.Order{order(0, textOther, sub), order(1, textOther, sub)},
			[]string{"reason-unclassified", "older-order-first"}, []string{"SO000001"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			entries := planned(t, resubmit.PlanConfig{
				RateLimit: -1,
				Systems:   systemsOf(resubmit.Systems{Lister: &planSource{orders: test.orders}, Requests: noRequests}), Rules: rls,
				Override: test.named,
			})
			require.Equal(t, test.want, rulesOf(entries))
			for _, e := range entries {
				if e.Decision.RuleID == "older-order-first" {
					require.Equal(t, rules.Wait, e.Decision.Action)
					require.Contains(t, e.Decision.Why, "the older order SO00000")
					require.Empty(t, e.Target)
				}
			}
		})
	}
}

func TestPlannerOvertakesEndedOrders(t *testing.T) {
	t.Parallel()
	for status, want := range map[commerce.Status]string{
		commerce.StatusCompleted:    "connect-not-asked",
		commerce.StatusCancelled:    "connect-not-asked",
		commerce.StatusProvisioning: "older-order-first",
	} {
		source := failedOrders(2)
		source.orders[0].Transitions = nil // the list told no details
		source.orders[1].SubscriptionIDs = source.orders[0].SubscriptionIDs
		reader := planReader(func(context.Context, string) (*commerce.Order, error) {
			o := failedOrder(0)
			o.Status = status
			return o, nil
		})
		entries := planned(t, resubmit.PlanConfig{
			RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source, Reader: reader}), IgnoreConnect: true,
		})
		require.Equal(t, []string{"order-not-failed", want}, rulesOf(entries), status)
	}
}

// The rule of oldest first, checked over the whole plan: nothing that is sent shares a subscription with an older order
// that may be sent later, whether the filter selects that one or not.
func TestPlannerNeverSendsAnOvertakingOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		texts := []string{textTransient, textTransient, textOther, textPermanent}
		source := failedOrders(rapid.IntRange(1, 30).Draw(rt, "orders"))
		for _, o := range source.orders {
			o.Failure = failed(rapid.SampledFrom(texts).Draw(rt, "reason"))
			o.Type = rapid.SampledFrom([]commerce.OrderType{commerce.TypeSales, commerce.TypeChange}).Draw(rt, "type")
			o.SubscriptionIDs = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"1", "2", "3", "4", "5", "6"}), 1, 2,
				rapid.ID).Draw(rt, "subscriptions")
		}
		selected := map[string]*plan.Entry{}
		for _, e := range planned(t, resubmit.PlanConfig{
			RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source}), IgnoreConnect: true,
			Filter: rapid.SampledFrom([]filter.Filter{
				filter.Everything(), filter.Types(commerce.TypeSales), filter.MessageLike("*500*"),
			}).Draw(rt, "filter"),
		}) {
			selected[e.OrderID] = e
		}
		later := map[string]bool{}
		for i, o := range source.orders {
			want := map[string]rules.Action{textOther: rules.Hold, textPermanent: rules.Quarantine,
				textTransient: rules.Resubmit}[o.Failure.Message()]
			overtakes := slices.ContainsFunc(o.SubscriptionIDs, func(id string) bool { return later[id] })
			if overtakes && want == rules.Resubmit {
				want = rules.Wait
			}
			e := selected[o.ID]
			if e != nil {
				require.Equal(rt, want, e.Decision.Action, i)
			}
			if want == rules.Wait || want == rules.Hold || e == nil && want == rules.Resubmit {
				for _, id := range o.SubscriptionIDs {
					later[id] = true
				}
			}
		}
	})
}

func TestPlannerNamesTheOlderOrder(t *testing.T) {
	t.Parallel()
	const pairs = 3000 // their numbers fill several blocks
	source := &planSource{}
	for i := range 2 * pairs {
		o := failedOrder(i)
		o.SubscriptionIDs = []string{fmt.Sprint("s", i%pairs)}
		if i < pairs {
			o.Failure = failed(textOther) // held
			o.Number = fmt.Sprint(strings.Repeat("long-", i%20), "SO", i)
		}
		if i == 7 {
			o.Number = strings.Repeat("7", 4000)
		}
		source.orders = append(source.orders, o)
	}
	entries := planned(t, resubmit.PlanConfig{
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source}), IgnoreConnect: true,
		Policy: resubmit.Policy{SettleDelay: time.Millisecond},
	})
	require.Len(t, entries, 2*pairs)
	for i, e := range entries[pairs:] {
		require.Equal(t, rules.Wait, e.Decision.Action)
		number := entries[i].Number
		if len(number) > 200 {
			number = number[:200] + "…"
		}
		require.Contains(t, e.Decision.Why, "the older order "+number+" of the same subscription")
	}
}

// laneOf is the record of a lane that an order has.
func laneOf(o *commerce.Order, subscription string) protocol.Record {
	return protocol.Record{
		Key:  protocol.Key{Kind: protocol.KindLane, ID: "subscription " + subscription},
		Lane: &protocol.Lane{Order: o.ID, Number: o.Number, Blocked: true, Newest: o.ID, NewestAt: o.PlacedAt},
	}
}

// blockedPlan is what a planner makes of a change order whose subscription another order has, which it does not list.
type blockedPlan struct {
	journal *resubmit.MemoryJournal
	blocker *commerce.Order
	order   *commerce.Order
	reads   []string
	readErr error
}

// newBlockedPlan returns an order that waits for one with a record in a phase.
func newBlockedPlan(t *testing.T, phase protocol.Phase, outcome protocol.Outcome) *blockedPlan {
	b := &blockedPlan{journal: new(resubmit.MemoryJournal), blocker: olderOrder(1), order: olderOrder(2)}
	b.order.Type, b.order.SubscriptionIDs = commerce.TypeChange, []string{"a"}
	r := storedOrder(b.blocker, phase, outcome)
	r.Order.Lanes = []string{"subscription a", "subscription b"}
	put(t, b.journal, r, laneOf(b.blocker, "a"), laneOf(b.blocker, "b"), runRecord(""))
	return b
}

func (b *blockedPlan) Order(_ context.Context, id string) (*commerce.Order, error) {
	b.reads = append(b.reads, id)
	o := *b.blocker
	return &o, b.readErr
}

// plan returns the entry of the order.
func (b *blockedPlan) plan(t *testing.T, change func(*resubmit.PlanConfig)) *plan.Entry {
	return planOne(t, b.journal, b.order, func(c *resubmit.PlanConfig) {
		c.Reader = b
		if change != nil {
			change(c)
		}
	})
}

// lane returns a lane of the journal.
func (b *blockedPlan) lane(t *testing.T, subscription string) protocol.Lane {
	r, err := b.journal.Get(t.Context(), protocol.Key{Kind: protocol.KindLane, ID: "subscription " + subscription})
	require.NoError(t, err)
	return *r.Lane
}

func (b *blockedPlan) record(t *testing.T) *protocol.Order {
	r, err := b.journal.Get(t.Context(), protocol.OrderKey(b.blocker.ID))
	require.NoError(t, err)
	return r.Order
}

// A lane must not stay blocked for ever by an order that somebody completed later, in whatever plan.
func TestPlannerFreesTheLanesOfOrdersAtRest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		phase         protocol.Phase
		outcome, want protocol.Outcome
		status        commerce.Status
	}{
		"failed again, then completed":   {protocol.Ended, protocol.FailedAgain, protocol.Completed, "CP"},
		"not moved, then cancelled":      {protocol.Ended, protocol.NotMoved, protocol.FailedAgain, "CL"},
		"claimed by a dead run":          {protocol.Claimed, "", protocol.Completed, "CP"},
		"unanswered in a dead run":       {protocol.Unanswered, "", protocol.Completed, "CP"},
		"pushed by a dead run":           {protocol.Pushed, "", protocol.Completed, "CP"},
		"released by a dead run":         {protocol.Open, "", protocol.FailedAgain, "CL"},
		"a false success that was found": {protocol.Ended, protocol.FalseSuccess, protocol.FalseSuccess, "CP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBlockedPlan(t, test.phase, test.outcome)
				b.blocker.Status = test.status
				time.Sleep(time.Hour)
				e := b.plan(t, nil)
				require.Equal(t, rules.Resubmit, e.Decision.Action, e.Decision.Why)
				require.Equal(t, []string{b.blocker.ID}, b.reads)
				for _, subscription := range []string{"a", "b"} {
					require.Equal(t, protocol.Lane{Newest: b.blocker.ID, NewestAt: b.blocker.PlacedAt}, b.lane(t, subscription),
						"all lanes of the order are free")
				}
				require.Equal(t, protocol.Ended, b.record(t).Phase)
				require.Equal(t, test.want, b.record(t).Outcome)
			})
		})
	}
}

func TestPlannerFreesLanesEvenIfThePlanIsEmpty(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBlockedPlan(t, protocol.Ended, protocol.FailedAgain)
		b.blocker.Status = commerce.StatusCompleted
		b.order.PlacedAt = b.blocker.PlacedAt.Add(-time.Minute) // the other one overtook it
		time.Sleep(time.Hour)
		e := b.plan(t, nil)
		require.Equal(t, rules.Hold, e.Decision.Action)
		require.Equal(t, rules.IDNewerOrderSent, e.Decision.RuleID)
		require.Contains(t, e.Decision.Why, "a newer order of the same subscription a was resubmitted before, id-1")
		require.Empty(t, e.Target)
		require.Empty(t, b.lane(t, "a").Order)

		e = b.plan(t, func(c *resubmit.PlanConfig) { c.Override = []string{b.order.ID} })
		require.Equal(t, rules.Resubmit, e.Decision.Action, "only the operator may send it")
		require.True(t, e.Named)
	})
}

func TestPlannerWaitsForTheOrderThatHasTheLane(t *testing.T) {
	t.Parallel()
	named := func(c *resubmit.PlanConfig) { c.Override = []string{"id-2"} }
	for name, test := range map[string]struct {
		phase   protocol.Phase
		outcome protocol.Outcome
		after   time.Duration
		change  func(b *blockedPlan, c *resubmit.PlanConfig)
		why     string
		due     time.Duration // since the record was written; 0 if it is not known
		reads   int
	}{
		"it is still failed": {protocol.Ended, protocol.FailedAgain, time.Hour, nil,
			"blocked by SO000001, another order of the same subscription a, which was resubmitted and is PF", 0, 1},
		"even if the operator named the younger one": {protocol.Ended, protocol.FailedAgain, time.Hour,
			func(_ *blockedPlan, c *resubmit.PlanConfig) { named(c) }, "is PF", 0, 1},
		"its run is alive": {protocol.Pushed, "", 59 * time.Second,
			func(b *blockedPlan, _ *resubmit.PlanConfig) { b.blocker.Status = commerce.StatusCompleted },
			"is in the hands of a run", time.Minute, 0},
		"its claim may still be on the wire": {protocol.Claimed, "", 6 * time.Minute,
			func(b *blockedPlan, _ *resubmit.PlanConfig) { b.blocker.Status = commerce.StatusCompleted },
			"may still be under way", 7 * time.Minute, 0}, // lease, push timeout, settle delay
		"its push got no answer": {protocol.Unanswered, "", 239 * time.Second,
			func(b *blockedPlan, _ *resubmit.PlanConfig) { b.blocker.Status = commerce.StatusCompleted },
			"may still be under way", 4 * time.Minute, 0},
		"it cannot be read": {protocol.Ended, protocol.FailedAgain, time.Hour,
			func(b *blockedPlan, _ *resubmit.PlanConfig) { b.readErr = commerce.ErrUnavailable },
			"could not be read", 0, 1},
		"it does not exist": {protocol.Ended, protocol.FailedAgain, time.Hour,
			func(b *blockedPlan, _ *resubmit.PlanConfig) { b.readErr = &commerce.Error{HTTPStatus: 404} },
			"could not be read", 0, 1},
		"not all of it can be read": {protocol.Ended, protocol.FailedAgain, time.Hour,
			func(b *blockedPlan, _ *resubmit.PlanConfig) {
				b.blocker.Status, b.blocker.Problems = commerce.StatusCompleted, []string{"odd"}
			}, "could not be read", 0, 1},
		"there is no reader": {protocol.Ended, protocol.FailedAgain, time.Hour,
			func(_ *blockedPlan, c *resubmit.PlanConfig) { c.Reader = nil }, "cannot be read without PlanConfig.Reader", 0, 0},
		"somebody else changes its record": {protocol.Ended, protocol.FailedAgain, time.Hour,
			func(b *blockedPlan, c *resubmit.PlanConfig) {
				b.blocker.Status = commerce.StatusCompleted
				c.Journal = conflictJournal{b.journal}
			}, "has just been changed in the journal", 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBlockedPlan(t, test.phase, test.outcome)
				start, before := time.Now(), *b.record(t)
				time.Sleep(test.after)
				e := b.plan(t, func(c *resubmit.PlanConfig) {
					if test.change != nil {
						test.change(b, c)
					}
				})
				require.Equal(t, rules.Wait, e.Decision.Action)
				require.Equal(t, rules.IDLaneBusy, e.Decision.RuleID)
				require.Contains(t, e.Decision.Why, test.why)
				require.Empty(t, e.Target)
				if test.due == 0 {
					require.Zero(t, e.Due)
				} else {
					require.Equal(t, test.due, e.Due.Sub(start))
				}
				require.Len(t, b.reads, test.reads)
				require.Equal(t, "id-1", b.lane(t, "a").Order, "it keeps its lanes")
				require.Equal(t, before, *b.record(t))
			})
		})
	}
}

// conflictJournal rejects every write.
type conflictJournal struct{ resubmit.Journal }

func (j conflictJournal) Put(_ context.Context, _ resubmit.Durability, records ...protocol.Record) (uint64, error) {
	return 0, &resubmit.ConflictError{Current: records[0]}
}

func TestPlannerEndsIfAReadOfABlockerRefusesTheCredentials(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBlockedPlan(t, protocol.Ended, protocol.FailedAgain)
		b.readErr = commerce.ErrUnauthorized
		time.Sleep(time.Hour)
		_, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
			Systems:       systemsOf(resubmit.Systems{Lister: &planSource{orders: []*commerce.Order{b.order}}, Reader: b}),
			IgnoreConnect: true, Journal: b.journal, Filter: filter.Everything(),
		})
		require.ErrorIs(t, err, commerce.ErrUnauthorized)
	})
}

// An order that has lanes and is sent again by the same plan does not block the younger ones of its lanes, and nobody
// reads it.
func TestPlannerSendsAnOrderThatHasTheLaneBeforeYoungerOnes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(older, younger *commerce.Order)
		want   []string
	}{
		"both are sent": {func(older, _ *commerce.Order) { older.Failure = failed("'502 Bad Gateway'") },
			[]string{"connect-not-asked", "connect-not-asked"}},
		"the older one is held": {func(_, _ *commerce.Order) {}, []string{rules.IDHistory, rules.IDOlderOrderFirst}},
		"the older one is never sent": {func(older, _ *commerce.Order) { older.Failure = failed(textPermanent) },
			[]string{"reason-permanent", rules.IDLaneBusy}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j, source := new(resubmit.MemoryJournal), failedOrders(2)
			older, younger := source.orders[0], source.orders[1]
			younger.SubscriptionIDs = older.SubscriptionIDs
			again := storedOrder(older, protocol.Ended, protocol.FailedAgain)
			again.At = time.Now().Add(-time.Hour)
			put(t, j, again, laneOf(older, older.SubscriptionIDs[0]))
			test.change(older, younger)
			entries := planned(t, resubmit.PlanConfig{
				Systems: systemsOf(resubmit.Systems{Lister: source, Reader: planReader(func(context.Context, string) (
					*commerce.Order, error) {
					return nil, errors.New("never")
				})}),
				IgnoreConnect: true, Journal: j,
			})
			require.Equal(t, test.want, rulesOf(entries))
		})
	}
}

func TestPlannerReadsEachBlockerOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBlockedPlan(t, protocol.Ended, protocol.FailedAgain)
		time.Sleep(time.Hour)
		source := &planSource{}
		for n := range 1000 { // several batches
			o := olderOrder(n + 10)
			o.PlacedAt = b.order.PlacedAt.Add(time.Duration(n) * time.Second)
			o.SubscriptionIDs = []string{[]string{"a", "b"}[n%2]}
			source.orders = append(source.orders, o)
		}
		entries := planned(t, resubmit.PlanConfig{
			RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source, Reader: b}), IgnoreConnect: true,
			Journal: b.journal,
		})
		require.Equal(t, rules.IDLaneBusy, entries[0].Decision.RuleID)
		require.Equal(t, rules.IDLaneBusy, entries[1].Decision.RuleID)
		require.Equal(t, []string{b.blocker.ID}, b.reads)
	})
}

// An older failed order of a subscription comes first even if the filter does not select it.
func TestPlannerDoesNotOvertakeOrdersThatTheFilterRejects(t *testing.T) {
	t.Parallel()
	const sent = "connect-not-asked"
	onlyTransient := filter.MessageClass(nil, failure.Transient)
	for name, test := range map[string]struct {
		change func(rejected, selected *commerce.Order)
		filter filter.Filter
		want   string
	}{
		"nor if it is cancelled": {func(r, _ *commerce.Order) { r.Status = commerce.StatusCancelled },
			filter.Numbers("SO000001"), sent},
		"by its type": {func(r, _ *commerce.Order) { r.Type = commerce.TypeChange },
			filter.Types(commerce.TypeSales), rules.IDOlderOrderFirst},
		"by its time of placing": {func(_, s *commerce.Order) { s.PlacedAt = longAgo.Add(5 * time.Hour) },
			filter.PlacedBetween(longAgo.Add(time.Hour), longAgo.Add(9*time.Hour)), rules.IDOlderOrderFirst},
		"by its number": {func(_, _ *commerce.Order) {}, filter.Numbers("SO000001"), rules.IDOlderOrderFirst},
		"by its reason": {func(r, _ *commerce.Order) { r.Failure = failed(textOther) }, onlyTransient,
			rules.IDOlderOrderFirst},
		"but not if it is never sent": {func(r, _ *commerce.Order) { r.Failure = failed(textPermanent) }, onlyTransient, sent},
		"nor if it has another subscription": {func(r, _ *commerce.Order) { r.SubscriptionIDs = []string{"other"} },
			filter.Numbers("SO000001"), sent},
		"nor if it is younger": {func(r, _ *commerce.Order) { r.PlacedAt = longAgo.Add(5 * time.Hour) },
			filter.Numbers("SO000001"), sent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := failedOrders(2)
			source.orders[1].SubscriptionIDs = source.orders[0].SubscriptionIDs
			test.change(source.orders[0], source.orders[1])
			entries := planned(t, resubmit.PlanConfig{
				RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: resubmit.Sorted(source)}), IgnoreConnect: true,
				Filter: test.filter, Override: []string{"id-1"},
				View: commerce.View{Name: "v", Statuses: []commerce.Status{"PF", "CL"}},
			})
			require.Len(t, entries, 1)
			require.Equal(t, test.want, entries[0].Decision.RuleID)
			if test.want != sent {
				require.Equal(t, rules.Wait, entries[0].Decision.Action)
				require.Contains(t, entries[0].Decision.Why, "blocked by the older order SO000000 of the same subscription")
			}
		})
	}
}

func TestPlannerListsNoOrdersThatAreYoungerThanTheFilterSelects(t *testing.T) {
	t.Parallel()
	source := failedOrders(5)
	planned(t, resubmit.PlanConfig{
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source}), IgnoreConnect: true,
		Filter: filter.And(filter.PlacedBetween(longAgo.Add(2*time.Minute), longAgo.Add(4*time.Minute)),
			filter.Types(commerce.TypeSales)),
	})
	require.Equal(t, longAgo.Add(4*time.Minute), source.asked.PlacedTo)
	require.Zero(t, source.asked.PlacedFrom, "the older ones matter")
	require.Empty(t, source.asked.Types)
}

// Simple API lists orders without subscriptions. Those that the filter rejects are read only if an order of the same
// customer is selected.
func TestPlannerReadsRejectedOrdersOfTheSameCustomer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(first *commerce.Order)
		err    error
		want   string
	}{
		"of the same subscription":  {func(*commerce.Order) {}, nil, rules.IDOlderOrderFirst},
		"of another subscription":   {func(o *commerce.Order) { o.SubscriptionIDs = []string{"b"} }, nil, "connect-not-asked"},
		"that is no longer failed":  {func(o *commerce.Order) { o.Status = "CP" }, nil, "connect-not-asked"},
		"that does not exist":       {nil, &commerce.Error{HTTPStatus: 404}, "connect-not-asked"},
		"that could not be read":    {nil, commerce.ErrUnavailable, rules.IDOlderOrderFirst},
		"that is never resubmitted": {func(o *commerce.Order) { o.Failure = failed(textPermanent) }, nil, "connect-not-asked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, full := &planSource{}, map[string]*commerce.Order{}
			for n := range 600 {
				o := failedOrder(n)
				o.CustomerID, o.CustomerName, o.SubscriptionIDs = fmt.Sprint("customer ", n), "", []string{"a"}
				if n == 599 { // the only one that is selected
					o.CustomerID = "customer 0"
				}
				full[o.ID] = o
				bare := *o
				bare.SubscriptionIDs, bare.Transitions, bare.Failure = nil, nil, commerce.Failure{}
				source.orders = append(source.orders, &bare)
			}
			if test.change != nil {
				test.change(full["id-0"])
			}
			var reads []string
			entries := planned(t, resubmit.PlanConfig{
				RateLimit: -1, IgnoreConnect: true, Filter: filter.IDs("id-599"),
				Systems: systemsOf(resubmit.Systems{Lister: source, Reader: planReader(func(_ context.Context, id string) (
					*commerce.Order, error) {
					if reads = append(reads, id); id == "id-0" && test.err != nil {
						return nil, test.err
					}
					return full[id], nil
				})}),
			})
			require.Equal(t, []string{test.want}, rulesOf(entries))
			require.Equal(t, []string{"id-599", "id-0"}, reads)
		})
	}
}

// An operator has settled the older order of a subscription as completed, although Commerce lists it as failed. It is
// not sent again and does not hold up the younger one, whether the filter selects it or not.
func TestOrderThatIsDoneByHandHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		filter filter.Filter
		named  []string
		want   []string
	}{
		"selected":           {filter.Everything(), nil, []string{"history", "connect-none"}},
		"selected and named": {filter.Everything(), []string{"SO000000"}, []string{"connect-none", "connect-none"}},
		"rejected":           {filter.Not(filter.Numbers("SO000000")), nil, []string{"connect-none"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := failedOrders(2)
			for _, o := range source.orders {
				o.Type, o.SubscriptionIDs = commerce.TypeChange, []string{"1"}
			}
			j := new(resubmit.MemoryJournal)
			done := storedOrder(source.orders[0], protocol.Ended, protocol.Completed)
			done.Order.Settled, done.Order.SentAt, done.Order.Why = true, longAgo, "settled by ana: seen in the portal"
			put(t, j, done)
			entries := planned(t, resubmit.PlanConfig{
				RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source, Requests: noRequests}), Journal: j,
				Filter: tc.filter, Override: tc.named,
			})
			require.Equal(t, tc.want, rulesOf(entries))
			if entries[0].Decision.RuleID == rules.IDHistory {
				require.Equal(t, rules.Complete, entries[0].Decision.Action)
				require.Contains(t, entries[0].Decision.Why, "settled by ana: seen in the portal")
			}
		})
	}
}
