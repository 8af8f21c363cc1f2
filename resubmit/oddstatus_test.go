package resubmit_test

import (
	"context"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// oddStatuses say nothing about an order.
var oddStatuses = []commerce.Status{"", "pf", "Cp", "PROVISIONING_FAILED", "COMPLETED", "ZZ", " PF"}

// statusReader changes the status of the n-th reading.
type statusReader struct {
	*shop
	n      int
	change func(n int, s commerce.Status) commerce.Status
}

func (r *statusReader) Order(ctx context.Context, id string) (*commerce.Order, error) {
	o, err := r.shop.Order(ctx, id)
	if err == nil {
		r.n++
		o.Status = r.change(r.n, o.Status)
	}
	return o, err
}

// applyOverReader applies a plan of one order whose readings are changed.
func applyOverReader(t *testing.T, o *shopOrder,
	change func(n int, s commerce.Status) commerce.Status) (resubmit.Item, *shop) {
	t.Helper()
	s := newShop(o)
	plan := planFor(t, o)
	report, err := runnerFor(t, s,
		func(c *resubmit.Config) { c.Reader = &statusReader{shop: s, change: change} }).Apply(t.Context(), plan)
	require.NoError(t, err)
	return itemOf(t, report, 1), s
}

func TestOddStatus(t *testing.T) {
	t.Parallel()
	for _, odd := range oddStatuses {
		for name, test := range map[string]struct {
			faults []fault
			odd    func(read int) bool
			want   protocol.Outcome
			pushes int
		}{
			"before the push sends nothing": {nil, func(int) bool { return true }, protocol.Skipped, 0},
			"once before the push delays it": {nil, func(read int) bool { return read == 1 },
				protocol.Completed, 1},
			"after the push proves nothing": {nil, func(read int) bool { return read > 1 },
				protocol.Progressing, 1},
			"after a lost answer proves nothing": {[]fault{lostActed}, func(read int) bool { return read > 1 },
				protocol.Unknown, 1},
			"after a refused push does not credit the push": {[]fault{limited}, func(read int) bool { return read == 2 },
				protocol.Completed, 2},
		} {
			t.Run(name+"/"+string(odd), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					o := outageOrder(1, "a")
					o.pushFaults = test.faults
					item, s := applyOverReader(t, o, func(n int, s commerce.Status) commerce.Status {
						if test.odd(n) {
							return odd
						}
						return s
					})
					require.Equal(t, test.want, item.Outcome, item.Why)
					require.Equal(t, test.pushes, s.pushes())
				})
			})
		}
	}
}

// An order that was seen to leave its failure and is back in it has failed again. An odd
// status does not show that it left.
func TestOddStatus_does_not_show_that_an_order_left(t *testing.T) {
	t.Parallel()
	for _, odd := range oddStatuses {
		t.Run(string(odd), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := outageOrder(1, "a")
				o.fates = []fate{{after: time.Minute, status: commerce.StatusCompleted}}
				item, s := applyOverReader(t, o, func(n int, s commerce.Status) commerce.Status {
					switch n {
					case 2:
						return odd
					case 3:
						return commerce.StatusProvisioningFailed // an old answer
					default:
						return s
					}
				})
				require.Equal(t, protocol.Completed, item.Outcome, item.Why)
				require.Equal(t, 1, s.pushes())
			})
		})
	}
}

func TestOddStatus_of_a_custom_flow_is_pushed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "a")
		o.Status = "F9" // that the plan has, so that it means something
		item, s := applyOverReader(t, o, func(_ int, s commerce.Status) commerce.Status { return s })
		require.Equal(t, protocol.Completed, item.Outcome, item.Why)
		require.Equal(t, 1, s.pushes())
	})
}

func TestOddStatus_is_unread_for_CheckPlan(t *testing.T) {
	t.Parallel()
	for _, odd := range oddStatuses {
		o := outageOrder(1, "a")
		plan := planFor(t, o)
		o.Status = odd
		counts, err := resubmit.CheckPlan(t.Context(), plan, resubmit.CheckConfig{
			RateLimit: -1, Systems: systemsOf(resubmit.Systems{Reader: newShop(o)}),
		}, nil)
		require.NoError(t, err)
		require.Equal(t, 1, counts.Unread, odd)
	}
}

func TestOddStatus_holds_an_order_while_planning(t *testing.T) {
	t.Parallel()
	for _, odd := range []commerce.Status{"", "pf", "PROVISIONING_FAILED"} {
		source := failedOrders(2)
		source.orders[0].Status = odd
		source.orders[1].Transitions = nil
		reader := planReader(func(_ context.Context, id string) (*commerce.Order, error) {
			o := *source.orders[1]
			o.Status = odd
			require.Equal(t, o.ID, id)
			return &o, nil
		})
		entries := planned(t, resubmit.PlanConfig{
			RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: everyOrder{source}, Reader: reader}), IgnoreConnect: true,
		})
		require.Equal(t, []string{"unreadable-row", "unreadable-row"}, rulesOf(entries), odd)
	}
}

// everyOrder is a source that does not look at the query.
type everyOrder struct{ of *planSource }

func (s everyOrder) Orders(_ context.Context, _ commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		for _, o := range s.of.orders {
			if !yield(o, nil) {
				return
			}
		}
	}
}
