package statuspage_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/statuspage"
	"github.com/cloudblue-go/cloudblue/internal/testkit/clientkit"
)

var _ maintenance.WindowSource = (*statuspage.Source)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var golden = clientkit.Golden

const (
	pageURL = "https://status.example.com"
	allURL  = pageURL + "/api/v2/scheduled-maintenances.json"
)

// serve makes a transport of documents by their URLs.
func serve(documents map[string]string) *httpmock.MockTransport {
	mock := httpmock.NewMockTransport()
	for url, body := range documents {
		mock.RegisterResponder(http.MethodGet, url, httpmock.NewStringResponder(http.StatusOK, body))
	}
	return mock
}

func sourceOf(t testing.TB, transport http.RoundTripper, opts ...statuspage.Option) *statuspage.Source {
	t.Helper()
	opts = append([]statuspage.Option{
		statuspage.WithHTTPClient(&http.Client{Transport: transport}), statuspage.WithMaxTries(1),
	}, opts...)
	s, err := statuspage.New(pageURL, opts...)
	require.NoError(t, err)
	return s
}

var (
	from = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	to   = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
)

// item is a maintenance in JSON, of a few hours in January 2026, with more fields.
func item(id, more string) string {
	m := `{"id":"` + id + `","name":"Upgrade","status":"scheduled","scheduled_for":"2026-01-10T02:00:00.000Z",` +
		`"scheduled_until":"2026-01-10T05:00:00.000Z"`
	var fields, extra map[string]any
	_ = json.Unmarshal([]byte(m+"}"), &fields)
	_ = json.Unmarshal([]byte("{"+more+"}"), &extra)
	for key, value := range extra {
		fields[key] = value
	}
	data, _ := json.Marshal(fields)
	return string(data)
}

func page(maintenances ...string) string {
	return `{"page":{"id":"p1","time_zone":"Etc/UTC"},"scheduled_maintenances":[` + strings.Join(maintenances, ",") + `]}`
}

// ask asks a page with one document.
func ask(t testing.TB, body string, opts ...statuspage.Option) ([]maintenance.Window, []*maintenance.SourceWarning,
	error) {
	t.Helper()
	windows, err := sourceOf(t, serve(map[string]string{allURL: body}), opts...).Windows(t.Context(), from, to)
	warnings, failure := maintenance.SplitWarnings(err)
	return windows, warnings, failure
}

func ids(windows []maintenance.Window) []string {
	list := []string{}
	for _, w := range windows {
		list = append(list, w.ID)
	}
	return list
}

func TestWindowsOfEachStatus(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // in the year 2000, so that none has overrun for long
		windows, warnings, err := ask(t, golden(t, "scheduled-maintenances.json"))
		require.NoError(t, err)
		require.Empty(t, warnings)
		got, err := json.MarshalIndent(windows, "", "  ")
		require.NoError(t, err)
		require.Equal(t, strings.TrimSpace(golden(t, "windows.json")), string(got))
		for _, w := range windows {
			require.NoError(t, w.Validate())
		}
		after := time.Date(2026, 1, 10, 5, 0, 0, 0, time.UTC)
		states := map[string]maintenance.WindowState{}
		for _, w := range windows {
			states[w.ID] = w.State(after)
		}
		require.Equal(t, map[string]maintenance.WindowState{
			"m1": maintenance.Planned, "m2": maintenance.Overrun, "m3": maintenance.Overrun, "m4": maintenance.Finished,
			"m5": maintenance.Finished, "m6": maintenance.Finished, "m7": maintenance.Cancelled,
		}, states)
	})
}

