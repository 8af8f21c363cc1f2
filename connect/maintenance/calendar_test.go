package maintenance_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return v
}

func windowAt(t testing.TB, id, start, end string) maintenance.Window {
	t.Helper()
	return maintenance.Window{ID: id, Start: instant(t, start), End: instant(t, end)}
}

func calendarOf(t testing.TB, windows []maintenance.Window, rules ...maintenance.Weekly) *maintenance.Calendar {
	t.Helper()
	c, err := maintenance.NewCalendar(windows, rules...)
	require.NoError(t, err)
	return c
}

func windowIDs(windows []maintenance.Window) []string {
	ids := []string{}
	for _, w := range windows {
		ids = append(ids, w.ID)
	}
	return ids
}

func TestCalendarLookups(t *testing.T) {
	t.Parallel()
	cancelled := windowAt(t, "cancelled", "2026-01-10T00:00:00Z", "2026-01-17T00:00:00Z")
	cancelled.Cancelled = true
	c := calendarOf(t, []maintenance.Window{
		windowAt(t, "c", "2026-01-10T06:00:00Z", "2026-01-10T07:00:00Z"),
		windowAt(t, "a", "2026-01-10T02:00:00Z", "2026-01-10T05:00:00Z"),
		windowAt(t, "b", "2026-01-10T03:00:00Z", "2026-01-10T04:00:00Z"),
		windowAt(t, "d", "2026-01-10T07:00:00Z", "2026-01-10T08:00:00Z"),
		cancelled,
	})
	for _, tc := range []struct{ name, t, at, next, last string }{
		{"before all windows only the next is known", "2026-01-10T01:59:59.999999999Z", "", "a", ""},
		{"a window holds from its very start", "2026-01-10T02:00:00Z", "a", "a", ""},
		{"the one of two that ends last", "2026-01-10T03:30:00Z", "a", "c", ""},
		{"the inner one has ended", "2026-01-10T04:00:00Z", "a", "c", "b"},
		{"a window does not hold at its end", "2026-01-10T05:00:00Z", "", "c", "a"},
		{"of two that touch the second holds at the border", "2026-01-10T07:00:00Z", "d", "d", "c"},
		{"after all windows only the last is known", "2026-01-11T00:00:00Z", "", "", "d"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, lookup := range []struct {
				name, want string
				find       func(time.Time) (maintenance.Window, bool)
			}{{"At", tc.at, c.At}, {"Next", tc.next, c.Next}, {"Last", tc.last, c.Last}} {
				w, ok := lookup.find(instant(t, tc.t))
				require.Equal(t, lookup.want, w.ID, lookup.name)
				require.Equal(t, lookup.want != "", ok, lookup.name)
			}
		})
	}
}

func TestCalendarRanges(t *testing.T) {
	t.Parallel()
	cancelled := windowAt(t, "cancelled", "2026-01-10T02:00:00Z", "2026-01-10T05:00:00Z")
	cancelled.Cancelled = true
	c := calendarOf(t, []maintenance.Window{
		windowAt(t, "long", "2026-01-10T02:00:00Z", "2026-01-10T05:00:00Z"),
		windowAt(t, "inner", "2026-01-10T03:00:00Z", "2026-01-10T04:00:00Z"),
		windowAt(t, "touching", "2026-01-10T05:00:00Z", "2026-01-10T06:00:00Z"),
		windowAt(t, "apart", "2026-01-10T07:00:00Z", "2026-01-10T08:00:00Z"),
		cancelled,
	})
	for _, tc := range []struct {
		name, from, to string
		want           []string
		merged         []string
	}{
		{"a range over all has all, oldest first, without the cancelled one", "2026-01-10T00:00:00Z", "2026-01-11T00:00:00Z",
			[]string{"long", "inner", "touching", "apart"}, []string{"02:00-06:00", "07:00-08:00"}},
		{"what ends where the range begins is not in it", "2026-01-10T05:00:00Z", "2026-01-10T05:00:01Z",
			[]string{"touching"}, []string{"05:00-05:00"}},
		{"what begins where the range ends is not in it", "2026-01-10T04:00:00Z", "2026-01-10T05:00:00Z",
			[]string{"long"}, []string{"04:00-05:00"}},
		{"a range in a gap has none", "2026-01-10T06:00:00Z", "2026-01-10T07:00:00Z", []string{}, nil},
		{"an empty range has none", "2026-01-10T03:30:00Z", "2026-01-10T03:30:00Z", []string{}, nil},
		{"a range that runs backwards has none", "2026-01-11T00:00:00Z", "2026-01-10T00:00:00Z", []string{}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			from, to := instant(t, tc.from), instant(t, tc.to)
			require.Equal(t, tc.want, windowIDs(c.Overlapping(from, to)))
			var merged []string
			for _, s := range c.Spans(from, to) {
				merged = append(merged, s.Start.Format("15:04")+"-"+s.End.Format("15:04"))
			}
			require.Equal(t, tc.merged, merged)
		})
	}
}

