package availability_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
)

// always is down for good.
func always(class connect.ProbeClass) func(time.Duration) connect.ProbeClass {
	return func(time.Duration) connect.ProbeClass { return class }
}

func TestWaitUntilUpLimits(t *testing.T) {
	t.Parallel()
	mixed := func(since time.Duration) connect.ProbeClass {
		if since < 2*time.Hour {
			return connect.ClassMaintenanceSuspected
		}
		return connect.ClassUnavailable
	}
	for name, test := range map[string]struct {
		class func(time.Duration) connect.ProbeClass
		cfg   availability.WaitConfig
		up    bool
		most  time.Duration // it ends by then, and at the earliest at least
		least time.Duration
	}{
		"up at once: three looks": {always(connect.ClassUp), availability.WaitConfig{}, true, 10 * time.Second,
			10 * time.Second},
		"one look, if that is enough": {always(connect.ClassUp), availability.WaitConfig{Threshold: 1}, true, 0, 0},
		"a maintenance of two hours": {downBetween(0, 2*time.Hour, connect.ClassMaintenanceSuspected),
			availability.WaitConfig{}, true, 2*time.Hour + 6*time.Minute, 2 * time.Hour},
		"a maintenance without end": {always(connect.ClassMaintenanceSuspected), availability.WaitConfig{}, false,
			3 * time.Hour, 3 * time.Hour},
		"a gateway without end": {always(connect.ClassUnavailable), availability.WaitConfig{}, false,
			15 * time.Minute, 15 * time.Minute},
		"a network that is gone": {always(connect.ClassUnreachable), availability.WaitConfig{}, false,
			15 * time.Minute, 15 * time.Minute},
		"an error of its own": {always(connect.ClassDegraded), availability.WaitConfig{OtherTimeout: time.Minute},
			false, time.Minute, time.Minute},
		"first a maintenance, then a gateway": {mixed, availability.WaitConfig{}, false, 2*time.Hour + 20*time.Minute,
			2*time.Hour + 10*time.Minute},
		"a budget without end": {downBetween(0, 30*time.Hour, connect.ClassMaintenanceSuspected),
			availability.WaitConfig{MaintenanceTimeout: -1}, true, 31 * time.Hour, 30 * time.Hour},
		"up, down and up again is not up yet": {downBetween(8*time.Second, 9*time.Minute, connect.ClassUnavailable),
			availability.WaitConfig{}, true, 15 * time.Minute, 9 * time.Minute},
		"a shorter delay looks closer to back": {downBetween(0, time.Hour, connect.ClassMaintenanceSuspected),
			availability.WaitConfig{MaxDelay: 20 * time.Second}, true, time.Hour + 31*time.Second, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &script{class: test.class}
				began := time.Now()
				seen, err := availability.WaitUntilUp(t.Context(), s, test.cfg)
				took := time.Since(began)
				require.GreaterOrEqual(t, took, test.least)
				require.LessOrEqual(t, took, test.most)
				require.Equal(t, test.up, seen.Up)
				require.Equal(t, took, seen.Elapsed)
				require.Zero(t, seen.Next)
				looks := 0
				for _, n := range seen.Probes {
					looks += n
				}
				require.Len(t, s.looks, looks)
				if test.up {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, connect.ErrUnavailable)
				require.ErrorContains(t, err, "availability: wait until up: unavailable: gave up: still waiting for Connect after ")
				require.NotContains(t, err.Error(), "\n")
			})
		})
	}
}

func TestWaitUntilUpBacksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{class: always(connect.ClassMaintenanceSuspected)}
		seen, err := availability.WaitUntilUp(t.Context(), s, availability.WaitConfig{})
		require.Error(t, err)
		require.Equal(t, 3*time.Hour, seen.MaintenanceTime)
		require.Zero(t, seen.OtherTime)
		for i := range len(s.looks) - 1 {
			require.LessOrEqual(t, s.looks[i+1]-s.looks[i], 5*time.Minute)
		}
		require.Greater(t, len(s.looks), 36, "three hours of five minutes at most")
		require.Less(t, len(s.looks), 250)
	})
}

