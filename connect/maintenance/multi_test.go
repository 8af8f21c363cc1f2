package maintenance_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// feed is a source whose answer can be changed, and that knows no more than the
// range that it is asked for.
type feed struct {
	mu      sync.Mutex
	windows []maintenance.Window
	err     error
	asked   []maintenance.Span
}

func (f *feed) set(err error, windows ...maintenance.Window) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err, f.windows = err, windows
}

func (f *feed) Windows(_ context.Context, from, to time.Time) ([]maintenance.Window, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, maintenance.Span{Start: from, End: to})
	var in []maintenance.Window
	for _, w := range f.windows {
		if s := w.Span(); s.Start.Before(to) && (s.End.IsZero() || s.End.After(from)) {
			in = append(in, w)
		}
	}
	return in, f.err
}

var errDown = errors.New("the page is down")

func multiOf(t testing.TB, dir string, feeds ...*feed) *maintenance.Multi {
	t.Helper()
	var sources []maintenance.NamedSource
	for i, f := range feeds {
		sources = append(sources, maintenance.NamedSource{Name: string(rune('a' + i)), Source: f})
	}
	var opts []maintenance.MultiOption
	if dir != "" {
		opts = append(opts, maintenance.WithCacheDir(dir))
	}
	m, err := maintenance.NewMulti(sources, opts...)
	require.NoError(t, err)
	return m
}

// near is a window that begins some hours from now.
func near(id string, hours int) maintenance.Window {
	start := time.Now().UTC().Truncate(time.Hour).Add(time.Duration(hours) * time.Hour)
	return maintenance.Window{ID: id, Start: start, End: start.Add(2 * time.Hour), Source: "somewhere"}
}

// around asks for some days around now.
func around(t testing.TB, m *maintenance.Multi, days int) ([]string, maintenance.MultiStatus, error) {
	t.Helper()
	now := time.Now()
	answer, err := m.Status(t.Context(), now.AddDate(0, 0, -days), now.AddDate(0, 0, days))
	_, failure := maintenance.SplitWarnings(err)
	require.NoError(t, failure, "all that Multi says is warnings")
	return windowIDs(answer.Windows), answer, err
}

func TestMultiMergesSameMaintenance(t *testing.T) {
	t.Parallel()
	plain := near("m1", 24)
	rich := near("x", 24)
	rich.ActualStart, rich.ActualEnd = rich.Start.Add(time.Minute), rich.End.Add(time.Hour)
	rich.Title, rich.Zone = "Upgrade", "Europe/Berlin"
	begun := near("y", 24)
	begun.ActualStart = begun.Start
	cancelled := near("z", 24)
	cancelled.Cancelled, cancelled.Title = true, "Off"
	named := func(w maintenance.Window, id, source string) maintenance.Window {
		w.ID, w.Source = id, source
		return w
	}
	withTitle := begun
	withTitle.Title = "Off"
	planOff := cancelled
	for _, tc := range []struct {
		name string
		a, b []maintenance.Window
		want []maintenance.Window
	}{
		{"the richer one wins, under the id of the first", []maintenance.Window{plain}, []maintenance.Window{rich},
			[]maintenance.Window{named(rich, "a/m1", "a, b")}},
		{"whichever comes first", []maintenance.Window{rich}, []maintenance.Window{plain},
			[]maintenance.Window{named(rich, "a/x", "a, b")}},
		{"an end says more than a start", []maintenance.Window{begun}, []maintenance.Window{rich},
			[]maintenance.Window{named(rich, "a/y", "a, b")}},
		{"one source can cancel for all", []maintenance.Window{plain}, []maintenance.Window{cancelled},
			[]maintenance.Window{named(planOff, "a/m1", "a, b")}},
		{"but not what has begun", []maintenance.Window{cancelled}, []maintenance.Window{begun},
			[]maintenance.Window{named(withTitle, "a/z", "a, b")}},
		{"two of one source at the same time are two", []maintenance.Window{plain, rich}, []maintenance.Window{begun},
			[]maintenance.Window{named(begun, "a/m1", "a, b"), named(rich, "a/x", "a")}},
		{"the same id elsewhere is another one", []maintenance.Window{plain}, []maintenance.Window{near("m1", 48)},
			[]maintenance.Window{named(plain, "a/m1", "a"), named(near("m1", 48), "b/m1", "b")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := multiOf(t, "", &feed{windows: tc.a}, &feed{windows: tc.b})
			_, answer, err := around(t, m, 7)
			require.NoError(t, err)
			require.ElementsMatch(t, tc.want, answer.Windows)
		})
	}
}

func TestMultiCacheSurvivesRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "answers")
		good, page := &feed{windows: []maintenance.Window{near("file", 30)}},
			&feed{windows: []maintenance.Window{near("one", 24), near("two", 48)}}
		ids, answer, err := around(t, multiOf(t, dir, good, page), 7)
		require.NoError(t, err)
		require.Equal(t, []string{"b/one", "a/file", "b/two"}, ids)
		require.Equal(t, []maintenance.SourceStatus{
			{Name: "a", At: time.Now().UTC(), Windows: 1}, {Name: "b", At: time.Now().UTC(), Windows: 2},
		}, answer.Sources)
		info, err := os.Stat(filepath.Join(dir, "b.json"))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode())

		time.Sleep(3 * time.Hour)
		page.set(errDown)
		ids, answer, err = around(t, multiOf(t, dir, good, page), 7)
		require.Equal(t, []string{"b/one", "a/file", "b/two"}, ids, "known although the page is down and the program is new")
		require.ErrorIs(t, err, maintenance.ErrStale)
		require.ErrorIs(t, err, errDown)
		require.NotErrorIs(t, err, maintenance.ErrIncomplete)
		require.EqualError(t, err,
			"maintenance: windows of b: windows are from an earlier answer: the windows of 2000-01-01T00:00:00Z (3h0m0s ago) are "+
				"used: the page is down")
		require.False(t, answer.Sources[0].Stale)
		require.Zero(t, answer.Sources[0].Age(time.Now()))
		require.True(t, answer.Sources[1].Stale)
		require.Equal(t, 3*time.Hour, answer.Sources[1].Age(time.Now()))
		require.Equal(t, err.Error(), answer.Sources[1].Err.Error())

		files, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		require.Len(t, files, 2, "no other files are left")
	})
}

func TestMultiReplacesWholeAnswer(t *testing.T) {
	t.Parallel()
	page := &feed{windows: []maintenance.Window{near("moved", 24), near("dropped", 48)}}
	m := multiOf(t, t.TempDir(), page)
	_, _, err := around(t, m, 7)
	require.NoError(t, err)

	page.set(nil, near("moved", 72))
	ids, _, err := around(t, m, 1)
	require.NoError(t, err)
	require.Empty(t, ids, "it moved out of the range, and what was dropped is gone")

	page.set(errDown, near("partial", 5))
	ids, answer, _ := around(t, m, 7)
	require.Equal(t, []string{"a/moved"}, ids, "a part of an answer does not replace a whole one")
	require.Equal(t, near("moved", 72).Start, answer.Windows[0].Start)
}

func TestMultiServesOtherRangeFromOldAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		long := near("long ago", -24*600)
		page := &feed{windows: []maintenance.Window{near("soon", 24), near("later", 24*300), long}}
		m := multiOf(t, t.TempDir(), page)
		now := time.Now().UTC()
		ids, _, err := around(t, m, 700)
		require.NoError(t, err)
		require.Equal(t, []string{"a/long ago", "a/soon", "a/later"}, ids)
		ids, _, err = around(t, m, 2)
		require.NoError(t, err)
		require.Equal(t, []string{"a/soon"}, ids)
		require.Equal(t, maintenance.Span{Start: now.AddDate(0, 0, -400), End: now.AddDate(0, 0, 400)}, page.asked[1])

		page.set(errDown)
		ids, _, err = around(t, m, 700)
		require.Equal(t, []string{"a/long ago", "a/soon", "a/later"}, ids, "the narrow call has forgotten nothing")
		require.ErrorIs(t, err, maintenance.ErrStale)
		require.NotErrorIs(t, err, maintenance.ErrIncomplete)

		_, _, err = around(t, m, 701)
		require.ErrorIs(t, err, maintenance.ErrIncomplete)
		warnings, _ := maintenance.SplitWarnings(err)
		require.Len(t, warnings, 3, "one before, one after, and that it is old")
		require.Equal(t, now.AddDate(0, 0, -701), warnings[0].Span.Start)
		require.True(t, warnings[0].Span.End.Equal(now.AddDate(0, 0, -700)))
		require.ErrorContains(t, warnings[1], "nothing is known from 2001-12-01T00:00:00Z to 2001-12-02T00:00:00Z")
	})
}

func TestMultiWarnsOfUnknownRange(t *testing.T) {
	t.Parallel()
	m := multiOf(t, "", &feed{err: errDown, windows: []maintenance.Window{near("partial", 24)}},
		&feed{windows: []maintenance.Window{near("good", 48)}})
	ids, answer, err := around(t, m, 7)
	require.Equal(t, []string{"a/partial", "b/good"}, ids)
	require.EqualError(t, err,
		"maintenance: windows of a: windows may be missing: it failed, and there is no earlier answer: the page is down")
	require.ErrorIs(t, err, maintenance.ErrIncomplete)
	require.Zero(t, answer.Sources[0].At)
	require.Zero(t, answer.Sources[0].Age(time.Now()))
	require.NoError(t, answer.Sources[1].Err)
}

