package availability_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// script is a prober that answers by the time that has passed.
type script struct {
	began time.Time
	looks []time.Duration
	class func(since time.Duration) connect.ProbeClass
	wait  time.Duration // Retry-After
}

func (s *script) Probe(ctx context.Context) (connect.Probe, error) {
	if s.began.IsZero() {
		s.began = time.Now()
	}
	since := time.Since(s.began)
	s.looks = append(s.looks, since)
	p := probeOf(s.class(since), time.Now().UTC())
	if p.Err != nil && s.wait > 0 {
		p.Err = &connect.Error{Op: "probe", RetryAfter: s.wait}
	}
	return p, ctx.Err()
}

// downBetween is up, but not from one time to another.
func downBetween(from, to time.Duration, class connect.ProbeClass) func(time.Duration) connect.ProbeClass {
	return func(since time.Duration) connect.ProbeClass {
		if since >= from && since < to {
			return class
		}
		return connect.ClassUp
	}
}

func TestRunIntervals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tracker, err := availability.NewTracker(availability.TrackerConfig{})
		require.NoError(t, err)
		s := &script{class: downBetween(time.Hour, 3*time.Hour, connect.ClassMaintenanceSuspected)}
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Hour)
		defer cancel()
		began := time.Now().UTC()
		require.ErrorIs(t, tracker.Run(ctx, s), context.DeadlineExceeded)

		require.Zero(t, s.looks[0], "at once")
		for i, at := range s.looks[:len(s.looks)-1] {
			gap := s.looks[i+1] - at
			switch {
			case at > 5*time.Minute && at < 58*time.Minute, at > 182*time.Minute:
				require.InDelta(t, 60, gap.Seconds(), 12)
			case at > 62*time.Minute && at < 179*time.Minute:
				require.InDelta(t, 20, gap.Seconds(), 4)
			}
		}
		windows, err := tracker.Windows(t.Context(), began, began.Add(5*time.Hour))
		require.NoError(t, err)
		require.Len(t, windows, 1)
		require.WithinDuration(t, began.Add(time.Hour), windows[0].ActualStart, 72*time.Second)
		require.WithinDuration(t, began.Add(3*time.Hour), windows[0].ActualEnd, 24*time.Second)
		require.Equal(t, availability.ConditionUp, tracker.Status(time.Now()).Condition)
	})
}

func TestRunIntervalInAnnouncedWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		tracker, err := availability.NewTracker(availability.TrackerConfig{Calendar: oneWindow(t, began.Add(time.Hour),
			began.Add(2*time.Hour))})
		require.NoError(t, err)
		s := &script{class: func(time.Duration) connect.ProbeClass { return connect.ClassUp }}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		require.ErrorIs(t, tracker.Run(ctx, s), context.DeadlineExceeded)
		in := 0
		for _, at := range s.looks {
			if at >= time.Hour && at < 2*time.Hour {
				in++
			}
		}
		require.InDelta(t, 180, in, 20)
		require.InDelta(t, 300, len(s.looks), 40)
	})
}

func TestRunHonorsRetryAfter(t *testing.T) {
	t.Parallel()
	for asked, want := range map[time.Duration]time.Duration{2 * time.Minute: 2 * time.Minute,
		time.Hour: 5 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{class: func(time.Duration) connect.ProbeClass { return connect.ClassUnavailable }, wait: asked}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
			defer cancel()
			require.ErrorIs(t, new(availability.Tracker).Run(ctx, s), context.DeadlineExceeded)
			require.Equal(t, want, s.looks[2]-s.looks[1])
		})
	}
}

func TestRunOnceUntilContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		client := clientOver(t, hang)
		var tracker availability.Tracker
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- tracker.Run(ctx, client) }()
		synctest.Wait()
		require.ErrorContains(t, tracker.Run(ctx, client), "already running")

		<-time.After(5 * time.Minute) // each look has its own time
		status := tracker.Status(time.Now())
		require.Equal(t, availability.ConditionUnreachable, status.Condition)
		cancel() // in the middle of a look
		require.ErrorIs(t, <-ended, context.Canceled)
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, tracker.Run(ctx, client), context.Canceled, "and it may run again")
	})
}

// blind is a prober that learns nothing.
type blind struct{}

func (blind) Probe(context.Context) (connect.Probe, error) {
	return connect.Probe{}, errors.New("the adapter is broken")
}

func TestRunContinuesAfterFailedProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		tracker, err := availability.NewTracker(availability.TrackerConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, tracker.Run(ctx, blind{}), context.DeadlineExceeded)
		require.Contains(t, log.String(), "the adapter is broken")
		require.Equal(t, availability.ConditionUnknown, tracker.Status(time.Now()).Condition)
	})
}

func TestProbeServerTime(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"a good answer": 200, "a maintenance": 502} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := clientOver(t, responding(func() *http.Response {
				resp := answer(status, "")
				resp.Header.Set("Date", "Sat, 10 Jan 2026 02:00:00 GMT")
				return resp
			}))
			p, err := client.Probe(t.Context())
			require.NoError(t, err)
			require.Equal(t, epoch, p.ServerTime)
		})
	}
	transport := httpmock.NewMockTransport()
	transport.RegisterNoResponder(httpmock.NewErrorResponder(io.ErrUnexpectedEOF))
	p, err := clientOver(t, transport).Probe(t.Context())
	require.NoError(t, err)
	require.Zero(t, p.ServerTime)
}
