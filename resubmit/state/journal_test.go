package state

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// requireMismatch says that the directory is rejected, by Open and by a Dir that was opened before.
func requireMismatch(t *testing.T, w *world, before *Dir, what string) {
	t.Helper()
	w.fail(someOrders(1)...)
	sent := w.sends()
	_, err := w.tryOpen()
	_, onceErr := before.Once(t.Context(), OnceOptions{})
	for _, err := range []error{err, onceErr} {
		oneLine(t, err)
		require.ErrorIs(t, err, resubmit.ErrJournalMismatch)
		require.ErrorContains(t, err, what)
		require.ErrorContains(t, err, "am -state DIR recover")
	}
	require.Equal(t, sent, w.sends())
}

func TestJournalMismatch(t *testing.T) {
	t.Parallel()
	used := func(t *testing.T) (w *world, d *Dir, journal string) {
		w = newWorld(t, someOrders(3)...)
		d = w.open()
		_, err := d.Once(t.Context(), OnceOptions{})
		require.NoError(t, err)
		return w, d, filepath.Join(w.dir, "journal")
	}
	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		w, d, journal := used(t)
		require.NoError(t, os.Remove(journal))
		requireMismatch(t, w, d, "is missing")
		require.NoFileExists(t, journal)
	})
	t.Run("replaced", func(t *testing.T) {
		t.Parallel()
		w, d, journal := used(t)
		require.NoError(t, os.WriteFile(journal, []byte("another one"), 0o600))
		requireMismatch(t, w, d, "was replaced, or is an older copy")
	})
	t.Run("older", func(t *testing.T) {
		t.Parallel()
		w, d, _ := used(t)
		w.anchor.at.Sequence += 2
		requireMismatch(t, w, d, "was replaced, or is an older copy")
	})
	t.Run("anchor missing", func(t *testing.T) {
		t.Parallel()
		w, d, _ := used(t)
		at := w.anchor.at
		w.anchor.at = plan.Position{}
		requireMismatch(t, w, d, "has no anchor")
		w.anchor.at = at
		_, err := w.once()
		require.NoError(t, err)
	})
	t.Run("anchor not written yet, because the first process was killed", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(1)...)
		_, err := w.open().begin(t.Context()) // the lock is not released
		require.NoError(t, err)
		require.NotZero(t, w.anchor.at)
		w.anchor.at = plan.Position{}
		w.cfg.Systems.Name = "other" // the first one has the lock
		other := newWorld(t, someOrders(1)...)
		other.journals = w.journals
		require.NoError(t, os.Mkdir(other.dir, 0o700))
		content, err := os.ReadFile(filepath.Join(w.dir, "journal"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(other.dir, "journal"), content, 0o600))
		_, err = other.once()
		require.NoError(t, err)
	})
	t.Run("another system", func(t *testing.T) {
		t.Parallel()
		w, _, _ := used(t)
		w.cfg.Systems.Name = "another one"
		_, err := w.tryOpen()
		oneLine(t, err)
		require.ErrorIs(t, err, resubmit.ErrJournalSystem)
	})
}

// lateAnchor has no position when it is first read, because another process stores the first one just after that.
type lateAnchor struct {
	Anchor
	read bool
}

func (a *lateAnchor) Load(ctx context.Context) (plan.Position, error) {
	if !a.read {
		a.read = true
		return plan.Position{}, nil
	}
	return a.Anchor.Load(ctx)
}

