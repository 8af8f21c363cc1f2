package connect_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

func TestLatestRequests_leave_unknown_only_the_keys_of_a_row_that_may_be_theirs(t *testing.T) {
	t.Parallel()
	const asset = `"asset":{"id":"AS-1","external_uid":"tenant-0004"}`
	for name, test := range map[string]struct{ row, says string }{
		"null":  {`null`, "a request that cannot be read"},
		"no id": {`{"type":"purchase",` + asset + `}`, "a request that cannot be read"},
		"no asset": {`{"id":"PR-1","type":"purchase","status":"failed","created":"2026-01-10"}`,
			`the request "PR-1" of type "purchase", which does not say what it belongs to`},
		"neither":       {`{"id":"PR-1","status":"failed"}`, "which does not say what it belongs to"},
		"asset as text": {`{"id":"PR-1","type":"purchase","asset":"AS-1"}`, "a request that cannot be read"},
		"no type": {`{"id":"PR-1","status":"failed","created":"2026-01-10",` + asset + `}`,
			`has the unknown type ""`},
		"a type's case": {`{"id":"PR-1","type":"Purchase","status":"failed","created":"2026-01-10",` + asset + `}`,
			`has the unknown type "Purchase"`},
		"no status": {`{"id":"PR-1","type":"purchase","created":"2026-01-10",` + asset + `}`,
			`has the unknown status ""`},
		"an unknown status": {`{"id":"PR-1","type":"purchase","status":"rejected","created":"2026-01-10",` + asset + `}`,
			`has the unknown status "rejected"`},
		"an odd time": {`{"id":"PR-1","type":"purchase","status":"failed","created":"soon",` + asset + `}`,
			"cannot be read: "},
		"no time": {`{"id":"PR-1","type":"purchase","status":"failed",` + asset + `}`, "has no asset.id or no created"},
		"no asset.id": {`{"id":"PR-1","type":"purchase","status":"failed","created":"2026-01-10",` +
			`"asset":{"external_uid":"tenant-0004"}}`, "has no asset.id or no created"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows := purchases(50)
			keys := make([]connect.RequestKey, len(rows))
			for i := range rows {
				keys[i] = tenantKey(rows[i].tenant)
			}
			fake := &fakeConnect{rows: rows, add: func(query string) string {
				if strings.Contains(query, "tenant-0004") {
					return test.row
				}
				return ""
			}}
			found, err := clientOver(t, fake).LatestRequests(t.Context(), keys)
			require.ErrorContains(t, err, "1 of 50 keys are unknown: tenant tenant-0004: ")
			require.ErrorContains(t, err, test.says)
			require.Len(t, found, 49)
			for i, key := range keys {
				require.Equal(t, i != 4, len(found[key]) == 1)
			}
			require.Less(t, len(fake.queries), 40)
		})
	}
}

func TestLatestRequests_bound_the_look_ups_in_halves(t *testing.T) {
	t.Parallel()
	rows := purchases(50)
	keys := make([]connect.RequestKey, len(rows))
	for i := range rows {
		keys[i] = tenantKey(rows[i].tenant)
	}
	fake := &fakeConnect{rows: rows, add: func(string) string { return `null` }}
	found, err := clientOver(t, fake).LatestRequests(t.Context(), keys)
	require.ErrorContains(t, err, "50 of 50 keys are unknown: ")
	require.Empty(t, found)
	require.Less(t, len(fake.queries), 100)
}

