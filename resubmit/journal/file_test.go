package journal_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

func order(id string) protocol.Record {
	return protocol.Record{Key: protocol.OrderKey(id), Order: &protocol.Order{Number: "SO" + id, Phase: protocol.Claimed}}
}

func put(t testing.TB, j *journal.File, d resubmit.Durability, records ...protocol.Record) uint64 {
	t.Helper()
	seq, err := j.Put(t.Context(), d, records...)
	require.NoError(t, err)
	return seq
}

func get(t testing.TB, j *journal.File, k protocol.Key) protocol.Record {
	t.Helper()
	r, err := j.Get(t.Context(), k)
	require.NoError(t, err)
	return r
}

func flush(t testing.TB, j *journal.File) plan.Position {
	t.Helper()
	p, err := j.Flush(t.Context())
	require.NoError(t, err)
	return p
}

// filled makes a journal with orders and returns its path.
func filled(t testing.TB, orders int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	begin(t, j)
	for n := range orders {
		put(t, j, resubmit.Deferred, order(fmt.Sprint(n)))
		flush(t, j) // each in a frame
	}
	require.NoError(t, j.Close())
	return path
}

func oneLine(t testing.TB, err error, path string) {
	t.Helper()
	require.ErrorContains(t, err, path)
	require.NotContains(t, err.Error(), "\n")
	require.True(t, strings.HasPrefix(err.Error(), "resubmit/journal: "), err.Error())
}

