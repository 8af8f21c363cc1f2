package journal_test

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

// history is the file of a journal before and after each of its last writes, and
// what it held then.
type history struct {
	files [][]byte
	holds []map[string]resubmit.RecordState
}

// recorded writes a journal of a few hundred orders and keeps its last states.
func recorded(t testing.TB, random *rand.Rand) history {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	require.NoError(t, j.Begin(plan))
	holds := make(map[string]resubmit.RecordState)
	for n := range 300 {
		holds[strconv.Itoa(n)] = resubmit.RecordPushed
	}
	fill(t, j, 300)
	var h history
	keep := func() {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		h.files, h.holds = append(h.files, text), append(h.holds, maps.Clone(holds))
	}
	merge := func() {
		require.NoError(t, j.Check()) // which brings what is in the log to the table
		keep()
	}
	keep()
	for n := range 12 {
		if n == 0 || n == 6 {
			merge()
		}
		id := strconv.Itoa(random.IntN(400)) // some of them are new
		state := []resubmit.RecordState{resubmit.RecordCompleted, resubmit.RecordUnknown, resubmit.RecordFailedAgain}[n%3]
		r := record(id, state)
		r.Why = strings.Repeat("long ", 2000*(n%2)) // some take more than a block
		require.NoError(t, j.Put(r))
		holds[id] = state
		keep()
	}
	return h
}

// changedPages are the pages of a file that the last of two differs in.
func changedPages(before, after []byte) []int {
	const page = 4096
	var changed []int
	for at := 0; at < len(after); at += page {
		end := min(at+page, len(after))
		if at >= len(before) || string(before[at:min(end, len(before))]) != string(after[at:end]) {
			changed = append(changed, at)
		}
	}
	return changed
}

// opened opens a file and returns what it holds, if it opens and each order can be
// got. It fails the test if one is got that is neither of the states.
func opened(t testing.TB, path string, text []byte) (map[string]resubmit.RecordState, error) {
	t.Helper()
	_ = os.Remove(path) // one that was damaged while it was open may still be locked
	require.NoError(t, os.WriteFile(path, text, 0o600))
	j, err := journal.Open(path, journal.NoSync())
	if err != nil {
		oneLine(t, err)
		return nil, err
	}
	defer func() { _ = j.Close() }()
	holds := make(map[string]resubmit.RecordState)
	for n := range 400 {
		id := strconv.Itoa(n)
		r, found, err := j.Get(id)
		if err != nil {
			oneLine(t, err)
			require.ErrorIs(t, err, journal.ErrDamaged)
			return nil, err
		}
		if found {
			want := record(id, r.State)
			if n := len(r.Why); n != len(want.Why) {
				want.Why = strings.Repeat("long ", n/5)
			}
			require.Equal(t, want, r)
			holds[id] = r.State
		}
	}
	if err := j.Check(); err != nil {
		return nil, err
	}
	return holds, writable(j)
}

// writable takes a journal further, so that damage which was not read shows.
func writable(j *journal.Journal) error {
	if err := j.Begin(plan); err != nil {
		return err
	}
	for n := range 20 {
		if err := j.Put(record(strconv.Itoa(100*n), resubmit.RecordSkipped)); err != nil {
			return err
		}
	}
	return j.Check()
}

func TestTornWriteIsIgnored(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	h, path := recorded(t, random), filepath.Join(t.TempDir(), "journal")
	for n := 1; n < len(h.files); n++ {
		before, after := h.files[n-1], h.files[n]
		pages := changedPages(before, after)
		meta := slices.IndexFunc(pages, func(at int) bool { return at < 2*4096 })
		written := pages
		if meta >= 0 {
			written = slices.Delete(slices.Clone(pages), meta, meta+1)
		}
		for range 4 {
			// Until the pages are synced the meta page is not written: any of
			// them may be there, or the first bytes of them.
			torn := make([]byte, len(after))
			copy(torn, before)
			for _, at := range written {
				if size := random.IntN(2 * 4096); size > 0 {
					copy(torn[at:at+min(size, 4096)], after[at:])
				}
			}
			holds, err := opened(t, path, torn)
			require.NoError(t, err)
			if slices.Equal(torn, after) {
				require.Equal(t, h.holds[n], holds)
			} else {
				require.Equal(t, h.holds[n-1], holds)
			}
		}
		for range 3 * min(meta+1, 1) {
			// Then the meta page is written, up to any byte.
			torn, at := slices.Clone(after), pages[meta]
			size := random.IntN(16 + 64)
			copy(torn[at+size:at+4096], before[at+size:])
			holds, err := opened(t, path, torn)
			require.NoError(t, err)
			require.Contains(t, []map[string]resubmit.RecordState{h.holds[n-1], h.holds[n]}, holds)
		}
	}
}

