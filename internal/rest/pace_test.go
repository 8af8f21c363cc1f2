package rest_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// paced is a client that notes when its calls go out.
func paced(t *testing.T, perSecond float64, reply func(call int) (status int,
	retryAfter string)) (call func(context.Context) error, at func() []time.Duration) {
	t.Helper()
	pace, err := rest.NewPace(perSecond)
	require.NoError(t, err)
	began := time.Now()
	var mu sync.Mutex
	var times []time.Duration
	client, err := rest.New(rest.Config{BaseURL: "https://a.example", Pace: pace, MaxTries: 2, HTTP: &http.Client{
		Transport: testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			times = append(times, time.Since(began))
			status, after := reply(len(times))
			resp := &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Request: r}
			if after != "" {
				resp.Header.Set("Retry-After", after)
			}
			return resp, nil
		}),
	}})
	require.NoError(t, err)
	call = func(ctx context.Context) error {
		resp, err := client.Do(ctx, rest.Request{Op: "test", Method: http.MethodGet, Safety: rest.Read})
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	}
	return call, func() []time.Duration { return times }
}

func fine(int) (int, string) { return http.StatusNoContent, "" }

func TestPaceSpacesCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		call, at := paced(t, 3, fine)
		var wg sync.WaitGroup
		for range 7 {
			wg.Go(func() { _ = call(t.Context()) })
		}
		wg.Wait()
		require.Len(t, at(), 7)
		for i, when := range at() {
			require.GreaterOrEqual(t, when, time.Duration(i)*time.Second/3)
			require.Less(t, when, time.Duration(i)*time.Second/3+time.Microsecond)
		}
		<-time.After(time.Minute) // a rest is no credit
		before := time.Now()
		require.NoError(t, call(t.Context()))
		require.NoError(t, call(t.Context()))
		require.GreaterOrEqual(t, time.Since(before), time.Second/3)
	})
}

func TestPaceHonorsRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		call, at := paced(t, 0, func(n int) (int, string) {
			if n == 1 {
				return http.StatusTooManyRequests, "10"
			}
			return fine(n)
		})
		var wg sync.WaitGroup
		wg.Go(func() { _ = call(t.Context()) })
		synctest.Wait()
		for range 3 {
			wg.Go(func() { _ = call(t.Context()) })
		}
		wg.Wait()
		require.Equal(t, []time.Duration{0, 10 * time.Second, 10 * time.Second, 10 * time.Second, 10 * time.Second}, at())
	})
}

func TestPaceRejectsLongPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		call, at := paced(t, 0, func(n int) (int, string) {
			if n == 1 {
				return http.StatusServiceUnavailable, "3600"
			}
			return fine(n)
		})
		require.Error(t, call(t.Context()))
		err := call(t.Context())
		require.ErrorContains(t, err, "not sent: an answer to another call asked to wait, 1h0m0s more")
		e, ok := errors.AsType[*rest.Error](err)
		require.True(t, ok)
		require.True(t, e.NotSent)
		require.False(t, e.Local)
		require.Equal(t, time.Hour, e.RetryAfter)
		require.Len(t, at(), 1)
		<-time.After(time.Hour)
		require.NoError(t, call(t.Context()))
	})
}

func TestPaceHonorsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		call, at := paced(t, 0.1, fine)
		require.NoError(t, call(t.Context()))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := call(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		e, ok := errors.AsType[*rest.Error](err)
		require.True(t, ok)
		require.True(t, e.NotSent && e.Local)
		require.Len(t, at(), 1)
	})
}

func TestNewPaceRejectsBadRates(t *testing.T) {
	t.Parallel()
	for _, perSecond := range []float64{-1, 1e-9, 1e9} {
		_, err := rest.NewPace(perSecond)
		require.ErrorContains(t, err, "calls a second are not between")
	}
}

// slowLimiter gives a call its turn after a while.
type slowLimiter time.Duration

func (s slowLimiter) Wait(ctx context.Context) error {
	select {
	case <-time.After(time.Duration(s)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
func (slowLimiter) ReportRetryAfter(time.Duration)          {}
func (slowLimiter) ReportDate(string, time.Time, time.Time) {}
func (slowLimiter) Blocked() bool                           { return true }

// A look-up of two pages at a rate of a call in 50 seconds failed, because the wait for
// the second page counted as time without an answer.
func TestRateLimitMayWaitLongerThanATry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		call, at := paced(t, 0, fine)
		require.NoError(t, call(ratelimit.With(t.Context(), slowLimiter(10*time.Minute))))
		require.Equal(t, []time.Duration{10 * time.Minute}, at())

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, call(ratelimit.With(ctx, slowLimiter(10*time.Minute))), context.DeadlineExceeded)
		require.Len(t, at(), 1, "a call whose context has ended is not sent")
	})
}
