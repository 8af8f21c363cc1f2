package report_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// entryAt returns an entry that was placed at a time.
func entryAt(n int, placed time.Time, class failure.Class) plan.Entry {
	return plan.Entry{
		OrderID: fmt.Sprint(n), Number: fmt.Sprintf("SO%d", n), Type: "SO",
		Before:      plan.Snapshot{Status: "PF", PlacedAt: placed},
		Fingerprint: plan.Fingerprint(fmt.Sprint(n), plan.Snapshot{Status: "PF", PlacedAt: placed}),
		Attribution: failure.Attribution{Class: class, Verdict: failure.UnknownCause},
		Decision:    rules.Decision{Action: rules.Hold, RuleID: "hold", Why: "a test"},
	}
}

// placed returns the document of orders that were placed at some times.
func placed(t testing.TB, zone *time.Location, times ...time.Time) *report.Document {
	t.Helper()
	entries := make([]plan.Entry, 0, len(times))
	for i, at := range times {
		entries = append(entries, entryAt(i, at, failure.Transient))
	}
	return documentOf(t, report.Input{
		Plan: planOf(t, plan.Header{}, entries...), Location: zone, Now: times[len(times)-1].Add(time.Hour),
	})
}

func TestTimelineBinLength(t *testing.T) {
	t.Parallel()
	start := at("00:00:00")
	for _, tt := range []struct {
		span    time.Duration
		minutes int
	}{
		{0, 1}, {57 * time.Minute, 1}, {58 * time.Minute, 2}, {90 * time.Minute, 2}, {4 * time.Hour, 5}, {9 * time.Hour, 10},
		{14 * time.Hour, 15}, {24 * time.Hour, 30}, {48 * time.Hour, 60}, {100 * time.Hour, 120}, {300 * time.Hour, 360},
		{600 * time.Hour, 720}, {50 * 24 * time.Hour, 1440}, {59 * 24 * time.Hour, 7 * 1440},
		{3 * 365 * 24 * time.Hour, 30 * 1440},
		{40 * 365 * 24 * time.Hour, 365 * 1440},
	} {
		d := placed(t, nil, start, start.Add(tt.span))
		line := d.Timeline
		require.Equal(t, tt.minutes, line.BinMinutes, tt.span)
		require.LessOrEqual(t, line.To.Sub(line.From), 60*time.Duration(tt.minutes)*time.Minute, tt.span)
		require.True(t, line.From.Before(start) && line.To.After(start.Add(tt.span)), "a free bin at each end: %v", line)
	}
}

func TestTimelineBinsAreHalfOpen(t *testing.T) {
	t.Parallel()
	d := placed(t, nil, at("02:00:00"), at("02:09:59"), at("02:10:00"), at("10:00:00"))
	require.Equal(t, 10, d.Timeline.BinMinutes)
	require.Equal(t, []report.Bin{
		{Start: at("02:00:00"), Transient: 2}, {Start: at("02:10:00"), Transient: 1}, {Start: at("10:00:00"), Transient: 1},
	}, d.Timeline.Bins)
}

func TestTimelineAcrossAClockChange(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		from      time.Time
		last, ran string // the label of the last order, and the zones of the axis
	}{
		"to_winter": {time.Date(2026, 10, 24, 23, 30, 0, 0, time.UTC), "2026-10-25 02:30 CET", "01:00 CEST"},
		"to_summer": {time.Date(2026, 3, 28, 23, 30, 0, 0, time.UTC), "2026-03-29 03:30 CEST", "00:00 CET"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := placed(t, warsaw(t), tt.from, tt.from.Add(time.Hour), tt.from.Add(2*time.Hour))
			require.Len(t, d.Timeline.Bins, 3, "also the hour that the clock shows twice")
			rows := d.Chart().Table()
			require.Equal(t, tt.last, rows[len(rows)-1].Time)
			svg := string(d.Chart().SVG(report.ChartOptions{}))
			require.Contains(t, svg, "CET<")
			require.Contains(t, svg, "CEST<", "a label shows the other zone")
		})
	}
}

// With bins of a day the ticks are at midnight, on days of 23 and 25 hours too.
func TestTimelineOfDaysAcrossAClockChange(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 10, 10, 12, 0, 0, 0, time.UTC)
	d := placed(t, warsaw(t), start, start.AddDate(0, 0, 35))
	require.Equal(t, 1440, d.Timeline.BinMinutes)
	require.Equal(t, "2026-10-10 00:00 CEST", d.Chart().Table()[0].Time)
	require.Contains(t, string(d.Chart().SVG(report.ChartOptions{})), ">2026-10-26 CET<")
}

func TestTimelineLeavesOutWhatCannotBeDrawn(t *testing.T) {
	t.Parallel()
	entries := []plan.Entry{
		entryAt(1, time.Time{}, failure.Transient),
		entryAt(2, time.Date(1920, 1, 1, 0, 0, 0, 0, time.UTC), failure.Permanent),
		entryAt(3, at("01:00:00"), failure.Transient), entryAt(4, at("02:00:00").AddDate(4000, 0, 0), failure.Transient),
	}
	d := documentOf(t, report.Input{Plan: planOf(t, plan.Header{}, entries...), Now: at("05:00:00")})
	require.Equal(t, 3, d.Timeline.Undated)
	require.Len(t, d.Timeline.Bins, 1)
	require.Contains(t, d.Chart().Description(), "3 orders without a usable time are not drawn.")

	d = documentOf(t, report.Input{Plan: planOf(t, plan.Header{}, entries[:2]...), Now: at("05:00:00")})
	require.Empty(t, d.Chart().SVG(report.ChartOptions{}))
	require.Empty(t, d.Chart().Line(80, false))
	require.Empty(t, d.Chart().Table())
	require.Contains(t, d.Chart().Figure(report.ChartOptions{}), "2 orders without a usable time are not drawn.")
}

