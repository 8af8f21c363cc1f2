package audit_test

import (
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
)

// An OnEvent that panics is removed, and the log is written all the same.
func TestWrapWithPanickingOnEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		l := open(t, path)
		s := newShop(2)
		panics := func(e resubmit.Event) {
			if _, ok := e.(resubmit.PushIntended); ok {
				panic("the observer is broken")
			}
		}
		r, err := resubmit.NewRunner(l.Wrap(resubmit.Config{
			Systems: resubmit.SystemsOf(s, nil), Journal: &s.journal, OnEvent: panics, RateLimit: -1,
		}))
		require.NoError(t, err)
		report, err := r.Apply(t.Context(), s.plan(t))
		require.NoError(t, err)
		require.Contains(t, report.EventError, "the observer is broken")
		require.NoError(t, l.Close())
		all := events(linesOf(t, path))
		require.Contains(t, all, audit.EventOutcome+" id-2")
		require.Contains(t, all, audit.EventRunFinished)
	})
}

func TestWrapKeepsNilFields(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "audit.jsonl"))
	defer l.Close()
	for field, cfg := range map[string]resubmit.Config{
		"Config.Lister":  {Systems: resubmit.SystemsOf(newShop(1), (*shop)(nil))},
		"Config.Reader":  {Systems: resubmit.SystemsOf((*shop)(nil), nil)},
		"Config.Pusher":  {Systems: resubmit.Systems{Reader: newShop(1), Pusher: (*shop)(nil)}},
		"Config.Journal": {Systems: resubmit.SystemsOf(newShop(1), nil), Journal: (*resubmit.MemoryJournal)(nil)},
	} {
		_, err := resubmit.NewRunner(l.Wrap(cfg))
		require.ErrorContains(t, err, field+" holds a nil")
	}
}
