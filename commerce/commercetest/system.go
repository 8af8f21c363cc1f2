package commercetest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// Fault is a call that goes wrong: which (Method, Path with * for any text,
// Contains, Skip, Every, Times) and how (Kind, After, Delay, Status,
// RetryAfter). In JSON, for example
//
//	{"method":"POST","path":"*/push","times":1,"kind":"reset","after":true}
//
// loses the answer to the next push after it was done.
type Fault = testkit.Fault

// FaultCount is a fault and how often it has hit.
type FaultCount = testkit.FaultCount

// The kinds of faults.
const (
	FaultDelay    = testkit.FaultDelay    // wait for Delay; with After, after the action
	FaultReset    = testkit.FaultReset    // close the connection without an answer
	FaultStatus   = testkit.FaultStatus   // answer with Status; 401 with Times 1 is a token refused once
	FaultTruncate = testkit.FaultTruncate // do it, and send half of the answer
	FaultHTML     = testkit.FaultHTML     // answer 200 with an HTML page
)

// System is a small Commerce. It is an http.Handler with all its APIs, at the
// paths that URLsAt tells. Safe for concurrent use.
type System struct {
	cfg  Config // mu guards Poll and OldEvent
	conn *connector

	faults testkit.Faults
	face   http.Handler

	correlations atomic.Uint64
	shuffles     atomic.Uint64 // lists that were shuffled

	mu         sync.Mutex
	store      store
	agenda     agenda
	ledger     []Call
	violations []Violation

	wake chan struct{} // tells Run that something new may be due

	serverMu sync.Mutex
	server   *http.Server
}

// New makes a System without orders. It starts nothing.
func New(cfg Config) (*System, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &System{
		cfg:   cfg,
		conn:  &connector{base: cfg.ConnectURL, key: cfg.ConnectKey, http: cfg.ConnectHTTP, heals: cfg.AsyncHeals, texts: cfg.OutageTexts},
		store: newStore(cfg.Seed),
		wake:  make(chan struct{}, 1),
	}
	s.faults.Answer = s.spoilt
	s.face = s.all()
	return s, nil
}

// ServeHTTP answers as the Order Management REST API, known from public programs
// (commerce/WIRE.md#2), and under their prefixes as the others: see URLsAt.
func (s *System) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.face.ServeHTTP(w, r) }

// Transport reaches the System without a socket, whatever the host: for tests in
// a bubble of testing/synctest.
func (s *System) Transport() http.RoundTripper { return testkit.Transport(s) }

// AddFault makes calls go wrong from now on, or says why the fault cannot work.
func (s *System) AddFault(f Fault) error { return s.faults.Add(f) }

// ClearFaults ends all faults.
func (s *System) ClearFaults() { s.faults.Clear() }

// FaultCounts lists the faults and how often each has hit.
func (s *System) FaultCounts() []FaultCount { return s.faults.Counts() }

// SetTiming changes Config.Poll and Config.OldEvent from now on, with the same
// meaning of zero and negative values: a world whose past was played by the
// clock of the real systems can then go on faster.
func (s *System) SetTiming(poll, oldEvent time.Duration) error {
	if poll < 0 {
		return fmt.Errorf("commercetest: Poll %v must not be negative", poll)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.Poll, s.cfg.OldEvent = poll, oldEventOf(oldEvent)
	return nil
}

// Start serves all APIs on a free loopback port and returns the base URL, which is
// that of the Order Management and ends before /aps/2; URLsAt makes the others of
// it. It does not drive the orders: call Step or Run for that.
func (s *System) Start() (baseURL string, err error) {
	s.serverMu.Lock()
	defer s.serverMu.Unlock()
	if s.server != nil {
		return "", fmt.Errorf("commercetest: started already; call Close first")
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("commercetest: listen on loopback: %w", err)
	}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func(server *http.Server) { _ = server.Serve(l) }(s.server) // it ends, with an error by design, when Close is called
	return "http://" + l.Addr().String(), nil
}

// Close ends the serving that Start began, open connections included. The
// orders stay, and Start may be called again. Closing twice is no error.
func (s *System) Close() error {
	s.serverMu.Lock()
	defer s.serverMu.Unlock()
	if s.server == nil {
		return nil
	}
	server := s.server
	s.server = nil
	if err := server.Close(); err != nil {
		return fmt.Errorf("commercetest: close: %w", err)
	}
	return nil
}
