package state

import (
	"context"
	"crypto/ed25519"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

func (w *world) onceWith(o OnceOptions) (*Result, error) { return w.open().Once(w.t.Context(), o) }

func TestContinue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, someOrders(2)...)
	r, err := w.onceWith(OnceOptions{Continue: true})
	require.NoError(t, err)
	require.Empty(t, r.Runs, "it makes no plan")
	accident := errors.New("an accident")
	w.beforePush = func(context.Context, *fakeRunner, *plan.Entry) error { return accident }
	_, err = w.once()
	require.ErrorIs(t, err, accident)
	w.beforePush = func(context.Context, *fakeRunner, *plan.Entry) error { return resubmit.ErrStalePlan }
	r, err = w.onceWith(OnceOptions{Continue: true})
	require.ErrorIs(t, err, resubmit.ErrStalePlan)
	require.Len(t, r.Runs, 1, "nor in place of a stale one")
	require.Equal(t, EndStale, r.Runs[0].End)
}

func TestFor(t *testing.T) {
	t.Parallel()
	key, public := newKey(t)
	limited := func(t *testing.T, o OnceOptions) (*world, *Run) {
		w := newWorld(t, someOrders(2)...)
		w.cfg.Limits.MaxOrders, w.cfg.Approvers = 1, []ed25519.PublicKey{public}
		_, err := w.onceWith(o)
		run := requireApproval(t, err).Run
		require.Equal(t, o.For, run.For)
		return w, run
	}
	second := OnceOptions{For: "the second maintenance"}
	t.Run("replaces a plan that waits for approval", func(t *testing.T) {
		t.Parallel()
		w, first := limited(t, OnceOptions{For: "the first maintenance"})
		require.Contains(t, first.String(), "for the first maintenance: ")
		require.NoError(t, w.open().Approve(first.Digest, "ben", key))
		w.fail(someOrders(3)...)
		_, err := w.onceWith(second)
		require.Equal(t, 3, requireApproval(t, err).Run.Counts.Resubmit)
		runs, err := w.open().Runs()
		require.NoError(t, err)
		require.Equal(t, []End{EndStale, ""}, []End{runs[0].End, runs[1].End})
		require.Equal(t, "it was replaced by a newer plan", runs[0].Why)
		require.Empty(t, w.sends())
	})
	t.Run("keeps a plan that another process made", func(t *testing.T) {
		t.Parallel()
		w, first := limited(t, OnceOptions{})
		_, err := w.onceWith(second)
		require.Equal(t, first.ID, requireApproval(t, err).Run.ID)
	})
	t.Run("keeps a paused plan", func(t *testing.T) {
		t.Parallel()
		w, first := limited(t, OnceOptions{For: "the first maintenance"})
		require.NoError(t, w.open().Control(Command{Action: ActionPause}))
		r, err := w.onceWith(second)
		require.ErrorIs(t, err, ErrPaused)
		require.Equal(t, first.ID, r.Runs[0].ID)
	})
	t.Run("continues a run that has begun", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(2)...)
		w.beforePush = func(context.Context, *fakeRunner, *plan.Entry) error { return errors.New("an accident") }
		_, err := w.onceWith(OnceOptions{For: "the first maintenance"})
		require.Error(t, err)
		w.beforePush = nil
		r, err := w.onceWith(second)
		require.NoError(t, err)
		require.Equal(t, "the first maintenance", r.Runs[0].For)
		require.Equal(t, EndFinished, r.Runs[0].End)
	})
}

func TestApplyingIsCalledWhenTheRunIsSaved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, someOrders(2)...)
	calls := 0
	_, err := w.onceWith(OnceOptions{Applying: func(run *Run) {
		calls++
		saved, err := w.open().runs.read(run.ID)
		require.NoError(t, err)
		require.False(t, saved.StartedAt.IsZero())
		require.Empty(t, w.sends())
	}})
	require.NoError(t, err)
	require.Equal(t, 1, calls)
}

// panicking is an Anchor whose methods panic.
type panicking struct {
	Anchor
	load, store atomic.Bool
}

func (a *panicking) Load(ctx context.Context) (plan.Position, error) {
	if a.load.Load() {
		panic("load")
	}
	return a.Anchor.Load(ctx)
}

func (a *panicking) Store(ctx context.Context, p plan.Position) error {
	if a.store.Load() {
		panic("store")
	}
	return a.Anchor.Store(ctx, p)
}

// Whatever panics, neither the lock nor the journal stays in use.
func TestPanicReleasesTheLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, someOrders(2)...)
	broken := &panicking{Anchor: w.anchor}
	w.cfg.Anchor = broken
	w.files = func(path string, readOnly bool) (resubmit.Journal, func() error, error) {
		return openJournal(path, "nightly", readOnly)
	}
	d := w.open()
	once := func() (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = errors.New("panic")
			}
		}()
		_, err = d.Once(t.Context(), OnceOptions{})
		return err
	}
	broken.load.Store(true)
	require.Error(t, once())
	broken.load.Store(false)
	broken.store.Store(true)
	require.Error(t, once(), "as the first journal is made")
	broken.store.Store(false)
	require.NoError(t, once())

	w.fail(order(3))
	w.beforePush = func(context.Context, *fakeRunner, *plan.Entry) error { broken.store.Store(true); return nil }
	require.ErrorContains(t, once(), "a callback panicked: store")
	broken.store.Store(false)
	w.beforePush = nil
	require.NoError(t, once())
	require.Len(t, w.sends(), 3)
}
