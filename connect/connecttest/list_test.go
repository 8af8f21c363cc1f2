package connecttest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// historic is a System with five requests, an hour apart, named a to e after their
// external_uid.
func historic(t *testing.T, change ...func(*connecttest.Config)) (*connecttest.System, map[string]string) {
	t.Helper()
	c := newClock()
	cfg := connecttest.Config{Now: c.Now}
	for _, f := range change {
		f(&cfg)
	}
	sys := connecttest.New(cfg)
	names := map[string]string{}
	for i, seed := range []connecttest.RequestSpec{
		{ExternalUID: "uid-a", ExternalID: "1000001", Type: connect.TypePurchase, Status: connect.StatusApproved},
		{ExternalUID: "uid-b", ExternalID: "1000002", Type: connect.TypePurchase, Status: connect.StatusFailed,
			Reason: "no credit"},
		{ExternalUID: "uid-c", ExternalID: "1000003", ProductID: "PRD-9", Type: connect.TypePurchase,
			Status: connect.StatusPending},
		{ExternalUID: "uid-d", ExternalID: "Star*4", Type: connect.TypeCancel, Status: connect.StatusFailed},
		{ExternalUID: "uid-e", Type: connect.TypeSuspend, Status: connect.StatusInquiring},
	} {
		seed.Created = c.Now().Add(time.Duration(i) * time.Hour)
		seed.Updated = seed.Created.Add(time.Minute)
		r, err := sys.AddRequest(seed)
		require.NoError(t, err)
		names[r.ID] = seed.ExternalUID[len("uid-"):]
	}
	return sys, names
}

