package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

func TestOnce(t *testing.T) {
	t.Parallel()
	t.Run("plans, applies and archives", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(3)...)
		r, err := w.once()
		require.NoError(t, err)
		require.Len(t, r.Runs, 1)
		run := r.Runs[0]
		require.Equal(t, EndFinished, run.End)
		require.Equal(t, 3, run.Report.Result.Completed)
		require.Equal(t, map[string]int{"SO1": 1, "SO2": 1, "SO3": 1}, w.sends())
		require.Nil(t, r.Previous)

		d := w.open()
		for _, file := range []string{planFile, runFile, reportFile, csvFile, htmlFile} {
			info, err := os.Stat(d.Path(run, file))
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file)
		}
		doc, err := d.Document(run)
		require.NoError(t, err)
		require.Equal(t, 3, doc.Outcomes.Completed)
		runs, err := d.Runs()
		require.NoError(t, err)
		require.Len(t, runs, 1)
		require.Equal(t, 3, runs[0].Result.Completed)
		require.Equal(t, w.anchor.position().Journal, mustPlan(t, d, run).Header().Journal.Journal)
	})
	t.Run("says that there is nothing to do, and refers to the run before", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(2)...)
		first, err := w.once()
		require.NoError(t, err)
		for range 2 {
			r, err := w.once()
			require.NoError(t, err)
			require.Len(t, r.Runs, 1)
			require.Equal(t, EndNothing, r.Runs[0].End)
			require.Nil(t, r.Runs[0].Report, "the result of yesterday is not that of this call")
			require.Equal(t, first.Runs[0].ID, r.Previous.ID)
			require.Contains(t, r.String(), "nothing to do")
			require.Contains(t, r.String(), "nothing was sent by this call; the one before was run "+first.Runs[0].ID)
			require.Contains(t, r.String(), "finished")
		}
		require.Len(t, w.applied, 1)
	})
	t.Run("continues an unfinished run", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(3)...)
		broken := errors.New("Commerce does not answer")
		w.beforePush = func(_ context.Context, _ *fakeRunner, e *plan.Entry) error {
			if e.Number == "SO2" {
				return broken
			}
			return nil
		}
		r, err := w.once()
		require.ErrorIs(t, err, broken)
		require.False(t, r.Runs[0].Ended())
		require.Contains(t, r.Runs[0].String(), "not finished: Commerce does not answer")
		require.Equal(t, map[string]int{"SO1": 1}, w.sends())

		w.beforePush = nil
		w.failed = append(w.failed, order(9))
		again, err := w.once()
		require.NoError(t, err)
		require.Equal(t, r.Runs[0].ID, again.Runs[0].ID)
		require.Equal(t, EndFinished, again.Runs[0].End)
		require.Empty(t, again.Runs[0].Why)
		require.Nil(t, again.Previous)
		require.Equal(t, map[string]int{"SO1": 1, "SO2": 1, "SO3": 1}, w.sends())

		third, err := w.once()
		require.NoError(t, err)
		require.Equal(t, r.Runs[0].ID, third.Previous.ID)
		require.Equal(t, 1, w.sends()["SO9"])
	})
	t.Run("continues after its context ended", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(2)...)
		ctx, cancel := context.WithCancel(t.Context())
		w.beforePush = func(context.Context, *fakeRunner, *plan.Entry) error { cancel(); return ctx.Err() }
		_, err := w.open().Once(ctx, OnceOptions{})
		require.ErrorIs(t, err, context.Canceled)
		w.beforePush = nil
		r, err := w.once()
		require.NoError(t, err)
		require.Equal(t, 2, r.Runs[0].Result.Completed)
	})
	t.Run("plans with the options of the call", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		other := w.cfg.Plan
		other.Override = []string{"SO1"}
		d := w.open()
		d.writePlan = func(ctx context.Context, cfg resubmit.PlanConfig, path string) (plan.ActionCounts, error) {
			require.Equal(t, []string{"SO1"}, cfg.Override)
			s, err := d.Status()
			require.NoError(t, err)
			require.True(t, s.Busy, "the lock is held while planning")
			require.Equal(t, w.cfg.Systems.Name, cfg.Name)
			return w.writePlan(ctx, cfg, path)
		}
		_, err := d.Once(t.Context(), OnceOptions{Plan: &other})
		require.NoError(t, err)
	})
	t.Run("leaves nothing behind if planning fails", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(1)...)
		w.planErr = errors.New("the list fails")
		_, err := w.once()
		require.ErrorIs(t, err, w.planErr)
		left, err := os.ReadDir(filepath.Join(w.dir, "runs"))
		require.NoError(t, err)
		require.Empty(t, left)
		w.planErr = nil
		_, err = w.once()
		require.NoError(t, err)
	})
	t.Run("replaces a stale plan once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(1)...)
		w.beforePush = func(context.Context, *fakeRunner, *plan.Entry) error { return errors.New("an accident") }
		_, err := w.once()
		require.Error(t, err)
		n := 0
		w.beforePush = func(context.Context, *fakeRunner, *plan.Entry) error {
			if n++; n == 1 {
				return resubmit.ErrStalePlan
			}
			return nil
		}
		r, err := w.once()
		require.NoError(t, err)
		require.Len(t, r.Runs, 2)
		require.Equal(t, []End{EndStale, EndFinished}, []End{r.Runs[0].End, r.Runs[1].End})

		w.fail(order(2))
		w.beforePush = func(context.Context, *fakeRunner, *plan.Entry) error { return resubmit.ErrStalePlan }
		_, err = w.once()
		require.ErrorIs(t, err, resubmit.ErrStalePlan, "a new plan that is stale is not made again and again")
	})
	t.Run("rejects a plan that was edited or replaced", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(1)...)
		w.beforePush = func(context.Context, *fakeRunner, *plan.Entry) error { return errors.New("an accident") }
		r, err := w.once()
		require.Error(t, err)
		w.beforePush = nil
		other := newWorld(t, someOrders(2)...)
		otherRun, err := other.once()
		require.NoError(t, err)
		content, err := os.ReadFile(other.open().Path(otherRun.Runs[0], planFile))
		require.NoError(t, err)
		path := w.open().Path(r.Runs[0], planFile)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		_, err = w.once()
		oneLine(t, err)
		require.ErrorContains(t, err, "the plan was replaced")
		require.ErrorContains(t, err, "am -state DIR cancel")
		require.NoError(t, os.Remove(path))
		_, err = w.once()
		require.ErrorContains(t, err, "no such file")
		require.Empty(t, w.sends())

		require.NoError(t, w.open().Control(Command{Action: ActionCancel}))
		_, err = w.once()
		require.ErrorIs(t, err, resubmit.ErrCancelled)
		r, err = w.once()
		require.NoError(t, err)
		require.Equal(t, map[string]int{"SO1": 1}, w.sends())
		require.Nil(t, r.Previous.Report)
	})
}

