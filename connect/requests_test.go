package connect_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
)

func TestRequestQueryRQL(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 10, 3, 0, 0, 500, time.FixedZone("", 3600))
	for name, test := range map[string]struct {
		query connect.RequestQuery
		wire  string
	}{
		"everything": {connect.RequestQuery{}, "ordering(created)&limit=100&offset=0"},
		"one value is eq, several are in": {
			connect.RequestQuery{
				Types:    []connect.RequestType{connect.TypePurchase},
				Statuses: []connect.RequestStatus{connect.StatusFailed, connect.StatusPending},
			},
			"eq(type,purchase)&in(status,(failed,pending))&ordering(created)&limit=100&offset=0",
		},
		"all the keys": {
			connect.RequestQuery{
				Tenants: []string{"1c378bdd-9c8a-4566-be8a-bd90a51aa42a"}, Subscriptions: []string{"1000042"},
				Products: []string{"PRD-403-038-754"}, Hubs: []string{"HB-1234-5678"}, NewestFirst: true, Limit: 5,
			},
			"eq(asset.external_uid,1c378bdd-9c8a-4566-be8a-bd90a51aa42a)&eq(asset.external_id,1000042)" +
				"&eq(asset.product.id,PRD-403-038-754)&eq(asset.connection.hub.id,HB-1234-5678)&ordering(-created)&limit=5&" +
				"offset=0",
		},
		"times go out in UTC, whole seconds, widened": {
			connect.RequestQuery{CreatedFrom: from, CreatedTo: from.Add(time.Hour)},
			"ge(created,2026-01-10T02:00:00Z)&lt(created,2026-01-10T03:00:01Z)&ordering(created)&limit=100&offset=0",
		},
		"a value that needs quotes is quoted and encoded": {
			connect.RequestQuery{Subscriptions: []string{"a b&c,(d)+é"}},
			"eq(asset.external_id,%22a%20b%26c%2C%28d%29%2B%C3%A9%22)&ordering(created)&limit=100&offset=0",
		},
		"a condition of the user": {
			connect.RequestQuery{RQL: "(asset.status=active|ilike(asset.connection.vendor.id,VA-*))&out(assignee,(a,b))"},
			"or(eq(asset.status,active),ilike(asset.connection.vendor.id,VA-*))&out(assignee,(a,b))&ordering(created)&" +
				"limit=100&offset=0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got string
			transport := responding(func() *http.Response { return answer(http.StatusOK, "[]") })
			transport.RegisterResponder(http.MethodGet, "=~.*", func(r *http.Request) (*http.Response, error) {
				got = r.URL.RawQuery
				return answer(http.StatusOK, "[]"), nil
			})
			_, err := listed(t, clientOver(t, transport), test.query)
			require.NoError(t, err)
			require.Equal(t, test.wire, got)
		})
	}
}

