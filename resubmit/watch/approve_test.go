package watch_test

import (
	"crypto/ed25519"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// The status must say what is missing even if the path of the plan is long.
func TestApprovedPlanWithoutSignatureIsNotApplied(t *testing.T) {
	in(t, func(t *testing.T) {
		key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
		s, _ := announced(3)
		p := &process{site: s, dir: filepath.Join(t.TempDir(), strings.Repeat("state", 30)), ended: make(chan struct{})}
		s.run(t, p, nil, func(c *watch.Config) { c.Runner.Require = []ed25519.PublicKey{publicKey(key)} })
		pass(5 * time.Hour)
		status := p.watcher.Status()
		require.Equal(t, watch.PhaseError, status.Phase)
		require.ErrorIs(t, status.Err, plan.ErrUnsigned)
		const missing = "is approved but has no valid signature, so nothing is sent; sign it with a required key"
		require.Contains(t, status.Text, missing)
		require.Equal(t, 1, strings.Count(s.log(), missing), "the reason is logged once")
		require.Len(t, s.asked, 1, "Approve must not be called again")
		require.Zero(t, s.pushes())

		files, err := filepath.Glob(filepath.Join(p.dir, "*.plan.jsonl"))
		require.NoError(t, err)
		require.Len(t, files, 1)
		_, err = plan.SignFile(files[0], key, "An Operator")
		require.NoError(t, err)
		pass(time.Hour)
		p.stop(t)
		require.Equal(t, 3, s.pushes())
	})
}

// killedAt returns a site and a process that was killed at a point, and a function that starts a new one with the files
// of the old one.
func killedAt(t *testing.T, point string, answers ...watch.Approval) (*site, *process, func() *process) {
	t.Helper()
	s, _ := announced(3)
	s.answers = answers
	p := s.start(t, filepath.Join(t.TempDir(), "state"), nil, func(now string) bool { return now == point })
	<-p.ended
	return s, p, func() *process { return s.start(t, p.dead, p.stop(t), nil) }
}

// replacePlan replaces the plan of a process that was killed by another one, and returns its digest.
func (p *process) replacePlan(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.dead, "*.plan.jsonl"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	_, err = resubmit.WritePlanFile(t.Context(), resubmit.PlanConfig{
		Systems: systemsOf(p.site, p.site, p), Journal: p.site.journal, RateLimit: -1, IgnoreConnect: true,
		Filter: filter.Everything(),
	}, files[0])
	require.NoError(t, err)
	other, err := plan.Open(files[0])
	require.NoError(t, err)
	require.NoError(t, other.Close())
	require.NotZero(t, other.Counts().Resubmit)
	return other.Digest()
}

func TestApprovedPlanThatWasReplacedIsNotApplied(t *testing.T) {
	in(t, func(t *testing.T) {
		s, killed, restart := killedAt(t, "log applying")
		killed.replacePlan(t)
		p := restart()
		pass(24 * time.Hour)
		require.ErrorContains(t, p.watcher.Status().Err, "restore its file")
		p.stop(t)
		require.Zero(t, s.pushes())
		require.Len(t, s.asked, 1, "the other plan is not approved")
	})
}

func TestUndecidedPlanThatWasReplacedIsMadeAgain(t *testing.T) {
	in(t, func(t *testing.T) {
		s, killed, restart := killedAt(t, "approve")
		other := killed.replacePlan(t)
		p := restart()
		pass(24 * time.Hour)
		p.stop(t)
		require.NotContains(t, s.asked, other)
		require.Len(t, s.asked, 1)
		require.Equal(t, 3, s.pushes())
	})
}

// Otherwise a restarted watcher would ask again about a plan that has begun, or discard it.
func TestApprovalIsSavedBeforeThePlanIsApplied(t *testing.T) {
	in(t, func(t *testing.T) {
		answers := []watch.Approval{{State: watch.Approved}, {State: watch.Rejected}}
		s, _, restart := killedAt(t, "after push", answers...)
		require.Equal(t, 1, s.pushes())
		p := restart()
		pass(24 * time.Hour)
		p.stop(t)
		require.Len(t, s.asked, 1)
		require.Len(t, s.done, 1, "%s", s.log())
		require.Equal(t, watch.EpisodeApplied, s.done[0].State)
		require.Equal(t, 3, s.pushes())
	})
}

func TestApprovalCannotBeForgedInTheState(t *testing.T) {
	t.Parallel()
	other := ed25519.NewKeyFromSeed([]byte("another key, by which nobody is "))
	for name, forge := range map[string]func(p *plan.Plan) string{
		"none":        func(*plan.Plan) string { return "" },
		"another_key": func(p *plan.Plan) string { return signed(t, p, other) },
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				s, killed, restart := killedAt(t, "approve", watch.Approval{State: watch.Rejected})
				files, err := filepath.Glob(filepath.Join(killed.dead, "*.plan.jsonl"))
				require.NoError(t, err)
				p, err := plan.Open(files[0])
				require.NoError(t, err)
				approval, err := json.Marshal(forge(p))
				require.NoError(t, err)
				require.NoError(t, p.Close())
				path := filepath.Join(killed.dead, "watcher.json")
				state, err := os.ReadFile(path)
				require.NoError(t, err)
				forged := strings.Replace(string(state), `"state": "planned"`,
					`"state": "applying", "approval": `+string(approval), 1)
				require.NotEqual(t, string(state), forged)
				require.NoError(t, os.WriteFile(path, []byte(forged), 0o600))
				restarted := restart()
				pass(24 * time.Hour)
				restarted.stop(t)
				require.Zero(t, s.pushes())
				require.Len(t, s.asked, 1, "it is asked again")
				require.Equal(t, watch.EpisodeRejected, s.done[0].State)
			})
		})
	}
}