func mustPlan(t *testing.T, d *Dir, run *Run) *plan.Plan {
	t.Helper()
	p, err := d.OpenPlan(run)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestTooEarly(t *testing.T) {
	t.Parallel()
	t.Run("is an error with the time, every time", func(t *testing.T) {
		t.Parallel()
		due := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
		w := newWorld(t, waiting(1, due.Add(time.Minute)), waiting(2, due))
		for range 2 {
			r, err := w.once()
			oneLine(t, err)
			require.Equal(t, &resubmit.TooEarlyError{Due: due, Wait: 2}, err)
			require.Equal(t, EndTooEarly, r.Runs[0].End)
		}
		require.Empty(t, w.applied)

		w.fail(someOrders(2)...)
		r, err := w.once()
		require.NoError(t, err, "a plan that was made too early is not frozen")
		require.Equal(t, 2, r.Runs[0].Result.Completed)
	})
	t.Run("waits until the deadline, without the lock", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			w := newWorld(t, order(1), waiting(2, start.Add(time.Hour)), waiting(3, start.Add(3*time.Hour)))
			done := make(chan struct{})
			go func() {
				defer close(done)
				r, err := w.open().Once(t.Context(), OnceOptions{WaitUntil: start.Add(2 * time.Hour)})
				if early, ok := errors.AsType[*resubmit.TooEarlyError](err); !ok || early.Wait != 1 || len(r.Runs) != 3 {
					t.Errorf("got %d runs and the error %v", len(r.Runs), err)
				}
			}()
			synctest.Wait()
			time.Sleep(10 * time.Minute)
			s, err := w.open().Status()
			require.NoError(t, err)
			require.False(t, s.Busy)
			require.Equal(t, map[string]int{"SO1": 1}, w.sends())

			w.fail(order(2), waiting(3, start.Add(90*time.Minute)))
			time.Sleep(55 * time.Minute)
			require.Equal(t, map[string]int{"SO1": 1, "SO2": 1}, w.sends())
			w.fail(waiting(3, start.Add(3*time.Hour)))
			<-done
			require.Less(t, time.Since(start), 2*time.Hour)
		})
	})
	t.Run("does not plan without a pause", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, waiting(1, time.Now().Add(-time.Hour)))
			r, err := w.open().Once(t.Context(), OnceOptions{WaitUntil: time.Now().Add(-time.Minute)})
			requireTooEarly(t, err)
			require.Len(t, r.Runs, 1)
			ctx, cancel := context.WithTimeout(t.Context(), 65*time.Second)
			defer cancel()
			r, err = w.open().Once(ctx, OnceOptions{WaitUntil: time.Now().Add(time.Hour)})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.LessOrEqual(t, len(r.Runs), 7)
		})
	})
}