func TestMultiReturnsWarningsOfTheRange(t *testing.T) {
	t.Parallel()
	lastYear := maintenance.Span{End: time.Now().AddDate(0, 0, -10)}
	page := &feed{windows: []maintenance.Window{near("one", 24)}}
	page.err = errors.Join(
		&maintenance.SourceWarning{Source: "x", Kind: maintenance.ErrIncomplete, Span: lastYear, Err: errors.New("only 50")},
		&maintenance.SourceWarning{Source: "x", Kind: maintenance.ErrUncertain, WindowID: "one",
			Err: errors.New("odd\nzone")},
	)
	dir := t.TempDir()
	for _, name := range []string{"from the source", "from memory", "from disk"} {
		m := multiOf(t, dir, page)
		if name == "from the source" {
			_, _, _ = around(t, m, 7)
		}
		_, _, err := around(t, m, 7)
		warnings, _ := maintenance.SplitWarnings(err)
		require.NotErrorIs(t, err, maintenance.ErrIncomplete, name)
		require.EqualError(t, warnings[0], "maintenance: windows of a: uncertain: odd zone")
		require.Equal(t, "a/one", warnings[0].WindowID)
		_, _, err = around(t, m, 11)
		require.ErrorIs(t, err, maintenance.ErrIncomplete, name)
		page.err = errDown
	}
}

func TestMultiKeepsWindowThatBecameInvalid(t *testing.T) {
	t.Parallel()
	page := &feed{windows: []maintenance.Window{near("one", 24), near("rule@2026-01-10", 30), near("gone", 48)}}
	m := multiOf(t, t.TempDir(), page)
	_, _, err := around(t, m, 7)
	require.NoError(t, err)

	backwards := near("one", 24)
	backwards.End = backwards.Start.Add(-time.Hour)
	page.set(&maintenance.SourceWarning{Kind: maintenance.ErrIncomplete, WindowID: "rule",
		Err: errors.New("a rule without end")}, backwards, near("new", 72))
	ids, answer, err := around(t, m, 7)
	require.Equal(t, []string{"a/one", "a/rule@2026-01-10", "a/new"}, ids)
	require.Equal(t, near("one", 24).End, answer.Windows[0].End)
	require.ErrorIs(t, err, maintenance.ErrIncomplete)
	require.False(t, answer.Sources[0].Stale)
}

func TestMultiSourceTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := maintenance.SourceFunc(func(ctx context.Context, _, _ time.Time) ([]maintenance.Window, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		m, err := maintenance.NewMulti([]maintenance.NamedSource{
			{Name: "slow", Source: slow}, {Name: "slower", Source: slow},
			{Name: "good", Source: fixedSource(nil, near("one", 24))},
		}, maintenance.WithSourceTimeout(20*time.Second))
		require.NoError(t, err)
		began := time.Now()
		ids, _, err := around(t, m, 7)
		require.Equal(t, []string{"good/one"}, ids)
		require.Equal(t, 20*time.Second, time.Since(began), "all are asked at once")
		require.ErrorContains(t, err, "it did not answer within 20s: context deadline exceeded")

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = m.Windows(ctx, began, began.Add(time.Hour))
		require.ErrorIs(t, err, context.Canceled)
		require.NotContains(t, err.Error(), "within 20s")
	})
}

func TestMultiWarnsOfBrokenCacheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	page := &feed{windows: []maintenance.Window{near("one", 24)}}
	_, _, err := around(t, multiOf(t, dir, page), 7)
	require.NoError(t, err)
	path := filepath.Join(dir, "a.json")
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, tc := range []struct{ name, text, want string }{
		{"cut", string(whole[:len(whole)/2]), "unexpected end of JSON input"},
		{"empty", "", "it is broken: is empty"},
		{"not JSON", "\x00\x00\x00", "it is broken: line 1, column 1: is not JSON: invalid character"},
		{"another file", `{"windows": []}`, "it has version 0, this program reads 1"},
		{"of another source", strings.Replace(string(whole), `"a"`, `"b"`, 1), `it belongs to the source "b"`},
		{"unknown keys", `{"version": 1, "secrets": 1}`, `unknown key "secrets"`},
		{"no range", `{"version": 1, "source": "a", "at": "2026-01-10T02:00:00Z"}`, "it has no time or no range"},
		{"a window that ends before it begins", strings.Replace(string(whole), `"end"`,
			`"actualEnd": "2020-01-01T00:00:00Z", "end"`, 2), "it is broken"},
		{"a warning of no kind", strings.Replace(string(whole), `"windows"`, `"warnings": [{"kind": "x"}], "windows"`, 1),
			`unknown kind of warning "x"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(path, []byte(tc.text), 0o600))
			down := &feed{err: errDown}
			m := multiOf(t, dir, down)
			for range 2 {
				ids, _, err := around(t, m, 7)
				require.Empty(t, ids)
				require.ErrorIs(t, err, maintenance.ErrIncomplete)
				require.ErrorIs(t, err, maintenance.ErrUncertain)
				require.ErrorContains(t, err, path)
				require.ErrorContains(t, err, tc.want)
			}
			down.set(nil, near("two", 24))
			ids, _, err := around(t, m, 7)
			require.Equal(t, []string{"a/two"}, ids)
			require.ErrorIs(t, err, maintenance.ErrUncertain)
			_, _, err = around(t, m, 7)
			require.NoError(t, err, "a good answer has replaced the broken one")
			_, _, err = around(t, multiOf(t, dir, page), 7)
			require.NoError(t, err)
		})
	}
}

func TestMultiWarnsOfUnwritableCache(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "answers")
	page := &feed{windows: []maintenance.Window{near("one", 24)}}
	m := multiOf(t, dir, page)
	require.NoError(t, os.Remove(dir))
	ids, _, err := around(t, m, 7)
	require.Equal(t, []string{"a/one"}, ids)
	require.ErrorIs(t, err, maintenance.ErrUncertain)
	require.ErrorContains(t, err, "the answer could not be stored")
	page.set(errDown)
	ids, _, _ = around(t, m, 7)
	require.Equal(t, []string{"a/one"}, ids, "it is in memory")

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = maintenance.NewMulti([]maintenance.NamedSource{{Name: "a", Source: page}},
		maintenance.WithCacheDir(filepath.Join(file, "x")))
	require.ErrorContains(t, err, "maintenance: directory of the last good answers: ")
}

func TestMultiKeepsTimeOfStaleSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		page := &feed{windows: []maintenance.Window{near("one", 24)}}
		m := multiOf(t, "", page)
		_, _, err := around(t, m, 7)
		require.NoError(t, err)
		time.Sleep(time.Hour)
		page.set(&maintenance.SourceWarning{Kind: maintenance.ErrStale, Err: errDown}, near("one", 24), near("two", 48))
		ids, answer, err := around(t, m, 7)
		require.ErrorIs(t, err, errDown)
		require.Equal(t, []string{"a/one", "a/two"}, ids, "the source knows best what it still knows")
		require.Equal(t, time.Hour, answer.Sources[0].Age(time.Now()))

		page.set(errDown)
		ids, _, _ = around(t, m, 7)
		require.Equal(t, []string{"a/one"}, ids, "the last answer that was new")

		page.set(&maintenance.SourceWarning{Kind: maintenance.ErrStale, Err: errDown}, near("one", 24))
		ids, answer, err = around(t, multiOf(t, "", page), 7)
		require.Equal(t, []string{"a/one"}, ids, "all there is")
		require.True(t, answer.Sources[0].Stale)
		require.Zero(t, answer.Sources[0].At)
		require.ErrorIs(t, err, maintenance.ErrStale)
	})
}

func TestMultiReplacesAnswerFromTheFuture(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	page := &feed{windows: []maintenance.Window{near("one", 24)}}
	_, _, err := around(t, multiOf(t, dir, page), 7)
	require.NoError(t, err)
	path := filepath.Join(dir, "a.json")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	ahead := regexp.MustCompile(`"at": "\d{4}`).ReplaceAll(data, []byte(`"at": "9998`))
	require.NoError(t, os.WriteFile(path, ahead, 0o600))

	page.set(nil, near("two", 24))
	m := multiOf(t, dir, page)
	_, _, err = around(t, m, 7)
	require.NoError(t, err)
	page.set(errDown)
	ids, answer, _ := around(t, m, 7)
	require.Equal(t, []string{"a/two"}, ids)
	require.Less(t, answer.Sources[0].Age(time.Now()), time.Hour)
}

func TestMultiOfMultis(t *testing.T) {
	t.Parallel()
	open := near("one", -24)
	open.ActualStart = open.Start
	inner := multiOf(t, "", &feed{windows: []maintenance.Window{open}})
	m, err := maintenance.NewMulti([]maintenance.NamedSource{{Name: "all", Source: inner}},
		maintenance.WithCacheDir(t.TempDir()))
	require.NoError(t, err)
	windows, err := m.Windows(t.Context(), time.Unix(-1<<62, 0), time.Unix(1<<62, 0))
	require.NoError(t, err)
	require.Equal(t, []string{"all/a/one"}, windowIDs(windows))
	now := time.Now()
	windows, err = m.Windows(t.Context(), now, now)
	require.NoError(t, err)
	require.Empty(t, windows, "an empty range")
}

func TestMultiConcurrentUse(t *testing.T) {
	t.Parallel()
	page, file := &feed{windows: []maintenance.Window{near("one", 24)}},
		&feed{windows: []maintenance.Window{near("two", 48)}}
	m := multiOf(t, t.TempDir(), page, file)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			if i == 8 {
				page.set(errDown)
			}
			_, _ = m.Windows(t.Context(), time.Now(), time.Now().AddDate(0, 0, 1+i))
		})
	}
	wg.Wait()
	ids, _, err := around(t, m, 7)
	require.Contains(t, ids, "b/two")
	require.ErrorIs(t, err, errDown)
}

func TestNewMultiRejects(t *testing.T) {
	t.Parallel()
	good := fixedSource(nil)
	one := []maintenance.NamedSource{{Name: "a", Source: good}}
	for _, tc := range []struct {
		want    string
		sources []maintenance.NamedSource
		opts    []maintenance.MultiOption
	}{
		{"maintenance: no sources of windows: name at least one", nil, nil},
		{`maintenance: source of windows: name "": use 1 to 64 ASCII letters, digits, - _ and ., not starting with a dot`,
			[]maintenance.NamedSource{{Source: good}}, nil},
		{`maintenance: source of windows: name "../a": use 1 to 64`, []maintenance.NamedSource{{Name: "../a", Source: good}},
			nil},
		{`maintenance: source of windows: name "a/b": use 1 to 64`, []maintenance.NamedSource{{Name: "a/b", Source: good}},
			nil},
		{`use 1 to 64`, []maintenance.NamedSource{{Name: strings.Repeat("a", 65), Source: good}}, nil},
		{`maintenance: two sources of windows are named "A": names must be unique`,
			[]maintenance.NamedSource{{Name: "a", Source: good}, {Name: "A", Source: good}}, nil},
		{`maintenance: source of windows "a" is nil`, []maintenance.NamedSource{{Name: "a"}}, nil},
		{"maintenance: WithCacheDir: the directory is empty", one, []maintenance.MultiOption{maintenance.WithCacheDir("")}},
		{"maintenance: WithSourceTimeout: 0s is not positive", one, []maintenance.MultiOption{maintenance.WithSourceTimeout(0)}},
		{"maintenance: WithHorizon: -1ns back and 0s ahead: use positive durations or 0", one,
			[]maintenance.MultiOption{maintenance.WithHorizon(-1, 0)}},
	} {
		_, err := maintenance.NewMulti(tc.sources, tc.opts...)
		require.ErrorContains(t, err, tc.want)
	}
}

func TestMultiWithHorizon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		page := &feed{}
		m, err := maintenance.NewMulti([]maintenance.NamedSource{{Name: "a", Source: page}},
			maintenance.WithHorizon(time.Hour, 2*time.Hour))
		require.NoError(t, err)
		now := time.Now().UTC()
		_, err = m.Windows(t.Context(), now, now.Add(time.Minute))
		require.NoError(t, err)
		require.Equal(t, []maintenance.Span{{Start: now.Add(-time.Hour), End: now.Add(2 * time.Hour)}}, page.asked)
	})
}

func ExampleMulti() {
	day := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC)
	known, err := maintenance.NewCalendar([]maintenance.Window{
		{ID: "upgrade", Start: day.Add(2 * time.Hour), End: day.Add(5 * time.Hour), Title: "Connect 26.1"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	down := maintenance.SourceFunc(func(context.Context, time.Time, time.Time) ([]maintenance.Window, error) {
		return nil, errors.New("no route to host")
	})
	multi, err := maintenance.NewMulti([]maintenance.NamedSource{
		{Name: "mail", Source: maintenance.NewCalendarSource(known)},
		{Name: "page", Source: down},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	calendar, err := maintenance.QueryCalendar(context.Background(), multi, day, day.AddDate(0, 0, 1))
	fmt.Println(err)
	fmt.Println(calendar.Windows())
	// Output:
	// maintenance: windows of page: windows may be missing: it failed, and there is no earlier answer: no route to host
	// [mail/upgrade "Connect 26.1": 2026-01-10 02:00 UTC to 2026-01-10 05:00 UTC]
}
