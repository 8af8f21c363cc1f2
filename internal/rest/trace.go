package rest

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"
)

// errReplay is the error of a try that net/http or a transport tried to send again.
var errReplay = errors.New("the connection ended before an answer came; the request was not sent again")

// wire observes the connections of one try. It reports whether a byte of the request may have
// reached a server, and prevents lower layers from sending the request a second time: net/http
// does so when a connection or a stream ends (golang/go#47635), which would bypass MaxTries,
// the rate limit and Retry-After.
type wire struct {
	host string // of the request
	push bool   // the request must not be sent twice
	stop context.CancelCauseFunc

	mu         sync.Mutex
	asked      bool // a connection was requested
	connected  bool
	reused     bool         // the connection has served before
	conn       *countedConn // nil: not one of ours
	start      int64        // bytes written to conn before
	overhead   int64        // bytes that may be written to conn besides the request
	touched    bool         // a header was handed to the connection
	ours       bool         // with the host of the request: not a wrapper's request for a token
	sentBefore bool         // an earlier connection of this try took some of the request
	replayed   bool         // a second sending was stopped
}

func (w *wire) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:          func(string) { w.note(func() { w.asked = true }) },
		GotConn:          w.gotConn,
		WroteHeaderField: w.wroteField,
		WroteHeaders:     func() { w.note(func() { w.touched = true }) },
	})
}

func (w *wire) note(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// gotConn is called before the request is written to a connection, each time.
func (w *wire) gotConn(c httptrace.GotConnInfo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.touched && !w.unwritten() {
		w.sentBefore = true
		if w.ours {
			w.replayed = true
			w.stop(errReplay)
			// HTTP/2 checks the context before it writes. HTTP/1.1 does not, but its
			// connection carries no other request.
			if c.Conn != nil && !isHTTP2(c.Conn) {
				_ = c.Conn.Close()
			}
			return
		}
	}
	w.touched, w.ours = false, false
	w.connected, w.reused = true, c.Reused
	var secure bool
	w.conn, secure = counted(c.Conn)
	w.overhead = 0
	if w.conn != nil {
		w.start = w.conn.written.Load()
	}
	if w.conn == nil || isHTTP2(c.Conn) {
		return
	}
	if secure { // not with HTTP/2, whose requests can be as short
		w.overhead = closingAlert
	}
	if w.push && c.Reused && w.conn.endsWithin(settle-c.IdleTime) {
		_ = c.Conn.Close() // nothing is written to it then
	}
}

// wroteField is called before a header leaves the buffer. The host is among the first.
func (w *wire) wroteField(name string, values []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.touched = true
	if name == "Host" || name == ":authority" {
		w.ours = w.ours || !plainHost(w.host) || len(values) == 0 || strings.EqualFold(values[0], w.host)
	}
}

// plainHost reports whether net/http sends a host unchanged: it converts non-ASCII names and
// removes zones.
func plainHost(host string) bool {
	return !strings.ContainsFunc(host, func(r rune) bool { return r >= 0x80 || r == '%' })
}

// settle is how long a connection has been idle before a push is sent on it. A server that closes
// connections after an answer has usually done so by then.
const settle = 3 * time.Millisecond

// closingAlert is a number of bytes above that of the alert that ends a TLS connection, and
// below that of any HTTP/1.1 request.
const closingAlert = 64

// unwritten reports whether certainly nothing of the request was written to the current
// connection. With HTTP/1.1, headers may be buffered and not written.
func (w *wire) unwritten() bool {
	if w.conn == nil {
		return false
	}
	return !w.touched || w.conn.written.Load()-w.start <= w.overhead
}

// stopped reports whether a second sending was stopped.
func (w *wire) stopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.replayed
}

// stale reports whether a reused connection took nothing of the request, because the server had
// closed it.
func (w *wire) stale(ctx context.Context) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.connected && w.reused && w.nothingTaken(ctx)
}

// nothingTaken reports whether no connection took anything of the request. It is false after the
// context has ended, because an HTTP/2 stream may still be writing.
func (w *wire) nothingTaken(ctx context.Context) bool {
	return ctx.Err() == nil && !w.sentBefore && w.unwritten()
}

// untouched reports whether certainly nothing was sent. If a transport does not report to
// httptrace (a mock, a wrapper that drops the context), only a failed dial or name look-up
// proves that.
//
// With TLS 1.3, the request may have been written when a server rejects the client's
// certificate. On a new connection the server cannot have read it, because it checks
// certificates first.
func (w *wire) untouched(ctx context.Context, err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	trust, distrust := errors.AsType[*trustError](err)
	if distrust && !trust.remote {
		// The client ended the handshake, before which it sends nothing. But an earlier
		// connection of this try may have taken the request.
		return !w.sentBefore && (!w.touched || w.unwritten())
	}
	if w.connected {
		return distrust && !w.reused || w.nothingTaken(ctx)
	}
	if w.asked {
		return true
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}

func isHTTP2(conn net.Conn) bool {
	c, ok := conn.(interface{ ConnectionState() tls.ConnectionState })
	return ok && c.ConnectionState().NegotiatedProtocol == "h2"
}