func signed(t *testing.T, p *plan.Plan, key ed25519.PrivateKey) string {
	t.Helper()
	signature, err := p.Sign(key, "somebody")
	require.NoError(t, err)
	return string(signature.Line())
}

// A journal that is missing, or older than the plan, does not know what was sent.
func TestWatcherWithAnotherJournalDoesNothing(t *testing.T) {
	t.Parallel()
	t.Run("approved", func(t *testing.T) {
		in(t, func(t *testing.T) {
			s, _, restart := killedAt(t, "after push")
			s.journal = new(resubmit.MemoryJournal)
			p := restart()
			pass(24 * time.Hour)
			require.ErrorIs(t, p.watcher.Status().Err, resubmit.ErrJournalMismatch)
			p.stop(t)
			require.Equal(t, 1, s.pushes())
		})
	})
	t.Run("before_the_next_plan", func(t *testing.T) {
		in(t, func(t *testing.T) {
			s, w := announced(1)
			next := maintenance.Window{ID: "CHG-2", Start: w.End.AddDate(0, 0, 7), End: w.End.AddDate(0, 0, 7).Add(time.Hour)}
			s.notices = append(s.notices, notice{window: next})
			s.down = append(s.down, next.Span())
			s.breaks(next.Start.Add(time.Minute), outage)
			p := s.start(t, t.TempDir(), nil, nil)
			pass(24 * time.Hour)
			require.Equal(t, 1, s.pushes())
			remembered := p.stop(t)
			s.journal = new(resubmit.MemoryJournal)
			p = s.start(t, p.dir, remembered, nil)
			pass(8 * 24 * time.Hour)
			require.ErrorIs(t, p.watcher.Status().Err, resubmit.ErrJournalMismatch)
			require.ErrorContains(t, p.watcher.Status().Err, "restore the journal")
			p.stop(t)
			require.Equal(t, 1, s.pushes())
			require.Len(t, s.asked, 1)
		})
	})
}

func publicKey(key ed25519.PrivateKey) ed25519.PublicKey {
	public, _ := key.Public().(ed25519.PublicKey)
	return public
}
