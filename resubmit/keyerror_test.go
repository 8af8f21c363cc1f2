package resubmit_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

func TestPlanner_holds_each_order_for_the_reason_of_its_own_key(t *testing.T) {
	t.Parallel()
	system := connecttest.New(connecttest.Config{Seed: 1})
	tenant := func(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }
	odd := map[int]string{2: "pending", 5: "inquiring", 7: "scheduled"} // as Connect stores it
	source := failedOrders(10)
	for n, o := range source.orders {
		o.TenantID = tenant(n)
		if status := odd[n]; status != "" {
			_, err := system.AddRequest(connecttest.RequestSpec{
				ExternalUID: tenant(n), Type: connect.TypePurchase, Status: connect.RequestStatus(status), Created: time.Now(),
			})
			require.NoError(t, err)
		}
	}
	source.orders[8].TenantID = "'\"" // which cannot be asked for
	client, err := connect.New("https://connect.test/public/v1", connect.APIKey(connecttest.DefaultKey),
		connect.WithHTTPClient(&http.Client{Transport: testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			resp, err := system.Transport().RoundTrip(r)
			if err != nil {
				return nil, err
			}
			body, err := io.ReadAll(resp.Body)
			for _, status := range odd {
				body = bytes.ReplaceAll(body, fmt.Appendf(nil, `"status":%q`, status),
					fmt.Appendf(nil, `"status":"odd-%s"`, status))
			}
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			return resp, err
		})}))
	require.NoError(t, err)
	entries := planned(t, resubmit.PlanConfig{
		Systems: systemsOf(resubmit.Systems{Lister: source, Requests: client}), RateLimit: -1,
	})
	for n, e := range entries {
		switch {
		case odd[n] != "":
			require.Equal(t, "connect-unknown", e.Decision.RuleID)
			require.Contains(t, e.Decision.Why, "tenant "+tenant(n))
			require.Contains(t, e.Decision.Why, fmt.Sprintf("has the unknown status %q", "odd-"+odd[n]))
		case n == 8:
			require.Equal(t, "connect-unknown", e.Decision.RuleID)
			require.Contains(t, e.Decision.Why, "quotes")
		default:
			require.Equal(t, "connect-none", e.Decision.RuleID, e.Decision.Why)
		}
	}
}
