package filter_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

func TestPushdown(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		filter string
		query  commerce.Query
		want   commerce.Query
		rest   string
	}{
		"all that a server can answer goes into the query": {
			filter: "and(in(status,(PF,LO)),eq(type,SO),in(id,(1,2)),eq(number,SO1),like(number,SO*),ge(placed,2026-11-01)," +
				"lt(placed,2026-11-02))",
			want: commerce.Query{Statuses: []commerce.Status{"PF", "LO"}, Types: []commerce.OrderType{"SO"},
				IDs:     []string{"1", "2"},
				Numbers: []string{"SO1"}, NumberLike: "SO*", PlacedFrom: day(1), PlacedTo: day(2)},
			rest: "everything()",
		},
		"what it cannot answer is left": {
			filter: "status=PF&channel=reseller&ilike(number,so*)&not(type=SO)",
			want:   commerce.Query{Statuses: []commerce.Status{"PF"}},
			rest:   "and(eq(channel,reseller),ilike(number,so*),not(eq(type,SO)))",
		},
		"what is asked for already is narrowed": {
			filter: "in(status,(PF,CP))&ge(placed,2026-11-03)&lt(placed,2026-11-30)",
			query: commerce.Query{Statuses: []commerce.Status{"PF", "LO"}, PlacedFrom: day(1), PlacedTo: day(9),
				Sort: commerce.NewestFirst, Account: "a"},
			want: commerce.Query{Statuses: []commerce.Status{"PF"}, PlacedFrom: day(3), PlacedTo: day(9),
				Sort: commerce.NewestFirst, Account: "a"},
			rest: "everything()",
		},
		"a contradiction asks for nothing, not for everything": {
			filter: "status=LO",
			query:  commerce.Query{Statuses: []commerce.Status{"PF"}},
			want: commerce.Query{Statuses: []commerce.Status{"PF"}, PlacedFrom: time.Unix(0, 0).UTC(),
				PlacedTo: time.Unix(0, 0).UTC()},
			rest: "everything()",
		},
		"alternatives of one property are a list": {
			filter: "(status=PF|status=LO|in(status,(PF,CP)))",
			want:   commerce.Query{Statuses: []commerce.Status{"PF", "LO", "CP"}},
			rest:   "everything()",
		},
		"alternatives of two properties are not": {
			filter: "(status=PF|type=SO)",
			rest:   "or(eq(status,PF),eq(type,SO))",
		},
		"there is room for one pattern": {
			filter: "like(number,SO*)&like(number,*7)",
			want:   commerce.Query{NumberLike: "SO*"},
			rest:   "like(number,*7)",
		},
		"other comparisons of time ask for a little more and check again": {
			filter: "gt(placed,2026-11-01)&le(placed,2026-11-02)",
			want:   commerce.Query{PlacedFrom: day(1), PlacedTo: day(2).Add(time.Second)},
			rest:   "and(gt(placed,2026-11-01T00:00:00Z),le(placed,2026-11-02T00:00:00Z))",
		},
		"a query with a limit stays as it is": {
			filter: "status=PF",
			query:  commerce.Query{Limit: 10},
			want:   commerce.Query{Limit: 10},
			rest:   "eq(status,PF)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, rest := filter.ToQuery(mustParse(t, test.filter), test.query)
			require.Equal(t, test.want, got)
			require.Equal(t, test.rest, rest.String())
		})
	}
}

func day(d int) time.Time { return time.Date(2026, 11, d, 0, 0, 0, 0, time.UTC) }

func TestPushdownOfAnInvalidFilterSelectsNothing(t *testing.T) {
	t.Parallel()
	q, rest := filter.ToQuery(nil, commerce.Query{})
	o := acme()
	require.False(t, q.Match(o))
	require.False(t, rest.Match(o))
	require.Error(t, filter.Validate(rest))
}

func aQuery(t *rapid.T) commerce.Query {
	q := commerce.Query{PlacedFrom: someTime(t, "query from"), PlacedTo: someTime(t, "query to")}
	if rapid.Bool().Draw(t, "asks for statuses") {
		q.Statuses = some(t, "query statuses", someStatuses)
	}
	if rapid.Bool().Draw(t, "asks for types") {
		q.Types = some(t, "query types", someTypes)
	}
	if rapid.Bool().Draw(t, "asks for ids") {
		q.IDs = some(t, "query ids", someIDs)
	}
	if rapid.Bool().Draw(t, "asks for numbers") {
		q.Numbers = some(t, "query numbers", someNumbers)
	}
	if rapid.Bool().Draw(t, "asks for a pattern") {
		q.NumberLike = rapid.SampledFrom(somePatterns).Draw(t, "query pattern")
	}
	return q
}

// TestPushdownSelectsTheSameOrdersAsAFullScan is the other half of invariant I11.
func TestPushdownSelectsTheSameOrdersAsAFullScan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f, q := aFilter(t, 2), aQuery(t)
		narrowed, rest := filter.ToQuery(f, q)
		for range 10 {
			o := anOrder(t)
			require.Equal(t, q.Match(o) && f.Match(o), narrowed.Match(o) && rest.Match(o), "%s with %+v became %s with %+v", f,
				q, rest, narrowed)
			require.False(t, narrowed.Match(o) && !q.Match(o), "a query was widened")
		}
	})
}

func TestPushdownDoesNotModifyTheQuery(t *testing.T) {
	t.Parallel()
	statuses := []commerce.Status{"PF", "LO"}
	q := commerce.Query{Statuses: statuses}
	narrowed, _ := filter.ToQuery(filter.Statuses("LO"), q)
	narrowed.Statuses[0] = "XX"
	require.Equal(t, []commerce.Status{"PF", "LO"}, statuses)
}
