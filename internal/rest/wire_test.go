package rest_test

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Hurry()
	goleak.VerifyTestMain(m)
}

// These tests use real sockets: what is known after a connection breaks depends
// on net/http itself.

func wireClient(t *testing.T, url string) *rest.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := rest.New(rest.Config{
		BaseURL: url, HTTP: &http.Client{Transport: transport}, MaxWait: time.Millisecond, Timeout: 5 * time.Second,
	})
	require.NoError(t, err)
	return c
}

func TestRefusedConnectionMeansNotSent(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = wireClient(t, "http://"+l.Addr().String()).Do(t.Context(), post)
	require.True(t, restError(t, err).NotSent)
}

func TestFailedHandshakeMeansNotSent(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains about the handshake, rightly
	server.StartTLS()
	t.Cleanup(server.Close)
	_, err := wireClient(t, server.URL).Do(t.Context(), post)
	e := restError(t, err)
	require.True(t, e.NotSent)
	require.ErrorContains(t, err, "certificate")
	require.Zero(t, calls.Load())
}

func TestResetAfterTheRequest(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if calls.Add(1) == 1 {
			return // a good answer, so that the second request goes over a used connection
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}))
	t.Cleanup(server.Close)
	c := wireClient(t, server.URL)
	resp, err := c.Do(t.Context(), post)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	_, err = c.Do(t.Context(), post)
	require.False(t, restError(t, err).NotSent)
	require.EqualValues(t, 2, calls.Load(), "nothing replays an unsafe request")

	withKey := post
	withKey.Header = http.Header{"Idempotency-Key": {"1"}}
	_, err = c.Do(t.Context(), withKey)
	require.Error(t, err)
	require.EqualValues(t, 3, calls.Load(), "not even with a key that makes net/http think it may")
}

func TestTimeoutAfterTheRequest(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err := wireClient(t, server.URL).Do(ctx, post)
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, restError(t, err).NotSent)
}

func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("bad") {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, `{"a":"`+string(make([]byte, 1000))+`"}`)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c := wireClient(t, server.URL)
	bad := get
	bad.RawQuery = "bad"
	for range 3 {
		_, err := c.Do(t.Context(), bad)
		require.Error(t, err)
		resp, err := c.Do(t.Context(), get)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close(), "closed without being read")
	}
	require.EqualValues(t, 1, connections.Load())
}
