package testkit

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"
)

// matchBody is how much of a body Fault.Contains looks at.
const matchBody = 64 << 10

// maintenancePage is what a gateway shows instead of the service behind it.
const maintenancePage = "<html><head><title>Maintenance</title></head>" +
	"<body><h1>We will be back soon</h1></body></html>\n"

// Faults is the set of faults that are injected into a handler. The first one that
// applies to a call decides, in the order of adding. The zero value is empty and ready
// for use; do not copy it. Safe for concurrent use.
type Faults struct {
	// Answer writes the answer of [FaultStatus] in the format of the test system. Nil
	// writes a line of text. Set it before use.
	Answer func(w http.ResponseWriter, r *http.Request, status int)

	mu     sync.Mutex
	active []*activeFault
}

type activeFault struct {
	fault   Fault
	matched int
	hits    int
}

// FaultCount is an injected fault and how often it was applied.
type FaultCount struct {
	Fault Fault `json:"fault"`
	Hits  int   `json:"hits"`
}

// Add injects a fault from now on, or reports why it is invalid.
func (s *Faults) Add(f Fault) error {
	if err := f.validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = append(s.active, &activeFault{fault: f})
	return nil
}

// Clear removes all faults and their counts.
func (s *Faults) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = nil
}

// Counts returns the faults in the order in which they were added, those that have
// used up their Times included.
func (s *Faults) Counts() []FaultCount {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make([]FaultCount, 0, len(s.active))
	for _, a := range s.active {
		counts = append(counts, FaultCount{Fault: a.fault, Hits: a.hits})
	}
	return counts
}

// Wrap returns a handler that calls h and applies the faults.
func (s *Faults) Wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f, ok := s.find(r); ok {
			s.apply(w, r, h, f)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// find returns the fault that applies to a call, and counts it.
func (s *Faults) find(r *http.Request) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var body []byte
	for _, a := range s.active {
		if a.fault.Contains != "" && body == nil {
			body = peek(r)
		}
		if a.fault.matches(r, body) && a.take() {
			return a.fault, true
		}
	}
	return Fault{}, false
}

// take counts a matching call and reports whether the fault applies to it.
func (a *activeFault) take() bool {
	a.matched++
	n := a.matched - a.fault.Skip - 1
	if n < 0 || n%max(a.fault.Every, 1) != 0 {
		return false
	}
	if a.fault.Times > 0 && a.hits >= a.fault.Times {
		return false
	}
	a.hits++
	return true
}

// peek reads the beginning of a body and puts it back. A read error is returned to
// the handler in its place.
func peek(r *http.Request) []byte {
	if r.Body == nil {
		return []byte{}
	}
	start, err := io.ReadAll(io.LimitReader(r.Body, matchBody))
	rest := io.Reader(r.Body)
	if err != nil {
		rest = failingReader{err}
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), rest), r.Body}
	return start
}

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

func (s *Faults) apply(w http.ResponseWriter, r *http.Request, h http.Handler, f Fault) {
	var done *httptest.ResponseRecorder
	if f.After || f.Kind == FaultTruncate {
		done = record(h, r)
		if !bytes.Contains(done.Body.Bytes(), []byte(f.Holds)) {
			replay(w, done, 1)
			return
		}
	}
	wait(r, f.Delay)
	switch f.Kind {
	case FaultDelay:
		if done != nil {
			replay(w, done, 1)
			return
		}
		h.ServeHTTP(w, r)
	case FaultTruncate:
		if done.Body.Len() == 0 {
			abort(w)
			return
		}
		replay(w, done, 2)
	case FaultReset:
		abort(w)
	case FaultHTML:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, maintenancePage) // the client may have gone
	case FaultStatus:
		s.status(w, r, f)
	}
}

func (s *Faults) status(w http.ResponseWriter, r *http.Request, f Fault) {
	if f.RetryAfter > 0 {
		seconds := (f.RetryAfter + time.Second - 1) / time.Second
		w.Header().Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	if s.Answer != nil {
		s.Answer(w, r, f.Status)
		return
	}
	http.Error(w, http.StatusText(f.Status), f.Status)
}

// wait waits for d, at most until the request is canceled.
func wait(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}

// abort closes the connection without an answer. A connection that cannot be hijacked
// is closed by the panic that net/http documents for this.
func abort(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if errors.Is(err, http.ErrNotSupported) {
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's own way to close a connection; see ErrAbortHandler
	}
	if err != nil {
		return // the connection is closed already
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // close with a reset
	}
	_ = conn.Close()
}
