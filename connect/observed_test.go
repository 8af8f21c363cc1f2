package connect_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/connect"
)

// seen is an observed window in minutes; an end of 0 goes on.
func seen(from, to int) connect.Window {
	w := connect.Window{
		ID: "observed-" + minute(from).Format(time.TimeOnly), Source: connect.SourceObserved,
		Start: minute(from), End: minute(from + 1), ActualStart: minute(from),
	}
	if to > 0 {
		w.End, w.ActualEnd = minute(to), minute(to)
	}
	return w
}

func TestObservedOutagesMakeAnnouncedWindowsMoreExact(t *testing.T) {
	t.Parallel()
	// The window is announced from minute 60 to 120.
	for name, test := range map[string]struct {
		observed []connect.Window
		asOf     int
		want     []connect.Span // of all that holds
	}{
		"none":                  {nil, 500, []connect.Span{{Start: minute(60), End: minute(120)}}},
		"within, both over":     {[]connect.Window{seen(70, 90)}, 120, []connect.Span{{Start: minute(70), End: minute(90)}}},
		"two within, both over": {[]connect.Window{seen(100, 110), seen(70, 90)}, 130, []connect.Span{{Start: minute(70), End: minute(110)}}},
		"it overran":            {[]connect.Window{seen(70, 200)}, 200, []connect.Span{{Start: minute(70), End: minute(200)}}},
		"it overruns":           {[]connect.Window{seen(70, 0)}, 200, []connect.Span{{Start: minute(60)}}},
		"it goes on":            {[]connect.Window{seen(70, 0)}, 80, []connect.Span{{Start: minute(60)}}},
		"over again, and the window goes on: nothing is cut": {[]connect.Window{seen(70, 80)}, 100, []connect.Span{
			{Start: minute(60), End: minute(120)}, {Start: minute(70), End: minute(80)},
		}},
		"one over and one that goes on": {[]connect.Window{seen(70, 80), seen(118, 0)}, 130, []connect.Span{{Start: minute(60)}}},
		"a bit early":                   {[]connect.Window{seen(40, 90)}, 130, []connect.Span{{Start: minute(40), End: minute(90)}}},
		"a bit early and still on":      {[]connect.Window{seen(40, 0)}, 65, []connect.Span{{Start: minute(40)}}},
		"early and over before it began": {[]connect.Window{seen(40, 50)}, 130, []connect.Span{
			{Start: minute(40), End: minute(50)}, {Start: minute(60), End: minute(120)},
		}},
		"far too early": {[]connect.Window{seen(10, 90)}, 130, []connect.Span{
			{Start: minute(10), End: minute(90)}, {Start: minute(60), End: minute(120)},
		}},
		"afterwards": {[]connect.Window{seen(120, 140)}, 200, []connect.Span{
			{Start: minute(60), End: minute(120)}, {Start: minute(120), End: minute(140)},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			weekly := connect.Weekly{ID: "w", Weekday: epoch.Weekday(), Time: "03:00", Duration: time.Hour, Zone: "UTC", From: "2026-01-10", Until: "2026-01-10"}
			single := connect.Window{ID: "w", Start: minute(60), End: minute(120)}
			recurring, err := connect.NewCalendar(nil, weekly)
			require.NoError(t, err)
			once, err := connect.NewCalendar([]connect.Window{single})
			require.NoError(t, err)
			for _, c := range []*connect.Calendar{once, recurring} {
				exact, err := c.WithObserved(test.observed, minute(test.asOf))
				require.NoError(t, err)
				var got []connect.Span
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

func TestAWindowKeepsWhatIsKnownOfIt(t *testing.T) {
	t.Parallel()
	known := connect.Window{ID: "known", Start: minute(60), End: minute(120), ActualStart: minute(61), ActualEnd: minute(119)}
	gone := connect.Window{ID: "gone", Start: minute(60), End: minute(120), Cancelled: true}
	c, err := connect.NewCalendar([]connect.Window{known, gone})
	require.NoError(t, err)
	exact, err := c.WithMargins(time.Minute, time.Minute).WithObserved([]connect.Window{seen(70, 130)}, minute(200))
	require.NoError(t, err)
	require.Equal(t, []connect.Window{gone, known, seen(70, 130)}, exact.Windows())
	w, ok := exact.At(minute(60))
	require.True(t, ok)
	require.Equal(t, "known", w.ID, "the margins stay")
}

func TestTheNilCalendarTakesWhatWasObserved(t *testing.T) {
	t.Parallel()
	c, err := (*connect.Calendar)(nil).WithObserved([]connect.Window{seen(1, 2)}, minute(3))
	require.NoError(t, err)
	require.Equal(t, []connect.Window{seen(1, 2)}, c.Windows())
}

func TestAnObservedWindowThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	_, err := (*connect.Calendar)(nil).WithObserved([]connect.Window{{ID: "x"}}, minute(3))
	require.ErrorContains(t, err, `connect: window "x": has no start`)
	_, err = (*connect.Calendar)(nil).WithObserved([]connect.Window{seen(1, 2), seen(1, 3)}, minute(4))
	require.ErrorContains(t, err, "two windows have the id")
}

// What was observed always holds, and before an announced window is over all of it does.
func TestWhatWasObservedOrIsStillAnnouncedHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		single := connect.Window{ID: "single", Start: minute(rapid.IntRange(0, 900).Draw(rt, "start"))}
		single.End = single.Start.Add(time.Duration(rapid.IntRange(1, 300).Draw(rt, "length")) * time.Minute)
		c, err := connect.NewCalendar([]connect.Window{single},
			connect.Weekly{ID: "weekly", Weekday: epoch.Weekday(), Time: "05:00", Duration: 2 * time.Hour, Zone: "UTC"})
		require.NoError(rt, err)
		var observed []connect.Window
		at := 0
		for range rapid.IntRange(0, 6).Draw(rt, "outages") {
			at += rapid.IntRange(1, 200).Draw(rt, "up")
			down := rapid.IntRange(1, 200).Draw(rt, "down")
			observed = append(observed, seen(at, at+down))
			at += down
		}
		if rapid.Bool().Draw(rt, "one goes on") {
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