func TestOpen(t *testing.T) {
	t.Parallel()
	t.Run("names who holds the lock", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "journal")
		open(t, path, journal.WithOwner("tester"))
		_, err := journal.Open(path, journal.WithLockTimeout(0))
		oneLine(t, err, path)
		held, ok := errors.AsType[*journal.LockedError](err)
		require.True(t, ok)
		require.Equal(t, os.Getpid(), held.Holder.PID)
		require.ErrorContains(t, err, "is held by tester, process ")
	})
	t.Run("creates the file only in Begin, for its owner only", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "journal")
		j := open(t, path)
		require.NoFileExists(t, path)
		_, err := j.Put(t.Context(), resubmit.Durable, order("1"))
		oneLine(t, err, path)
		require.ErrorContains(t, err, "call Begin first")
		_, err = j.Flush(t.Context())
		require.ErrorContains(t, err, "call Begin first")
		_, err = j.Begin(t.Context(), resubmit.JournalUse{})
		require.ErrorContains(t, err, "the system in JournalUse is empty")
		begin(t, j)
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
		require.NoError(t, j.Close())
		require.NoError(t, os.Chmod(path, 0o644))
		open(t, path)
		info, err = os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	})
	t.Run("does not replace a file that appeared meanwhile", func(t *testing.T) {
		t.Parallel()
		old, path := filled(t, 1), filepath.Join(t.TempDir(), "journal")
		j := open(t, path)
		require.NoError(t, os.Link(old, path))
		_, err := j.Begin(t.Context(), resubmit.JournalUse{System: "ordermanager", Plan: "sha256:1"})
		oneLine(t, err, path)
		_, err = journal.Check(old)
		require.NoError(t, err)
	})
	t.Run("follows no link", func(t *testing.T) {
		t.Parallel()
		target, path := filled(t, 1), filepath.Join(t.TempDir(), "link")
		before, err := os.ReadFile(target)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(target, path))
		for _, opts := range [][]journal.Option{nil, {journal.WithReadOnly()}} {
			_, err = journal.Open(path, opts...)
			require.ErrorContains(t, err, "this is a symbolic link")
		}
		_, _, err = journal.Compact(path)
		require.ErrorContains(t, err, "this is a symbolic link")
		_, _, err = journal.Recover(path)
		require.ErrorContains(t, err, "this is a symbolic link")
		after, err := os.ReadFile(target)
		require.NoError(t, err)
		require.Equal(t, before, after)
	})
	t.Run("rejects what is not a journal of this version", func(t *testing.T) {
		t.Parallel()
		bbolt := make([]byte, 4096)
		binary.NativeEndian.PutUint32(bbolt[16:], 0xED0CDAED)
		for content, want := range map[string]string{
			"":                                    "this is not a journal",
			"{}\n":                                "this is not a journal",
			"no JSON\n":                           "this is not a journal",
			strings.Repeat("x", 1<<20):            "this is not a journal",
			`{"kind":"other","version":2}` + "\n": "this is not a journal",
			`{"kind":"cloudblue-resubmit-journal","version":3}` + "\n": "its format has version 3, and this program reads version 2",
			`{"kind":"cloudblue-resubmit-journal","version":2}` + "\n": "corrupt at byte 0: the header",
			string(bbolt): "this is a journal of version 1, and this program reads version 2; finish its plan with the release",
		} {
			path := filepath.Join(t.TempDir(), "journal")
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			for _, opts := range [][]journal.Option{nil, {journal.WithReadOnly()}} {
				_, err := journal.Open(path, opts...)
				oneLine(t, err, path)
				require.ErrorContains(t, err, want)
			}
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, content, string(after))
		}
	})
	t.Run("syncs what a killed process may not have synced", func(t *testing.T) {
		t.Parallel()
		path, syncs := filled(t, 1), 0
		open(t, path, journal.WithSync(func(f *os.File) error {
			syncs++
			return f.Sync()
		}))
		require.Equal(t, 1, syncs)
		_, err := journal.Open(filled(t, 1), journal.WithSync(func(*os.File) error { return syscall.EIO }))
		require.ErrorIs(t, err, syscall.EIO)
	})
	t.Run("rejects absurd options and paths", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "journal")
		for _, o := range []journal.Option{
			journal.WithLockTimeout(-1), journal.WithOwner(""), journal.WithRetention(time.Hour), journal.WithRetention(-1),
		} {
			_, err := journal.Open(path, o)
			require.Error(t, err)
		}
		_, err := journal.Open("")
		require.ErrorContains(t, err, "the path is empty")
		_, err = journal.Open(path, journal.WithReadOnly())
		require.ErrorIs(t, err, fs.ErrNotExist)
		_, err = journal.Open(filepath.Join(path, "missing", "journal"))
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	path := filled(t, 3)
	j := open(t, path)
	l := begin(t, j)
	run := protocol.Record{Key: protocol.Key{Kind: protocol.KindRun, ID: "sha256:1"}, Run: &protocol.Run{Epoch: l.Epoch}}
	put(t, j, resubmit.Durable, order("new"), run)
	before, err := os.ReadFile(path)
	require.NoError(t, err)

	r := open(t, path, journal.WithReadOnly())
	require.Equal(t, protocol.Claimed, get(t, r, protocol.OrderKey("new")).Order.Phase)
	require.True(t, get(t, r, run.Key).Run.LeaseEnd.After(time.Now()), "its process is alive")
	put(t, j, resubmit.Durable, order("later"))
	require.Zero(t, get(t, r, protocol.OrderKey("later")).Version, "what is written later is not seen")
	_, err = r.Put(t.Context(), resubmit.Durable, order("2"))
	oneLine(t, err, path)
	require.ErrorContains(t, err, "open for reading only")
	_, err = r.Begin(t.Context(), resubmit.JournalUse{
		System: "ordermanager", BaseURL: "https://mn.example.net", IDSpace: "aps", Plan: "sha256:1",
	})
	require.ErrorContains(t, err, "open for reading only")
	reader, err := r.Begin(t.Context(), resubmit.JournalUse{
		System: "ordermanager", BaseURL: "https://mn.example.net", IDSpace: "aps", After: l.Position,
	})
	require.NoError(t, err)
	require.Greater(t, reader.Sequence, l.Sequence)
	require.Zero(t, reader.Epoch)
	n := 0
	for _, err := range r.Records(t.Context()) {
		require.NoError(t, err)
		n++
	}
	require.Equal(t, 5, n)
	require.NoError(t, r.Close())
	require.NoError(t, j.Close())
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(after, bytes.TrimRight(before, "\x00")))

	r = open(t, path, journal.WithReadOnly())
	require.False(t, get(t, r, run.Key).Run.LeaseEnd.After(time.Now()), "nobody holds the lock")
}

