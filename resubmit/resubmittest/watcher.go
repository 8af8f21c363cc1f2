package resubmittest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/conformance"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// What the Watcher promises to the values of its configuration.
const (
	watchWindows = "waits for the first complete answer of Windows"
	watchReady   = "plans only after Ready said that Connect is ready"
	watchEnded   = "plans only for maintenance that has ended"
	watchAsks    = "asks for approval of a plan that resubmits orders"
	watchApplies = "applies nothing that was rejected"
	watchCloses  = "calls OnClosed with a final state, and with a report only if the plan was applied"
)

// CheckWatcher returns a function that adds checks to a configuration: t fails if a [watch.Watcher] with the result
// breaks one of its promises. These are that it waits for a complete answer of Windows, plans after the end of a
// maintenance when Connect is ready, asks for approval of plans that resubmit orders only, applies nothing that was
// rejected, and reports how each episode ends. It also checks the runs, as [CheckRunner] does. Call the function for
// each process of a service that is restarted: it remembers what was rejected.
func CheckWatcher(t testing.TB) func(watch.Config) watch.Config {
	t.Helper()
	checks := conformance.NewChecks(t)
	var rejected sync.Map // by digest
	return func(c watch.Config) watch.Config {
		w := &watcherCheck{Checks: checks, to: c, rejected: &rejected}
		if c.Windows != nil {
			c.Windows = checkedWindows{w}
		}
		if c.Ready != nil {
			c.Ready = w.ready
		}
		if c.Plan != nil {
			c.Plan = w.plan
		}
		if c.Approve != nil {
			c.Approve = w.approve
		}
		c.OnClosed = w.closed
		runner := c.State.Runner
		runner.Systems, runner.Audit = c.State.Systems, w.audit
		c.State.Runner = checkRunner(&runnerCheck{Checks: checks, plans: true}, runner)
		c.State.Systems = c.State.Runner.Systems
		return c
	}
}

// watcherCheck checks one Watcher.
type watcherCheck struct {
	*conformance.Checks

	to       watch.Config
	rejected *sync.Map

	mu      sync.Mutex
	windows bool // there was a complete answer
	isReady bool // at the last question
}

type checkedWindows struct{ *watcherCheck }

func (w checkedWindows) Windows(ctx context.Context, from, to time.Time) ([]maintenance.Window, error) {
	windows, err := w.to.Windows.Windows(ctx, from, to)
	if _, failed := maintenance.SplitWarnings(err); failed == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.windows = true
	}
	return windows, err
}

// called checks that something is called after the first answer of Windows.
func (w *watcherCheck) called(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Require(w.windows, watchWindows, "%s is called before", what)
}

func (w *watcherCheck) ready(ctx context.Context, since time.Time) availability.Readiness {
	w.called("Ready")
	readiness := w.to.Ready(ctx, since)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isReady = readiness.Ready()
	return readiness
}

func (w *watcherCheck) plan(ctx context.Context, e watch.Episode) (resubmit.PlanConfig, error) {
	w.called("Plan")
	w.mu.Lock()
	w.Require(w.isReady, watchReady, "Plan is called for %s, and the last answer of Ready was no", e)
	w.mu.Unlock()
	w.Require(!e.End().IsZero() && !e.End().After(time.Now()), watchEnded, "Plan is called for %s at %s", e,
		time.Now().UTC().Format(time.RFC3339))
	return w.to.Plan(ctx, e)
}

func (w *watcherCheck) approve(ctx context.Context, e watch.Episode, p *plan.Plan) (watch.Approval, error) {
	w.called("Approve")
	w.Require(p.Counts().Resubmit > 0, watchAsks, "the plan for %s resubmits nothing", e)
	answer, err := w.to.Approve(ctx, e, p)
	if err == nil && answer.State == watch.Rejected {
		w.rejected.Store(p.Digest(), true)
	}
	return answer, err
}

func (w *watcherCheck) audit(e resubmit.Event) error {
	if e, ok := e.(resubmit.RunStarted); ok {
		_, rejected := w.rejected.Load(e.Digest)
		w.Require(!rejected, watchApplies, "the plan %s is applied, and was rejected", e.Digest)
	}
	if w.to.State.Runner.Audit == nil {
		return nil
	}
	return w.to.State.Runner.Audit(e)
}

func (w *watcherCheck) closed(e watch.Episode, run *state.Run) {
	final := []watch.EpisodeState{
		watch.EpisodeApplied, watch.EpisodeEmpty, watch.EpisodeRejected, watch.EpisodeExpired,
	}
	w.Require(slices.Contains(final, e.State), watchCloses, "the state of %s is %q", e, e.State)
	w.Require(run == nil || run.Report == nil || e.State == watch.EpisodeApplied, watchCloses,
		"%s is %s, but there is a report", e, e.State)
	if w.to.OnClosed != nil {
		w.to.OnClosed(e, run)
	}
}
