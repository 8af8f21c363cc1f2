package resubmit_test

import (
	"bytes"
	"context"
	"iter"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// reportingSource reports all but some of its orders as rows that do not match.
type reportingSource struct{ good, odd []*commerce.Order }

func (s reportingSource) Orders(_ context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		for _, o := range s.odd {
			q.OnMismatch(o)
		}
		for _, o := range s.good {
			if !yield(o, nil) {
				return
			}
		}
	}
}

func TestPlan_reports_rows_that_do_not_match(t *testing.T) {
	t.Parallel()
	order := func(id string, status commerce.Status) *commerce.Order {
		return &commerce.Order{
			ID: id, Number: "SO" + id, Type: commerce.TypeSales, Status: status, PlacedAt: time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC),
		}
	}
	good, odd := []*commerce.Order{order("1", "PF")}, []*commerce.Order{order("2", "CP"), order("3", "PR")}
	for name, source := range map[string]reportingSource{
		"that the source reports": {good: good, odd: odd},
		"that the source yields":  {good: append(odd, good...)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			plan, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
				Source: source, IgnoreConnect: true, Filter: resubmit.Everything(), Logger: slog.New(slog.NewTextHandler(&log, nil)),
			})
			require.NoError(t, err)
			require.Equal(t, 1, plan.Counts().Total)
			require.Contains(t, log.String(), `2 rows did not match the query: SO2 (status \"CP\"), SO3 (status \"PR\")`)

			source.good = odd
			_, err = resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{Source: source, IgnoreConnect: true, Filter: resubmit.Everything()})
			require.ErrorContains(t, err, "none of the rows that the server returned is what it was asked for")
		})
	}
}
