package connect_test

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

var _ resubmit.RequestFinder = (*connect.Client)(nil)

func tenantKey(tenant string) connect.RequestKey {
	return connect.RequestKey{TenantID: tenant, Type: connect.TypePurchase}
}

// told is what the tests look at of a LatestRequest.
func told(found []connect.LatestRequest) []string {
	out := make([]string, 0, len(found))
	for _, n := range found {
		out = append(out, fmt.Sprintf("%s %s failed %d", n.Request.ID, n.Request.Status, n.FailedInRow))
	}
	return out
}

func TestLatestRequestsOfHistory(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return epoch.AddDate(0, 0, n) }
	row := func(id, status string, created time.Time, asset string) fakeRow {
		return fakeRow{id: id, kind: "purchase", status: status, created: created, asset: asset, tenant: "t1", subID: "1"}
	}
	for name, test := range map[string]struct {
		rows []fakeRow
		want []string
	}{
		"no request at all": {nil, []string{}},
		"only a draft":      {[]fakeRow{row("PR-1-001", "draft", day(1), "AS-1")}, []string{}},
		"one that failed":   {[]fakeRow{row("PR-1-001", "failed", day(1), "AS-1")}, []string{"PR-1-001 failed failed 1"}},
		"failures before a success do not count": {
			[]fakeRow{row("PR-1-001", "failed", day(1), "AS-1"), row("PR-1-002", "approved", day(2), "AS-1")},
			[]string{"PR-1-002 approved failed 0"},
		},
		"failures after a success count": {
			[]fakeRow{
				row("PR-1-001", "failed", day(1), "AS-1"), row("PR-1-002", "approved", day(2), "AS-1"),
				row("PR-1-003", "failed", day(3), "AS-1"), row("PR-1-004", "failed", day(4), "AS-1"),
			},
			[]string{"PR-1-004 failed failed 2"},
		},
		"at the same instant the higher number is newer": {
			[]fakeRow{row("PR-1-1000", "pending", day(1), "AS-1"), row("PR-1-999", "failed", day(1), "AS-1")},
			[]string{"PR-1-1000 pending failed 0"},
		},
		"two products are two assets, the newest first": {
			[]fakeRow{row("PR-1-001", "failed", day(1), "AS-1"), row("PR-2-001", "pending", day(2), "AS-2")},
			[]string{"PR-2-001 pending failed 0", "PR-1-001 failed failed 1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := clientOver(t, &fakeConnect{rows: test.rows}, connect.WithPageSize(2))
			key := tenantKey("t1")
			found, err := client.LatestRequests(t.Context(), []connect.RequestKey{key})
			require.NoError(t, err)
			require.Contains(t, found, key)
			require.Equal(t, test.want, told(found[key]))

			one, ok, err := client.LatestRequest(t.Context(), key)
			require.NoError(t, err)
			require.Equal(t, len(test.want) > 0, ok)
			if ok {
				require.Equal(t, found[key][0], one)
			}
		})
	}
}

func TestLatestRequestsByTenantWithoutSubscription(t *testing.T) {
	t.Parallel()
	rows := purchases(1)
	rows[0].subID = "" // external_id: null
	found, err := clientOver(t, &fakeConnect{rows: rows}).LatestRequests(t.Context(), []connect.RequestKey{
		tenantKey("tenant-0000"), {SubscriptionID: "1000", Type: connect.TypePurchase},
	})
	require.NoError(t, err)
	require.Len(t, found, 2)
	require.Len(t, found[tenantKey("tenant-0000")], 1)
	require.Empty(t, found[connect.RequestKey{SubscriptionID: "1000", Type: connect.TypePurchase}])
}

