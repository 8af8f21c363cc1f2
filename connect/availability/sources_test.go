package availability_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/statuspage"
)

// teamCalendar is kept by people: every Saturday night, not on the 15th, and on the 22nd later.
const teamCalendar = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n" +
	"BEGIN:VEVENT\r\nUID:weekly\r\nDTSTART;TZID=Europe/Berlin:20000108T030000\r\nDURATION:PT2H\r\nRRULE:FREQ=WEEKLY\r\n" +
	"EXDATE;TZID=Europe/Berlin:20000115T030000\r\nEND:VEVENT\r\n" +
	"BEGIN:VEVENT\r\nUID:weekly\r\nRECURRENCE-ID;TZID=Europe/Berlin:20000122T030000\r\nDTSTART;" +
	"TZID=Europe/Berlin:20000122T060000\r\nDURATION:PT2H\r\nEND:VEVENT\r\n" +
	"END:VCALENDAR\r\n"

// statusPage has the maintenance of the 8th too, which overran, and one on a Tuesday.
const statusPage = `{"page":{"id":"p","time_zone":"Europe/Berlin"},"scheduled_maintenances":[
	{"id":"sat","name":"Upgrade","status":"completed","scheduled_for":"2000-01-08T02:00:00Z","scheduled_until":"2000-01-08T04:00:00Z",
	 "created_at":"2000-01-01T00:00:00Z","started_at":"2000-01-08T02:05:00Z","resolved_at":"2000-01-08T04:40:00Z"},
	{"id":"tue","name":"Database","status":"scheduled","scheduled_for":"2000-01-11T20:00:00Z","scheduled_until":"2000-01-11T21:00:00Z",
	 "created_at":"2000-01-01T00:00:00Z"}]}`

// All sources at once: a calendar and a status page through a Multi and
// maintenance.QueryCalendar, made exact by a tracker; and again in the next process, while both are away.
func TestTrackerAndSourcesAcrossARestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		team := filepath.Join(dir, "team.ics")
		require.NoError(t, os.WriteFile(team, []byte(teamCalendar), 0o600))
		from, to := dayOf(1), dayOf(31)
		sources := func(page httpmock.Responder) *maintenance.Multi {
			mock := httpmock.NewMockTransport()
			mock.RegisterNoResponder(page)
			status, err := statuspage.New("https://status.example.com",
				statuspage.WithHTTPClient(&http.Client{Transport: mock}), statuspage.WithMaxTries(1))
			require.NoError(t, err)
			events, err := ical.NewFile(team)
			require.NoError(t, err)
			multi, err := maintenance.NewMulti([]maintenance.NamedSource{{Name: "team", Source: events},
				{Name: "page", Source: status}},
				maintenance.WithCacheDir(filepath.Join(dir, "cache")))
			require.NoError(t, err)
			return multi
		}

		<-time.After(time.Until(dayOf(20)))
		page := httpmock.NewStringResponder(http.StatusOK, statusPage)
		announced, err := maintenance.QueryCalendar(t.Context(), sources(page), from, to)
		require.NoError(t, err)
		tracker, err := availability.NewTracker(
			availability.TrackerConfig{Calendar: func() *maintenance.Calendar { return announced }})
		require.NoError(t, err)
		down := []maintenance.Span{
			{Start: at(8, 2, 4), End: at(8, 4, 38)},      // the page knows better
			{Start: at(11, 19, 50), End: at(11, 21, 30)}, // early, and it overran
			{Start: at(13, 10, 0), End: at(13, 10, 20)},  // nobody announced it
		}
		for now := dayOf(8); now.Before(dayOf(15)); now = now.Add(time.Minute) {
			class := connect.ClassUp
			for _, d := range down {
				if d.Contains(now) {
					class = connect.ClassMaintenanceSuspected
				}
			}
			tracker.Observe(connect.Probe{Class: class, At: now})
		}
		exact := withObserved(t, announced, tracker)
		require.Equal(t, []maintenance.Span{
			{Start: at(8, 2, 3), End: at(8, 4, 40)}, // begins with the outage that the page was slow to see
			{Start: at(11, 19, 49), End: at(11, 21, 30)},
			{Start: at(13, 9, 59), End: at(13, 10, 20)},
			{Start: at(22, 5, 0), End: at(22, 7, 0)}, // moved, and none on the 15th
			{Start: at(29, 2, 0), End: at(29, 4, 0)},
		}, exact.Spans(from, to))
		w, ok := exact.At(at(8, 4, 39))
		require.True(t, ok)
		require.Equal(t, "team/weekly@20000108T020000Z", w.ID)
		require.Equal(t, "team, page", w.Source)

		saved, err := json.Marshal(tracker)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(team, []byte("<html>Sign in</html>"), 0o600))
		again, err := maintenance.QueryCalendar(t.Context(), sources(httpmock.NewErrorResponder(errors.New("no route"))),
			from,
			to)
		require.ErrorIs(t, err, maintenance.ErrStale)
		warnings, failure := maintenance.SplitWarnings(err)
		require.NoError(t, failure)
		require.Len(t, warnings, 2, "one of each source")
		next := new(availability.Tracker)
		require.NoError(t, json.Unmarshal(saved, next))
		require.Equal(t, exact, withObserved(t, again, next))
	})
}

func at(day, hour, minute int) time.Time {
	return time.Date(2000, 1, day, hour, minute, 0, 0, time.UTC)
}

func dayOf(day int) time.Time { return at(day, 0, 0) }

// withObserved is a calendar made exact by all that a tracker saw.
func withObserved(t *testing.T, c *maintenance.Calendar, tracker *availability.Tracker) *maintenance.Calendar {
	t.Helper()
	observed, err := tracker.Windows(t.Context(), dayOf(1), dayOf(31))
	require.NoError(t, err)
	exact, err := c.WithObserved(observed, tracker.Status(dayOf(15)).ProbedAt)
	require.NoError(t, err)
	return exact
}
