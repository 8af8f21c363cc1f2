package ical_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func instant(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return at
}

// shown is a window on a line, as the tests write it.
func shown(w maintenance.Window) string {
	text := w.Start.Format("2006-01-02T15:04:05Z") + " " + w.End.Sub(w.Start).String() + " " + w.ID + " " + w.Title
	if w.Zone != "" {
		text += " [" + w.Zone + "]"
	}
	if w.Cancelled {
		text += " cancelled"
	}
	return text
}

func lines(windows []maintenance.Window) []string {
	all := make([]string, 0, len(windows))
	for _, w := range windows {
		all = append(all, shown(w))
	}
	return all
}

// in2026 are the windows of the year.
func in2026(t testing.TB, s maintenance.WindowSource) ([]maintenance.Window, error) {
	t.Helper()
	return s.Windows(t.Context(), instant(t, "2026-01-01T00:00:00Z"), instant(t, "2027-01-01T00:00:00Z"))
}

// calendar is one with the lines of some events.
func calendar(events ...string) string {
	text := "BEGIN:VCALENDAR\nVERSION:2.0\n"
	for _, e := range events {
		text += "BEGIN:VEVENT\n" + e + "\nEND:VEVENT\n"
	}
	return text + "END:VCALENDAR\n"
}

// parse reads a calendar in which all is well, but perhaps for single events.
func parse(t testing.TB, text string, opts ...ical.Option) *ical.Schedule {
	t.Helper()
	s, err := ical.Parse(strings.NewReader(text), "test", opts...)
	require.NoError(t, err)
	return s
}

