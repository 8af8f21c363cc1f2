package state

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	t.Run("creates a private directory", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.open()
		for _, path := range []string{w.dir, filepath.Join(w.dir, "runs"), filepath.Join(w.dir, "control")} {
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), path)
		}
		left, err := os.ReadDir(w.dir)
		require.NoError(t, err)
		require.Len(t, left, 2, "nothing is locked or written")
	})
	t.Run("rejects a directory that others may write to", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		require.NoError(t, os.Mkdir(w.dir, 0o700))
		require.NoError(t, os.Chmod(w.dir, 0o770))
		_, err := w.tryOpen()
		oneLine(t, err)
		require.ErrorContains(t, err, "chmod 700")
		require.NoError(t, os.Chmod(w.dir, 0o700))
		w.open()
		require.NoError(t, os.Chmod(filepath.Join(w.dir, "control"), 0o777))
		_, err = w.tryOpen()
		require.ErrorContains(t, err, "others may write to "+filepath.Join(w.dir, "control"))
	})
	t.Run("rejects a file", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		require.NoError(t, os.WriteFile(w.dir, nil, 0o600))
		_, err := w.tryOpen()
		oneLine(t, err)
		require.ErrorContains(t, err, "create the directory")
	})
	for name, damage := range map[string]func(*Config){
		"Systems.Name":     func(c *Config) { c.Systems.Name = "" },
		"Config.Retention": func(c *Config) { c.Retention = -2 },
		"Config.Journal":   func(c *Config) { c.Journal = (*resubmit.MemoryJournal)(nil) },
		"Config.Anchor":    func(c *Config) { c.Anchor = (*anchor)(nil) },
	} {
		t.Run("rejects a bad "+name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			damage(&w.cfg)
			_, err := w.tryOpen()
			oneLine(t, err)
			require.ErrorContains(t, err, name)
			require.NoFileExists(t, w.dir)
		})
	}
	t.Run("rejects an approver whom the Runner does not accept", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		_, one := newKey(t)
		_, two := newKey(t)
		w.cfg.Runner.Require, w.cfg.Approvers = []ed25519.PublicKey{one}, []ed25519.PublicKey{one, two}
		_, err := w.tryOpen()
		oneLine(t, err)
		require.ErrorContains(t, err, "not in Runner.Require")
		w.cfg.Approvers = w.cfg.Approvers[:1]
		w.open()
	})
	t.Run("names the command of a directory with blanks", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(501)...)
		w.dir, w.cfg.Command = filepath.Join(t.TempDir(), "the state"), ""
		_, err := w.once()
		require.ErrorContains(t, err, fmt.Sprintf("aftermaintenance -state %q sign sha256:", w.dir))
	})
}

func TestLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, someOrders(3)...)
		release := running(t, w)
		d := w.open()
		busy, err := d.Status()
		require.NoError(t, err)
		for name, call := range map[string]func() error{
			"Once":    func() error { return errorOf(d.Once(t.Context(), OnceOptions{})) },
			"Approve": func() error { return d.Approve(busy.Run.Digest, "ben", nil) },
			"Recover": func() error { return Recover(t.Context(), w.dir, w.cfg, "") },
		} {
			err := call()
			oneLine(t, err)
			locked, ok := errors.AsType[*LockedError](err)
			require.True(t, ok, "%s: %v", name, err)
			require.Equal(t, "nightly", locked.Holder.Program)
			require.Equal(t, os.Getpid(), locked.Holder.PID)
		}
		_, err = d.Runs()
		require.NoError(t, err)
		_, err = d.VerifyAudit()
		require.NoError(t, err)
		_, err = release()
		require.NoError(t, err)
		s, err := d.Status()
		require.NoError(t, err)
		require.False(t, s.Busy)
		require.Nil(t, s.Run.Live)
	})
}