func TestWindowsOfTheRange(t *testing.T) {
	t.Parallel()
	body := page(item("a", ""), item("b", `"status":"cancelled"`),
		item("open",
			`"status":"in_progress","scheduled_for":"2026-01-01T02:00:00Z","scheduled_until":"2026-01-01T03:00:00Z"`))
	source := sourceOf(t, serve(map[string]string{allURL: body}))
	for _, tc := range []struct {
		name, from, to string
		want           []string
	}{
		{"all of them", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", []string{"open", "a", "b"}},
		{"none that ends where the range begins", "2026-01-10T05:00:00Z", "2026-02-01T00:00:00Z", []string{"open"}},
		{"none that begins where the range ends", "2026-01-09T05:00:00Z", "2026-01-10T02:00:00Z", []string{"open"}},
		{"nothing in an empty range", "2026-01-10T03:00:00Z", "2026-01-10T03:00:00Z", []string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			begin, err := time.Parse(time.RFC3339, tc.from)
			require.NoError(t, err)
			end, err := time.Parse(time.RFC3339, tc.to)
			require.NoError(t, err)
			windows, _ := source.Windows(t.Context(), begin, end)
			require.Equal(t, tc.want, ids(windows))
		})
	}
}

func TestWindowsActualStart(t *testing.T) {
	t.Parallel()
	const created = `"created_at":"2026-01-05T09:00:00Z",`
	for _, tc := range []struct{ name, more, want string }{
		{"at the first update that says so", created +
			`"started_at":"2026-01-10T02:30:00Z","incident_updates":[{"status":"verifying",` +
			`"created_at":"2026-01-10T02:09:00Z"},{"status":"in_progress","display_at":"2026-01-10T02:04:00Z",` +
			`"created_at":"2026-01-10T02:05:00Z"}]`, "02:04"},
		{"at started_at", created + `"started_at":"2026-01-10T02:30:00Z"`, "02:30"},
		{"not at started_at if that is when it was announced", created + `"started_at":"2026-01-05T09:00:00.060Z"`, "02:00"},
		{"not at started_at if nobody knows when it was announced", `"started_at":"2026-01-05T09:00:00.060Z"`, "02:00"},
		{"as announced if nothing is said", ``, "02:00"},
		{"as announced if updates came later", `"updated_at":"2026-01-10T04:30:00Z"`, "02:00"},
		{"when the page knew, if that was before", `"updated_at":"2026-01-10T01:30:00Z"`, "01:30"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			windows, _, err := ask(t, page(item("a", strings.TrimSuffix(`"status":"in_progress",`+tc.more, ","))))
			require.NoError(t, err)
			require.Equal(t, tc.want, windows[0].ActualStart.Format("15:04"))
			require.Zero(t, windows[0].ActualEnd)
		})
	}
}

func TestWindowsOfOtherProducts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for status, want := range map[string]maintenance.WindowState{
			"maintenance_scheduled": maintenance.Finished, "maintenance_in_progress": maintenance.Overrun,
			"maintenance_complete": maintenance.Finished,
			"IN_PROGRESS":          maintenance.Overrun, "In Progress": maintenance.Overrun, "in-progress": maintenance.Overrun,
			"INPROGRESS": maintenance.Overrun, "Verifying": maintenance.Overrun,
			"Complete": maintenance.Finished, "canceled": maintenance.Cancelled, "postponed": maintenance.Finished,
			"": maintenance.Finished,
		} {
			windows, warnings, err := ask(t, page(item("a", `"status":"`+status+`"`)))
			require.NoError(t, err)
			require.Equal(t, want, windows[0].State(to), status)
			if status == "postponed" || status == "" {
				require.Len(t, warnings, 1)
				require.EqualError(t, warnings[0],
					`maintenance: windows of https://status.example.com: uncertain: maintenance "a": its status "`+status+
						`" is unknown: it counts as scheduled`)
			} else {
				require.Empty(t, warnings, status)
			}
		}
	})
}

