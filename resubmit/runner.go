package resubmit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/throttle"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// ErrRunning means that the Runner is already applying a plan.
var ErrRunning = errors.New(
	"resubmit: the runner is already applying a plan; wait for it, or make another runner")

// Runner applies plans. It is safe for concurrent use and runs one plan at a time.
type Runner struct {
	cfg      Config
	pace     *throttle.Pacer
	explicit []commerce.Status // the targets of orders without reported transitions
	together bool              // pushes and reads share Concurrency

	mu          sync.Mutex
	paused      bool
	concurrency int
	busy        bool // a run is about to begin, or there is one
	run         *run // the current one
}

// NewRunner returns a Runner. It returns an error if the configuration is invalid.
func NewRunner(cfg Config) (*Runner, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	r := &Runner{explicit: slices.Clone(cfg.Targets)}
	if cfg.Concurrency == 0 {
		cfg.Concurrency = max(0, cfg.Capabilities.MaxConcurrency)
		r.together = cfg.Concurrency > 0
	}
	if !cfg.Capabilities.Lists {
		cfg.Lister = nil
	}
	r.cfg = cfg.WithDefaults()
	r.concurrency = r.cfg.Concurrency
	r.cfg.Targets = slices.Clone(r.cfg.Targets)
	r.cfg.Journal = guardedJournal{r.cfg.Journal, r.cfg.Logger}
	r.pace = throttle.NewPacer(r.cfg.RateLimit, r.cfg.MinRateFraction, r.cfg.lastCall)
	return r, nil
}

// Apply resubmits the orders that the plan marks for resubmission, and no others, each at most once,
// and waits until their outcomes are known.
//
// Each order takes these steps: wait for older orders of its subscriptions, for the canary of its
// group, for the gate (not paused, no maintenance window now, soon or just before, breaker closed)
// and for the rate limit; read the order again and compare it with the plan; choose a transition that it offers; claim
// the order and its lanes in the journal; push; record the result; verify the outcome in Commerce and then in Connect.
//
// An order whose push got no answer is only read, until its status shows that the push was accepted or it is proven
// unchanged (see [protocol.Policy]); then it is pushed once more, if the policy allows that, or is not moved. An order
// that is not completed blocks the later orders of its subscriptions.
//
// A server can act on a push and still refuse it. So an order whose push was refused, by this run or
// an earlier one, is read before it is pushed again or reported as skipped. If it was moved, the push
// counts as accepted and the order is verified.
//
// While Commerce does not answer, the run waits. Refused credentials end it: 401 from either system, 403 from Connect
// or to a list, and 403 to the reads or to the pushes of three orders in a row without a success in between. 403 to
// fewer orders is about those orders, which are skipped. Orders that an earlier run has started end the run
// only when all others are done. A push that gets 401 or 403 is tried once more, because clients
// renew their credentials then. The error matches ErrUnauthorized or ErrForbidden of package commerce or
// connect.
//
// Applying the same plan again resumes the run: orders that were pushed are verified, orders that may have been pushed
// are read, finished orders are reported as they were, and the rest is resubmitted. Orders that another plan has
// claimed since the plan was made are not touched. A plan for another system is rejected with
// plan.ErrSystemMismatch, a journal that is not that of the plan, or an older copy, with ErrJournalMismatch, and a plan
// of which no order may be sent yet with a *TooEarlyError.
//
// After ctx ends, or after [Runner.Cancel], nothing is pushed. Pushes in flight finish, in at most
// Policy.PushTimeout, and their results are recorded. [Runner.Drain] also ends the run, but only when all pushed
// orders are verified. Whatever does not return ten seconds after that is abandoned, with its goroutine.
//
// The report counts every order that the plan marks. It is nil only if the run could not start. If the run ended
// early, there is also an error: that of ctx, of the plan, of the journal or of refused credentials, [ErrDrained],
// [ErrCancelled], [ErrCircuitOpen], [ErrLeaseLost] or [ErrRetryAfterTooLong].
func (r *Runner) Apply(ctx context.Context, p *plan.Plan) (*Report, error) {
	if p == nil {
		return nil, errNoPlan
	}
	ctx, end := tracing{r.cfg.Tracer, r.cfg.Logger}.run(ctx, p)
	report, err := r.apply(ctx, p)
	end(report, err)
	return report, err
}

