package state

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// acts returns what persons did, by the audit log of a run.
func acts(t *testing.T, d *Dir, run *Run) (all []string) {
	t.Helper()
	content, err := os.ReadFile(d.Path(run, auditFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	for text := range strings.Lines(string(content)) {
		var line audit.Line
		require.NoError(t, json.Unmarshal([]byte(text), &line))
		if line.Event == audit.EventAct {
			require.Equal(t, run.Digest, line.Plan)
			all = append(all, strings.TrimSuffix(line.State+" by "+line.By+": "+line.Why, ": "))
		}
	}
	return all
}

func (w *world) plan(d *Dir, by string) *Run {
	w.t.Helper()
	run, err := d.Plan(w.t.Context(), nil, PlanOptions{By: by, For: "CHG-2041"})
	require.NoError(w.t, err)
	return run
}

func TestPlan(t *testing.T) {
	t.Parallel()
	t.Run("is applied only after an approval, whatever the limits", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(2)...)
		key, public := newKey(t)
		w.cfg.Approvers = append(w.cfg.Approvers, public)
		d := w.open()
		run := w.plan(d, "ana")
		require.Equal(t, "ana", run.PlannedBy)
		require.Equal(t, "CHG-2041", run.For)
		require.Empty(t, run.End)
		for _, o := range []OnceOptions{{}, {Continue: true}, {For: "another maintenance"}} {
			_, err := w.onceWith(o)
			need := requireApproval(t, err)
			require.Equal(t, []string{"a person must review it"}, need.Reasons)
			require.Equal(t, run.Digest, need.Run.Digest)
		}
		require.Empty(t, w.sends())

		require.NoError(t, d.Approve(run.Digest, "ben, approver, from 10.0.0.7", key))
		r, err := w.onceWith(OnceOptions{Continue: true})
		require.NoError(t, err)
		require.Equal(t, EndFinished, r.Runs[0].End)
		require.Equal(t, "ana", r.Runs[0].PlannedBy)
		require.Len(t, w.sends(), 2)
		require.Equal(t, []string{"approve by ben, approver, from 10.0.0.7"}, acts(t, d, run))
		_, err = d.VerifyAudit()
		require.NoError(t, err)
	})
	t.Run("replaces an older plan that was not applied, approved or not, and keeps its pause", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(2)...)
		key, public := newKey(t)
		w.cfg.Approvers = append(w.cfg.Approvers, public)
		d := w.open()
		first := w.plan(d, "ana")
		require.NoError(t, d.Approve(first.Digest, "ben", key))
		require.NoError(t, d.Control(Command{Action: ActionPause, By: "eve", Why: "wait"}))
		w.planErr = errors.New("Commerce does not answer")
		_, err := d.Plan(t.Context(), nil, PlanOptions{})
		require.ErrorIs(t, err, w.planErr)
		status, err := d.Status()
		require.NoError(t, err)
		require.Equal(t, first.ID, status.Run.ID)
		require.False(t, status.Run.Ended(), "the older plan stays after an error")

		w.planErr = nil
		w.fail(someOrders(3)...)
		second := w.plan(d, "")
		require.Contains(t, second.PlannedBy, "nightly", "the user of this process")
		require.ErrorIs(t, d.Approve(first.Digest, "ben", key), ErrNoRun)
		require.NoError(t, d.Approve(second.Digest, "ben", key))
		_, err = w.once()
		require.ErrorIs(t, err, ErrPaused)
		require.ErrorContains(t, err, "by eve")
		require.NoError(t, d.Control(Command{Action: ActionResume, By: "eve"}))
		r, err := w.once()
		require.NoError(t, err)
		require.Len(t, r.Runs, 1)
		require.Len(t, w.sends(), 3)
		runs, err := d.Runs()
		require.NoError(t, err)
		require.Equal(t, EndStale, runs[0].End)
		require.Contains(t, runs[0].Why, "replaced by a newer plan of ")
		require.Equal(t, []string{"approve by ben", "pause by eve: wait"}, acts(t, d, first))
		require.Equal(t, []string{"approve by ben", "resume by eve"}, acts(t, d, second))
	})
	t.Run("does not replace a run that has begun", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(2)...)
		accident := errors.New("an accident")
		w.beforePush = func(context.Context, *fakeRunner, *plan.Entry) error { return accident }
		_, err := w.once()
		require.ErrorIs(t, err, accident)
		_, err = w.open().Plan(t.Context(), nil, PlanOptions{})
		oneLine(t, err)
		require.ErrorIs(t, err, ErrUnfinished)
		require.ErrorContains(t, err, "am -state DIR drain")
	})
	t.Run("ends at once if no order can be resubmitted", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		require.Equal(t, EndNothing, w.plan(w.open(), "ana").End)
		w.fail(waiting(1, now()))
		run := w.plan(w.open(), "ana")
		require.Equal(t, EndTooEarly, run.End)
		require.ErrorIs(t, w.open().Approve(run.Digest, "ben", nil), ErrNoRun)
	})
	t.Run("keeps the pause even if no order can be resubmitted", func(t *testing.T) {
		t.Parallel()
		for _, left := range [][]*plan.Entry{nil, {waiting(1, now())}} {
			w := newWorld(t, someOrders(2)...)
			w.plan(w.open(), "ana")
			require.NoError(t, w.open().Control(Command{Action: ActionPause, By: "eve"}))
			w.fail(left...)
			require.Equal(t, "eve", w.plan(w.open(), "ana").Paused.By)
			w.fail(someOrders(2)...)
			for range 2 {
				_, err := w.once()
				require.ErrorIs(t, err, ErrPaused)
			}
			require.NoError(t, w.open().Control(Command{Action: ActionResume, By: "eve"}))
			r, _ := w.once()
			require.Equal(t, r.Runs[0].nothing(), r.Runs[0].End)
			require.Empty(t, w.sends())
		}
	})
	t.Run("obeys commands that are given while it is made", func(t *testing.T) {
		t.Parallel()
		for action, want := range map[Action]error{
			ActionPause: nil, ActionDrain: resubmit.ErrDrained, ActionCancel: resubmit.ErrCancelled,
		} {
			w := newWorld(t, someOrders(2)...)
			first := w.plan(w.open(), "ana")
			w.whilePlanning = func(context.Context) error {
				return w.open().Control(Command{Action: action, By: "eve", Why: "wait"})
			}
			_, planned := w.open().Plan(t.Context(), nil, PlanOptions{})
			require.ErrorIs(t, planned, want)
			status, err := w.open().Status()
			require.NoError(t, err)
			require.Empty(t, status.Commands)
			require.Equal(t, []string{string(action) + " by eve: wait"}, acts(t, w.open(), first))
			require.Equal(t, want == nil, status.Run.ID != first.ID)
			if want == nil {
				require.Equal(t, "eve", status.Run.Paused.By)
				continue
			}
			require.ErrorContains(t, planned, first.ID+": "+want.Error()+" by eve: wait")
			require.NotEqual(t, EndStale, status.Run.End)
		}
	})
	t.Run("is left to one process", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(2)...)
		d := w.open()
		lock, err := d.takeLock()
		require.NoError(t, err)
		defer lock.release()
		_, err = d.Plan(t.Context(), nil, PlanOptions{})
		_, locked := errors.AsType[*LockedError](err)
		require.True(t, locked, "%v", err)
	})
}

