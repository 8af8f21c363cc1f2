package rest

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync/atomic"
)

// wire watches whether a try came so far as to have a connection. Before that,
// no byte of the request can have been written.
type wire struct {
	asked, connected atomic.Bool
	reused           atomic.Bool // the connection has served before
}

func (w *wire) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { w.asked.Store(true) },
		GotConn: func(c httptrace.GotConnInfo) {
			w.connected.Store(true)
			if c.Reused {
				w.reused.Store(true)
			}
		},
	})
}

// untouched reports whether it is certain that nothing was sent. A transport
// that does not report to httptrace (a mock, a wrapper that drops the context)
// proves nothing by its silence: then only a failed dial or name look-up counts.
//
// With TLS 1.3, a server refuses a client's certificate when the request may
// have been written already. It cannot have read it, since it checks certificates
// first; but that holds on a new connection only.
func (w *wire) untouched(err error) bool {
	trust, distrust := errors.AsType[*trustError](err)
	if distrust && !trust.remote {
		return true // this side ended the handshake, and sends nothing before its end
	}
	if w.connected.Load() {
		return distrust && !w.reused.Load()
	}
	if w.asked.Load() {
		return true
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	_, ok := errors.AsType[*net.DNSError](err)
	return ok
}