func (r *Runner) apply(ctx context.Context, p *plan.Plan) (*Report, error) {
	x, err := r.begin(ctx, p)
	if err != nil {
		return nil, err
	}
	defer x.cancel(nil)
	rate, _ := r.pace.Rate()
	x.events.emit(RunStarted{
		Digest: p.Digest(), Counts: p.Counts(), Plan: p, ConnectAsked: r.cfg.Requests != nil, Rate: rate,
	})
	x.reportEnd()
	x.shared.follow()
	if err := withinContext(x.ctx, x.recall); err != nil {
		x.fail(err)
	} else {
		x.open()
	}
	return r.finish(x)
}

// finish waits for the orders of a run and returns its report.
func (r *Runner) finish(x *run) (*Report, error) {
	x.wait()
	r.mu.Lock()
	r.pace.Notify(nil)
	r.run = nil
	r.mu.Unlock()
	x.shared.endRate()
	x.caller.endForbidden()
	report, err := x.finish()
	r.mu.Lock()
	r.busy = false
	r.mu.Unlock()
	return report, err
}

// TooEarlyError means that a plan marks no order for resubmission, but some wait. Nothing was sent.
type TooEarlyError struct {
	// Due is when the first of them may be sent; zero if that is not known. Make a new plan then.
	Due  time.Time
	Wait int // orders that wait
}

func (e *TooEarlyError) Error() string {
	when := "later"
	if !e.Due.IsZero() {
		when = "after " + e.Due.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("resubmit: it is too early: %s of the plan wait, and none may be sent now; make a new plan %s",
		text.Orders(e.Wait), when)
}

var errNoPlan = errors.New("resubmit: Apply was given no plan; read one with plan.Open or plan.Read")

// begin checks a plan and begins a run.
func (r *Runner) begin(ctx context.Context, p *plan.Plan) (*run, error) {
	if p == nil {
		return nil, errNoPlan
	}
	planned, err := r.check(p)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	if r.busy {
		r.mu.Unlock()
		return nil, ErrRunning
	}
	r.busy = true
	r.mu.Unlock()
	x, err := r.start(ctx, p, planned) // this may take long, so without the lock
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.busy = false
		return nil, err
	}
	x.gate.set(func(g *gate) bool { g.paused = r.paused; return true })
	x.setConcurrency(r.concurrency)
	r.run = x
	return x, nil
}

// check returns an error if a plan is not for this Runner, and its calendar.
func (r *Runner) check(p *plan.Plan) (*maintenance.Calendar, error) {
	if err := p.CheckSystem(r.cfg.Name); err != nil {
		return nil, err
	}
	if err := p.CheckJournal(); err != nil {
		return nil, err
	}
	if err := checkPolicy(&r.cfg.Policy, p.Header().Policy); err != nil {
		return nil, err
	}
	return p.Header().Calendar()
}

// start begins to use the journal and makes the run.
func (r *Runner) start(ctx context.Context, p *plan.Plan, planned *maintenance.Calendar) (*run, error) {
	l := &lease{journal: r.cfg.Journal}
	var begun bool
	var pause time.Duration
	var control protocol.Record
	err := withinContext(ctx, func() (err error) {
		record, err := r.cfg.Journal.Get(ctx, protocol.RunKey(p.Digest()))
		if err != nil {
			return fmt.Errorf("resubmit: the journal: %w", err)
		}
		if control = record; control.Run == nil {
			control.Run = new(protocol.Run)
		}
		if err := stopped(&control.Run.Control); err != nil {
			return err
		}
		if begun = !control.Run.Started.IsZero(); !begun {
			if c := p.Counts(); c.Resubmit == 0 && c.Wait > 0 {
				return &TooEarlyError{Due: p.Due(), Wait: c.Wait}
			}
		}
		if err := r.cfg.admitPlan(p, planned, begun, time.Now()); err != nil {
			return err
		}
		if pause, err = l.recallPause(ctx); err != nil {
			return fmt.Errorf("resubmit: the journal: %w", err)
		}
		if err := tooLong("a server", max(pause, r.pace.Rest())-retryAfterStep, r.cfg.MaxRetryAfter); err != nil {
			return err // before the run is marked as begun
		}
		return l.begin(ctx, &r.cfg, p, owner())
	})
	switch {
	case errors.Is(err, errHangs):
		return nil, fmt.Errorf("resubmit: a call of the journal or of Config.Calendar: %w", err)
	case err != nil:
		return nil, err
	}
	if pause > 0 {
		r.pace.Hold(pause)
	}
	r.pace.Follow()
	calendar := r.cfg.Calendar
	if calendar == nil {
		calendar = func() *maintenance.Calendar { return planned }
	}
	x := newRun(ctx, r, p, calendar)
	x.lease, x.planned = l, planned
	x.shared.began = control
	go l.keep(x.ctx, x.fail)
	return x, nil
}

