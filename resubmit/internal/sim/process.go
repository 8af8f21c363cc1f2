package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/commerce/simpleapi"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/internal/rest"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

var (
	errKilled  = errors.New("the process was killed")
	errStopped = errors.New("the operator stopped the program")
)

// process is one life of the program. Once it is killed nothing that is left of it
// reaches anything outside any more.
type process struct {
	w     *world
	life  int
	crash *crashSeed // nil: it is not killed
	began time.Time

	ctx    context.Context //nolint:containedctx // a process lives as long as its context
	stop   context.CancelCauseFunc
	dead   chan struct{}
	once   sync.Once
	steps  atomic.Int64
	pushes atomic.Int64
	runner atomic.Pointer[resubmit.Runner]
	paused atomic.Bool // by the operator

	applying atomic.Bool
	own      ownBook
	// unkept counts what servers asked for that is not on disk, or may not be.
	unkept atomic.Int64
}

// live starts the program and waits for its end. over says that it has done its
// work; else it is started again after down.
func (w *world) live(ctx context.Context, life int) (over bool, down time.Duration) {
	p := &process{w: w, life: life, dead: make(chan struct{}), began: time.Now()}
	p.ctx, p.stop = context.WithCancelCause(rest.Steady(ctx))
	defer p.stop(nil)
	for i := range w.s.crashes {
		if w.s.crashes[i].life == life && life < mostLives {
			p.crash = &w.s.crashes[i]
		}
	}
	if p.crash != nil && p.crash.step == 0 && p.crash.push == 0 {
		defer time.AfterFunc(p.crash.after, func() { p.kill("some time") }).Stop()
	}
	w.disk.tear = p.tear
	w.set(p)
	defer w.set(nil)
	err := p.run()
	w.book.judgeEnd(p, err)
	w.book.leave(p)
	err = errors.Join(err, p.closeJournal())
	w.note("life %d ends: %v", life, err)
	switch {
	case p.killed():
		w.restartClock(p.crash.ahead)
		return false, p.crash.down
	case err == nil:
		return true, 0
	default:
		return false, time.Minute
	}
}

// closeJournal lets go of files. A killed process does so by dying.
func (p *process) closeJournal() error {
	if c, ok := p.own.journal.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func (w *world) set(p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.current = p
}

// step is a point at which the process can die.
func (p *process) step(point string) error {
	n := p.steps.Add(1)
	if p.crash != nil && p.crash.step > 0 && int(n) == p.crash.step {
		p.kill(point)
	}
	if p.killed() {
		return errKilled
	}
	return nil
}

// leave is the step of a call that has left.
func (p *process) leave(c *call) error {
	const point = "while a call is on its way"
	if c.kind == callPush && p.crash != nil && int(p.pushes.Add(1)) == p.crash.push {
		p.kill(point)
	}
	return p.step(point)
}

func (p *process) kill(point string) {
	p.once.Do(func() {
		what := "planning"
		if p.applying.Load() {
			what = "applying"
		}
		p.w.happened("crash while " + what + ", " + point)
		p.w.note("life %d is killed %s", p.life, point)
		close(p.dead)
		p.stop(errKilled)
	})
}

func (p *process) killed() bool {
	select {
	case <-p.dead:
		return true
	default:
		return false
	}
}

// wait waits, or ends with the call or the process.
func (p *process) wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.dead:
		return errKilled
	}
}

// tear says how much of a write arrives.
func (p *process) tear(b []byte) (int, error) {
	if p.killed() {
		return 0, errKilled
	}
	if err := p.step("in a journal write"); err != nil {
		n := int(p.crash.tear * float64(len(b)+1))
		if n > 0 && n < len(b) {
			p.w.happened("torn journal write")
		}
		return n, err
	}
	p.w.mu.Lock()
	key := callKey{callJournal, -1}
	n := p.w.nth[key]
	p.w.nth[key]++
	p.w.mu.Unlock()
	if f := p.w.fault(p, callJournal, -1, n); f.kind != "" {
		p.w.happened("disk full in a journal write")
		return len(b) / 2, errDiskFull
	}
	return len(b), nil
}

// run is what the program does: plan, unless there is one, and apply.
func (p *process) run() error {
	orders, requests, err := p.clients()
	if err != nil {
		return err
	}
	if p.w.plan == nil {
		if err := p.makePlan(orders, requests); err != nil {
			return fmt.Errorf("plan: %w", err)
		}
	}
	data := p.w.plan
	if p.w.cfg.applied != nil {
		data = p.w.cfg.applied(data)
	}
	plan, err := plan.Read(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return err
	}
	return p.apply(orders, requests, plan)
}

// env is what the hooks get.
func (p *process) env() *Process { return &Process{Seed: p.w.s.seed, Disk: p.w.disk, Dir: p.w.dir} }