func TestNullListsAreEmpty(t *testing.T) {
	t.Parallel()
	windows, warnings, err := ask(t, `{"page":null,"scheduled_maintenances":null}`)
	require.NoError(t, err)
	require.Empty(t, windows)
	require.Empty(t, warnings)
	windows, warnings, err = ask(t, page(item("a", `"components":null,"incident_updates":null`)))
	require.NoError(t, err)
	require.Len(t, windows, 1)
	require.Empty(t, warnings)
	_, _, err = ask(t, `{"incidents":null}`)
	require.ErrorContains(t, err, "it has no scheduled_maintenances")
}

func TestMaintenanceListedTwice(t *testing.T) {
	t.Parallel()
	later := `"scheduled_for":"2026-01-10T03:00:00Z"`
	updated := func(day string) string { return `,"updated_at":"2026-01-` + day + `T00:00:00Z"` }
	for _, tc := range []struct{ name, first, second, start, warns string }{
		{"the second updated later", updated("01")[1:], later + updated("02"), "03:00", ""},
		{"the first updated later", updated("02")[1:], later + updated("01"), "02:00", ""},
		{"both updated at once", updated("01")[1:], later + updated("01"), "02:00",
			"the page lists it twice, with other times: the first are used"},
		{"both the same", "", "", "02:00", ""},
	} {
		windows, warnings, err := ask(t, page(item("a", tc.first), item("a", tc.second)))
		require.NoError(t, err)
		require.Len(t, windows, 1, tc.name)
		require.Equal(t, tc.start, windows[0].Start.Format("15:04"), tc.name)
		if tc.warns == "" {
			require.Empty(t, warnings)
			continue
		}
		require.Len(t, warnings, 1)
		require.ErrorIs(t, warnings[0], maintenance.ErrUncertain)
		require.ErrorContains(t, warnings[0], tc.warns)
	}
}

func TestMaintenanceWithoutAnEnd(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, more, until, warns string }{
		{"in progress", `"status":"in_progress","scheduled_until":null`, "",
			"it has no scheduled_until after its start: it is open until it is completed"},
		{"in progress for long", `"status":"in_progress","scheduled_until":null,"updated_at":"2026-02-10T02:00:00Z"`, "",
			"it has no scheduled_until after its start"},
		{"in progress, with an end before its start",
			`"status":"Verifying","scheduled_until":"2026-01-01T02:00:00Z"`, "",
			"it has no scheduled_until after its start"},
		{"completed", `"status":"completed","scheduled_until":null,"resolved_at":"2026-01-10T04:00:00Z"`, "04:00", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { // in the year 2000
				windows, warnings, err := ask(t, page(item("a", tc.more)))
				require.NoError(t, err)
				require.Len(t, windows, 1)
				span := windows[0].Span()
				require.Equal(t, "2026-01-10T02:00:00Z", span.Start.Format(time.RFC3339))
				if tc.warns == "" {
					require.Empty(t, warnings)
					require.Equal(t, tc.until, span.End.Format("15:04"))
					return
				}
				require.Zero(t, span.End)
				require.Len(t, warnings, 1)
				require.ErrorIs(t, warnings[0], maintenance.ErrUncertain)
				require.ErrorContains(t, warnings[0], tc.warns)
			})
		})
	}
	for _, status := range []string{"scheduled", "completed", "cancelled"} {
		windows, warnings, err := ask(t, page(item("a", `"scheduled_until":null,"status":"`+status+`"`)))
		require.NoError(t, err)
		require.Empty(t, windows)
		require.Len(t, warnings, 1)
		require.ErrorContains(t, warnings[0], "it has no scheduled_until")
	}
}

