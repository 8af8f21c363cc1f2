package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// frames returns where the frames of a file begin, and its end.
func frames(t testing.TB, path string) []int64 {
	t.Helper()
	j := open(t, path, journal.WithReadOnly())
	defer func() { require.NoError(t, j.Close()) }()
	return j.Frames()
}

// changed writes a changed copy of a file and returns its path.
func changed(t testing.TB, content []byte, change func([]byte) []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	require.NoError(t, os.WriteFile(path, change(bytes.Clone(content)), 0o600))
	return path
}

func content(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

// TestCrashAtEveryByte cuts the last two frames off at every byte, and leaves zeros as some file systems do. Whatever
// is left of the last frame is removed, and all frames before it are believed.
func TestCrashAtEveryByte(t *testing.T) {
	t.Parallel()
	path := filled(t, 4)
	whole, at := content(t, path), frames(t, path)
	last := at[len(at)-1]
	require.EqualValues(t, len(whole), last)
	for _, zeros := range []bool{false, true} {
		for cut := at[len(at)-3]; cut <= last; cut++ {
			torn := changed(t, whole, func(b []byte) []byte {
				if zeros {
					clear(b[cut:])
					return b
				}
				return b[:cut]
			})
			var opts []journal.Option
			if cut%5 != 0 { // each byte is opened, but syncs take a while
				opts = append(opts, journal.WithReadOnly())
			}
			j := open(t, torn, opts...)
			// A frame may end in zeros, so that those of the file system complete it.
			left, kept := content(t, torn), 2
			for kept < 4 && bytes.HasPrefix(left, whole[:at[len(at)-4+kept]]) {
				kept++
			}
			for n := range 4 {
				key := protocol.OrderKey(fmt.Sprint(n))
				require.Equal(t, n < kept, get(t, j, key).Version != 0, "cut at %d, order %d", cut, n)
			}
			end := at[len(at)-5+kept]
			size := max(end, int64(len(bytes.TrimRight(whole[:cut], "\x00")))) // zeros may have been written ahead
			require.Equal(t, size-end, j.Recovered(), "cut at %d", cut)
			if len(opts) > 0 {
				require.NoError(t, j.Close())
				continue
			}
			put(t, j, resubmit.Durable, order("after the crash"))
			require.NoError(t, j.Close())
			s, err := journal.Check(torn)
			require.NoError(t, err)
			require.Equal(t, kept+1, s.Records[protocol.KindOrder])
			require.Zero(t, s.Torn)
		}
	}
}

// TestZerosAhead: the file of a process that is killed ends in zeros, which are no damage and are written over. Close
// cuts them off.
func TestZerosAhead(t *testing.T) {
	t.Parallel()
	path := filled(t, 1)
	j := open(t, path)
	put(t, j, resubmit.Durable, order("before"))
	size := len(content(t, path))
	killed := changed(t, content(t, path), func(b []byte) []byte { return b })
	put(t, j, resubmit.Durable, order("after"))
	require.Len(t, content(t, path), size, "there was room for it")
	require.NoError(t, j.Close())
	require.Less(t, len(content(t, path)), size)

	for range 2 {
		s, err := journal.Check(killed)
		require.NoError(t, err)
		require.Zero(t, s.Torn)
		j = open(t, killed)
		require.Zero(t, j.Recovered())
		require.NotZero(t, get(t, j, protocol.OrderKey("before")).Version)
		require.Zero(t, get(t, j, protocol.OrderKey("after")).Version)
		copied := filepath.Join(t.TempDir(), "salvaged")
		require.NoError(t, j.Close())
		s, err = journal.Salvage(killed, copied)
		require.NoError(t, err)
		require.Zero(t, s.Skipped)
		require.Equal(t, 2, s.Records[protocol.KindOrder])
	}
	j = open(t, killed)
	put(t, j, resubmit.Durable, order("after"))
	require.NoError(t, j.Close())
	require.NoError(t, os.Truncate(killed, int64(size)))
	j = open(t, killed)
	require.Zero(t, j.Recovered())
	require.NotZero(t, get(t, j, protocol.OrderKey("after")).Version)
	require.NoError(t, j.Close())
}

// TestReadWhileWritten: another process reads the zeros, and then finds frames in their place, or the file cut off.
func TestReadWhileWritten(t *testing.T) {
	t.Parallel()
	path := filled(t, 3)
	j := open(t, path)
	put(t, j, resubmit.Durable, order("first"))
	n := 0
	require.NoError(t, journal.Read(path, func() error {
		if n++; n == 2 { // zeros are in its buffer
			for id := range 3 {
				put(t, j, resubmit.Durable, order(fmt.Sprint("later ", id)))
			}
		}
		return nil
	}))
	require.Equal(t, len(frames(t, path)), n, "it reads what was written meanwhile")

	at := frames(t, path)
	size := int64(len(content(t, path)))
	require.NoError(t, j.Close())
	for cut := at[len(at)-2]; cut <= at[len(at)-1]; cut++ {
		torn := changed(t, content(t, path), func(b []byte) []byte { return append(b, make([]byte, size-int64(len(b)))...) })
		n = 0
		require.NoError(t, journal.Read(torn, func() error {
			if n++; n > 1 {
				return nil
			}
			return os.Truncate(torn, cut)
		}), "cut at %d", cut)
	}
}

// TestChangedWhileOpen: Records does not end before a frame that was there.
func TestChangedWhileOpen(t *testing.T) {
	t.Parallel()
	path := filled(t, 3)
	at := frames(t, path)
	for cut := at[len(at)-2]; cut < at[len(at)-1]; cut++ {
		damaged := changed(t, content(t, path), bytes.Clone)
		j := open(t, damaged, journal.WithReadOnly())
		require.NoError(t, os.Truncate(damaged, cut))
		var err error
		for _, err = range j.Records(t.Context()) {
			if err != nil {
				break
			}
		}
		c, ok := errors.AsType[*journal.CorruptError](err)
		require.True(t, ok, "cut at %d: %v", cut, err)
		require.Equal(t, at[len(at)-2], c.Offset)
		require.NoError(t, j.Close())
	}
}

// TestCorruptionAtEveryByte changes each byte before the last frame. It is rejected, nothing is changed, and Salvage
// copies all frames but the damaged one.
func TestCorruptionAtEveryByte(t *testing.T) {
	t.Parallel()
	path := filled(t, 6)
	whole, at := content(t, path), frames(t, path)
	for i := range at[len(at)-2] {
		damaged := changed(t, whole, func(b []byte) []byte {
			b[i] ^= 0x21
			return b
		})
		var opts []journal.Option
		if i%7 != 0 { // each byte is opened, but syncs take a while
			opts = append(opts, journal.WithReadOnly())
		}
		_, err := journal.Open(damaged, opts...)
		if i < at[0] { // the header may have become that of another program
			require.Error(t, err, "byte %d", i)
			continue
		}
		c, ok := errors.AsType[*journal.CorruptError](err)
		require.True(t, ok, "byte %d: %v", i, err)
		oneLine(t, err, damaged)
		require.ErrorContains(t, err, `"journal salvage"`)
		require.Contains(t, at, c.Offset)
		require.LessOrEqual(t, c.Offset, i)
		if len(opts) > 0 {
			continue
		}
		to := damaged + ".salvaged"
		s, err := journal.Salvage(damaged, to)
		require.NoError(t, err)
		require.GreaterOrEqual(t, s.Records[protocol.KindOrder], 5)
		require.Positive(t, s.Skipped)
		require.False(t, s.ForgottenBefore.IsZero())
	}
}

func TestDamagedLastFrameIsNotBelieved(t *testing.T) {
	t.Parallel()
	path := filled(t, 3)
	j := open(t, path)
	p := flush(t, j)
	require.NoError(t, j.Close())
	at := frames(t, path)
	damaged := changed(t, content(t, path), func(b []byte) []byte {
		b[at[len(at)-2]+20] ^= 1
		return b
	})
	j = open(t, damaged)
	require.Positive(t, j.Recovered())
	require.Zero(t, get(t, j, protocol.OrderKey("2")).Version)
	_, err := j.Begin(t.Context(), resubmit.JournalUse{
		System: "ordermanager", BaseURL: "https://mn.example.net", IDSpace: "aps", After: p,
	})
	require.ErrorIs(t, err, resubmit.ErrJournalMismatch)
}

// TestSwappedFrames: frames that are valid, but not where they are.
func TestSwappedFrames(t *testing.T) {
	t.Parallel()
	path := filled(t, 4)
	whole, at := content(t, path), frames(t, path)
	n := len(at)
	for name, change := range map[string]func(b []byte) []byte{
		"removed":  func(b []byte) []byte { return append(b[:at[1]:at[1]], b[at[2]:]...) },
		"repeated": func(b []byte) []byte { return append(b[:at[2]:at[2]], b[at[1]:]...) },
		"swapped": func(b []byte) []byte {
			return append(append(b[:at[n-3]:at[n-3]], b[at[n-2]:]...), b[at[n-3]:at[n-2]]...)
		},
		"of another journal": func(b []byte) []byte {
			other := filled(t, 4)
			return append(b[:at[2]:at[2]], content(t, other)[frames(t, other)[2]:]...)
		},
	} {
		_, err := journal.Open(changed(t, whole, change))
		_, ok := errors.AsType[*journal.CorruptError](err)
		require.True(t, ok, "%s: %v", name, err)
	}
}

func TestSalvage(t *testing.T) {
	t.Parallel()
	path := filled(t, 3)
	j := open(t, path)
	old := order("0")
	old.Version = get(t, j, old.Key).Version
	old.Order.Phase = protocol.Ended
	put(t, j, resubmit.Durable, old)
	p := flush(t, j)
	to := path + ".salvaged"
	_, err := journal.Salvage(path, to)
	require.ErrorContains(t, err, "is held by ")
	require.NoError(t, j.Close())
	_, err = journal.Salvage(path, path)
	require.ErrorContains(t, err, "it exists")
	_, err = journal.Salvage(path+".missing", to)
	require.ErrorIs(t, err, os.ErrNotExist)

	s, err := journal.Salvage(path, to)
	require.NoError(t, err)
	require.NotEqual(t, p.Journal, s.Position.Journal)
	require.Equal(t, map[string]int{"claimed": 2, "ended": 1}, map[string]int{
		"claimed": s.Orders["claimed"], "ended": s.Records[protocol.KindOrder] - s.Orders["claimed"],
	})
	require.Equal(t, "ordermanager", s.System)
	require.Zero(t, s.Skipped)
	j = open(t, to)
	require.Equal(t, s.ForgottenBefore, begin(t, j).ForgottenBefore)
	require.Equal(t, protocol.Ended, get(t, j, old.Key).Order.Phase)
	_, err = j.Put(t.Context(), resubmit.Durable, protocol.Record{
		Key: protocol.OrderKey("other"), Order: &protocol.Order{Number: "SO0"},
	})
	require.ErrorIs(t, err, resubmit.ErrOrderNumber)
	_, err = j.Begin(t.Context(), resubmit.JournalUse{
		System: "ordermanager", BaseURL: "https://mn.example.net", IDSpace: "aps", After: p,
	})
	require.ErrorIs(t, err, resubmit.ErrJournalMismatch)

	t.Run("also without a header", func(t *testing.T) {
		t.Parallel()
		damaged := changed(t, content(t, path), func(b []byte) []byte { clear(b[:50]); return b })
		s, err := journal.Salvage(damaged, damaged+".salvaged")
		require.NoError(t, err)
		require.Equal(t, 3, s.Records[protocol.KindOrder])
		require.Empty(t, s.System)
		j := open(t, damaged+".salvaged")
		require.Equal(t, s.ForgottenBefore, begin(t, j).ForgottenBefore)
		require.NotZero(t, get(t, j, protocol.OrderKey("1")).Version)
		require.NoError(t, j.Close())
		j = open(t, damaged+".salvaged")
		require.Equal(t, s.ForgottenBefore, begin(t, j).ForgottenBefore)
	})
}

func TestRecover(t *testing.T) {
	t.Parallel()
	t.Run("keeps the records and the old file", func(t *testing.T) {
		t.Parallel()
		path := filled(t, 3)
		before := content(t, path)
		kept, s, err := journal.Recover(path)
		require.NoError(t, err)
		require.Equal(t, before, content(t, kept))
		require.Equal(t, 3, s.Records[protocol.KindOrder])
		j := open(t, path)
		l := begin(t, j)
		require.Equal(t, s.ForgottenBefore, l.ForgottenBefore)
		require.Equal(t, s.Position.Journal, l.Journal)
		require.NotZero(t, get(t, j, protocol.OrderKey("1")).Version)
		_, _, err = journal.Recover(path)
		require.ErrorContains(t, err, "is held by ")
	})
	t.Run("keeps no record that is later than the loss", func(t *testing.T) {
		t.Parallel()
		path := filled(t, 3)
		j := open(t, path)
		r := get(t, j, protocol.OrderKey("1"))
		future := time.Now().Add(time.Hour)
		r.At, r.Order.ClaimedAt, r.Order.FirstClaimAt = future, future, future
		put(t, j, resubmit.Durable, r)
		require.NoError(t, j.Close())
		_, s, err := journal.Recover(path)
		require.NoError(t, err)
		kept := get(t, open(t, path), r.Key)
		require.Equal(t, s.ForgottenBefore, kept.At)
		require.Equal(t, s.ForgottenBefore, kept.Order.ClaimedAt)
		require.Zero(t, kept.Order.FirstClaimAt)
	})
	t.Run("begins anew if there is no old file", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "journal")
		kept, s, err := journal.Recover(path)
		require.NoError(t, err)
		require.Empty(t, kept)
		require.False(t, s.ForgottenBefore.IsZero())
		j := open(t, path)
		require.Equal(t, s.ForgottenBefore, begin(t, j).ForgottenBefore)
		require.NoError(t, j.Close())
		j = open(t, path)
		require.Equal(t, s.ForgottenBefore, begin(t, j).ForgottenBefore)
	})
	t.Run("does not take a journal of version 1 for damage", func(t *testing.T) {
		t.Parallel()
		path := changed(t, make([]byte, 100), func(b []byte) []byte { copy(b[16:], "\xED\xDA\x0C\xED"); return b })
		_, _, err := journal.Recover(path)
		require.ErrorContains(t, err, "a journal of version 1")
	})
}
