package ical_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
)

var (
	_ maintenance.WindowSource = (*ical.Source)(nil)
	_ maintenance.WindowSource = (*ical.Schedule)(nil)
)

const (
	secret  = "private-0123456789abcdef"
	address = "https://calendar.example.com/ical/me%40example.com/" + secret + "/basic.ics"
)

// served makes a source whose calendar the responder serves.
func served(t *testing.T, address string, responder httpmock.Responder, opts ...ical.Option) *ical.Source {
	t.Helper()
	transport := httpmock.NewMockTransport()
	transport.RegisterNoResponder(responder)
	source, err := ical.New(address, append(opts, ical.WithHTTPClient(&http.Client{Transport: transport}))...)
	require.NoError(t, err)
	return source
}

func one(uid string) string {
	return calendar("UID:" + uid + "\nDTSTART:20260110T020000Z\nDURATION:PT1H")
}

func TestNewRequestsExactAddress(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ address, want, user string }{
		{address, address, ""},
		{strings.Replace(address, "https", "webcal", 1), address, ""},
		{"WEBCAL://calendar.example.com:8443/a%2Fb.ics?key=" + secret + "&x=%20y",
			"https://calendar.example.com:8443/a%2Fb.ics?key=" + secret + "&x=%20y", ""},
		{"https://ops:pass%20word@calendar.example.com/", "https://calendar.example.com", "ops"},
		{"http://localhost:8080", "http://localhost:8080", ""},
	} {
		var asked *http.Request
		source := served(t, tc.address, func(r *http.Request) (*http.Response, error) {
			asked = r
			return httpmock.NewStringResponse(http.StatusOK, one("a")), nil
		})
		windows, err := in2026(t, source)
		require.NoError(t, err)
		require.Equal(t, tc.want, asked.URL.String())
		require.Contains(t, asked.Header.Get("Accept"), "text/calendar")
		user, password, _ := asked.BasicAuth()
		require.Equal(t, tc.user, user)
		require.Equal(t, tc.user != "", password == "pass word")
		require.Len(t, windows, 1)
		require.Equal(t, strings.Replace(strings.Join(strings.SplitN(tc.want, "/", 4)[:3], "/"), "WEBCAL", "https", 1),
			windows[0].Source)
	}
}

func TestNewRejectsAddressWithoutShowingIt(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ address, want string }{
		{"", "ical: the address of the calendar cannot be read: it must look like https://host/path.ics"},
		{"calendar.example.com/" + secret,
			"ical: the address of the calendar cannot be read: it must look like https://host/path.ics"},
		{"https://calendar.example.com/%zz" +
			secret, "ical: the address of the calendar cannot be read: it must look like https://host/path.ics"},
		{"ftp://calendar.example.com/" + secret, "ical: the base URL must start with https:// or http://"},
	} {
		_, err := ical.New(tc.address)
		require.EqualError(t, err, tc.want)
	}
}

func TestWindowsUseETag(t *testing.T) {
	t.Parallel()
	var asked []string
	answer := func(status int, body, etag, modified string) *http.Response {
		r := httpmock.NewStringResponse(status, body)
		r.Header.Set("ETag", etag)
		r.Header.Set("Last-Modified", modified)
		return r
	}
	source := served(t, address, func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.Header.Get("If-None-Match")+" "+r.Header.Get("If-Modified-Since"))
		switch len(asked) {
		case 1:
			return answer(http.StatusOK, one("a"), `W/"1"`, "Sat, 10 Jan 2026 00:00:00 GMT"), nil
		case 3:
			return answer(http.StatusOK, one("b"), "", ""), nil
		case 4:
			return answer(http.StatusOK, one("c"), "", "Sun, 11 Jan 2026 00:00:00 GMT"), nil
		default:
			return answer(http.StatusNotModified, "", "", ""), nil
		}
	})
	for _, want := range []string{"a", "a", "b", "c", "c"} {
		windows, err := in2026(t, source)
		require.NoError(t, err)
		require.Equal(t, want, windows[0].ID)
	}
	require.Equal(t, []string{
		" ", `W/"1" Sat, 10 Jan 2026 00:00:00 GMT`, `W/"1" Sat, 10 Jan 2026 00:00:00 GMT`, " ",
		" Sun, 11 Jan 2026 00:00:00 GMT",
	}, asked)
}