func (p *process) clients() (client, *connect.Client, error) {
	network := &http.Client{Transport: &networkLine{p}}
	orders, err := p.orders(network)
	if err != nil {
		return nil, nil, err
	}
	requests, err := connect.New(connectURL, connect.APIKey(connecttest.DefaultKey),
		connect.WithHTTPClient(network), connect.WithMaxTries(p.w.s.tries),
		connect.WithConcurrency(1)) // so that a seed replays the same look-ups
	return orders, requests, err
}

// client is a client of Commerce.
type client interface {
	resubmit.OrderReader
	resubmit.Pusher
}

// orders makes the client for the world's API of Commerce.
func (p *process) orders(network *http.Client) (client, error) {
	at, tries := commercetest.URLsAt(commerceURL), p.w.s.tries
	switch p.w.s.way {
	case byBilling:
		return billing.New(at.Billing, billing.None(), billing.WithHTTPClient(network), billing.WithMaxTries(tries))
	case bySimpleAPI:
		return simpleapi.New(at.SimpleAPI, simpleapi.GatewayToken(commercetest.DefaultSimpleKey, simpleapi.GatewayLogin{
			User: commercetest.DefaultSimpleUser, Password: commercetest.DefaultSimplePassword,
		}), simpleapi.WithHTTPClient(network), simpleapi.WithMaxTries(tries))
	default:
		return ordermanager.New(at.OrderManager, ordermanager.Token(commercetest.DefaultToken),
			ordermanager.WithHTTPClient(network), ordermanager.WithMaxTries(tries))
	}
}

// source lists the orders. Billing cannot: there the operator brings a list from the
// panel.
func (p *process) source(orders client) resubmit.OrderLister {
	byIDs, ok := orders.(*billing.Client)
	if !ok {
		source, _ := orders.(resubmit.OrderLister) // the other clients are
		return source
	}
	var lines []billing.Line
	for _, o := range p.w.commerce.Orders() {
		if o.Status == commerce.StatusProvisioningFailed {
			lines = append(lines, billing.Line{ID: o.InternalID, Subscription: o.Subscription})
		}
	}
	return byIDs.FromList(lines)
}

func (p *process) makePlan(orders client, requests *connect.Client) error {
	cfg := resubmit.PlanConfig{
		Lister: p.source(orders), Reader: orders, Requests: requests, Filter: filter.Everything(),
		Calendar: p.w.calendarNow(),
		Rules:    p.w.s.rules, SettleDelay: p.w.s.limits.SettleDelay, Concurrency: 2,
		RateLimit: p.w.planRate(),
	}
	if p.w.s.way != byOrderManager {
		cfg.Targets = blindTargets()
	}
	if p.w.s.filter != nil {
		cfg.Filter = p.w.s.filter
	}
	p.panickyPlan(&cfg, orders)
	if p.w.cfg.Plan != nil {
		p.w.cfg.Plan(p.env(), &cfg)
	}
	before := p.w.matching(cfg.Filter)
	var b bytes.Buffer
	if _, err := resubmit.WritePlan(p.ctx, cfg, &b); err != nil {
		return err
	}
	if p.killed() {
		return errKilled
	}
	after := p.w.matching(cfg.Filter)
	if err := p.w.book.approve(p, &cfg, b.Bytes(), before, after); err != nil {
		return err
	}
	p.w.plan = b.Bytes()
	return nil
}

// planRate is the rate of planning. It is not as low as some rates of applying, so that
// a world does not only plan.
func (w *world) planRate() float64 { return max(1, w.s.limits.RateLimit) }

func (p *process) apply(orders client, requests *connect.Client, plan *plan.Plan) error {
	journal, err := p.journal()
	if err != nil {
		return err
	}
	cfg := p.w.s.limits
	cfg.Reader, cfg.Pusher, cfg.Requests, cfg.Journal = orders, orders, requests, journal
	cfg.Calendar = p.w.calendarNow
	cfg.MaxPlanAge = -1 // windows move and open all the time, and the plan is to be carried out
	if p.w.s.probe {
		cfg.Probe = requests
	}
	if p.w.s.way != byOrderManager {
		cfg.Targets = blindTargets()
	}
	p.panickyRun(&cfg, orders)
	if p.w.cfg.Runner != nil {
		p.w.cfg.Runner(p.env(), &cfg)
	}
	runner, err := resubmit.NewRunner(cfg)
	if err != nil {
		return err
	}
	p.own.begin(p)
	p.runner.Store(runner)
	p.applying.Store(true)
	report, err := runner.Apply(p.ctx, plan)
	if p.killed() {
		return errKilled
	}
	if report != nil {
		if p.w.cfg.reported != nil {
			p.w.cfg.reported(report)
		}
		p.w.book.report(report, plan.Counts(), err == nil)
		p.w.last = report
	}
	return err
}

