package availability_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
)

var _ maintenance.WindowSource = (*availability.Tracker)(nil)

// scene is a tracker that is fed look by look, a minute apart.
type scene struct {
	t       *testing.T
	tracker *availability.Tracker
	now     time.Time
}

func newScene(t *testing.T, cfg availability.TrackerConfig) *scene {
	t.Helper()
	tracker, err := availability.NewTracker(cfg)
	require.NoError(t, err)
	return &scene{t: t, tracker: tracker, now: epoch}
}

func probeOf(class connect.ProbeClass, at time.Time) connect.Probe {
	p := connect.Probe{Class: class, At: at}
	switch class {
	case connect.ClassUp:
		p.Status, p.Version = 401, "26.0.12"
	case connect.ClassUnreachable:
		p.Err = errors.New("connection refused")
	default:
		p.Status, p.Err = 502, errors.New("HTTP 502 Bad Gateway")
	}
	return p
}

// see feeds n looks of a class.
func (s *scene) see(class connect.ProbeClass, n int) {
	for range n {
		s.tracker.Observe(probeOf(class, s.now))
		s.now = s.now.Add(time.Minute)
	}
}

func (s *scene) condition(want availability.Condition) availability.TrackerStatus {
	s.t.Helper()
	status := s.tracker.Status(s.now)
	require.Equal(s.t, want, status.Condition, "%s", status)
	return status
}

// windows are all that the tracker has observed.
func (s *scene) windows() []maintenance.Window {
	s.t.Helper()
	windows, err := s.tracker.Windows(s.t.Context(), epoch.AddDate(-10, 0, 0), epoch.AddDate(10, 0, 0))
	require.NoError(s.t, err)
	for _, w := range windows {
		require.NoError(s.t, w.Validate())
		require.Equal(s.t, maintenance.SourceObserved, w.Source)
	}
	return windows
}

func minute(n int) time.Time { return epoch.Add(time.Duration(n) * time.Minute) }

// byThreshold settles by the number of probes alone.
var byThreshold = availability.TrackerConfig{ThresholdTime: -1}

func oneWindow(t *testing.T, from, to time.Time) func() *maintenance.Calendar {
	t.Helper()
	c, err := maintenance.NewCalendar([]maintenance.Window{{ID: "planned", Start: from, End: to}})
	require.NoError(t, err)
	return func() *maintenance.Calendar { return c }
}

func TestTrackerChangesAfterThreeProbes(t *testing.T) {
	t.Parallel()
	s := newScene(t, byThreshold)
	require.Contains(t, s.condition(availability.ConditionUnknown).String(), "Not probed yet")
	s.see(connect.ClassUp, 2)
	s.condition(availability.ConditionUnknown)
	s.see(connect.ClassUp, 1)
	require.True(t, s.condition(availability.ConditionUp).Up())

	s.see(connect.ClassMaintenanceSuspected, 2)
	s.see(connect.ClassUp, 1)
	s.see(connect.ClassUnavailable, 2)
	s.condition(availability.ConditionUp) // blips
	require.Empty(t, s.windows())

	s.see(connect.ClassDegraded, 1) // of whatever kind, as long as it is not up
	status := s.condition(availability.ConditionOutage)
	require.Equal(t, minute(6), status.Since)
	require.Equal(t, map[connect.ProbeClass]int{connect.ClassUnavailable: 2, connect.ClassDegraded: 1},
		status.Outage.Probes)
	require.Equal(t, "HTTP 502 Bad Gateway", status.Outage.Message)
	open := s.windows()
	require.Len(t, open, 1)
	require.Equal(t, minute(6), status.Outage.First)
	require.Equal(t, minute(5), open[0].ActualStart, "it began after the last look that found it up")
	require.Zero(t, open[0].ActualEnd)
	require.Equal(t, maintenance.Overrun, open[0].State(s.now), "it holds until its end is seen")

	s.see(connect.ClassUp, 2)
	s.condition(availability.ConditionOutage)
	s.see(connect.ClassUp, 1)
	require.Equal(t, minute(9), s.condition(availability.ConditionUp).Since)
	closed := s.windows()
	require.Len(t, closed, 1)
	require.Equal(t, open[0].ID, closed[0].ID)
	require.Equal(t, maintenance.Span{Start: minute(5), End: minute(9)}, closed[0].Span())
}