func TestRuns(t *testing.T) {
	t.Parallel()
	t.Run("are kept for their retention", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			for range 3 {
				_, err := w.once()
				require.NoError(t, err)
				time.Sleep(190 * 24 * time.Hour)
			}
			runs, err := w.open().Runs()
			require.NoError(t, err)
			require.Len(t, runs, 3)
			_, err = w.once()
			require.NoError(t, err)
			left, err := w.open().Runs()
			require.NoError(t, err)
			require.Len(t, left, 3, "without the first one, which is more than 400 days old")
			require.Equal(t, runs[1].ID, left[0].ID)

			time.Sleep(1000 * 24 * time.Hour)
			w.cfg.Retention = -1
			_, err = w.once()
			require.NoError(t, err)
			left, err = w.open().Runs()
			require.NoError(t, err)
			require.Len(t, left, 4)
		})
	})
	t.Run("stay sorted if the clock is set back", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		runs := filepath.Join(w.dir, "runs")
		_, err := w.once()
		require.NoError(t, err)
		left, err := os.ReadDir(runs)
		require.NoError(t, err)
		old := left[0].Name()
		future := "20990101T000000.000Z" + old[strings.IndexByte(old, '-'):]
		require.NoError(t, os.Rename(filepath.Join(runs, old), filepath.Join(runs, future)))
		content, err := os.ReadFile(filepath.Join(runs, future, runFile))
		require.NoError(t, err)
		content = []byte(strings.Replace(string(content), old, future, 1))
		require.NoError(t, os.WriteFile(filepath.Join(runs, future, runFile), content, 0o600))
		r, err := w.once()
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(r.Runs[0].ID, "20990101T000000.001Z-"), r.Runs[0].ID)
	})
	t.Run("ignore other directories, and name a file that is damaged", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(1)...)
		r, err := w.once()
		require.NoError(t, err)
		d := w.open()
		require.NoError(t, os.MkdirAll(filepath.Join(w.dir, "runs", "notes"), 0o700))
		require.NoError(t, os.MkdirAll(filepath.Join(w.dir, "runs", ".plan", "deep"), 0o700))
		_, err = w.once()
		require.NoError(t, err)
		require.DirExists(t, filepath.Join(w.dir, "runs", "notes"))
		require.NoDirExists(t, filepath.Join(w.dir, "runs", ".plan"))

		path := d.Path(r.Runs[0], runFile)
		good, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, bad := range []string{"", "{}", strings.Replace(string(good), `"end"`, `"ende"`, 1),
			strings.Replace(string(good), r.Runs[0].ID, "20990101T000000.001Z-x", 1)} {
			require.NoError(t, os.WriteFile(path, []byte(bad), 0o600))
			_, err = d.Runs()
			oneLine(t, err)
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, "move the directory of the run away")
		}
	})
}

func TestVerifyAudit(t *testing.T) {
	t.Parallel()
	used := func(t *testing.T) (*world, []Run) {
		w := newWorld(t)
		for i := range 3 {
			w.fail(order(i + 1))
			_, err := w.once()
			require.NoError(t, err)
			w.fail()
			_, err = w.once() // has no audit log
			require.NoError(t, err)
		}
		runs, err := w.open().Runs()
		require.NoError(t, err)
		return w, slices.DeleteFunc(runs, func(r Run) bool { return r.End == EndNothing })
	}
	t.Run("chains the logs of the runs", func(t *testing.T) {
		t.Parallel()
		w, runs := used(t)
		head, err := w.open().VerifyAudit()
		require.NoError(t, err)
		require.Positive(t, head.Lines)
		require.NoError(t, os.RemoveAll(filepath.Dir(w.open().Path(&runs[0], runFile))))
		_, err = w.open().VerifyAudit()
		require.NoError(t, err, "the oldest one may be removed")
	})
	t.Run("notices a missing log", func(t *testing.T) {
		t.Parallel()
		w, runs := used(t)
		require.NoError(t, os.RemoveAll(filepath.Dir(w.open().Path(&runs[1], runFile))))
		_, err := w.open().VerifyAudit()
		oneLine(t, err)
		require.ErrorContains(t, err, runs[2].ID)
		require.ErrorContains(t, err, "a log between them is missing")
	})
	t.Run("notices an edited log, and stops the next run", func(t *testing.T) {
		t.Parallel()
		w, runs := used(t)
		path := w.open().Path(&runs[2], auditFile)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, []byte(strings.Replace(string(content), "nightly", "daytime", 1)), 0o600))
		_, err = w.open().VerifyAudit()
		require.ErrorContains(t, err, path)
		w.fail(order(9))
		sent := w.sends()
		_, err = w.once()
		oneLine(t, err)
		require.ErrorContains(t, err, "the audit log of the run before was changed")
		require.Equal(t, sent, w.sends())
	})
	t.Run("checks signed heads, and gives them to an anchor", func(t *testing.T) {
		t.Parallel()
		public, key, err := ed25519.GenerateKey(nil)
		require.NoError(t, err)
		var heads []audit.Head
		w := newWorld(t)
		w.cfg.Audit = []audit.Option{audit.WithKey(key), audit.WithAnchor(func(h audit.Head) error {
			heads = append(heads, h)
			return nil
		})}
		for i := range 2 {
			w.fail(order(i + 1))
			_, err := w.once()
			require.NoError(t, err)
		}
		head, err := w.open().VerifyAudit(public)
		require.NoError(t, err)
		require.Equal(t, heads[len(heads)-1], head)
		require.NoError(t, head.CheckSignature(public))
		other, _, err := ed25519.GenerateKey(nil)
		require.NoError(t, err)
		_, err = w.open().VerifyAudit(other)
		oneLine(t, err)
		require.ErrorContains(t, err, "the signature of the head is invalid")
	})
	t.Run("repairs the log of a run that was killed between two lines", func(t *testing.T) {
		t.Parallel()
		w, runs := used(t)
		path := w.open().Path(&runs[2], auditFile)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		closed := strings.LastIndex(strings.TrimSuffix(string(content), "\n"), "\n") + 1
		require.NoError(t, os.WriteFile(path, content[:closed], 0o600))
		require.NoError(t, os.Remove(path+".head"))
		w.fail(order(9))
		_, err = w.once()
		require.NoError(t, err)
		head, err := audit.VerifyFile(path)
		require.NoError(t, err)
		require.True(t, head.Closed)
		_, err = w.open().VerifyAudit()
		require.NoError(t, err)
	})
	t.Run("repairs the log of a run that was killed", func(t *testing.T) {
		t.Parallel()
		w, runs := used(t)
		path := w.open().Path(&runs[2], auditFile)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, append(content, `{"n":`...), 0o600))
		_, err = w.open().VerifyAudit()
		require.Error(t, err)
		w.fail(order(9))
		_, err = w.once()
		require.NoError(t, err)
		_, err = w.open().VerifyAudit()
		require.NoError(t, err)
	})
}