func TestRequestQueryRejects(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		query connect.RequestQuery
		says  string
	}{
		"a negative limit":        {connect.RequestQuery{Limit: -1}, "limit -1 is negative"},
		"an end before the start": {connect.RequestQuery{CreatedFrom: epoch, CreatedTo: epoch}, "is not after"},
		"an empty value":          {connect.RequestQuery{Tenants: []string{"a", ""}}, "Tenants[1] is empty"},
		"both kinds of quotes":    {connect.RequestQuery{Subscriptions: []string{`'"`}}, "quotes"},
		"RQL that is broken":      {connect.RequestQuery{RQL: "eq(a"}, `RQL "eq(a"`},
		"RQL that orders":         {connect.RequestQuery{RQL: "ordering(-created)"}, "ordering is not a condition"},
		"RQL that selects":        {connect.RequestQuery{RQL: "select(-asset)"}, "select is not a condition"},
		"RQL that pages deep down": {connect.RequestQuery{RQL: "and(eq(id,b),or(eq(type,d),limit=5))"},
			"limit is not a condition"},
		"RQL that pages":                    {connect.RequestQuery{RQL: "eq(id,b)&limit=5"}, "limit is not a condition"},
		"RQL that is a tuple":               {connect.RequestQuery{RQL: "t(eq(id,b))"}, "t is not a condition"},
		"RQL with an operator that is none": {connect.RequestQuery{RQL: "near(id,b)"}, "near is not a condition"},
		"RQL on an unknown field": {connect.RequestQuery{RQL: "in(asset.extrenal_id,(1))"},
			`no filter on "asset.extrenal_id" is documented (did you mean "asset.external_id"?): Connect would ignore it`},
		"RQL on an unknown field deep down": {connect.RequestQuery{RQL: "or(eq(id,b),not(ilike(reason,*x*)))"},
			`no filter on "reason"`},
		"RQL in an old form": {connect.RequestQuery{RQL: "asset.product.id__in=PRD-1"}, `no filter on "asset.product.id__in"`},
		"more than a server takes": {connect.RequestQuery{Tenants: []string{strings.Repeat("x", 9000)}},
			"ask for fewer values"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := &fakeConnect{}
			client := clientOver(t, fake)
			_, err := listed(t, client, test.query)
			require.ErrorContains(t, err, test.says)
			require.NotContains(t, err.Error(), "\n")
			_, err = client.CountRequests(t.Context(), test.query)
			require.ErrorContains(t, err, test.says)
			require.Empty(t, fake.queries)
		})
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	client := clientOver(t, responding(func() *http.Response {
		return whole(golden(t, "requests.json"), 3)
	}))
	var got []*connect.Request
	for r, err := range client.Requests(t.Context(), connect.RequestQuery{}) {
		require.NoError(t, err)
		got = append(got, r)
	}
	require.Len(t, got, 3)
	require.Equal(t, "Domain is taken", got[0].Reason)
	require.Equal(t, "HB-1234-5678", got[0].Asset.HubID)
	require.Equal(t, "1000043", got[1].Asset.ExternalID)
	require.Zero(t, got[1].Updated)
	require.Equal(t, connect.RequestStatus("quantum"), got[2].Status)
	require.Empty(t, got[2].Asset.ExternalID)
	require.Contains(t, string(got[1].Raw), "future_field")
}

func TestRequestsFilterAgain(t *testing.T) {
	t.Parallel()
	body := golden(t, "requests.json")
	client := clientOver(t, responding(func() *http.Response { return whole(body, 3) }))
	for name, test := range map[string]struct {
		query connect.RequestQuery
		ids   []string
	}{
		"type": {connect.RequestQuery{Types: []connect.RequestType{"purchase"}}, []string{"PR-1000-0000-0001-001"}},
		"status": {connect.RequestQuery{Statuses: []connect.RequestStatus{"approved"}},
			[]string{"PR-1000-0000-0002-003"}},
		"tenant": {connect.RequestQuery{Tenants: []string{"5F0C2C1E-0F0D-4F0E-9A52-0C6C3AD1B0AA"}},
			[]string{"PR-1000-0000-0003-002"}},
		"subscription": {connect.RequestQuery{Subscriptions: []string{"1000043"}}, []string{"PR-1000-0000-0002-003"}},
		"from": {connect.RequestQuery{CreatedFrom: time.Date(2026, 1, 10, 2, 16, 0, 0, time.UTC)},
			[]string{"PR-1000-0000-0003-002"}},
		"to": {connect.RequestQuery{CreatedTo: time.Date(2026, 1, 10, 2, 15, 0, 0, time.UTC)},
			[]string{"PR-1000-0000-0001-001"}},
	} {
		got, err := listed(t, client, test.query)
		require.NoError(t, err, name)
		require.Equal(t, test.ids, got, name)
	}
}

