package commercetest

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// Fault describes an error to inject: which HTTP calls it applies to, and what happens to them.
// Method, Path (with * for any text) and Contains (a text in the body) select calls; Skip lets the
// first ones pass, Every selects each n-th, and Times limits their number. Kind, Delay, Status and
// RetryAfter say what happens; with After the call is performed first, and Holds is a text that
// the answer must contain. In JSON, for example
//
//	{"method":"POST","path":"*/push","times":1,"kind":"reset","after":true}
//
// performs the next push and loses its answer.
type Fault = testkit.Fault

// FaultCount is an injected Fault and how often it was applied, Hits.
type FaultCount = testkit.FaultCount

// The kinds of faults.
const (
	FaultDelay    = testkit.FaultDelay    // delay by Delay, before the call is performed or, with After, afterwards
	FaultReset    = testkit.FaultReset    // close the connection without an answer
	FaultStatus   = testkit.FaultStatus   // answer with Status; 401 with Times 1 rejects a token once
	FaultTruncate = testkit.FaultTruncate // perform the call and send half of the answer
	FaultHTML     = testkit.FaultHTML     // answer 200 with an HTML page
)

// System is an in-process Commerce. As an http.Handler it serves all its APIs, at the
// paths that [URLsAt] returns. Safe for concurrent use.
type System struct {
	cfg  Config // mu guards PollInterval and StaleEventFor
	conn *connector

	faults testkit.Faults
	server testkit.Server
	ledger testkit.Ledger[Push]

	correlations atomic.Uint64
	shuffles     atomic.Uint64 // lists that were shuffled

	mu     sync.Mutex
	store  store
	events testkit.Scheduler[event]

	wake chan struct{} // wakes Run when an event was added
}

// New creates a System without orders. It starts no goroutine and no server. It returns
// an error if a setting is invalid.
func New(cfg Config) (*System, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &System{
		cfg: cfg,
		conn: &connector{
			base: cfg.ConnectURL, key: cfg.ConnectKey, http: cfg.ConnectHTTP,
			keepsWaiting: cfg.WaitingOrdersSurvive, texts: cfg.OutageTexts,
		},
		store:  newStore(cfg.Seed),
		events: testkit.Scheduler[event]{Stale: event.stale},
		wake:   make(chan struct{}, 1),
	}
	s.faults.Answer = s.faultAnswer
	s.server.Name, s.server.Handler = "commercetest", s.all()
	return s, nil
}

// ServeHTTP answers as the Order Management REST API, known from public programs
// (commerce/WIRE.md#2), and as the other APIs under their prefixes: see [URLsAt].
func (s *System) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.server.Handler.ServeHTTP(w, r) }

// Transport returns a transport that calls the System without a socket, whatever the
// host, so that it works in a testing/synctest bubble.
func (s *System) Transport() http.RoundTripper { return testkit.Transport(s) }

// Start serves all APIs on a free loopback port and returns the base URL of the Order
// Management, without /aps/2; [URLsAt] derives the others from it. It does
// not move orders: call [System.Step] or [System.Run] for that. Starting twice is an error.
func (s *System) Start() (baseURL string, err error) { return s.server.Start() }

// Close stops the server that Start started and closes open connections. The orders
// stay, and Start may be called again. Closing twice does nothing.
func (s *System) Close() error { return s.server.Close() }

// AddFault injects a fault into calls from now on, or reports why it is invalid.
func (s *System) AddFault(f Fault) error { return s.faults.Add(f) }

// ClearFaults removes all faults.
func (s *System) ClearFaults() { s.faults.Clear() }

// FaultCounts returns the injected faults and how often each was applied.
func (s *System) FaultCounts() []FaultCount { return s.faults.Counts() }

// SetTiming changes Config.PollInterval and Config.StaleEventFor from now on, with the same meaning
// of zero and negative values. A System that has replayed its past with the delays of a
// real one can then continue faster.
func (s *System) SetTiming(pollInterval, staleEventFor time.Duration) error {
	if pollInterval < 0 {
		return fmt.Errorf("commercetest: PollInterval %v must not be negative", pollInterval)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.PollInterval, s.cfg.StaleEventFor = pollInterval, staleEventOf(staleEventFor)
	return nil
}
