package watch_test

import (
	"context"
	"crypto/ed25519"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// The status must say what is missing even if the path of the plan is long.
func TestPlanThatMustBeSignedWaitsForAPerson(t *testing.T) {
	in(t, func(t *testing.T) {
		s, _ := announced(3)
		p := &process{site: s, dir: filepath.Join(t.TempDir(), strings.Repeat("state", 30)), ended: make(chan struct{})}
		s.run(t, p, nil, func(c *watch.Config) {
			c.State.Runner.Require, c.Approve, c.ApprovalKey = []ed25519.PublicKey{publicKey(otherKey)}, nil, nil
		})
		pass(5 * time.Hour)
		status := p.watcher.Status()
		require.Equal(t, watch.PhaseAwaitingApproval, status.Phase)
		const missing = "waits for approval: every plan must be signed. Review it and run: "
		require.Contains(t, status.Text, missing)
		require.Equal(t, 1, strings.Count(s.log(), missing), "the reason is logged once")
		require.Zero(t, s.pushes())

		_, err := plan.SignFile(p.planFile(t, p.dir), otherKey, "An Operator")
		require.NoError(t, err)
		pass(2 * time.Hour)
		p.stop(t)
		require.Equal(t, 3, s.pushes())
	})
}

func TestApprovalNamesWhoDecided(t *testing.T) {
	in(t, func(t *testing.T) {
		s, _ := announced(3)
		people := "ana@example.net" + strings.Repeat(", ben", 50)
		s.answer([]watch.Approval{{State: watch.Approved, By: people, Why: "looked at it"}})
		p := s.start(t, filepath.Join(t.TempDir(), "state"), nil, nil)
		pass(24 * time.Hour)
		p.stop(t)
		require.Equal(t, 3, s.pushes())
		signed, err := os.ReadFile(p.planFile(t, p.dir) + ".sig")
		require.NoError(t, err)
		require.Contains(t, string(signed), `"ana@example.net, ben`)
		log, err := os.ReadFile(filepath.Join(filepath.Dir(p.planFile(t, p.dir)), "audit.jsonl"))
		require.NoError(t, err)
		require.Contains(t, string(log), `"by":"ana@example.net, ben`)
		require.NotContains(t, string(log), `"by":"watcher"`)
	})
}

// planFile returns the path of the only plan in a directory.
func (p *process) planFile(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "runs", "*", "plan.jsonl"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	return files[0]
}

// killedAt returns a site and a process that was killed at a point, and a function that starts a new one with the files
// of the old one.
func killedAt(t *testing.T, point string, answers ...watch.Approval) (*site, *process, func() *process) {
	t.Helper()
	s, _ := announced(3)
	s.answer(answers)
	p := s.start(t, filepath.Join(t.TempDir(), "state"), nil, func(now string) bool { return now == point })
	<-p.ended
	return s, p, func() *process { return s.start(t, p.dead, p.stop(t), nil) }
}

// replacePlan replaces the plan of a process that was killed by another one, and returns its digest.
func (p *process) replacePlan(t *testing.T) string {
	t.Helper()
	path := p.planFile(t, p.dead)
	_, err := resubmit.WritePlanFile(t.Context(), resubmit.PlanConfig{
		Systems: systemsOf(p.site, p.site, p), Journal: p.site.journal, RateLimit: -1, IgnoreConnect: true,
		Filter: filter.Everything(),
	}, path)
	require.NoError(t, err)
	other, err := plan.Open(path)
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
		require.ErrorContains(t, p.watcher.Status().Err, "put the file back")
		p.stop(t)
		require.Zero(t, s.pushes())
		require.Len(t, s.questions(), 1, "the other plan is not approved")
	})
}

func TestUndecidedPlanThatWasReplacedIsMadeAgain(t *testing.T) {
	in(t, func(t *testing.T) {
		s, killed, restart := killedAt(t, "approve")
		other := killed.replacePlan(t)
		p := restart()
		pass(24 * time.Hour)
		p.stop(t)
		require.NotContains(t, s.questions(), other)
		require.Len(t, s.questions(), 1)
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
		require.Len(t, s.questions(), 1)
		require.Len(t, s.episodes(), 1, "%s", s.log())
		require.Equal(t, watch.EpisodeApplied, s.episodes()[0].State)
		require.Equal(t, 3, s.pushes())
	})
}