// TestLeaseEndsWithTheJournal: the lock proves that the process of an earlier run has ended.
func TestLeaseEndsWithTheJournal(t *testing.T) {
	t.Parallel()
	path := filled(t, 1)
	j := open(t, path)
	l := begin(t, j)
	require.Zero(t, l.Duration)
	run := protocol.Record{Key: protocol.Key{Kind: protocol.KindRun, ID: "sha256:1"}, Run: &protocol.Run{Epoch: l.Epoch}}
	put(t, j, resubmit.Durable, run)
	require.True(t, get(t, j, run.Key).Run.LeaseEnd.After(time.Now()))
	require.NoError(t, j.Close())
	j = open(t, path)
	require.False(t, get(t, j, run.Key).Run.LeaseEnd.After(time.Now()))
	require.Greater(t, begin(t, j).Epoch, l.Epoch)
}

// TestSlowDisk: a Put that takes three seconds blocks neither readers nor other writers nor those whose context ends.
func TestSlowDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, err := journal.Open(filepath.Join(t.TempDir(), "journal"), journal.WithSync(func(f *os.File) error {
			time.Sleep(3 * time.Second)
			return f.Sync()
		}))
		require.NoError(t, err)
		begin(t, j)
		began := time.Now()
		done := make(chan time.Duration, 2)
		durable := func(id string) {
			_, err := j.Put(t.Context(), resubmit.Durable, order(id))
			require.NoError(t, err)
			done <- time.Since(began)
		}
		go durable("1")
		synctest.Wait()
		go durable("2") // waits for the sync after that
		synctest.Wait()
		require.NotZero(t, get(t, j, protocol.OrderKey("1")).Version)
		require.NotZero(t, get(t, j, protocol.OrderKey("2")).Version)
		put(t, j, resubmit.Deferred, order("3"))
		n := 0
		for _, err := range j.Records(t.Context()) {
			require.NoError(t, err)
			n++
		}
		require.Equal(t, 3, n)
		require.Zero(t, time.Since(began))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = j.Put(ctx, resubmit.Durable, order("4"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = j.Flush(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
		require.NotZero(t, get(t, j, protocol.OrderKey("4")).Version, "a Put that has begun may complete")

		require.Equal(t, 3*time.Second, <-done)
		require.Equal(t, 6*time.Second, <-done)
		put(t, j, resubmit.Deferred, order("5"))
		time.Sleep(40 * time.Millisecond)
		require.Equal(t, 6*time.Second+40*time.Millisecond, time.Since(began), "nobody waits for a deferred record")
		require.NoError(t, j.Close())
	})
}

// TestConcurrentCallersShareASync: a lone caller is not delayed, many share a sync, and Deferred records are written
// soon without another call.
func TestConcurrentCallersShareASync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var syncs atomic.Int64
		j, err := journal.Open(filepath.Join(t.TempDir(), "journal"), journal.WithSync(func(*os.File) error {
			syncs.Add(1)
			time.Sleep(time.Millisecond)
			return nil
		}))
		require.NoError(t, err)
		begin(t, j)
		syncs.Store(0)
		for n := range 10 {
			put(t, j, resubmit.Durable, order(fmt.Sprint("one ", n)))
		}
		require.EqualValues(t, 10, syncs.Load())
		began := time.Now()
		done := make(chan error)
		for n := range 200 {
			go func() {
				_, err := j.Put(t.Context(), resubmit.Durable, order(fmt.Sprint("many ", n)))
				done <- err
			}()
		}
		for range 200 {
			require.NoError(t, <-done)
		}
		require.LessOrEqual(t, time.Since(began), 4*time.Millisecond)
		syncs.Store(0)
		for n := range 100 {
			put(t, j, resubmit.Deferred, order(fmt.Sprint("later ", n)))
		}
		synctest.Wait()
		require.Zero(t, syncs.Load())
		time.Sleep(60 * time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, 1, syncs.Load())
		put(t, j, resubmit.Deferred, order("with the next"))
		put(t, j, resubmit.Durable, order("durable one"))
		require.EqualValues(t, 2, syncs.Load())
		require.NoError(t, j.Close())
		require.EqualValues(t, 2, syncs.Load())
	})
}

