package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/xmlrpc"
)

var errReset = errors.New("connection reset by peer")

// call is one HTTP call of the program.
type call struct {
	kind    callKind
	order   int // -1 for none
	to      commerce.Status
	connect bool
	n       int // of its kind and order
	// optional means that the client can do without its answer: it asks how long a page may be.
	optional bool
}

func (c *call) String() string {
	return string(c.kind)
}

// identify finds the purpose of a call.
func (w *world) identify(r *http.Request, body []byte) call {
	c := call{kind: callLookUp, order: -1, connect: strings.HasPrefix(connectURL, "https://"+r.URL.Host+"/")}
	if c.connect && !strings.Contains(r.URL.Path, "/requests") {
		c.kind = callProbe
	}
	c.optional = c.connect && c.kind == callLookUp && !strings.Contains(r.URL.RawQuery, "type")
	if !c.connect {
		w.identifyOrder(&c, r, body)
	}
	c.n = w.countCall(c.kind, c.order)
	return c
}

func (w *world) identifyOrder(c *call, r *http.Request, body []byte) {
	_, rest, ofOrders := strings.Cut(r.URL.Path, "/orders")
	id, action, _ := strings.Cut(strings.Trim(rest, "/"), "/")
	switch {
	case w.s.api == apiBilling:
		var to string
		c.kind, id, to = billingCall(body)
		c.to = commerce.Status(to)
	case !ofOrders:
		c.kind = callSignIn
	case id == "":
		c.kind = callList
	case action == "push" || r.Method == http.MethodPatch:
		var push struct {
			OfStatus   commerce.Status `json:"ofStatus"`
			StatusCode commerce.Status `json:"statusCode"`
		}
		_ = json.Unmarshal(body, &push) // the server judges it
		c.kind, c.to = callPush, push.OfStatus+push.StatusCode
	default:
		c.kind = callRead
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if i, ok := w.byID[id]; ok {
		c.order = i
	}
}

// billingCall finds the purpose of an Execute call.
func billingCall(body []byte) (kind callKind, id, to string) {
	c, err := xmlrpc.DecodeCall(bytes.NewReader(body), xmlrpc.DecodeOptions{})
	if err != nil || len(c.Params) != 1 {
		return callList, "", ""
	}
	execute, _ := c.Params[0].(map[string]any)
	params, _ := execute["Params"].([]any)
	if len(params) == 0 {
		return callList, "", ""
	}
	id = fmt.Sprint(params[0])
	if execute["Method"] != "OrderStatusChange_API" || len(params) < 2 {
		return callRead, id, ""
	}
	return callPush, id, fmt.Sprint(params[1])
}

// fault is the fault of a call; zero for none.
func (w *world) fault(p *process, kind callKind, order, n int) faultSpec {
	if p.number >= faultyProcesses {
		return faultSpec{}
	}
	for _, f := range w.s.faults {
		if f.call == kind && f.order == order && f.n == n {
			return f
		}
	}
	return faultSpec{}
}

func (w *world) storm(p *process, c *call) (stormSpec, bool) {
	if p.number >= faultyProcesses {
		return stormSpec{}, false
	}
	now := time.Since(w.start)
	for _, s := range w.s.storms {
		if s.connect == c.connect && now >= s.from && now < s.to {
			return s, true
		}
	}
	return stormSpec{}, false
}

// random is a source for one call, independent of concurrent ones.
func (w *world) random(kind callKind, order, n int) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(kind))                                                    // a hash takes every write
	return rand.New(rand.NewPCG(w.s.seed, h.Sum64()^uint64(order+1)<<32^uint64(n))) //nolint:gosec // not for security
}

// network is the network between one process and the systems.
type network struct{ p *process }