func TestFailuresShowOnlyTheHost(t *testing.T) {
	t.Parallel()
	page := "<html><title>Not found</title>" + address + " " + secret + "</html>"
	for _, tc := range []struct {
		name, want string
		status     int
		responder  httpmock.Responder
	}{
		{"gone", "HTTP 404 Not Found: check the address: a private address stops working when it is reset", 404,
			httpmock.NewStringResponder(404, page)},
		{"not for us", "HTTP 403 Forbidden: the calendar is not public: use its private address", 403,
			httpmock.NewStringResponder(403, page)},
		{"down", "HTTP 502 Bad Gateway", 502, httpmock.NewStringResponder(502, page)},
		{"moved", "HTTP 302 Found: the calendar has moved to https://login.example.com: redirects are not followed, " +
			"use the address there", 302,
			httpmock.NewStringResponder(302, "").HeaderSet(http.Header{"Location": {"https://login.example.com/?from=" +
				secret}})},
		{"moved to nowhere", "HTTP 301 Moved Permanently: redirects are not followed: use the address of its target", 301,
			httpmock.NewStringResponder(301, "")},
		{"no answer", "connection refused", 0, httpmock.NewErrorResponder(errors.New("connection refused"))},
		{"a sign-in page", "is a web page, not a calendar: does the address require a login?", -1,
			httpmock.NewStringResponder(200, page)},
		{"JSON", "line 1: is not a calendar: one starts with BEGIN:VCALENDAR", -1,
			httpmock.NewStringResponder(200, `{"items": []}`)},
		{"nothing", "is empty: a calendar starts with BEGIN:VCALENDAR", -1, httpmock.NewStringResponder(200, "")},
		{"a part of it", "is truncated: the VCALENDAR of line 1 has no end", -1,
			httpmock.NewStringResponder(200, strings.TrimSuffix(one("a"), "END:VCALENDAR\n"))},
		{"304 that was not asked for", "HTTP 304 Not Modified", 304, httpmock.NewStringResponder(304, "")},
		{"too much of it", "the answer is longer than 1000 bytes", 200,
			httpmock.NewStringResponder(200, one(strings.Repeat("a", 1000)))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			good := false
			source := served(t, address, func(r *http.Request) (*http.Response, error) {
				if good {
					return httpmock.NewStringResponse(200, one("a")), nil
				}
				return tc.responder(r)
			}, ical.WithMaxTries(1), ical.WithMaxBody(1000))

			windows, err := in2026(t, source)
			require.Empty(t, windows)
			require.ErrorContains(t, err, "ical: https://calendar.example.com: ")
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), secret)
			require.NotContains(t, err.Error(), "\n")
			if tc.status >= 0 {
				failed, ok := errors.AsType[*ical.Error](err)
				require.True(t, ok)
				require.Equal(t, tc.status, failed.HTTPStatus)
			}

			good = true
			_, err = in2026(t, source)
			require.NoError(t, err)
			good = false
			windows, err = in2026(t, source)
			require.Len(t, windows, 1)
			require.ErrorIs(t, err, maintenance.ErrStale)
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), secret)
			_, failure := maintenance.SplitWarnings(err)
			require.NoError(t, failure)
		})
	}
}

// endless is a body of many lines.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, bytes.Repeat([]byte("X-JUNK:0123456789\r\n"), len(p)/19+1))
	e.read += int64(n)
	return n, nil
}

func (e *endless) Close() error { return nil }

