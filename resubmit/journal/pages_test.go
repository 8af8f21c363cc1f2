package journal_test

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
)

// How bbolt lays out its file: see pages.go.
const (
	pageSize   = 4096
	branchPage = 0x01
	leafPage   = 0x02
	freePages  = 0x10
)

// pagesThat are the offsets of the pages of a kind that are in use.
func pagesThat(file []byte, are uint16) (at []int) {
	meta := file[16:]
	if other := file[pageSize+16:]; binary.NativeEndian.Uint64(other[48:]) > binary.NativeEndian.Uint64(meta[48:]) {
		meta = other
	}
	list := file[pageSize*binary.NativeEndian.Uint64(meta[32:]):]
	free := make(map[uint64]bool)
	for i := range int(binary.NativeEndian.Uint16(list[10:])) {
		free[binary.NativeEndian.Uint64(list[16+8*i:])] = true
	}
	for id := uint64(2); id < binary.NativeEndian.Uint64(meta[40:]); id++ {
		offset := int(id * pageSize)
		if !free[id] && binary.NativeEndian.Uint64(file[offset:]) == id &&
			binary.NativeEndian.Uint16(file[offset+8:]) == are {
			at = append(at, offset)
		}
	}
	return at
}

// mustBeWhole opens a damaged file, gets each order, writes, and checks, in that order
// or only a part of it. Each may say that the journal is damaged. If none does, it must
// hold what was put.
func mustBeWhole(t testing.TB, text []byte, holds map[string]resubmit.RecordState) (damaged bool) {
	t.Helper()
	for _, look := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "journal")
		require.NoError(t, os.WriteFile(path, text, 0o600))
		j, err := journal.Open(path, journal.NoSync())
		if err == nil {
			if look {
				err = compare(t, j, holds)
			}
			if err == nil {
				err = writable(j)
			}
			_ = j.Close()
		}
		if err != nil {
			require.ErrorIs(t, err, journal.ErrDamaged)
			oneLine(t, err)
			damaged = true
		}
	}
	return damaged
}

func compare(t testing.TB, j *journal.Journal, holds map[string]resubmit.RecordState) error {
	t.Helper()
	for n := range 400 {
		id := strconv.Itoa(n)
		r, found, err := j.Get(id)
		if err != nil {
			return err
		}
		require.Equal(t, holds[id], r.State, id)
		require.Equal(t, holds[id] != "", found, id)
	}
	return j.Check()
}

func last(h history) ([]byte, map[string]resubmit.RecordState) {
	return h.files[len(h.files)-1], h.holds[len(h.holds)-1]
}

func TestWrongPageSizeIsDamage(t *testing.T) {
	t.Parallel()
	file, holds := last(recorded(t, rand.New(rand.NewPCG(5, 5))))
	for _, more := range []uint32{1, 0x0da9f84f} {
		pages := slices.Concat(pagesThat(file, leafPage), pagesThat(file, branchPage), pagesThat(file, freePages))
		require.Greater(t, len(pages), 20)
		for i := 0; i < len(pages); i += testkit.Scale(1, 4) {
			at, text := pages[i], slices.Clone(file)
			binary.NativeEndian.PutUint32(text[at+12:], more)
			require.True(t, mustBeWhole(t, text, holds))
		}
	}
}

func TestPageCycleIsDamage(t *testing.T) {
	t.Parallel()
	file, holds := last(recorded(t, rand.New(rand.NewPCG(6, 6))))
	tried := 0
	for _, at := range pagesThat(file, branchPage) {
		count := int(binary.NativeEndian.Uint16(file[at+10:]))
		for i := 0; i < count; i += testkit.Scale(1, 4) {
			child := at + 16 + 16*i + 8
			next := binary.NativeEndian.Uint64(file[at+16+16*((i+1)%count)+8:])
			for _, other := range []uint64{0, uint64(at / pageSize), next, 1 << 40} {
				text := slices.Clone(file)
				binary.NativeEndian.PutUint64(text[child:], other)
				require.True(t, mustBeWhole(t, text, holds))
				tried++
			}
		}
	}
	require.Greater(t, tried, testkit.Scale(40, 10))
}

func TestWrongPageReferenceIsDamage(t *testing.T) {
	t.Parallel()
	file, holds := last(recorded(t, rand.New(rand.NewPCG(7, 7))))
	damaged := 0
	for _, at := range pagesThat(file, branchPage) {
		for i := 0; i < int(binary.NativeEndian.Uint16(file[at+10:])); i += testkit.Scale(1, 2) {
			entry := at + 16 + 16*i
			key := entry + int(binary.NativeEndian.Uint32(file[entry:]))
			for _, by := range []int{-1, 1} {
				text := slices.Clone(file)
				text[key+int(binary.NativeEndian.Uint32(file[entry+4:]))-1] += byte(by)
				if mustBeWhole(t, text, holds) {
					damaged++
				}
			}
		}
	}
	require.Greater(t, damaged, testkit.Scale(10, 5))
}

func TestWrongFreelistIsDamage(t *testing.T) {
	t.Parallel()
	file, holds := last(recorded(t, rand.New(rand.NewPCG(8, 8))))
	change := func(change func(list []byte)) bool {
		damaged := false
		for _, at := range pagesThat(file, freePages) {
			text := slices.Clone(file)
			change(text[at:])
			damaged = mustBeWhole(t, text, holds) || damaged
		}
		return damaged
	}
	require.True(t, change(func(list []byte) {
		count := binary.NativeEndian.Uint16(list[10:])
		binary.NativeEndian.PutUint16(list[10:], count-1)
	}), "one is missing")
	require.True(t, change(func(list []byte) { binary.NativeEndian.PutUint16(list[10:], 0) }), "all are missing")
	require.True(t, change(func(list []byte) { list[12] = 1 }), "it takes up more than it needs")
	for _, at := range pagesThat(file, leafPage) {
		change(func(list []byte) {
			ids := make([]uint64, binary.NativeEndian.Uint16(list[10:]))
			for i := range ids {
				ids[i] = binary.NativeEndian.Uint64(list[16+8*i:])
			}
			if !slices.Contains(ids, uint64(at/pageSize)) {
				ids[0] = uint64(at / pageSize)
				slices.Sort(ids)
			}
			for i, id := range ids {
				binary.NativeEndian.PutUint64(list[16+8*i:], id)
			}
		})
	}
}
