package connect_test

import (
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
)

func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return v
}

func window(t testing.TB, id, start, end string) connect.Window {
	t.Helper()
	return connect.Window{ID: id, Start: at(t, start), End: at(t, end)}
}

func calendar(t testing.TB, windows []connect.Window, rules ...connect.Weekly) *connect.Calendar {
	t.Helper()
	c, err := connect.NewCalendar(windows, rules...)
	require.NoError(t, err)
	return c
}

func ids(windows []connect.Window) []string {
	var ids []string
	for _, w := range windows {
		ids = append(ids, w.ID)
	}
	return ids
}

func TestCalendarLookups(t *testing.T) {
	t.Parallel()
	cancelled := window(t, "cancelled", "2026-01-10T00:00:00Z", "2026-01-17T00:00:00Z")
	cancelled.Cancelled = true
	c := calendar(t, []connect.Window{
		window(t, "c", "2026-01-10T06:00:00Z", "2026-01-10T07:00:00Z"),
		window(t, "a", "2026-01-10T02:00:00Z", "2026-01-10T05:00:00Z"),
		window(t, "b", "2026-01-10T03:00:00Z", "2026-01-10T04:00:00Z"),
		window(t, "d", "2026-01-10T07:00:00Z", "2026-01-10T08:00:00Z"),
		cancelled,
	})
	for _, tc := range []struct{ name, t, at, next, last string }{
		{"before all windows only the next is known", "2026-01-10T01:59:59.999999999Z", "", "a", ""},
		{"a window holds from its very start", "2026-01-10T02:00:00Z", "a", "a", ""},
		{"of two that hold the one that ends last is told", "2026-01-10T03:30:00Z", "a", "c", ""},
		{"the inner one has ended", "2026-01-10T04:00:00Z", "a", "c", "b"},
		{"a window does not hold at its end", "2026-01-10T05:00:00Z", "", "c", "a"},
		{"of two that touch the second holds at the border", "2026-01-10T07:00:00Z", "d", "d", "c"},
		{"after all windows only the last is known", "2026-01-11T00:00:00Z", "", "", "d"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, lookup := range []struct {
				name, want string
				find       func(time.Time) (connect.Window, bool)
			}{{"At", tc.at, c.At}, {"Next", tc.next, c.Next}, {"Last", tc.last, c.Last}} {
				w, ok := lookup.find(at(t, tc.t))
				require.Equal(t, lookup.want, w.ID, lookup.name)
				require.Equal(t, lookup.want != "", ok, lookup.name)
			}
		})
	}
}