func TestWithMaxBody(t *testing.T) {
	t.Parallel()
	body := &endless{}
	source := served(t, address, func(*http.Request) (*http.Response, error) {
		rest := io.LimitReader(body, 200<<20)
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{},
			Body: io.NopCloser(io.MultiReader(strings.NewReader("BEGIN:VCALENDAR\r\n"), rest))}, nil
	})
	_, err := in2026(t, source)
	require.ErrorContains(t, err, "the answer is longer than 8388608 bytes")
	require.Less(t, body.read, int64(10<<20))

	_, err = ical.Parse(io.LimitReader(&endless{}, 200<<20), "mail")
	require.EqualError(t, err, "ical: mail: is larger than 8388608 bytes: use a smaller calendar or raise WithMaxBody")
}

func TestWithTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := served(t, address, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, ical.WithTimeout(time.Minute), ical.WithMaxTries(1))
		began := time.Now()
		_, err := in2026(t, source)
		require.ErrorContains(t, err, "ical: https://calendar.example.com: no whole answer within 1m0s")
		require.Equal(t, time.Minute, time.Since(began))
	})
}

func TestNewFileRereadsChangedFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "maintenance.ics")
	source, err := ical.NewFile(path)
	require.NoError(t, err)
	_, err = in2026(t, source)
	require.ErrorIs(t, err, os.ErrNotExist)
	long := time.Now().Add(-time.Hour)
	write := func(text string, changed time.Time) {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		require.NoError(t, os.Chtimes(path, changed, changed))
	}
	ask := func(want string) error {
		windows, err := in2026(t, source)
		require.Len(t, windows, 1)
		require.Equal(t, want, windows[0].ID)
		return err
	}
	write(one("a"), long)
	require.NoError(t, ask("a"))
	write(one("b"), long)
	require.NoError(t, ask("a"), "neither time nor size has changed")
	write(one("b"), long.Add(time.Second))
	require.NoError(t, ask("b"))
	write("broken", long.Add(2*time.Second))
	require.ErrorIs(t, ask("b"), maintenance.ErrStale)
	write(one("c"), time.Now())
	require.NoError(t, ask("c"))
	write(one("d"), time.Now())
	require.NoError(t, ask("d"), "a fresh file is read even if its time is the same")
	require.NoError(t, os.Remove(path))
	require.ErrorIs(t, ask("d"), os.ErrNotExist)

	for path, want := range map[string]string{t.TempDir(): "is not a file", "": "ical: the path of the file is empty"} {
		source, err := ical.NewFile(path)
		if err == nil {
			_, err = in2026(t, source)
		}
		require.ErrorContains(t, err, want)
	}
}

func TestSourceConcurrentUse(t *testing.T) {
	t.Parallel()
	source, err := ical.NewFile("testdata/outlook.ics")
	require.NoError(t, err)
	want, err := in2026(t, source)
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got, err := in2026(t, source)
			if assert.NoError(t, err) {
				assert.Equal(t, want, got)
			}
		})
	}
	wg.Wait()
}

func TestOptionsRejectInvalidValues(t *testing.T) {
	t.Parallel()
	for want, opt := range map[string]ical.Option{
		`ical: WithFloatingZone: time zone "Mars" is unknown`:       ical.WithFloatingZone("Mars"),
		`ical: WithFloatingZone: time zone "Local" is not an IANA`:  ical.WithFloatingZone("Local"),
		`ical: WithFloatingZone: time zone "" is not an IANA name`:  ical.WithFloatingZone(""),
		`ical: WithZoneName: time zone "Mars" is unknown`:           ical.WithZoneName("x", "Mars"),
		"ical: WithFilter: the filter is nil":                       ical.WithFilter(nil),
		"ical: WithSummary: a text is empty":                        ical.WithSummary("a", " "),
		"ical: WithCategory: a name is empty":                       ical.WithCategory(),
		"ical: WithMaxBody: 0 is not positive":                      ical.WithMaxBody(0),
		"ical: WithMaxEvents: 0 is not between 1 and 1000000":       ical.WithMaxEvents(0),
		"ical: WithMaxOccurrences: -1 is not between 1 and 1000000": ical.WithMaxOccurrences(-1),
		"ical: WithHTTPClient: the client is nil":                   ical.WithHTTPClient(nil),
		"ical: WithTimeout: 0s is not positive":                     ical.WithTimeout(0),
		"ical: WithMaxTries: 21 is not between 1 and 20":            ical.WithMaxTries(21),
	} {
		_, err := ical.New(address, opt)
		require.ErrorContains(t, err, want)
		_, err = ical.NewFile("x", opt)
		require.ErrorContains(t, err, want)
		_, err = ical.Parse(strings.NewReader(one("a")), "x", opt)
		require.ErrorContains(t, err, want)
	}
	_, err := ical.Parse(strings.NewReader(one("a")), "")
	require.EqualError(t, err, "ical: the source is empty: pass a name or a path")
}