func TestTrackerChangesAfterThresholdTime(t *testing.T) {
	t.Parallel()
	s := newScene(t, availability.TrackerConfig{Threshold: 10, ThresholdTime: 90 * time.Second})
	s.see(connect.ClassUp, 2)
	s.condition(availability.ConditionUnknown)
	s.see(connect.ClassUp, 1)
	s.condition(availability.ConditionUp)
	one := newScene(t, availability.TrackerConfig{Threshold: 1})
	one.see(connect.ClassUp, 1)
	one.condition(availability.ConditionUp)
}

func TestTrackerConditionInWindows(t *testing.T) {
	t.Parallel()
	cfg := byThreshold
	cfg.Calendar = oneWindow(t, minute(5), minute(10))
	s := newScene(t, cfg)
	s.see(connect.ClassUp, 5)
	up := s.condition(availability.ConditionUpInWindow)
	require.True(t, up.Up())
	require.Equal(t, minute(5), up.Since)
	require.Equal(t, "planned", up.Window.ID)
	s.see(connect.ClassMaintenanceSuspected, 4)
	down := s.condition(availability.ConditionMaintenance)
	require.Equal(t, minute(5), down.Since)
	require.Contains(t, down.String(), "Connect: maintenance since 2026-01-10 02:05 UTC. Announced: planned")
	s.see(connect.ClassMaintenanceSuspected, 1)
	over := s.condition(availability.ConditionOutage) // it overruns
	require.Equal(t, minute(10), over.Since)
	require.Nil(t, over.Window)
}

func TestTrackerSeparatesUnreachableFromOutages(t *testing.T) {
	t.Parallel()
	cfg := byThreshold
	cfg.Calendar = oneWindow(t, minute(0), minute(60))
	s := newScene(t, cfg)
	s.see(connect.ClassUp, 3)
	s.see(connect.ClassUnreachable, 5)
	status := s.condition(availability.ConditionUnreachable) // not even a maintenance
	require.Contains(t, status.String(), "The cause may be the local network.")
	require.True(t, status.Outage.Unreachable)
	require.Empty(t, s.windows())
	s.see(connect.ClassUp, 3)
	s.condition(availability.ConditionUpInWindow)
	require.Empty(t, s.windows())
	outages := s.tracker.Outages()
	require.Len(t, outages, 1)
	require.Equal(t, "unreachable-20260110T020300Z", outages[0].ID)
	require.Equal(t,
		"Connect was unreachable from 2026-01-10 02:03 UTC (last up at 2026-01-10 02:02 UTC) to 2026-01-10 02:08 UTC. "+
			"Probes: 5 unreachable. "+
			"The cause may be the local network: this is no proof of an outage of Connect.", outages[0].String())
	require.Contains(t, outages[0].Window().Title, "local network")
}

func TestTrackerOutageIncludesUnreachableTimes(t *testing.T) {
	t.Parallel()
	s := newScene(t, byThreshold)
	s.see(connect.ClassUp, 3)
	for range 3 { // never two alike in a row
		s.see(connect.ClassMaintenanceSuspected, 1)
		s.see(connect.ClassUnreachable, 1)
	}
	s.condition(availability.ConditionOutage)
	s.see(connect.ClassUnreachable, 3)
	s.condition(availability.ConditionUnreachable)
	require.Len(t, s.windows(), 1, "Connect has not been seen up")
	s.see(connect.ClassUp, 3)
	w := s.windows()
	require.Len(t, w, 1)
	require.Equal(t, maintenance.Span{Start: minute(2), End: minute(12)}, w[0].Span())
	require.Len(t, s.tracker.Outages(), 2)
}

func TestTrackerInterruptsOutageAfterLongUnreachableTime(t *testing.T) {
	t.Parallel()
	s := newScene(t, byThreshold)
	s.see(connect.ClassMaintenanceSuspected, 5)
	s.see(connect.ClassUnreachable, 300)
	s.see(connect.ClassUp, 3)
	w := s.windows()
	require.Len(t, w, 1)
	require.Equal(t, maintenance.Span{Start: minute(0), End: minute(4)}, w[0].Span(),
		"five hours of our own network are not Connect's")
	require.Contains(t, s.tracker.Outages()[0].String(), "until at least 2026-01-10 02:04 UTC, when the probes stopped")
}

