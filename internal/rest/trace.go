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
type wire struct{ asked, connected atomic.Bool }

func (w *wire) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { w.asked.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { w.connected.Store(true) },
	})
}

// untouched reports whether it is certain that nothing was sent. A transport
// that does not report to httptrace (a mock, a wrapper that drops the context)
// proves nothing by its silence: then only a failed dial or name look-up counts.
func (w *wire) untouched(err error) bool {
	if w.connected.Load() {
		return false
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
