package maintenance_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

func TestLoadCalendarFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join("testdata", "windows.json")
	c, err := maintenance.LoadCalendarFile(path)
	require.NoError(t, err)
	require.Equal(t, []maintenance.Window{
		{
			ID: "2026-01", Title: "Upgrade", Source: path,
			Start: instant(t, "2026-01-10T02:00:00Z"), End: instant(t, "2026-01-10T05:00:00Z"),
		},
		{
			ID: "2026-02", Zone: "Europe/Berlin", Source: path,
			Start: instant(t, "2026-02-14T01:00:00Z"), End: instant(t, "2026-02-14T04:00:00Z"),
			ActualStart: instant(t, "2026-02-14T01:05:00Z"), ActualEnd: instant(t, "2026-02-14T05:10:30Z"),
		},
		{
			ID: "weekly@2026-02-21", Cancelled: true, Source: path,
			Start: instant(t, "2026-02-21T01:00:00Z"), End: instant(t, "2026-02-21T04:00:00Z"),
		},
	}, c.Windows())
	require.Equal(t, []maintenance.Weekly{{
		ID: "weekly", Title: "Weekly", Weekday: time.Saturday, Time: "02:00", Duration: 3 * time.Hour,
		Zone: "Europe/Berlin", Except: []string{"2026-12-26"}, From: "2026-02-16", Until: "2026-12-31", Source: path,
	}}, c.Weekly())
	next, _ := c.Next(instant(t, "2026-02-15T00:00:00Z"))
	require.Equal(t, "weekly@2026-02-28", next.ID, "the one of the 21st is cancelled")
}

func TestLoadCalendarFileNamesTheFileInErrors(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "w.json")
	_, err := maintenance.LoadCalendarFile(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, path)

	require.NoError(t, os.WriteFile(path, []byte(`{"windows": 7}`), 0o600))
	_, err = maintenance.LoadCalendarFile(path)
	require.EqualError(t, err, "maintenance: windows: "+path+": line 1: windows: must be a list in square brackets, is 7")
}

func TestLoadCalendarReturnsReadError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	_, err := maintenance.LoadCalendar(iotest.ErrReader(broken))
	require.ErrorIs(t, err, broken)
}

func TestLoadCalendarAccepts(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"no windows, when it says so": `{"windows": []}`,
		"nulls for what is not there": `{"windows": [{"id":"a","start":"2026-01-10T02:00:00Z","end":null,` +
			`"duration":"3h","timezone":null,"actualEnd":null}], "weekly": null}`,
		"a byte order mark": "\ufeff" + `{"windows": []}`,
		"a local time without seconds": `{"windows": [{"id":"a","start":"2026-01-10T02:00","duration":"3h",` +
			`"timezone":"UTC"}]}`,
		"seven days to the second": `{"windows": [{"id":"a","start":"2026-01-10T02:00:00Z",` +
			`"end":"2026-01-17T02:00:00Z"}]}`,
		"offsets that differ": `{"windows": [{"id":"a","start":"2026-01-10T02:00:00+02:00",` +
			`"end":"2026-01-10T01:00:00Z"}]}`,
		"an @ that names no rule": `{"windows": [{"id":"x@y","start":"2026-01-10T02:00:00Z","duration":"3h"}]}`,
		"a skipped time in a weekly rule": `{"weekly": [{"id":"a","weekday":"Sunday","time":"02:30","duration":"3h",` +
			`"timezone":"Europe/Berlin"}]}`,
		"a file at the end of which it ends": `{"windows": []}` + "\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := maintenance.LoadCalendar(strings.NewReader(file))
			require.NoError(t, err)
		})
	}
}