func TestCalendarNilAndZero(t *testing.T) {
	t.Parallel()
	for _, c := range []*maintenance.Calendar{nil, {}, (*maintenance.Calendar)(nil).Merge(nil),
		(&maintenance.Calendar{}).WithMargins(1, 1)} {
		now := instant(t, "2026-01-10T02:00:00Z")
		for _, find := range []func(time.Time) (maintenance.Window, bool){c.At, c.Next, c.Last} {
			w, ok := find(now)
			require.False(t, ok)
			require.Zero(t, w)
		}
		require.Empty(t, c.Windows())
		require.Empty(t, c.Weekly())
		require.Empty(t, c.Overlapping(now.AddDate(-9000, 0, 0), now.AddDate(9000, 0, 0)))
		require.Empty(t, c.Spans(now, now.Add(1)))
		require.Nil(t, (*maintenance.Calendar)(nil).WithMargins(1, 1))
	}
}

func TestCalendarOverrunningWindow(t *testing.T) {
	t.Parallel()
	w := windowAt(t, "a", "2026-01-10T02:00:00Z", "2026-01-10T05:00:00Z")
	w.ActualStart = instant(t, "2026-01-10T02:30:00Z")
	c := calendarOf(t, []maintenance.Window{w})

	_, early := c.At(instant(t, "2026-01-10T02:15:00Z"))
	require.False(t, early, "it began late")
	_, late := c.At(instant(t, "2027-01-10T00:00:00Z"))
	require.True(t, late)
	_, ended := c.Last(instant(t, "2027-01-10T00:00:00Z"))
	require.False(t, ended)
	to := instant(t, "2026-02-01T00:00:00Z")
	require.Equal(t, []maintenance.Span{{Start: w.ActualStart, End: to}}, c.Spans(w.Start, to),
		"an open end is cut to the range")
	require.Len(t, c.Overlapping(to, to.Add(time.Hour)), 1)

	w.ActualEnd = instant(t, "2026-01-10T06:00:00Z")
	c = c.Merge(calendarOf(t, []maintenance.Window{w}))
	_, late = c.At(w.ActualEnd)
	require.False(t, late)
	last, ended := c.Last(w.ActualEnd)
	require.True(t, ended)
	require.Equal(t, w, last)
}