func TestWithComponents(t *testing.T) {
	t.Parallel()
	maintenances := golden(t, "scheduled-maintenances.json")
	for _, tc := range []struct {
		name   string
		wanted []string
		want   []string
		warns  string
	}{
		{"by name, in any case", []string{" connect api "}, []string{"m7", "m6", "m5", "m2", "m1"}, ""},
		{"by id", []string{"c2"}, []string{"m7", "m6", "m5", "m4", "m3"}, ""},
		{"two", []string{"c2", "Connect API"}, []string{"m7", "m6", "m5", "m4", "m3", "m2", "m1"}, ""},
		{"a group is not counted", []string{"Connect"}, []string{"m7", "m6", "m5"},
			`"Connect" is a group: name its components: Connect API`},
		{"one that the page does not have", []string{"Conect API", "c2"}, []string{"m7", "m6", "m5", "m4", "m3"},
			`the page has no component "Conect API": it has Connect API, Portal`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				source := sourceOf(t, serve(map[string]string{allURL: maintenances,
					pageURL + "/api/v2/components.json": golden(t, "components.json")}),
					statuspage.WithComponents(tc.wanted...))
				windows, err := source.Windows(t.Context(), from, to)
				require.Equal(t, tc.want, ids(windows))
				if tc.warns == "" {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, maintenance.ErrIncomplete)
				require.EqualError(t, err, "maintenance: windows of https://status.example.com: windows may be missing: "+tc.warns)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		windows, warnings, err := ask(t, maintenances, statuspage.WithComponents("c1"))
		require.NoError(t, err)
		require.Len(t, windows, 5)
		require.ErrorIs(t, warnings[0], maintenance.ErrUncertain)
		require.ErrorContains(t, warnings[0], "the components of the page cannot be checked")
	})
}

// list is a full feed of n maintenances a day apart, the newest first.
func list(prefix string, n int, newest time.Time) []string {
	var all []string
	for i := range n {
		start := newest.AddDate(0, 0, -i)
		all = append(all, item(fmt.Sprint(prefix, i), fmt.Sprintf(`"scheduled_for":%q,"scheduled_until":%q`,
			start.Format(time.RFC3339), start.Add(time.Hour).Format(time.RFC3339))))
	}
	return all
}

func TestFullFeedWarnsOfIncompleteTime(t *testing.T) {
	t.Parallel()
	newest := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	oldest := newest.AddDate(0, 0, -49)
	documents := map[string]string{
		allURL: page(list("m", 50, newest)...),
		pageURL + "/api/v2/scheduled-maintenances/active.json": page(item("m3",
			`"status":"in_progress","updated_at":"2026-05-29T00:00:00Z"`)),
		pageURL + "/api/v2/scheduled-maintenances/upcoming.json": page(append(list("u", 3, newest.AddDate(0, 6, 0)),
			`{"id":"bad"}`)...),
	}
	source := sourceOf(t, serve(documents))
	windows, err := source.Windows(t.Context(), from, to)
	require.Len(t, windows, 53, "the other feeds have more, and one that is newer")
	warnings, failure := maintenance.SplitWarnings(err)
	require.NoError(t, failure)
	require.EqualError(t, warnings[0], "maintenance: windows of https://status.example.com: windows may be missing: "+
		"the page lists only its latest 50 maintenances: those before 2026-04-13T00:00:00Z may be missing")
	require.Equal(t, maintenance.Span{End: oldest}, warnings[0].Span)
	require.Equal(t, "bad", warnings[1].WindowID)

	windows, err = source.Windows(t.Context(), oldest, to)
	require.Len(t, windows, 53)
	warnings, _ = maintenance.SplitWarnings(err)
	require.Equal(t, "bad", warnings[0].WindowID, "a range that begins with the oldest is complete")

	_, warnings, err = ask(t, page(list("m", 49, newest)...))
	require.NoError(t, err)
	require.Empty(t, warnings)
	_, warnings, err = ask(t, page(list("m", 7, newest)...), statuspage.WithFeedLimit(7))
	require.NoError(t, err)
	require.Len(t, warnings, 3)
	require.ErrorContains(t, warnings[0], "the feed is full with 7 maintenances, and the others cannot be read")
}