// errHangs means that a function of the configuration has not returned after its context has ended.
var errHangs = errors.New("it has not returned")

// withinContext calls a function that may hang, and gives it up with errHangs callGrace after ctx has ended.
func withinContext(ctx context.Context, f func() error) error {
	done := callback.Start(func() (struct{}, error) { return struct{}{}, f() })
	select {
	case r := <-done:
		return r.Err
	case <-ctx.Done():
	}
	late := time.NewTimer(callGrace)
	defer late.Stop()
	select {
	case r := <-done:
		return r.Err
	case <-late.C:
		return fmt.Errorf("%w: %w", errHangs, context.Cause(ctx))
	}
}

// owner names the user, host and process.
func owner() string {
	me := durable.ThisProcess("")
	return text.Short(fmt.Sprintf("%s on %s, process %d", me.User, me.Host, me.PID))
}

// Status returns the state of the current run. Without a run it reports only whether the Runner
// is paused.
func (r *Runner) Status() Status {
	r.mu.Lock()
	x, paused := r.run, r.paused
	r.mu.Unlock()
	switch {
	case x != nil:
		return x.status()
	case paused:
		return Status{State: StatePaused}
	default:
		return Status{}
	}
}

var (
	// ErrDrained reports that a run was drained before it had begun every order.
	ErrDrained = errors.New("resubmit: the run was drained")
	// ErrCancelled reports that a run was ended by Cancel.
	ErrCancelled = errors.New("resubmit: the run was cancelled")
)

// Pause sends no further push until Resume. Pushes in flight finish, and
// verification continues. It may be called before Apply.
func (r *Runner) Pause() { r.setPaused(true) }

// Resume ends a Pause. It does not end a Drain.
func (r *Runner) Resume() { r.setPaused(false) }

func (r *Runner) setPaused(paused bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.paused = paused
	x := r.run
	if x != nil && x.gate.set(func(g *gate) bool { was := g.paused; g.paused = paused; return was != paused }) {
		x.reportControl("")
	}
}

// Drain ends the current run gracefully: nothing more is pushed, pushes in flight finish, and
// orders that were pushed are verified to their end. Then Apply returns its report, with the
// rest as "not started", and ErrDrained if there is any. Without a run it does nothing.
// To drain when a context ends, use
//
//	defer context.AfterFunc(interrupted, runner.Drain)()
func (r *Runner) Drain() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run != nil {
		r.run.drain("")
	}
}

// Cancel ends the current run, as the end of its context does: pushes in flight finish,
// verification stops, and Apply returns ErrCancelled. A second Cancel does not wait for pushes in flight: the next run
// finds out what became of them. Without a run it does nothing.
func (r *Runner) Cancel() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.run != nil && !r.run.end(ErrCancelled) {
		r.run.giveUp()
	}
}

// SetLimits changes Config.RateLimit and Config.Concurrency from the next call on, also of the
// current run. 0 changes nothing; a rate of -1 is no limit. Calls in flight finish.
func (r *Runner) SetLimits(rate float64, concurrency int) error {
	if err := checkRate("SetLimits: the rate", rate); err != nil {
		return fmt.Errorf("resubmit: %w", err)
	}
	if concurrency < 0 {
		return fmt.Errorf("resubmit: SetLimits was given a concurrency of %d; give a count, or 0 to leave it", concurrency)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if rate != 0 {
		r.pace.SetLimit(rate)
	}
	if concurrency != 0 {
		r.concurrency = concurrency
		if r.run != nil {
			r.run.setConcurrency(concurrency)
		}
	}
	return nil
}
