package connect_test

import (
	"cmp"
	"net/http"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
)

func TestHubs(t *testing.T) {
	t.Parallel()
	var query string
	transport := httpmock.NewMockTransport()
	transport.RegisterResponder(http.MethodGet, "=~/hubs$", func(r *http.Request) (*http.Response, error) {
		query = cmp.Or(query, r.URL.RawQuery)
		return whole(golden(t, "hubs.json"), 2), nil
	})
	client := clientOver(t, transport)
	list := func(instanceID string) (got []*connect.Hub) {
		for h, err := range client.Hubs(t.Context(), instanceID) {
			require.NoError(t, err)
			require.NotEmpty(t, h.Raw)
			h.Raw = nil
			got = append(got, h)
		}
		return got
	}
	one := list("2E1A0B5C-6f0e-4b6f-8f2f-0d9d3c1c7e55") // the filter is ignored
	require.Equal(t, "eq(instance.id,2E1A0B5C-6f0e-4b6f-8f2f-0d9d3c1c7e55)&limit=100&offset=0", query)
	got := list("")
	require.Equal(t, got[:1], one)
	for h, err := range client.Hubs(t.Context(), "other") {
		require.Nil(t, h)
		require.ErrorContains(t, err, `none of the rows that the server returned is what it was asked for: 2 rows`)
	}
	require.Equal(t, []*connect.Hub{
		{
			ID: "HB-1234-5678", Name: "EU hub", InstanceID: "2e1a0b5c-6f0e-4b6f-8f2f-0d9d3c1c7e55", InstanceType: "OA",
			Version: "21.8", ExtensionVersion: "26.0-2",
			LastHealthCheck: time.Date(2026, 1, 10, 4, 1, 12, 0, time.UTC), // written without a zone
		},
		{ID: "HB-9999-0000", Name: "API hub", InstanceID: "api-1", InstanceType: "API"},
	}, got)
}

func TestHubsWithoutCondition(t *testing.T) {
	t.Parallel()
	fake := &fakeConnect{}
	for h, err := range clientOver(t, fake).Hubs(t.Context(), "") {
		require.Fail(t, "there is none", "%v %v", h, err)
	}
	require.Equal(t, []string{"limit=100&offset=0"}, fake.queries)
}

func TestHubNotFound(t *testing.T) {
	t.Parallel()
	client := clientOver(t, responding(func() *http.Response { return answer(http.StatusNotFound, `{}`) }))
	_, err := client.Hub(t.Context(), "HB-1")
	require.ErrorIs(t, err, connect.ErrNotFound)
	for _, err := range client.Hubs(t.Context(), `'"`) {
		require.ErrorContains(t, err, "list hubs")
		require.NotErrorIs(t, err, connect.ErrNotFound)
	}
}