func TestRequestFilters(t *testing.T) {
	t.Parallel()
	sys, names := historic(t)
	c := serve(t, sys)
	var idOfB string
	for id, name := range names {
		if name == "b" {
			idOfB = id
		}
	}
	tests := []struct{ name, query, want string }{
		{"no filter", "", "abcde"},
		{"eq", "eq(status,failed)", "bd"},
		{"eq in its short form", "status=failed", "bd"},
		{"eq of an id", "eq(id," + idOfB + ")", "b"},
		{"ne", "ne(status,failed)", "ace"},
		{"like", "like(asset.external_uid,*-a)", "a"},
		{"like is case-sensitive", "like(asset.external_uid,*-A)", ""},
		{"ilike", "ilike(asset.external_uid,*-A)", "a"},
		{"like with a literal star", `like(asset.external_id,Star\*4)`, "d"},
		{"like with a star that must be one", `like(asset.external_id,1\*)`, ""},
		{"in", "in(status,(failed,pending))", "bcd"},
		{"out", "out(status,(failed,pending))", "ae"},
		{"gt", "gt(created,2026-01-10T03:00:00Z)", "cde"},
		{"ge", "ge(created,2026-01-10T03:00:00Z)", "bcde"},
		{"ge in its short form", "created=ge=2026-01-10T03:00:00Z", "bcde"},
		{"lt", "lt(created,2026-01-10T03:00:00Z)", "a"},
		{"le", "le(created,2026-01-10T03:00:00Z)", "ab"},
		{"eq of a time", "eq(created,2026-01-10T03:00:00Z)", "b"},
		{"in of times", "in(created,(2026-01-10T03:00:00Z,2026-01-10T04:00:00Z))", "bc"},
		{"a time with an offset", "ge(created,2026-01-10T06:00:00+03:00)", "bcde"},
		{"a date", "lt(created,2026-01-11)", "abcde"},
		{"another time field", "le(updated,2026-01-10T02:01:00Z)", "a"},
		{"a slice of time", "ge(created,2026-01-10T03:00:00Z)&lt(created,2026-01-10T05:00:00Z)", "bc"},
		{"null", "eq(asset.external_id,null())", "e"},
		{"not null", "ne(asset.external_id,null())", "abcd"},
		{"null or a value", "in(asset.external_id,(null(),1000001))", "ae"},
		{"neither null nor a value", "out(asset.external_id,(null(),1000001))", "bcd"},
		{"a text that looks like null", `eq(asset.external_id,"null()")`, ""},
		{"a text that looks like null in a list", `in(asset.external_id,("null()",1000001))`, "a"},
		{"no assignee", "eq(assignee,null())", "abcde"},
		{"empty is not null", "eq(asset.external_id,empty())", ""},
		{"a wildcard beside a star", `like(asset.external_id,"*\**")`, "d"},
		{"an unknown field", "eq(color,red)", "abcde"},
		{"an unknown field in a list", "in(color,(red,blue))", "abcde"},
		{"an unknown field among others", "eq(color,red)&eq(type,cancel)", "d"},
		{"an unknown field in an or", "or(eq(color,red),eq(type,cancel))", "d"},
		{"an unknown field in a not", "not(eq(color,red))", "abcde"},
		{"unknown fields only", "or(eq(color,red),and(eq(size,1),not(eq(reason,x))))", "abcde"},
		{"the old form of a list", "asset.product.id__in=PRD-9", "abcde"},
		{"the old form of an order", "order_by=-created", "abcde"},
		{"a search", "search=uid-a", "abcde"},
		{"a limit in a list", "in(limit,(1))", "abcde"},
		{"a limit inside of a term", "and(limit=2,offset=1)", "bc"},
		{"a limit that is not a number", "limit=ten", "abcde"},
		{"a limit with a fraction", "limit=1.5", "abcde"},
		{"a negative limit", "limit=-1&offset=-1", "abcde"},
		{"and", "and(eq(type,purchase),eq(status,failed))", "b"},
		{"and by &", "eq(type,purchase)&eq(status,failed)", "b"},
		{"and by a comma", "eq(type,purchase),eq(status,failed)", "b"},
		{"or", "or(eq(type,cancel),eq(type,suspend))", "de"},
		{"or by | in brackets", "(type=cancel|type=suspend)", "de"},
		{"not", "not(eq(type,purchase))", "de"},
		{"nested", "or(and(eq(type,purchase),not(eq(status,failed))),eq(asset.external_uid,uid-e))", "ace"},
		{"a quoted value", `eq(asset.external_uid,"uid-a")`, "a"},
		{"the product", "eq(asset.product.id,PRD-9)", "c"},
		{"the hub", "eq(asset.connection.hub.id," + connecttest.DefaultHubID + ")", "abcde"},
		{"the type of connection", "eq(asset.connection.type,test)", ""},
		{"the status of the asset", "eq(asset.status,terminated)", "b"},
		{"an old name", "asset__external_uid=uid-a", "a"},
		{"the query of the connector", "select(-asset.configuration)&and(eq(asset.external_uid,uid-b),eq(type,purchase)," +
			"in(status,(failed,pending,approved,inquiring,tiers_setup,scheduled,revoking,revoked)))&ordering(-created)&" +
			"limit=1&offset=0", "b"},
		{"newest first", "ordering(-created)", "edcba"},
		{"oldest first", "ordering(+created)", "abcde"},
		{"by status, then newest", "ordering(status,-created)", "adbec"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := c.find("/requests", tt.query)
			require.Equal(t, http.StatusOK, r.Status, r.Body)
			got := ""
			for _, id := range r.ids(t) {
				got += names[id]
			}
			require.Equal(t, tt.want, got)
		})
	}
}

