package watch_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// years is the number of simulated years, each with its own seed.
var years = flag.Uint64("years", 0, "how many years to simulate, each from another seed; 0: 18 weeks")

// year is twelve months of maintenance, as announced and as held.
type year struct {
	*site
	random *rand.Rand
	begin  time.Time
	weeks  int
	asleep []maintenance.Span // between a crash and the next start
	away   maintenance.Span   // when the service does not run at all; zero: never
	truth  []maintenance.Span
	hit    []*order // must be resubmitted once
	spared []*order // must not be pushed
}

// newYear returns a year that begins in an hour, or without -years its first 18 weeks, or 10 with -short.
func newYear(t *testing.T, seed uint64, away bool) *year {
	y := &year{
		site: newSite(), random: rand.New(rand.NewPCG(seed, 2026)), begin: time.Now().UTC().Add(time.Hour),
		weeks: testkit.Scale(18, 10),
	}
	if *years > 0 {
		y.weeks = 52
	}
	if away {
		start := y.begin.AddDate(0, 0, (100+y.random.IntN(100))*y.weeks/52)
		y.away = maintenance.Span{Start: start, End: start.Add(16 * 24 * time.Hour)}
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	weekly, err := maintenance.NewCalendar(nil, maintenance.Weekly{
		ID: "sunday", Title: "Sunday maintenance", Weekday: time.Sunday, Time: "01:30", Duration: 2 * time.Hour,
		Zone: berlin.String(),
	})
	require.NoError(t, err)
	y.weekly = maintenance.NewCalendarSource(weekly)
	first := y.begin.AddDate(0, 0, (7-int(y.begin.Weekday()))%7)
	for week := range y.weeks {
		day := first.AddDate(0, 0, 7*week)
		// The clocks change on Sundays at 01:00 UTC, inside of the window.
		sunday := time.Date(day.Year(), day.Month(), day.Day(), 1, 30, 0, 0, berlin).UTC()
		y.sunday(sunday)
		y.midweek(week, sunday.AddDate(0, 0, 2+y.random.IntN(3)).Add(time.Duration(y.random.IntN(600))*time.Minute))
	}
	slices.SortFunc(y.truth, func(a, b maintenance.Span) int { return a.Start.Compare(b.Start) })
	return y
}

func (y *year) minutes(from, to int) time.Duration {
	return time.Duration(from+y.random.IntN(to-from)) * time.Minute
}

// sunday is held as announced, ends early, or overruns.
func (y *year) sunday(start time.Time) {
	length := 2 * time.Hour
	switch y.random.IntN(4) {
	case 0:
		length -= y.minutes(10, 60)
	case 1:
		length += y.minutes(10, 120)
	}
	y.happens(start.Add(y.minutes(0, 10)), length)
}

// midweek adds one of the other kinds of maintenance.
func (y *year) midweek(week int, start time.Time) {
	w := maintenance.Window{ID: fmt.Sprintf("CHG-%d", week), Title: "Upgrade", Start: start,
		End: start.Add(90 * time.Minute)}
	known := start.AddDate(0, 0, -3)
	announce := func(from, until time.Time, w maintenance.Window) {
		y.notices = append(y.notices, notice{from: from, until: until, window: w})
	}
	moved := w
	switch y.random.IntN(10) {
	case 0: // a quiet week
	case 1: // announced when it has begun
		announce(start.Add(10*time.Minute), time.Time{}, w)
		y.happens(start, 90*time.Minute)
	case 2: // announced when it is over
		announce(start.Add(4*time.Hour), time.Time{}, w)
		y.happens(start, 90*time.Minute)
	case 3: // moved at the last moment
		moved.Start, moved.End = w.Start.Add(9*time.Hour), w.End.Add(9*time.Hour)
		announce(known, start.Add(-20*time.Minute), w)
		announce(start.Add(-20*time.Minute), time.Time{}, moved)
		y.happens(moved.Start, 90*time.Minute)
	case 4: // cancelled before it began
		announce(known, start.Add(-time.Hour), w)
		moved.Cancelled = true
		announce(start.Add(-time.Hour), time.Time{}, moved)
	case 5: // never cancelled, and never happened
		announce(known, time.Time{}, w)
	case 6: // nobody announced it
		y.happens(start, y.minutes(20, 90))
	case 7: // two that overlap
		other := maintenance.Window{ID: w.ID + "b", Title: "Database", Start: start.Add(time.Hour),
			End: start.Add(3 * time.Hour)}
		announce(known, time.Time{}, w)
		announce(known, time.Time{}, other)
		y.happens(start, 3*time.Hour)
	case 8: // two, one right after the other
		other := maintenance.Window{ID: w.ID + "b", Title: "Database", Start: w.End.Add(2 * time.Minute),
			End: start.Add(3 * time.Hour)}
		announce(known, time.Time{}, w)
		announce(known, time.Time{}, other)
		y.happens(start, 3*time.Hour)
	default: // renamed and corrected when it is over; it was longer than announced
		announce(known, start.Add(6*time.Hour), w)
		renamed := maintenance.Window{ID: "incident-" + w.ID, Title: "Upgrade", Start: w.Start, End: w.End,
			ActualStart: start.Add(3 * time.Minute), ActualEnd: start.Add(115 * time.Minute)}
		announce(start.Add(6*time.Hour), time.Time{}, renamed)
		y.happens(start.Add(3*time.Minute), 112*time.Minute)
	}
}

// happens takes Connect down and makes orders fail.
func (y *year) happens(start time.Time, length time.Duration) {
	span := maintenance.Span{Start: start, End: start.Add(length)}
	y.down, y.truth = append(y.down, span), append(y.truth, span)
	if y.away.Start.Before(span.End) && span.Start.Before(y.away.End) {
		return // tested elsewhere
	}
	for range 1 + y.random.IntN(3) {
		y.hit = append(y.hit, y.breaks(start.Add(time.Duration(y.random.Int64N(int64(length)))), outage))
	}
	y.spared = append(y.spared,
		y.breaks(start.Add(length/2), "the vendor has rejected the request"),
		y.breaks(start.Add(-3*time.Hour), outage))
}

// live runs the service through the year, killed now and then if crashes is set.
func (y *year) live(t *testing.T, seed uint64, crashes bool) (kills int) {
	random := rand.New(rand.NewPCG(seed, 7))
	end := y.begin.AddDate(0, 0, 7*y.weeks+8)
	dir, root := filepath.Join(t.TempDir(), "state"), []byte(nil)
	for time.Now().Before(end) {
		until := end
		if y.away.Start.After(time.Now()) {
			until = y.away.Start
		}
		left := 1 + random.IntN(120)
		p := y.start(t, dir, root, func(string) bool { left--; return crashes && left == 0 })
		select {
		case <-p.ended:
			kills++
			root = p.stop(t)
			dir = p.dead
			asleep := maintenance.Span{Start: time.Now().Add(-5 * time.Minute)}
			<-time.After(time.Duration(1+random.IntN(90)) * time.Minute)
			asleep.End = time.Now().Add(time.Minute)
			y.asleep = append(y.asleep, asleep)
		case <-time.After(time.Until(until)):
			root = p.stop(t)
		}
		if !time.Now().Before(y.away.Start) && time.Now().Before(y.away.End) {
			<-time.After(time.Until(y.away.End))
		}
	}
	return kills
}

// check compares what was done with what happened.
func (y *year) check(t *testing.T, crashes bool) {
	t.Helper()
	for _, l := range y.ledger {
		require.False(t, y.isDown(l.at), "a push of %s at %s, inside a maintenance", l.id, l.at)
	}
	left := 0
	for _, o := range y.hit {
		// After a kill between an intent and its push, a run does not push again and reports
		// the order and those that depend on it. An overrun that happens while the service is
		// down is not observed.
		unseen := slices.ContainsFunc(y.asleep, func(s maintenance.Span) bool { return s.Contains(o.FailedAt) })
		if crashes && y.accepted(o.ID) == 0 && (unseen || y.left(o.ID) != "") {
			left++
			continue
		}
		require.Equal(t, 1, y.accepted(o.ID), "order %s, failed %s", o.ID, o.FailedAt)
	}
	for _, o := range y.spared {
		require.Zero(t, y.accepted(o.ID), "order %s, failed %s, must not be pushed", o.ID, o.FailedAt)
	}
	require.LessOrEqual(t, len(y.ledger), len(y.hit))
	require.LessOrEqual(t, left, len(y.hit)/5)

	episodes := make(map[string]watch.Episode)
	for _, e := range y.done {
		if was, ok := episodes[e.ID]; ok { // repeated after a crash
			require.Equal(t, was.Windows, e.Windows)
			require.Equal(t, was.State, e.State)
		}
		episodes[e.ID] = e
	}
	for _, span := range y.truth {
		var found []string
		for _, e := range episodes {
			if slices.ContainsFunc(e.Windows, func(w maintenance.Window) bool {
				return w.Span().Start.Before(span.End) && span.Start.Before(w.Span().End)
			}) {
				found = append(found, fmt.Sprintf("%s %s %s", e.ID, e.State, e))
			}
		}
		unseen := y.away.Start.Before(span.End) && span.Start.Before(y.away.End)
		if !unseen {
			require.NotEmpty(t, found, "the maintenance from %s to %s", span.Start, span.End)
		}
		if !crashes { // otherwise a part of it may have become known later
			require.LessOrEqual(t, len(found), 1, "the maintenance from %s to %s: %v", span.Start, span.End, found)
		}
	}
	var handled []maintenance.Span
	for _, e := range episodes {
		mine := len(handled)
		for _, w := range e.Windows {
			for _, s := range handled[:mine] {
				require.False(t, w.Span().Start.Before(s.End) && s.Start.Before(w.Span().End), "%s and %s are handled twice", s,
					w)
			}
			handled = append(handled, w.Span())
		}
	}
}

func TestYearOfMaintenance(t *testing.T) {
	t.Parallel()
	for seed := range max(1, *years) {
		for _, story := range []struct {
			name          string
			crashes, away bool
		}{{"without_crashes", false, false}, {"with_crashes_and_two_weeks_down", true, true}} {
			t.Run(fmt.Sprintf("seed_%d_%s", seed, story.name), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					<-time.After(time.Until(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)))
					y := newYear(t, seed, story.away)
					kills := y.live(t, seed, story.crashes)
					t.Logf("%d maintenances, %d pushes, %d kills, %d lines", len(y.truth), y.pushes(), kills, len(y.logged))
					t.Log("\n" + y.log())
					y.check(t, story.crashes)
					if story.crashes {
						require.Greater(t, kills, 20*y.weeks/52)
					} else if seed == 0 {
						golden(t, "spring.golden", excerptOf(y.logged, "2026-03-23", "2026-05-04"))
					}
				})
			})
		}
	}
}

// excerptOf returns the lines logged from one day to another.
func excerptOf(logged []string, from, to string) string {
	var lines strings.Builder
	for _, line := range logged {
		if line >= from && line < to {
			lines.WriteString(line + "\n")
		}
	}
	return lines.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}
