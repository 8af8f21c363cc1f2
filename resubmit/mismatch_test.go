package resubmit_test

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
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
			ID: id, Number: "SO" + id, Type: commerce.TypeSales, Status: status,
			PlacedAt: time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC),
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
				Journal: new(resubmit.MemoryJournal),
				Systems: systemsOf(resubmit.Systems{Lister: source}), IgnoreConnect: true, Filter: filter.Everything(),
				Logger: slog.New(slog.NewTextHandler(&log, nil)),
			})
			require.NoError(t, err)
			require.Equal(t, 1, plan.Counts().Total)
			require.Equal(t, "1 order, hold 1; 2 rows did not match the query", plan.Counts().String())
			require.Equal(t, []string{`SO2 (status "CP")`, `SO3 (status "PR")`}, plan.Mismatched())
			require.Contains(t, log.String(), `2 rows did not match the query: SO2 (status \"CP\"), SO3 (status \"PR\")`)

			source.good = odd
			_, err = resubmit.BuildPlan(t.Context(),
				resubmit.PlanConfig{
					Journal: new(resubmit.MemoryJournal),
					Systems: systemsOf(resubmit.Systems{Lister: source}), IgnoreConnect: true, Filter: filter.Everything(),
				})
			require.ErrorContains(t, err, "none of the rows that the server returned is what it was asked for")
		})
	}
}

// writeMismatched writes a plan of one order that left n rows out.
func writeMismatched(t *testing.T, n int) (path string) {
	t.Helper()
	placed := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	source := reportingSource{good: []*commerce.Order{{ID: "1", Number: "SO1", Type: commerce.TypeSales, Status: "PF",
		PlacedAt: placed}}}
	for i := range n {
		source.odd = append(source.odd,
			&commerce.Order{ID: fmt.Sprint("odd", i), Number: "SO\x1b[31m\u202e\"" + strings.Repeat("\x85", 60), Status: "CP"})
	}
	path = filepath.Join(t.TempDir(), "plan.jsonl")
	counts, err := resubmit.WritePlanFile(t.Context(),
		resubmit.PlanConfig{
			Journal: journalOf(t),
			Systems: systemsOf(resubmit.Systems{Lister: source}), IgnoreConnect: true, Filter: filter.Everything(),
		}, path)
	require.NoError(t, err)
	require.Equal(t, n, counts.Mismatched)
	plan, err := plan.Open(path)
	require.NoError(t, err)
	require.NoError(t, plan.Close())
	return path
}

func TestPlanFile_keeps_rows_that_do_not_match(t *testing.T) {
	t.Parallel()
	const n = 1000
	path := writeMismatched(t, n)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(text), "\u202e")
	p, err := plan.Open(path)
	require.NoError(t, err)
	require.Equal(t, 1, p.Counts().Total)
	require.Equal(t, n, p.Counts().Mismatched)
	require.Len(t, p.Mismatched(), 5)
	require.Contains(t, p.Mismatched()[4], `(status "CP")`)
	require.NoError(t, p.Close())
	for _, edit := range [][2]string{{`"mismatched":1000`, `"mismatched":2000`}, {`(status`, `(Status`},
		{`,"mismatched":1000`, ``}} {
		edited := strings.Replace(string(text), edit[0], edit[1], 1)
		require.NotEqual(t, string(text), edited)
		_, err := plan.Read(strings.NewReader(edited), int64(len(edited)))
		require.Error(t, err, edit[0])
	}
}

func TestReport_counts_rows_that_do_not_match(t *testing.T) {
	t.Parallel()
	path := writeMismatched(t, 3)
	plan, err := plan.Open(path)
	require.NoError(t, err)
	report, err := runnerFor(t, newShop(), nil).Apply(t.Context(), plan)
	require.NoError(t, err)
	require.Equal(t, 3, report.Plan.Mismatched)
	require.NoError(t, plan.Close())
}
