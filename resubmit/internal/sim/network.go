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
}

func (c *call) String() string {
	return string(c.kind)
}

// identify tells what a call is for.
func (w *world) identify(r *http.Request, body []byte) call {
	c := call{kind: callLookUp, order: -1, connect: strings.HasPrefix(connectURL, "https://"+r.URL.Host+"/")}
	if c.connect && !strings.Contains(r.URL.Path, "/requests") {
		c.kind = callProbe
	}
	if !c.connect {
		w.identifyOrder(&c, r, body)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	key := callKey{c.kind, c.order}
	c.n = w.nth[key]
	w.nth[key]++
	return c
}

func (w *world) identifyOrder(c *call, r *http.Request, body []byte) {
	_, rest, ofOrders := strings.Cut(r.URL.Path, "/orders")
	id, action, _ := strings.Cut(strings.Trim(rest, "/"), "/")
	switch {
	case w.s.way == byBilling:
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

// billingCall tells what a call of Execute is for.
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

// fault is what goes wrong with a call; zero when nothing does.
func (w *world) fault(p *process, kind callKind, order, n int) faultSeed {
	if p.life >= mostLives {
		return faultSeed{}
	}
	for _, f := range w.s.faults {
		if f.call == kind && f.order == order && f.n == n {
			return f
		}
	}
	return faultSeed{}
}

func (w *world) storm(p *process, c *call) (stormSeed, bool) {
	if p.life >= mostLives {
		return stormSeed{}, false
	}
	now := time.Since(w.start)
	for _, s := range w.s.storms {
		if s.connect == c.connect && now >= s.from && now < s.to {
			return s, true
		}
	}
	return stormSeed{}, false
}

// random draws for one call, whatever goes on at the same time.
func (w *world) random(kind callKind, order, n int) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(kind))                                                    // a hash takes every write
	return rand.New(rand.NewPCG(w.s.seed, h.Sum64()^uint64(order+1)<<32^uint64(n))) //nolint:gosec // only to tell them apart
}

// networkLine is the network between one process and the systems.
type networkLine struct{ p *process }

// RoundTrip implements [http.RoundTripper].
func (l *networkLine) RoundTrip(r *http.Request) (*http.Response, error) {
	p, w := l.p, l.p.w
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	if err := l.dial(r, body); err != nil {
		return nil, err
	}
	c := w.identify(r, body)
	if err := p.step("before a call"); err != nil {
		return nil, err
	}
	f := w.fault(p, c.kind, c.order, c.n)
	t := w.book.depart(p, &c)
	ans, err := l.carry(r, body, &c, f, t)
	w.book.arrived(p, &c, t, ans, err)
	w.noteCall(p, &c, f, ans, err)
	if err != nil {
		return nil, err
	}
	return ans.response(r, p), nil
}

// dial takes its time, for each call another, so that calls which begin at once leave in
// the same order each time that the world happens. While the pace is judged calls leave
// when they begin: the program gives them their turns.
func (l *networkLine) dial(r *http.Request, body []byte) error {
	if l.p.applying.Load() {
		return nil
	}
	h := fnv.New64a()
	_, _ = h.Write(append([]byte(r.URL.String()), body...)) // a hash takes every write
	return l.p.wait(r.Context(), time.Duration(h.Sum64()%uint64(time.Millisecond)))
}

// arrive brings a call to its server when nobody waits for its answer any more.
func (l *networkLine) arrive(r *http.Request, body []byte, c *call, t *trip, late time.Duration) {
	w := l.p.w
	w.going.Go(func() {
		if sleep(w.lasting, late) == nil {
			w.act(l.p, r.WithContext(w.lasting), body, c, t)
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

func (w *world) noteCall(p *process, c *call, f faultSeed, ans *answerKept, err error) {
	if f.kind != "" {
		w.happened(f.name() + " (" + string(c.kind) + ")")
		if f.status != 0 {
			w.happened("status " + string(f.kind))
		}
	}
	if !w.tell {
		return
	}
	var came string
	if err != nil {
		came = err.Error()
	} else {
		came = strconv.Itoa(ans.status)
	}
	if f.kind != "" {
		came += ", " + f.name()
	}
	if c.order >= 0 {
		o := w.truth(c.order)
		w.note("life %d: %s %s (order %d) %s: %s; it is %s, failure %d", p.life, c.kind, o.Number, c.order, c.to, came,
			o.Status, o.Failures)
		return
	}
	w.note("life %d: %s: %s", p.life, c.kind, came)
}

// carry takes a call to its server and brings the answer back.
func (l *networkLine) carry(r *http.Request, body []byte, c *call, f faultSeed, t *trip) (*answerKept, error) {
	p, w := l.p, l.p.w
	random := w.random(c.kind, c.order, c.n)
	way := func() time.Duration {
		return time.Millisecond + time.Duration(random.Int64N(int64(30*time.Millisecond)))
	}
	err := p.leave(c)
	if err == nil {
		err = p.wait(r.Context(), way())
	}
	if err != nil {
		if c.kind == callPush && p.killed() && random.IntN(2) == 0 { // it was on the wire when the process died
			w.happened("a push that was on its way arrived after the crash")
			l.arrive(r, body, c, t, time.Duration(random.Int64N(int64(90*time.Second))))
		}
		return nil, err
	}
	if ans, err := l.before(c, f); ans != nil || err != nil {
		if f.kind == faultLost && c.kind == callPush && f.date { // it only takes its time
			w.happened("a push arrived long after its answer was lost")
			l.arrive(r, body, c, t, f.wait)
		}
		return ans, err
	}
	ans := w.act(p, r, body, c, t)
	if f.kind == faultTwice {
		w.act(p, r, body, c, t.second())
	}
	if err := p.step("between the act of a server and its answer"); err != nil {
		return nil, err
	}
	if err := p.wait(r.Context(), way()); err != nil {
		return nil, err
	}
	if err := p.step("after a call"); err != nil {
		return nil, err
	}
	return l.after(c, f, ans)
}

// before answers in the place of a server that never gets the call; nil when it does.
func (l *networkLine) before(c *call, f faultSeed) (*answerKept, error) {
	switch f.kind {
	case faultRefused:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case faultLost:
		return nil, errReset
	case faultGateway:
		return page(http.StatusBadGateway, 0, false), nil
	case faultStatus:
		return page(f.status, f.retryAfter(), f.date), nil
	case faultBusy:
		return page(http.StatusTooManyRequests, f.wait, f.date), nil
	case faultDown:
		return page(http.StatusServiceUnavailable, f.wait, f.date), nil
	case faultSignIn:
		return page(http.StatusUnauthorized, 0, false), nil
	case faultOldAnswer:
		l.p.w.mu.Lock()
		kept, ok := l.p.w.answers[callKey{c.kind, c.order}]
		l.p.w.mu.Unlock()
		if ok && time.Since(kept.at) < time.Minute {
			return l.p.w.spoilRows(l.p, c, &kept), nil
		}
	}
	if r, ok := l.p.w.refusal(l.p, c); ok {
		l.p.w.happened(r.name() + " (" + string(c.kind) + ")")
		return r.denial(), nil
	}
	if s, ok := l.p.w.storm(l.p, c); ok {
		l.p.w.happened("storm of " + strconv.Itoa(s.status))
		return page(s.status, s.wait, s.date), nil
	}
	return nil, nil
}

// after spoils the answer of a server that acted.
func (l *networkLine) after(c *call, f faultSeed, ans *answerKept) (*answerKept, error) {
	ans = l.p.w.spoilRows(l.p, c, ans)
	switch f.kind {
	case faultLostAfter:
		return nil, errReset
	case faultGateAfter:
		return page(http.StatusBadGateway, 0, false), nil
	case faultStatusAfter:
		return page(f.status, f.retryAfter(), f.date), nil
	case faultPage:
		return page(http.StatusOK, 0, false), nil
	case faultCut:
		ans.cut = true
	case faultSlow:
		ans.slow = f.wait
	}
	return ans, nil
}

// act lets the server act.
func (w *world) act(p *process, r *http.Request, body []byte, c *call, t *trip) *answerKept {
	to := w.commerce.Transport()
	if c.connect {
		to = w.connect.Transport()
	}
	in := r.Clone(context.WithoutCancel(r.Context()))
	in.Body = io.NopCloser(bytes.NewReader(body))
	if c.kind == callLookUp {
		w.cutPage(in)
	}
	return w.book.watch(p, c, t, func() *answerKept {
		res, err := to.RoundTrip(in)
		if err != nil {
			return page(http.StatusBadGateway, 0, false)
		}
		defer func() { _ = res.Body.Close() }() // it is in memory
		data, _ := io.ReadAll(res.Body)         // it is in memory
		ans := answerKept{status: res.StatusCode, header: res.Header, body: data, at: time.Now()}
		w.mu.Lock()
		w.answers[callKey{c.kind, c.order}] = ans
		w.mu.Unlock()
		return &ans
	})
}

// answerKept is an answer on its way.
type answerKept struct {
	status int
	header http.Header
	body   []byte
	at     time.Time
	cut    bool
	slow   time.Duration
	denied bool // it refuses the credentials
}

const gatewayPage = "<html><body><h1>We will be back soon</h1></body></html>"

func page(status int, wait time.Duration, date bool) *answerKept {
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
	return &answerKept{status: status, header: h, body: []byte(gatewayPage), at: time.Now()}
}

func (a *answerKept) response(r *http.Request, p *process) *http.Response {
	var content io.Reader = bytes.NewReader(a.body)
	if a.cut {
		content = io.MultiReader(bytes.NewReader(a.body[:len(a.body)/2]), broken{})
	}
	if a.slow > 0 {
		content = &slow{Reader: content, rest: a.slow, ctx: r.Context(), p: p}
	}
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: io.NopCloser(content), ContentLength: int64(len(a.body)), Request: r,
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// slow is a body that takes its time.
type slow struct {
	io.Reader
	rest time.Duration
	ctx  context.Context //nolint:containedctx // of the call whose answer this is
	p    *process
}

func (s *slow) Read(b []byte) (int, error) {
	d := s.rest
	s.rest = 0
	if d > 0 {
		if err := s.p.wait(s.ctx, d); err != nil {
			return 0, err
		}
	}
	return s.Reader.Read(b)
}

// connectorLine is the network between Commerce and Connect.
type connectorLine struct {
	w  *world
	to http.RoundTripper
}

// RoundTrip implements [http.RoundTripper].
func (l *connectorLine) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.relapses(r) {
		l.w.happened("an order failed again for the same reason")
		return page(http.StatusBadGateway, 0, false).response(r, nil), nil
	}
	return l.to.RoundTrip(r)
}

// relapses tells whether Connect does not answer this call, because its order is to
// fail as it did before.
func (l *connectorLine) relapses(r *http.Request) bool {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if len(l.w.relapses) == 0 || r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/requests") ||
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
	_ = json.NewDecoder(body).Decode(&request) // what cannot be read is for no order
	key := request.Asset.ExternalUID + string(request.Type)
	if l.w.relapses[key] <= 0 {
		return false
	}
	l.w.relapseTries[key]++
	if l.w.relapseTries[key]%3 == 0 { // the connector tries three times
		l.w.relapses[key]--
	}
	return true
}
