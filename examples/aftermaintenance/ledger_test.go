package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// books is a whole run, told by the server: the orders before and after, and
// the pushes that it accepted.
type books struct {
	before, after map[string]commercetest.Order // by number
	tried         map[string]int
	accepted      map[string]int
	planned       map[string]rules.Action
	outcome       map[string]resubmit.Outcome
}

// play does the job step by step, so that the test can look at the server.
func play(t *testing.T, args ...string) *books {
	t.Helper()
	var out strings.Builder
	s, err := parseFlags(args, func(string) string { return "" }, &out)
	require.NoError(t, err)
	sys, err := open(t.Context(), s, &out)
	require.NoError(t, err)
	defer func() { require.NoError(t, sys.close()) }()
	b := &books{
		before: byNumber(sys.world), tried: map[string]int{}, accepted: map[string]int{},
		planned: map[string]rules.Action{}, outcome: map[string]resubmit.Outcome{},
	}
	plan, err := makePlan(t.Context(), s, sys, &out, &out)
	require.NoError(t, err)
	defer func() { require.NoError(t, plan.Close()) }()
	for e, err := range plan.Entries() {
		require.NoError(t, err)
		b.planned[e.Number] = e.Decision.Action
	}
	report, err := apply(t.Context(), s, sys, plan, &out)
	require.NoError(t, err)
	for _, item := range report.Items {
		b.outcome[item.Number] = item.Outcome
	}
	b.after = byNumber(sys.world)
	for _, call := range sys.world.Commerce.Ledger() {
		b.tried[call.Number]++
		if call.Accepted {
			b.accepted[call.Number]++
		}
	}
	require.Empty(t, sys.world.Violations())
	return b
}

func byNumber(w *sandbox.World) map[string]commercetest.Order {
	orders := map[string]commercetest.Order{}
	for _, o := range w.Commerce.Orders() {
		orders[o.Number] = o
	}
	return orders
}

// requireHonest checks what holds with and without faults: no order is lost, none
// is pushed twice, none is touched that the maintenance did not break, and what
// the report says of the others is what the server holds.
func (b *books) requireHonest(t *testing.T) {
	t.Helper()
	require.Len(t, b.after, len(b.before), "no order is lost")
	for number, before := range b.before {
		after := b.after[number]
		require.LessOrEqual(t, b.accepted[number], 1, "%s is pushed once at most", number)
		if cause := sandbox.Cause(before); cause != sandbox.Transient {
			require.Zero(t, b.tried[number], "%s is left alone: %q", number, cause)
			require.NotContains(t, b.outcome, number)
			if cause != "" {
				require.Equal(t, before, after, "%s is as it was", number)
				require.Contains(t, b.planned, number, "%s is in the plan", number)
			}
			continue
		}
		require.Equal(t, rules.Resubmit, b.planned[number], "%s is planned", number)
		switch b.outcome[number] {
		case resubmit.OutcomeCompleted:
			require.Equal(t, commerce.StatusCompleted, after.Status, number)
			require.Equal(t, 1, b.accepted[number], number)
		case resubmit.OutcomeUnknown, resubmit.OutcomeSkipped:
			require.Zero(t, b.accepted[number], "%s was pushed, and reading tells so", number)
			require.Equal(t, commerce.StatusProvisioningFailed, after.Status, number)
		default:
			require.Fail(t, "an outcome that this story does not have", "%s: %q", number, b.outcome[number])
		}
	}
}

func TestTheServerSawEveryTransientlyFailedOrderPushedOnceAndNoOtherTouched(t *testing.T) {
	t.Parallel()
	for seed := range shorter(4, 1) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			b := play(t, "-orders", "200", "-seed", fmt.Sprint(seed))
			b.requireHonest(t)
			for number, before := range b.before {
				if sandbox.Cause(before) == sandbox.Transient {
					require.Equal(t, resubmit.OutcomeCompleted, b.outcome[number], number)
				}
			}
		})
	}
}

func TestTheServerSawNothingDoubleAndNothingLostWithFaults(t *testing.T) {
	t.Parallel()
	for seed := range shorter(2, 1) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			b := play(t, "-orders", "200", "-seed", fmt.Sprint(seed), "-faults")
			b.requireHonest(t)
			again := 0
			for number := range b.tried {
				again += b.tried[number] - b.accepted[number]
			}
			require.NotEmpty(t, b.outcome)
			require.Zero(t, again, "a push that the faults refused never reached the order")
		})
	}
}

func TestEachWayInCompletesTheSameOrders(t *testing.T) {
	t.Parallel()
	for _, faults := range []bool{false, true} {
		for seed := 1; seed <= shorter(3, 1); seed++ {
			t.Run(fmt.Sprintf("seed %d, faults %t", seed, faults), func(t *testing.T) {
				t.Parallel()
				args := []string{"-orders", "80", "-seed", fmt.Sprint(seed), fmt.Sprintf("-faults=%t", faults)}
				vias := []string{viaOrderManager, viaBilling, viaSimpleAPI}
				plays := make([]*books, len(vias))
				t.Run("via", func(t *testing.T) {
					for i, via := range vias {
						t.Run(via, func(t *testing.T) {
							t.Parallel()
							plays[i] = play(t, append([]string{"-via", via}, args...)...)
						})
					}
				})
				require.NotContains(t, plays, (*books)(nil))
				first := plays[0]
				first.requireHonest(t)
				completed := first.completed()
				require.Greater(t, len(completed), 30)
				for i, via := range vias[1:] {
					b := plays[1+i]
					require.Equal(t, completed, b.completed(), via)
					require.Equal(t, first.accepted, b.accepted, "%s: each of them was pushed once, and no other", via)
					for number := range b.tried {
						require.Contains(t, completed, number, "%s: no other was even tried", via)
					}
					for number, before := range b.before {
						require.Equal(t, first.before[number].Status, before.Status, "the stories are the same")
						require.Equal(t, first.after[number].Status, b.after[number].Status, "%s: %s", via, number)
					}
				}
			})
		}
	}
}

// completed are the orders that failed and were completed, as the server has them.
func (b *books) completed() map[string]bool {
	numbers := map[string]bool{}
	for number, before := range b.before {
		if before.Status == commerce.StatusProvisioningFailed && b.after[number].Status == commerce.StatusCompleted {
			numbers[number] = true
		}
	}
	return numbers
}
