package resubmit_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

// Two of three orders were rejected in Connect, all in the same second, and may not be
// pushed. Connect orders them differently in each answer, gives few at once, and may
// count only the page.
func TestApply_pushes_no_order_whose_request_is_hard_to_find(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]func(*http.Response){
		"all tie":                 func(*http.Response) {},
		"the total is the page's": func(r *http.Response) { r.Header.Set("Content-Range", "items 0-6/7") },
		"there is no total":       func(r *http.Response) { r.Header.Del("Content-Range") },
	} {
		for seed := range 5 {
			t.Run(fmt.Sprint(name, "/", seed), func(t *testing.T) {
				t.Parallel()
				connectSystem := connecttest.New(connecttest.Config{Seed: uint64(seed), ShuffleTies: true})
				s, made := newShop(), time.Now().Add(-time.Hour).Truncate(time.Second)
				source := &planSource{}
				var known []string
				for n := range 60 {
					o := outageOrder(n, "")
					o.TenantID = fmt.Sprintf("00000000-0000-4000-8000-%012d", n)
					s.orders[o.ID], source.orders = o, append(source.orders, &o.Order)
					if n%3 == 0 {
						continue
					}
					known = append(known, o.ID)
					_, err := connectSystem.AddRequest(connecttest.RequestSpec{
						ExternalUID: o.TenantID, Type: connect.TypePurchase, Status: connect.StatusFailed, Created: made,
					})
					require.NoError(t, err)
				}
				client, err := connect.New("https://connect.test/public/v1", connect.APIKey(connecttest.DefaultKey),
					connect.WithPageSize(7),
					connect.WithHTTPClient(&http.Client{Transport: testkit.RoundTripFunc(func(r *http.Request) (*http.Response,
						error) {
						resp, err := connectSystem.Transport().RoundTrip(r)
						if err == nil {
							header(resp)
						}
						return resp, err
					})}))
				require.NoError(t, err)
				plan, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
					Journal: journalOf(t),
					Systems: systemsOf(resubmit.Systems{Lister: source, Reader: s, Requests: client}),
					Filter:  filter.Everything(), RateLimit: -1,
				})
				require.NoError(t, err)
				_, err = runnerFor(t, s, func(c *resubmit.Config) { c.Verify.Timeout = -1 }).Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Equal(t, 20, s.pushes(), "the orders that have no request")
				for _, p := range s.ledger {
					require.False(t, slices.Contains(known, p.id), "pushed %s, which the vendor rejected", p.id)
				}
			})
		}
	}
}
