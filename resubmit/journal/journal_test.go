package journal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		fmt.Fprintln(os.Stderr, child(path))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	resubmittest.TestJournal(t, func(place string) (resubmit.Journal, error) {
		return journal.Open(filepath.Join(place, "journal"))
	})
}

const plan = "sha256:1111111111111111111111111111111111111111111111111111111111111111"

// open opens a journal for the rest of the test.
func open(t testing.TB, path string, opts ...journal.Option) *journal.Journal {
	t.Helper()
	j, err := journal.Open(path, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	return j
}

// filled is the path of a closed journal with n records.
func filled(t testing.TB, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	j, err := journal.Open(path)
	require.NoError(t, err)
	require.NoError(t, j.Begin(plan))
	fill(t, j, n)
	require.NoError(t, j.Close())
	return path
}

// fill puts n orders, from many callers.
func fill(t testing.TB, j *journal.Journal, n int) {
	t.Helper()
	const callers = 256
	errs := make([]error, callers)
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for i := c; i < n && errs[c] == nil; i += callers {
				errs[c] = j.Put(record(strconv.Itoa(i), resubmit.RecordPushed))
			}
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
}

func oneLine(t testing.TB, err error) {
	t.Helper()
	require.NotContains(t, err.Error(), "\n")
	require.True(t, strings.HasPrefix(err.Error(), "resubmit/journal: "), err.Error())
}

func TestOpenRejectsOtherFiles(t *testing.T) {
	t.Parallel()
	write := func(content []byte) func(t *testing.T, path string) {
		return func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, content, 0o600)) }
	}
	tests := map[string]struct {
		make    func(t *testing.T, path string)
		says    string
		damaged bool
	}{
		"a directory": {func(t *testing.T, path string) { require.NoError(t, os.Mkdir(path, 0o700)) },
			"this is a directory", false},
		"an empty file": {write(nil), "the file is empty", true},
		"a text":        {write([]byte("{}\n")), "this is not a journal", false},
		"a long text":   {write(bytes.Repeat([]byte("garbage "), 10_000)), "this is not a journal", false},
		"zeros":         {write(make([]byte, 64<<10)), "this is not a journal", false},
		"a link to nothing": {func(t *testing.T,
			path string) {
			require.NoError(t, os.Symlink(path+".gone", path))
		}, "this is a symbolic link", false},
		"a bbolt file of another program": {func(t *testing.T, path string) { foreign(t, path) },
			"a bbolt file of another program", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "journal")
			tt.make(t, path)
			before, _ := os.ReadFile(path)
			for _, opts := range [][]journal.Option{nil, {journal.ReadOnly()}} {
				_, err := journal.Open(path, opts...)
				require.ErrorContains(t, err, tt.says)
				require.ErrorContains(t, err, path)
				require.Equal(t, tt.damaged, errors.Is(err, journal.ErrDamaged))
				oneLine(t, err)
			}
			after, _ := os.ReadFile(path)
			require.Equal(t, before, after, "what is refused stays as it is")
			left, err := os.ReadDir(filepath.Dir(path))
			require.NoError(t, err)
			require.Len(t, left, 1)
		})
	}
}

func foreign(t testing.TB, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("keys"))
		return err
	}))
	require.NoError(t, db.Close())
}

func TestOpenInUnwritableDirectory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gone", "journal")
	_, err := journal.Open(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "create: ")
	oneLine(t, err)
	_, err = journal.Open("")
	require.ErrorContains(t, err, "the path is empty")
	_, err = journal.Open(filepath.Join(t.TempDir(), "journal"), journal.ReadOnly())
	require.ErrorContains(t, err, "the journal does not exist")
	_, err = journal.Open(path, journal.Wait(-1))
	require.ErrorContains(t, err, "negative")
	_, err = journal.Open(path, journal.Program(""))
	require.ErrorContains(t, err, "the name is empty")
}

func TestOpenMakesJournalPrivate(t *testing.T) {
	t.Parallel()
	path := filled(t, 1)
	mode := func(path string) fs.FileMode {
		info, err := os.Stat(path)
		require.NoError(t, err)
		return info.Mode().Perm()
	}
	require.Equal(t, fs.FileMode(0o600), mode(path))
	require.NoError(t, os.Chmod(path, 0o644))
	open(t, path)
	require.Equal(t, fs.FileMode(0o600), mode(path))
	require.Equal(t, fs.FileMode(0o600), mode(path+".holder"))
}

func TestSecondWriterGetsHolder(t *testing.T) {
	t.Parallel()
	path := filled(t, 1)
	open(t, path, journal.Program("night shift"))
	for _, opts := range [][]journal.Option{{journal.Wait(0)}, {journal.Wait(0), journal.ReadOnly()}} {
		_, err := journal.Open(path, opts...)
		held, ok := errors.AsType[*journal.HeldError](err)
		require.True(t, ok, err)
		require.Equal(t, os.Getpid(), held.Holder.PID)
		host, _ := os.Hostname()
		require.Equal(t, host, held.Holder.Host)
		require.ErrorContains(t, err, "in use by process "+strconv.Itoa(os.Getpid())+" (night shift) on ")
		oneLine(t, err)
	}
	_, err := journal.Inspect(path)
	require.ErrorContains(t, err, "night shift")
	_, _, err = journal.Compact(path, journal.Wait(0))
	require.ErrorContains(t, err, "night shift")
}