// RoundTrip implements [http.RoundTripper].
func (l *network) RoundTrip(r *http.Request) (*http.Response, error) {
	p, w := l.p, l.p.w
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	if err := l.delay(r, body); err != nil {
		return nil, err
	}
	c := w.identify(r, body)
	t := w.checker.checkCall(p, &c) // before the process may be suspended, which it cannot notice in time
	if err := p.step("before a call"); err != nil {
		return nil, err
	}
	f := w.fault(p, c.kind, c.order, c.n)
	ans, err := l.deliver(r, body, &c, f, t)
	w.checker.noteAnswer(p, &c, t, ans, err)
	w.noteCall(p, &c, f, ans, err)
	if err != nil {
		return nil, err
	}
	return ans.response(r, p), nil
}

// delay waits for a different time for each call, so that concurrent calls leave in the same order in each replay.
// While the rate is checked, it does not wait: the program then orders its calls.
func (l *network) delay(r *http.Request, body []byte) error {
	if l.p.applying.Load() {
		return nil
	}
	h := fnv.New64a()
	_, _ = h.Write(append([]byte(r.URL.String()), body...)) // a hash takes every write
	return l.p.wait(r.Context(), time.Duration(h.Sum64()%uint64(time.Millisecond)))
}

// deliverLate delivers a call whose answer nobody waits for.
func (l *network) deliverLate(r *http.Request, body []byte, c *call, t *inFlight, late time.Duration) {
	w := l.p.w
	w.background.Go(func() {
		if sleep(w.ctx, late) == nil {
			w.serve(r.WithContext(w.ctx), body, c, t)
		}
	})
}

func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer func() { _ = r.Body.Close() }() // RoundTrip must close it; nothing depends on the result
	return io.ReadAll(r.Body)
}

func (w *world) noteCall(p *process, c *call, f faultSpec, ans *answer, err error) {
	if f.kind != "" {
		w.count(f.name() + " (" + string(c.kind) + ")")
		if f.status != 0 {
			w.count("status " + string(f.kind))
		}
	}
	if !w.verbose {
		return
	}
	var outcome string
	if err != nil {
		outcome = err.Error()
	} else {
		outcome = strconv.Itoa(ans.status)
	}
	if f.kind != "" {
		outcome += ", " + f.name()
	}
	if c.order >= 0 {
		o := w.order(c.order)
		w.logf("process %s: %s %s (order %d) %s: %s; it is %s, failure %d", p, c.kind, o.Number, c.order, c.to,
			outcome, o.Status, o.Failures)
		return
	}
	w.logf("process %s: %s: %s", p, c.kind, outcome)
}

// deliver delivers a call to its server and returns the answer.
func (l *network) deliver(r *http.Request, body []byte, c *call, f faultSpec, t *inFlight) (*answer, error) {
	p, w := l.p, l.p.w
	random := w.random(c.kind, c.order, c.n)
	latency := func() time.Duration {
		return time.Millisecond + time.Duration(random.Int64N(int64(30*time.Millisecond)))
	}
	err := p.stepSent(c)
	if err == nil {
		err = p.wait(r.Context(), latency())
	}
	if err != nil {
		if c.kind == callPush && p.killed() && random.IntN(2) == 0 { // it was in flight when the process was killed
			w.count("a push in flight arrived after the crash")
			l.deliverLate(r, body, c, t, time.Duration(random.Int64N(int64(90*time.Second))))
		}
		return nil, err
	}
	if ans, err := l.answerInstead(c, f); ans != nil || err != nil {
		if f.kind == faultLost && c.kind == callPush && f.date { // it is only late
			w.count("a lost push arrived late")
			l.deliverLate(r, body, c, t, f.wait)
		}
		return ans, err
	}
	ans := w.serve(r, body, c, t)
	if c.kind == callRead && p.applying.Load() {
		w.afterRead(c.order)
	}
	if f.kind == faultDuplicate {
		w.serve(r, body, c, t.repeat())
	}
	if err := p.step("between an action of the server and its answer"); err != nil {
		return nil, err
	}
	if err := p.wait(r.Context(), latency()); err != nil {
		return nil, err
	}
	if err := p.step("after a call"); err != nil {
		return nil, err
	}
	return l.spoilAnswer(c, f, ans)
}

