//go:build unix

package sqljournal_test

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// proxy is the network between the processes and the server of their database.
type proxy struct {
	dir    string // has a socket as the directory of the server has
	target string // the socket of the server

	mu    sync.Mutex
	conns map[net.Conn]bool
	until time.Time // no connection works before
}

func startProxy(t *testing.T, target, socket string) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "proxy") //nolint:usetesting // the path of a socket must be short
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	p := &proxy{dir: dir, target: filepath.Join(target, socket), conns: make(map[net.Conn]bool)}
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(dir, socket))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(context.WithoutCancel(t.Context()), c)
		}
	}()
	return p
}

// serve connects a process with the server.
func (p *proxy) serve(ctx context.Context, c net.Conn) {
	defer c.Close()
	p.mu.Lock()
	down := time.Until(p.until)
	p.mu.Unlock()
	if down > 0 {
		time.Sleep(min(down, time.Second)) // it looks as if the server were slow
		return
	}
	s, err := new(net.Dialer).DialContext(ctx, "unix", p.target)
	if err != nil {
		return
	}
	defer s.Close()
	p.mu.Lock()
	p.conns[c] = true
	p.mu.Unlock()
	go func() {
		_, _ = io.Copy(s, c)
		_ = s.Close() // ends the other copy
	}()
	_, _ = io.Copy(c, s)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// disconnect cuts all connections, and lets no other one work for some time. A nil proxy does nothing.
func (p *proxy) disconnect(d time.Duration) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = time.Now().Add(d)
	for c := range p.conns {
		_ = c.Close()
	}
}