func TestTrackerInterruptsOutageAfterAGap(t *testing.T) {
	t.Parallel()
	s := newScene(t, byThreshold)
	s.see(connect.ClassMaintenanceSuspected, 5)
	s.now = s.now.Add(time.Hour)
	s.condition(availability.ConditionUnknown)
	require.Zero(t, s.windows()[0].ActualEnd, "nobody has seen it end")
	s.see(connect.ClassMaintenanceSuspected, 2)
	s.condition(availability.ConditionUnknown)
	s.see(connect.ClassMaintenanceSuspected, 1)
	s.condition(availability.ConditionOutage)
	w := s.windows()
	require.Len(t, w, 2)
	require.Equal(t, maintenance.Span{Start: minute(0), End: minute(4)}, w[0].Span())
	require.Equal(t, maintenance.Span{Start: minute(65)}, w[1].Span())
}

// A look across a gap says nothing about when the outage began, however it ended.
func TestTrackerOutageAfterAGapStartsWithItsFirstProbe(t *testing.T) {
	t.Parallel()
	s := newScene(t, byThreshold)
	s.see(connect.ClassUp, 3)
	s.now = s.now.Add(time.Hour)
	s.see(connect.ClassMaintenanceSuspected, 3)
	s.see(connect.ClassUp, 1) // a blip, and no end
	s.see(connect.ClassMaintenanceSuspected, 1)
	o := s.tracker.Outages()[0]
	require.Equal(t, minute(63), o.First)
	require.Zero(t, o.LastUp)
	require.Equal(t, maintenance.Span{Start: minute(63)}, s.windows()[0].Span())
}

func TestTrackerDetectsRelease(t *testing.T) {
	t.Parallel()
	s := newScene(t, byThreshold)
	s.see(connect.ClassUp, 3)
	s.see(connect.ClassMaintenanceSuspected, 3)
	for range 3 {
		p := probeOf(connect.ClassUp, s.now)
		p.Version = "26.1.0"
		s.tracker.Observe(p)
		s.now = s.now.Add(time.Minute)
	}
	o := s.tracker.Outages()[0]
	require.Equal(t, "26.0.12", o.VersionBefore)
	require.Equal(t, "26.1.0", o.VersionAfter)
	require.Equal(t,
		"Connect was down from 2026-01-10 02:03 UTC (last up at 2026-01-10 02:02 UTC) to 2026-01-10 02:06 UTC. Probes: 3 "+
			"maintenance suspected. "+
			"Connect-Version changed from 26.0.12 to 26.1.0: there was a release.", o.String())
	require.Equal(t, "26.1.0", s.tracker.Status(s.now).Version)
}

func TestTrackerClockJumps(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		by   time.Duration
		says string
	}{
		"back an hour":    {-time.Hour, "the local clock was set back by 1h1m0s"},
		"forward an hour": {time.Hour, "the local clock was set forward (or the machine slept) by 1h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			cfg := byThreshold
			cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
			s := newScene(t, cfg)
			steady := epoch
			see := func(class connect.ProbeClass, n int) {
				for range n {
					s.tracker.Observe(steadyAt(probeOf(class, s.now), steady))
					s.now, steady = s.now.Add(time.Minute), steady.Add(time.Minute)
				}
			}
			see(connect.ClassMaintenanceSuspected, 5)
			if test.by < 0 {
				s.now = s.now.Add(-time.Minute)
			}
			s.now = s.now.Add(test.by)
			see(connect.ClassMaintenanceSuspected, 5)
			see(connect.ClassUp, 3)
			w := s.windows()
			require.Len(t, w, 2)
			for _, w := range w {
				require.Positive(t, w.Span().End.Sub(w.Span().Start))
				require.LessOrEqual(t, w.Span().End.Sub(w.Span().Start), 5*time.Minute)
			}
			require.Contains(t, s.tracker.Status(s.now).ClockProblem, test.says)
			require.Contains(t, log.String(), "local clock was set")
			require.Empty(t, s.tracker.Status(s.now.AddDate(0, 0, 2)).ClockProblem)
		})
	}
}

