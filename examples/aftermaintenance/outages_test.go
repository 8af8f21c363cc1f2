package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

func TestReportShowsWhenConnectWasSeenDown(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	w.Connect.SetMaintenance(true)
	seen := filepath.Join(stateOf(flags), "outages.json")
	ended := make(chan int)
	go func() {
		status, _, _ := call{env: env}.run(t.Context(), with(flags, append([]string{"run"}, inWindow(w)...)...)...)
		ended <- status
	}()
	require.Eventually(t, func() bool {
		windows := (&outageLog{path: seen, announced: func() *maintenance.Calendar { return nil }}).windows()
		return len(windows) > 0
	}, time.Minute, 10*time.Millisecond)
	w.Connect.SetMaintenance(false)
	require.Equal(t, exitDone, <-ended)
	require.NotEmpty(t, w.Commerce.Pushes())

	stdout, _ := done(t, nil, stateOnly(flags, "report", "-format", "json")...)
	var observed []maintenance.Span
	for _, window := range decode(t, stdout).Windows {
		if window.Observed != nil {
			observed = append(observed, *window.Observed)
		}
	}
	require.Len(t, observed, 1, stdout)
	require.WithinDuration(t, time.Now(), observed[0].End, time.Minute)
	stdout, _ = done(t, nil, stateOnly(flags, "report", "-format", "html")...)
	require.Regexp(t, `<g class="chart-observed">.*>observed \d\d:\d\d`, stdout)
}

// An outage of which only a part was seen lasted as long as the announced maintenance.
func TestOutagesThatWereSeenInPart(t *testing.T) {
	t.Parallel()
	yesterday := time.Now().Add(-24 * time.Hour).Truncate(time.Second).UTC()
	at := func(hours float64) time.Time { return yesterday.Add(time.Duration(hours * float64(time.Hour))) }
	announced, err := maintenance.NewCalendar([]maintenance.Window{{ID: "W", Start: at(0), End: at(3)}})
	require.NoError(t, err)
	up, down := connect.ClassUp, connect.ClassMaintenanceSuspected
	for name, c := range map[string]struct {
		probes   map[float64]connect.ProbeClass
		from, to float64
	}{
		"the whole":         {map[float64]connect.ProbeClass{0.9: up, 1: down, 1.2: up}, 0.9, 1.2},
		"the end":           {map[float64]connect.ProbeClass{1: down, 1.2: up}, 0, 1.2},
		"the beginning":     {map[float64]connect.ProbeClass{0.9: up, 1: down}, 0.9, 3},
		"a moment":          {map[float64]connect.ProbeClass{1: down, 5: up}, 0, 3},
		"a lost answer":     {map[float64]connect.ProbeClass{3.9: up, 4: down, 4.1: up}, 0, 0},
		"outside of it":     {map[float64]connect.ProbeClass{4: down, 4.1: down, 4.2: up}, 4, 4.2},
		"a later beginning": {map[float64]connect.ProbeClass{2.9: down, 3.1: down, 3.2: up}, 0, 3.2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var warnings strings.Builder
			o := &outageLog{path: filepath.Join(t.TempDir(), "new", "outages.json"),
				announced: func() *maintenance.Calendar { return announced },
				warn:      func(err error) { warnings.WriteString(err.Error()) }}
			for h := 0.0; h < 10; h += 0.1 {
				class, ok := c.probes[float64(int(h*10+0.5))/10]
				if ok {
					require.NoError(t, o.save(connect.Probe{Class: class, At: at(h)}))
				}
			}
			windows := o.windows()
			if c.to == 0 {
				require.Empty(t, windows)
				return
			}
			require.Len(t, windows, 1)
			require.WithinDuration(t, at(c.from), windows[0].Span().Start, time.Second)
			require.WithinDuration(t, at(c.to), windows[0].Span().End, time.Second)
			require.NoError(t, windows[0].Validate())
			require.Empty(t, warnings.String())
		})
	}
}

// The report is made all the same.
func TestDamagedOutagesAreAWarning(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	seen := filepath.Join(stateOf(flags), "outages.json")
	require.NoError(t, os.WriteFile(seen, []byte("{"), 0o600))
	_, stderr := done(t, env, with(flags, append([]string{"run"}, inWindow(w)...)...)...)
	require.Contains(t, stderr, "warning: reports will not show when Connect was down: "+seen)
	content, err := os.ReadFile(seen)
	require.NoError(t, err)
	require.Equal(t, "{", string(content), "a person must look at it")
	require.Error(t, json.Unmarshal(content, new(availability.Tracker)))
}
