package rest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/internal/rest"
)

func TestExpiringTokenIsReplacedInTime(t *testing.T) {
	t.Parallel()
	for life, kept := range map[time.Duration]time.Duration{
		time.Hour:        55 * time.Minute,
		25 * time.Minute: 20 * time.Minute,
		5 * time.Minute:  4 * time.Minute,
		time.Second:      800 * time.Millisecond,
	} {
		t.Run(life.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fetched := 0
				auth, err := rest.ExpiringTokenAuth("APS-Token", func(context.Context) (string, time.Duration, error) {
					fetched++
					<-time.After(100 * time.Millisecond) // the life counts from the asking
					return fmt.Sprintf("t%d", fetched), life, nil
				})
				require.NoError(t, err)
				apply := func() string {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.net", nil)
					require.NoError(t, err)
					require.NoError(t, auth.Apply(t.Context(), r))
					return r.Header.Get("APS-Token")
				}
				require.Equal(t, "t1", apply())
				<-time.After(kept - 100*time.Millisecond - 1)
				require.Equal(t, "t1", apply())
				<-time.After(1)
				require.Equal(t, "t2", apply())
			})
		})
	}
	_, err := rest.ExpiringTokenAuth("APS-Token", nil)
	require.ErrorContains(t, err, "the token function is missing")
}

func TestFailedRenewalIsRetriedByNextCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := false
		auth, err := rest.ExpiringTokenAuth("APS-Token", func(context.Context) (string, time.Duration, error) {
			if broken {
				return "", 0, errors.New("vault is sealed")
			}
			return "t", time.Minute, nil
		})
		require.NoError(t, err)
		c, calls := client(t, wants("t"), withAuth(auth))
		_, err = c.JSON(t.Context(), get, nil)
		require.NoError(t, err)
		broken = true
		<-time.After(time.Minute)
		_, err = c.JSON(t.Context(), get, nil)
		require.ErrorContains(t, err, "vault is sealed")
		require.True(t, restError(t, err).Local)
		broken = false
		_, err = c.JSON(t.Context(), get, nil)
		require.NoError(t, err)
		require.EqualValues(t, 2, calls.Load())
	})
}

func TestTooManyRequestsWithoutRetryAfter(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		status int
		header string
		want   time.Duration
	}{{429, "", time.Minute}, {429, "7", 7 * time.Second}, {429, "0", 0}, {503, "", 0}} {
		c, _ := client(t, func(int, *http.Request) (*http.Response, error) {
			resp := status(tc.status, "")
			if tc.header != "" {
				resp.Header.Set("Retry-After", tc.header)
			}
			return resp, nil
		}, func(cfg *rest.Config) { cfg.Busy = time.Minute })
		_, err := c.Do(t.Context(), post)
		require.Equal(t, tc.want, restError(t, err).RetryAfter)
	}
}

func TestShortSecretsOfABodyAreRemoved(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	c, _ := client(t, func(int, *http.Request) (*http.Response, error) {
		return withHeader(status(400, "no user with pw1"), "X-Echo", "pw1"), nil
	}, func(cfg *rest.Config) {
		cfg.Logger = slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	req := post
	req.Secrets = []string{"", "pw1"}
	_, err := c.JSON(t.Context(), req, nil)
	e := restError(t, err)
	require.Equal(t, "no user with [redacted]", string(e.Body))
	require.NotContains(t, fmt.Sprint(err, e.Header, logged.String()), "pw1")
}