func TestLatestRequestsIgnoreOtherRows(t *testing.T) {
	t.Parallel()
	body := golden(t, "requests.json") // a purchase and two changes
	client := clientOver(t, responding(func() *http.Response { return whole(body, 3) }))
	mine := tenantKey("1C378BDD-9C8A-4566-BE8A-BD90A51AA42A") // a UUID in capitals is the same
	other := tenantKey("9d1f0a52-3a4e-4d47-8a06-6a4f3f1f7c11")
	found, err := client.LatestRequests(t.Context(), []connect.RequestKey{mine, other, mine})
	require.NoError(t, err)
	require.Equal(t, []string{"PR-1000-0000-0001-001 failed failed 1"}, told(found[mine]))
	require.Contains(t, found, other)
	require.Empty(t, found[other])
}

func TestLatestRequestsQuery(t *testing.T) {
	t.Parallel()
	fake := &fakeConnect{}
	_, err := clientOver(t, fake).LatestRequests(t.Context(), []connect.RequestKey{
		tenantKey("b"), tenantKey("a"),
		{SubscriptionID: "7", Type: connect.TypePurchase}, {SubscriptionID: "7", Type: connect.TypeCancel},
	})
	require.NoError(t, err)
	const common = "select(-activation_key,-template,-asset.items,-asset.params,-asset.tiers,-asset.configuration)&%s&" +
		"eq(type,%s)&ordering(created)&limit=100&offset=0"
	require.ElementsMatch(t, []string{
		fmt.Sprintf(common, "in(asset.external_uid,(a,b))", "purchase"),
		fmt.Sprintf(common, "eq(asset.external_id,7)", "purchase"),
		fmt.Sprintf(common, "eq(asset.external_id,7)", "cancel"),
	}, fake.queries)
}

// tenantKeys returns the keys of the first n purchases.
func tenantKeys(n int) []connect.RequestKey {
	keys := make([]connect.RequestKey, n)
	for i, row := range purchases(n) {
		keys[i] = tenantKey(row.tenant)
	}
	return keys
}

func TestLatestRequestsURLSize(t *testing.T) {
	t.Parallel()
	keys := make([]connect.RequestKey, 50)
	for i := range keys {
		keys[i] = tenantKey(fmt.Sprintf("1c378bdd-9c8a-4566-be8a-bd90a51a%04d", i))
	}
	fake := &fakeConnect{}
	_, err := clientOver(t, fake).LatestRequests(t.Context(), keys)
	require.NoError(t, err)
	require.Len(t, fake.queries, 1)
	require.Less(t, len(testBase+"/requests?"+fake.queries[0]), 4096)
}

func TestLatestRequestsCalls(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fake *fakeConnect
		keys int
		want int
	}{
		"600 keys":                           {&fakeConnect{rows: purchases(600)}, 600, 13},
		"one key":                            {&fakeConnect{rows: purchases(600)}, 1, 2},
		"one key that has no request":        {&fakeConnect{}, 1, 1},
		"600 keys, pages of 60":              {&fakeConnect{rows: purchases(600), most: 60}, 600, 13},
		"600 keys, pages of 50":              {&fakeConnect{rows: purchases(600), most: 50}, 600, 26},
		"600 keys, pages of 30":              {&fakeConnect{rows: purchases(600), most: 30}, 600, 25},
		"600 keys without a total":           {&fakeConnect{rows: purchases(600), noRange: true}, 600, 36},
		"50 keys that have all the requests": {&fakeConnect{rows: purchases(50)}, 50, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := tenantKeys(test.keys)
			found, err := clientOver(t, test.fake).LatestRequests(t.Context(), keys)
			require.NoError(t, err)
			for i, key := range keys {
				require.Equal(t, i < len(test.fake.rows), len(found[key]) == 1)
			}
			require.LessOrEqual(t, len(test.fake.queries), test.want)
		})
	}
}

// In the life of a client, look-ups that have a little more rows than those before cost little.
func TestLatestRequestsCallsWhileConnectGrows(t *testing.T) {
	t.Parallel()
	fake := &fakeConnect{}
	client := clientOver(t, fake)
	for n := 1; n <= 50; n++ {
		fake.rows = purchases(2 * n)
		found, err := client.LatestRequests(t.Context(), tenantKeys(n))
		require.NoError(t, err)
		require.Len(t, found, n)
	}
	require.LessOrEqual(t, len(fake.queries), 60)
}