func TestReadersExcludeWritersOnly(t *testing.T) {
	t.Parallel()
	path := filled(t, 3)
	one, two := open(t, path, journal.ReadOnly()), open(t, path, journal.ReadOnly())
	_, err := journal.Open(path, journal.Wait(0))
	require.ErrorContains(t, err, "an unknown process")
	for _, j := range []*journal.Journal{one, two} {
		require.NoError(t, j.Begin(plan))
		require.ErrorIs(t, j.Begin("sha256:2"), resubmit.ErrOtherPlan)
		require.ErrorContains(t, j.Put(record("1", resubmit.RecordCompleted)), "for reading only")
		_, found, err := j.Get("1")
		require.NoError(t, err)
		require.True(t, found)
		require.NoError(t, j.Check())
	}
}

func TestOpenAfterKilledProcess(t *testing.T) {
	t.Parallel()
	for name, left := range map[string]string{
		"its name":       `{"pid":1,"host":"a","program":"b","since":"2026-01-01T00:00:00Z"}`,
		"half a name":    `{"pid":1,"ho`,
		"something else": strings.Repeat("x", 10_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filled(t, 1)
			require.NoError(t, os.WriteFile(path+".holder", []byte(left), 0o600))
			s, err := open(t, path, journal.Program("me")).Summary()
			require.NoError(t, err)
			require.Equal(t, "me", s.Holder.Program)
		})
	}
}

func TestPutRejectsInvalidRecords(t *testing.T) {
	t.Parallel()
	j := open(t, filepath.Join(t.TempDir(), "journal"))
	require.ErrorContains(t, j.Begin(""), "the plan digest is empty")
	require.NoError(t, j.Begin(plan))
	for says, r := range map[string]resubmit.Record{
		"has no id":        {},
		"is not UTF-8":     {OrderID: "a\xff"},
		"more than 1024":   {OrderID: strings.Repeat("1", 1025)},
		"bytes, more than": {OrderID: "1", Why: strings.Repeat("1", 2<<20)},
	} {
		err := j.Put(r)
		require.ErrorContains(t, err, says)
		oneLine(t, err)
	}
	_, _, err := j.Get("")
	require.ErrorContains(t, err, "has no id")
	require.NoError(t, j.Put(record("1", resubmit.RecordPushed)), "what was refused leaves no mark")
	require.NoError(t, j.Check())
}

func TestSummaryCountsRecords(t *testing.T) {
	t.Parallel()
	path := filled(t, 2500)
	s, err := journal.Inspect(path)
	require.NoError(t, err)
	require.Equal(t, plan, s.Plan)
	require.Equal(t, 2500, s.Records)
	require.Equal(t, map[resubmit.RecordState]int{resubmit.RecordPushed: 2500}, s.States)
	require.True(t, s.Newest.Equal(record("1", "").At))
	require.Greater(t, s.FileBytes, s.DataBytes)
	require.Nil(t, s.Holder)
	require.Contains(t, s.String(), "2500 records (2500 pushed)")
	require.NoError(t, open(t, path).Check())
}

func TestExportWritesJSONLines(t *testing.T) {
	t.Parallel()
	path := filled(t, 1200)
	var out bytes.Buffer
	require.NoError(t, open(t, path, journal.ReadOnly()).Export(&out))
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	require.Len(t, lines, 1201)
	require.Contains(t, lines[0], `{"kind":"cloudblue-resubmit-journal","version":1,"createdAt":"`)
	require.Contains(t, lines[0], `"plan":"`+plan+`"}`)
	require.JSONEq(t, `{"id":"0","fingerprint":"0123456789abcdef0123456789abcdef","state":"pushed","attempt":1,
		"target":"PD","seen":"PF",
		"at":"2026-11-23T03:00:00.123456789Z","why":"Commerce accepted the push to PD"}`, lines[1])
	require.ErrorContains(t, open(t, path, journal.ReadOnly()).Export(failing{}), "no more")
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("no more") }

func TestCompactKeepsAllRecords(t *testing.T) {
	t.Parallel()
	path := filled(t, 3000)
	long, err := journal.Open(path)
	require.NoError(t, err)
	for _, why := range []string{strings.Repeat("long ", 100_000), "short"} {
		for i := range 5 {
			r := record(strconv.Itoa(i), resubmit.RecordPushed)
			r.Why = why
			require.NoError(t, long.Put(r))
		}
	}
	require.NoError(t, long.Close())
	before, after, err := journal.Compact(path)
	require.NoError(t, err)
	require.Less(t, after, before)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, after, info.Size())
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1)

	j := open(t, path)
	require.NoError(t, j.Check())
	for i := range 3000 {
		_, found, err := j.Get(strconv.Itoa(i))
		require.NoError(t, err)
		require.True(t, found)
	}
	require.NoError(t, j.Put(record("new", resubmit.RecordSending)))
	_, _, err = journal.Compact(path, journal.ReadOnly())
	require.Error(t, err)
}
