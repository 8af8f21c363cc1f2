package resubmit_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// clockedFinder is a Connect whose answers show its clock.
type clockedFinder struct {
	*shop
	behind func() time.Duration // the local clock; nil: the answers have no Date
}

func (f clockedFinder) LatestRequests(ctx context.Context, keys []connect.RequestKey) (
	map[connect.RequestKey][]connect.LatestRequest, error,
) {
	if f.behind != nil {
		for _, ago := range []time.Duration{3 * time.Second, 0} { // a look-up takes several calls
			local := time.Now().Add(-ago)
			ratelimit.ReportDate(ctx, "connect.test", local.Add(-f.behind()), local)
		}
	}
	return f.shop.LatestRequests(ctx, keys)
}

// The orders of a subscription share its requests in Connect. The first order completes, and the push of the second one
// gets no answer, minutes after that of the first.
func TestRequestOfTheOrderBefore(t *testing.T) {
	t.Parallel()
	const (
		before  = time.Second // when the request of the first order was made
		claimed = 150 * time.Second
		doubt   = claimed - 20*time.Second // it may be of the second order, made by a machine whose clock is behind
	)
	constant := func(d time.Duration) func() time.Duration { return func() time.Duration { return d } }
	for name, test := range map[string]struct {
		made   time.Duration // by the clock of Connect
		behind func() time.Duration
		end    protocol.Outcome
		why    string
	}{
		"is older by the same clock":          {before, constant(0), protocol.Completed, ""},
		"is older by a clock that is behind":  {before - 2*time.Minute, constant(2 * time.Minute), protocol.Completed, ""},
		"is older by a clock that is ahead":   {before + 2*time.Minute, constant(-2 * time.Minute), protocol.Completed, ""},
		"may be newer":                        {doubt, constant(0), protocol.Unknown, "may have been accepted"},
		"may be newer by an unknown clock":    {before, nil, protocol.Unknown, "may have been accepted"},
		"is newer by a clock that is behind":  {claimed - 80*time.Second, constant(2 * time.Minute), protocol.FailedAgain, "failed again"},
		"may be newer by a clock that is off": {before, constant(11 * time.Minute), protocol.Unknown, "may have been accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				first, second := outageOrder(1, "s"), outageOrder(2, "s")
				first.fates = []fate{{2 * time.Minute, commerce.StatusCompleted, ""}}
				second.pushFaults = []fault{lostIgnored}
				s := newShop(first, second)
				s.requests[connect.RequestKey{SubscriptionID: "s", Type: connect.TypePurchase}] = []connect.LatestRequest{
					{Request: connect.Request{
						ID: "PR-1", Type: connect.TypePurchase, Status: connect.StatusApproved, Created: time.Now().Add(test.made),
					}},
				}
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.Requests = clockedFinder{s, test.behind}
					c.Retry.MaxAttempts = 2
					c.Guard = -1 // which does not mind the clocks
				})
				report, err := r.Apply(t.Context(), planFor(t, first, second))
				require.NoError(t, err)
				item := itemOf(t, report, 2)
				require.Equal(t, test.end, item.Outcome, item.Why)
				require.Contains(t, item.Why, test.why)
			})
		})
	}
}
