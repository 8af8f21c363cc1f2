package wiretest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// The protocols.
const (
	HTTP1    = "HTTP/1.1"
	HTTP1TLS = "HTTP/1.1, TLS"
	HTTP2    = "HTTP/2"
)

// Server answers every request with the same body until Fail is called. Safe for
// concurrent use.
type Server struct {
	URL string
	TLS *tls.Config // with which clients trust the server; nil without TLS

	answer string
	done   sync.WaitGroup

	mu      sync.Mutex
	mode    *Mode
	good    int  // requests that are answered before the mode applies
	closing bool // close every connection after its answer, without announcing it
	seen    int  // since Fail
	conns   map[net.Conn]bool
}

// certificate returns that of httptest, for example.com, and a pool that trusts it.
var certificate = sync.OnceValues(func() ([]tls.Certificate, *x509.CertPool) {
	donor := httptest.NewTLSServer(nil)
	defer donor.Close()
	pool := x509.NewCertPool()
	pool.AddCert(donor.Certificate())
	return donor.TLS.Certificates, pool
})

// New starts a server, which stops at the end of the test.
func New(t testing.TB, protocol, answer string) *Server {
	t.Helper()
	s := &Server{answer: answer, conns: map[net.Conn]bool{}}
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.URL = "http://" + l.Addr().String()
	if protocol != HTTP1 {
		certificates, pool := certificate()
		s.URL = "https://" + l.Addr().String()
		s.TLS = &tls.Config{RootCAs: pool, ServerName: "example.com", MinVersion: tls.VersionTLS12}
		server := &tls.Config{Certificates: certificates, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
		if protocol == HTTP2 {
			server.NextProtos = []string{"h2"}
		}
		l = tls.NewListener(l, server)
	}
	talk := s.http1
	if protocol == HTTP2 {
		talk = s.http2
	}
	s.done.Go(func() { s.accept(l, talk) })
	t.Cleanup(func() {
		_ = l.Close()
		s.closeAll()
		s.done.Wait()
	})
	return s
}

// Fail makes requests fail from now on, after some that are still answered, and resets
// the count of Seen.
func (s *Server) Fail(mode Mode, after int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mode, s.good, s.seen = &mode, after, 0
}

// CloseAfterAnswer closes every connection right after its answer, without announcing
// it, like a server whose keep-alive timeout has just expired. HTTP/1.1 only.
func (s *Server) CloseAfterAnswer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
}

// Seen returns how many requests the server began to read since Fail that it did not
// answer.
func (s *Server) Seen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

func (s *Server) accept(l net.Listener, talk func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		s.done.Go(func() {
			talk(c)
			_ = c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

func (s *Server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

// begin is called for each request; nil means that it is to be answered.
func (s *Server) begin() *Mode {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mode == nil || s.good > 0 {
		s.good = max(0, s.good-1)
		return nil
	}
	s.seen++
	return s.mode
}

func (s *Server) http1(c net.Conn) {
	r := bufio.NewReader(c)
	for {
		if _, err := r.Peek(1); err != nil {
			return
		}
		if mode := s.begin(); mode != nil {
			mode.http1(c, r)
			return
		}
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(s.answer), s.answer)
		s.mu.Lock()
		closing := s.closing
		s.mu.Unlock()
		if closing {
			return
		}
	}
}

// http2 implements the part of HTTP/2 that clients need to send requests, one at a time.
func (s *Server) http2(c net.Conn) {
	r := bufio.NewReader(c)
	const preface = 24
	if _, err := r.Discard(preface); err != nil {
		return
	}
	frame(c, frameSettings, 0, 0, nil)
	var mode *Mode
	for {
		var head [9]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		payload := make([]byte, binary.BigEndian.Uint32(head[:])>>8)
		if _, err := io.ReadFull(r, payload); err != nil {
			return
		}
		kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:])
		switch {
		case kind == frameSettings && flags&flagAck == 0:
			frame(c, frameSettings, flagAck, 0, nil)
		case kind == framePing && flags&flagAck == 0:
			frame(c, framePing, flagAck, 0, payload)
		case kind == frameHeaders:
			mode = s.begin()
			if mode != nil && mode.early && mode.http2(c, stream) {
				return
			}
		}
		if (kind == frameHeaders || kind == frameData) && flags&flagEndStream != 0 {
			if s.endOfRequest(c, mode, stream) {
				return
			}
		}
	}
}

// endOfRequest is called when a request was read completely.
func (s *Server) endOfRequest(c net.Conn, mode *Mode, stream uint32) (hangUp bool) {
	switch {
	case mode == nil:
		headers(c, stream)
		frame(c, frameData, flagEndStream, stream, []byte(s.answer))
		return false
	case mode.early:
		return false
	default:
		return mode.http2(c, stream)
	}
}
