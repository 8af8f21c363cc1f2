package connecttest

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// Fault describes an error to inject: which HTTP calls it applies to, and what happens to them.
// Method, Path (with * for any text) and Contains (a text in the body) select calls; Skip lets the
// first ones pass, Every selects each n-th, and Times limits their number. Kind, Delay, Status and
// RetryAfter say what happens; with After the call is performed first, and Holds is a text that
// the answer must contain. In JSON, for example
//
//	{"method":"POST","path":"*/requests","times":1,"kind":"reset","after":true}
//
// creates the next request and loses the answer.
type Fault = testkit.Fault

// FaultCount is an injected Fault and how often it was applied, Hits.
type FaultCount = testkit.FaultCount

// The kinds of faults.
const (
	FaultDelay    = testkit.FaultDelay    // delay by Delay, before the call is performed or, with After, afterwards
	FaultReset    = testkit.FaultReset    // close the connection without an answer
	FaultStatus   = testkit.FaultStatus   // answer with Status; 401 with Times 1 rejects a key once
	FaultTruncate = testkit.FaultTruncate // perform the call and send half of the answer
	FaultHTML     = testkit.FaultHTML     // answer 200 with an HTML page
)

// System is an in-process Connect. It is an [http.Handler] that serves the API under
// /public/v1. Safe for concurrent use.
type System struct {
	cfg    Config
	faults testkit.Faults
	server testkit.Server
	ledger testkit.Ledger[Change]

	requests list[*request]
	assets   list[*asset]

	mu          sync.Mutex
	store       store
	events      testkit.Scheduler[event]
	maintenance bool
	upSince     time.Time // when the last maintenance ended
	forbidden   []string
	healthCheck time.Time
}

// New creates a System without requests. It starts no goroutine and no server.
func New(cfg Config) *System {
	s := &System{cfg: cfg.withDefaults(), events: testkit.Scheduler[event]{Stale: event.stale}}
	s.store = newStore(s.cfg.Seed)
	s.requests, s.assets = s.requestList(), s.assetList()
	if s.cfg.ShuffleTies {
		random := rand.New(rand.NewPCG(s.cfg.Seed, 1)) // guarded by mu
		s.requests.shuffle = func(rows []*request) {
			random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		}
	}
	s.faults.Answer = s.faultAnswer
	s.server.Name, s.server.Handler = "connecttest", s.faults.Wrap(s.routes())
	return s
}

// ServeHTTP answers as Connect does.
func (s *System) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.server.Handler.ServeHTTP(w, r) }

// Transport returns a transport that calls the System without a socket, whatever the
// host, so that it works in a testing/synctest bubble. The base URL still ends in /public/v1.
func (s *System) Transport() http.RoundTripper { return testkit.Transport(s) }

// Start serves on a free loopback port and returns the base URL, which ends in
// /public/v1. Starting twice is an error.
func (s *System) Start() (baseURL string, err error) {
	baseURL, err = s.server.Start()
	if err != nil {
		return "", err
	}
	return baseURL + basePath, nil
}

// Close stops the server that Start started and closes open connections. The requests
// stay, and Start may be called again. Closing twice does nothing.
func (s *System) Close() error { return s.server.Close() }

// SetMaintenance begins or ends a maintenance. During it every answer is a 502 with an
// HTML page and without Connect-Version. The 502 is from CloudBlue's code, the rest is
// inferred (connect/WIRE.md#7.1). Vendors, who need Connect too, wait.
func (s *System) SetMaintenance(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if on && !s.maintenance {
		s.process(now) // events that were due before it began
	}
	if !on && s.maintenance {
		s.upSince = now
	}
	s.maintenance = on
}

// InMaintenance reports whether a maintenance is in progress.
func (s *System) InMaintenance() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.maintenance
}

// DenyPaths makes paths that begin with any of the prefixes answer 403, as for a key
// without permission for the module. A prefix is relative to /public/v1, such as
// "/requests". Each call replaces the earlier prefixes; none permits everything.
func (s *System) DenyPaths(prefixes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forbidden = slices.Clone(prefixes)
}

// TouchHealthCheck sets the hub's last_health_check to now, as a running Commerce does every
// 305 s by the connector's code (connect/WIRE.md#0.7).
func (s *System) TouchHealthCheck() { s.SetHealthCheck(s.now()) }

// SetHealthCheck sets the hub's last_health_check. The zero time means null, as for a
// hub that has never called.
func (s *System) SetHealthCheck(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.healthCheck = at.UTC()
}

// AddFault injects a fault into calls from now on, or reports why it is invalid.
func (s *System) AddFault(f Fault) error { return s.faults.Add(f) }

// ClearFaults removes all faults.
func (s *System) ClearFaults() { s.faults.Clear() }

// FaultCounts returns the injected faults and how often each was applied.
func (s *System) FaultCounts() []FaultCount { return s.faults.Counts() }

// now is the time in UTC, with the precision of Connect's time stamps.
func (s *System) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Microsecond) }

// permits reports whether the key may use a path.
func (s *System) permits(path string) bool {
	return !slices.ContainsFunc(s.forbidden, func(prefix string) bool {
		return strings.HasPrefix(path, basePath+prefix)
	})
}
