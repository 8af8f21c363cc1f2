package ratelimit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
)

type counter struct {
	waits      int
	retryAfter time.Duration
	err        error
	blocked    bool
	ahead      map[string]time.Duration
}

func (c *counter) Wait(context.Context) error { c.waits++; return c.err }

func (c *counter) ReportRetryAfter(d time.Duration) { c.retryAfter += d }

func (c *counter) ReportDate(host string, server, local time.Time) {
	c.ahead = map[string]time.Duration{host: local.Sub(server)}
}

func (c *counter) Blocked() bool { return c.blocked }

func TestWaitCallsTheLimiterForEachRequestButTheFirst(t *testing.T) {
	t.Parallel()
	c := &counter{}
	ctx := ratelimit.With(t.Context(), c)
	require.NoError(t, ratelimit.Wait(ctx))
	require.Zero(t, c.waits)
	require.NoError(t, ratelimit.Wait(ctx))
	require.NoError(t, ratelimit.Wait(ctx))
	require.Equal(t, 2, c.waits)
	c.err = errors.New("not now")
	require.ErrorIs(t, ratelimit.Wait(ctx), c.err)
}

func TestReportRetryAfterIgnoresZero(t *testing.T) {
	t.Parallel()
	c := &counter{}
	ctx := ratelimit.With(t.Context(), c)
	ratelimit.ReportRetryAfter(ctx, time.Second)
	ratelimit.ReportRetryAfter(ctx, 0)
	require.Equal(t, time.Second, c.retryAfter)
}

func TestReportDateReachesTheLimiter(t *testing.T) {
	t.Parallel()
	c := &counter{}
	ratelimit.ReportDate(ratelimit.With(t.Context(), c), "a.example.net", time.Unix(0, 0), time.Unix(3600, 0))
	require.Equal(t, map[string]time.Duration{"a.example.net": time.Hour}, c.ahead)
}

func TestWaitWithoutLimiterReturnsAtOnce(t *testing.T) {
	t.Parallel()
	require.NoError(t, ratelimit.Wait(t.Context()))
	ratelimit.ReportRetryAfter(t.Context(), time.Second)
	ratelimit.ReportDate(t.Context(), "a.example.net", time.Unix(0, 0), time.Unix(3600, 0))
}

func TestWaitCallsTheLimiterForADelayedFirstRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &counter{}
		ctx := ratelimit.With(t.Context(), c)
		<-time.After(time.Second)
		require.NoError(t, ratelimit.Wait(ctx))
		require.Equal(t, 1, c.waits)
	})
}

func TestWaitCallsTheLimiterWhenBlocked(t *testing.T) {
	t.Parallel()
	c := &counter{}
	ctx := ratelimit.With(t.Context(), c)
	c.blocked = true
	require.NoError(t, ratelimit.Wait(ctx))
	require.Equal(t, 1, c.waits)
}
