package journal_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

// leftBehind is the path of what a crash would leave of the journal at path.
func leftBehind(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	left := filepath.Join(t.TempDir(), "left")
	require.NoError(t, os.WriteFile(left, text, 0o600))
	return left
}

func TestReadOnlyReadsTheLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	require.NoError(t, j.Begin(plan))
	fill(t, j, 50)
	require.NoError(t, j.Check()) // so many are in the table
	for n := 30; n < 60; n++ {    // and these in the log
		require.NoError(t, j.Put(record(strconv.Itoa(n), resubmit.RecordCompleted)))
	}
	left := leftBehind(t, path)
	before, err := os.ReadFile(left)
	require.NoError(t, err)
	looking := open(t, left, journal.ReadOnly())
	require.NoError(t, looking.Check())
	s, err := looking.Summary()
	require.NoError(t, err)
	require.Equal(t, map[resubmit.RecordState]int{resubmit.RecordPushed: 30, resubmit.RecordCompleted: 30}, s.States)
	var text, other bytes.Buffer
	require.NoError(t, looking.Export(&text))
	var ids []string
	for line := range strings.Lines(text.String()) {
		if _, rest, ok := strings.Cut(line, `{"id":"`); ok {
			id, _, _ := strings.Cut(rest, `"`)
			ids = append(ids, id)
		}
	}
	require.Len(t, ids, 60)
	require.True(t, slices.IsSorted(ids))
	require.NoError(t, j.Export(&other))
	require.Equal(t, other.String(), text.String(), "as for the one that writes")
	after, err := os.ReadFile(left)
	require.NoError(t, err)
	require.Equal(t, before, after, "it stays as it is")
}

func TestFullLogIsMerged(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path, journal.NoSync())
	require.NoError(t, j.Begin(plan))
	holds, states := make(map[string]resubmit.RecordState),
		[]resubmit.RecordState{resubmit.RecordPushed, resubmit.RecordCompleted, resubmit.RecordSkipped}
	merges := 0
	for n := range 3000 {
		r := record(strconv.Itoa(random.IntN(500)), states[random.IntN(len(states))])
		put := []func(resubmit.Record) error{j.Put, j.PutLater}[random.IntN(2)]
		before := j.Commits()
		require.NoError(t, put(r))
		if holds[r.OrderID] = r.State; j.Commits() < before {
			merges++
		}
		if n%600 == 599 {
			require.NoError(t, j.Sync())
			require.Equal(t, holds, statesOf(t, open(t, leftBehind(t, path))))
		}
	}
	require.Equal(t, holds, statesOf(t, j))
	require.Greater(t, merges, 3)
	require.NoError(t, j.Check())
}

// statesOf is what a journal holds about up to 500 orders.
func statesOf(t testing.TB, j *journal.Journal) map[string]resubmit.RecordState {
	t.Helper()
	holds := make(map[string]resubmit.RecordState)
	for n := range 500 {
		r, found, err := j.Get(strconv.Itoa(n))
		require.NoError(t, err)
		if found {
			holds[r.OrderID] = r.State
		}
	}
	return holds
}

func TestRecordLargerThanTheLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	require.NoError(t, j.Begin(plan))
	for n := range 5 {
		r := record(strconv.Itoa(n), resubmit.RecordPushed)
		r.Why = strings.Repeat("x", 1<<20-1000)
		require.NoError(t, j.Put(r))
		got, _, err := open(t, leftBehind(t, path)).Get(r.OrderID)
		require.NoError(t, err)
		require.Equal(t, r, got)
	}
}

func TestIntentWritesEarlierPutLater(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path)
	require.NoError(t, j.Begin(plan))
	require.NoError(t, j.PutLater(record("1", resubmit.RecordRefused)))
	require.NoError(t, j.PutLater(record("2", resubmit.RecordPushed)))
	require.Error(t, j.Put(record("2", resubmit.RecordSending)), "what is not on disk yet counts all the same")
	require.NoError(t, j.Put(record("1", resubmit.RecordSending)))
	got, found, err := open(t, leftBehind(t, path)).Get("1")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, resubmit.RecordSending, got.State)
}

func TestLostMergeIsDamage(t *testing.T) {
	t.Parallel()
	h, path := recorded(t, rand.New(rand.NewPCG(9, 9))), filepath.Join(t.TempDir(), "journal")
	found := 0
	for n := 1; n < len(h.files); n++ {
		pages := changedPages(h.files[n-1], h.files[n])
		if pages[0] >= 2*pageSize || !maps.Equal(h.holds[n-1], h.holds[n]) {
			continue // no merge
		}
		last := len(h.files) - 1
		for other := n; other <= last && !changesMeta(h, n, other); other++ {
			// The meta page that tells of the merge is not there.
			text := slices.Clone(h.files[other])
			copy(text[pages[0]:pages[0]+pageSize], h.files[n-1][pages[0]:])
			holds, err := opened(t, path, text)
			if other == n {
				require.NoError(t, err)
				require.Equal(t, h.holds[n], holds, "the log has it all still")
				continue
			}
			require.ErrorIs(t, err, journal.ErrDamaged, fmt.Sprint(n, other))
			found++
		}
	}
	require.Greater(t, found, 3)
}

// changesMeta reports whether one of the writes behind n, up to another, was a merge.
func changesMeta(h history, n, to int) bool {
	for i := n + 1; i <= to; i++ {
		if changedPages(h.files[i-1], h.files[i])[0] < 2*pageSize {
			return true
		}
	}
	return false
}

func TestLostFrameIsDamage(t *testing.T) {
	t.Parallel()
	h, path := recorded(t, rand.New(rand.NewPCG(10, 10))), filepath.Join(t.TempDir(), "journal")
	file, _ := last(h)
	var frames [][]int // the pages of those that are in the log
	for n := len(h.files) - 1; changedPages(h.files[n-1], h.files[n])[0] >= 2*pageSize; n-- {
		frames = append(frames, changedPages(h.files[n-1], h.files[n]))
	}
	require.Greater(t, len(frames), 4)
	for i, pages := range frames {
		for _, at := range pages {
			text := slices.Clone(file)
			text[at+10] ^= 1
			holds, err := opened(t, path, text)
			if i == 0 {
				require.NoError(t, err)
				require.Equal(t, h.holds[len(h.holds)-2], holds, "as if it had not been written to the end")
				continue
			}
			require.ErrorIs(t, err, journal.ErrDamaged)
		}
	}
	text := slices.Clone(file)
	at := frames[2][0]
	clear(text[at : frames[0][len(frames[0])-1]+pageSize]) // the end of one half
	_, err := opened(t, path, text)
	require.ErrorIs(t, err, journal.ErrDamaged)
}
