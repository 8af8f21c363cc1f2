package resubmit_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

func TestMeasureBaseline(t *testing.T) {
	t.Parallel()
	early, other := orderOfProduct(at("20 03:00")), orderOfProduct(at("22 03:00"))
	other.Status = commerce.StatusCompleted
	source := &planSource{orders: []*commerce.Order{early, orderOfProduct(at("22 03:00")), other}}
	rates, err := resubmit.MeasureBaseline(t.Context(), source, commerce.View{}, at("21 00:00"), at("23 00:00"), nil)
	require.NoError(t, err)
	require.Contains(t, rates.String(), "1 open failures of 2 products and sellers")

	plan, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
		Journal:   new(resubmit.MemoryJournal),
		RateLimit: -1,
		Systems:   systemsOf(resubmit.Systems{Lister: source}), Policy: resubmit.Policy{SettleDelay: time.Millisecond},
		Filter: filter.Everything(), Calendar: nights(t), Baseline: rates, IgnoreConnect: true,
	})
	require.NoError(t, err)
	rate := func(e failure.Evidence) bool { return e.Kind == "rate" }
	require.True(t, slices.ContainsFunc(entriesOf(t, plan)[1].Attribution.Evidence, rate))

	cause := errors.New("no answer")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	_, err = resubmit.MeasureBaseline(ctx, source, commerce.View{}, at("21 00:00"), at("23 00:00"), nil)
	require.ErrorIs(t, err, context.Canceled)
}

func orderOfProduct(when time.Time) *commerce.Order {
	return &commerce.Order{
		ID: "P" + when.String(), Status: commerce.StatusProvisioningFailed, VendorAccountID: "1", FailedAt: when,
		PlacedAt: when,
		Failure:  failed("Provisioning: resource 1 for APS application 'P': 502 Bad Gateway"),
	}
}
