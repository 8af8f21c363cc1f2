package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// running starts Once in a process of its own, which stops before the second push until the returned function is
// called. That returns the result.
func running(t *testing.T, w *world) (release func() (*Result, error)) {
	t.Helper()
	proceed, reached := make(chan struct{}), make(chan struct{})
	w.beforePush = func(ctx context.Context, r *fakeRunner, e *plan.Entry) error {
		if e.Number == "SO2" {
			close(reached)
			<-proceed
			return r.gate(ctx)
		}
		return nil
	}
	type result struct {
		*Result
		error
	}
	done := make(chan result, 1)
	go func() {
		r, err := w.open().Once(t.Context(), OnceOptions{})
		done <- result{r, err}
	}()
	<-reached
	return func() (*Result, error) {
		close(proceed)
		r := <-done
		return r.Result, r.error
	}
}

func TestControl(t *testing.T) {
	t.Parallel()
	t.Run("pauses and resumes a run of another process", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, someOrders(3)...)
			release := running(t, w)
			other := w.open()
			s, err := other.Status()
			require.NoError(t, err)
			require.True(t, s.Busy)
			require.Equal(t, "nightly", s.Holder.Program)
			require.False(t, s.Run.StartedAt.IsZero())
			require.NoError(t, other.Control(Command{Action: ActionPause, By: "ben", Why: "Connect is slow"}))
			s, err = other.Status()
			require.NoError(t, err)
			require.Len(t, s.Commands, 1)
			time.Sleep(2 * time.Second)
			s, err = other.Status()
			require.NoError(t, err)
			require.Empty(t, s.Commands)
			require.Equal(t, "ben", s.Run.Paused.By)
			require.Equal(t, resubmit.StatePaused, s.Run.Live.State)
			require.Equal(t, 1, s.Run.Live.Done)
			require.Contains(t, s.Run.String(), "paused by ben")

			result := make(chan error, 1)
			go func() {
				_, err := release()
				result <- err
			}()
			time.Sleep(time.Hour)
			require.Len(t, w.sends(), 1)
			require.NoError(t, other.Control(Command{Action: ActionResume, Run: s.Run.Digest}))
			require.NoError(t, <-result)
			require.Len(t, w.sends(), 3)
		})
	})
	t.Run("keeps a pause when the process restarts", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, someOrders(3)...)
			ctx, kill := context.WithCancel(t.Context())
			w.beforePush = func(context.Context, *fakeRunner, *plan.Entry) error {
				require.NoError(t, w.open().Control(Command{Action: ActionPause, By: "ben", Why: "Connect is slow"}))
				<-ctx.Done()
				return ctx.Err()
			}
			time.AfterFunc(time.Minute, kill)
			_, err := w.open().Once(ctx, OnceOptions{})
			require.ErrorIs(t, err, context.Canceled)
			at := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
			for range 2 {
				_, err = w.once()
				oneLine(t, err)
				require.ErrorIs(t, err, ErrPaused)
				require.ErrorContains(t, err, "by ben "+at+" (Connect is slow); to continue, run: am -state DIR resume")
			}
			require.Empty(t, w.sends())
			w.beforePush = nil
			require.NoError(t, w.open().Control(Command{Action: ActionResume}))
			r, err := w.once()
			require.NoError(t, err)
			require.Len(t, r.Runs, 1)
			require.Len(t, w.sends(), 3)
		})
	})
	t.Run("sets the rate within the limits, also after a restart", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, someOrders(3)...)
			w.cfg.Runner.RateLimit = 20
			w.cfg.Limits.MaxRate = 10
			var live *fakeRunner
			w.beforePush = func(ctx context.Context, r *fakeRunner, _ *plan.Entry) error {
				live = r
				time.Sleep(2 * time.Second)
				return fmt.Errorf("an accident")
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = w.open().Once(t.Context(), OnceOptions{})
			}()
			synctest.Wait()
			d := w.open()
			for _, rate := range []float64{-1, 0, 1e-4, 10.5, 1e12} {
				require.Error(t, d.Control(Command{Action: ActionRate, Rate: rate}), rate)
			}
			require.NoError(t, d.Control(Command{Action: ActionRate, Rate: 2.5}))
			<-done
			require.InDelta(t, 2.5, live.rate, 0)
			w.beforePush = nil
			_, err := w.once()
			require.NoError(t, err)
			require.Equal(t, []float64{20, 2.5}, w.rates)

			w.fail(order(9))
			_, err = w.once()
			require.NoError(t, err)
			require.Equal(t, []float64{20, 2.5, 20}, w.rates, "the rate is that of the run")
		})
	})
	for action, end := range map[Action]End{ActionDrain: EndDrained, ActionCancel: EndCancelled} {
		cause := map[Action]error{ActionDrain: resubmit.ErrDrained, ActionCancel: resubmit.ErrCancelled}[action]
		t.Run(string(action)+" ends with the run", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, someOrders(3)...)
				release := running(t, w)
				require.NoError(t, w.open().Control(Command{Action: action}))
				time.Sleep(2 * time.Second)
				r, err := release()
				require.ErrorIs(t, err, cause)
				require.Equal(t, end, r.Runs[0].End)
				require.Equal(t, 1, r.Runs[0].Report.Result.Completed)
				w.beforePush = nil
				r, err = w.once()
				require.NoError(t, err)
				require.Equal(t, EndFinished, r.Runs[0].End)
				require.Equal(t, map[string]int{"SO1": 1, "SO2": 1, "SO3": 1}, w.sends())
			})
		})
		t.Run(string(action)+" ends a run that no process applies", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, someOrders(600)...)
			_, err := w.once()
			require.ErrorIs(t, err, ErrApprovalRequired)
			w.fail()
			require.NoError(t, w.open().Control(Command{Action: action, By: "ben"}))
			_, err = w.once()
			require.NoError(t, err)
			runs, err := w.open().Runs()
			require.NoError(t, err)
			require.Equal(t, []End{end, EndNothing}, []End{runs[0].End, runs[1].End})
			require.Equal(t, "by ben", runs[0].Why)
		})
	}
	for _, action := range []Action{ActionDrain, ActionCancel} {
		t.Run(string(action)+" is kept, however the process ends", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { testStop(t, action) })
		})
	}
	t.Run("deletes and logs commands for other runs, and what is no command", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(600)...)
		_, err := w.once()
		require.ErrorIs(t, err, ErrApprovalRequired)
		d := w.open()
		require.NoError(t, d.Control(Command{Action: ActionPause}))
		files, err := os.ReadDir(filepath.Join(w.dir, "control"))
		require.NoError(t, err)
		require.Len(t, files, 1)
		path := filepath.Join(w.dir, "control", files[0].Name())
		good, err := os.ReadFile(path)
		require.NoError(t, err)
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		require.NoError(t, os.Remove(path))

		s, err := d.Status()
		require.NoError(t, err)
		put := func(name, content string, mode os.FileMode) {
			path := filepath.Join(w.dir, "control", name)
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			require.NoError(t, os.Chmod(path, mode))
		}
		command := func(action, run string, rate float64) string {
			return fmt.Sprintf(`{"kind":"cloudblue-resubmit-command","version":1,"action":%q,"run":%q,"by":"eve",`+
				`"at":"2026-11-01T00:00:00Z","rate":%v}`, action, run, rate)
		}
		put("a", command("pause", "sha256:other", 0), 0o600)
		put("b", "pause", 0o600)
		put("c", string(good), 0o644)
		put("d", command("rate", s.Run.Digest, 1000), 0o600)
		put("e", command("approve", s.Run.Digest, 0), 0o600)
		victim := filepath.Join(t.TempDir(), "victim")
		require.NoError(t, os.WriteFile(victim, good, 0o600))
		require.NoError(t, os.Symlink(victim, filepath.Join(w.dir, "control", "f")))
		require.NoError(t, os.Mkdir(filepath.Join(w.dir, "control", "g"), 0o700))
		_, err = w.once()
		require.ErrorIs(t, err, ErrApprovalRequired, "the run is not paused")
		files, err = os.ReadDir(filepath.Join(w.dir, "control"))
		require.NoError(t, err)
		require.Empty(t, files)
		require.FileExists(t, victim)
		for _, want := range []string{
			`msg="a command for another run is deleted" action=pause run=sha256:other by=eve`, "file=b", "file=c", "mode is",
			"the rate 1000 is not within the limits", "file=e", "file=f", "symbolic link", "file=g",
		} {
			require.Contains(t, w.log.String(), want)
		}
	})
	t.Run("needs an unfinished run", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(1)...)
		d := w.open()
		s, err := d.Status()
		require.NoError(t, err)
		require.Equal(t, Status{}, s)
		err = d.Control(Command{Action: ActionPause})
		oneLine(t, err)
		require.ErrorIs(t, err, ErrNoRun)
		_, err = w.once()
		require.NoError(t, err)
		require.ErrorIs(t, d.Control(Command{Action: ActionPause}), ErrNoRun)
		w.fail(someOrders(600)...)
		_, err = w.once()
		require.ErrorIs(t, err, ErrApprovalRequired)
		require.ErrorIs(t, d.Control(Command{Action: ActionPause, Run: "sha256:other"}), ErrNoRun)
		require.Error(t, d.Control(Command{Action: "explode"}))
	})
}

