package resubmit_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// actingPusher carries pushes out and answers as if it had not.
type actingPusher struct {
	*shop
	answers []*commerce.Error // of the first pushes; nil is the shop's own answer
}

func (p *actingPusher) Push(ctx context.Context, id string, to commerce.Status) error {
	err := p.shop.Push(ctx, id, to)
	if len(p.answers) == 0 {
		return err
	}
	answer := p.answers[0]
	p.answers = p.answers[1:]
	if answer == nil {
		return err
	}
	return answer
}

func refusal(status int, d commerce.Delivery) *commerce.Error {
	return &commerce.Error{Op: "push order", HTTPStatus: status, Delivery: d}
}

// A server can act and answer that it did not (429 by a gateway behind the action). The
// order is then pushed once, credited and verified.
func TestRefusedPush(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]*commerce.Error{
		"429": refusal(429, commerce.DeliveryRefused), "401": refusal(401, commerce.DeliveryRefused),
		"403": refusal(403, commerce.DeliveryRefused), "409": refusal(409, commerce.DeliveryRefused),
		"400": refusal(400, commerce.DeliveryRefused),
	} {
		for retries, most := range map[string]int{"with_retries": 0, "without_retries": -1} {
			for kind, silent := range map[string]bool{"transitions": false, "no_transitions": true} {
				t.Run(fmt.Sprintf("%s_of_a_moved_order_is_credited/%s/%s", name, retries, kind), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						o := outageOrder(1, "s1")
						o.silent = silent
						s, d := newShop(o), &diary{}
						r := runnerFor(t, s, func(c *resubmit.Config) {
							c.Pusher, c.MaxDeferrals = &actingPusher{shop: s, answers: []*commerce.Error{answer}}, most
							c.Targets, c.OnEvent = []commerce.Status{"PD", "PR"}, d.on
						})
						start := time.Now()
						report, err := r.Apply(t.Context(), planFor(t, o))
						require.NoError(t, err)
						item := itemOf(t, report, 1)
						require.Equal(t, protocol.Completed, item.Outcome, item.Why)
						require.EqualValues(t, "PD", item.Target)
						require.Equal(t, 1, item.Attempts)
						require.WithinDuration(t, start, item.PushedAt, time.Second)
						require.Contains(t, fmt.Sprint(item.Evidence), "the push to PD was refused, but the order was moved")
						require.Len(t, s.ledger, 1, "never pushed again")
						rec := recordOf(t, 1)
						require.Equal(t, protocol.Completed, rec.Outcome)
						require.Equal(t, 1, rec.Attempts)
						require.Equal(t, 1, rec.Resubmissions)
						require.Equal(t, item.PushedAt, rec.SentAt)
					})
				})
			}
		}
	}
}

func TestRefusedPushFailsAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s1")
		o.fates = []fate{{after: time.Millisecond, status: "PF", reason: "Vendor has failed request PR-1"}}
		s := newShop(o)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Pusher = &actingPusher{shop: s, answers: []*commerce.Error{refusal(429, commerce.DeliveryRefused)}}
		})
		report, err := r.Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.Equal(t, protocol.FailedAgain, itemOf(t, report, 1).Outcome)
		require.Len(t, s.ledger, 1)
	})
}

// Nothing was sent, so somebody else moved the order.
func TestPushThatWasNotSentIsNotCredited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s1")
		s := newShop(o)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Pusher = &actingPusher{shop: s, answers: []*commerce.Error{refusal(0, commerce.DeliveryNotSent)}}
		})
		report, err := r.Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		item := itemOf(t, report, 1)
		require.Equal(t, protocol.Skipped, item.Outcome)
		require.Contains(t, item.Why, "moved since the plan was made: status PF → PR")
		require.Zero(t, item.Attempts)
		require.Len(t, s.ledger, 1, "never pushed again")
		require.Equal(t, protocol.Open, recordOf(t, 1).Phase)
	})
}

