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

// process is one process of the program. Once it is killed, nothing it still does has an effect.
type process struct {
	w         *world
	number    int
	crash     *crashSpec // nil: the process is not killed
	startedAt time.Time

	ctx    context.Context //nolint:containedctx // a process lives as long as its context
	stop   context.CancelCauseFunc
	dead   chan struct{} // closed by kill
	once   sync.Once     // for kill
	steps  atomic.Int64
	pushes atomic.Int64
	runner atomic.Pointer[resubmit.Runner]
	paused atomic.Bool // by the operator

	applying      atomic.Bool // it has a plan
	state         processState
	unsavedPauses atomic.Int64 // Retry-After values that may not be on disk
}

// runProcess starts the program and waits for its end. If it has not finished, it is restarted after downtime.
func (w *world) runProcess(ctx context.Context, number int) (finished bool, downtime time.Duration) {
	p := &process{w: w, number: number, dead: make(chan struct{}), startedAt: time.Now()}
	p.ctx, p.stop = context.WithCancelCause(rest.Steady(ctx))
	defer p.stop(nil)
	for i := range w.s.crashes {
		if w.s.crashes[i].process == number && number < faultyProcesses {
			p.crash = &w.s.crashes[i]
		}
	}
	if p.crash != nil && p.crash.step == 0 && p.crash.push == 0 {
		defer time.AfterFunc(p.crash.after, func() { p.kill("after some time") }).Stop()
	}
	w.disk.tear = p.tearWrite
	w.setCurrent(p)
	defer w.setCurrent(nil)
	err := p.run()
	w.checker.checkEnd(p, err)
	w.checker.endProcess(p)
	err = errors.Join(err, p.closeJournal())
	w.logf("process %d ends: %v", number, err)
	switch {
	case p.killed():
		w.restartClock(p.crash.clockAhead)
		return false, p.crash.downtime
	case err == nil:
		return true, 0
	default:
		return false, time.Minute
	}
}