// TestFailedSync: after a failure all calls fail, and what was not confirmed is not believed.
func TestFailedSync(t *testing.T) {
	t.Parallel()
	path, fails := filled(t, 1), false
	j := open(t, path, journal.WithSync(func(*os.File) error {
		if fails {
			return fmt.Errorf("sync: %w", syscall.EIO)
		}
		return nil
	}))
	put(t, j, resubmit.Durable, order("before"))
	fails = true
	_, failed := j.Put(t.Context(), resubmit.Durable, order("lost"))
	require.ErrorIs(t, failed, syscall.EIO)
	oneLine(t, failed, path)
	require.ErrorContains(t, failed, "then open the journal again")
	fails = false
	_, err := j.Put(t.Context(), resubmit.Durable, order("later"))
	require.Equal(t, failed, err)
	_, err = j.Get(t.Context(), protocol.OrderKey("before"))
	require.Equal(t, failed, err)
	_, err = j.Flush(t.Context())
	require.Equal(t, failed, err)
	for _, err = range j.Records(t.Context()) {
	}
	require.Equal(t, failed, err)
	require.Equal(t, failed, j.Close())

	j = open(t, path)
	require.NotZero(t, get(t, j, protocol.OrderKey("before")).Version)
	require.Zero(t, get(t, j, protocol.OrderKey("lost")).Version)
}

// TestDeferredWriteError reaches the caller of Close at the latest.
func TestDeferredWriteError(t *testing.T) {
	t.Parallel()
	fails := false
	j := open(t, filled(t, 1), journal.WithSync(func(*os.File) error {
		if fails {
			return syscall.ENOSPC
		}
		return nil
	}))
	fails = true
	put(t, j, resubmit.Deferred, order("lost"))
	require.ErrorIs(t, j.Close(), syscall.ENOSPC)
}

// TestChangedFile: somebody restores or removes the file while it is open.
func TestChangedFile(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(path string) error{
		"removed": os.Remove,
		"replaced": func(path string) error {
			content, err := os.ReadFile(path)
			return errors.Join(err, os.Rename(path, path+".old"), os.WriteFile(path, content, 0o600))
		},
		"cut off": func(path string) error { return os.Truncate(path, 300) },
		"appended": func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("x")
			return errors.Join(err, f.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filled(t, 10)
			j := open(t, path)
			require.NoError(t, change(path))
			_, err := j.Put(t.Context(), resubmit.Durable, order("lost"))
			oneLine(t, err, path)
			require.Equal(t, err, j.Close())
		})
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 || runtime.GOOS == "windows" {
		t.Log("not checked: this user may write everywhere")
		return
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o500))
	_, err := journal.Open(filepath.Join(dir, "journal"))
	require.ErrorIs(t, err, fs.ErrPermission)
	oneLine(t, err, dir)
}

