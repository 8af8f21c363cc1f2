package state

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

func (w *world) overview(d *Dir) []string {
	w.t.Helper()
	p, err := d.Overview()
	require.NoError(w.t, err)
	require.NotNil(w.t, p)
	defer func() { require.NoError(w.t, p.Close()) }()
	numbers := []string{}
	for e, err := range p.Entries() {
		require.NoError(w.t, err)
		numbers = append(numbers, e.Number)
	}
	return numbers
}

func TestRead(t *testing.T) {
	t.Parallel()
	t.Run("keeps all failed orders in the directory", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(2)...)
		w.cfg.Plan.Override = []string{"SO7"}
		d := w.open()
		p, err := d.Overview()
		require.NoError(t, err)
		require.Nil(t, p)
		require.NoError(t, d.Read(t.Context()))
		require.Equal(t, []string{"SO1", "SO2"}, w.overview(d))
		require.True(t, w.planned.IgnoreConnect)
		require.Empty(t, w.planned.Override)
		require.Equal(t, "everything()", w.planned.Filter.String())
		w.fail(someOrders(3)...)
		w.planErr = errors.New("it calls no system")
		d = w.open()
		require.Equal(t, []string{"SO1", "SO2"}, w.overview(d), "another process, later")
		status, err := d.Status()
		require.NoError(t, err)
		require.Empty(t, status.Reading.Err)
		require.WithinDuration(t, time.Now(), status.Reading.At, time.Minute)
		require.Nil(t, status.Run, "it is no run")
	})
	t.Run("keeps the last overview, and the error, if it fails", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, someOrders(2)...)
			d := w.open()
			require.NoError(t, d.Read(t.Context()))
			time.Sleep(time.Hour)
			w.planErr = errors.New("Commerce does not\nanswer")
			require.ErrorIs(t, d.Read(t.Context()), w.planErr)
			d = w.open()
			status, err := d.Status()
			require.NoError(t, err)
			require.Contains(t, status.Reading.Err, "Commerce does not")
			require.True(t, time.Now().Equal(status.Reading.At))
			p, err := d.Overview()
			require.NoError(t, err)
			require.Equal(t, time.Hour, time.Since(p.Header().CreatedAt))
			require.NoError(t, p.Close())
			w.planErr = nil
			require.NoError(t, d.Read(t.Context()))
			status, err = d.Status()
			require.NoError(t, err)
			require.Empty(t, status.Reading.Err)
		})
	})
	t.Run("is never applied", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(2)...)
		d := w.open()
		_, err := w.once()
		require.NoError(t, err)
		w.fail(someOrders(2)...)
		require.NoError(t, d.Read(t.Context()))
		p, err := d.Overview()
		require.NoError(t, err)
		defer func() { require.NoError(t, p.Close()) }()
		require.ErrorIs(t, p.CheckJournal(), plan.ErrNoJournal)
	})
	t.Run("leaves the rate limit to a run", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, someOrders(3)...)
			release := running(t, w)
			_, locked := errors.AsType[*LockedError](w.open().Read(t.Context()))
			require.True(t, locked)
			_, err := release()
			require.NoError(t, err)
			w.beforePush = nil

			w.fail(someOrders(2)...)
			w.whilePlanning = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			done := make(chan error)
			go func() { done <- w.open().Read(t.Context()) }()
			time.Sleep(10 * time.Second)
			_, locked = errors.AsType[*LockedError](w.open().Read(t.Context()))
			require.True(t, locked, "one at a time")
			w.whilePlanning = func(context.Context) error { time.Sleep(time.Minute); return nil }
			_, err = w.once()
			require.NoError(t, err, "a run does not wait for it")
			_, locked = errors.AsType[*LockedError](<-done)
			require.True(t, locked)
			status, err := w.open().Status()
			require.NoError(t, err)
			require.NotEmpty(t, status.Reading.Err)
		})
	})
	t.Run("can be interrupted", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(2)...)
		d := w.open()
		ctx, cancel := context.WithCancel(t.Context())
		w.whilePlanning = func(context.Context) error { cancel(); return ctx.Err() }
		require.ErrorIs(t, d.Read(ctx), context.Canceled)
		w.whilePlanning = nil
		require.NoError(t, d.Read(t.Context()))
	})
	t.Run("says what to do with a damaged overview", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(2)...)
		d := w.open()
		require.NoError(t, os.WriteFile(filepath.Join(w.dir, overviewFile), []byte("{}\n"), 0o600))
		_, err := d.Overview()
		oneLine(t, err)
		require.ErrorContains(t, err, "read the orders again")
		require.NoError(t, d.Read(t.Context()))
		require.Len(t, w.overview(d), 2)
	})
}

func TestReadDoesNotWriteToTheJournal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, someOrders(2)...)
	d := w.open()
	_, err := w.once()
	require.NoError(t, err)
	w.whilePlanning = func(ctx context.Context) error {
		_, err := w.planned.Journal.Put(ctx, resubmit.Durable)
		return err
	}
	before := w.anchor.position()
	require.NoError(t, d.Read(t.Context()))
	j, _, err := d.journals.use(t.Context(), true)
	require.NoError(t, err)
	after, err := j.Flush(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, after)
}