func TestHostileCalendarsAreLimited(t *testing.T) {
	t.Parallel()
	nested := "BEGIN:VCALENDAR\n" + strings.Repeat("BEGIN:A\n", 500_000)
	many := "BEGIN:VCALENDAR\n" + strings.Repeat("BEGIN:VEVENT\nEND:VEVENT\n", 10_001) + "END:VCALENDAR\n"
	params := calendar("UID:a\nDURATION:PT1H\nDTSTART" + strings.Repeat(";A=1", 100_000) + ":20260110T020000Z")
	var never []string
	for i := range 50 {
		never = append(never,
			fmt.Sprintf("UID:%d\nDURATION:PT1H\nDTSTART:20260201T020000Z\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", i))
	}
	var shared []string
	for i := range 4000 {
		id := time.Unix(int64(i*1000), 0).UTC().Format("20060102T150405Z")
		shared = append(shared, "UID:a\nDURATION:PT1H\nDTSTART:"+id, "UID:a\nRECURRENCE-ID:"+id+"\nSTATUS:CANCELLED")
	}
	for _, tc := range []struct{ name, text, want string }{
		{"one UID", calendar(shared...), "all of them are used"},
		{"components in one another", nested, "ical: test: line 17: components are nested more than 16 deep"},
		{"events", many, "has more than 10000 events: use a smaller calendar or raise WithMaxEvents"},
		{"parameters", params, "DTSTART has more than 2048 bytes of parameters"},
		{"rules that never have a day", calendar(never...), ""},
		{"lines", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\nDTSTART:20260110T020000Z\nDURATION:PT1H\n" +
			strings.Repeat("EXDATE:x\n", 200_000) + "END:VEVENT\nEND:VCALENDAR\n", "is not a time"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, err := ical.Parse(strings.NewReader(tc.text), "test")
			if err == nil {
				_, err = in2026(t, s)
			}
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
			require.Less(t, len(err.Error()), 500)
		})
	}
}

func TestMemoryIsLimited(t *testing.T) { // alone: others would be counted
	text := []byte("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\nDTSTART:20260110T020000Z\nDURATION:PT1H\n" +
		strings.Repeat("RDATE:20260110T020000Z\n", 100_000) + "END:VEVENT\nEND:VCALENDAR\n")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s, err := ical.Parse(bytes.NewReader(text), "test")
	require.NoError(t, err)
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(10*len(text)))
	windows, err := in2026(t, s)
	require.NoError(t, err)
	require.Len(t, windows, 1)
}

func TestWarningsAreLimited(t *testing.T) {
	t.Parallel()
	text := "BEGIN:VCALENDAR\n" + strings.Repeat("BEGIN:VEVENT\nEND:VEVENT\n", 100) + "END:VCALENDAR\n"
	_, err := in2026(t, parse(t, text))
	warnings, failure := maintenance.SplitWarnings(err)
	require.NoError(t, failure)
	require.Len(t, warnings, 51)
	require.ErrorContains(t, warnings[50], "and 50 more warnings")
}
