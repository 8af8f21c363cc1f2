package sim

import (
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// trouble is what the systems and the callbacks of the program do wrong beyond
// single calls that fail. Each field is one kind of it.
type trouble struct {
	ties     bool // both systems order rows that are equal by the sort anew in each answer
	tiesPage int  // the most rows of a look-up in Connect; 0: as many as are asked for
	odd      []oddSeed
	hidden   []hiddenSeed
	refusals []refusalSeed
	panics   []panicSeed
}

// oddKind is how Commerce writes the row of an order oddly.
type oddKind string

const (
	oddDateNumber    oddKind = "its date is a number"
	oddDateText      oddKind = "its date is in RFC 1123"
	oddDateShort     oddKind = "its date has no seconds"
	oddDateFar       oddKind = "its date is after the year 9999"
	oddAmountPower   oddKind = "its amount has the exponent 70"
	oddAmountDigits  oddKind = "its amount has 100 digits"
	oddReasonList    oddKind = "its reason is an empty list"
	oddReasonLong    oddKind = "its reason is very long"
	oddIDBlank       oddKind = "its id is blank"
	oddStatusMissing oddKind = "its status is missing"
	oddRowNull       oddKind = "its row is null"
)

// unreadable says that nobody may send an order with such a row.
func (k oddKind) unreadable() bool {
	return k != oddDateText && k != oddReasonList && k != oddReasonLong
}

// nameless says that the row does not say which order it is of.
func (k oddKind) nameless() bool { return k == oddIDBlank || k == oddRowNull }

// oddSeed is an order whose row is odd in every answer.
type oddSeed struct {
	order int
	kind  oddKind
	from  time.Duration // since the program was first started
}

func (o oddSeed) String() string {
	return fmt.Sprintf("Commerce writes order %d oddly from %v: %s", o.order, o.from, o.kind)
}

// hiddenKind is how Connect keeps from its callers which order a request is of.
type hiddenKind string

const (
	hiddenAsset  hiddenKind = "without an asset"
	hiddenType   hiddenKind = "without a type"
	hiddenStatus hiddenKind = "with an unknown status"
	hiddenRow    hiddenKind = "as null"
)

// hiddenSeed is an order whose requests cannot be attributed to it.
type hiddenSeed struct {
	order int
	kind  hiddenKind
	from  time.Duration // since the program was first started
}

func (h hiddenSeed) String() string {
	return fmt.Sprintf("Connect writes the requests of order %d %s from %v", h.order, h.kind, h.from)
}

// refusalSeed is a time in which a system refuses all credentials.
type refusalSeed struct {
	connect bool
	status  int
	call    int           // it begins with this call to the system, counted over all lives
	lasts   time.Duration // 0: until the program is started again, with better ones
}

func (r refusalSeed) name() string {
	system := "Commerce"
	if r.connect {
		system = "Connect"
	}
	return fmt.Sprintf("credentials refused by %s with %d", system, r.status)
}

func (r refusalSeed) String() string {
	until := "until the next start"
	if r.lasts > 0 {
		until = "for " + r.lasts.String()
	}
	return fmt.Sprintf("%s from call %d %s", r.name(), r.call, until)
}

// began is when and in which life of the program something began.
type began struct {
	ever bool
	life int
	at   time.Time
}

// callEvent is a call of OnEvent.
const callEvent callKind = "event"

// panicSeed is a callback of the program that panics.
type panicSeed struct {
	call  callKind // callList, callRead, callPush, callLookUp or callEvent
	order int      // -1 for calls that are not about one
	n     int      // from 0
	after bool     // it has done its work before
}

func (p panicSeed) name() string {
	when := "before"
	if p.after {
		when = "after"
	}
	return fmt.Sprintf("panic %s the call (%s)", when, p.call)
}

func (p panicSeed) String() string { return fmt.Sprintf("%s %d of order %d", p.name(), p.n, p.order) }

// gatewayStatuses are what something between the program and Commerce answers in
// its place. They say nothing about what Commerce did, but 429, which says no.
var gatewayStatuses = []int{302, 307, 404, 405, 408, 413, 425, 429, 460, 499, 500, 502, 503, 504, 520, 521, 522, 524}

// retryAfter is what the answer of a gateway asks for.
func (f faultSeed) retryAfter() time.Duration {
	if f.status == http.StatusTooManyRequests || f.status == http.StatusServiceUnavailable {
		return f.wait
	}
	return 0
}

func (s *scenario) drawStatuses(d dice) {
	if s.twin {
		s.limits.MaxDeferrals = 3 // else a 429 ends an order
	}
	for range 1 + d.IntN(3) {
		f := faultSeed{
			call: callPush, order: d.IntN(len(s.orders)), n: one(d, 0, 0, 0, 1),
			kind:   one(d, faultStatusAfter, faultStatusAfter, faultStatus),
			status: one(d, gatewayStatuses...), wait: d.between(time.Second, 90*time.Second).Truncate(time.Second),
		}
		if f.status == http.StatusTooManyRequests && (s.stale > 0 || s.twin) {
			f.kind = faultStatus // else nothing shows that an order was moved which failed again at once
		}
		s.faults = append(s.faults, f)
	}
}

func (s *scenario) drawOdd(d dice) {
	kinds := []oddKind{
		oddDateNumber, oddDateText, oddDateShort, oddDateFar, oddAmountPower, oddAmountDigits, oddReasonList, oddReasonLong,
		oddIDBlank, oddStatusMissing, oddRowNull,
	}
	for range 1 + d.IntN(2) {
		o := oddSeed{order: d.IntN(len(s.orders)), kind: one(d, kinds...)}
		if o.kind.unreadable() && d.chance(25) { // else it would look as if the order had changed
			o.from = d.between(0, 2*time.Minute)
		}
		s.odd = append(s.odd, o)
	}
}

func (s *scenario) drawHidden(d dice) {
	for range 1 + d.IntN(2) {
		s.hidden = append(s.hidden, hiddenSeed{
			order: d.IntN(len(s.orders)), kind: one(d, hiddenAsset, hiddenType, hiddenStatus, hiddenRow),
			from: one(d, 0, 0, 0, d.between(0, 2*time.Minute)),
		})
	}
}

func (s *scenario) drawRefusal(d dice) {
	r := refusalSeed{connect: d.chance(40),
		status: one(d, http.StatusUnauthorized, http.StatusUnauthorized, http.StatusForbidden), call: d.IntN(40)}
	if r.connect {
		r.call = d.IntN(8)
	}
	if s.twin { // 403 is a matter of the order as long as it comes for a few only
		r.status = http.StatusUnauthorized
	}
	if d.chance(40) {
		r.lasts = d.between(time.Second, 5*time.Minute)
	}
	s.refusals = append(s.refusals, r)
}

func (s *scenario) drawPanics(d dice) {
	if s.twin {
		s.limits.MaxDeferrals = 3 // else a reading that panics ends an order
	}
	for range 1 + d.IntN(3) {
		p := panicSeed{call: one(d, callPush, callPush, callPush, callRead, callRead, callLookUp, callList, callEvent),
			order: -1, after: d.chance(50)}
		switch p.call {
		case callPush:
			p.order, p.n = d.IntN(len(s.orders)), one(d, 0, 0, 1)
		case callRead:
			p.order, p.n = d.IntN(len(s.orders)), d.IntN(5)
		case callEvent:
			p.n, p.after = d.IntN(20), false
		default:
			p.n = d.IntN(3)
		}
		s.panics = append(s.panics, p)
	}
}

// drawTrouble adds to a world of which much goes wrong.
func (s *scenario) drawTrouble(d dice) {
	for _, draw := range s.draws() {
		if d.chance(12) {
			draw(d)
		}
	}
}

// draws are what can be added, each on its own.
func (s *scenario) draws() []func(dice) {
	return []func(dice){s.drawStatuses, s.drawOdd, s.drawRefusal, s.drawTies, s.drawHidden, s.drawPanics}
}

// tiesAfter is no round time, so that nothing else happens in the same moment.
const tiesAfter = 1700 * time.Millisecond

// drawTies places the orders of different subscriptions at the same time.
func (s *scenario) drawTies(d dice) {
	s.ties, s.tiesPage, s.listPage = true, one(d, 2, 2, 3, 0), one(d, 2, 2, 3, 5)
	earlier := map[int]int{} // of the subscription
	for i := range s.orders {
		o := &s.orders[i]
		o.after = tiesAfter + time.Duration(earlier[o.subscription])*time.Second
		earlier[o.subscription]++
		if o.cause == causeOutage {
			o.cause = causeWindow
		}
	}
}

// drawOneTrouble replaces the crashes of a calm world in half of the cases.
func (s *scenario) drawOneTrouble(d dice) {
	if d.chance(50) {
		return
	}
	s.crashes = nil
	one(d, s.draws()...)(d)
}

// calm is the scenario without what its twin is to show the effect of.
func (s *scenario) calm() *scenario {
	c := *s
	c.crashes, c.faults, c.trouble = nil, nil, trouble{}
	return &c
}

// lessTrouble are the scenarios with one trouble less.
func (s *scenario) lessTrouble() (all []*scenario) {
	add := func(change func(*trouble)) {
		c := *s
		change(&c.trouble)
		all = append(all, &c)
	}
	if s.ties {
		add(func(t *trouble) { t.ties = false })
	}
	for i := range s.odd {
		add(func(t *trouble) { t.odd = without(s.odd, i) })
	}
	for i := range s.hidden {
		add(func(t *trouble) { t.hidden = without(s.hidden, i) })
	}
	for i := range s.refusals {
		add(func(t *trouble) { t.refusals = without(s.refusals, i) })
	}
	for i := range s.panics {
		add(func(t *trouble) { t.panics = without(s.panics, i) })
	}
	return all
}

func (t *trouble) describe() (lines []string) {
	if t.ties {
		lines = append(lines, fmt.Sprintf("both systems order equal rows anew in each answer, pages of %d requests",
			t.tiesPage))
	}
	for _, o := range t.odd {
		lines = append(lines, o.String())
	}
	for _, h := range t.hidden {
		lines = append(lines, h.String())
	}
	for _, r := range t.refusals {
		lines = append(lines, r.String())
	}
	for _, p := range t.panics {
		lines = append(lines, p.String())
	}
	return lines
}

// countTies counts what the lists cannot tell apart by time.
func (w *world) countTies() {
	if !w.s.ties {
		return
	}
	placed, created := map[string]bool{}, map[string]bool{}
	for _, o := range w.commerce.Orders() {
		second := o.PlacedAt.Format(time.RFC3339)
		if placed[second] {
			w.happened("order placed in the second of another")
		}
		placed[second] = true
	}
	for _, r := range w.connect.Requests() {
		second := r.Created.Format(time.RFC3339) + string(r.Type)
		if created[second] {
			w.happened("request created in the second of another")
		}
		created[second] = true
	}
}

// askedLimit is how many rows a look-up asks for.
var askedLimit = regexp.MustCompile(`\blimit=[1-9]\d*`)

// cutPage lets Connect give fewer rows than a look-up asks for. The connector is not
// the program: it gets what it asks for.
func (w *world) cutPage(r *http.Request) {
	if w.s.tiesPage > 0 {
		r.URL.RawQuery = askedLimit.ReplaceAllString(r.URL.RawQuery, fmt.Sprintf("limit=%d", w.s.tiesPage))
	}
}

// refusal is what refuses the credentials of a call, if anything does.
func (w *world) refusal(p *process, c *call) (refusalSeed, bool) {
	if len(w.s.refusals) == 0 || p.life >= mostLives || c.kind == callProbe { // probes carry no credentials
		return refusalSeed{}, false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.systemCalls[c.connect]
	w.systemCalls[c.connect]++
	for i, r := range w.s.refusals {
		if r.connect != c.connect || n < r.call {
			continue
		}
		since := &w.refusing[i]
		if !since.ever {
			*since = began{true, p.life, time.Now()}
		}
		if r.lasts == 0 && since.life == p.life || r.lasts > 0 && time.Since(since.at) < r.lasts {
			return r, true
		}
	}
	return refusalSeed{}, false
}

// denial is how both systems refuse credentials, in the words of all their APIs. What
// Commerce forbids may be a matter of the order.
func (r refusalSeed) denial() *answerKept {
	return &answerKept{
		status: r.status, header: http.Header{"Content-Type": {"application/json"}}, at: time.Now(),
		body: fmt.Appendf(nil,
			`{"error":"%[1]s","message":"%[1]s","code":"%[1]s","error_code":"AUTH_001","errors":["%[1]s"]}`,
			http.StatusText(r.status)),
		denied: r.connect || r.status == http.StatusUnauthorized,
	}
}

// requestKey is the tenant and type by which the program asks Connect for an order.
func (o *orderSeed) requestKey() (string, connect.RequestType) {
	kind, _ := rules.RequestType(o.kind) // "" is the type of no request
	return tenant(o.subscription), kind
}
