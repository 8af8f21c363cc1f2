package state

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// sharedWorld is a world whose journal other processes use too.
type sharedWorld struct {
	*world
	journal *slowJournal
}

func newSharedWorld(t *testing.T, orders int) *sharedWorld {
	t.Helper()
	w := &sharedWorld{newWorld(t, someOrders(orders)...), &slowJournal{Journal: new(resubmit.MemoryJournal)}}
	w.cfg.Journal = w.journal
	return w
}

// slowJournal does not answer for the records of runs while down is set.
type slowJournal struct {
	resubmit.Journal
	down atomic.Bool
}

func (j *slowJournal) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	if j.down.Load() && k.Kind == protocol.KindRun {
		<-ctx.Done()
		return protocol.Record{}, ctx.Err()
	}
	return j.Journal.Get(ctx, k)
}

// control returns what the journal says that operators want of the current run.
func (w *sharedWorld) control() protocol.Control {
	w.t.Helper()
	r, err := w.journal.Get(w.t.Context(), protocol.RunKey(w.run().Digest))
	require.NoError(w.t, err)
	if r.Run == nil {
		return protocol.Control{}
	}
	return r.Run.Control
}

// elsewhere gives a command on another host.
func (w *sharedWorld) elsewhere(change func(*protocol.Control)) {
	w.t.Helper()
	err := resubmit.ChangeControl(w.t.Context(), w.journal, w.run().Digest, func(c *protocol.Control) {
		c.By = "eve"
		change(c)
	})
	require.NoError(w.t, err)
}

func (w *sharedWorld) run() *Run {
	w.t.Helper()
	s, err := w.open().Status()
	require.NoError(w.t, err)
	return s.Run
}

// await makes or continues a plan that waits for its approval, so that no process works with the directory.
func (w *sharedWorld) await() {
	w.t.Helper()
	_, err := w.once()
	require.ErrorIs(w.t, err, ErrApprovalRequired)
}

func TestControlWithoutItsProcess(t *testing.T) {
	t.Parallel()
	t.Run("reaches the other processes", func(t *testing.T) {
		t.Parallel()
		w := newSharedWorld(t, 600)
		w.await()
		run := w.run()
		require.NoError(t, w.open().Control(Command{Action: ActionPause, By: "ben", Why: "w"}))
		require.Equal(t, protocol.Control{Paused: true, By: "ben", Why: "w"}, w.control())
		require.NoError(t, w.open().Control(Command{Action: ActionCancel, By: "ben", Why: "w"}))
		require.Equal(t, protocol.Control{Paused: true, Stop: protocol.StopCancel, By: "ben", Why: "w"}, w.control())
		w.fail()
		_, err := w.once()
		require.NoError(t, err)
		ended, err := w.open().Run(run.ID)
		require.NoError(t, err)
		require.Equal(t, EndCancelled, ended.End)
		require.ErrorIs(t, w.open().Control(Command{Action: ActionPause, Run: run.Digest}), ErrNoRun)
	})
	t.Run("is not given a second time over a later command", func(t *testing.T) {
		t.Parallel()
		w := newSharedWorld(t, 600)
		w.await()
		require.NoError(t, w.open().Control(Command{Action: ActionPause, By: "ben"}))
		w.elsewhere(func(c *protocol.Control) { c.Paused = false })
		w.await()
		require.Nil(t, w.run().Paused)
		require.Equal(t, protocol.Control{By: "eve"}, w.control())
	})
}

// A pause that the journal does not know, such as that of an earlier release, is not ended by another command.
func TestPauseIsCarriedOver(t *testing.T) {
	t.Parallel()
	for name, rate := range map[string]func(w *sharedWorld){
		"by a command": func(w *sharedWorld) {
			require.NoError(w.t, w.open().Control(Command{Action: ActionRate, Rate: 3, By: "ben"}))
		},
		"by the process": func(w *sharedWorld) {
			_, err := w.once()
			require.ErrorIs(w.t, err, ErrPaused)
			w.elsewhere(func(c *protocol.Control) { c.Rate = 3 })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newSharedWorld(t, 600)
			w.await()
			run := w.run()
			run.Paused = &Pause{By: "ana", At: now()}
			require.NoError(t, w.open().runs.save(run))
			rate(w)
			require.True(t, w.control().Paused)
			_, err := w.once()
			require.ErrorIs(t, err, ErrPaused)
			require.Equal(t, "ana", w.run().Paused.By)
			require.InDelta(t, 3, w.run().Rate, 0)
			require.NoError(t, w.open().Control(Command{Action: ActionResume}))
			w.await()
		})
	}
}

func TestControlDuringAnOutageOfTheJournal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newSharedWorld(t, 3)
		release := running(t, w.world)
		w.journal.down.Store(true)
		time.Sleep(10 * time.Second)
		given := make(chan error, 1)
		d := w.open()
		go func() { given <- d.Control(Command{Action: ActionCancel, By: "ben"}) }()
		time.Sleep(3 * time.Second)
		require.Equal(t, "ben", w.run().Stop.By)
		require.ErrorIs(t, <-given, context.DeadlineExceeded)
		_, err := release()
		require.Error(t, err)
		require.Equal(t, EndCancelled, w.run().End)
		require.Len(t, w.sends(), 1)
	})
}

func TestFollowChecksTheRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newSharedWorld(t, 3)
		w.cfg.Limits.MaxRate = 10
		release := running(t, w.world)
		for _, step := range []struct{ rate, want float64 }{{1000, 0}, {5, 5}, {1000, 5}} {
			w.elsewhere(func(c *protocol.Control) { c.Rate = step.rate })
			time.Sleep(3 * time.Second)
			require.InDelta(t, step.want, w.run().Rate, 0)
		}
		require.Contains(t, w.log.String(), "the rate 1000 is not within the limits")
		_, err := release()
		require.NoError(t, err)
	})
}