// blindTargets are tried where an order does not tell what it offers.
func blindTargets() []commerce.Status {
	return []commerce.Status{commerce.StatusPaid, commerce.StatusCheckingConditions}
}

func (p *process) journal() (resubmit.Journal, error) {
	open := func(*Process) (resubmit.Journal, error) { return OpenLog(p.w.disk) }
	if p.w.cfg.Journal != nil {
		open = p.w.cfg.Journal
	}
	inner, err := open(p.env())
	if err != nil {
		return nil, fmt.Errorf("open the journal: %w", err)
	}
	p.own.journal = inner
	watched := &watchedJournal{Journal: inner, p: p}
	log, ok := inner.(*Log)
	if !ok || p.w.cfg.Journal != nil || p.w.s.seed%2 == 0 {
		return watched, nil
	}
	return &lateJournal{watchedJournal: watched, log: log, turn: make(chan struct{}, 1)}, nil
}

// watchedJournal is a journal whose process can die before, in and after each
// write, and which takes its time.
type watchedJournal struct {
	resubmit.Journal
	p *process
}

func (j *watchedJournal) Begin(digest string) error {
	if j.p.killed() {
		return errKilled
	}
	return j.Journal.Begin(digest)
}

func (j *watchedJournal) Put(r resubmit.Record) error {
	if err := j.p.step("before a journal write"); err != nil {
		return err
	}
	order := j.p.w.index(r.OrderID)
	random := j.p.w.random(callJournal, order, r.Attempt*16+len(r.State))
	if err := j.p.wait(context.Background(), 50*time.Microsecond+
		time.Duration(random.Int64N(int64(3*time.Millisecond)))); err != nil {
		return err
	}
	err := j.Journal.Put(r)
	j.p.w.note("life %d: journal: order %d is %s, attempt %d (%s): %v", j.p.life, order, r.State, r.Attempt, r.Why, err)
	if err != nil {
		return err
	}
	j.p.w.book.wrote(j.p, order, r)
	return j.p.step("after a journal write")
}

func (j *watchedJournal) Get(orderID string) (resubmit.Record, bool, error) {
	if j.p.killed() {
		return resubmit.Record{}, false, errKilled
	}
	return j.Journal.Get(orderID)
}

// PutPatience implements resubmit.PatientJournal. A journal that is not patient is not
// asked for more than it can.
func (j *watchedJournal) PutPatience(asked resubmit.Patience) error {
	j.p.unkept.Add(1)
	patient, ok := j.Journal.(resubmit.PatientJournal)
	if !ok {
		return nil
	}
	if err := j.p.step("before a journal write"); err != nil {
		return err
	}
	if err := j.p.wait(context.Background(), time.Millisecond); err != nil {
		return err
	}
	err := patient.PutPatience(asked)
	j.p.w.note("life %d: journal: nothing is sent before %v: %v", j.p.life, asked.Until.Sub(j.p.w.start), err)
	if err != nil {
		return err
	}
	j.p.unkept.Add(-1)
	return j.p.step("after a journal write")
}

// Patience implements resubmit.PatientJournal.
func (j *watchedJournal) Patience() (resubmit.Patience, error) {
	patient, ok := j.Journal.(resubmit.PatientJournal)
	switch {
	case !ok:
		return resubmit.Patience{}, nil
	case j.p.killed():
		return resubmit.Patience{}, errKilled
	}
	return patient.Patience()
}

// restartClock lets the clock jump back at a restart, by dating what was written
// before into the future.
func (w *world) restartClock(ahead time.Duration) {
	if ahead <= 0 || w.cfg.Journal != nil {
		return
	}
	data := w.disk.Bytes()
	w.disk.tear = nil
	w.disk.Truncate(0)
	l := &Log{disk: w.disk}
	_, _ = readLog(data, func(line logLine) { // what is torn is left out, as at the next start
		if line.Record != nil {
			line.Record.At = line.Record.At.Add(ahead)
			if !line.Record.SentAt.IsZero() {
				line.Record.SentAt = line.Record.SentAt.Add(ahead)
			}
		}
		if line.Patience != nil {
			line.Patience.Asked, line.Patience.Until = line.Patience.Asked.Add(ahead), line.Patience.Until.Add(ahead)
		}
		_ = l.write(line) // nothing tears it
	})
	w.book.mu.Lock()
	w.book.read = 0
	w.book.mu.Unlock()
	w.happened("clock of the program jumped back")
}

// directClient speaks to Commerce past all trouble.
func directClient(w *world) (*ordermanager.Client, error) {
	return ordermanager.New(commerceURL, ordermanager.Token(commercetest.DefaultToken),
		ordermanager.WithHTTPClient(&http.Client{Transport: w.commerce.Transport()}))
}

// notSent says that a call for sure did not leave.
func notSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