func TestExport(t *testing.T) {
	t.Parallel()
	j := open(t, filled(t, 3))
	put(t, j, resubmit.Deferred, order("<new>"))
	at := flush(t, j)
	var out bytes.Buffer
	require.NoError(t, j.Export(t.Context(), &out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Len(t, lines, 5)
	var head struct {
		Kind, System string
		Position     plan.Position
	}
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &head))
	require.Equal(t, "cloudblue-resubmit-journal", head.Kind)
	require.Equal(t, at, head.Position)
	found := make(map[string]bool)
	for _, line := range lines[1:] {
		var r protocol.Record
		require.NoError(t, json.Unmarshal([]byte(line), &r))
		require.Equal(t, get(t, j, r.Key), r)
		found[r.ID] = true
	}
	require.Equal(t, map[string]bool{"0": true, "1": true, "2": true, "<new>": true}, found)
	require.ErrorIs(t, j.Export(t.Context(), failing{}), syscall.ENOSPC)
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

func TestSummary(t *testing.T) {
	t.Parallel()
	path := filled(t, 3)
	j := open(t, path)
	ended := order("ended")
	ended.At = time.Date(2026, 3, 7, 2, 0, 0, 0, time.UTC)
	ended.Order.Phase, ended.Order.Outcome = protocol.Ended, protocol.Completed
	put(t, j, resubmit.Durable, ended, protocol.Record{
		Key: protocol.Key{Kind: protocol.KindLane, ID: "l"}, Lane: new(protocol.Lane),
	})
	again := order("0")
	again.Version = get(t, j, again.Key).Version
	put(t, j, resubmit.Durable, again)
	s, err := journal.Check(path)
	require.NoError(t, err)
	require.Equal(t, map[protocol.Kind]int{protocol.KindOrder: 4, protocol.KindLane: 1}, s.Records)
	require.Equal(t, map[string]int{"claimed": 3, "completed": 1}, s.Orders)
	require.Equal(t, ended.At, s.Newest)
	require.Equal(t, flush(t, j), s.Position)
	require.Equal(t, 1, s.Garbage)
	require.Equal(t, os.Getpid(), s.Writer.PID)
	require.Equal(t, []string{"ordermanager", "https://mn.example.net", "aps"}, []string{s.System, s.BaseURL, s.IDSpace})
	require.Contains(t, s.String(), "4 orders (3 claimed, 1 completed)")
	require.NoError(t, j.Close())
	s, err = journal.Check(path)
	require.NoError(t, err)
	require.Nil(t, s.Writer)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, info.Size(), s.Size)
}

// TestPositionOfAnEarlierProcess: a position is recognized although the process that returned it wrote nothing more.
func TestPositionOfAnEarlierProcess(t *testing.T) {
	t.Parallel()
	path := filled(t, 1)
	j := open(t, path)
	p := flush(t, j)
	require.NoError(t, j.Close())
	for range 3 {
		j = open(t, path)
		begin(t, j) // writes
		require.NoError(t, j.Close())
	}
	j = open(t, path)
	_, err := j.Begin(t.Context(), resubmit.JournalUse{
		System: "ordermanager", BaseURL: "https://mn.example.net", IDSpace: "aps", After: p,
	})
	require.NoError(t, err)
}

func TestAllFieldsAreKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	begin(t, j)
	records := []protocol.Record{
		{Key: protocol.OrderKey("1"), Order: new(protocol.Order)},
		{Key: protocol.Key{Kind: protocol.KindLane, ID: "s"}, Lane: new(protocol.Lane)},
		{Key: protocol.Key{Kind: protocol.KindSystem, ID: "s"}, System: new(protocol.System)},
		{Key: protocol.Key{Kind: protocol.KindRun, ID: "r"}, Run: new(protocol.Run)},
	}
	fill(t, reflect.ValueOf(records[0].Order).Elem())
	fill(t, reflect.ValueOf(records[1].Lane).Elem())
	fill(t, reflect.ValueOf(records[2].System).Elem())
	fill(t, reflect.ValueOf(records[3].Run).Elem())
	records[3].Run.LeaseEnd = time.Time{} // the journal sets it
	put(t, j, resubmit.Durable, records...)
	require.NoError(t, j.Close())
	j = open(t, path)
	for _, r := range records {
		kept := get(t, j, r.Key)
		if kept.Run != nil {
			kept.Run.LeaseEnd = time.Time{}
		}
		r.Version = kept.Version
		require.Equal(t, r, kept)
	}
}

// fill sets each field of a struct to another value than its zero.
func fill(t *testing.T, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Interface().(type) {
		case time.Time:
			f.Set(reflect.ValueOf(time.Date(2026, 5, 4, 12, i, 0, i, time.UTC)))
		case []string:
			f.Set(reflect.ValueOf([]string{fmt.Sprint(i), "x"}))
		default:
			switch f.Kind() {
			case reflect.String:
				f.SetString(fmt.Sprint(i))
			case reflect.Bool:
				f.SetBool(true)
			case reflect.Int:
				f.SetInt(int64(i))
			case reflect.Uint64:
				f.SetUint(uint64(i) + 1)
			case reflect.Float64:
				f.SetFloat(float64(i) + 0.25)
			case reflect.Struct:
				fill(t, f)
			default:
				require.Fail(t, "unexpected type", "%v", f.Type())
			}
		}
	}
}