// The next run learns from the journal that a push was refused.
func TestRefusedPushIsCreditedByTheNextRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s1")
		o.fates = []fate{{after: 20 * time.Minute, status: "CP"}}
		s := newShop(o)
		pusher := &actingPusher{shop: s, answers: []*commerce.Error{refusal(429, commerce.DeliveryRefused)}}
		first := runnerFor(t, s, func(c *resubmit.Config) { c.Pusher = pusher })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(500*time.Millisecond, cancel)
		plan := planFor(t, o)
		report, err := first.Apply(ctx, plan)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, protocol.Unknown, itemOf(t, report, 1).Outcome, "it was moved and is not skipped")
		require.Contains(t, itemOf(t, report, 1).Why,
			"the last push was refused, and whether it moved the order is not known")
		rec := recordOf(t, 1)
		require.Equal(t, protocol.Open, rec.Phase)
		require.True(t, rec.Refused)
		require.Zero(t, rec.Attempts, "a refused push does not count")
		require.False(t, rec.SentAt.IsZero())

		report, err = runnerFor(t, s, nil).Apply(t.Context(), plan)
		require.NoError(t, err)
		item := itemOf(t, report, 1)
		require.Equal(t, protocol.Completed, item.Outcome, item.Why)
		require.EqualValues(t, "PD", item.Target)
		require.Equal(t, 1, item.Attempts)
		require.Len(t, s.ledger, 1)
	})
}

// A stopped canary group and a drained run read an order once more before they report it.
func TestRefusedPushIsReadBeforeItIsReportedAsSkipped(t *testing.T) {
	t.Parallel()
	t.Run("drain", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			o := outageOrder(1, "s1")
			s := newShop(o)
			r := runnerFor(t, s, func(c *resubmit.Config) {
				c.Pusher = &actingPusher{shop: s, answers: []*commerce.Error{refusal(429, commerce.DeliveryRefused)}}
			})
			time.AfterFunc(500*time.Millisecond, r.Drain)
			report, err := r.Apply(t.Context(), planFor(t, o))
			require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result, itemOf(t, report, 1).Why)
			require.NoError(t, err, "nothing is left to do")
		})
	})
	t.Run("stopped_group", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			orders := manyOrders(5)
			for i, o := range orders {
				o.FailedAt = time.Now().Add(-time.Hour + time.Duration(i)*time.Second)
			}
			for _, o := range orders[1:] {
				o.fates = []fate{{after: time.Second, status: "PF", reason: "Vendor has failed request PR-1"}}
			}
			s, moved := newShop(orders...), orders[0] // the oldest, so that the canary tries it last
			p := planFor(t, orders...)
			leave(t, p, entryFor(moved), func(o *protocol.Order) {
				o.Phase, o.Refused, o.Attempts, o.Resubmissions = protocol.Open, true, 0, 0
			})
			moved.Status = commerce.StatusProvisioning
			r := runnerFor(t, s, func(c *resubmit.Config) {
				c.Canary.Steps, c.Verify.Timeout, c.Verify.HealthyAfter = []int{1, 1, 1}, time.Minute, -1
			})
			report, err := r.Apply(t.Context(), p)
			require.NoError(t, err)
			require.Equal(t, resubmit.OutcomeCounts{FailedAgain: 2, NotStarted: 2, Progressing: 1}, report.Result)
			require.NotEmpty(t, report.Canary[0].Stopped)
			require.Equal(t, protocol.Progressing, itemOf(t, report, 0).Outcome)
			require.Len(t, s.ledger, 2)
		})
	})
}

// An order that a refused push may have moved is not skipped because its id names another
// order by then: what the push did is not known.
func TestOtherOrderAfterARefusedPushIsUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s1")
		s := newShop(o)
		plan := planFor(t, o)
		s.onPush = func(context.Context, string) { o.VendorAccountID = "1000002" }
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Pusher = &actingPusher{shop: s, answers: []*commerce.Error{refusal(429, commerce.DeliveryRefused)}}
		})
		report, err := r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Unknown: 1}, report.Result)
		require.Contains(t, itemOf(t, report, 1).Why, "another order: vendor")
		require.Len(t, s.ledger, 1)
	})
}

// startingPusher makes provisioning start and answers 429.
type startingPusher struct{ order *shopOrder }

func (p startingPusher) Push(context.Context, string, commerce.Status) error {
	p.order.ProvisioningStatus = commerce.ProvisioningInProgress
	return refusal(429, commerce.DeliveryRefused)
}

// A push can move an order before its status says so.
func TestRefusedPushThatChangedTheProvisioningStatusIsCredited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s1")
		o.ProvisioningStatus = commerce.ProvisioningFailed
		plan := planFor(t, o)
		r := runnerFor(t, newShop(o), func(c *resubmit.Config) { c.Pusher = startingPusher{o} })
		report, err := r.Apply(t.Context(), plan)
		require.NoError(t, err)
		item := itemOf(t, report, 1)
		require.NotEqual(t, protocol.Skipped, item.Outcome, item.Why)
		require.Equal(t, 1, item.Attempts)
		require.Contains(t, fmt.Sprint(item.Evidence), "the push to PD was refused, but the order was moved")
	})
}
