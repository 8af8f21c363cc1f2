package sim

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
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
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

var (
	errKilled  = errors.New("the process was killed")
	errStopped = errors.New("the operator stopped the program")
)

// process is one process of a program. Once it is killed, nothing it still does has an effect.
type process struct {
	w         *world
	program   *program
	number    int // of its program, from 0
	id        int // of the world
	crash     *crashSpec
	sleeps    []suspendSpec
	startedAt time.Time

	ctx    context.Context //nolint:containedctx // a process lives as long as its context
	stop   context.CancelCauseFunc
	dead   chan struct{} // closed by kill
	ended  chan struct{} // closed when it has ended, whatever it has left behind
	once   sync.Once     // for kill
	steps  atomic.Int64
	pushes atomic.Int64
	writes atomic.Int64
	wakes  atomic.Int64 // when a suspended process continues, in ns since the start of the world
	runner atomic.Pointer[resubmit.Runner]
	paused atomic.Bool // by the operator

	opened        bool           // a journal of Config.Journal
	leases        []protocol.Key // of that journal
	journal       *faultyJournal
	diskFull      atomic.Bool
	applying      atomic.Bool // it has a plan
	state         processState
	unsavedPauses atomic.Int64 // Retry-After values that may not be on disk
}

func newProcess(ctx context.Context, g *program, number int) *process {
	p := &process{
		w: g.w, program: g, number: number, id: 1000*g.index + number + 1, dead: make(chan struct{}),
		ended: make(chan struct{}), startedAt: time.Now(),
	}
	p.ctx, p.stop = context.WithCancelCause(rest.Steady(ctx))
	if number >= faultyProcesses {
		return p
	}
	for i := range g.w.s.crashes {
		if c := &g.w.s.crashes[i]; c.program == g.index && c.process == number {
			p.crash = c
		}
	}
	for _, s := range g.w.s.suspensions {
		if s.program == g.index && s.process == number {
			p.sleeps = append(p.sleeps, s)
		}
	}
	return p
}

// String returns the number of the process; with a letter if there are several programs.
func (p *process) String() string {
	if p.program.index == 0 {
		return strconv.Itoa(p.number)
	}
	return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[p.program.index:][:1] + strconv.Itoa(p.number)
}

// runToEnd runs the process until it ends or is killed.
func (p *process) runToEnd() error {
	if c := p.crash; c != nil && c.step == 0 && c.push == 0 {
		defer time.AfterFunc(c.after, func() { p.kill("after some time") }).Stop()
	}
	w := p.w
	w.setCurrent(p.program, p)
	err := p.run()
	_ = p.pause() // a suspended process does not end; if it is killed, it has
	close(p.ended)
	w.setCurrent(p.program, nil)
	w.checker.checkEnd(p, err)
	w.checker.endProcess(p)
	if p.killed() {
		random := w.random(callJournal, -1, p.id)
		if n := w.store.crash(p.id, func() bool { return random.IntN(2) == 0 }); n > 0 {
			w.count("deferred journal writes lost in a crash")
		}
	} else {
		w.store.exit(p.id)
	}
	if p.opened {
		err = errors.Join(err, w.closeJournal(p))
	}
	w.logf("process %s ends: %v", p, err)
	return err
}

// setCurrent sets the running process of a program; nil for none.
func (w *world) setCurrent(g *program, p *process) {
	w.mu.Lock()
	defer w.mu.Unlock()
	g.current = p
}

// step is a point at which the process can be killed or suspended.
func (p *process) step(point string) error {
	n := int(p.steps.Add(1))
	if p.crash != nil && n == p.crash.step {
		p.kill(point)
	}
	for _, s := range p.sleeps {
		if n == s.step {
			p.suspend(s.d)
		}
	}
	return p.pause()
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
		p.w.logf("process %s is killed %s", p, point)
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

// suspend stops the process for a time: none of its calls and writes continues before.
func (p *process) suspend(d time.Duration) {
	p.w.count("process suspended")
	p.w.logf("process %s is suspended for %v", p, d)
	p.wakes.Store(int64(time.Since(p.w.start) + d))
}

// pause waits until the process is not suspended any more.
func (p *process) pause() error {
	for {
		d := time.Duration(p.wakes.Load()) - time.Since(p.w.start)
		if d <= 0 || p.wakes.Load() == 0 {
			break
		}
		if err := p.wait(context.Background(), d); err != nil {
			return err
		}
	}
	select {
	case <-p.dead:
		return errKilled
	case <-p.ended:
		return errKilled
	default:
		return nil
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
	case <-p.ended:
		return errKilled
	}
}

// run makes the plan, unless there is one, and applies it.
func (p *process) run() error {
	systems, err := p.systems()
	if err != nil {
		return err
	}
	if p.journal, err = p.openJournal(&systems); err != nil {
		return err
	}
	if p.program.plan == nil {
		if err := p.makePlan(systems); err != nil {
			return fmt.Errorf("plan: %w", err)
		}
	}
	opened, err := p.program.open()
	if err != nil {
		return err
	}
	return p.apply(systems, opened)
}

// env is the argument of the hooks.
func (p *process) env() *Process { return &Process{Seed: p.w.s.seed, Dir: p.w.dir} }

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
	spec := p.program.spec
	cfg := resubmit.PlanConfig{
		Systems: systems, Policy: p.policy(), Filter: filter.Everything(), Journal: p.journal,
		Calendar: p.w.calendarNow(), Rules: p.w.s.rules, Concurrency: 2,
		RateLimit: max(1, p.w.s.limits.RateLimit), // at some rates of applying, planning would take all day
	}
	if spec.filter != nil {
		cfg.Filter = spec.filter
	}
	if p.program.made > 0 {
		for _, i := range spec.named {
			cfg.OverrideIfFound = append(cfg.OverrideIfFound, p.w.numberOf(i))
		}
		cfg.OverrideIfFound = slices.DeleteFunc(cfg.OverrideIfFound, func(n string) bool { return n == "" })
	}
	if p.w.cfg.Plan != nil {
		p.w.cfg.Plan(p.env(), &cfg)
	}
	before := p.w.matching(spec.filter, cfg.Filter)
	var b bytes.Buffer
	if _, err := resubmit.WritePlan(p.ctx, cfg, &b); err != nil {
		return err
	}
	if p.killed() {
		return errKilled
	}
	after := p.w.matching(spec.filter, cfg.Filter)
	a, err := p.w.checker.approve(p, &cfg, b.Bytes(), before, after)
	if err != nil {
		return err
	}
	return p.program.approve(b.Bytes(), a)
}

func (p *process) apply(systems resubmit.Systems, opened *plan.Plan) error {
	cfg := p.w.s.limits
	cfg.Systems, cfg.Policy, cfg.Journal, cfg.Calendar = systems, p.policy(), p.journal, p.w.calendarNow
	cfg.MaxPlanAge = -1 // windows move and open all the time, and the plan must be applied
	if p.w.s.signed {
		cfg.Require = []ed25519.PublicKey{ed25519.PublicKey(signingKey[ed25519.SeedSize:])}
	}
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
	p.state.start(p, p.program.plan.approval)
	p.runner.Store(runner)
	p.applying.Store(true)
	report, err := runner.Apply(p.ctx, opened)
	if p.killed() {
		return errKilled
	}
	if report != nil {
		if p.w.cfg.reported != nil {
			p.w.cfg.reported(report)
		}
		p.w.checker.checkReport(p, report, err == nil)
		p.program.report = report
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
