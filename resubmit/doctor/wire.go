package doctor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/wait"
)

// ErrWrite means that a call was not sent, because it could change something.
var ErrWrite = errors.New("doctor: a call that could change something was not sent")

// Wire lets only calls of a client that read pass, and sign-ins, at most five per second: give Wrap to WithMiddleware
// of the client. It keeps the answers for [Check]. The zero value is ready for use. It is safe for concurrent use.
type Wire struct {
	mu      sync.Mutex
	next    time.Time // when the next call may be sent
	answers []answer
}

// answer is what is kept of an answer.
type answer struct {
	status int
	html   bool
	header http.Header
	ahead  time.Duration // of the local clock; from Date
	dated  bool
	asked  int               // rows of a page; 0 if that was not asked for
	of     string            // what a list was asked for, without its page
	rows   []json.RawMessage // of a list
	list   bool
}

const (
	pause   = 200 * time.Millisecond // between two calls
	maxBody = 16 << 20
)

// Wrap returns a transport with the wire before next.
func (w *Wire) Wrap(next http.RoundTripper) http.RoundTripper { return wired{w, next} }

type wired struct {
	*Wire
	next http.RoundTripper
}

// RoundTrip sends a call that reads.
func (w wired) RoundTrip(r *http.Request) (*http.Response, error) {
	r, err := onlyReads(r)
	if err != nil {
		return nil, err
	}
	if err := w.turn(r); err != nil {
		return nil, err
	}
	began := time.Now()
	resp, err := w.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		_ = resp.Body.Close() // err says more
		return nil, err
	}
	w.keep(r, resp, body, began)
	resp.Body = readCloser{io.MultiReader(bytes.NewReader(body), resp.Body), resp.Body}
	return resp, nil
}

// readCloser is the rest of a body behind what was read of it.
type readCloser struct {
	io.Reader
	io.Closer
}

// turn waits until the next call may be sent.
func (w *Wire) turn(r *http.Request) error {
	w.mu.Lock()
	at := time.Now()
	if w.next.After(at) {
		at = w.next
	}
	w.next = at.Add(pause)
	w.mu.Unlock()
	return wait.For(r.Context(), time.Until(at), nil)
}

var (
	billingMethod    = regexp.MustCompile(`<name>Method</name>\s*<value>\s*(?:<string>)?([^<]*)<`)
	operationsMethod = regexp.MustCompile(`<methodName>\s*([^<\s]*)\s*</methodName>`)
	askedFrom        = regexp.MustCompile(`(?:limit\(\d+,\d+\)|\boffset=\d+)`)
	askedRows        = regexp.MustCompile(`(?:limit\(\d+,(\d+)\)|\blimit=(\d+))`)
)

// onlyReads returns a call that certainly only reads: the POSTs of sign-ins and of two methods of XML-RPC do
// (commerce/WIRE.md#1.4, commerce/WIRE.md#2.2, commerce/WIRE.md#3).
func onlyReads(r *http.Request) (*http.Request, error) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead ||
		r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/token") {
		return r, nil
	}
	refused := fmt.Errorf("%w: %s %s", ErrWrite, r.Method, r.URL.Path)
	if r.Method != http.MethodPost || r.Body == nil {
		return nil, refused
	}
	content, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	_ = r.Body.Close() // only read
	if err != nil {
		return nil, err
	}
	operations, billing := operationsMethod.FindAllSubmatch(content, -1), billingMethod.FindAllSubmatch(content, -1)
	if len(operations) != 1 {
		return nil, refused
	}
	reads := string(operations[0][1]) == "pem.APS.getUserToken" || string(operations[0][1]) == "Execute" &&
		len(billing) == 1 && string(billing[0][1]) == "GetOrder_API"
	if !reads {
		return nil, refused
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(content))
	return r, nil
}

// keep keeps what checks need of an answer.
func (w *Wire) keep(r *http.Request, resp *http.Response, body []byte, began time.Time) {
	a := answer{status: resp.StatusCode, header: resp.Header}
	a.of = r.URL.Path + "?" + askedFrom.ReplaceAllString(r.URL.RawQuery, "")
	start := bytes.ToLower(bytes.TrimSpace(body[:min(len(body), 200)]))
	a.html = strings.Contains(resp.Header.Get("Content-Type"), "html") || bytes.HasPrefix(start, []byte("<!doctype")) ||
		bytes.HasPrefix(start, []byte("<html"))
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		a.ahead, a.dated = began.Add(time.Since(began)/2).Sub(date), true
	}
	if asked := askedRows.FindStringSubmatch(r.URL.RawQuery); asked != nil {
		a.asked, _ = number.Atoi(asked[1] + asked[2])
	}
	var page struct{ Data *[]json.RawMessage }
	switch {
	case json.Unmarshal(body, &a.rows) == nil && a.rows != nil:
		a.list = true
	case json.Unmarshal(body, &page) == nil && page.Data != nil:
		a.rows, a.list = *page.Data, true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers = append(w.answers, a)
}

// since returns the answers after the first n.
func (w *Wire) since(n int) []answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.answers[n:len(w.answers):len(w.answers)]
}

func (w *Wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.answers)
}

// ahead returns how far the local clock is ahead of the server's, by the answer that shows the least difference; false
// if no answer had a time.
func (w *Wire) ahead() (least time.Duration, known bool) {
	for _, a := range w.since(0) {
		if a.dated && (!known || a.ahead.Abs() < least.Abs()) {
			least, known = a.ahead, true
		}
	}
	return least, known
}
