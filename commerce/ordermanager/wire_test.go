package ordermanager_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
)

// These tests use real sockets: what happens when a connection goes stale is up to
// net/http.

func TestPushOverStaleConnectionIsSentAtMostOnce(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	arrived := map[string]int{}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		mu.Lock()
		arrived[r.URL.Path]++
		n := len(arrived)
		mu.Unlock()
		if n%3 == 0 { // handled, and then the connection goes without an answer
			if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = conn.Close()
			}
		}
	}))
	var conns []net.Conn
	server.Config.ConnState = func(c net.Conn, s http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		if s == http.StateIdle {
			conns = append(conns, c)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := ordermanager.New(server.URL, ordermanager.Token(token),
		ordermanager.WithHTTPClient(&http.Client{Transport: transport}))
	require.NoError(t, err)
	failed := 0
	for i := range 300 {
		if i%2 == 0 { // while the client takes one of them for a good one
			go func() {
				mu.Lock()
				defer mu.Unlock()
				for _, conn := range conns {
					_ = conn.Close()
				}
				conns = nil
			}()
		}
		id := fmt.Sprintf("order-%d", i)
		err := c.Push(t.Context(), id, commerce.StatusPaid)
		mu.Lock()
		n := arrived["/aps/2/services/order-manager/orders/"+id+"/push"]
		mu.Unlock()
		require.LessOrEqual(t, n, 1, "a push must never be replayed")
		if err == nil {
			require.Equal(t, 1, n)
			continue
		}
		failed++
		e := commerceError(t, err)
		require.NotEqual(t, commerce.DeliveryRefused, e.Delivery)
		if e.Delivery == commerce.DeliveryNotSent {
			require.Zero(t, n)
		}
	}
	require.Positive(t, failed)
}

func TestCompressedAnswerIsLimited(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		_, _ = io.WriteString(zip, "[")
		_, _ = io.WriteString(zip, strings.Repeat(" ", 8<<20))
		_ = zip.Close()
	}))
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := ordermanager.New(server.URL, ordermanager.Token(token), ordermanager.WithMaxBody(1<<20),
		ordermanager.WithMaxWait(time.Millisecond), ordermanager.WithHTTPClient(&http.Client{Transport: transport}))
	require.NoError(t, err)
	_, err = collect(t.Context(), c, commerce.Query{})
	require.ErrorContains(t, err, "longer than 1048576 bytes")
}