// answerInstead answers in place of a server that does not get the call. The answer is nil if the server gets it.
func (l *network) answerInstead(c *call, f faultSpec) (*answer, error) {
	switch f.kind {
	case faultRefused:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case faultLost:
		return nil, errReset
	case faultGateway:
		return page(http.StatusBadGateway, 0, false), nil
	case faultStatus:
		return page(f.status, f.retryAfter(), f.date), nil
	case faultRateLimited:
		return page(http.StatusTooManyRequests, f.wait, f.date), nil
	case faultUnavailable:
		return page(http.StatusServiceUnavailable, f.wait, f.date), nil
	case faultUnauthorized:
		return page(http.StatusUnauthorized, 0, false), nil
	case faultStaleAnswer:
		l.p.w.mu.Lock()
		kept, ok := l.p.w.answers[callKey{c.kind, c.order}]
		l.p.w.mu.Unlock()
		if ok && time.Since(kept.at) < time.Minute {
			return l.p.w.malformRows(l.p, c, &kept), nil
		}
	}
	if r, ok := l.p.w.denialOf(l.p, c); ok {
		l.p.w.count(r.name() + " (" + string(c.kind) + ")")
		return r.answer(), nil
	}
	if s, ok := l.p.w.storm(l.p, c); ok {
		l.p.w.count("storm of " + strconv.Itoa(s.status))
		return page(s.status, s.wait, s.date), nil
	}
	return nil, nil
}

// spoilAnswer spoils the answer of a server that acted.
func (l *network) spoilAnswer(c *call, f faultSpec, ans *answer) (*answer, error) {
	ans = l.p.w.malformRows(l.p, c, ans)
	switch f.kind {
	case faultLostAfter:
		return nil, errReset
	case faultGatewayAfter:
		return page(http.StatusBadGateway, 0, false), nil
	case faultStatusAfter:
		return page(f.status, f.retryAfter(), f.date), nil
	case faultPage:
		return page(http.StatusOK, 0, false), nil
	case faultTruncated:
		ans.truncated = true
	case faultSlow:
		ans.slow = f.wait
	}
	return ans, nil
}

// serve passes a call to the server.
func (w *world) serve(r *http.Request, body []byte, c *call, t *inFlight) *answer {
	server := w.commerce.Transport()
	if c.connect {
		server = w.connect.Transport()
	}
	in := r.Clone(context.WithoutCancel(r.Context()))
	in.Body = io.NopCloser(bytes.NewReader(body))
	if c.kind == callLookUp {
		w.cutPage(in)
	}
	return w.checker.observe(c, t, func() *answer {
		res, err := server.RoundTrip(in)
		if err != nil {
			return page(http.StatusBadGateway, 0, false)
		}
		defer func() { _ = res.Body.Close() }() // in memory
		data, _ := io.ReadAll(res.Body)         // in memory
		ans := answer{status: res.StatusCode, header: res.Header, body: data, at: time.Now(), served: true}
		if c.connect && w.s.connectDate {
			ans.header.Set("Date", w.connectNow().UTC().Format(http.TimeFormat))
		}
		w.mu.Lock()
		w.answers[callKey{c.kind, c.order}] = ans
		w.mu.Unlock()
		return &ans
	})
}

// answer is the answer to a call.
type answer struct {
	status    int
	header    http.Header
	body      []byte
	at        time.Time
	truncated bool
	slow      time.Duration
	served    bool // by the system itself
	denied    bool // the credentials were refused
}

const gatewayPage = "<html><body><h1>We will be back soon</h1></body></html>"

// page is an answer of a gateway.
func page(status int, wait time.Duration, date bool) *answer {
	h := http.Header{"Content-Type": {"text/html"}}
	if status >= 300 && status < 400 {
		h.Set("Location", "/sign-in")
	}
	switch {
	case wait <= 0:
	case date:
		h.Set("Retry-After", time.Now().Add(wait).UTC().Format(http.TimeFormat))
	default:
		h.Set("Retry-After", strconv.Itoa(int(wait/time.Second)))
	}
	return &answer{status: status, header: h, body: []byte(gatewayPage), at: time.Now()}
}

