package connect_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
)

// together are n purchases of n tenants in the same second.
func together(n int) ([]fakeRow, []connect.RequestKey) {
	rows, keys := purchases(n), make([]connect.RequestKey, n)
	for i := range rows {
		rows[i].created = epoch
		keys[i] = tenantKey(rows[i].tenant)
	}
	return rows, keys
}

func shuffling(seed uint64) func(int, *fakeConnect) {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(_ int, f *fakeConnect) {
		r.Shuffle(len(f.rows), func(i, j int) { f.rows[i], f.rows[j] = f.rows[j], f.rows[i] })
	}
}

func TestLatestRequests_find_every_request_of_the_same_second(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rows, keys := together(30)
		fake := &fakeConnect{rows: rows, before: shuffling(seed)}
		found, err := clientOver(t, fake, connect.WithPageSize(7)).LatestRequests(t.Context(), keys)
		require.NoError(t, err)
		for _, key := range keys {
			require.Len(t, found[key], 1, "seed %d", seed)
		}
	}
}

func TestLatestRequests_find_every_request_of_the_same_second_in_the_test_system(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{Seed: 1, ShuffleTies: true})
	var keys []connect.RequestKey
	for i := range 40 {
		tenant := fmt.Sprintf("tenant-%04d", i)
		keys = append(keys, tenantKey(tenant))
		for range 4 {
			_, err := sys.AddRequest(connecttest.RequestSpec{
				ExternalUID: tenant, Type: connect.TypePurchase, Status: connect.StatusFailed, Created: epoch,
			})
			require.NoError(t, err)
		}
	}
	client, err := connect.New(testBase, connect.APIKey(connecttest.DefaultKey),
		connect.WithHTTPClient(&http.Client{Transport: sys.Transport()}), connect.WithPageSize(20))
	require.NoError(t, err)
	found, err := client.LatestRequests(t.Context(), keys)
	require.NoError(t, err)
	for _, key := range keys {
		require.Len(t, found[key], 1)
		require.Equal(t, 4, found[key][0].FailedInRow)
	}
}

func TestRequests_take_a_total_as_a_hint(t *testing.T) {
	t.Parallel()
	for name, total := range map[string]func(offset, rows int) int{
		"a cap":              func(int, int) int { return 10 },
		"counts its page":    func(_, rows int) int { return rows },
		"counts what it saw": func(offset, rows int) int { return offset + rows },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, most := range []int{0, 5, 10} { // a server that cuts pages short looks the more like the end
				fake := &fakeConnect{rows: purchases(25), most: most, total: total}
				got, err := listed(t, clientOver(t, fake, connect.WithPageSize(10)), connect.RequestQuery{})
				require.NoError(t, err)
				require.Equal(t, idsOf(fake.rows), got)
			}
		})
	}
	t.Run("and a larger one as an error", func(t *testing.T) {
		t.Parallel()
		fake := &fakeConnect{rows: purchases(25), total: func(int, int) int { return 40 }}
		_, err := listed(t, clientOver(t, fake, connect.WithPageSize(10)), connect.RequestQuery{})
		require.ErrorContains(t, err, "the server reports 40 rows and returns 25")
	})
}

func TestHubs_take_a_total_as_a_hint(t *testing.T) {
	t.Parallel()
	pages := map[string]string{
		"limit=2&offset=0": `[{"id":"HB-1"},{"id":"HB-2"}]`, "limit=2&offset=1": `[{"id":"HB-2"},{"id":"HB-3"}]`,
		"limit=2&offset=2": `[{"id":"HB-3"}]`, "limit=2&offset=3": `[]`,
	}
	transport := httpmock.NewMockTransport()
	transport.RegisterResponder(http.MethodGet, "=~/hubs", func(r *http.Request) (*http.Response, error) {
		return whole(pages[r.URL.RawQuery], 2), nil
	})
	var got []string
	for h, err := range clientOver(t, transport, connect.WithPageSize(2)).Hubs(t.Context(), "") {
		require.NoError(t, err)
		got = append(got, h.ID)
	}
	require.Equal(t, []string{"HB-1", "HB-2", "HB-3"}, got)
}