func TestWindowsUseETag(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mock := httpmock.NewMockTransport()
		var asked []string
		body, etag := page(item("a", "")), `W/"1"`
		mock.RegisterResponder(http.MethodGet, allURL, func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.Header.Get("If-None-Match"))
			resp := httpmock.NewStringResponse(http.StatusOK, body)
			if r.Header.Get("If-None-Match") == etag {
				resp = httpmock.NewStringResponse(http.StatusNotModified, "")
				resp.Header.Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
			} else {
				resp.Header.Set("ETag", etag)
			}
			return resp, nil
		})
		source := sourceOf(t, mock)
		for i, want := range []string{"a", "a", "a2"} {
			if i == 2 {
				body, etag = page(item("a2", "")), `W/"2"`
			}
			windows, err := source.Windows(t.Context(), from, to)
			require.Equal(t, []string{want}, ids(windows))
			require.Equal(t, i == 1, err != nil, "the clock is looked at even when nothing has changed")
		}
		require.Equal(t, []string{"", `W/"1"`, `W/"1"`}, asked)

		mock.RegisterResponder(http.MethodGet, allURL, httpmock.NewStringResponder(http.StatusNotModified, ""))
		_, err := sourceOf(t, mock).Windows(t.Context(), from, to)
		require.ErrorContains(t, err, "304", "nobody had asked for that")
	})
}

func TestClockDifferenceIsAWarning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			off  time.Duration
			age  string
			opts []statuspage.Option
			want string
		}{
			{off: time.Hour,
				want: "the clock of the page is 1h0m0s ahead of the local one: check which is right, since windows are compared " +
					"with the local one"},
			{off: -time.Hour, want: "the clock of the page is 1h0m0s behind the local one"},
			{off: -time.Hour, age: "3600"},
			{age: "9223372037"}, // more seconds than a time.Duration has
			{off: 2 * time.Minute},
			{off: 2 * time.Minute, opts: []statuspage.Option{statuspage.WithMaxClockSkew(time.Minute)}, want: "2m0s ahead"},
		} {
			mock := httpmock.NewMockTransport()
			resp := httpmock.NewStringResponse(http.StatusOK, page(item("a", "")))
			resp.Header.Set("Date", time.Now().Add(tc.off).UTC().Format(http.TimeFormat))
			resp.Header.Set("Age", tc.age)
			mock.RegisterResponder(http.MethodGet, allURL, httpmock.ResponderFromResponse(resp))
			windows, err := sourceOf(t, mock, tc.opts...).Windows(t.Context(), from, to)
			require.Len(t, windows, 1)
			if tc.want == "" {
				require.NoError(t, err)
				continue
			}
			require.ErrorIs(t, err, maintenance.ErrUncertain)
			require.ErrorContains(t, err, tc.want)
		}
	})
}