func TestLoadCalendarRejects(t *testing.T) {
	t.Parallel()
	windows := func(s string) string { return `{"windows": [` + s + `]}` }
	weeklyRules := func(s string) string { return `{"weekly": [` + s + `]}` }
	const windowKeys = "; known are id, title, start, end, duration, timezone, actualStart, actualEnd, cancelled"
	const noTime = " is not a time: write it like 2026-01-10T02:00:00Z, or like 2026-01-10T02:00:00 beside a timezone"
	const ok = `{"id":"ok","start":"2026-01-10T02:00:00Z","end":"2026-01-10T05:00:00Z"}`
	weekly := func(old, changed string) string {
		rule := `{"id":"r","weekday":"saturday","time":"02:00","duration":"3h","timezone":"Europe/Berlin"}`
		require.Contains(t, rule, old)
		return weeklyRules(strings.Replace(rule, old, changed, 1))
	}
	for _, tc := range []struct{ name, file, want string }{
		{"an empty file", "", "is empty"},
		{"what is not JSON", "{\n  \"windows\": [,]}",
			"line 2, column 15: is not JSON: invalid character ',' looking for beginning of value"},
		{"data after the end", `{"windows": []} {}`,
			"line 1, column 17: is not JSON: invalid character '{' after top-level value"},
		{"what is not UTF-8", "{\"windows\": [], \"\xff\": 1}", "is not UTF-8: save it in that encoding"},
		{"an array at the top", `[]`, "the top level: must be an object in braces, is []"},
		{"a null at the top", `null`, "the top level: must be an object in braces, is null"},
		{"a file that says nothing", `{}`, `has neither windows nor weekly: write {"windows": []} if there are none`},
		{"an unknown key at the top", `{"window": []}`,
			`unknown key "window" (did you mean "windows"?); known are windows, weekly`},
		{"a key that is nearly known", windows(`{"id":"a","strt":"2026"}`),
			`windows[0]: unknown key "strt" (did you mean "start"?)` + windowKeys},
		{"a key in the wrong case", windows(`{"ID":"a"}`), `windows[0]: unknown key "ID" (did you mean "id"?)` + windowKeys},
		{"a part of a key", windows(`{"id":"a","zone":"UTC"}`),
			`windows[0]: unknown key "zone" (did you mean "timezone"?)` + windowKeys},
		{"a key like no other", weekly(`"id"`, `"colour"`),
			"weekly[0]: unknown key \"colour\"; known are id, title, weekday, time, duration, timezone, except, from, until"},
		{"a key that breaks lines", `{"a\nb": []}`, `unknown key "a b"; known are windows, weekly`},
		{"a key that is there twice", windows(`{"id":"a","id":"b"}`), `windows[0]: the key "id" is there twice: remove one`},
		{"a key that is there twice, once as null", windows(`{"id":null,"id":"b"}`),
			`windows[0]: the key "id" is there twice: remove one`},
		{"a window that is none", windows(ok + `, "a"`), `windows[1]: must be an object in braces, is "a"`},
		{"a number for text", windows(`{"id":7}`), "windows[0].id: must be text in quotes, is 7"},
		{"text for a flag", windows(strings.Replace(ok, `{`, `{"cancelled":"yes",`, 1)),
			`windows[0].cancelled: must be true or false, is "yes"`},
		{"a long value, in short", windows(`{"id":` + strings.Repeat("1", 60) + `}`),
			"windows[0].id: must be text in quotes, is " + strings.Repeat("1", 40) + "…"},
		{"a window without an id", windows(`{"start":"2026-01-10T02:00:00Z"}`),
			"windows[0].id: is missing: set a unique one"},
		{"an id that breaks lines", windows(`{"id":"a\nb"}`), `windows[0].id: "a\nb" has control characters: remove them`},
		{"an array for text, on one line", windows("{\"id\":[1,\n2]}"), "windows[0].id: must be text in quotes, is [1, 2]"},
		{"an id of two windows", windows(ok + `,` +
			ok), `windows[1].id: "ok" is also the id of windows[0]: ids must be unique`},
		{"an id of a rule and a window", `{"windows": [{"id":"r","start":"2026-01-10T02:00:00Z","duration":"3h"}],` +
			weekly("", "")[1:], `windows[0].id: "r" is also the id of weekly[0]: ids must be unique`},
		{"a window without a start", windows(`{"id":"a","duration":"3h"}`), "windows[0].start: is missing"},
		{"a window without an end", windows(`{"id":"a","start":"2026-01-10T02:00:00Z"}`),
			"windows[0]: must have either an end or a duration"},
		{"both an end and a duration", windows(strings.Replace(ok, `{`, `{"duration":"3h",`, 1)),
			"windows[0]: must have either an end or a duration"},
		{"an end before the start", windows(ok + `,{"id":"b","start":"2026-01-10T02:00:00Z","end":"2026-01-10T01:00:00Z"}`),
			"windows[1].end: 2026-01-10T01:00:00Z is not after the start, 2026-01-10T02:00:00Z"},
		{"an end at the start", windows(`{"id":"b","start":"2026-01-10T02:00:00Z","end":"2026-01-10T03:00:00+01:00"}`),
			"windows[0].end: 2026-01-10T02:00:00Z is not after the start, 2026-01-10T02:00:00Z"},
		{"an end after more than a week", windows(`{"id":"b","start":"2026-01-10T02:00:00Z","end":"2026-01-17T02:00:01Z"}`),
			"windows[0].end: is too far from the start: 168h0m1s is more than 7 days: split the rule"},
		{"a duration of more than a week", windows(`{"id":"b","start":"2026-01-10T02:00:00Z","duration":"169h"}`),
			"windows[0].duration: 169h0m0s is more than 7 days: split the rule"},
		{"a duration of nothing", windows(`{"id":"b","start":"2026-01-10T02:00:00Z","duration":"0s"}`),
			"windows[0].duration: 0s is not positive"},
		{"a duration in days", windows(`{"id":"b","start":"2026-01-10T02:00:00Z","duration":"1d"}`),
			`windows[0].duration: "1d" is not a duration: write it like 3h or 2h30m`},
		{"a local time without a zone", windows(`{"id":"a","start":"2026-01-10T02:00:00","duration":"3h"}`),
			`windows[0].start: "2026-01-10T02:00:00" has no offset: add one, such as Z, or a "timezone"`},
		{"what is no time", windows(`{"id":"a","start":"10.1.2026","duration":"3h"}`),
			`windows[0].start: "10.1.2026" is not a time: write it like 2026-01-10T02:00:00Z, or like 2026-01-10T02:00:00 ` +
				`beside a timezone`},
		{"an offset of a day", windows(`{"id":"a","start":"2026-01-10T02:00:00+24:00","duration":"3h"}`),
			`windows[0].start: "2026-01-10T02:00:00+24:00"` + noTime},
		{"an offset with 60 minutes", windows(`{"id":"a","start":"2026-01-10T02:00:00Z","end":"2026-01-10T05:00:00-01:60"}`),
			`windows[0].end: "2026-01-10T05:00:00-01:60"` + noTime},
		{"a fraction after a comma", windows(`{"id":"a","start":"2026-01-10T02:00:00,5Z","duration":"3h"}`),
			`windows[0].start: "2026-01-10T02:00:00,5Z"` + noTime},
		{"a local time that clocks skip",
			windows(`{"id":"a","start":"2026-03-29T02:30:00","duration":"3h","timezone":"Europe/Berlin"}`),
			`windows[0].start: "2026-03-29T02:30:00" does not exist in Europe/Berlin, where clocks go forward then: write it ` +
				`with an offset`},
		{"a local time that happens twice",
			windows(`{"id":"a","start":"2026-10-25T02:30:00","duration":"3h","timezone":"Europe/Berlin"}`),
			`windows[0].start: "2026-10-25T02:30:00" happens twice in Europe/Berlin, where clocks go back then: write it ` +
				`with an offset`},
		{"an unknown zone", windows(strings.Replace(ok, `{`, `{"timezone":"Europe/Berlim",`, 1)),
			`windows[0].timezone: time zone "Europe/Berlim" is unknown: use an IANA name such as Europe/Berlin (a machine ` +
				`without time zone data needs import _ "time/tzdata")`},
		{"the zone of the machine", windows(strings.Replace(ok, `{`, `{"timezone":"Local",`, 1)),
			`windows[0].timezone: time zone "Local" depends on the machine: use an IANA name such as Europe/Berlin`},
		{"a path for a zone", windows(strings.Replace(ok, `{`, `{"timezone":"../x",`, 1)),
			`windows[0].timezone: time zone "../x" is unknown: use an IANA name such as Europe/Berlin (a machine without ` +
				`time zone data needs import _ "time/tzdata")`},
		{"a real end before the start", windows(strings.Replace(ok, `{`, `{"actualEnd":"2026-01-10T01:00:00Z",`, 1)),
			"windows[0]: actual end 2026-01-10T01:00:00Z is not after the start 2026-01-10T02:00:00Z: set the actual start too"},
		{"a rule without a zone", weekly(`,"timezone":"Europe/Berlin"`, ``),
			"weekly[0].timezone: is missing: name the zone of the local time, such as Europe/Berlin or UTC"},
		{"a rule in an unknown zone", weekly(`Europe/Berlin`, `CEST5`),
			`weekly[0].timezone: time zone "CEST5" is unknown: use an IANA name such as Europe/Berlin (a machine without ` +
				`time zone data needs import _ "time/tzdata")`},
		{"a day that is none", weekly(`saturday`, `caturday`),
			`weekly[0].weekday: "caturday" is not a day of the week: write it like saturday`},
		{"a rule without a day", weekly(`"weekday":"saturday",`, ``),
			`weekly[0].weekday: "" is not a day of the week: write it like saturday`},
		{"a time of day that is none", weekly(`02:00`, `2:00`),
			`weekly[0].time: "2:00" is not a time of day: write it like "02:00"`},
		{"the end of a day as a time", weekly(`02:00`, `24:00`),
			`weekly[0].time: "24:00" is not a time of day: write it like "02:00"`},
		{"a rule without a duration", weekly(`"duration":"3h",`, ``),
			`weekly[0].duration: "" is not a duration: write it like 3h or 2h30m`},
		{"an exception that is no date", weekly(`"id"`, `"except":["2026-12-26","26.12."],"id"`),
			`weekly[0].except[1]: "26.12." is not a date: write it like "2026-12-26"`},
		{"an exception on another day", weekly(`"id"`, `"except":["2026-12-25"],"id"`),
			`weekly[0].except[0]: 2026-12-25 is a Friday, but the rule is for Saturdays: correct the date or the weekday`},
		{"exceptions that are no list", weekly(`"id"`, `"except":"2026-12-26","id"`),
			`weekly[0].except: must be a list in square brackets, is "2026-12-26"`},
		{"a bound that is no date", weekly(`"id"`, `"from":"2026-02-30","id"`),
			`weekly[0].from: "2026-02-30" is not a date: write it like "2026-12-26"`},
		{"bounds the wrong way round", weekly(`"id"`, `"from":"2026-02-02","until":"2026-02-01","id"`),
			`weekly[0].until: 2026-02-01 is before from, 2026-02-02`},
		{"a window for an occurrence on another day",
			`{"windows": [{"id":"r@2026-01-11","start":"2026-01-11T02:00:00Z","duration":"3h","cancelled":true}],` + weekly("",
				"")[1:],
			`windows[0].id: "r@2026-01-11" is to stand for an occurrence of "r", but 2026-01-11 is a Sunday: correct the ` +
				`date or use another id`},
		{"a window for an occurrence on no day",
			`{"windows": [{"id":"r@11.1.","start":"2026-01-11T02:00:00Z","duration":"3h"}],` + weekly("", "")[1:],
			`windows[0].id: "r@11.1." is to stand for an occurrence of "r", but "11.1." is not a date: write it like ` +
				`"2026-12-26"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, err := maintenance.LoadCalendar(strings.NewReader(tc.file))
			want := tc.want
			if !strings.HasPrefix(want, "line ") && !strings.HasPrefix(want, "is ") && !strings.HasPrefix(want, "has ") {
				want = "line 1: " + want
			}
			require.EqualError(t, err, "maintenance: windows: "+want)
			require.Nil(t, c)
		})
	}
}

func TestLoadCalendarRejectsEndlessFile(t *testing.T) {
	t.Parallel()
	_, err := maintenance.LoadCalendar(endless{})
	require.EqualError(t, err, "maintenance: windows: is larger than the limit of 33554432 bytes: split it")
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte(" "), len(p))), nil }

func TestSaveCalendarGolden(t *testing.T) {
	t.Parallel()
	c, err := maintenance.LoadCalendarFile(filepath.Join("testdata", "windows.json"))
	require.NoError(t, err)
	want, err := os.ReadFile(filepath.Join("testdata", "windows_saved.json"))
	require.NoError(t, err)
	var got bytes.Buffer
	require.NoError(t, maintenance.SaveCalendar(&got, c))
	require.Equal(t, string(want), got.String())

	got.Reset()
	require.NoError(t, maintenance.SaveCalendar(&got, nil))
	require.JSONEq(t, `{"windows": []}`, got.String())
}

func TestSaveCalendarRejects(t *testing.T) {
	t.Parallel()
	w := windowAt(t, "a", "2026-01-10T02:00:00Z", "2026-01-10T05:00:00Z")
	long := w
	long.End = w.Start.AddDate(0, 0, 8)
	for _, tc := range []struct {
		name, want string
		calendar   *maintenance.Calendar
	}{
		{"margins", "maintenance: windows: a file has no margins: save the calendar without, and add them when it is loaded",
			calendarOf(t, []maintenance.Window{w}).WithMargins(0, time.Minute)},
		{"a long window",
			"maintenance: windows: windows[0].end: is too far from the start: 192h0m0s is more than 7 days: split the rule",
			calendarOf(t, []maintenance.Window{long})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var got bytes.Buffer
			require.EqualError(t, maintenance.SaveCalendar(&got, tc.calendar), tc.want)
			require.Zero(t, got.Len())
		})
	}
	full := errors.New("disk full")
	require.ErrorIs(t, maintenance.SaveCalendar(failing{full}, nil), full)
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestSaveCalendarRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom([]string{"", "UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"})
		second := rapid.Int64Range(-4e9, 4e9) // from 1843, when offsets had seconds
		var windows []maintenance.Window
		for _, id := range rapid.SliceOfDistinct(rapid.StringMatching(`[a-z"ä@]{1,3}`), rapid.ID).Draw(t, "ids") {
			w := maintenance.Window{ID: id, Title: rapid.String().Draw(t, "title"), Zone: zone.Draw(t, "zone")}
			w.Start = time.Unix(second.Draw(t, "start"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
			w.End = w.Start.Add(time.Duration(rapid.Int64Range(1, int64(7*24*time.Hour)).Draw(t, "length")))
			if rapid.Bool().Draw(t, "went") {
				w.ActualStart = w.Start.Add(time.Minute)
				w.ActualEnd = w.End.Add(time.Hour)
			}
			w.Cancelled = rapid.Bool().Draw(t, "cancelled")
			windows = append(windows, w)
		}
		rule := maintenance.Weekly{
			ID: "the rule", Weekday: time.Weekday(rapid.IntRange(0, 6).Draw(t, "weekday")), Time: "23:59",
			Duration: time.Duration(rapid.Int64Range(1, int64(7*24*time.Hour)).Draw(t, "duration")), Zone: "Asia/Kathmandu",
			From: "2026-01-01",
		}
		c, err := maintenance.NewCalendar(windows, rule)
		require.NoError(t, err)
		var buf bytes.Buffer
		require.NoError(t, maintenance.SaveCalendar(&buf, c))
		got, err := maintenance.LoadCalendar(&buf)
		require.NoError(t, err)
		require.Equal(t, c.Windows(), got.Windows())
		require.Equal(t, c.Weekly(), got.Weekly())
	})
}

func FuzzLoadCalendar(f *testing.F) {
	file, err := os.ReadFile(filepath.Join("testdata", "windows.json"))
	require.NoError(f, err)
	f.Add(file)
	f.Add([]byte(`{"windows": [{"id":"a","start":"0001-01-01T00:00:00+23:59","duration":"1ns","timezone":"Asia/Tokyo"}]}`))
	f.Add([]byte(
		`{"weekly": [{"id":"a","weekday":"sunday","time":"00:00","duration":"168h","timezone":"Pacific/Apia",` +
			`"from":"9999-12-31"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := maintenance.LoadCalendar(bytes.NewReader(data))
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			require.Nil(t, c)
			return
		}
		now := time.Date(2026, 1, 10, 2, 0, 0, 0, time.UTC)
		if w, ok := c.At(now); ok {
			require.True(t, w.Span().Contains(now), "%s", w)
		}
		if w, ok := c.Next(now); ok {
			require.False(t, w.Span().Start.Before(now), "%s", w)
		}
		if w, ok := c.Last(now); ok {
			require.False(t, w.Span().End.After(now), "%s", w)
		}
		var first, second bytes.Buffer
		if maintenance.SaveCalendar(&first, c) != nil {
			return // such as a time that is in the year 10000 in its zone
		}
		again, err := maintenance.LoadCalendar(bytes.NewReader(first.Bytes()))
		require.NoError(t, err)
		require.NoError(t, maintenance.SaveCalendar(&second, again))
		require.Equal(t, first.String(), second.String())
	})
}