// A crash at any step of Plan leaves the older plan or the newer one, and sends nothing.
func TestPlanCrash(t *testing.T) {
	t.Parallel()
	for n := range 3 {
		w := newWorld(t, someOrders(2)...)
		first := w.plan(w.open(), "ana")
		crash, steps := errors.New("crash"), 0
		w.step = func(string) error {
			if steps++; steps > n {
				return crash
			}
			return nil
		}
		_, err := w.open().Plan(t.Context(), nil, PlanOptions{})
		require.ErrorIs(t, err, crash)
		w.step = func(string) error { return nil }
		status, err := w.open().Status()
		require.NoError(t, err)
		require.Equal(t, n < 2, first.ID == status.Run.ID)
		require.False(t, status.Run.Ended())
		_, err = w.once()
		requireApproval(t, err)
		require.Empty(t, w.sends())
		runs, err := w.open().Runs()
		require.NoError(t, err)
		for _, run := range runs {
			require.Equal(t, run.ID != status.Run.ID, run.Ended())
		}
		require.NotEmpty(t, w.plan(w.open(), "ben").ID)
	}
}

func TestApprovalIsRecordedFirst(t *testing.T) {
	t.Parallel()
	newApproval := func(t *testing.T) (*world, *Dir, *Run, func() error) {
		w := newWorld(t, someOrders(2)...)
		key, public := newKey(t)
		w.cfg.Approvers = append(w.cfg.Approvers, public)
		d := w.open()
		run := w.plan(d, "ana")
		return w, d, run, func() error { return d.Approve(run.Digest, "ben", key) }
	}
	t.Run("fails without the record", func(t *testing.T) {
		t.Parallel()
		w, d, run, approve := newApproval(t)
		full := errors.New("no space left")
		w.step = func(name string) error {
			if name == "write "+auditFile {
				return full
			}
			return nil
		}
		require.ErrorIs(t, approve(), full)
		require.NoFileExists(t, d.Path(run, planFile)+".sig")
		w.step = func(string) error { return nil }
		require.NoError(t, os.Mkdir(d.Path(run, auditFile), 0o700))
		oneLine(t, approve())
		require.NoFileExists(t, d.Path(run, planFile)+".sig")
		_, err := w.once()
		require.Error(t, err)
		require.Empty(t, w.sends())
	})
	t.Run("is in the log if the process is killed before it takes effect", func(t *testing.T) {
		t.Parallel()
		w, d, run, approve := newApproval(t)
		crash := errors.New("crash")
		w.step = func(name string) error {
			if name == "write the approval" {
				require.Equal(t, []string{"approve by ben"}, acts(t, d, run))
				return crash
			}
			return nil
		}
		require.ErrorIs(t, approve(), crash)
		_, err := w.once()
		requireApproval(t, err)
		w.step = func(string) error { return nil }
		require.NoError(t, approve())
		require.Equal(t, []string{"approve by ben", "approve by ben"}, acts(t, d, run))
	})
	t.Run("approves once", func(t *testing.T) {
		t.Parallel()
		w, d, run, approve := newApproval(t)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := approve(); err != nil {
					_, locked := errors.AsType[*LockedError](err)
					require.True(t, locked, "%v", err)
				}
			})
		}
		all.Wait()
		require.Equal(t, []string{"approve by ben"}, acts(t, d, run))
		w.beforePush = func(context.Context, *fakeRunner, *plan.Entry) error {
			require.NoError(t, approve(), "although this process has the lock")
			return nil
		}
		_, err := w.once()
		require.NoError(t, err)
		require.NoError(t, approve(), "the run is over")
		require.Len(t, w.applied, 1)
		require.Equal(t, map[string]int{"SO1": 1, "SO2": 1}, w.sends())
		require.Equal(t, []string{"approve by ben"}, acts(t, d, run))
	})
}

func TestCommandsAreRecordedFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, someOrders(2)...)
	d := w.open()
	run := w.plan(d, "ana")
	require.NoError(t, d.Control(Command{Action: ActionCancel, By: "ben", Why: "a mistake"}))
	full := errors.New("no space left")
	w.step = func(name string) error {
		if name == "write "+auditFile {
			return full
		}
		return nil
	}
	_, err := w.once()
	require.ErrorIs(t, err, full)
	status, err := d.Status()
	require.NoError(t, err)
	require.False(t, status.Run.Ended())
	require.Len(t, status.Commands, 1, "it is obeyed later")
	w.step = func(string) error { return nil }
	_, err = w.onceWith(OnceOptions{Continue: true})
	require.NoError(t, err)
	require.Equal(t, []string{"cancel by ben: a mistake"}, acts(t, d, run))
	require.NoFileExists(t, filepath.Join(w.dir, "runs", run.ID, reportFile))
	_, locked := durable.LockHolder(d.lockPath())
	require.False(t, locked)
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	approved := func(t *testing.T) (*world, *Dir, *Run, func() error) {
		w := newWorld(t, someOrders(2)...)
		key, public := newKey(t)
		w.cfg.Approvers = append(w.cfg.Approvers, public)
		w.cfg.Limits.MaxOrders = 1
		d := w.open()
		_, err := w.once()
		run := requireApproval(t, err).Run
		approve := func() error { return d.Approve(run.Digest, "ben", key) }
		require.NoError(t, approve())
		return w, d, run, approve
	}
	t.Run("withdraws an approval, also of a plan within the limits", func(t *testing.T) {
		t.Parallel()
		w, d, run, approve := approved(t)
		require.NoError(t, d.Revoke(run.Digest, "ana", "Acme asked us to wait"))
		w.cfg.Limits.MaxOrders = 500
		_, err := w.once()
		require.Equal(t, []string{"a person must review it"}, requireApproval(t, err).Reasons)
		require.Empty(t, w.sends())
		require.Equal(t, []string{"approve by ben", "revoke by ana: Acme asked us to wait"}, acts(t, d, run))
		err = d.Revoke(run.Digest, "ana", "again")
		oneLine(t, err)
		require.ErrorIs(t, err, plan.ErrUnsigned)
		require.NoError(t, approve())
		_, err = w.once()
		require.NoError(t, err)
		require.Len(t, w.sends(), 2)
	})
	t.Run("is too late when the run has begun", func(t *testing.T) {
		t.Parallel()
		w, d, run, _ := approved(t)
		accident := errors.New("an accident")
		w.beforePush = func(context.Context, *fakeRunner, *plan.Entry) error {
			require.ErrorIs(t, d.Revoke(run.Digest, "ana", ""), ErrUnfinished)
			return accident
		}
		_, err := w.once()
		require.ErrorIs(t, err, accident)
		err = d.Revoke(run.Digest, "ana", "")
		oneLine(t, err)
		require.ErrorIs(t, err, ErrUnfinished)
		require.ErrorContains(t, err, "run: am -state DIR drain, or: am -state DIR cancel")
		w.beforePush = nil
		_, err = w.once()
		require.NoError(t, err)
		require.ErrorIs(t, d.Revoke(run.Digest, "ana", ""), ErrNoRun)
		require.ErrorContains(t, d.Revoke("", "ana", ""), "the digest is empty")
	})
	t.Run("leaves no approval behind, whatever step it is killed in", func(t *testing.T) {
		t.Parallel()
		for _, at := range []string{"write " + auditFile, "write " + runFile, "remove the approval"} {
			w, d, run, _ := approved(t)
			crash := errors.New("crash")
			w.step = func(name string) error {
				if name == at {
					return crash
				}
				return nil
			}
			require.ErrorIs(t, d.Revoke(run.Digest, "ana", ""), crash)
			w.step = func(string) error { return nil }
			require.NoError(t, d.Revoke(run.Digest, "ana", ""), "it can be repeated")
			_, err := w.once()
			requireApproval(t, err)
		}
	})
}

func TestRunByName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, someOrders(2)...)
	d := w.open()
	first := w.plan(d, "ana")
	w.fail(someOrders(3)...)
	second := w.plan(d, "ana")
	hash := strings.TrimPrefix(second.Digest, "sha256:")
	for _, name := range []string{second.ID, second.Digest, hash, hash[:4], "sha256:" + hash[:12], hash[:20]} {
		run, err := d.Run(name)
		require.NoError(t, err, name)
		require.Equal(t, second.ID, run.ID, name)
	}
	run, err := d.Run(first.ID)
	require.NoError(t, err)
	require.Equal(t, EndStale, run.End)
	for _, name := range []string{"", "sha256:", hash[:3], hash[:20] + "zz", hash + "0", "../runs", second.ID + "x"} {
		_, err := d.Run(name)
		require.ErrorIs(t, err, fs.ErrNotExist, name)
	}
}
