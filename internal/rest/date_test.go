package rest_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
	"github.com/cloudblue-go/cloudblue/internal/rest"
)

// dates is a limiter that keeps what is reported of the clocks of servers.
type dates struct {
	slowLimiter
	ahead map[string]time.Duration
}

func (d *dates) ReportDate(host string, server, local time.Time) {
	d.ahead[host] = local.Sub(server)
}

func TestDateOfAnswersIsReported(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) string { return time.Now().Add(d).UTC().Format(http.TimeFormat) }
	for name, test := range map[string]struct {
		status int
		header func() map[string]string
		want   time.Duration
		none   bool
	}{
		"an answer":            {200, func() map[string]string { return map[string]string{"Date": at(-time.Hour)} }, time.Hour, false},
		"a refusal":            {403, func() map[string]string { return map[string]string{"Date": at(time.Hour)} }, -time.Hour, false},
		"no date":              {200, func() map[string]string { return nil }, 0, true},
		"a date of the future": {200, func() map[string]string { return map[string]string{"Date": "tomorrow"} }, 0, true},
		"an answer from a cache": {200, func() map[string]string {
			return map[string]string{"Date": at(-3 * time.Hour), "Age": "10800"}
		}, 0, false},
		"an age that cannot be read": {200, func() map[string]string {
			return map[string]string{"Date": at(-3 * time.Hour), "Age": "old"}
		}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, _ := client(t, func(int, *http.Request) (*http.Response, error) {
					<-time.After(2 * time.Second)
					resp := status(test.status, "1")
					for k, v := range test.header() {
						resp.Header.Set(k, v)
					}
					<-time.After(2 * time.Second)
					return resp, nil
				})
				d := &dates{ahead: map[string]time.Duration{}}
				_, _ = c.JSON(ratelimit.With(t.Context(), d), rest.Request{Op: "push", Method: http.MethodPost}, nil)
				if test.none {
					require.Empty(t, d.ahead)
					return
				}
				require.Len(t, d.ahead, 1)
				for _, ahead := range d.ahead {
					require.InDelta(t, test.want.Seconds(), ahead.Seconds(), 0.5)
				}
				_, _ = c.JSON(context.WithoutCancel(t.Context()), get, nil) // without a limiter
			})
		})
	}
}

// The local clock is an hour ahead.
func TestRetryAfterIsRelativeToTheDateOfTheAnswer(t *testing.T) {
	t.Parallel()
	server := time.Now().Add(-time.Hour).UTC()
	for retryAfter, want := range map[time.Duration]time.Duration{20 * time.Second: 20 * time.Second, -time.Minute: 0} {
		c, _ := client(t, func(int, *http.Request) (*http.Response, error) {
			resp := withHeader(status(503, ""), "Retry-After", server.Add(retryAfter).Format(http.TimeFormat))
			return withHeader(resp, "Date", server.Format(http.TimeFormat)), nil
		})
		_, err := c.Do(t.Context(), post)
		require.Equal(t, want, restError(t, err).RetryAfter)
	}
}