func (a *answer) response(r *http.Request, p *process) *http.Response {
	var content io.Reader = bytes.NewReader(a.body)
	if a.truncated {
		content = io.MultiReader(bytes.NewReader(a.body[:len(a.body)/2]), truncatedBody{})
	}
	if a.slow > 0 {
		content = &slowBody{Reader: content, rest: a.slow, ctx: r.Context(), p: p}
	}
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: io.NopCloser(content), ContentLength: int64(len(a.body)), Request: r,
	}
}

type truncatedBody struct{}

func (truncatedBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// slowBody waits before the first read.
type slowBody struct {
	io.Reader
	rest time.Duration
	ctx  context.Context //nolint:containedctx // of the call whose answer this is
	p    *process
}

func (s *slowBody) Read(b []byte) (int, error) {
	d := s.rest
	s.rest = 0
	if d > 0 {
		if err := s.p.wait(s.ctx, d); err != nil {
			return 0, err
		}
	}
	return s.Reader.Read(b)
}

// connectorNetwork is the network between Commerce and Connect.
type connectorNetwork struct {
	w  *world
	to http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (l *connectorNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.failsAgain(r) {
		l.w.count("an order failed again for the same reason")
		return page(http.StatusBadGateway, 0, false).response(r, nil), nil
	}
	return l.to.RoundTrip(r)
}

// failsAgain reports whether Connect does not answer this call, so that its order fails again for the same reason.
func (l *connectorNetwork) failsAgain(r *http.Request) bool {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if len(l.w.repeatFailures) == 0 || r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/requests") ||
		r.GetBody == nil {
		return false
	}
	body, err := r.GetBody()
	if err != nil {
		return false
	}
	var request struct {
		Type  connect.RequestType `json:"type"`
		Asset struct {
			ExternalUID string `json:"external_uid"`
		} `json:"asset"`
	}
	_ = json.NewDecoder(body).Decode(&request) // an unreadable request is for no order
	key := request.Asset.ExternalUID + string(request.Type)
	if l.w.repeatFailures[key] <= 0 {
		return false
	}
	l.w.repeatTries[key]++
	if l.w.repeatTries[key]%3 == 0 { // the connector makes three attempts
		l.w.repeatFailures[key]--
	}
	return true
}

// limitParam is the page size in a query of Connect.
var limitParam = regexp.MustCompile(`\blimit=[1-9]\d*`)

// cutPage makes the pages of a look-up smaller than requested.
func (w *world) cutPage(r *http.Request) {
	if w.s.tiesPage > 0 {
		r.URL.RawQuery = limitParam.ReplaceAllString(r.URL.RawQuery, fmt.Sprintf("limit=%d", w.s.tiesPage))
	}
}

// denialOf is the denial that refuses the credentials of a call, if any.
func (w *world) denialOf(p *process, c *call) (denialSpec, bool) {
	if len(w.s.denials) == 0 || p.number >= faultyProcesses || c.kind == callProbe { // probes have no credentials
		return denialSpec{}, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.systemCalls[c.connect]
	w.systemCalls[c.connect]++
	for i, r := range w.s.denials {
		if r.connect != c.connect || n < r.call {
			continue
		}
		since := &w.denialStarts[i]
		if !since.ever {
			*since = startedIn{true, p.id, time.Now()}
		}
		if r.lasts == 0 && since.process == p.id || r.lasts > 0 && time.Since(since.at) < r.lasts {
			return r, true
		}
	}
	return denialSpec{}, false
}

// answer is a refusal of credentials in the format of all APIs. A 403 of Commerce may concern one order only.
func (r denialSpec) answer() *answer {
	return &answer{
		status: r.status, header: http.Header{"Content-Type": {"application/json"}}, at: time.Now(),
		body: fmt.Appendf(nil,
			`{"error":"%[1]s","message":"%[1]s","code":"%[1]s","error_code":"AUTH_001","errors":["%[1]s"]}`,
			http.StatusText(r.status)),
		denied: r.connect || r.status == http.StatusUnauthorized,
	}
}
