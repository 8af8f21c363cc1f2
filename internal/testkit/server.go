package testkit

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server serves the handler of a test system on loopback. Set Name and Handler before
// use; do not copy it. Safe for concurrent use.
type Server struct {
	Name    string // starts the errors
	Handler http.Handler

	mu     sync.Mutex
	server *http.Server
}

// Start listens on a free loopback port and returns the base URL. It fails if the
// server is running already.
func (s *Server) Start() (baseURL string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return "", fmt.Errorf("%s: started already; call Close first", s.Name)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("%s: listen on loopback: %w", s.Name, err)
	}
	s.server = &http.Server{Handler: s.Handler, ReadHeaderTimeout: 10 * time.Second}
	go func(server *http.Server) { _ = server.Serve(l) }(s.server) // Close makes it return an error
	return "http://" + l.Addr().String(), nil
}

// Close stops the server and closes open connections. The server may be started
// again. Closing a server that is not running does nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil {
		return nil
	}
	server := s.server
	s.server = nil
	if err := server.Close(); err != nil {
		return fmt.Errorf("%s: close: %w", s.Name, err)
	}
	return nil
}
