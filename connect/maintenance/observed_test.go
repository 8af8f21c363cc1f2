package maintenance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// seen is an observed window in minutes; an end of 0 means ongoing.
func seen(from, to int) maintenance.Window {
	w := maintenance.Window{
		ID: "observed-" + minute(from).Format(time.TimeOnly), Source: maintenance.SourceObserved,
		Start: minute(from), End: minute(from + 1), ActualStart: minute(from),
	}
	if to > 0 {
		w.End, w.ActualEnd = minute(to), minute(to)
	}
	return w
}

func TestCalendarWithObserved(t *testing.T) {
	t.Parallel()
	// The window is announced from minute 60 to 120.
	for name, test := range map[string]struct {
		observed []maintenance.Window
		asOf     int
		want     []maintenance.Span // of all that holds
	}{
		"none": {nil, 500, []maintenance.Span{{Start: minute(60), End: minute(120)}}},
		"within, both over": {[]maintenance.Window{seen(70, 90)}, 120,
			[]maintenance.Span{{Start: minute(70), End: minute(90)}}},
		"two within, both over": {[]maintenance.Window{seen(100, 110), seen(70, 90)}, 130,
			[]maintenance.Span{{Start: minute(70), End: minute(110)}}},
		"it overran":  {[]maintenance.Window{seen(70, 200)}, 200, []maintenance.Span{{Start: minute(70), End: minute(200)}}},
		"it overruns": {[]maintenance.Window{seen(70, 0)}, 200, []maintenance.Span{{Start: minute(60)}}},
		"ongoing":     {[]maintenance.Window{seen(70, 0)}, 80, []maintenance.Span{{Start: minute(60)}}},
		"over while the window lasts: nothing is cut": {[]maintenance.Window{seen(70, 80)}, 100, []maintenance.Span{
			{Start: minute(60), End: minute(120)}, {Start: minute(70), End: minute(80)},
		}},
		"one over and one ongoing": {[]maintenance.Window{seen(70, 80), seen(118, 0)}, 130,
			[]maintenance.Span{{Start: minute(60)}}},
		"a bit early": {[]maintenance.Window{seen(40, 90)}, 130,
			[]maintenance.Span{{Start: minute(40), End: minute(90)}}},
		"a bit early and still on": {[]maintenance.Window{seen(40, 0)}, 65, []maintenance.Span{{Start: minute(40)}}},
		"early and over before it began": {[]maintenance.Window{seen(40, 50)}, 130, []maintenance.Span{
			{Start: minute(40), End: minute(50)}, {Start: minute(60), End: minute(120)},
		}},
		"far too early": {[]maintenance.Window{seen(10, 90)}, 130, []maintenance.Span{
			{Start: minute(10), End: minute(90)}, {Start: minute(60), End: minute(120)},
		}},
		"afterwards": {[]maintenance.Window{seen(120, 140)}, 200, []maintenance.Span{
			{Start: minute(60), End: minute(120)}, {Start: minute(120), End: minute(140)},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			weekly := maintenance.Weekly{ID: "w", Weekday: epoch.Weekday(), Time: "03:00", Duration: time.Hour, Zone: "UTC",
				From: "2026-01-10", Until: "2026-01-10"}
			single := maintenance.Window{ID: "w", Start: minute(60), End: minute(120)}
			recurring, err := maintenance.NewCalendar(nil, weekly)
			require.NoError(t, err)
			once, err := maintenance.NewCalendar([]maintenance.Window{single})
			require.NoError(t, err)
			for _, c := range []*maintenance.Calendar{once, recurring} {
				exact, err := c.WithObserved(test.observed, minute(test.asOf))
				require.NoError(t, err)
				var got []maintenance.Span
				for _, w := range exact.Overlapping(epoch.AddDate(0, 0, -1), epoch.AddDate(0, 0, 1)) {
					got = append(got, w.Span())
					require.NoError(t, w.Validate())
				}
				require.Equal(t, test.want, got)
				again, err := c.WithObserved(test.observed, minute(test.asOf))
				require.NoError(t, err)
				require.Equal(t, exact, again, "the same every time")
			}
		})
	}
}

func TestCalendarWithObservedKeepsActualTimes(t *testing.T) {
	t.Parallel()
	known := maintenance.Window{ID: "known", Start: minute(60), End: minute(120), ActualStart: minute(61),
		ActualEnd: minute(119)}
	gone := maintenance.Window{ID: "gone", Start: minute(60), End: minute(120), Cancelled: true}
	c, err := maintenance.NewCalendar([]maintenance.Window{known, gone})
	require.NoError(t, err)
	exact, err := c.WithMargins(time.Minute, time.Minute).WithObserved([]maintenance.Window{seen(70, 130)}, minute(200))
	require.NoError(t, err)
	require.Equal(t, []maintenance.Window{gone, known, seen(70, 130)}, exact.Windows())
	w, ok := exact.At(minute(60))
	require.True(t, ok)
	require.Equal(t, "known", w.ID, "the margins stay")
}

func TestCalendarWithObservedOfNil(t *testing.T) {
	t.Parallel()
	c, err := (*maintenance.Calendar)(nil).WithObserved([]maintenance.Window{seen(1, 2)}, minute(3))
	require.NoError(t, err)
	require.Equal(t, []maintenance.Window{seen(1, 2)}, c.Windows())
}

func TestCalendarWithObservedRejectsInvalidWindow(t *testing.T) {
	t.Parallel()
	_, err := (*maintenance.Calendar)(nil).WithObserved([]maintenance.Window{{ID: "x"}}, minute(3))
	require.ErrorContains(t, err, `maintenance: window "x": has no start`)
	_, err = (*maintenance.Calendar)(nil).WithObserved([]maintenance.Window{seen(1, 2), seen(1, 3)}, minute(4))
	require.ErrorContains(t, err, "two windows have the id")
}

// What was observed always holds, and before an announced window is over all of it does.
func TestCalendarWithObservedProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		single := maintenance.Window{ID: "single", Start: minute(rapid.IntRange(0, 900).Draw(rt, "start"))}
		single.End = single.Start.Add(time.Duration(rapid.IntRange(1, 300).Draw(rt, "length")) * time.Minute)
		c, err := maintenance.NewCalendar([]maintenance.Window{single},
			maintenance.Weekly{ID: "weekly", Weekday: epoch.Weekday(), Time: "05:00", Duration: 2 * time.Hour, Zone: "UTC"})
		require.NoError(rt, err)
		var observed []maintenance.Window
		at := 0
		for range rapid.IntRange(0, 6).Draw(rt, "outages") {
			at += rapid.IntRange(1, 200).Draw(rt, "up")
			down := rapid.IntRange(1, 200).Draw(rt, "down")
			observed = append(observed, seen(at, at+down))
			at += down
		}
		if rapid.Bool().Draw(rt, "one is ongoing") {
			at++
			observed = append(observed, seen(at, 0))
		}
		asOf := minute(at + rapid.IntRange(0, 500).Draw(rt, "later"))
		exact, err := c.WithObserved(observed, asOf)
		require.NoError(rt, err)
		for m := range 24 * 60 {
			_, holds := exact.At(minute(m))
			for _, o := range observed {
				if o.Span().Contains(minute(m)) {
					require.True(rt, holds, "observed at %s", minute(m))
				}
			}
			if w, ok := c.At(minute(m)); ok && w.End.After(asOf) {
				require.True(rt, holds, "announced at %s", minute(m))
			}
		}
	})
}