// A server whose pages are shorter than asked for, and whose total is wrong: an error is right, too.
func TestLatestRequestsMissNothingIfTheTotalIsWrong(t *testing.T) {
	t.Parallel()
	for name, total := range map[string]func(offset, rows int) int{
		"a cap":              func(int, int) int { return 10 },
		"counts its page":    func(_, rows int) int { return rows },
		"counts what it saw": func(offset, rows int) int { return offset + rows },
	} {
		for _, most := range []int{3, 10, 20} {
			t.Run(fmt.Sprint(name, most), func(t *testing.T) {
				t.Parallel()
				client := clientOver(t, &fakeConnect{rows: purchases(60), most: most, total: total})
				for _, n := range []int{2, 50, 10, 1, 20} { // the client knows more of the server each time
					found, err := client.LatestRequests(t.Context(), tenantKeys(n))
					require.True(t, err != nil || len(found) == n)
					for _, requests := range found {
						require.Len(t, requests, 1)
					}
				}
			})
		}
	}
}

// Connect counts 10 requests, the 11th appears, and Connect reads 10. The 11th is as good as one that
// appears after the answer, but no other one may be missing.
func TestLatestRequestsMissNoOldOneWhileRequestsAppear(t *testing.T) {
	t.Parallel()
	fake := &fakeConnect{rows: purchases(600), total: func(_, rows int) int { return rows }}
	fake.before = func(_ int, f *fakeConnect) {
		f.most = 0
		if strings.Contains(f.queries[len(f.queries)-1], "tenant") {
			f.most = 10
		}
	}
	keys := tenantKeys(11)
	found, err := clientOver(t, fake).LatestRequests(t.Context(), keys)
	require.NoError(t, err)
	require.Len(t, fake.queries, 2)
	for _, key := range keys[:10] {
		require.Len(t, found[key], 1)
	}
}

func TestLatestRequestsOfKeysThatConnectRejects(t *testing.T) {
	t.Parallel()
	rejects := func(status int, bad func(query string) bool) *fakeConnect {
		return &fakeConnect{rows: purchases(600), refuse: func(query string) *http.Response {
			if bad(query) {
				return answer(status, golden(t, "error_400.json"))
			}
			return nil
		}}
	}
	has := func(tenants ...string) func(query string) bool {
		return func(query string) bool {
			return slices.ContainsFunc(tenants, func(tenant string) bool { return strings.Contains(query, tenant) })
		}
	}
	for name, test := range map[string]struct {
		fake        *fakeConnect
		keys, known int
		calls       int
	}{
		"one key of 600":            {rejects(400, has("tenant-0042")), 600, 599, 25},
		"the first two keys":        {rejects(400, has("tenant-0000", "tenant-0001")), 100, 98, 20},
		"four keys":                 {rejects(400, has("tenant-0003", "tenant-0017", "tenant-0029", "tenant-0041")), 50, 46, 52},
		"a limit of 500 bytes":      {rejects(414, func(q string) bool { return len(q) > 500 }), 100, 100, 40},
		"headers that are too long": {rejects(431, func(q string) bool { return len(q) > 500 }), 100, 100, 40},
		"every look-up":             {rejects(400, has("tenant")), 600, 0, 80},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := tenantKeys(test.keys)
			found, err := clientOver(t, test.fake).LatestRequests(t.Context(), keys)
			require.Equal(t, test.known, len(found)) //nolint:testifylint // Len would print them all
			require.LessOrEqual(t, len(test.fake.queries), test.calls)
			if test.known == test.keys {
				require.NoError(t, err)
				return
			}
			reasons, ok := errors.AsType[interface {
				error
				KeyError(key connect.RequestKey) error
			}](err)
			require.True(t, ok)
			for _, key := range keys {
				if found[key] == nil {
					require.ErrorContains(t, reasons.KeyError(key), "400")
				} else {
					require.NoError(t, reasons.KeyError(key))
				}
			}
		})
	}
}