func TestTrackerOutageIDsAfterClockWasSetBack(t *testing.T) {
	t.Parallel()
	s := newScene(t, byThreshold)
	for range 3 {
		s.now = epoch
		s.see(connect.ClassMaintenanceSuspected, 4)
		s.see(connect.ClassUp, 3)
	}
	ids := map[string]bool{}
	for _, w := range s.windows() {
		ids[w.ID] = true
	}
	require.Equal(t, map[string]bool{
		"observed-20260110T020000Z": true, "observed-20260110T020000Z-2": true, "observed-20260110T020000Z-3": true,
	}, ids)
}

func TestTrackerReportsClockDifference(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	cfg := byThreshold
	cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
	for want, off := range map[string]time.Duration{
		"the local clock is 1h0m0s behind the server":   time.Hour,
		"the local clock is 1h0m0s ahead of the server": -time.Hour,
		"": time.Second,
	} {
		s := newScene(t, cfg)
		for range 3 {
			p := probeOf(connect.ClassUp, s.now)
			p.ServerTime = s.now.Add(off)
			s.tracker.Observe(p)
			s.now = s.now.Add(time.Minute)
		}
		require.Equal(t, want, s.tracker.Status(s.now).ClockProblem)
	}
	require.Equal(t, 2, bytes.Count(log.Bytes(), []byte("differs")), "once each, not at every look")
}

func TestTrackerAcceptsProbesSecondsOutOfOrder(t *testing.T) {
	t.Parallel()
	s := newScene(t, byThreshold)
	for _, at := range []int{0, 30, 20, 60, 59} {
		s.tracker.Observe(probeOf(connect.ClassMaintenanceSuspected, epoch.Add(time.Duration(at)*time.Second)))
	}
	o := s.tracker.Outages()
	require.Len(t, o, 1)
	require.Equal(t, epoch, o[0].First)
	require.Equal(t, epoch.Add(time.Minute), o[0].Last)
	require.Equal(t, 5, o[0].Probes[connect.ClassMaintenanceSuspected])
}

func TestTrackerIgnoresZeroProbe(t *testing.T) {
	t.Parallel()
	s := newScene(t, availability.TrackerConfig{Threshold: 1})
	s.tracker.Observe(connect.Probe{})
	s.tracker.Observe(connect.Probe{Class: connect.ClassUp})
	require.Contains(t, s.condition(availability.ConditionUnknown).String(), "Not probed yet")
}

func TestTrackerKeepsOngoingOutage(t *testing.T) {
	t.Parallel()
	s := newScene(t, availability.TrackerConfig{Threshold: 1, MaxOutages: 2, Retention: 24 * time.Hour})
	for range 5 {
		s.see(connect.ClassMaintenanceSuspected, 1)
		s.see(connect.ClassUp, 1)
	}
	require.Len(t, s.windows(), 2)
	require.Equal(t, minute(5), s.windows()[0].Start, "the newest are kept")
	s.now = s.now.Add(36 * time.Hour)
	s.see(connect.ClassUp, 1)
	require.Empty(t, s.windows())
	s.see(connect.ClassMaintenanceSuspected, 3*24*60)
	require.Len(t, s.windows(), 1)
}

func TestTrackerZeroValue(t *testing.T) {
	t.Parallel()
	var tracker availability.Tracker
	s := &scene{t: t, tracker: &tracker, now: epoch}
	s.see(connect.ClassUp, 2)
	s.condition(availability.ConditionUnknown)
	s.see(connect.ClassUp, 1)
	s.condition(availability.ConditionUp)
}

func TestNewTrackerRejectsConfig(t *testing.T) {
	t.Parallel()
	for says, cfg := range map[string]availability.TrackerConfig{
		"Threshold is -1":           {Threshold: -1},
		"MaxOutages and Retention":  {MaxOutages: -1},
		"IntervalUp, IntervalDown":  {IntervalDown: -1},
		"MaxGap is 1m0s":            {MaxGap: time.Minute},
		"must be longer than the i": {IntervalUp: time.Hour},
	} {
		_, err := availability.NewTracker(cfg)
		require.ErrorContains(t, err, says)
		require.ErrorContains(t, err, "availability: tracker: ")
	}
}

