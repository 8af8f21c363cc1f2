package reports

import (
	"bytes"
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/statuspage"
)

// TestCalendars runs the cases in testdata/calendars: iCalendar files, Statuspage answers, windows files and orders,
// each with the report it comes from. expected.txt has "key: value" lines, then "expect:" and what is right:
//
//	2026-11-21T02:00:00Z 2026-11-21T05:00:00Z [cancelled] [open]   a window
//	warning [text]    at least one warning with that text; without such a line there may be none
//	warning? [text]   warnings are allowed
//	error [text]      the input is refused
//	text WORDS        an order
//
// "or:" begins another right answer.
func TestCalendars(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/calendars/*/expected.txt")
	require.NoError(t, err)
	require.Len(t, files, 130)
	for _, file := range files {
		c := loadCalendarCase(t, filepath.Dir(file))
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			got := c.run(t)
			require.Less(t, time.Since(began), 20*time.Second)
			passes := slices.ContainsFunc(c.want, func(want []string) bool { return got.matches(want) })
			require.True(t, passes, "fault: %s\nright: %q\ngot: %q\nwarnings: %q\nerror: %v",
				c.key("fault"), c.want, got.windows, got.warnings, got.err)
		})
	}
}

type calendarCase struct {
	name, dir string
	keys      map[string][]string
	want      [][]string // each of them is right
}

func loadCalendarCase(t *testing.T, dir string) *calendarCase {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "expected.txt"))
	require.NoError(t, err)
	c := &calendarCase{name: filepath.Base(dir), dir: dir, keys: map[string][]string{}}
	for line := range strings.Lines(string(data)) {
		switch line = strings.TrimSpace(line); {
		case line == "":
		case line == "expect:" || line == "or:":
			c.want = append(c.want, nil)
		case c.want != nil:
			c.want[len(c.want)-1] = append(c.want[len(c.want)-1], line)
		default:
			key, value, _ := strings.Cut(line, ":")
			c.keys[key] = append(c.keys[key], strings.TrimSpace(value))
		}
	}
	require.NotEmpty(t, c.want)
	return c
}

func (c *calendarCase) key(name string) string { return strings.Join(c.keys[name], "\n") }

func (c *calendarCase) run(t *testing.T) *calendarResult {
	t.Helper()
	switch c.key("kind") {
	case "ical":
		return c.ical(t)
	case "statuspage":
		return c.statuspage(t)
	case "windows":
		calendar, err := maintenance.LoadCalendarFile(filepath.Join(c.dir, "input.json"))
		if err != nil {
			return &calendarResult{err: err}
		}
		from, to := c.span(t)
		return c.windows(calendar.Overlapping(from, to), nil)
	case "order":
		return c.order(t)
	default:
		require.Fail(t, "unknown kind")
		return nil
	}
}

func (c *calendarCase) ical(t *testing.T) *calendarResult {
	t.Helper()
	opts := []ical.Option{ical.WithMaxTries(1)}
	for _, option := range c.keys["option"] {
		switch key, value, _ := strings.Cut(option, "="); key {
		case "floating":
			opts = append(opts, ical.WithFloatingZone(value))
		case "zone":
			name, iana, _ := strings.Cut(value, "=>")
			opts = append(opts, ical.WithZoneName(name, iana))
		case "summary":
			opts = append(opts, ical.WithSummary(value))
		default:
			require.Fail(t, "unknown option", option)
		}
	}
	var source maintenance.WindowSource
	var err error
	if c.key("serve") != "" {
		source, err = ical.New(c.serve(t)+"/cal.ics", opts...)
	} else {
		source, err = ical.Parse(bytes.NewReader(c.calendar(t)), "input.ics", opts...)
	}
	if err != nil {
		return &calendarResult{err: err}
	}
	from, to := c.span(t)
	return c.windows(source.Windows(t.Context(), from, to))
}

// calendar reads the input, or makes that of the one case that is too large to be kept.
func (c *calendarCase) calendar(t *testing.T) []byte {
	t.Helper()
	if c.name != "r17-huge" {
		data, err := os.ReadFile(filepath.Join(c.dir, "input.ics"))
		require.NoError(t, err)
		return data
	}
	const head = "BEGIN:VEVENT\r\nUID:%s\r\nDTSTAMP:20261001T080000Z\r\nSUMMARY:Connect maintenance\r\n"
	text := "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//bugs-a//EN\r\n"
	var events strings.Builder
	for i := range 9000 {
		fmt.Fprintf(&events, head+"DTSTART;TZID=Europe/Berlin:2025%02d%02dT020000\r\nDURATION:PT1H\r\nEND:VEVENT\r\n",
			fmt.Sprint("e", i), 1+i%12, 1+i%28)
	}
	fmt.Fprintf(&events, head+"DTSTART:20261121T020000Z\r\nDTEND:20261121T050000Z\r\nEND:VEVENT\r\n", "in")
	return []byte(text + events.String() + "END:VCALENDAR\r\n")
}

func (c *calendarCase) statuspage(t *testing.T) *calendarResult {
	t.Helper()
	opts := []statuspage.Option{statuspage.WithMaxTries(1)}
	for _, option := range c.keys["option"] {
		component, found := strings.CutPrefix(option, "component=")
		require.True(t, found, "unknown option %s", option)
		opts = append(opts, statuspage.WithComponents(component))
	}
	page, err := statuspage.New(c.serve(t)+c.key("path"), opts...)
	if err != nil {
		return &calendarResult{err: err}
	}
	from, to := c.span(t)
	return c.windows(page.Windows(t.Context(), from, to))
}

func (c *calendarCase) order(t *testing.T) *calendarResult {
	t.Helper()
	client, err := ordermanager.New(c.serve(t), ordermanager.Token("t"))
	require.NoError(t, err)
	o, err := client.Order(t.Context(), cmp.Or(c.key("order"), "1"))
	if err != nil {
		return &calendarResult{err: err}
	}
	text := fmt.Sprintf("text id=%s total=%s placed=%s", o.ID, o.Total, o.PlacedAt.UTC().Format(time.RFC3339))
	return &calendarResult{windows: []string{text}}
}

// serve starts a server that answers as the serve lines say: "PATH STATUS FILE [Header=Value]...".
func (c *calendarCase) serve(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, line := range c.keys["serve"] {
			fields := strings.Fields(line)
			if fields[0] != r.URL.Path && fields[0] != "*" {
				continue
			}
			var body []byte
			if fields[2] != "-" {
				body, _ = os.ReadFile(filepath.Join(c.dir, fields[2]))
			}
			for _, header := range fields[3:] {
				key, value, _ := strings.Cut(header, "=")
				w.Header().Set(key, value)
			}
			status, _ := strconv.Atoi(fields[1])
			w.WriteHeader(status)
			_, _ = w.Write(body)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (c *calendarCase) span(t *testing.T) (from, to time.Time) {
	t.Helper()
	start, end, _ := strings.Cut(cmp.Or(c.key("range"), "2026-01-01T00:00:00Z 2027-06-01T00:00:00Z"), " ")
	from, err := time.Parse(time.RFC3339, start)
	require.NoError(t, err)
	to, err = time.Parse(time.RFC3339, end)
	require.NoError(t, err)
	return from, to
}

func (c *calendarCase) windows(list []maintenance.Window, err error) *calendarResult {
	var r calendarResult
	for _, w := range list {
		span, end := w.Span(), "open"
		if !span.End.IsZero() {
			end = span.End.UTC().Format(time.RFC3339)
		}
		line := span.Start.UTC().Format(time.RFC3339) + " " + end
		if w.Cancelled {
			line += " cancelled"
		}
		if c.key("ids") == "yes" {
			line += " id=" + w.ID
		}
		r.windows = append(r.windows, line)
	}
	warnings, failure := maintenance.SplitWarnings(err)
	for _, w := range warnings {
		r.warnings = append(r.warnings, w.Error())
	}
	r.err = failure
	return &r
}

type calendarResult struct {
	windows  []string
	warnings []string
	err      error
}

// matches reports whether the result is the wanted one, lines of windows in any order.
func (r *calendarResult) matches(want []string) bool {
	mayWarn := false
	var windows []string
	for _, line := range want {
		switch word, text, _ := strings.Cut(line, " "); word {
		case "error":
			return r.err != nil && strings.Contains(r.err.Error(), text)
		case "warning":
			mayWarn = true
			if !slices.ContainsFunc(r.warnings, func(w string) bool { return strings.Contains(w, text) }) {
				return false
			}
		case "warning?":
			mayWarn = true
		default:
			windows = append(windows, line)
		}
	}
	return r.err == nil && (mayWarn || len(r.warnings) == 0) &&
		slices.Equal(slices.Sorted(slices.Values(r.windows)), slices.Sorted(slices.Values(windows)))
}
