package connecttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// Fault is a call that goes wrong: which (Method, Path with * for any text,
// Contains, Skip, Every, Times) and how (Kind, After, Delay, Status,
// RetryAfter). In JSON, for example
//
//	{"method":"POST","path":"*/requests","times":1,"kind":"reset","after":true}
//
// loses the answer to the next request that is created.
type Fault = testkit.Fault

// FaultCount is a fault and how often it has hit.
type FaultCount = testkit.FaultCount

// The kinds of faults.
const (
	FaultDelay    = testkit.FaultDelay    // wait for Delay; with After, after the action
	FaultReset    = testkit.FaultReset    // close the connection without an answer
	FaultStatus   = testkit.FaultStatus   // answer with Status; 401 with Times 1 is a key refused once
	FaultTruncate = testkit.FaultTruncate // do it, and send half of the answer
	FaultHTML     = testkit.FaultHTML     // answer 200 with an HTML page
)

// System is a small Connect. It is an [http.Handler] that serves the API under
// /public/v1. Safe for concurrent use.
type System struct {
	cfg    Config
	faults testkit.Faults
	face   http.Handler

	requests table[*request]
	assets   table[*asset]

	mu          sync.Mutex
	store       store
	agenda      agenda
	maintenance bool
	upSince     time.Time // when the last maintenance ended
	forbidden   []string
	healthCheck time.Time
	ledger      []Call
	violations  []Violation

	serverMu sync.Mutex
	server   *http.Server
}

// New makes a System without requests. It starts nothing.
func New(cfg Config) *System {
	s := &System{cfg: cfg.withDefaults()}
	s.store = newStore(s.cfg.Seed)
	s.requests, s.assets = s.requestTable(), s.assetTable()
	if s.cfg.ShuffleTies {
		random := rand.New(rand.NewPCG(s.cfg.Seed, 1)) // used with the System locked
		s.requests.shuffle = func(rows []*request) {
			random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		}
	}
	s.faults.Answer = s.faultAnswer
	s.face = s.faults.Wrap(s.routes())
	return s
}

// ServeHTTP answers as Connect does.
func (s *System) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.face.ServeHTTP(w, r) }

// Transport reaches the System without a socket, whatever the host: for tests in
// a bubble of testing/synctest. The base URL still ends in /public/v1.
func (s *System) Transport() http.RoundTripper { return testkit.Transport(s) }

// Start serves on a free loopback port and returns the base URL, which ends in
// /public/v1.
func (s *System) Start() (baseURL string, err error) {
	s.serverMu.Lock()
	defer s.serverMu.Unlock()
	if s.server != nil {
		return "", errors.New("connecttest: started already; call Close first")
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("connecttest: listen on loopback: %w", err)
	}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func(server *http.Server) { _ = server.Serve(l) }(s.server) // it ends, with an error by design, when Close is called
	return "http://" + l.Addr().String() + basePath, nil
}

// Close ends the serving that Start began, open connections included. The
// requests stay, and Start may be called again. Closing twice is no error.
func (s *System) Close() error {
	s.serverMu.Lock()
	defer s.serverMu.Unlock()
	if s.server == nil {
		return nil
	}
	server := s.server
	s.server = nil
	if err := server.Close(); err != nil {
		return fmt.Errorf("connecttest: close: %w", err)
	}
	return nil
}

// SetMaintenance begins or ends a maintenance. While it lasts every answer is a
// 502 with an HTML page and without Connect-Version. The 502 is from CloudBlue's code, the rest is
// inferred (connect/WIRE.md#7.1); vendors, who need Connect too, wait.
func (s *System) SetMaintenance(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if on && !s.maintenance {
		s.process(now) // what was due before it began was still done
	}
	if !on && s.maintenance {
		s.upSince = now
	}
	s.maintenance = on
}

// InMaintenance reports whether a maintenance is on.
func (s *System) InMaintenance() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.maintenance
}

// Forbid takes from the key the permission for paths that begin with any of the
// prefixes, such as "/requests", given below /public/v1: they answer 403, as
// when a token lacks the module. No prefix permits everything again.
func (s *System) Forbid(prefixes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forbidden = slices.Clone(prefixes)
}

// Touch records a health check of the hub now, as a Commerce that works does every 305 s, by the
// connector's code (connect/WIRE.md#0.7).
func (s *System) Touch() { s.SetHealthCheck(s.now()) }

// SetHealthCheck sets the hub's last_health_check. Zero is null, the state of a
// hub that has never called.
func (s *System) SetHealthCheck(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.healthCheck = at.UTC()
}

// AddFault makes calls go wrong from now on, or says why the fault cannot work.
func (s *System) AddFault(f Fault) error { return s.faults.Add(f) }

// ClearFaults ends all faults.
func (s *System) ClearFaults() { s.faults.Clear() }

// FaultCounts lists the faults and how often each has hit.
func (s *System) FaultCounts() []FaultCount { return s.faults.Counts() }

// now is the clock in UTC, as precise as Connect's time stamps.
func (s *System) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// permits reports whether the key may use a path.
func (s *System) permits(path string) bool {
	return !slices.ContainsFunc(s.forbidden, func(prefix string) bool {
		return strings.HasPrefix(path, basePath+prefix)
	})
}
