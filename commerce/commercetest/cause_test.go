package commercetest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
)

func TestCauseIsIndependentOfFailureText(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.OutageTexts = []string{"{method} of {product}: we are away", ""} })
	troubled := r.sys.Place(commercetest.NewOrder{FailWith: "502 Bad Gateway"})
	marked := r.sys.Place(commercetest.NewOrder{})
	refused := r.sys.Place(commercetest.NewOrder{})
	r.step()
	require.NoError(t, r.sys.MarkFailed(marked.ID, "503 Service Unavailable"))
	r.connect.all("failed", "no credit")
	r.step()
	r.after(2 * 60e9)
	require.Equal(t, commercetest.CauseInjected, r.order(troubled.ID).Cause)
	require.Equal(t, commercetest.CauseOperator, r.order(marked.ID).Cause)
	require.Equal(t, commercetest.CauseVendor, r.order(refused.ID).Cause)

	r.connect.set(func(f *fakeConnect) { f.down = true })
	texts := map[string]int{}
	for range 20 {
		o := r.sys.Place(commercetest.NewOrder{Product: "PRD-1"})
		r.step()
		o = r.order(o.ID)
		require.Equal(t, commerce.StatusProvisioningFailed, o.Status)
		require.Equal(t, commercetest.CauseConnect, o.Cause)
		if o.Failure != "" {
			require.Contains(t, o.Failure, ": POST of PRD-1: we are away.")
		}
		texts[o.Failure[:min(12, len(o.Failure))]]++
	}
	require.Len(t, texts, 2, "each text comes up")
	o := r.order(marked.ID)
	r.connect.set(func(f *fakeConnect) { f.down = false })
	require.NoError(t, r.sys.Push(o.ID, commerce.StatusPaid))
	require.Empty(t, r.order(marked.ID).Cause, "it is no longer failed")
}
