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

// errReplay is the error of a try that a layer below tried to send again.
var errReplay = errors.New("the connection ended before an answer came; the request was not sent again")

// wire observes the connections of one try. It reports whether a byte of the request
// may have reached a server, and stops a layer below from sending the request a second
// time: net/http does that on its own when a connection or a stream ends
// (golang/go#47635), which would bypass the tries, the rate limit and Retry-After.
type wire struct {
	host string // of the request
	push bool   // the request must not be sent twice
	stop context.CancelCauseFunc

	mu         sync.Mutex
	asked      bool // for a connection
	connected  bool
	reused     bool         // the connection has served before
	conn       *countedConn // nil: not one of ours
	start      int64        // what had been written to conn before
	overhead   int64        // what may be written to conn besides the request
	touched    bool         // a header was handed to the connection
	ours       bool         // with the host of the request, so it was not a wrapper's call for a token
	sentBefore bool         // touched on an earlier connection of this try
	replayed   bool         // stopped
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
			// HTTP/2 looks at the context before it writes. HTTP/1.1 does not, but
			// its connection carries no other request.
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
	if w.push && c.Reused && w.conn.endsWithin(settle) {
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

// plainHost reports whether a host is written as it is: net/http changes names
// outside ASCII and zones.
func plainHost(host string) bool {
	return !strings.ContainsFunc(host, func(r rune) bool { return r >= 0x80 || r == '%' })
}

// settle is how long a push waits on a connection that has served before. A server that
// closes connections after an answer has done so by then, as a rule.
const settle = 3 * time.Millisecond

// closingAlert is more than the alert with which TLS ends a connection, and less than any
// request of HTTP/1.1.
const closingAlert = 64

// unwritten reports whether it is certain that the connection at hand has taken
// nothing of the request. With HTTP/1.1 headers may be handed over and not be written.
func (w *wire) unwritten() bool {
	if w.conn == nil {
		return false
	}
	return !w.touched || w.conn.written.Load()-w.start <= w.overhead
}

// stopped reports whether the try was ended because something sent it again.
func (w *wire) stopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.replayed
}

// stale reports whether a connection that had served before took nothing of the
// request: the server had closed it in between.
func (w *wire) stale(ctx context.Context) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.connected && w.reused && w.nothingTaken(ctx)
}

// nothingTaken reports whether no connection of the try took any of the request. After
// the context has ended, a stream of HTTP/2 may still be writing.
func (w *wire) nothingTaken(ctx context.Context) bool {
	return ctx.Err() == nil && !w.sentBefore && w.unwritten()
}

// untouched reports whether it is certain that nothing was sent. A transport
// that does not report to httptrace (a mock, a wrapper that drops the context)
// proves nothing by its silence: then only a failed dial or name look-up counts.
//
// With TLS 1.3, a server refuses a client's certificate when the request may
// have been written already. It cannot have read it, since it checks certificates
// first; but that holds on a new connection only.
func (w *wire) untouched(ctx context.Context, err error) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	trust, distrust := errors.AsType[*trustError](err)
	if distrust && !trust.remote {
		// This side ended the handshake, and sends nothing before its end. An earlier
		// connection of this try may have taken the request, though.
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