func TestTrackerWindowsOfARange(t *testing.T) {
	t.Parallel()
	s := newScene(t, byThreshold)
	s.see(connect.ClassMaintenanceSuspected, 5)
	s.see(connect.ClassUp, 5)
	for name, test := range map[string]struct {
		from, to int
		n        int
	}{
		"around": {-1, 20, 1}, "until its begin": {-10, 0, 0}, "from its end": {5, 10, 0},
		"its last instant": {4, 5, 1}, "backwards": {5, 0, 0}, "empty": {1, 1, 0},
	} {
		windows, err := s.tracker.Windows(t.Context(), minute(test.from), minute(test.to))
		require.NoError(t, err)
		require.Len(t, windows, test.n, name)
	}
}

func TestTrackerJSONRoundTrip(t *testing.T) {
	t.Parallel()
	s := newScene(t, byThreshold)
	s.see(connect.ClassUp, 3)
	s.see(connect.ClassMaintenanceSuspected, 4)
	s.see(connect.ClassUp, 3)
	s.see(connect.ClassUnavailable, 4)
	s.see(connect.ClassUp, 2) // not settled yet
	saved, err := json.Marshal(s.tracker)
	require.NoError(t, err)

	again := newScene(t, byThreshold)
	require.NoError(t, json.Unmarshal(saved, again.tracker))
	again.now = s.now
	require.Equal(t, s.tracker.Outages(), again.tracker.Outages())
	require.Equal(t, s.tracker.Status(s.now), again.tracker.Status(s.now))
	again.see(connect.ClassUp, 1)
	again.condition(availability.ConditionUp)
	require.Equal(t, minute(14), again.windows()[1].ActualEnd, "what was seen before the restart counts")
}

func TestTrackerReadsSavedFile(t *testing.T) {
	t.Parallel()
	saved := golden(t, "tracker.json")
	var tracker availability.Tracker
	require.NoError(t, json.Unmarshal([]byte(saved), &tracker))
	written, err := json.Marshal(&tracker)
	require.NoError(t, err)
	require.JSONEq(t, saved, string(written))
	require.Equal(t, availability.ConditionOutage, tracker.Status(minute(12)).Condition)
	require.Len(t, tracker.Outages(), 2)
}

func TestTrackerRejectsInvalidJSON(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ saved, says string }{
		"no JSON":           {`{`, "unexpected end"},
		"no format":         {`{}`, "has format 0"},
		"a later format":    {`{"format":2}`, "has format 2"},
		"a verdict of none": {`{"format":1,"connect":{"settled":"x"}}`, `connect settled is "x"`},
		"bad without outage": {`{"format":1,"network":{"settled":"bad"}}`,
			"network has an ongoing outage without being settled"},
		"an outage without begin": {
			`{"format":1,"outages":[{"id":"a"}]}`, "outages[0] has no first probe",
		},
		"an outage of negative length": {
			`{"format":1,"outages":[{"id":"a","first":"2026-01-02T00:00:00Z","last":"2026-01-02T00:00:00Z",` +
				`"end":"2026-01-01T00:00:00Z"}]}`,
			"outages[0] ends before it begins",
		},
		"an outage before the look that precedes it": {
			`{"format":1,"outages":[{"id":"a","lastUp":"2026-01-03T00:00:00Z","first":"2026-01-02T00:00:00Z",` +
				`"last":"2026-01-02T00:00:00Z"}]}`,
			"outages[0] was up after it began",
		},
		"an outage without end": {
			`{"format":1,"outages":[{"id":"a","first":"2026-01-02T00:00:00Z","last":"2026-01-02T00:00:00Z"}]}`,
			"outages[0] has no end",
		},
		"the same twice": {
			`{"format":1,"outages":[{"id":"a","first":"2026-01-02T00:00:00Z","last":"2026-01-02T00:00:00Z","end":"2026-01-03T00:00:00Z"},
			{"id":"a","first":"2026-01-02T00:00:00Z","last":"2026-01-02T00:00:00Z","end":"2026-01-03T00:00:00Z"}]}`, `repeats the id "a"`,
		},
		"an open outage without probes": {
			`{"format":1,"connect":{"settled":"bad","open":{"id":"a","first":"2026-01-02T00:00:00Z",` +
				`"last":"2026-01-02T00:00:00Z"}}}`, "without probes",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, availability.TrackerConfig{Threshold: 1})
			s.see(connect.ClassMaintenanceSuspected, 1)
			before := s.windows()
			err := s.tracker.UnmarshalJSON([]byte(test.saved))
			require.ErrorContains(t, err, "availability: saved tracker: ")
			require.ErrorContains(t, err, test.says)
			require.NotContains(t, err.Error(), "\n")
			require.Equal(t, before, s.windows())
		})
	}
}