func TestBadMaintenanceIsLeftOut(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, bad, want string }{
		{"40 days", item("bad", `"scheduled_until":"2026-02-19T02:00:00Z"`),
			`maintenance "bad" is left out: it is announced from 2026-01-10T02:00:00Z to 2026-02-19T02:00:00Z, longer than ` +
				`168h0m0s: if that is right, raise WithMaxDuration`},
		{"an end before the start", item("bad", `"scheduled_until":"2026-01-10T01:00:00Z"`),
			`ends at 2026-01-10T01:00:00Z, which is not after its start at 2026-01-10T02:00:00Z`},
		{"no start", item("bad", `"scheduled_for":null`), `maintenance "bad" is left out: it has no scheduled_for`},
		{"no end", item("bad", `"scheduled_until":null`), `it has no scheduled_until`},
		{"a start that is no time", item("bad", `"scheduled_for":"soon"`),
			`scheduled_for must be a time such as 2026-11-01T10:00:00Z, not "soon"`},
		{"components that are none", item("bad", `"components":"all"`), `components must be a list, not "all"`},
		{"a group that is no truth", item("bad", `"components":[{"group":"no"}]`),
			`components [0] group must be true or false, not "no"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			windows, warnings, err := ask(t, page(item("good", ""), tc.bad))
			require.NoError(t, err)
			require.Equal(t, []string{"good"}, ids(windows))
			require.Len(t, warnings, 1)
			require.ErrorIs(t, warnings[0], maintenance.ErrIncomplete)
			require.ErrorContains(t, warnings[0], tc.want)
			require.Equal(t, "bad", warnings[0].WindowID)
			require.NotContains(t, warnings[0].Error(), "\n")
		})
	}
	for _, odd := range []string{"1", "null", `{"name":"Upgrade"}`, `{"id":{}}`} {
		windows, warnings, err := ask(t, page(item("good", ""), odd))
		require.NoError(t, err)
		require.Len(t, windows, 1)
		require.ErrorIs(t, warnings[0], maintenance.ErrIncomplete, odd)
	}
	windows, warnings, err := ask(t, page(item("long", `"scheduled_until":"2026-02-19T02:00:00Z"`)),
		statuspage.WithMaxDuration(60*24*time.Hour))
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Len(t, windows, 1)
}

func TestOddMaintenanceIsAWarning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)))
		for _, tc := range []struct{ name, more, want, really string }{
			{"updates that cannot be read", `"incident_updates":[{"created_at":"noon"}]`,
				"its actual start is unknown: incident_updates [0]: created_at must be a time", " to "},
			{"updates that are none", `"incident_updates":{}`, "incident_updates must be a list, not {}", " to "},
			{"an update that is none", `"incident_updates":[1]`, "incident_updates [0]: it is not a JSON object", " to "},
			{"it ended before it began",
				`"status":"completed","resolved_at":"2026-01-10T02:00:00Z","incident_updates":[{"status":"in_progress",` +
					`"created_at":"2026-01-10T02:05:00Z"}]`,
				"it ended at 2026-01-10T02:00:00Z, before it started: the announced times are used", " to "},
			{"closed weeks later", `"status":"completed","resolved_at":"2026-01-30T02:00:00Z"`,
				"it lasted from 2026-01-10T02:00:00Z to 2026-01-30T02:00:00Z: was it closed too late?", " to 2026-01-30T02:00"},
			{"never closed", `"status":"in_progress"`,
				"it is in progress since 2026-01-10T02:00:00Z: was it not closed?", "2026-01-10T02:00 to "},
		} {
			windows, warnings, err := ask(t, page(item("a", tc.more)))
			require.NoError(t, err)
			require.Len(t, windows, 1)
			require.Len(t, warnings, 1, tc.name)
			require.ErrorIs(t, warnings[0], maintenance.ErrUncertain)
			require.ErrorContains(t, warnings[0], tc.want)
			require.Equal(t, "a", warnings[0].WindowID)
			require.Equal(t, tc.really, moment(windows[0].ActualStart)+" to "+moment(windows[0].ActualEnd), tc.name)
		}
	})
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02T15:04")
}

func TestUnknownZoneIsAWarning(t *testing.T) {
	t.Parallel()
	windows, warnings, err := ask(t, strings.Replace(page(item("a", "")), "Etc/UTC", "Mars/Olympus", 1))
	require.NoError(t, err)
	require.Len(t, windows, 1)
	require.Empty(t, windows[0].Zone)
	require.EqualError(t, warnings[0],
		`maintenance: windows of https://status.example.com: uncertain: the time zone "Mars/Olympus" of the page is unknown: `+
			`times are shown in UTC`)
	for _, page := range []string{`{"scheduled_maintenances":[]}`, `{"page":1,"scheduled_maintenances":[]}`} {
		windows, warnings, err = ask(t, page)
		require.NoError(t, err)
		require.Empty(t, warnings)
		require.Empty(t, windows)
	}
}

// endless is a body of any length that costs nothing to make.
type endless struct{ left int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), e.left)
	e.left -= n
	copy(p, bytes.Repeat([]byte("["), int(n)))
	return int(n), nil
}

func (e *endless) Close() error { return nil }

