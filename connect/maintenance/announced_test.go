package maintenance_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

func TestCalendarAnnounced(t *testing.T) {
	t.Parallel()
	shorter := windowAt(t, "shorter", "2026-02-01T02:00:00Z", "2026-02-01T06:00:00Z")
	shorter.ActualStart, shorter.ActualEnd = instant(t, "2026-02-01T02:30:00Z"), instant(t, "2026-02-01T04:00:00Z")
	cancelled := windowAt(t, "cancelled", "2026-02-02T02:00:00Z", "2026-02-02T06:00:00Z")
	cancelled.Cancelled = true
	seen := windowAt(t, "seen", "2026-02-03T02:00:00Z", "2026-02-03T03:00:00Z")
	seen.Source = maintenance.SourceObserved
	network := windowAt(t, "network", "2026-02-04T02:00:00Z", "2026-02-04T03:00:00Z")
	network.Source = maintenance.SourceUnreachable
	c, err := maintenance.NewCalendar([]maintenance.Window{shorter, cancelled, seen, network},
		maintenance.Weekly{ID: "weekly", Weekday: 0, Time: "12:00", Duration: 3600e9, Zone: "UTC"})
	require.NoError(t, err)

	announced := c.WithMargins(0, 600e9).Announced()
	for at, want := range map[string]string{
		"2026-02-01T02:10:00Z": "shorter", "2026-02-01T05:59:00Z": "shorter", "2026-02-01T06:09:00Z": "shorter",
		"2026-02-02T03:00:00Z": "", "2026-02-03T02:30:00Z": "", "2026-02-04T02:30:00Z": "",
		"2026-02-01T12:30:00Z": "weekly@2026-02-01",
	} {
		w, _ := announced.At(instant(t, at))
		require.Equal(t, want, w.ID, at)
	}
	w, ok := announced.At(instant(t, "2026-02-01T05:00:00Z"))
	require.True(t, ok)
	require.True(t, w.ActualStart.IsZero() && w.ActualEnd.IsZero())

	only := c.Filter(func(w maintenance.Window) bool { return w.Source == maintenance.SourceUnreachable })
	require.Len(t, only.Windows(), 1)
	require.Len(t, only.Weekly(), 1)
	_, ok = only.At(instant(t, "2026-02-04T02:30:00Z"))
	require.True(t, ok)

	var none *maintenance.Calendar
	require.Nil(t, none.Announced())
	require.Nil(t, none.Filter(nil))
}