// testStop drains or cancels a run whose process then ends with another error, is killed, or was killed before.
func testStop(t *testing.T, action Action) {
	end := map[Action]End{ActionDrain: EndDrained, ActionCancel: EndCancelled}[action]
	accident := errors.New("an accident")
	for _, when := range []string{"accident", "killed", "killed before"} {
		w := newWorld(t, someOrders(3)...)
		var killed atomic.Bool
		w.step = func(string) error {
			if killed.Load() { // it writes nothing more
				return accident
			}
			return nil
		}
		stop := func() {
			require.NoError(t, w.open().Control(Command{Action: action, By: "ben", Why: "a mistake"}))
			time.Sleep(2 * time.Second)
		}
		w.beforePush = func(context.Context, *fakeRunner, *plan.Entry) error {
			if when != "killed before" {
				stop()
			}
			killed.Store(when != "accident")
			return accident
		}
		_, err := w.once()
		require.ErrorIs(t, err, accident)
		w.beforePush = nil
		killed.Store(false)
		if when == "killed before" {
			stop()
		}
		if when != "accident" {
			r, err := w.once()
			oneLine(t, err)
			require.EqualError(t, err, r.Runs[0].stopped().Error())
			require.ErrorContains(t, err, " by ben: a mistake")
		}
		runs, err := w.open().Runs()
		require.NoError(t, err)
		require.Len(t, runs, 1, when)
		require.Equal(t, end, runs[0].End, when)
		require.Equal(t, "by ben: a mistake", runs[0].Why)
		require.Empty(t, w.sends(), when)
		_, err = w.once()
		require.NoError(t, err)
		require.Len(t, w.sends(), 3, "a new plan")
	}
}

func TestCommandsStayInOrder(t *testing.T) {
	t.Parallel()
	files, at := commandFiles(t.TempDir()), now()
	given := []Action{ActionPause, ActionResume, ActionPause, ActionRate, ActionResume, ActionDrain}
	for i, action := range given {
		c := Command{
			Kind: commandFormat.Kind, Version: commandFormat.Version, Action: action, Run: "sha256:1", By: "ana",
			At: at.Add(-time.Duration(i/2) * time.Hour), // the clock is set back
		}
		if action == ActionRate {
			c.Rate = 1
		}
		_, err := files.write(c)
		require.NoError(t, err)
	}
	names, err := files.names()
	require.NoError(t, err)
	var kept []Action
	for _, name := range names {
		c, err := files.read(name)
		require.NoError(t, err)
		kept = append(kept, c.Action)
	}
	require.Equal(t, given, kept)
}