func TestCalendarWithMargins(t *testing.T) {
	t.Parallel()
	w := windowAt(t, "a", "2026-01-10T02:00:00Z", "2026-01-10T05:00:00Z")
	open := windowAt(t, "open", "2026-02-10T02:00:00Z", "2026-02-10T05:00:00Z")
	open.ActualStart = open.Start
	plain := calendarOf(t, []maintenance.Window{w, open})
	c := plain.WithMargins(20*time.Minute, 5*time.Minute).WithMargins(10*time.Minute, 5*time.Minute)

	for at, want := range map[string]bool{
		"2026-01-10T01:29:59Z": false, "2026-01-10T01:30:00Z": true,
		"2026-01-10T05:09:59Z": true, "2026-01-10T05:10:00Z": false,
		"2026-02-10T01:29:59Z": false, "2026-02-10T01:30:00Z": true, "2027-02-10T00:00:00Z": true,
	} {
		_, ok := c.At(instant(t, at))
		require.Equal(t, want, ok, at)
	}
	got, _ := c.At(instant(t, "2026-01-10T01:30:00Z"))
	require.Equal(t, w, got)
	_, ok := plain.At(instant(t, "2026-01-10T01:30:00Z"))
	require.False(t, ok, "the calendar itself does not change")

	narrow := plain.WithMargins(-2*time.Hour, -2*time.Hour)
	require.Equal(t, []string{"open"}, windowIDs(narrow.Overlapping(w.Start, open.End)),
		"narrowed to nothing it never holds")
	next, _ := narrow.Next(w.Start)
	require.Equal(t, "open", next.ID)
	_, ok = narrow.Last(open.End)
	require.False(t, ok)
	require.Len(t, narrow.Windows(), 2)
}

func TestCalendarMergePrefersLast(t *testing.T) {
	t.Parallel()
	saturday := maintenance.Weekly{ID: "weekly", Weekday: time.Saturday, Time: "02:00", Duration: time.Hour, Zone: "UTC"}
	sunday := saturday
	sunday.Weekday = time.Sunday
	old := calendarOf(t, []maintenance.Window{
		windowAt(t, "a", "2026-01-12T02:00:00Z", "2026-01-12T05:00:00Z"),
		windowAt(t, "b", "2026-01-13T02:00:00Z", "2026-01-13T05:00:00Z"),
	}, saturday)
	moved := windowAt(t, "a", "2026-01-14T02:00:00Z", "2026-01-14T05:00:00Z")
	c := old.Merge(nil, calendarOf(t, []maintenance.Window{moved}), calendarOf(t, nil, sunday))

	require.Equal(t, []string{"b", "a"}, windowIDs(c.Windows()))
	require.Equal(t, []maintenance.Weekly{sunday}, c.Weekly())
	from := instant(t, "2026-01-10T00:00:00Z")
	require.Equal(t, []string{"weekly@2026-01-11", "b", "a"}, windowIDs(c.Overlapping(from, from.AddDate(0, 0, 7))))
	require.Equal(t, []string{"weekly@2026-01-10", "a", "b"}, windowIDs(old.Overlapping(from, from.AddDate(0, 0, 7))))

	named := calendarOf(t, []maintenance.Window{windowAt(t, "weekly", "2026-01-14T02:00:00Z", "2026-01-14T05:00:00Z")})
	require.Empty(t, old.Merge(named).Weekly(), "a window takes the place of a rule with its id")
}

func TestCalendarIsImmutable(t *testing.T) {
	t.Parallel()
	windows := []maintenance.Window{windowAt(t, "a", "2026-01-10T02:00:00Z", "2026-01-10T05:00:00Z")}
	rule := maintenance.Weekly{ID: "r", Weekday: time.Saturday, Time: "02:00", Duration: time.Hour, Zone: "UTC",
		Except: []string{"2026-01-17"}}
	c := calendarOf(t, windows, rule)
	windows[0].ID = "changed"
	rule.Except[0] = "2026-01-24"
	c.Windows()[0].ID = "changed"
	c.Weekly()[0].Except[0] = "2026-01-24"
	require.Equal(t, "a", c.Windows()[0].ID)
	require.Equal(t, []string{"2026-01-17"}, c.Weekly()[0].Except)
}

func TestNewCalendarConvertsToUTC(t *testing.T) {
	t.Parallel()
	now := time.Now() // has a monotonic reading
	east := time.FixedZone("east", 3600)
	w := maintenance.Window{ID: "a", Start: now, End: now.Add(time.Hour).In(east), ActualStart: now.In(east),
		ActualEnd: now.Add(time.Minute).In(east)}
	got := calendarOf(t, []maintenance.Window{w}).Windows()[0]
	require.Equal(t, maintenance.Window{
		ID: "a", Start: now.Round(0).UTC(), End: now.Round(0).Add(time.Hour).UTC(),
		ActualStart: now.Round(0).UTC(), ActualEnd: now.Round(0).Add(time.Minute).UTC(),
	}, got)
}