func TestWaitUntilUpHonorsRetryAfter(t *testing.T) {
	t.Parallel()
	for asked, want := range map[time.Duration]time.Duration{90 * time.Second: 90 * time.Second,
		time.Hour: 5 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{class: always(connect.ClassUnavailable), wait: asked}
			_, err := availability.WaitUntilUp(t.Context(), s, availability.WaitConfig{})
			require.Error(t, err)
			require.Equal(t, want, s.looks[1])
			require.Equal(t, 15*time.Minute, s.looks[len(s.looks)-1])
		})
	}
}

func TestWaitUntilUpEndsWithContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &script{class: always(connect.ClassMaintenanceSuspected)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		seen, err := availability.WaitUntilUp(ctx, s, availability.WaitConfig{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, connect.ErrUnavailable)
		require.Equal(t, time.Hour, seen.Elapsed)
		require.Equal(t, connect.ClassMaintenanceSuspected, seen.Last.Class)
		require.Positive(t, seen.Probes[connect.ClassMaintenanceSuspected])
	})
}

func TestWaitUntilUpReportsProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var told []availability.WaitResult
		var tracker availability.Tracker
		s := &script{class: downBetween(0, 10*time.Minute, connect.ClassMaintenanceSuspected)}
		seen, err := availability.WaitUntilUp(t.Context(), s, availability.WaitConfig{
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Progress: func(w availability.WaitResult) {
				told = append(told, w)
				tracker.Observe(w.Last)
			},
		})
		require.NoError(t, err)
		require.Len(t, told, len(s.looks))
		require.Equal(t, seen, told[len(told)-1])
		require.Equal(t, map[connect.ProbeClass]int{connect.ClassMaintenanceSuspected: 1}, told[0].Probes, "its own count")
		require.Positive(t, told[0].Next)
		require.Equal(t, len(s.looks), bytes.Count(log.Bytes(), []byte("waiting for Connect")))
		require.Len(t, tracker.Outages(), 1)
		require.True(t, tracker.Status(time.Now()).Up())
	})
}

func TestWaitUntilUpCountsFailedProbeAsUnreachable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen, err := availability.WaitUntilUp(t.Context(), blind{}, availability.WaitConfig{})
		require.ErrorIs(t, err, connect.ErrUnavailable)
		require.ErrorContains(t, err, "the adapter is broken")
		require.Equal(t, 15*time.Minute, seen.OtherTime)
	})
}

func TestWaitUntilUpRejectsConfig(t *testing.T) {
	t.Parallel()
	for _, cfg := range []availability.WaitConfig{{MaxDelay: 1}, {Threshold: -1}, {ProbeTimeout: -1}} {
		_, err := availability.WaitUntilUp(t.Context(), blind{}, cfg)
		require.ErrorContains(t, err, "availability: wait until up: MaxDelay must be at least 1s")
	}
}

func TestWaitUntilUpWithTestSystem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sys, client := system(t)
		sys.SetMaintenance(true)
		time.AfterFunc(90*time.Minute, func() { sys.SetMaintenance(false) })
		seen, err := availability.WaitUntilUp(t.Context(), client, availability.WaitConfig{})
		require.NoError(t, err)
		require.GreaterOrEqual(t, seen.Elapsed, 90*time.Minute)
		require.LessOrEqual(t, seen.Elapsed, 96*time.Minute)
		require.Equal(t,
			fmt.Sprintf("Connect is up after %s (maintenance %s, other reasons 0s; probes: 3 up, %d maintenance suspected)",
				seen.Elapsed.Round(time.Second), seen.MaintenanceTime.Round(time.Second),
				seen.Probes[connect.ClassMaintenanceSuspected]),
			seen.String())
	})
}