func TestMultiUsesLastGoodFeed(t *testing.T) {
	t.Parallel()
	answer := func(status int, kind, body string) func() *http.Response {
		return func() *http.Response {
			resp := httpmock.NewStringResponse(status, body)
			resp.Header.Set("Content-Type", kind)
			return resp
		}
	}
	huge := &endless{left: 200 << 20}
	for _, tc := range []struct {
		name string
		bad  func() *http.Response
		want string
	}{
		{"HTML with a good status", answer(200, "text/html", "<html><h1>Sorry</h1>\n</html>"),
			"the answer is not JSON but text/html"},
		{"a gateway's error", answer(502, "text/html", "<html>Bad Gateway</html>"), "502"},
		{"nothing", answer(200, "application/json", ""), "the answer is empty"},
		{"half an answer", answer(200, "application/json", `{"scheduled_maintenances":[{`), "the answer is not valid JSON"},
		{"JSON of something else", answer(200, "application/json", `{"incidents":[]}`),
			"it has no scheduled_maintenances: is this the address of a page with the Statuspage API v2?"},
		{"a list", answer(200, "application/json", `[]`), "it is not a JSON object"},
		{"maintenances that are no list", answer(200, "application/json", `{"scheduled_maintenances":{}}`),
			"scheduled_maintenances must be a list, not {}"},
		{"another address", answer(301, "text/html", ""), "301"},
		{"200 MB", func() *http.Response {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: huge, ContentLength: -1}
		}, "the answer is longer than 8388608 bytes"},
		{"40 days", answer(200, "application/json", page(item("a", `"scheduled_until":"2026-02-19T02:00:00Z"`))),
			"longer than 168h0m0s"},
		{"an end before the start", answer(200, "application/json",
			page(item("a", `"scheduled_until":"2026-01-09T02:00:00Z"`))), "not after its start"},
		{"a zone that does not exist", answer(200, "application/json",
			strings.Replace(page(item("a", "")), "Etc/UTC", "Mars", 1)), `zone "Mars" of the page is unknown`},
		{"a clock that is off", func() *http.Response {
			resp := httpmock.NewStringResponse(http.StatusOK, page(item("a", "")))
			resp.Header.Set("Date", time.Now().Add(90*time.Minute).UTC().Format(http.TimeFormat))
			return resp
		}, "ahead of the local one"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			mock := httpmock.NewMockTransport()
			answers := []func() *http.Response{answer(200, "application/json", page(item("a", ""))), tc.bad}
			mock.RegisterResponder(http.MethodGet, allURL, func(*http.Request) (*http.Response, error) {
				resp := answers[0]()
				answers = answers[1:]
				return resp, nil
			})
			multi, err := maintenance.NewMulti([]maintenance.NamedSource{{Name: "page", Source: sourceOf(t, mock)}},
				maintenance.WithCacheDir(t.TempDir()))
			require.NoError(t, err)
			good, err := multi.Windows(t.Context(), from, to)
			require.NoError(t, err)
			windows, err := multi.Windows(t.Context(), from, to)
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "\n")
			require.Equal(t, "page/a", windows[0].ID)
			require.Equal(t, good[0].End, windows[0].End)
			_, failure := maintenance.SplitWarnings(err)
			require.NoError(t, failure)
		})
	}
	t.Cleanup(func() { require.Greater(t, huge.left, int64(190<<20), "the rest is not even read") })
}

