package faults

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// matchBody is how much of a body Fault.Contains looks at.
const matchBody = 64 << 10

// page is what a gateway shows instead of the service behind it.
const page = "<html><head><title>Maintenance</title></head><body><h1>We will be back soon</h1></body></html>\n"

// Set is the faults that are switched on. The zero value has none and is ready
// for use; do not copy it. Safe for concurrent use.
type Set struct {
	// Answer writes the answer of a fault of the kind [Status], in the manner of
	// the system that is spoilt. Nil writes a line of text. Set it before use.
	Answer func(w http.ResponseWriter, r *http.Request, status int)

	mu     sync.Mutex
	active []*counter
}

// counter is a fault and what it has seen.
type counter struct {
	fault   Fault
	matched int
	hits    int
}

// Count is a fault and how often it has hit.
type Count struct {
	Fault Fault `json:"fault"`
	Hits  int   `json:"hits"`
}

// Add switches a fault on, or says what is wrong with it.
func (s *Set) Add(f Fault) error {
	if err := f.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = append(s.active, &counter{fault: f})
	return nil
}

// Clear switches all faults off and forgets their counts.
func (s *Set) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = nil
}

// Counts lists the faults in the order in which they were added, those that have
// used up their Times included.
func (s *Set) Counts() []Count {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make([]Count, 0, len(s.active))
	for _, c := range s.active {
		counts = append(counts, Count{Fault: c.fault, Hits: c.hits})
	}
	return counts
}

// Wrap returns a handler that misbehaves as the set says, and else calls h.
func (s *Set) Wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, hit := s.due(r)
		if !hit {
			h.ServeHTTP(w, r)
			return
		}
		s.spoil(w, r, h, f)
	})
}

// due finds the fault that hits this call, and counts it.
func (s *Set) due(r *http.Request) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var body []byte
	for _, c := range s.active {
		if c.fault.Contains != "" && body == nil {
			body = peek(r)
		}
		if c.fault.matches(r, body) && c.take() {
			return c.fault, true
		}
	}
	return Fault{}, false
}

// take counts a matching call and reports whether the fault hits it.
func (c *counter) take() bool {
	c.matched++
	n := c.matched - c.fault.Skip - 1
	if n < 0 || n%max(c.fault.Every, 1) != 0 {
		return false
	}
	if c.fault.Times > 0 && c.hits >= c.fault.Times {
		return false
	}
	c.hits++
	return true
}

// peek reads the beginning of a body and puts it back. A body that cannot be
// read is left to the handler to fail on.
func peek(r *http.Request) []byte {
	if r.Body == nil {
		return []byte{}
	}
	start, err := io.ReadAll(io.LimitReader(r.Body, matchBody))
	rest := io.Reader(r.Body)
	if err != nil {
		rest = failed{err}
	}
	r.Body = body{Reader: io.MultiReader(bytes.NewReader(start), rest), Closer: r.Body}
	return start
}

type body struct {
	io.Reader
	io.Closer
}

type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }

// spoil plays one fault.
func (s *Set) spoil(w http.ResponseWriter, r *http.Request, h http.Handler, f Fault) {
	var done *recorder
	if f.After || f.Kind == Truncate {
		done = record(h, r)
		if !bytes.Contains(done.body, []byte(f.Holds)) {
			done.replay(w, len(done.body))
			return
		}
	}
	wait(r, f.Delay)
	switch f.Kind {
	case Delay:
		if done != nil {
			done.replay(w, len(done.body))
			return
		}
		h.ServeHTTP(w, r)
	case Truncate:
		if len(done.body) == 0 {
			abort(w)
			return
		}
		done.replay(w, len(done.body)/2)
	case Reset:
		abort(w)
	case HTML:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, page) // a client that has gone is no concern here
	case Status:
		s.status(w, r, f)
	}
}

func (s *Set) status(w http.ResponseWriter, r *http.Request, f Fault) {
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

// wait ends with the request at the latest.
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

// abort ends the connection without an answer. Where it cannot be taken over,
// the panic that net/http documents for this does it.
func abort(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if errors.Is(err, http.ErrNotSupported) {
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's own way to end a connection; see ErrAbortHandler
	}
	if err != nil {
		return // the connection is gone already
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // close with a reset, not in good order
	}
	_ = conn.Close()
}
