package resubmit_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
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

// The rule of oldest first, said once more and over the whole plan: nothing that
// is sent shares a subscription with an older order that may be sent later.
func TestPlannerNeverSendsAnOvertakingOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		texts := []string{textTransient, textTransient, textOther, textPermanent}
		source := failedOrders(rapid.IntRange(1, 30).Draw(rt, "orders"))
		for _, o := range source.orders {
			o.Failure = failed(rapid.SampledFrom(texts).Draw(rt, "reason"))
			o.SubscriptionIDs = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"1", "2", "3", "4", "5", "6"}), 1, 2,
				rapid.ID).Draw(rt, "subscriptions")
		}
		later := map[string]bool{}
		for i, e := range planned(t, resubmit.PlanConfig{
			RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source}), IgnoreConnect: true,
		}) {
			overtakes := slices.ContainsFunc(e.Subscriptions, func(id string) bool { return later[id] })
			want := map[string]rules.Action{textOther: rules.Hold, textPermanent: rules.Quarantine,
				textTransient: rules.Resubmit}[e.Before.Message]
			if overtakes && want == rules.Resubmit {
				want = rules.Wait
			}
			require.Equal(rt, want, e.Decision.Action, i)
			if want == rules.Wait || want == rules.Hold {
				for _, id := range e.Subscriptions {
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
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source}), Policy: resubmit.Policy{SettleDelay: -1},
		IgnoreConnect: true,
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
