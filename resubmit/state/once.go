package state

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/internal/wait"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// OnceOptions are the options of [Dir.Once].
type OnceOptions struct {
	// Plan replaces Config.Plan for a plan that the call makes, for example with the orders that an operator named.
	Plan *resubmit.PlanConfig
	// For says what a plan that the call makes is for, see Run.For. The plan replaces an older one with For that was not
	// applied and is not paused.
	For string
	// Continue continues the unfinished run, and makes no plan.
	Continue bool
	// Applying is called before a plan is applied. Optional.
	Applying func(*Run)
	// WaitUntil is until when the call waits for orders that become due, and then plans again. It does not interrupt a
	// run. Zero: it does not wait.
	WaitUntil time.Time
}

// Result is what a call of [Dir.Once] did.
type Result struct {
	// Runs are the runs that the call continued or planned, the oldest first. Those that it applied have a Report.
	Runs []*Run
	// Previous is the newest run before them that was applied; nil if there is none.
	Previous *Run
}

// String describes the result in a few lines, without the reports.
func (r *Result) String() string {
	var lines []string
	applied := false
	for _, run := range r.Runs {
		lines = append(lines, run.String())
		applied = applied || run.Report != nil
	}
	if r.Previous != nil && !applied {
		lines = append(lines, "nothing was sent by this call; the one before was "+r.Previous.String())
	}
	return strings.Join(lines, "\n")
}

// The errors of Once that say why a run does not begin. Each is one line with the command that continues.
var (
	ErrPaused           = errors.New("the run is paused")
	ErrApprovalRequired = errors.New("the plan needs an approval")
)

// Once is the nightly job: it continues the unfinished run, or else makes a plan and applies it within Limits. It can
// be started at any time, and repeated after any error or crash. The result is not nil, and is that of this call only.
//
// It returns at once, with an error that matches
//   - [*LockedError] if another process plans or applies,
//   - [ErrPaused] if an operator paused the run,
//   - [resubmit.ErrDrained] or [resubmit.ErrCancelled] if an operator ended it: the next call makes a new plan,
//   - [ErrApprovalRequired] if the plan is beyond Limits,
//   - [*resubmit.TooEarlyError] if all orders wait (see OnceOptions.WaitUntil),
//   - [resubmit.ErrJournalMismatch] if the journal is not the one that was used last (see [Recover]).
//
// Other errors are those of planning and applying.
func (d *Dir) Once(ctx context.Context, o OnceOptions) (*Result, error) {
	r := new(Result)
	for {
		due, err := d.once(ctx, o, r)
		next := due
		if earliest := time.Now().Add(minWait); next.Before(earliest) {
			next = earliest
		}
		_, early := errors.AsType[*resubmit.TooEarlyError](err)
		if due.IsZero() || next.After(o.WaitUntil) || err != nil && !early {
			return r, err
		}
		d.log.Info("orders wait", "due", due, "next", next)
		if err := wait.For(ctx, time.Until(next), nil); err != nil {
			return r, fmt.Errorf("state: wait for orders that are due %s: %w", clock(due), err)
		}
	}
}

// minWait is the least time between two plans of a call.
const minWait = 10 * time.Second

// once works on one run, or on two if the first one is stale. It returns when the next order is due.
func (d *Dir) once(ctx context.Context, o OnceOptions, r *Result) (due time.Time, err error) {
	s, err := d.begin(ctx)
	if err != nil {
		return time.Time{}, err
	}
	defer func() { err = cmp.Or(err, s.close(ctx)) }()
	run, previous, err := s.runs.newest()
	if err == nil {
		err = s.endStopped(ctx, run, previous, r)
	}
	if err != nil {
		return time.Time{}, err
	}
	continues, err := s.continues(run, o.For)
	if err != nil {
		return time.Time{}, err
	}
	if !continues && run.applied() {
		previous = run
	}
	if len(r.Runs) == 0 {
		r.Previous = previous
	}
	if continues {
		if err := s.work(ctx, run, &o, r); o.Continue || run.Stop != nil || !errors.Is(err, resubmit.ErrStalePlan) {
			return run.Due, err
		}
	}
	if o.Continue {
		return time.Time{}, nil
	}
	run, err = s.plan(ctx, o.Plan, Run{For: text.Short(o.For), PlannedBy: s.owner}, nil)
	if err != nil {
		return time.Time{}, err
	}
	return run.Due, s.work(ctx, run, &o, r)
}

// endStopped obeys the commands for a run that no process applies. If one ends a run that has begun, the call ends too,
// as that of the process did that has applied it: it does not send the orders with a new plan.
func (s *session) endStopped(ctx context.Context, run, previous *Run, r *Result) error {
	unfinished := run != nil && !run.Ended()
	if err := s.obey(ctx, run, nil); err != nil {
		return err
	}
	if !unfinished || run.Stop == nil || run.StartedAt.IsZero() {
		return nil
	}
	if len(r.Runs) == 0 {
		r.Previous = previous
	}
	r.Runs = append(r.Runs, run)
	return run.stopped()
}