func TestMultiKeepsHistoryOfFullFeed(t *testing.T) {
	t.Parallel()
	newest := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	body := page(list("m", 5, newest)...)
	mock := httpmock.NewMockTransport()
	mock.RegisterResponder(http.MethodGet, "=~.*", func(r *http.Request) (*http.Response, error) {
		if r.URL.String() == allURL {
			return httpmock.NewStringResponse(http.StatusOK, body), nil
		}
		return httpmock.NewStringResponse(http.StatusOK, page()), nil
	})
	multi, err := maintenance.NewMulti([]maintenance.NamedSource{{Name: "page",
		Source: sourceOf(t, mock, statuspage.WithFeedLimit(5))}})
	require.NoError(t, err)
	_, err = multi.Windows(t.Context(), from, to)
	require.ErrorIs(t, err, maintenance.ErrIncomplete)
	body = page(append(list("n", 4, newest.AddDate(0, 0, 4)), list("m", 1, newest)...)...)
	windows, err := multi.Windows(t.Context(), from, to)
	require.ErrorIs(t, err, maintenance.ErrIncomplete)
	require.Equal(t, []string{"page/m4", "page/m3", "page/m2", "page/m1", "page/m0", "page/n3", "page/n2", "page/n1",
		"page/n0"}, ids(windows))
}

func TestSourceConcurrentUse(t *testing.T) {
	t.Parallel()
	source := sourceOf(t, serve(map[string]string{allURL: golden(t, "scheduled-maintenances.json")}))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if windows, _ := source.Windows(t.Context(), from, to); len(windows) != 7 {
				t.Error("windows are missing")
			}
		})
	}
	wg.Wait()
}

func TestNewRejects(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		want, url string
		opt       statuspage.Option
	}{
		{"statuspage: ", "status.example.com", nil},
		{"statuspage: ", "https://user:secret@status.example.com", nil},
		{"statuspage: WithComponents: name at least one component", pageURL, statuspage.WithComponents()},
		{"statuspage: WithComponents: a name is empty", pageURL, statuspage.WithComponents("a", " ")},
		{"statuspage: WithMaxDuration: 0s is not positive", pageURL, statuspage.WithMaxDuration(0)},
		{"statuspage: WithMaxClockSkew: 0s is not positive", pageURL, statuspage.WithMaxClockSkew(0)},
		{"statuspage: WithFeedLimit: 0 is not positive", pageURL, statuspage.WithFeedLimit(0)},
		{"statuspage: WithHTTPClient: the client is nil", pageURL, statuspage.WithHTTPClient(nil)},
		{"statuspage: WithLogger: the logger is nil", pageURL, statuspage.WithLogger(nil)},
		{"statuspage: WithMaxTries: 0 is not between 1 and 20", pageURL, statuspage.WithMaxTries(0)},
		{"statuspage: WithMaxBody: 0 is not positive", pageURL, statuspage.WithMaxBody(0)},
	} {
		var opts []statuspage.Option
		if tc.opt != nil {
			opts = append(opts, tc.opt)
		}
		_, err := statuspage.New(tc.url, opts...)
		require.ErrorContains(t, err, tc.want)
		require.NotContains(t, err.Error(), "secret")
	}
	for _, url := range []string{pageURL, pageURL + "/", pageURL + "/api/v2", pageURL + "/api/v2/"} {
		mock := serve(map[string]string{allURL: page(item("a", ""))})
		s, err := statuspage.New(url, statuspage.WithHTTPClient(&http.Client{Transport: mock}))
		require.NoError(t, err)
		windows, err := s.Windows(t.Context(), from, to)
		require.NoError(t, err)
		require.Equal(t, pageURL, windows[0].Source)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(golden(f, "scheduled-maintenances.json"))
	f.Add(page(item("a", `"status":"completed","resolved_at":"2026-01-10T02:00:00Z"`)))
	f.Add(page(`{"id":{}}`))
	f.Add(`{"scheduled_maintenances":null}`)
	f.Add(page(item("a", `"status":"In Progress","scheduled_until":null`)))
	f.Fuzz(func(t *testing.T, text string) {
		windows, warnings, err := statuspage.WindowsOf(json.RawMessage(text))
		if err != nil {
			require.Nil(t, windows)
			return
		}
		for _, w := range windows {
			require.NoError(t, w.Validate())
		}
		for _, w := range warnings {
			require.NotContains(t, w.Error(), "\n")
		}
	})
}