func TestDiskErrors(t *testing.T) {
	t.Parallel()
	for _, step := range []string{
		"write " + planFile, "write " + runFile, "add the run", "write " + htmlFile, "write " + reportFile,
	} {
		for name, cause := range map[string]error{
			"free space on the disk":         syscall.ENOSPC,
			"make it writable for this user": syscall.EROFS,
		} {
			t.Run(step+", "+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, someOrders(2)...)
				w.step = func(s string) error {
					if s == step {
						return cause
					}
					return nil
				}
				_, err := w.once()
				oneLine(t, err)
				require.ErrorIs(t, err, cause)
				require.ErrorContains(t, err, name)
				if step != "write "+reportFile && step != "write "+htmlFile {
					require.Empty(t, w.sends())
				}
				w.step = func(string) error { return nil }
				_, err = w.once()
				require.NoError(t, err)
				runs, err := w.open().Runs()
				require.NoError(t, err)
				require.Equal(t, EndFinished, runs[0].End)
				require.Equal(t, map[string]int{"SO1": 1, "SO2": 1}, w.sends())
				_, err = w.open().Document(&runs[0])
				require.NoError(t, err)
			})
		}
	}
	t.Run("anchor", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(2)...)
		require.NoError(t, errorOf(newWorld(t).once()))
		w.anchor.err = syscall.ENOSPC
		_, err := w.once()
		oneLine(t, err)
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.ErrorContains(t, err, "write the anchor of the journal")
		require.Empty(t, w.sends())
		w.anchor.err = nil
		_, err = w.once()
		require.NoError(t, err)
		require.Len(t, w.sends(), 2)
	})
}

func errorOf(_ *Result, err error) error { return err }

func requireTooEarly(t *testing.T, err error) {
	t.Helper()
	_, ok := errors.AsType[*resubmit.TooEarlyError](err)
	require.True(t, ok, "%v", err)
}

// The chart shows what the canary and the circuit breaker did, also before the process was restarted.
func TestReportHasTheMarksOfAllAttempts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, someOrders(2)...)
	accident, seen := errors.New("an accident"), 0
	w.cfg.Runner.Audit = func(resubmit.Event) error { seen++; return nil }
	w.beforePush = func(_ context.Context, r *fakeRunner, e *plan.Entry) error {
		if e.Number == "SO2" {
			return accident
		}
		return r.cfg.Audit(resubmit.CanaryChange{CanaryStatus: resubmit.CanaryStatus{Group: "Acme", Good: 2, Bad: 1}})
	}
	_, err := w.once()
	require.ErrorIs(t, err, accident)
	w.beforePush = func(_ context.Context, r *fakeRunner, _ *plan.Entry) error {
		return errors.Join(
			r.cfg.Audit(resubmit.CanaryChange{CanaryStatus: resubmit.CanaryStatus{Group: "Acme", Stopped: "too many"}}),
			r.cfg.Audit(resubmit.BreakerChange{State: resubmit.BreakerOpen, Why: "Connect is down"}))
	}
	r, err := w.once()
	require.NoError(t, err)
	require.Equal(t, 3, seen, "the function of the configuration is called too")
	doc, err := w.open().Document(r.Runs[0])
	require.NoError(t, err)
	var texts []string
	for _, m := range doc.Marks {
		require.WithinDuration(t, time.Now(), m.At, time.Minute)
		texts = append(texts, fmt.Sprintf("%s %v", m.Text, m.Stopped))
	}
	require.Equal(t, []string{
		"canary of Acme: 2 of 3 verified orders succeeded false", "canary of Acme stopped: too many true",
		"circuit breaker open: Connect is down true",
	}, texts)
}