func TestNewCalendarRejects(t *testing.T) {
	t.Parallel()
	a := windowAt(t, "a", "2026-01-10T02:00:00Z", "2026-01-10T05:00:00Z")
	rule := maintenance.Weekly{ID: "a", Weekday: time.Saturday, Time: "02:00", Duration: time.Hour, Zone: "UTC"}
	_, err := maintenance.NewCalendar([]maintenance.Window{a, a})
	require.EqualError(t, err, `maintenance: two windows have the id "a": ids must be unique`)
	_, err = maintenance.NewCalendar([]maintenance.Window{a}, rule)
	require.EqualError(t, err, `maintenance: weekly rule "a" has the id of another rule or window: ids must be unique`)
	_, err = maintenance.NewCalendar([]maintenance.Window{{}})
	require.EqualError(t, err, `maintenance: window "": id is missing: set a unique one`)
	rule.Zone = ""
	_, err = maintenance.NewCalendar(nil, rule)
	require.EqualError(t, err,
		`maintenance: weekly rule "a": timezone is missing: name the zone of the local time, such as Europe/Berlin or UTC`)
}

// drawn is a calendar with all its windows and when each counts, worked out one by
// one and day by day.
type drawn struct {
	calendar *maintenance.Calendar
	windows  []maintenance.Window
	spans    []maintenance.Span
}

var drawnBase = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// draw makes windows that overlap, touch, overrun and are cancelled, close enough
// together for their borders to meet, and weekly rules among them.
func draw(t *rapid.T) drawn {
	hour := func(name string, lo, hi int) time.Duration {
		return time.Duration(rapid.IntRange(lo, hi).Draw(t, name)) * time.Hour
	}
	var windows []maintenance.Window
	for i := range rapid.IntRange(0, 8).Draw(t, "windows") {
		w := maintenance.Window{ID: fmt.Sprint(i), Start: drawnBase.Add(hour("start", 0, 600))}
		if rapid.Bool().Draw(t, "stands for an occurrence") {
			w.ID = "r0@" + drawnBase.AddDate(0, 0, i).Format(time.DateOnly)
		}
		w.End = w.Start.Add(hour("length", 1, 60))
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0:
			w.ActualStart = w.Start.Add(hour("late", -5, 70))
		case 1:
			w.ActualEnd = w.Start.Add(hour("end", 1, 80))
		case 2:
			w.Cancelled = true
		}
		windows = append(windows, w)
	}
	var rules []maintenance.Weekly
	for i := range rapid.IntRange(0, 2).Draw(t, "rules") {
		r := maintenance.Weekly{
			ID: fmt.Sprint("r", i), Weekday: time.Weekday(rapid.IntRange(0, 6).Draw(t, "weekday")),
			// Not at night, where time.Date, the oracle, is not of one mind.
			Time: fmt.Sprintf("%02d:30", rapid.IntRange(4, 23).Draw(t, "hour")), Duration: hour("duration", 1, 168),
			Zone: rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati"}).Draw(t, "zone"),
		}
		if rapid.Bool().Draw(t, "bounded") {
			r.From, r.Until = "2026-03-05", "2026-03-19"
		}
		rules = append(rules, r)
	}
	c, err := maintenance.NewCalendar(windows, rules...)
	require.NoError(t, err)
	lead, tail := hour("lead", -3, 30), hour("tail", -3, 30)

	for _, r := range rules {
		windows = append(windows, expand(t, r, windows)...)
	}
	d := drawn{calendar: c.WithMargins(lead, tail)}
	for _, w := range windows {
		s := w.Span()
		s.Start = s.Start.Add(-lead)
		if !s.End.IsZero() {
			s.End = s.End.Add(tail)
		}
		if !w.Cancelled && (s.End.IsZero() || s.End.After(s.Start)) {
			d.windows, d.spans = append(d.windows, w), append(d.spans, s)
		}
	}
	return d
}

