package wiretest

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Mode is how a request fails.
type Mode struct {
	Name string
	// Slow is set if there is no answer: the client must time out.
	Slow bool

	http1 func(c net.Conn, r *bufio.Reader) // the connection is closed afterwards
	http2 func(w io.Writer, stream uint32) (hangUp bool)
	early bool // http2 is called after the headers, before the body
}

// Modes returns all modes of a protocol.
func Modes(protocol string) []Mode {
	if protocol == HTTP2 {
		return http2Modes()
	}
	return http1Modes()
}

func http1Modes() []Mode {
	after := func(name, answer string) Mode {
		return Mode{Name: name, http1: func(c net.Conn, r *bufio.Reader) {
			readRequest(r)
			_, _ = io.WriteString(c, answer)
		}}
	}
	return []Mode{
		{Name: "closed before reading", http1: func(net.Conn, *bufio.Reader) {}},
		{Name: "closed after the headers", http1: func(_ net.Conn, r *bufio.Reader) { _, _ = http.ReadRequest(r) }},
		after("closed after the request", ""),
		{Name: "reset after the request", http1: func(c net.Conn, r *bufio.Reader) {
			readRequest(r)
			reset(c)
		}},
		after("half a status line", "HTTP/1.1 2"),
		after("half the headers", "HTTP/1.1 200 OK\r\nContent-Le"),
		after("half a body", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"),
		after("a timeout of the server", "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
		{Name: "no answer", Slow: true, http1: func(_ net.Conn, r *bufio.Reader) {
			readRequest(r)
			_, _ = io.Copy(io.Discard, r)
		}},
	}
}

func readRequest(r *bufio.Reader) {
	if req, err := http.ReadRequest(r); err == nil {
		_, _ = io.Copy(io.Discard, req.Body)
	}
}

// reset closes a connection with a TCP reset.
func reset(c net.Conn) {
	if outer, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = outer.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
		_ = t.Close()
	}
}

func http2Modes() []Mode {
	var all []Mode
	add := func(name string, end func(w io.Writer, stream uint32) bool) {
		all = append(all, Mode{Name: name, http2: end})
	}
	for code := range uint32(14) {
		add(fmt.Sprintf("RST_STREAM(%d)", code), func(w io.Writer, stream uint32) bool {
			resetStream(w, stream, code)
			return false
		})
	}
	early := func(name string, end func(w io.Writer, stream uint32) bool) {
		all = append(all, Mode{Name: name, early: true, http2: end})
	}
	for _, code := range []uint32{1, 7} {
		early(fmt.Sprintf("RST_STREAM(%d) before the body", code), func(w io.Writer, stream uint32) bool {
			resetStream(w, stream, code)
			return false
		})
	}
	for _, code := range []uint32{0, 1, 2, 11} {
		add(fmt.Sprintf("GOAWAY(%d), request processed", code), func(w io.Writer, stream uint32) bool {
			goAway(w, stream, code)
			return true
		})
		add(fmt.Sprintf("GOAWAY(%d), request not processed", code), func(w io.Writer, _ uint32) bool {
			goAway(w, 0, code)
			return true
		})
		add(fmt.Sprintf("GOAWAY(%d), connection open, reset", code), func(w io.Writer, stream uint32) bool {
			goAway(w, stream, code)
			resetStream(w, stream, 1)
			return false
		})
	}
	add("closed after the request", func(io.Writer, uint32) bool { return true })
	early("closed after the headers", func(io.Writer, uint32) bool { return true })
	add("closed after the headers of the answer", func(w io.Writer, stream uint32) bool {
		headers(w, stream)
		return true
	})
	add("half a body", func(w io.Writer, stream uint32) bool {
		headers(w, stream)
		frame(w, 0, 0, stream, []byte("{"))
		return true
	})
	add("half a body and RST_STREAM(1)", func(w io.Writer, stream uint32) bool {
		headers(w, stream)
		frame(w, 0, 0, stream, []byte("{"))
		resetStream(w, stream, 1)
		return false
	})
	all = append(all, Mode{Name: "no answer", Slow: true, http2: func(io.Writer, uint32) bool { return false }})
	return all
}

// The frames of RFC 9113 that the server uses.
const (
	frameData     = 0
	frameHeaders  = 1
	frameReset    = 3
	frameSettings = 4
	framePing     = 6
	frameGoAway   = 7

	flagEndStream  = 1 // of data and headers
	flagAck        = 1 // of settings and ping
	flagEndHeaders = 4
)

func frame(w io.Writer, kind, flags byte, stream uint32, payload []byte) {
	head := make([]byte, 9, 9+len(payload))
	binary.BigEndian.PutUint32(head, uint32(len(payload))<<8|uint32(kind)) //nolint:gosec // small
	head[4] = flags
	binary.BigEndian.PutUint32(head[5:], stream)
	_, _ = w.Write(append(head, payload...))
}

// headers starts an answer with status 200, which is 0x88 in HPACK.
func headers(w io.Writer, stream uint32) {
	frame(w, frameHeaders, flagEndHeaders, stream, []byte{0x88})
}

func resetStream(w io.Writer, stream, code uint32) {
	frame(w, frameReset, 0, stream, binary.BigEndian.AppendUint32(nil, code))
}

func goAway(w io.Writer, last, code uint32) {
	frame(w, frameGoAway, 0, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), code))
}
