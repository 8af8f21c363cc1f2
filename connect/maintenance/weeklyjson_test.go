package maintenance_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

func TestWeeklyJSON(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]maintenance.Weekly{
		`{"id":"w","title":"Week","weekday":"saturday","time":"02:00","duration":"2h30m0s","timezone":"Europe/Berlin",` +
			`"except":["2026-12-26"],"from":"2026-02-01","until":"2026-12-31","source":"a.json"}`: {
			ID: "w", Title: "Week", Weekday: time.Saturday, Time: "02:00", Duration: 150 * time.Minute, Zone: "Europe/Berlin",
			Except: []string{"2026-12-26"}, From: "2026-02-01", Until: "2026-12-31", Source: "a.json",
		},
		`{"id":"w","weekday":"sunday","time":"02:00","duration":"3h0m0s","timezone":"UTC"}`: {
			ID: "w", Time: "02:00", Duration: 3 * time.Hour, Zone: "UTC",
		},
	} {
		data, err := json.Marshal(r)
		require.NoError(t, err)
		require.Equal(t, want, string(data))
		var got maintenance.Weekly
		require.NoError(t, json.Unmarshal(data, &got))
		require.Equal(t, r, got)
	}
}

func TestWeeklyJSONRejects(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		`{"id":"w","weekdays":"sunday","duration":"3h"}`: `unknown key "weekdays" (did you mean "weekday"?)`,
		`{"id":"w","weekday":"Sonntag","duration":"3h"}`: `weekly rule "w": weekday: "Sonntag" is not a day of the week`,
		`{"id":"w","weekday":"sunday","duration":"3"}`:   `weekly rule "w": duration: "3" is not a duration`,
		`{"id":"w","weekday":"sunday","duration":3}`:     `line 1: duration: must be text in quotes, is 3`,
		`null`: `the top level: must be an object in braces, is null`,
	} {
		var r maintenance.Weekly
		require.ErrorContains(t, r.UnmarshalJSON([]byte(data)), want)
		require.Zero(t, r)
	}
	_, err := json.Marshal(maintenance.Weekly{ID: "w", Weekday: 7})
	require.ErrorContains(t, err, "weekday 7 is out of range")
}