func TestSharedJournalThatAnotherProcessHasJustMade(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(w *world) error{
		"open": func(w *world) error { _, err := w.tryOpen(); return err },
		"once": func(w *world) error {
			d, err := open(w.dir, w.cfg)
			require.NoError(w.t, err)
			w.rig(d)
			_, err = d.Once(w.t.Context(), OnceOptions{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := newWorld(t, someOrders(1)...), newWorld(t, someOrders(1)...)
			first.cfg.Journal = new(resubmit.MemoryJournal)
			second.cfg = first.cfg
			_, err := first.once()
			require.NoError(t, err)
			second.cfg.Anchor = &lateAnchor{Anchor: first.anchor}
			require.NoError(t, use(second))

			second.cfg.Anchor = &lateAnchor{Anchor: new(anchor)}
			require.ErrorIs(t, use(second), resubmit.ErrJournalMismatch, "it has really no anchor")
			first.anchor.at.Sequence += 2
			second.cfg.Anchor = &lateAnchor{Anchor: first.anchor}
			require.ErrorIs(t, use(second), resubmit.ErrJournalMismatch, "it is an older copy")
		})
	}
}

func TestAnchor(t *testing.T) {
	t.Parallel()
	t.Run("is written before the first push, once a second, and at the end", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, someOrders(3)...)
			var at []plan.Position
			w.beforePush = func(ctx context.Context, r *fakeRunner, _ *plan.Entry) error {
				at = append(at, w.anchor.position())
				time.Sleep(time.Second)
				return nil
			}
			d := w.open()
			var planned uint64
			d.writePlan = func(ctx context.Context, cfg resubmit.PlanConfig, path string) (plan.ActionCounts, error) {
				seq, err := cfg.Journal.Put(ctx, resubmit.Deferred, protocol.Record{
					Key: protocol.Key{Kind: protocol.KindSystem, ID: "x"}, System: &protocol.System{},
				})
				require.NoError(t, err)
				planned = seq
				return w.writePlan(ctx, cfg, path)
			}
			_, err := d.Once(t.Context(), OnceOptions{})
			require.NoError(t, err)
			require.GreaterOrEqual(t, at[0].Sequence, planned)
			require.Greater(t, at[1].Sequence, at[0].Sequence)
			require.Greater(t, at[2].Sequence, at[1].Sequence)
			require.Greater(t, w.anchor.position().Sequence, at[2].Sequence)
			end, err := w.journals["journal 0"].Flush(t.Context())
			require.NoError(t, err)
			require.Equal(t, end, w.anchor.position())
		})
	})
	t.Run("is kept while a run ends slowly", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, someOrders(1)...)
			ctx, cancel := context.WithCancel(t.Context())
			w.beforePush = func(_ context.Context, r *fakeRunner, e *plan.Entry) error {
				cancel()
				_, err := r.cfg.Journal.Put(t.Context(), resubmit.Durable, protocol.Record{
					Key: protocol.Key{Kind: protocol.KindSystem, ID: "x"}, System: &protocol.System{},
				})
				require.NoError(t, err)
				before := w.anchor.position()
				time.Sleep(time.Second)
				require.Greater(t, w.anchor.position().Sequence, before.Sequence)
				return ctx.Err()
			}
			_, err := w.open().Once(ctx, OnceOptions{})
			require.ErrorIs(t, err, context.Canceled)
		})
	})
	t.Run("ends the run if it cannot be written", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, someOrders(5)...)
			w.beforePush = func(ctx context.Context, _ *fakeRunner, e *plan.Entry) error {
				if e.Number == "SO2" {
					w.anchor.mu.Lock()
					w.anchor.err = syscall.ENOSPC
					w.anchor.mu.Unlock()
				}
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
				}
				return ctx.Err()
			}
			r, err := w.once()
			oneLine(t, err)
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.ErrorContains(t, err, "write the anchor of the journal")
			require.False(t, r.Runs[0].Ended())
			require.Len(t, w.sends(), 1)
			w.anchor.err, w.beforePush = nil, nil
			_, err = w.once()
			require.NoError(t, err)
			require.Len(t, w.sends(), 5)
		})
	})
	t.Run("is a file outside of the directory", func(t *testing.T) {
		t.Parallel()
		a := FileAnchor(filepath.Join(t.TempDir(), "anchor.json"))
		at, err := a.Load(t.Context())
		require.NoError(t, err)
		require.Zero(t, at)
		want := plan.Position{Journal: "j", Sequence: 1<<63 + 1, Hash: "h"}
		require.NoError(t, a.Store(t.Context(), want))
		at, err = a.Load(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, at)
		info, err := os.Stat(string(a.(fileAnchor)))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		require.NoError(t, os.WriteFile(string(a.(fileAnchor)), []byte(`{"kind":"cloudblue-resubmit-anchor"`), 0o600))
		_, err = a.Load(t.Context())
		oneLine(t, err)
		require.Error(t, FileAnchor(filepath.Join(t.TempDir(), "none", "anchor.json")).Store(t.Context(), want))
	})
	t.Run("must be given with a journal", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.cfg.Journal, w.cfg.Anchor = new(resubmit.MemoryJournal), nil
		_, err := w.tryOpen()
		require.ErrorContains(t, err, "Config.Anchor is nil")
	})
	t.Run("of a shared journal is compared too", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(2)...)
		w.cfg.Journal = new(resubmit.MemoryJournal)
		_, err := w.once()
		require.NoError(t, err)
		second := newWorld(t) // another host
		second.cfg = w.cfg
		r, err := second.once()
		require.NoError(t, err)
		require.Equal(t, EndNothing, r.Runs[0].End)
		require.NoFileExists(t, filepath.Join(w.dir, "journal"))
		d := w.open()
		w.cfg.Journal = new(resubmit.MemoryJournal)
		d.cfg.Journal = w.cfg.Journal
		requireMismatch(t, w, d, "was replaced, or is an older copy")
	})
}

// The default files are in the configuration directory of the user, which is set for the whole process.
func TestDefaultFiles(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	t.Setenv("HOME", home)
	w := newWorld(t, someOrders(600)...)
	w.cfg.Anchor = nil
	_, err := w.once()
	need, ok := errors.AsType[*ApprovalError](err)
	require.True(t, ok, "%v", err)
	d := w.open()
	require.NoError(t, d.Approve(need.Run.Digest, "", nil))
	_, err = w.once()
	require.NoError(t, err)
	require.Len(t, w.sends(), 600)
	found, err := filepath.Glob(filepath.Join(home, "cloudblue-resubmit", "*"))
	if len(found) == 0 { // not on Linux
		found, err = filepath.Glob(filepath.Join(home, "*", "*", "cloudblue-resubmit", "*"))
	}
	require.NoError(t, err)
	require.Len(t, found, 3, "the anchor, the key and its public half")

	second := newWorld(t, someOrders(1)...)
	second.cfg.Anchor = nil
	_, err = second.tryOpen()
	require.ErrorIs(t, err, resubmit.ErrJournalMismatch, "two directories for one installation would send twice")
	require.ErrorContains(t, err, "is missing, although "+second.cfg.Systems.Name+" had one before")
	second.cfg.Systems.Name = "another installation"
	_, err = second.once()
	require.NoError(t, err)

	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("HOME", "")
	_, err = w.tryOpen()
	require.ErrorContains(t, err, "set HOME or XDG_CONFIG_HOME")
}
