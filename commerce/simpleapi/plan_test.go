package simpleapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// What Simple API does not tell, the operator has to: which orders are worth
// another try, and by which status.
func TestPlanNeedsNamedOrders(t *testing.T) {
	t.Parallel()
	c, _ := client(t, func(r *http.Request) (*http.Response, error) {
		order := func(id string) string {
			return `{"id":"` + id + `","orderNumber":"SO` + id + `","type":"sales","creationDate":"2026-11-01T00:00:00Z",` +
				`"status":"error","statusCode":"PF","subscriptionId":"9` + id + `"}`
		}
		if id, one := strings.CutPrefix(r.URL.Path, "/marketplace/orders/"); one {
			return httpmock.NewStringResponse(200, order(id)), nil
		}
		return httpmock.NewStringResponse(200, `{"data":[`+order("1")+`,`+order("2")+`],"pagination":{"total":2}}`), nil
	})
	plan, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
		RateLimit: -1, Systems: resubmit.SystemsOf(c, c), Filter: filter.Everything(), IgnoreConnect: true,
		Journal:  new(resubmit.MemoryJournal),
		Override: []string{"SO2"},
	})
	require.NoError(t, err)
	decisions := map[string]rules.Action{}
	for e, err := range plan.Entries() {
		require.NoError(t, err)
		require.Empty(t, e.Target, "the user has to say which status resubmits an order")
		require.Equal(t, failure.Unclassified, e.Attribution.Class)
		require.Equal(t, []string{"9" + e.OrderID}, e.Subscriptions)
		require.Equal(t, commerce.StatusProvisioningFailed, e.Before.Status)
		decisions[e.Number] = e.Decision.Action
	}
	require.Equal(t, map[string]rules.Action{"SO1": rules.Hold, "SO2": rules.Resubmit}, decisions)
}