func TestApprovalCannotBeForgedInTheState(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]func(t *testing.T, path string){
		"started": func(t *testing.T, path string) {
			run, err := os.ReadFile(filepath.Join(filepath.Dir(path), "run.json"))
			require.NoError(t, err)
			forged := strings.Replace(string(run), `"plannedAt"`, `"startedAt": "2000-01-01T03:05:00Z", "plannedAt"`, 1)
			require.NotEqual(t, string(run), forged)
			require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), "run.json"), []byte(forged), 0o600))
		},
		"another_key": func(t *testing.T, path string) {
			_, err := plan.SignFile(path, otherKey, "somebody")
			require.NoError(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				s, killed, restart := killedAt(t, "approve", watch.Approval{State: watch.Rejected, Why: "by hand"})
				forge(t, killed.planFile(t, killed.dead))
				restarted := restart()
				pass(24 * time.Hour)
				restarted.stop(t)
				require.Zero(t, s.pushes())
				require.Len(t, s.questions(), 1, "it is asked again")
				if name != "started" { // a started run is cancelled, not rejected
					require.Equal(t, watch.EpisodeRejected, s.episodes()[0].State)
				}
				require.Contains(t, s.episodes()[0].Note, "by watcher: the plan was rejected: by hand")
			})
		})
	}
}

var otherKey = ed25519.NewKeyFromSeed([]byte("another key, by which nobody is "))

// A journal that is missing, or older than the plan, does not know what was sent.
func TestWatcherWithAnotherJournalDoesNothing(t *testing.T) {
	t.Parallel()
	t.Run("approved", func(t *testing.T) {
		in(t, func(t *testing.T) {
			s, killed, _ := killedAt(t, "after push")
			s.journal = new(resubmit.MemoryJournal)
			killed.dir = killed.dead
			_, err := watch.New(t.Context(), killed.config())
			require.ErrorIs(t, err, resubmit.ErrJournalMismatch)
			require.ErrorContains(t, err, "put the newest copy of journal and anchor back")
			killed.stop(t)
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
			var current atomic.Pointer[resubmit.MemoryJournal]
			current.Store(new(resubmit.MemoryJournal))
			p := &process{site: s, dir: t.TempDir(), ended: make(chan struct{})}
			s.run(t, p, nil, func(c *watch.Config) { c.State.Journal = swappedJournal{&current} })
			pass(24 * time.Hour)
			require.Equal(t, 1, s.pushes())
			current.Store(new(resubmit.MemoryJournal))
			pass(8 * 24 * time.Hour)
			require.ErrorIs(t, p.watcher.Status().Err, resubmit.ErrJournalMismatch)
			require.ErrorContains(t, p.watcher.Status().Err, "put the newest copy of journal and anchor back")
			p.stop(t)
			require.Equal(t, 1, s.pushes())
			require.Len(t, s.questions(), 1)
		})
	})
}

// swappedJournal is a journal that somebody may replace while the process runs.
type swappedJournal struct {
	now *atomic.Pointer[resubmit.MemoryJournal]
}

func (j swappedJournal) Begin(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
	return j.now.Load().Begin(ctx, u)
}

func (j swappedJournal) Put(ctx context.Context, d resubmit.Durability, r ...protocol.Record) (uint64, error) {
	return j.now.Load().Put(ctx, d, r...)
}

func (j swappedJournal) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	return j.now.Load().Get(ctx, k)
}

func (j swappedJournal) Records(ctx context.Context) iter.Seq2[protocol.Record, error] {
	return j.now.Load().Records(ctx)
}

func (j swappedJournal) Flush(ctx context.Context) (plan.Position, error) {
	return j.now.Load().Flush(ctx)
}

func publicKey(key ed25519.PrivateKey) ed25519.PublicKey {
	public, _ := key.Public().(ed25519.PublicKey)
	return public
}