func TestDamageNeverYieldsWrongRecords(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(2, 2))
	h, path := recorded(t, random), filepath.Join(t.TempDir(), "journal")
	last := len(h.files) - 1
	file := h.files[last]
	var refused, whole int
	for n := range testkit.Scale(120, 60) {
		damaged := slices.Clone(file)
		pages := changedPages(h.files[last-1-n%4], file)
		at := pages[random.IntN(len(pages))] + random.IntN(4096)
		size := min(1+random.IntN(1<<random.IntN(13)), len(file)-at)
		switch n % 3 {
		case 0:
			for i := range size {
				damaged[at+i] = byte(random.Uint32())
			}
		case 1:
			clear(damaged[at : at+size])
		default: // an older content of the same place
			copy(damaged[at:at+size], h.files[random.IntN(last)][min(at, len(h.files[0])-size):])
		}
		holds, err := opened(t, path, damaged)
		if err != nil {
			refused++
			continue
		}
		whole++
		require.Contains(t, h.holds[last-1:], holds, "case %d: %d bytes at %d", n, size, at)
	}
	require.Greater(t, refused, 10)
	require.Greater(t, whole, 10)
}

func TestOpenRejectsTruncatedJournal(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 3))
	h, path := recorded(t, random), filepath.Join(t.TempDir(), "journal")
	last := len(h.files) - 1
	// How many pages it needs is in the newer meta page.
	var needs int
	for _, at := range []int{0, 4096} {
		needs = max(needs, int(binary.NativeEndian.Uint64(h.files[last][at+16+40:])))
	}
	for n := range 40 {
		size := random.IntN(len(h.files[last]) + 1)
		if n%2 == 0 {
			size = random.IntN(4*4096) + (needs-3)*4096
		}
		holds, err := opened(t, path, h.files[last][:size])
		if size >= needs*4096 {
			require.NoError(t, err)
			require.Equal(t, h.holds[last], holds)
			continue
		}
		require.Error(t, err, size)
		if size >= 2*4096 {
			require.ErrorIs(t, err, journal.ErrDamaged)
			require.ErrorContains(t, err, "it was truncated")
		}
	}
}

func TestTruncationOfOpenFileIsAnError(t *testing.T) {
	t.Parallel()
	path := filled(t, 2000)
	j, err := journal.Open(path)
	require.NoError(t, err)
	require.NoError(t, j.Begin(plan))
	require.NoError(t, os.Truncate(path, 2*4096))
	_, _, err = j.Get("1234")
	require.ErrorIs(t, err, journal.ErrDamaged)
	oneLine(t, err)
	err = j.Put(record("1234", resubmit.RecordCompleted))
	require.ErrorIs(t, err, journal.ErrDamaged)
	oneLine(t, err)
	require.ErrorIs(t, j.Put(record("1", resubmit.RecordCompleted)), journal.ErrDamaged)
	require.NoError(t, j.Close())
	_, err = journal.Open(path)
	require.ErrorIs(t, err, journal.ErrDamaged)
}

func FuzzOpen(f *testing.F) {
	h := recorded(f, rand.New(rand.NewPCG(4, 4)))
	file := h.files[len(h.files)-1]
	f.Add(uint32(0), []byte("x"), uint32(len(file)))
	f.Add(uint32(4096+16+40), []byte{0xff}, uint32(len(file)))
	f.Add(uint32(3*4096+10), []byte{0xff, 0xff}, uint32(len(file)))
	f.Add(uint32(0), []byte{}, uint32(9000))
	f.Fuzz(func(t *testing.T, at uint32, change []byte, size uint32) {
		text := slices.Clone(file[:min(int(size), len(file))])
		copy(text[min(int(at), len(text)):], change)
		// It opens and holds what was put, or it says why not.
		if holds, err := opened(t, filepath.Join(t.TempDir(), "journal"), text); err == nil {
			require.Contains(t, h.holds[len(h.holds)-2:], holds)
		}
	})
}