func TestExportedCalendars(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		file string
		opts []ical.Option
		want []string
	}{
		{"google.ics", []ical.Option{ical.WithFloatingZone("Europe/Berlin")}, []string{
			"2026-01-10T01:00:00Z 3h0m0s 4v2k9q1s7example0001@google.com Connect upgrade, January",
			"2026-03-07T01:00:00Z 3h0m0s 4v2k9q1s7example0002@google.com@20260307T010000Z Connect maintenance [Europe/Berlin]",
			"2026-03-21T01:00:00Z 3h0m0s 4v2k9q1s7example0002@google.com@20260321T010000Z Connect maintenance [Europe/Berlin]",
			// Over the night in which clocks go forward: 01:30 to 04:30 are two hours.
			"2026-03-29T00:30:00Z 2h0m0s 4v2k9q1s7example0002@google.com@20260328T010000Z Connect maintenance (moved to " +
				"Sunday) [Europe/Berlin]",
			"2026-04-04T00:00:00Z 3h0m0s 4v2k9q1s7example0002@google.com@20260404T000000Z Connect maintenance [Europe/Berlin]",
			"2026-04-11T00:00:00Z 3h0m0s 4v2k9q1s7example0002@google.com@20260411T000000Z Connect maintenance " +
				"[Europe/Berlin] cancelled",
			"2026-04-18T00:00:00Z 3h0m0s 4v2k9q1s7example0002@google.com@20260418T000000Z Connect maintenance [Europe/Berlin]",
			"2026-04-30T22:00:00Z 48h0m0s 4v2k9q1s7example0003@google.com Move of the data centre [Europe/Berlin]",
		}},
		{"outlook.ics", []ical.Option{ical.WithSummary("wartung", "maintenance"), ical.WithCategory("maintenance")}, []string{
			"2026-01-15T01:00:00Z 3h0m0s 040000008200E00074C5B7101A82E00800000000EXAMPLE0000000000000000010000000@20260115T010000Z Wartung CloudBlue Connect",
			"2026-02-19T01:00:00Z 3h0m0s 040000008200E00074C5B7101A82E00800000000EXAMPLE0000000000000000010000000@20260219T010000Z Wartung CloudBlue Connect",
			"2026-03-20T01:00:00Z 3h0m0s 040000008200E00074C5B7101A82E00800000000EXAMPLE0000000000000000010000000@20260319T010000Z Wartung CloudBlue Connect",
			"2026-04-16T00:00:00Z 3h0m0s 040000008200E00074C5B7101A82E00800000000EXAMPLE0000000000000000010000000@20260416T000000Z Wartung CloudBlue Connect",
			"2026-05-21T00:00:00Z 3h0m0s 040000008200E00074C5B7101A82E00800000000EXAMPLE0000000000000000010000000@20260521T000000Z Wartung CloudBlue Connect",
			"2026-06-18T00:00:00Z 3h0m0s 040000008200E00074C5B7101A82E00800000000EXAMPLE0000000000000000010000000@20260618T000000Z Wartung CloudBlue Connect",
		}},
		{"apple.ics", []ical.Option{ical.WithFloatingZone("America/New_York")}, []string{
			// DTEND is as far from DTSTART on all days as on the first, on which clocks go forward.
			"2026-03-08T06:30:00Z 2h0m0s 5C2E7A30-0000-4000-8000-EXAMPLE00001@20260308T063000Z Connect maintenance " +
				"[America/New_York]",
			"2026-03-10T05:30:00Z 2h0m0s 5C2E7A30-0000-4000-8000-EXAMPLE00001@20260310T053000Z Connect maintenance " +
				"[America/New_York]",
			"2026-03-12T05:30:00Z 2h0m0s 5C2E7A30-0000-4000-8000-EXAMPLE00001@20260312T053000Z Connect maintenance " +
				"[America/New_York]",
			"2026-04-01T04:00:00Z 24h0m0s 5C2E7A30-0000-4000-8000-EXAMPLE00002@20260401 Read-only day [America/New_York]",
			"2026-04-29T04:00:00Z 24h0m0s 5C2E7A30-0000-4000-8000-EXAMPLE00002@20260429 Read-only day [America/New_York]",
			"2026-06-01T06:00:00Z 2h30m0s 5C2E7A30-0000-4000-8000-EXAMPLE00003 Floating maintenance [America/New_York]",
			"2026-07-02T02:00:00Z 4h0m0s 5C2E7A30-0000-4000-8000-EXAMPLE00004@20260702T020000Z Network work " +
				"[America/New_York] cancelled",
			"2026-07-09T02:00:00Z 6h0m0s 5C2E7A30-0000-4000-8000-EXAMPLE00004@20260709T020000Z Network work " +
				"[America/New_York] cancelled",
			"2026-07-16T02:00:00Z 3h0m0s 5C2E7A30-0000-4000-8000-EXAMPLE00004@20260716T020000Z Network work " +
				"[America/New_York] cancelled",
		}},
	} {
		t.Run(tc.file, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("testdata", tc.file)
			source, err := ical.NewFile(path, tc.opts...)
			require.NoError(t, err)
			windows, err := in2026(t, source)
			require.NoError(t, err)
			require.Equal(t, tc.want, lines(windows))
			for _, w := range windows {
				require.Equal(t, path, w.Source)
			}
			_, err = maintenance.NewCalendar(windows)
			require.NoError(t, err, "a calendar takes them as they are")

			data, err := os.ReadFile(path)
			require.NoError(t, err)
			for name, text := range map[string]string{
				"ends of lines as on Unix":        strings.ReplaceAll(string(data), "\r\n", "\n"),
				"ends of lines as on old Macs":    strings.ReplaceAll(string(data), "\r\n", "\r"),
				"folded after every third letter": foldAll(string(data)),
			} {
				again, err := in2026(t, parse(t, text, tc.opts...))
				require.NoError(t, err, name)
				require.Equal(t, tc.want, lines(again), name)
			}
		})
	}
}

// foldAll folds lines in the middle of words and letters.
func foldAll(text string) string {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n ", ""), "\ufeff", "")
	var b strings.Builder
	for line := range strings.SplitSeq(text, "\r\n") {
		for i := range len(line) {
			if i > 0 && i%3 == 0 {
				b.WriteString("\r\n\t")
			}
			b.WriteByte(line[i])
		}
		b.WriteString("\r\n")
	}
	return b.String()
}

func TestExportedCalendarWithoutFloatingZone(t *testing.T) {
	t.Parallel()
	source, err := ical.NewFile("testdata/google.ics")
	require.NoError(t, err)
	windows, err := in2026(t, source)
	require.Len(t, windows, 7, "the others are kept")
	warnings, failure := maintenance.SplitWarnings(err)
	require.NoError(t, failure)
	require.Len(t, warnings, 1)
	require.ErrorIs(t, err, maintenance.ErrIncomplete)
	require.Equal(t, "4v2k9q1s7example0003@google.com", warnings[0].WindowID)
	require.EqualError(t, err, `maintenance: windows of testdata/google.ics: windows may be missing: `+
		`event "4v2k9q1s7example0003@google.com" of line 82: DTSTART is a whole day, whose start depends on a time zone: `+
		`set WithFloatingZone (X-WR-TIMEZONE of the calendar is "Europe/Berlin")`)
}