// continues reports whether a run is to be continued. It ends one that waited too long for an approval, or that a plan
// for newPlan replaces.
func (s *session) continues(run *Run, newPlan string) (bool, error) {
	switch {
	case run == nil || run.Ended():
		return false, nil
	case !run.StartedAt.IsZero() || run.Paused != nil:
		return true, nil
	case run.For != "" && newPlan != "" && !run.Review:
		return false, s.runs.end(run, EndStale, "it was replaced by a newer plan")
	case time.Since(run.PlannedAt) < s.cfg.Limits.ApprovalTime:
		return true, nil
	}
	p, err := s.OpenPlan(run)
	if err == nil {
		_, err = s.approvals.of(p)
		_ = p.Close() // only read
	}
	if err == nil {
		return true, nil
	}
	return false, s.runs.end(run, EndStale, "it was not applied in time: "+err.Error())
}

// work applies the plan of a run, if it may be applied now.
func (s *session) work(ctx context.Context, run *Run, o *OnceOptions, r *Result) error {
	r.Runs = append(r.Runs, run)
	if run.Paused != nil {
		return fmt.Errorf("state: %w: by %s %s (%s); to continue, run: %s resume", ErrPaused, text.Short(run.Paused.By),
			clock(run.Paused.At), cmp.Or(text.Short(run.Paused.Why), "no reason given"), s.cfg.Command)
	}
	p, err := s.OpenPlan(run)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }() // only read
	if how := run.nothing(); how != "" {
		if err := s.runs.end(run, how, ""); err != nil || how == EndNothing {
			return err
		}
		return &resubmit.TooEarlyError{Due: run.Due, Wait: run.Counts.Wait}
	}
	if err := s.admit(run, p); err != nil {
		return err
	}
	return s.apply(ctx, run, p, o.Applying)
}

// apply applies the plan of a run and writes the report. applying may be nil.
func (s *session) apply(ctx context.Context, run *Run, p *plan.Plan, applying func(*Run)) error {
	cfg := s.cfg.Runner
	cfg.Systems, cfg.Policy, cfg.Journal, cfg.Calendar = s.cfg.Systems, s.cfg.Policy, s.journal, s.cfg.Calendar
	if planned := p.Header().Policy; planned != nil { // Config.Policy may have changed since
		cfg.Policy = resubmit.Policy{Classifier: s.cfg.Policy.Classifier}
		if err := json.Unmarshal(planned, &cfg.Policy); err != nil {
			return fmt.Errorf("state: the policy of the plan: %w", err)
		}
	}
	cfg.RateLimit = cmp.Or(run.Rate, cfg.RateLimit)
	run.AppliedAt = now()
	run.StartedAt = cmp.Or(run.StartedAt, run.AppliedAt)
	if err := s.runs.save(run); err != nil {
		return err
	}
	if err := s.anchor(ctx); err != nil {
		return err
	}
	log, err := s.openAudit(run)
	if err != nil {
		return err
	}
	s.auditLog = log
	defer func() { s.auditLog = nil; _ = log.Close() }() // a second time, except after an error
	var events marks
	cfg.Audit = events.record(cfg.Audit)
	r, err := s.newRunner(log.Wrap(cfg))
	if err != nil {
		return err
	}
	if applying != nil {
		applying(run)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := s.attend(ctx, cancel, run, r)
	report, err := r.Apply(ctx, p)
	err = cmp.Or(stop(), err, failed("close the audit log", log.Close()))
	run.Report = report
	reported := s.report(run, p, events.since(s.runs.file(run, reportFile)), log.Head())
	if reported != nil {
		s.log.Error("the report is not complete", "run", run.ID, "error", reported)
	}
	return cmp.Or(s.finish(run, err), reported)
}

// endStep is how far the estimated end of a run must move before it is saved again.
const endStep = 10 * time.Second

// attend obeys commands and keeps the anchor up to date while a run is applied. An error ends the run, and is returned
// by stop.
func (s *session) attend(ctx context.Context, cancel context.CancelCauseFunc, run *Run, r runner) (stop func() error) {
	var first error
	var once sync.Once
	every := func(d time.Duration, f func() error) (stop func()) {
		return wait.Every(d, func() bool {
			err := callback.Do(f)
			if err != nil {
				once.Do(func() { first = err })
				cancel(err)
			}
			return err == nil
		})
	}
	stopAnchor := every(500*time.Millisecond, func() error { return s.anchor(ctx) })
	stopObeying := every(time.Second, func() error {
		if err := s.obey(ctx, run, r); err != nil {
			return err
		}
		now := r.Status()
		if last := run.Live; last != nil {
			if now.End.Sub(last.End).Abs() < endStep {
				now.End = last.End
			}
			if reflect.DeepEqual(now, *last) {
				return nil
			}
		}
		run.Live = &now
		return s.runs.save(run)
	})
	return func() error {
		stopObeying()
		stopAnchor()
		return first
	}
}

// finish records how applying ended. After other errors than these the run is to be continued.
func (s *session) finish(run *Run, err error) error {
	var saved error
	switch {
	case err == nil:
		return s.runs.end(run, EndFinished, "")
	case run.Stop != nil: // err may be another one, such as that of ctx
		saved = s.runs.end(run, run.Stop.End, run.Stop.String())
	case errors.Is(err, resubmit.ErrDrained):
		saved = s.runs.end(run, EndDrained, err.Error())
	case errors.Is(err, resubmit.ErrCancelled):
		saved = s.runs.end(run, EndCancelled, err.Error())
	case errors.Is(err, resubmit.ErrStalePlan):
		saved = s.runs.end(run, EndStale, err.Error())
	default:
		run.Why, run.Live = text.Sentence(err.Error()), nil
		saved = s.runs.save(run)
	}
	if saved != nil {
		s.log.Error("the end of a run could not be recorded", "run", run.ID, "error", saved)
	}
	return err
}