// closeJournal closes the files of a journal, as the end of a process does.
func (p *process) closeJournal() error {
	if c, ok := p.state.journal.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func (w *world) setCurrent(p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.current = p
}

// step is a point at which the process can be killed.
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

// stepSent is the step after a call was sent.
func (p *process) stepSent(c *call) error {
	const point = "while a call is in flight"
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
		p.w.count("crash while " + what + ", " + point)
		p.w.logf("process %d is killed %s", p.number, point)
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

// wait waits for d, or until the call or the process ends.
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

// tearWrite returns how many bytes of a journal write arrive.
func (p *process) tearWrite(b []byte) (int, error) {
	if p.killed() {
		return 0, errKilled
	}
	if err := p.step("in a journal write"); err != nil {
		n := int(p.crash.tear * float64(len(b)+1))
		if n > 0 && n < len(b) {
			p.w.count("torn journal write")
		}
		return n, err
	}
	p.w.mu.Lock()
	key := callKey{callJournal, -1}
	n := p.w.callCounts[key]
	p.w.callCounts[key]++
	p.w.mu.Unlock()
	if f := p.w.fault(p, callJournal, -1, n); f.kind != "" {
		p.w.count("disk full in a journal write")
		return len(b) / 2, errDiskFull
	}
	return len(b), nil
}

// run makes the plan, unless there is one, and applies it.
func (p *process) run() error {
	systems, err := p.systems()
	if err != nil {
		return err
	}
	if p.w.plan == nil {
		if err := p.makePlan(systems); err != nil {
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
	return p.apply(systems, plan)
}

// env is the argument of the hooks.
func (p *process) env() *Process { return &Process{Seed: p.w.s.seed, Disk: p.w.disk, Dir: p.w.dir} }

// systems returns the clients of the program.
func (p *process) systems() (resubmit.Systems, error) {
	network := &http.Client{Transport: &network{p}}
	orders, err := p.orders(network)
	if err != nil {
		return resubmit.Systems{}, err
	}
	systems := resubmit.SystemsOf(orders, p.lister(orders))
	requests, err := connect.New(connectURL, connect.APIKey(connecttest.DefaultKey),
		connect.WithHTTPClient(network), connect.WithMaxTries(p.w.s.maxTries),
		connect.WithConcurrency(1)) // so that a seed replays the same look-ups
	systems.Requests = requests
	if p.w.s.probe {
		systems.Prober = requests
	}
	if len(p.w.s.panics) > 0 {
		p.panicInCalls(&systems, orders)
	}
	return systems, err
}

// policy is what the operator set for planning and applying.
func (p *process) policy() resubmit.Policy {
	policy := p.w.s.limits.Policy
	policy.Targets = p.targets()
	return policy
}

// orders makes the client for the world's API of Commerce.
func (p *process) orders(network *http.Client) (resubmit.Client, error) {
	at, tries := commercetest.URLsAt(commerceURL), p.w.s.maxTries
	switch p.w.s.api {
	case apiBilling:
		return billing.New(at.Billing, billing.NoLogin(), billing.WithHTTPClient(network), billing.WithMaxTries(tries))
	case apiSimple:
		return simpleapi.New(at.SimpleAPI, simpleapi.GatewayToken(commercetest.DefaultSimpleKey, simpleapi.GatewayLogin{
			User: commercetest.DefaultSimpleUser, Password: commercetest.DefaultSimplePassword,
		}), simpleapi.WithHTTPClient(network), simpleapi.WithMaxTries(tries))
	default:
		return ordermanager.New(at.OrderManager, ordermanager.Token(commercetest.DefaultToken),
			ordermanager.WithHTTPClient(network), ordermanager.WithMaxTries(tries))
	}
}

// lister lists the orders. Billing cannot: its operator exports a list from the panel.
func (p *process) lister(orders resubmit.Client) resubmit.OrderLister {
	byIDs, ok := orders.(*billing.Client)
	if !ok {
		lister, _ := orders.(resubmit.OrderLister) // all other clients are
		return lister
	}
	var lines []billing.OrderRef
	for _, o := range p.w.commerce.Orders() {
		if o.Status == commerce.StatusProvisioningFailed {
			lines = append(lines, billing.OrderRef{ID: o.BillingID, Subscription: o.Subscription})
		}
	}
	return byIDs.FromRefs(lines)
}

func (p *process) makePlan(systems resubmit.Systems) error {
	cfg := resubmit.PlanConfig{
		Systems: systems, Policy: p.policy(), Filter: filter.Everything(),
		Calendar: p.w.calendarNow(), Rules: p.w.s.rules, Concurrency: 2,
		RateLimit: max(1, p.w.s.limits.RateLimit), // at some rates of applying, planning would take all day
	}
	if p.w.s.filter != nil {
		cfg.Filter = p.w.s.filter
	}
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
	if err := p.w.checker.approve(p, &cfg, b.Bytes(), before, after); err != nil {
		return err
	}
	p.w.plan = b.Bytes()
	return nil
}

func (p *process) apply(systems resubmit.Systems, plan *plan.Plan) error {
	journal, err := p.journal()
	if err != nil {
		return err
	}
	cfg := p.w.s.limits
	cfg.Systems, cfg.Policy, cfg.Journal, cfg.Calendar = systems, p.policy(), journal, p.w.calendarNow
	cfg.MaxPlanAge = -1 // windows move and open all the time, and the plan must be applied
	if len(p.w.s.panics) > 0 {
		cfg.OnEvent = func(resubmit.Event) { p.panicIf(p.nextPanic(callEvent, -1), false) }
	}
	if p.w.cfg.Runner != nil {
		p.w.cfg.Runner(p.env(), &cfg)
	}
	runner, err := resubmit.NewRunner(cfg)
	if err != nil {
		return err
	}
	p.state.start(p)
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
		p.w.checker.checkReport(report, plan.Counts(), err == nil)
		p.w.report = report
	}
	return err
}

// targets are tried where an API does not show which transitions an order offers.
func (p *process) targets() []commerce.Status {
	if p.w.s.api == apiOrderManager {
		return nil
	}
	return []commerce.Status{commerce.StatusPaid, commerce.StatusCheckingConditions}
}

// directClient calls Commerce without any faults.
func directClient(w *world) (*ordermanager.Client, error) {
	return ordermanager.New(commerceURL, ordermanager.Token(commercetest.DefaultToken),
		ordermanager.WithHTTPClient(&http.Client{Transport: w.commerce.Transport()}))
}

// notSent reports whether a call surely did not leave.
func notSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}