// expand lists the occurrences of a rule within 70 days round the drawn ones.
func expand(t *rapid.T, r maintenance.Weekly, taken []maintenance.Window) (windows []maintenance.Window) {
	loc, err := time.LoadLocation(r.Zone)
	require.NoError(t, err)
	clock, err := time.Parse("15:04", r.Time)
	require.NoError(t, err)
	for days := -70; days < 100; days++ {
		day := drawnBase.AddDate(0, 0, days)
		date := day.Format(time.DateOnly)
		id := r.ID + "@" + date
		if day.Weekday() != r.Weekday || r.From != "" && (date < r.From || date > r.Until) ||
			slices.ContainsFunc(taken, func(w maintenance.Window) bool { return w.ID == id }) {
			continue
		}
		start := time.Date(day.Year(), day.Month(), day.Day(), clock.Hour(), clock.Minute(), 0, 0, loc).UTC()
		windows = append(windows, maintenance.Window{ID: id, Start: start, End: start.Add(r.Duration), Zone: r.Zone})
	}
	return windows
}

// pick is the window that comes first by less among those that are wanted.
func (d drawn) pick(wanted func(maintenance.Span) bool, less func(a, b maintenance.Span) bool) (best maintenance.Window,
	ok bool) {
	var span maintenance.Span
	for i, s := range d.spans {
		if !wanted(s) {
			continue
		}
		tie := ok && !less(s, span) && !less(span, s)
		if !ok || less(s, span) || tie && d.windows[i].ID < best.ID {
			best, span, ok = d.windows[i], s, true
		}
	}
	return best, ok
}

func endsAfter(a, b maintenance.Span) bool {
	return !b.End.IsZero() && (a.End.IsZero() || a.End.After(b.End))
}

func endsLast(a, b maintenance.Span) bool {
	return endsAfter(a, b) || !endsAfter(b, a) && a.Start.Before(b.Start)
}

func beginsFirst(a, b maintenance.Span) bool {
	return a.Start.Before(b.Start) || a.Start.Equal(b.Start) && endsAfter(a, b)
}

func drawInstant(t *rapid.T, label string) time.Time {
	halfHours := rapid.IntRange(-100, 1400).Draw(t, label)
	return drawnBase.Add(time.Duration(halfHours) * 30 * time.Minute)
}

func TestCalendarLookupsMatchLinearScan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		for range 20 {
			at := drawInstant(t, "at")
			for _, lookup := range []struct {
				name   string
				find   func(time.Time) (maintenance.Window, bool)
				wanted func(maintenance.Span) bool
				less   func(a, b maintenance.Span) bool
			}{
				{"At", d.calendar.At, func(s maintenance.Span) bool { return s.Contains(at) }, endsLast},
				{"Next", d.calendar.Next, func(s maintenance.Span) bool { return !s.Start.Before(at) }, beginsFirst},
				{"Last", d.calendar.Last, func(s maintenance.Span) bool { return !s.End.IsZero() && !s.End.After(at) }, endsLast},
			} {
				want, wantOK := d.pick(lookup.wanted, lookup.less)
				got, ok := lookup.find(at)
				require.Equal(t, wantOK, ok, "%s %s", lookup.name, at)
				require.Equal(t, want, got, "%s %s", lookup.name, at)
			}
		}
	})
}

func TestCalendarRangesMatchLinearScan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		from, to := drawInstant(t, "from"), drawInstant(t, "to")
		overlaps := func(s maintenance.Span) bool {
			return from.Before(to) && s.Start.Before(to) && (s.End.IsZero() || s.End.After(from))
		}
		var want []maintenance.Window
		for i, s := range d.spans {
			if overlaps(s) {
				want = append(want, d.windows[i])
			}
		}
		got := d.calendar.Overlapping(from, to)
		require.ElementsMatch(t, want, got)
		// All windows have the same margins, which therefore do not change the order.
		require.True(t,
			slices.IsSortedFunc(got, func(a, b maintenance.Window) int { return a.Span().Start.Compare(b.Span().Start) }))

		merged := d.calendar.Spans(from, to)
		for i, s := range merged {
			require.True(t, s.Start.Before(s.End))
			require.True(t, i == 0 || merged[i-1].End.Before(s.Start), "spans neither overlap nor touch")
		}
		for at := from; at.Before(to); at = at.Add(30 * time.Minute) {
			_, want := d.calendar.At(at)
			require.Equal(t, want, slices.ContainsFunc(merged, func(s maintenance.Span) bool { return s.Contains(at) }), "%s",
				at)
		}
	})
}