func TestRecover(t *testing.T) {
	t.Parallel()
	rig := func(t *testing.T, orders ...*plan.Entry) *world {
		w := newWorld(t, orders...)
		w.files = func(path string, readOnly bool) (resubmit.Journal, func() error, error) {
			return openJournal(path, "nightly", readOnly)
		}
		return w
	}
	t.Run("continues with a new journal that knows of the loss", func(t *testing.T) {
		t.Parallel()
		w := rig(t, someOrders(3)...)
		_, err := w.once()
		require.NoError(t, err)
		w.fail(someOrders(501)...)
		_, err = w.once()
		require.ErrorIs(t, err, ErrApprovalRequired)
		old := w.anchor.position()
		require.NoError(t, os.Remove(filepath.Join(w.dir, "journal")))
		d, err := w.tryOpen()
		require.ErrorIs(t, err, resubmit.ErrJournalMismatch)
		require.Nil(t, d)

		before := time.Now().Add(-time.Second)
		require.NoError(t, Recover(t.Context(), w.dir, w.cfg, "the disk broke"))
		require.NotEqual(t, old.Journal, w.anchor.position().Journal)
		d = w.open()
		runs, err := d.Runs()
		require.NoError(t, err)
		require.Equal(t, EndLost, runs[1].End)
		require.Equal(t, "the journal was lost: the disk broke", runs[1].Why)
		j, closing, err := d.journals.use(t.Context(), true)
		require.NoError(t, err)
		lease, err := j.Begin(t.Context(), d.journals.as(plan.Position{}))
		require.NoError(t, err)
		require.True(t, lease.ForgottenBefore.After(before))
		require.NoError(t, closing())
		require.Contains(t, w.log.String(), `why="the disk broke"`)

		w.fail(order(1000))
		_, err = w.once()
		require.NoError(t, err)
		require.Equal(t, 1, w.sends()["SO1000"])
	})
	t.Run("keeps the records of the old journal, and the file", func(t *testing.T) {
		t.Parallel()
		w := rig(t, someOrders(3)...)
		_, err := w.once()
		require.NoError(t, err)
		w.anchor.at = plan.Position{}
		require.NoError(t, Recover(t.Context(), w.dir, w.cfg, "the anchor is gone"))
		kept, err := filepath.Glob(filepath.Join(w.dir, "journal.before-*"))
		require.NoError(t, err)
		require.Len(t, kept, 1)
		j, closing, err := w.open().journals.use(t.Context(), true)
		require.NoError(t, err)
		r, err := j.Get(t.Context(), protocol.OrderKey("1"))
		require.NoError(t, err)
		require.Equal(t, protocol.Completed, r.Order.Outcome)
		require.NoError(t, closing())
	})
	t.Run("can be repeated after a crash", func(t *testing.T) {
		t.Parallel()
		w := rig(t, someOrders(3)...)
		_, err := w.once()
		require.NoError(t, err)
		require.NoError(t, os.Remove(filepath.Join(w.dir, "journal")))
		w.anchor.err = fmt.Errorf("the process was killed")
		require.ErrorIs(t, Recover(t.Context(), w.dir, w.cfg, ""), w.anchor.err)
		w.anchor.err = nil
		_, err = w.tryOpen()
		require.ErrorIs(t, err, resubmit.ErrJournalMismatch)
		require.NoError(t, Recover(t.Context(), w.dir, w.cfg, ""))
		w.open()
	})
	t.Run("accepts a shared journal only if it knows of the loss", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.cfg.Journal = new(resubmit.MemoryJournal)
		require.ErrorContains(t, Recover(t.Context(), w.dir, w.cfg, ""), "the journal knows of no loss")
		require.Zero(t, w.anchor.position())
	})
}