func TestLatestRequests_skip_rows_of_something_else(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]string{
		"another tenant": `{"id":"PR-1","type":"purchase","status":"odd","created":"2026-01-10",` +
			`"asset":{"external_uid":"tenant-9"}}`,
		"another type": `{"id":"PR-1","type":"change","status":"failed","created":"2026-01-10",` +
			`"asset":{"id":"AS-1","external_uid":"tenant-0000"}}`,
		"another type, no asset": `{"id":"PR-1","type":"change","status":"failed","created":"2026-01-10"}`,
		"a draft": `{"id":"PR-1","type":"purchase","status":"draft","created":"2026-01-11",` +
			`"asset":{"id":"AS-0000","external_uid":"tenant-0000"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := &fakeConnect{rows: purchases(1), add: func(string) string { return row }}
			found, err := clientOver(t, fake).LatestRequests(t.Context(),
				[]connect.RequestKey{tenantKey("tenant-0000"), tenantKey("tenant-0001")})
			require.NoError(t, err)
			require.Len(t, found[tenantKey("tenant-0000")], 1)
			require.Equal(t, "PR-0000-001", found[tenantKey("tenant-0000")][0].Request.ID)
			require.Empty(t, found[tenantKey("tenant-0001")])
		})
	}
}

func TestLatestRequests_ask_for_long_keys_in_several_look_ups(t *testing.T) {
	t.Parallel()
	var keys []connect.RequestKey
	for i := range 50 {
		keys = append(keys, connect.RequestKey{Type: connect.TypePurchase,
			SubscriptionID: fmt.Sprintf("Подписка-на-облачную-телефонию-и-почту-%04d", i)})
	}
	longest := 0
	client := clientOver(t, testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
		longest = max(longest, len(r.URL.RawQuery))
		resp := whole(`[]`, 0)
		resp.Request = r
		return resp, nil
	}))
	found, err := client.LatestRequests(t.Context(), keys)
	require.NoError(t, err)
	require.Len(t, found, 50)
	require.Less(t, longest, 8000)
}

// Otherwise the order would count as one that never reached Connect.
func TestLatestRequests_find_requests_whose_keys_have_blanks_around_them(t *testing.T) {
	t.Parallel()
	for _, key := range []connect.RequestKey{
		tenantKey("tenant-0000"), tenantKey(" tenant-0000"),
		{Type: connect.TypePurchase, SubscriptionID: "1000"},
	} {
		fake := &fakeConnect{add: func(string) string {
			return `{"id":"PR-1","type":"purchase","status":"failed","created":"2026-01-10",` +
				`"asset":{"id":"AS-1","external_uid":" tenant-0000\n","external_id":" 1000 "}}`
		}}
		found, err := clientOver(t, fake).LatestRequests(t.Context(), []connect.RequestKey{key})
		require.NoError(t, err)
		require.Len(t, found[key], 1, "%+v", key)
	}
}

// Otherwise an order would count as one that never reached Connect.
func TestLatestRequests_and_ids_that_differ_only_in_letter_case(t *testing.T) {
	t.Parallel()
	const lower, upper = "88a64097-0000-4000-8000-000000000abc", "88A64097-0000-4000-8000-000000000ABC"
	subscription := func(id string) connect.RequestKey {
		return connect.RequestKey{Type: connect.TypePurchase, SubscriptionID: id}
	}
	for name, test := range map[string]struct {
		stored string // by a server that compares letter case
		asked  []connect.RequestKey
		found  []int
		says   string
	}{
		"a UUID is found in upper case":          {upper, []connect.RequestKey{tenantKey(upper)}, []int{1}, ""},
		"an upper-case UUID is found in lower":   {lower, []connect.RequestKey{tenantKey(upper)}, []int{1}, ""},
		"two forms of a UUID are one tenant":     {lower, []connect.RequestKey{tenantKey(upper), tenantKey(lower)}, []int{1, 1}, ""},
		"a subscription whose id is a UUID":      {lower, []connect.RequestKey{subscription(upper)}, []int{1}, ""},
		"other ids are not the same":             {"sub-a", []connect.RequestKey{subscription("sub-a"), subscription("SUB-A")}, []int{1, 0}, ""},
		"other ids that the server takes for it": {"*sub-a", []connect.RequestKey{subscription("SUB-A"), subscription("other")}, []int{-1, 0}, `subscription SUB-A: request PR-1 belongs to "sub-a", which differs only in letter case`},
		"a tenant that the server takes for it":  {"*t-a", []connect.RequestKey{tenantKey("T-A")}, []int{-1}, `differs only in letter case`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, always := strings.CutPrefix(test.stored, "*")
			fake := &fakeConnect{add: func(query string) string {
				if !always && !strings.Contains(query, id) {
					return ""
				}
				return `{"id":"PR-1","type":"purchase","status":"failed","created":"2026-01-10",` +
					`"asset":{"id":"AS-1","external_uid":"` + id + `","external_id":"` + id + `"}}`
			}}
			found, err := clientOver(t, fake).LatestRequests(t.Context(), test.asked)
			if test.says == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, test.says)
				require.ErrorIs(t, err, connect.ErrAmbiguousRequest)
			}
			for i, key := range test.asked {
				rows, known := found[key]
				require.Equal(t, test.found[i] >= 0, known, key)
				require.Len(t, rows, max(0, test.found[i]), key)
			}
		})
	}
}

// A server that filters by status does not return a request whose status this library
// does not know, if it is asked for the others.
func TestLatestRequests_ask_for_requests_in_every_status(t *testing.T) {
	t.Parallel()
	const row = `{"id":"PR-1","type":"purchase","status":"on_hold","created":"2026-01-10",` +
		`"asset":{"id":"AS-1","external_uid":"tenant-1"}}`
	fake := &fakeConnect{add: func(query string) string {
		if strings.Contains(query, "status") {
			return ""
		}
		return row
	}}
	found, err := clientOver(t, fake).LatestRequests(t.Context(), []connect.RequestKey{tenantKey("tenant-1")})
	require.ErrorContains(t, err, `has the unknown status "on_hold"`)
	require.Empty(t, found)
}
