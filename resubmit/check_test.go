package resubmit_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

func TestCheckPlan(t *testing.T) {
	t.Parallel()
	orders := make([]*shopOrder, 6)
	for i := range orders {
		orders[i] = outageOrder(i, fmt.Sprint(i))
	}
	p := planFor(t, orders...)
	orders[1].Status = commerce.StatusCompleted
	orders[2].Failure.Messages = map[string]string{"en_US": "another reason"}
	orders[3].readFaults = []fault{missing}
	orders[4].readFaults = []fault{broken}
	s := newShop(orders...)
	var b bytes.Buffer
	counts, err := resubmit.CheckPlan(t.Context(), p, resubmit.CheckConfig{
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Reader: s}), Concurrency: 4,
	},
		func(d plan.Difference) error { _, err := fmt.Fprintln(&b, d); return err })
	require.NoError(t, err)
	require.Equal(t, plan.DiffCounts{Same: 2, Changed: 1, Gone: 2, Unread: 1}, counts)
	require.Equal(t, `left    SO000001: status PF → CP
changed SO000002: failure "Reason: 502 Bad Gateway." → "another reason"
left    SO000003: the order no longer exists
unread  SO000004: could not be read: commerce: read order: HTTP 503 Service Unavailable [correlation corr-1]
`, b.String())
	require.Empty(t, s.ledger)
}

func TestCheckPlanReadsASample(t *testing.T) {
	t.Parallel()
	orders := make([]*shopOrder, 100)
	for i := range orders {
		orders[i] = outageOrder(i, fmt.Sprint(i))
	}
	plan := planFor(t, orders...)
	for _, n := range []int{1, 7, 50, 99, 100, 1000} {
		s := newShop(orders...)
		counts, err := resubmit.CheckPlan(t.Context(), plan, resubmit.CheckConfig{
			RateLimit: -1, Systems: systemsOf(resubmit.Systems{Reader: s}), Sample: n,
		}, nil)
		require.NoError(t, err)
		require.Equal(t, min(n, 100), counts.Same)
		require.Len(t, s.reads, min(n, 100))
	}
}

func TestCheckPlanReportsErrors(t *testing.T) {
	t.Parallel()
	o := outageOrder(1, "s1")
	plan := planFor(t, o)
	s := newShop(o)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := resubmit.CheckPlan(ctx, plan, resubmit.CheckConfig{
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Reader: s}),
	}, nil)
	require.ErrorIs(t, err, context.Canceled)
	o.readFaults = []fault{badToken}
	_, err = resubmit.CheckPlan(t.Context(), plan, resubmit.CheckConfig{
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Reader: s}),
	}, nil)
	require.ErrorIs(t, err, commerce.ErrUnauthorized)
	_, err = resubmit.CheckPlan(t.Context(), plan, resubmit.CheckConfig{}, nil)
	require.ErrorContains(t, err, "Reader is nil")
	_, err = resubmit.CheckPlan(t.Context(), plan, resubmit.CheckConfig{
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Reader: s}), Sample: -1,
	}, nil)
	require.ErrorContains(t, err, "Sample is -1")
}
