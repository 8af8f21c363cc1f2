package maintenance_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

// fixedSource returns a source with a fixed answer.
func fixedSource(err error, windows ...maintenance.Window) maintenance.WindowSource {
	return maintenance.SourceFunc(func(context.Context, time.Time, time.Time) ([]maintenance.Window, error) {
		return windows, err
	})
}

func TestCalendarSource(t *testing.T) {
	t.Parallel()
	cancelled := windowAt(t, "cancelled", "2026-01-12T02:00:00Z", "2026-01-12T05:00:00Z")
	cancelled.Cancelled = true
	named := windowAt(t, "named", "2026-01-13T02:00:00Z", "2026-01-13T05:00:00Z")
	named.Source = "mail"
	c := calendarOf(t, []maintenance.Window{
		named, cancelled,
		windowAt(t, "before", "2026-01-08T00:00:00Z", "2026-01-09T00:00:00Z"),
		windowAt(t, "after", "2026-01-16T00:00:00Z", "2026-01-17T00:00:00Z"),
	}, maintenance.Weekly{ID: "weekly", Weekday: time.Saturday, Time: "02:00", Duration: time.Hour, Zone: "UTC"})
	source := maintenance.NewCalendarSource(c.WithMargins(48*time.Hour, -48*time.Hour))

	got, err := source.Windows(t.Context(), instant(t, "2026-01-09T00:00:00Z"), instant(t, "2026-01-16T00:00:00Z"))
	require.NoError(t, err)
	require.Equal(t, []string{"weekly@2026-01-10", "cancelled", "named"}, windowIDs(got), "margins move no window")
	require.Equal(t, "code", got[0].Source)
	require.True(t, got[1].Cancelled)
	require.Equal(t, "mail", got[2].Source)

	got, err = source.Windows(t.Context(), instant(t, "2026-01-16T00:00:00Z"), instant(t, "2026-01-09T00:00:00Z"))
	require.NoError(t, err)
	require.Empty(t, got, "a range that runs backwards has none")
}

func TestSplitWarnings(t *testing.T) {
	t.Parallel()
	warning := &maintenance.SourceWarning{Source: "status", Kind: maintenance.ErrStale, Err: errors.New("down")}
	other := &maintenance.SourceWarning{Source: "file", Kind: maintenance.ErrUncertain, Err: errors.New("odd")}
	broken := errors.New("broken")
	for _, tc := range []struct {
		name     string
		err      error
		warnings []*maintenance.SourceWarning
		failure  error
	}{
		{"nothing is odd", nil, nil, nil},
		{"a warning alone", warning, []*maintenance.SourceWarning{warning}, nil},
		{"warnings that are joined twice keep their order", errors.Join(errors.Join(warning, other), warning),
			[]*maintenance.SourceWarning{warning, other, warning}, nil},
		{"a failure alone", broken, nil, broken},
		{"a failure among warnings", errors.Join(warning, broken, other), []*maintenance.SourceWarning{warning, other},
			broken},
		{"an error that was made of a warning is a failure", fmt.Errorf("gave up: %w", warning), nil, warning},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			warnings, failure := maintenance.SplitWarnings(tc.err)
			require.Equal(t, tc.warnings, warnings)
			require.ErrorIs(t, failure, tc.failure)
			require.Equal(t, tc.failure == nil, failure == nil)
		})
	}
	require.EqualError(t, warning, "maintenance: windows of status: windows are from an earlier answer: down")
	require.ErrorIs(t, warning, maintenance.ErrStale)
	require.ErrorIs(t, warning, warning.Err)
	require.NotErrorIs(t, warning, maintenance.ErrUncertain)
}

func TestCalendarOfAcceptsFaultyWindows(t *testing.T) {
	t.Parallel()
	from, to := instant(t, "2026-01-01T00:00:00Z"), instant(t, "2026-02-01T00:00:00Z")
	a := windowAt(t, "a", "2026-01-10T02:00:00Z", "2026-01-10T05:00:00Z")
	again := windowAt(t, "a", "2026-01-10T04:00:00Z", "2026-01-10T06:00:00Z")
	taken := windowAt(t, "a#2", "2026-01-09T04:00:00Z", "2026-01-09T06:00:00Z")
	nowhere := windowAt(t, "nowhere", "2026-01-11T04:00:00Z", "2026-01-11T06:00:00Z")
	nowhere.Zone = "Mars"
	backwards := windowAt(t, "backwards", "2026-01-12T04:00:00Z", "2026-01-12T02:00:00Z")
	down := errors.New("the page is down")

	c, err := maintenance.QueryCalendar(t.Context(), fixedSource(down, taken, a, again, nowhere, backwards), from, to)
	require.Equal(t, []string{"a#2", "a", "a#3", "nowhere"}, windowIDs(c.Overlapping(from, to)))
	require.ErrorIs(t, err, down)
	warnings, failure := maintenance.SplitWarnings(err)
	require.EqualError(t, failure, down.Error())
	require.Len(t, warnings, 3)
	for i, want := range []struct {
		kind     error
		id, text string
	}{
		{maintenance.ErrUncertain, "a#3", `two windows have the id "a": the later one is renamed "a#3"`},
		{maintenance.ErrUncertain, "nowhere", `window "nowhere" is shown in UTC: time zone "Mars" is unknown`},
		{maintenance.ErrIncomplete, "backwards",
			`window "backwards" is left out: ends at 2026-01-12T02:00:00Z, which is not after its start`},
	} {
		require.ErrorIs(t, warnings[i], want.kind)
		require.Equal(t, want.id, warnings[i].WindowID)
		require.ErrorContains(t, warnings[i], want.text)
	}

	c, err = maintenance.QueryCalendar(t.Context(), fixedSource(nil), from, to)
	require.NoError(t, err)
	require.NotNil(t, c)
	require.Empty(t, c.Windows())
}
