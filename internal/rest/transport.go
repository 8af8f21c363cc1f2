package rest

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// pushIdle is how long a connection for pushes may be idle. Servers that close idle connections
// early do so after 5 s (Apache, Node.js); if a server closes a connection during a push, it is
// unknown whether it read the push.
const pushIdle = 2 * time.Second

// readIdle is how long other connections may be idle, as in net/http. It is always set because
// users cannot close the idle connections of a copied transport.
const readIdle = 90 * time.Second

// maxIdle is how many connections may be idle: as many as a fast run has calls at once.
const maxIdle = 256

// httpClient returns a copy of the user's client and its transport, because they are modified
// and must not change after they were checked. idle limits how long connections may be idle. The
// client's Timeout is moved to [Config.Timeout]: if it ended a try, the request would seem to
// have failed before it was written.
func httpClient(given *http.Client, settings *tls.Config, idle time.Duration) *http.Client {
	c := &http.Client{}
	if given != nil {
		*c = *given
	}
	c.Transport = baseTransport(given, settings)
	if t, ok := c.Transport.(*http.Transport); ok {
		if t.IdleConnTimeout == 0 || t.IdleConnTimeout > idle {
			t.IdleConnTimeout = idle
		}
		countBytes(t)
	}
	c.Timeout = 0
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c
}

// baseTransport returns a copy of the user's transport or of http.DefaultTransport. Other types
// than *http.Transport cannot be copied.
func baseTransport(given *http.Client, settings *tls.Config) http.RoundTripper {
	if given != nil && given.Transport != nil {
		if t, ok := given.Transport.(*http.Transport); ok {
			return clone(t)
		}
		return given.Transport
	}
	t, ok := http.DefaultTransport.(*http.Transport)
	switch {
	case ok:
		t = clone(t)
	case settings == nil:
		return http.DefaultTransport
	default:
		t = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: 90 * time.Second}
	}
	t.MaxIdleConns, t.MaxIdleConnsPerHost = maxIdle, maxIdle // all calls go to one host
	if settings != nil {
		t.TLSClientConfig = settings.Clone()
	}
	return t
}

// clone copies a transport and keeps HTTP/2, which Transport.Clone loses if the copy gets a dialer.
func clone(t *http.Transport) *http.Transport {
	c := t.Clone()
	if _, ok := t.TLSNextProto["h2"]; ok && c.TLSNextProto == nil && c.Protocols == nil {
		c.ForceAttemptHTTP2 = true
	}
	return c
}

// countedConn is a connection that counts written bytes and reports its end.
type countedConn struct {
	net.Conn
	written atomic.Int64
	ended   chan struct{}
	end     func() // closes ended, once
}

func newCountedConn(conn net.Conn) *countedConn {
	c := &countedConn{Conn: conn, ended: make(chan struct{})}
	c.end = sync.OnceFunc(func() { close(c.ended) })
	return c
}

// Read also records the end.
func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.end()
	}
	return n, err
}

// Write also counts the written bytes.
func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

// Close also records the end.
func (c *countedConn) Close() error {
	c.end()
	return c.Conn.Close()
}

// endsWithin reports whether the connection has ended or ends within d.
func (c *countedConn) endsWithin(d time.Duration) bool {
	select {
	case <-c.ended:
		return true
	default:
	}
	if d <= 0 {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.ended:
		return true
	case <-timer.C:
		return false
	}
}

// countBytes wraps the connections of a transport in a countedConn, except those of DialTLS and
// DialTLSContext, because net/http expects a *tls.Conn from them.
func countBytes(t *http.Transport) {
	dial := t.DialContext
	if old := t.Dial; dial == nil && old != nil { //nolint:staticcheck // the user may have set it
		dial = func(_ context.Context, network, address string) (net.Conn, error) { return old(network, address) }
	}
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil || conn == nil {
			return conn, err
		}
		return newCountedConn(conn), nil
	}
}

// counted returns the countedConn below layers of TLS, or nil.
func counted(conn net.Conn) (found *countedConn, secure bool) {
	for {
		if c, ok := conn.(*countedConn); ok {
			return c, secure
		}
		outer, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil, secure
		}
		conn, secure = outer.NetConn(), true
	}
}