func TestInvalidQuery(t *testing.T) {
	t.Parallel()
	sys, _ := historic(t, func(c *connecttest.Config) { c.RejectUnknownFields = true })
	c := serve(t, sys)
	tests := []struct{ name, path, query, want string }{
		{"an unknown field", "/requests", "eq(color,red)", `no filter on "color"`},
		{"a field that cannot be filtered by", "/requests", "eq(reason,x)", `no filter on "reason"`},
		{"an operator that a field does not take", "/requests", "ge(status,failed)",
			`"status" does not take the operator ge`},
		{"an operator that does not exist", "/requests", "neq(status,failed)", `"neq" is not an operator`},
		{"null where there is none", "/requests", "eq(status,null())", `"status" does not take null()`},
		{"null in a list where there is none", "/requests", "in(status,(null(),failed))", `"status" does not take null()`},
		{"a null to compare", "/requests", "like(asset.external_id,null())", `does not take null() with like`},
		{"a limit in quotes", "/requests", `limit="5"`, "limit and offset take a number without quotes"},
		{"two wildcards in a row", "/requests", "like(asset.external_id,**1*)", "like takes no **"},
		{"two wildcards in a row, inside of a term", "/requests",
			"and(eq(status,failed),ilike(asset.external_id,a**))", "ilike takes no **"},
		{"empty where nothing is blank", "/requests", "eq(status,empty())", `"status" does not take empty()`},
		{"empty in a list where nothing is blank", "/requests", "in(id,(empty(),PR-1))", `"id" does not take empty()`},
		{"an empty time", "/assets", "eq(events.created.at,empty())", `"events.created.at" does not take empty()`},
		{"the keyword of tuples", "/requests", "eq(asset.external_id,t)", "t is a keyword of Connect"},
		{"a tuple", "/requests", "t(eq(status,failed))", `"t" is not an operator`},
		{"an invalid date", "/requests", "ge(created,yesterday)", `"yesterday" is not a date`},
		{"broken syntax", "/requests", "eq(status,failed", "byte 16"},
		{"an or without brackets", "/requests", "status=failed|status=pending", "an or must be in brackets"},
		{"an empty list", "/requests", "in(status,())", "at least one value"},
		{"an and of one", "/requests", "and(eq(status,failed))", "and needs two terms"},
		{"a not of an and", "/requests", "not(and(eq(type,cancel),eq(status,failed)))", "not takes one plain expression"},
		{"ordering by a property that is not sortable", "/requests", "ordering(id)", `ordering by "id" is not supported`},
		{"ordering twice", "/requests", "ordering(created)&ordering(status)", "ordering is there twice"},
		{"select of nothing", "/requests", "select(-asset.colour)", `select of "asset.colour"`},
		{"limit twice", "/requests", "limit=1&limit=2", "limit is there twice"},
		{"limit compared", "/requests", "limit=ge=2", "limit takes no operator but ="},
		{"limit twice inside of terms", "/requests", "and(limit=1,status=failed)&not(limit=2)", "limit is there twice"},
		{"an unknown field inside of terms", "/requests", "or(eq(status,failed),not(in(color,(red))))",
			`no filter on "color"`},
		{"the health check of a hub", "/hubs", "ge(last_health_check,2026-01-01)", `no filter on "last_health_check"`},
		{"an unknown field of an asset", "/assets", "eq(external,x)", `no filter on "external"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := c
			c.t = t
			c.requireProblem(c.find(tt.path, tt.query), http.StatusBadRequest, "VAL_001", tt.want)
		})
	}
	t.Run("broken percent-encoding", func(t *testing.T) {
		t.Parallel()
		c := c
		c.t = t
		c.requireProblem(c.get("/requests?eq(status,%2)"), http.StatusBadRequest, "VAL_001", "invalid URL escape")
	})
}

func TestPlusInQuery(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{})
	_, err := sys.AddRequest(connecttest.RequestSpec{ExternalUID: "a b", Type: connect.TypePurchase,
		Status: connect.StatusApproved})
	require.NoError(t, err)
	c := serve(t, sys)
	require.Empty(t, c.get("/requests?eq(asset.external_uid,a+b)").ids(t))
	require.Len(t, c.get("/requests?eq(asset.external_uid,a%20b)").ids(t), 1)
}

func TestIndexesFindTheSameAsScan(t *testing.T) {
	t.Parallel()
	sys, _ := historic(t)
	for _, seed := range []connecttest.RequestSpec{
		{ExternalUID: "uid-a", Type: connect.TypeChange, Status: connect.StatusFailed},
		{ExternalUID: "uid-f", ExternalID: "1000001", Type: connect.TypePurchase, Status: connect.StatusApproved},
		{ExternalUID: "uid-a", Type: connect.TypeCancel, Status: connect.StatusFailed},
	} {
		_, err := sys.AddRequest(seed)
		require.NoError(t, err)
	}
	c := serve(t, sys)
	tests := []struct {
		query string
		rows  int
	}{
		{"eq(asset.external_uid,uid-a)", 3},
		{"in(asset.external_uid,(uid-f,uid-a,uid-a,uid-x))", 4},
		{"eq(asset.external_uid,uid-x)", 0},
		{"eq(asset.external_id,1000001)", 4},
		{"in(asset.external_id,(1000002,1000001))", 5},
		{"eq(asset.external_id,null())", 1},
		{"and(eq(type,purchase),in(asset.external_uid,(uid-a,uid-b)))", 2},
		{"and(in(asset.external_uid,(uid-a,uid-b)),eq(asset.external_id,1000001))", 3},
	}
	for _, tt := range tests {
		for _, tail := range []string{"", "&ordering(-created)", "&ordering(status)&limit=2&offset=1"} {
			byIndex := c.find("/requests", tt.query+tail)
			byScan := c.find("/requests", "or("+tt.query+","+tt.query+")"+tail) // an or has no index
			require.Equal(t, byScan.ids(t), byIndex.ids(t), tt.query+tail)
			require.Equal(t, byScan.Header.Get("Content-Range"), byIndex.Header.Get("Content-Range"))
			if tail == "" {
				require.Len(t, byIndex.ids(t), tt.rows, tt.query)
			}
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	sys, names := historic(t)
	c := serve(t, sys)
	tests := []struct{ name, query, want, header string }{
		{"the first two", "limit=2&offset=0", "ab", "items 0-1/5"},
		{"the next two", "limit=2&offset=2", "cd", "items 2-3/5"},
		{"a short last page", "limit=2&offset=4", "e", "items 4-4/5"},
		{"beyond the end of nothing", "eq(id,PR-0)&offset=3", "", "items 3-3/0"},
		{"beyond the end", "limit=2&offset=50", "", "items 50-50/5"},
		{"the count alone", "limit=0", "", "items 0-0/5"},
		{"nothing found", "eq(status,draft)", "", "items 0-0/0"},
		{"without limit", "", "abcde", "items 0-4/5"},
		{"with a filter", "eq(status,failed)&limit=1", "b", "items 0-0/2"},
		{"more than there is", "limit=1000", "abcde", "items 0-4/5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := c.find("/requests", tt.query)
			require.Equal(t, http.StatusOK, r.Status)
			got := ""
			for _, id := range r.ids(t) {
				got += names[id]
			}
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.header, r.Header.Get("Content-Range"))
		})
	}
}

func TestPageMax(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{MaxPageSize: 3})
	for i := range 7 {
		_, err := sys.AddRequest(connecttest.RequestSpec{ExternalUID: strconv.Itoa(i), Type: connect.TypePurchase,
			Status: connect.StatusApproved})
		require.NoError(t, err)
	}
	c := serve(t, sys)
	var all []string
	for offset := 0; offset < 9; offset += 3 {
		r := c.find("/requests", fmt.Sprintf("limit=5&offset=%d", offset))
		all = append(all, r.ids(t)...)
		require.Contains(t, r.Header.Get("Content-Range"), "/7")
	}
	require.Len(t, all, 7)
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(all))), 7)
}

func TestSelect(t *testing.T) {
	t.Parallel()
	sys, _ := historic(t)
	c := serve(t, sys)
	read := func(query string) map[string]any {
		var rows []map[string]any
		require.NoError(t, json.Unmarshal([]byte(c.find("/requests", query).Body), &rows))
		return rows[0]
	}
	full := read("limit=1")
	require.Contains(t, full, "template")
	require.Contains(t, full["asset"], "configuration")
	less := read("select(-activation_key,-template,-asset.configuration,-asset.items,-asset.tiers,-asset.params)&limit=1")
	require.NotContains(t, less, "template")
	require.NotContains(t, less, "activation_key")
	for _, name := range []string{"configuration", "items", "tiers", "params"} {
		require.NotContains(t, less["asset"], name)
	}
	require.Contains(t, less["asset"], "external_uid")
	require.Equal(t, full, read("limit=1"), "a selection affects one call only")
}

func TestOtherLists(t *testing.T) {
	t.Parallel()
	sys, _ := historic(t)
	c := serve(t, sys)
	require.Len(t, c.find("/accounts", "limit=1").ids(t), 1)
	require.Equal(t, []string{connecttest.DefaultHubID},
		c.find("/hubs", "eq(instance.id,"+connecttest.DefaultInstanceID+")").ids(t))
	require.Empty(t, c.find("/hubs", "eq(instance.type,API)").ids(t))

	assets := c.find("/assets", "in(status,(terminated))").ids(t)
	require.Len(t, assets, 1)
	one := c.get("/assets/" + assets[0])
	require.Equal(t, "uid-b", one.object(t)["external_uid"])
	refs := c.get("/assets/" + assets[0] + "/requests")
	require.Len(t, refs.ids(t), 1)
	require.Equal(t, "items 0-0/1", refs.Header.Get("Content-Range"))
	require.NotContains(t, refs.Body, `"asset"`)

	first := c.find("/assets", "ordering(-events.created.at)&limit=1").ids(t)
	asset, ok := sys.Asset("uid-e")
	require.True(t, ok)
	require.Equal(t, []string{asset.ID}, first)
}

func TestHealthCheck(t *testing.T) {
	t.Parallel()
	clock := newClock()
	sys := connecttest.New(connecttest.Config{Now: clock.Now})
	c := serve(t, sys)
	require.Nil(t, c.get("/hubs/" + connecttest.DefaultHubID).object(t)["last_health_check"])
	sys.TouchHealthCheck()
	require.Equal(t, "2026-01-10T02:00:00", c.get("/hubs/" + connecttest.DefaultHubID).object(t)["last_health_check"])
	sys.SetHealthCheck(clock.Now().Add(-time.Hour))
	require.Equal(t, "2026-01-10T01:00:00", c.get("/hubs/" + connecttest.DefaultHubID).object(t)["last_health_check"])
}

func TestShuffleTies(t *testing.T) {
	t.Parallel()
	clock := newClock()
	sys := connecttest.New(connecttest.Config{Now: clock.Now, ShuffleTies: true})
	for i := range 20 {
		_, err := sys.AddRequest(connecttest.RequestSpec{
			ExternalUID: fmt.Sprintf("uid-%02d", i), Type: connect.TypePurchase, Status: connect.StatusPending,
			Created: clock.Now(),
		})
		require.NoError(t, err)
	}
	c := serve(t, sys)
	lists := map[string]bool{}
	for range 5 {
		body := c.get("/requests?ordering(-created)&limit=100").Body
		require.Equal(t, 20, strings.Count(body, `"external_uid"`))
		lists[body] = true
	}
	require.Greater(t, len(lists), 1, "the order never changed")
}

func FuzzQuery(f *testing.F) {
	for _, q := range []string{"eq(status,failed)&limit=1", "ordering(-created)", "select(-asset.items)", "in(id,(a,b))",
		"not(eq(a,b))", "limit=", "eq(created,2026)"} {
		f.Add(q)
	}
	sys := connecttest.New(connecttest.Config{})
	if _, err := sys.AddRequest(connecttest.RequestSpec{ExternalUID: "a", Type: connect.TypePurchase,
		Status: connect.StatusApproved}); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{"/requests", "/assets", "/hubs"} {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/public/v1"+path, nil)
			req.URL.RawQuery = query
			req.Header.Set("Authorization", "ApiKey "+connecttest.DefaultKey)
			rec := httptest.NewRecorder()
			sys.ServeHTTP(rec, req)
			if rec.Code != http.StatusOK {
				require.Equal(t, http.StatusBadRequest, rec.Code)
				continue
			}
			require.LessOrEqual(t, len(reply{testkit.Reply{Body: rec.Body.String()}}.ids(t)), 1)
		}
	})
}

func BenchmarkLookup100000Requests(b *testing.B) {
	sys := connecttest.New(connecttest.Config{})
	for i := range 100_000 {
		if _, err := sys.AddRequest(connecttest.RequestSpec{ExternalUID: strconv.Itoa(i), Type: connect.TypePurchase,
			Status: connect.StatusApproved}); err != nil {
			b.Fatal(err)
		}
	}
	req := httptest.NewRequest(http.MethodGet,
		"/public/v1/requests?and(eq(asset.external_uid,5000),eq(type,purchase))&ordering(-created)&limit=1", nil)
	req.Header.Set("Authorization", "ApiKey "+connecttest.DefaultKey)
	for b.Loop() {
		rec := httptest.NewRecorder()
		sys.ServeHTTP(rec, req)
		if rec.Code != http.StatusOK || rec.Header().Get("Content-Range") != "items 0-0/1" {
			b.Fatal(rec.Code, rec.Body)
		}
	}
}
