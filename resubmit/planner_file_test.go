package resubmit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// The plan is longer than what is brought to disk at once.
func TestWritePlanFileIsCompleteOrAbsent(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := t.TempDir()
	path := filepath.Join(dir, "plan.jsonl")
	source := failedOrders(450)
	for _, o := range source.orders {
		o.Failure = failed(textTransient + strings.Repeat(" and so on", 4000))
	}
	cfg := resubmit.PlanConfig{
		Journal:   new(resubmit.MemoryJournal),
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source}), IgnoreConnect: true, Filter: filter.Everything(),
	}
	counts, err := resubmit.WritePlanFile(t.Context(), cfg, path)
	require.NoError(t, err)
	require.Equal(t, 450, counts.Resubmit)
	plan, err := plan.Open(path)
	require.NoError(t, err)
	require.Equal(t, counts, plan.Counts())
	require.NoError(t, plan.Close())
	require.NoError(t, os.Remove(path))

	source.err = errors.New("the list broke off")
	_, err = resubmit.WritePlanFile(context.Background(), cfg, path)
	require.ErrorIs(t, err, source.err)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}