func TestRequests_reports_requests_that_do_not_match(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 10, 2, 15, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		query connect.RequestQuery
		log   []string // what the warning holds; nil: there is none
		err   string
	}{
		"type": {
			connect.RequestQuery{Types: []connect.RequestType{"purchase"}},
			[]string{"rows=2", "2 rows did not match the query: PR-1000-0000-0002-003 (type ",
				", PR-1000-0000-0003-002 (type "}, "",
		},
		"status, none at all": {connect.RequestQuery{Statuses: []connect.RequestStatus{"pending"}}, nil,
			"3 rows did not match the query: PR-1000-0000-0001-001 (status "},
		"tenant, none at all": {connect.RequestQuery{Tenants: []string{"other"}}, nil, "3 rows did not match"},
		"subscription, none at all": {connect.RequestQuery{Subscriptions: []string{"other"}}, nil,
			"PR-1000-0000-0003-002 (no subscription)"},
		"time": {connect.RequestQuery{CreatedFrom: at.Add(-time.Hour), CreatedTo: at},
			[]string{"2 rows", "(created 2026-01-10T02:15:"}, ""},
		"time, none at all": {connect.RequestQuery{CreatedFrom: at.AddDate(1, 0, 0)}, nil,
			"none of the rows that the server returned is what it was asked for"},
		"everything": {connect.RequestQuery{}, nil, ""},
		"a limit":    {connect.RequestQuery{Types: []connect.RequestType{"purchase"}, Limit: 1}, nil, ""},
		"product":    {connect.RequestQuery{Products: []string{"PRD-1"}}, []string{`(product `}, ""},
		"hub":        {connect.RequestQuery{Hubs: []string{"HB-1"}}, []string{`(hub `}, ""},
		"RQL":        {connect.RequestQuery{RQL: "like(asset.external_id,*3)"}, []string{"(not like(asset.external_id,"}, ""},
		"RQL, none at all": {connect.RequestQuery{RQL: "in(id,(PR-1,PR-2))&eq(sli.days,3)"}, nil,
			"PR-1000-0000-0001-001 (not in(id,(PR-1,PR-2)))"},
		"RQL that may hold": {connect.RequestQuery{RQL: "eq(sli.days,3)&ne(asset.external_uid,x)"}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			body := golden(t, "requests.json")
			client := clientOver(t, responding(func() *http.Response { return whole(body, 3) }),
				connect.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))))
			for range 2 { // each list is counted anew
				log.Reset()
				_, err := listed(t, client, test.query)
				if test.err != "" {
					require.ErrorContains(t, err, test.err)
				} else {
					require.NoError(t, err)
				}
				for _, part := range test.log {
					require.Contains(t, log.String(), part)
				}
				require.Equal(t, len(test.log) > 0, log.Len() > 0, log.String())
			}
		})
	}
}

func TestRequests_takes_the_rest_of_a_second_as_asked_for(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	fake := &fakeConnect{rows: purchases(1)}
	fake.rows[0].created = epoch.Add(300 * time.Millisecond)
	client := clientOver(t, fake,
		connect.WithLogger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))))
	got, err := listed(t, client, connect.RequestQuery{CreatedFrom: epoch.Add(500 * time.Millisecond)})
	require.NoError(t, err)
	require.Empty(t, got)
	require.Empty(t, log.String())
}

func TestRequestsLimit(t *testing.T) {
	t.Parallel()
	fake := &fakeConnect{rows: purchases(50)}
	got, err := listed(t, clientOver(t, fake, connect.WithPageSize(10)), connect.RequestQuery{Limit: 25})
	require.NoError(t, err)
	require.Equal(t, idsOf(fake.rows[:25]), got)
}

func TestRequest(t *testing.T) {
	t.Parallel()
	client := clientOver(t, responding(func() *http.Response { return answer(http.StatusOK, golden(t, "request.json")) }))
	r, err := client.Request(t.Context(), "PR-9301-9893-8624-001")
	require.NoError(t, err)
	require.Equal(t, "PR-9301-9893-8624-001", r.ID)
	require.Equal(t, "the vendor", r.Status.NextActor())
}

func TestCountRequests(t *testing.T) {
	t.Parallel()
	fake := &fakeConnect{rows: purchases(12)}
	fake.rows[3].status = "failed"
	client := clientOver(t, fake)
	n, err := client.CountRequests(t.Context(), connect.RequestQuery{})
	require.NoError(t, err)
	require.Equal(t, 12, n)
	n, err = client.CountRequests(t.Context(),
		connect.RequestQuery{Statuses: []connect.RequestStatus{connect.StatusFailed}})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, []string{"limit=0&offset=0", "eq(status,failed)&limit=0&offset=0"}, fake.queries)
}

func TestCountRequestsWithoutTotal(t *testing.T) {
	t.Parallel()
	client := clientOver(t, &fakeConnect{rows: purchases(3), noRange: true})
	_, err := client.CountRequests(t.Context(), connect.RequestQuery{})
	require.ErrorContains(t, err, "no Content-Range header")
}
