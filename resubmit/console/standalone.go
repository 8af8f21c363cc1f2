package console

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/user"
	"strconv"
	"strings"
	"time"
)

// Standalone is a console for the person who started it, on an address of this machine.
type Standalone struct {
	console  *Console
	handler  http.Handler
	listener net.Listener
	url      string
}

// Listen makes a console for the user of this process, who may do everything, and listens on a loopback address such
// as 127.0.0.1:0. Authorize, Hosts and TrustedOrigins of the configuration are not used. Call [Standalone.Serve] next.
func Listen(ctx context.Context, address string, cfg Config) (*Standalone, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("console: listen on %s: %w", address, err)
	}
	s, err := standalone(listener, cfg)
	if err != nil {
		_ = listener.Close() // err says more
		return nil, err
	}
	return s, nil
}

func standalone(listener net.Listener, cfg Config) (*Standalone, error) {
	addr, ok := listener.Addr().(*net.TCPAddr)
	if !ok || !addr.IP.IsLoopback() {
		return nil, fmt.Errorf("console: %s is not a loopback address, so others could use it; listen on 127.0.0.1, or "+
			"mount the console in a service with a sign-in", listener.Addr())
	}
	port := strconv.Itoa(addr.Port)
	cfg.Hosts = []string{addr.String(), "localhost:" + port}
	if port == "80" {
		cfg.Hosts = append(cfg.Hosts, addr.IP.String(), "localhost")
	}
	cfg.TrustedOrigins = nil
	name := "the user of this process"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	cfg.Authorize = func(*http.Request, Action) (string, error) { return name, nil }
	c, err := New(cfg)
	if err != nil {
		return nil, err
	}
	c.session = newSession("cloudblue-console-" + port)
	url := "http://" + addr.String() + "/login?token=" + c.session.link
	return &Standalone{console: c, handler: c.private(), listener: listener, url: url}, nil
}

// private serves the console below the secret path of its session, and the login. Everything else is not found.
func (c *Console) private() http.Handler {
	mux := http.NewServeMux()
	mux.Handle(c.session.path, http.StripPrefix(strings.TrimSuffix(c.session.path, "/"), c))
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) {
		err := c.guard.admit(w, r)
		if err == nil {
			err = c.session.login(w, r.URL.Query().Get("token"))
		}
		if p := problemOf(err); p != nil {
			http.Error(w, p.text, p.status)
		}
	})
	return mux
}

// URL returns the address to open in a browser. It is valid once and for five minutes. It is a secret: print it to a
// terminal, never to a log.
func (s *Standalone) URL() string { return s.url }

// Serve serves the console until ctx ends. Then the plan that it applies is interrupted; [state.Dir.Once] continues it.
func (s *Standalone) Serve(ctx context.Context) error {
	server := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 2 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 1 << 16,
	}
	stop := context.AfterFunc(ctx, func() {
		s.console.Close() // ends event streams
		late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if server.Shutdown(late) != nil {
			_ = server.Close()
		}
	})
	defer stop()
	defer s.console.Close()
	if err := server.Serve(s.listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("console: serve: %w", err)
	}
	return nil
}