// Old failures do not hide the maintenance.
func TestTimelineOfOldFailures(t *testing.T) {
	t.Parallel()
	entries := []plan.Entry{entryAt(1, at("00:00:00").AddDate(0, -2, 0), failure.Permanent)}
	for n := range 20 {
		entries = append(entries, entryAt(n+2, at("01:30:00").Add(time.Duration(n)*time.Minute), failure.Transient))
	}
	p := planOf(t, sampleHeader(), entries...)
	d := documentOf(t, report.Input{Plan: p, Observed: sampleObserved(), Now: at("05:00:00")})
	require.Equal(t, 1, d.Timeline.Earlier)
	require.LessOrEqual(t, d.Timeline.BinMinutes, 15)
	require.Equal(t, entries[0].Before.PlacedAt, d.Timeline.First)
	require.Contains(t, d.Chart().Description(), "1 order from before 2026-11-20 18:40 UTC is not drawn.")
	require.Contains(t, string(d.Chart().SVG(report.ChartOptions{})), "◂ 1 earlier")
}

func TestTimelineSaysWhichTimeItShows(t *testing.T) {
	t.Parallel()
	failed := func(n int, e plan.Entry) plan.Entry {
		e.Before.FailedAt = e.Before.PlacedAt.Add(10 * time.Minute)
		e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
		return e
	}
	a, b := entryAt(1, at("01:00:00"), failure.Transient), entryAt(2, at("02:00:00"), failure.Transient)
	for title, entries := range map[string][]plan.Entry{
		"Failed orders by time placed, per 2 min":                                         {a, b},
		"Failed orders by time of failure, per 2 min":                                     {failed(1, a), failed(2, b)},
		"Failed orders by time of failure, or of placing if that is not known, per 2 min": {a, failed(2, b)},
	} {
		d := documentOf(t, report.Input{Plan: planOf(t, plan.Header{}, entries...), Now: at("05:00:00")})
		require.Equal(t, title, d.Chart().Title())
		require.Contains(t, string(d.Chart().SVG(report.ChartOptions{})), "<title id=\"chart-title\">"+title+"</title>")
	}
}

func TestTimelineCountsEachOrderOnce(t *testing.T) {
	t.Parallel()
	instant := rapid.OneOf(
		rapid.Int64Range(0, 7200), rapid.Int64Range(-86400*60, 86400), rapid.Int64Range(-62_000_000_000, 4_000_000_000),
	)
	rapid.Check(t, func(r *rapid.T) {
		offsets := rapid.SliceOfN(instant, 0, 60).Draw(r, "seconds")
		slices.Sort(offsets)
		entries := make([]plan.Entry, 0, len(offsets))
		want := map[failure.Class]int{}
		for i, s := range offsets {
			class := rapid.SampledFrom(failure.Classes()).Draw(r, "class")
			want[class]++
			entries = append(entries, entryAt(i, time.Unix(at("03:00:00").Unix()+s, 0).UTC(), class))
			if rapid.IntRange(0, 9).Draw(r, "undated") == 0 {
				entries[i].Before.PlacedAt = time.Time{}
				entries[i].Fingerprint = plan.Fingerprint(entries[i].OrderID, entries[i].Before)
			}
		}
		h := plan.Header{CreatedAt: at("04:00:00")}
		for i := range rapid.IntRange(0, 3).Draw(r, "windows") {
			start := at("00:00:00").Add(time.Duration(rapid.IntRange(-5000, 5000).Draw(r, "start")) * time.Minute)
			w := maintenance.Window{ID: fmt.Sprint(i), Start: start, End: start.Add(3 * time.Hour)}
			if rapid.Bool().Draw(r, "open") {
				w.ActualStart = start
			}
			h.Windows = append(h.Windows, w)
		}
		d := documentOf(t, report.Input{Plan: planOf(t, h, entries...), Now: at("04:00:00")})
		line := d.Timeline
		drawn := map[failure.Class]int{}
		sum := line.Earlier + line.Undated
		for i, b := range line.Bins {
			sum += b.Total()
			drawn[failure.Transient] += b.Transient
			drawn[failure.Permanent] += b.Permanent
			drawn[failure.Unclassified] += b.Unclassified
			drawn[failure.AlreadyProvisioned] += b.AlreadyProvisioned
			require.False(t, b.Start.Before(line.From) || !b.Start.Before(line.To))
			require.True(t, i == 0 || line.Bins[i-1].Start.Before(b.Start))
		}
		require.Equal(t, len(entries), sum)
		require.Equal(t, len(entries), d.All.Orders)
		if line.Earlier+line.Undated == 0 {
			for class, n := range want {
				require.Equal(t, n, drawn[class], class)
			}
		}
		require.LessOrEqual(t, line.To.Sub(line.From), 60*time.Duration(line.BinMinutes)*time.Minute)
		_ = d.Chart().SVG(report.ChartOptions{}) // does not panic
		width := rapid.IntRange(1, 120).Draw(r, "width")
		for _, ascii := range []bool{true, false} {
			require.LessOrEqual(t, len([]rune(d.Chart().Line(width, ascii))), width)
		}
	})
}
