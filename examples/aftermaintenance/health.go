package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"
)

// serveHealth answers 200 on /livez at the address of -health while the program works, until stop is called.
func (s *site) serveHealth(ctx context.Context) (stop func(), err error) {
	if s.options.health == "" {
		return func() {}, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.options.health)
	if err != nil {
		return nil, fmt.Errorf("-health: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		if _, err := s.dir.Status(); err != nil {
			http.Error(w, "the state directory cannot be read", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 10 * time.Second, MaxHeaderBytes: 1 << 14}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener) // until stop
	}()
	fmt.Fprintf(s.notes().Out, "Liveness: http://%s/livez\n", listener.Addr())
	return func() {
		_ = server.Close() // nobody waits for an answer any more
		<-done
	}, nil
}
