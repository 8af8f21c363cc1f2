package maintenance_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// largeCalendar is ten years of ten weekly rules in zones with clock changes, with
// exceptions, occurrences that were moved and cancelled, and ten thousand single
// windows that overlap and touch, one of which began in the first year and has not
// ended. All have margins.
func largeCalendar(tb testing.TB, singles int) *maintenance.Calendar {
	tb.Helper()
	windows := manyWindows(singles)
	for i := range windows { // eight hours apart: ten years
		windows[i].Start = time.Date(2020, 1, 1, 8*i, 0, 0, 0, time.UTC)
		windows[i].End = windows[i].Start.Add(time.Duration(1+i%16) * time.Hour)
		windows[i].Cancelled = i%50 == 7
	}
	if singles > 100 {
		windows[100].ActualStart = windows[100].Start
	}
	var rules []maintenance.Weekly
	for i := range 10 {
		rules = append(rules, maintenance.Weekly{
			ID: fmt.Sprint("r", i), Weekday: time.Weekday(i % 7), Time: fmt.Sprintf("%02d:30", i), Duration: time.Hour,
			Zone: []string{"Europe/Berlin", "America/New_York", "Australia/Sydney"}[i%3],
			// the 22nd was a Sunday
			From: "2020-01-01", Until: "2029-12-31", Except: []string{time.Date(2024, 12, 22+i%7, 0, 0, 0, 0,
				time.UTC).Format(time.DateOnly)},
		})
	}
	moved := windowAt(tb, "r6@2024-06-01", "2024-06-02T02:00:00Z", "2024-06-02T05:00:00Z")
	c, err := maintenance.NewCalendar(append(windows, moved), rules...)
	require.NoError(tb, err)
	return c.WithMargins(30*time.Minute, 10*time.Minute)
}

func BenchmarkCalendarAtSize(b *testing.B) {
	c := largeCalendar(b, 10_000)
	instants := make([]time.Time, 1024)
	for i := range instants {
		instants[i] = time.Date(2020, 1, 1, 0, i*7919%1024*5130, 0, 0, time.UTC)
	}
	for _, lookup := range []struct {
		name string
		do   func(time.Time)
	}{
		{"At", func(t time.Time) { c.At(t) }},
		{"Next", func(t time.Time) { c.Next(t) }},
		{"Last", func(t time.Time) { c.Last(t) }},
		{"Overlapping a day", func(t time.Time) { c.Overlapping(t, t.AddDate(0, 0, 1)) }},
		{"Merged a week", func(t time.Time) { c.Spans(t, t.AddDate(0, 0, 7)) }},
	} {
		b.Run(lookup.name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				lookup.do(instants[i%1024])
				i++
			}
		})
	}
	b.Run("Overlapping ten years", func(b *testing.B) {
		for b.Loop() {
			c.Overlapping(instants[0], instants[0].AddDate(10, 0, 0))
		}
	})
	b.Run("making it", func(b *testing.B) {
		for b.Loop() {
			largeCalendar(b, 10_000)
		}
	})
}

func TestLargeCalendarMatchesLinearScan(t *testing.T) {
	t.Parallel()
	c := largeCalendar(t, 10_000)
	type held struct {
		maintenance.Window
		span maintenance.Span
	}
	var all []held
	bare := c.WithMargins(-30*time.Minute, -10*time.Minute) // no margins: it is enough to widen here
	for w := range bare.OverlappingSeq(instant(t, "2019-01-01T00:00:00Z"), instant(t, "2031-01-01T00:00:00Z")) {
		s := w.Span()
		s.Start = s.Start.Add(-30 * time.Minute)
		if !s.End.IsZero() {
			s.End = s.End.Add(10 * time.Minute)
		}
		all = append(all, held{w, s})
	}
	require.Greater(t, len(all), 14_900)
	for i := range 24 {
		from := time.Date(2020, 1, 1, 0, i*219_019, 0, 0, time.UTC)
		to := from.Add(time.Duration(i) * time.Hour)
		var want []string
		_, holds := c.At(from)
		expected := false
		for _, h := range all {
			if from.Before(to) && h.span.Start.Before(to) && (h.span.End.IsZero() || h.span.End.After(from)) {
				want = append(want, h.ID)
			}
			expected = expected || h.span.Contains(from)
		}
		require.ElementsMatch(t, want, windowIDs(c.Overlapping(from, to)), "%s", from)
		require.Equal(t, expected, holds, "%s", from)
	}
}

func TestLargeCalendarAtDoesNotAllocate(t *testing.T) { // alone: others would be counted
	c := largeCalendar(t, 10_000)
	at := instant(t, "2026-05-05T03:00:00Z")
	w, ok := c.At(at)
	require.True(t, ok)
	require.Equal(t, "w100", w.ID, "the one without an end")
	require.Zero(t, testing.AllocsPerRun(100, func() { c.At(at) }))
}