// FuzzTracker: whatever is accepted can be gone on with, and is written as it was.
func FuzzTracker(f *testing.F) {
	s := availability.Tracker{}
	for i, class := range []connect.ProbeClass{"up", "up", "up", "unavailable", "unavailable", "unavailable", "up", "up",
		"up", "unreachable", "degraded"} {
		s.Observe(probeOf(class, minute(i)))
	}
	saved, err := json.Marshal(&s)
	require.NoError(f, err)
	f.Add(saved)
	f.Add([]byte(`{"format":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var tracker availability.Tracker
		if json.Unmarshal(data, &tracker) != nil {
			return
		}
		first, err := json.Marshal(&tracker)
		if err != nil {
			return // years that RFC 3339 cannot write
		}
		var again availability.Tracker
		require.NoError(t, json.Unmarshal(first, &again))
		second, err := json.Marshal(&again)
		require.NoError(t, err)
		require.JSONEq(t, string(first), string(second))
		for i := range 8 {
			tracker.Observe(probeOf(connect.ClassMaintenanceSuspected, minute(i)))
		}
		require.NotEmpty(t, tracker.Status(minute(9)).String())
		_, err = tracker.Windows(t.Context(), epoch, minute(9))
		require.NoError(t, err)
	})
}

// Whatever is seen, and whatever the clock does, windows are valid, of positive
// length, and only of times in which something answered in Connect's place.
func TestTrackerWindowProperties(t *testing.T) {
	t.Parallel()
	classes := []connect.ProbeClass{connect.ClassUp, connect.ClassMaintenanceSuspected, connect.ClassUnavailable,
		connect.ClassDegraded,
		connect.ClassUnreachable}
	rapid.Check(t, func(rt *rapid.T) {
		cfg := availability.TrackerConfig{Threshold: rapid.IntRange(1, 4).Draw(rt, "probes"), ThresholdTime: -1,
			MaxOutages: 20}
		tracker, err := availability.NewTracker(cfg)
		require.NoError(rt, err)
		now, steady := epoch, epoch
		answered := 0
		for range rapid.IntRange(0, 80).Draw(rt, "looks in all") {
			class := rapid.SampledFrom(classes).Draw(rt, "class")
			if class != connect.ClassUp && class != connect.ClassUnreachable {
				answered++
			}
			tracker.Observe(steadyAt(probeOf(class, now), steady))
			step := time.Duration(rapid.IntRange(0, 1200).Draw(rt, "seconds")) * time.Second
			now, steady = now.Add(step), steady.Add(step)
			now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 0, -3600, 3600, -1}).Draw(rt, "jump")) * time.Second)
		}
		windows, err := tracker.Windows(t.Context(), epoch.AddDate(-1, 0, 0), epoch.AddDate(1, 0, 0))
		require.NoError(rt, err)
		_, err = maintenance.NewCalendar(windows)
		require.NoError(rt, err, "valid, and no id twice")
		require.LessOrEqual(rt, len(windows)*cfg.Threshold, answered)
		require.LessOrEqual(rt, len(tracker.Outages()), 22)
		saved, err := json.Marshal(tracker)
		require.NoError(rt, err)
		require.NoError(rt, json.Unmarshal(saved, new(availability.Tracker)))
	})
}