func TestLatestRequestsPartialFailure(t *testing.T) {
	t.Parallel()
	var keys []connect.RequestKey
	for i := range 10 {
		keys = append(keys, tenantKey(fmt.Sprintf("tenant-%04d", i)))
	}
	for name, test := range map[string]struct {
		resp func() *http.Response
		is   error
		says string
	}{
		"forbidden": {func() *http.Response { return answer(403, golden(t, "error_403.json")) }, connect.ErrForbidden,
			"AUTH_003"},
		"unavailable": {func() *http.Response { return page(502, "<html>") }, connect.ErrUnavailable, "502 Bad Gateway"},
		"a page in place of the answer": {
			func() *http.Response { return page(200, "<html>") }, connect.ErrUnavailable, "not JSON",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := &fakeConnect{rows: purchases(10), refuse: func(query string) *http.Response {
				if strings.Contains(query, "tenant-0004") {
					return test.resp()
				}
				return nil
			}}
			found, err := clientOver(t, fake, connect.WithChunkSize(3)).LatestRequests(t.Context(), keys)
			require.ErrorContains(t, err, "connect: newest requests: 3 of 10 keys are unknown: ")
			require.ErrorContains(t, err, test.says)
			require.NotContains(t, err.Error(), "\n")
			for _, sentinel := range sentinels {
				require.Equal(t, errors.Is(test.is, sentinel), errors.Is(err, sentinel), "%v", sentinel)
			}
			require.Len(t, found, 7)
			for i, key := range keys {
				if i < 3 || i > 5 {
					require.Len(t, found[key], 1)
				} else {
					require.NotContains(t, found, key)
				}
			}
			_, _, err = clientOver(t, fake).LatestRequest(t.Context(), keys[4])
			require.Error(t, err)
		})
	}
}

func TestLatestRequestsWithInvalidKey(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		key  connect.RequestKey
		says string
	}{
		"no type": {connect.RequestKey{TenantID: "t"}, "the type is empty"},
		"neither": {connect.RequestKey{Type: connect.TypeCancel}, "exactly one of TenantID and SubscriptionID"},
		"both": {connect.RequestKey{Type: connect.TypeCancel, TenantID: "t", SubscriptionID: "1"},
			"exactly one"},
		"both kinds of quotes": {tenantKey(`'"`), "quotes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := tenantKey("tenant-0001")
			found, err := clientOver(t, &fakeConnect{rows: purchases(3)}).LatestRequests(t.Context(),
				[]connect.RequestKey{test.key, good})
			require.ErrorContains(t, err, test.says)
			require.ErrorContains(t, err, "1 of 2 keys are unknown")
			require.Len(t, found, 1)
			require.Len(t, found[good], 1)
		})
	}
}

func TestLatestRequestsWithoutKeys(t *testing.T) {
	t.Parallel()
	fake := &fakeConnect{}
	found, err := clientOver(t, fake).LatestRequests(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, found)
	require.Empty(t, fake.queries)
}

func TestLatestRequestsConcurrency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		var mu sync.Mutex
		slow := testkit.RoundTripFunc(func(*http.Request) (*http.Response, error) {
			mu.Lock()
			most.Store(max(most.Load(), running.Add(1)))
			mu.Unlock()
			<-time.After(time.Second)
			running.Add(-1)
			return answer(http.StatusOK, "[]"), nil
		})
		var keys []connect.RequestKey
		for i := range 12 {
			keys = append(keys, tenantKey(fmt.Sprint(i)))
		}
		began := time.Now()
		found, err := clientOver(t, slow, connect.WithChunkSize(1), connect.WithConcurrency(4)).LatestRequests(t.Context(),
			keys)
		require.NoError(t, err)
		require.Len(t, found, 12)
		require.EqualValues(t, 4, most.Load())
		require.Equal(t, 3*time.Second, time.Since(began))
	})
}

func TestLatestRequestsRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		fake := &fakeConnect{rows: purchases(2), refuse: func(string) *http.Response {
			if calls++; calls < 3 {
				resp := page(http.StatusServiceUnavailable, "<html>")
				resp.Header.Set("Retry-After", "5")
				return resp
			}
			return nil
		}}
		began := time.Now()
		found, err := clientOver(t, fake, connect.WithMaxTries(3)).
			LatestRequests(t.Context(), []connect.RequestKey{tenantKey("tenant-0000")})
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Equal(t, 4, calls, "two were refused, and one finds out how many rows Connect puts into a page")
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}

// oracle is LatestRequests as one would say it, in quadratic time.
func oracle(rows []fakeRow, key connect.RequestKey) []string {
	newer := func(a, b fakeRow) int {
		return -cmp.Or(a.created.Compare(b.created), strings.Compare(a.id, b.id))
	}
	var mine []fakeRow
	for _, r := range rows {
		if r.status != "draft" && r.kind == string(key.Type) &&
			(key.TenantID != "" && r.tenant == key.TenantID || key.SubscriptionID != "" && r.subID == key.SubscriptionID) {
			mine = append(mine, r)
		}
	}
	slices.SortFunc(mine, newer)
	out := []string{}
	for i, r := range mine {
		if slices.ContainsFunc(mine[:i], func(o fakeRow) bool { return o.asset == r.asset }) {
			continue
		}
		failed := 0
		for _, o := range mine[i:] {
			if o.asset != r.asset {
				continue
			}
			if o.status != "failed" {
				break
			}
			failed++
		}
		out = append(out, fmt.Sprintf("%s %s failed %d", r.id, r.status, failed))
	}
	return out
}

func TestLatestRequestsMatchNaiveReading(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var rows []fakeRow
		for i := range rapid.IntRange(0, 60).Draw(rt, "requests") {
			sub := rapid.IntRange(0, 5).Draw(rt, "subscription")
			product := rapid.IntRange(0, 2).Draw(rt, "product")
			row := fakeRow{
				id:   fmt.Sprintf("PR-%03d", i),
				kind: rapid.SampledFrom([]string{"purchase", "change", "cancel"}).Draw(rt, "type"),
				status: rapid.SampledFrom([]string{"failed", "failed", "pending", "approved", "draft", "revoked"}).Draw(rt,
					"status"),
				created: epoch.Add(time.Duration(rapid.IntRange(0, 20).Draw(rt, "age")) * time.Second),
				asset:   fmt.Sprintf("AS-%d-%d", sub, product), tenant: fmt.Sprintf("t%d-%d", sub, product),
				product: fmt.Sprintf("PRD-%d", product),
			}
			if rapid.Bool().Draw(rt, "told its subscription") {
				row.subID = fmt.Sprint(sub)
			}
			rows = append(rows, row)
		}
		var keys []connect.RequestKey
		for _, kind := range []connect.RequestType{"purchase", "change", "cancel"} {
			for sub := range 7 {
				keys = append(keys, connect.RequestKey{SubscriptionID: fmt.Sprint(sub), Type: kind})
				for product := range 3 {
					keys = append(keys, connect.RequestKey{TenantID: fmt.Sprintf("t%d-%d", sub, product), Type: kind})
				}
			}
		}
		keys = rapid.SliceOfN(rapid.SampledFrom(keys), 1, 40).Draw(rt, "keys")
		fake := &fakeConnect{rows: rows, most: rapid.SampledFrom([]int{0, 2, 3, 7}).Draw(rt, "largest page")}
		client := clientOver(t, fake,
			connect.WithPageSize(rapid.IntRange(2, 10).Draw(rt, "page size")),
			connect.WithChunkSize(rapid.IntRange(1, 50).Draw(rt, "chunk size")))
		found, err := client.LatestRequests(t.Context(), keys)
		require.NoError(rt, err)
		for _, key := range keys {
			got, ok := found[key]
			require.True(rt, ok, "%+v", key)
			require.Equal(rt, oracle(rows, key), told(got), "%+v", key)
		}
		for key := range found {
			require.Contains(rt, keys, key)
		}
	})
}