func TestCalendarMergeWithItself(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := draw(t).calendar
		once := c.Merge()
		require.Equal(t, c.Windows(), once.Windows())
		require.Equal(t, c.Weekly(), once.Weekly())
		require.Equal(t, once, once.Merge(c))
		require.Equal(t, once, c.Merge(nil, c, once))
		require.Equal(t, once, (*maintenance.Calendar)(nil).Merge(c))
		require.Equal(t, once, once.WithMargins(time.Hour, -time.Hour).WithMargins(-time.Hour, time.Hour))
	})
}

func TestCalendarAllStopsEarly(t *testing.T) {
	t.Parallel()
	c := calendarOf(t, nil, maintenance.Weekly{ID: "r", Weekday: time.Saturday, Time: "02:00", Duration: time.Hour,
		Zone: "UTC"})
	var got []string
	for w := range c.OverlappingSeq(instant(t, "2026-01-10T02:30:00Z"), instant(t, "9999-01-01T00:00:00Z")) {
		if got = append(got, w.ID); len(got) == 2 {
			break
		}
	}
	require.Equal(t, []string{"r@2026-01-10", "r@2026-01-17"}, got)
}

// manyWindows are n windows of three hours, a day apart, every tenth of them
// inside a long one.
func manyWindows(n int) []maintenance.Window {
	windows := make([]maintenance.Window, 0, n)
	for i := range n {
		start := time.Date(2000, 1, 1+i, 2, 0, 0, 0, time.UTC)
		w := maintenance.Window{ID: fmt.Sprint("w", i), Start: start, End: start.Add(3 * time.Hour)}
		if i%10 == 0 {
			w.End = start.Add(50 * time.Hour)
		}
		windows = append(windows, w)
	}
	return windows
}

func TestCalendarAtDoesNotAllocate(t *testing.T) { // alone: others would be counted
	c := calendarOf(t, manyWindows(1000))
	at := instant(t, "2001-05-05T03:00:00Z")
	require.Zero(t, testing.AllocsPerRun(100, func() { c.At(at) }))
}

func BenchmarkAt(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		windows := manyWindows(n)
		c := calendarOf(b, windows)
		// Instants in and between the windows, in no order.
		instants := make([]time.Time, 1024)
		for i := range instants {
			instants[i] = windows[0].Start.Add(time.Duration(i*7919%1024) * time.Duration(n) * 24 * time.Hour / 1024)
		}
		b.Run(fmt.Sprintf("calendar of %d", n), func(b *testing.B) {
			b.ReportAllocs()
			held, i := 0, 0
			for b.Loop() {
				if _, ok := c.At(instants[i%1024]); ok {
					held++
				}
				i++
			}
			require.NotZero(b, held)
		})
		b.Run(fmt.Sprintf("linear scan of %d", n), func(b *testing.B) {
			b.ReportAllocs()
			held, i := 0, 0
			for b.Loop() {
				t := instants[i%1024]
				if slices.ContainsFunc(windows, func(w maintenance.Window) bool { return w.Span().Contains(t) }) {
					held++
				}
				i++
			}
			require.NotZero(b, held)
		})
	}
	b.Run("weekly rule", func(b *testing.B) {
		c := calendarOf(b, nil, maintenance.Weekly{ID: "r", Weekday: time.Saturday, Time: "02:00", Duration: time.Hour,
			Zone: "Europe/Berlin"})
		at := instant(b, "2026-01-10T04:00:00Z")
		b.ReportAllocs()
		for b.Loop() {
			c.At(at)
		}
	})
}
