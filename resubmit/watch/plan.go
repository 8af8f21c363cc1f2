package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// plan writes the plan of an episode and saves the episode.
func (w *Watcher) plan(ctx context.Context, calendar *maintenance.Calendar, e Episode) error {
	w.setStatus(update{phase: PhasePlanning, episode: e, text: "Connect is ready. Planning for " + e.name() + "."})
	cfg, err := w.planConfig(ctx, calendar, e)
	if err != nil {
		return err
	}
	if _, err := resubmit.WritePlanFile(ctx, cfg, w.planPath(e)); err != nil {
		return err
	}
	plan, err := plan.Open(w.planPath(e))
	if err != nil {
		return err
	}
	e.State, e.PlannedAt, e.Plan, e.Counts = EpisodePlanned, plan.Header().CreatedAt, plan.Digest(), plan.Counts()
	if err := plan.Close(); err != nil {
		return err
	}
	if e.Counts.Resubmit == 0 {
		e.State, e.Note = EpisodeEmpty, "there is no order to resubmit"
		if e.Counts.Total > 0 {
			e.Note += ": " + e.Counts.String()
		}
		return w.finish(e, nil, time.Now())
	}
	w.askAt = time.Time{}
	return w.save(w.state.with(e))
}

// planConfig returns the configuration from Config.Plan with its defaults.
func (w *Watcher) planConfig(
	ctx context.Context, calendar *maintenance.Calendar, e Episode,
) (resubmit.PlanConfig, error) {
	cfg, err := w.cfg.Plan(ctx, e)
	if err != nil {
		return cfg, fmt.Errorf("configure the plan: %w", err)
	}
	if cfg.Filter == nil {
		cfg.Filter = filter.FailedDuring(e.Windows...)
	}
	cfg.Calendar = cmp.Or(cfg.Calendar, calendar)
	switch name := w.cfg.Runner.Name; {
	case cfg.Systems == resubmit.Systems{}:
		cfg.Systems = w.cfg.Runner.Systems
	case cfg.Name != name:
		return cfg, fmt.Errorf("watch.Config.Plan returned Systems of %q, but those of Runner are of %q; use one system",
			text.Short(cfg.Name), name)
	}
	cfg.Policy = w.cfg.Runner.Policy
	cfg.RateLimit = cmp.Or(cfg.RateLimit, w.cfg.Runner.RateLimit)
	progress := cfg.Progress
	cfg.Progress = func(now resubmit.PlanProgress) {
		w.setStatus(update{phase: PhasePlanning, silent: true, episode: e,
			text: fmt.Sprintf("Planning for %s: %s.", e.name(), now)})
		if progress != nil {
			progress(now)
		}
	}
	return cfg, nil
}

// ask calls Config.Approve for a plan, if it is time to.
func (w *Watcher) ask(ctx context.Context, e Episode, now time.Time) (time.Duration, error) {
	if pause := w.askAt.Sub(now); pause > 0 && !w.askNow.Load() {
		return min(pause, w.cfg.Refresh), nil
	}
	w.askNow.Store(false)
	plan, err := w.openUndecided(e)
	if err != nil {
		w.discardPlan(slog.LevelWarn, "plan unusable, planning again", e, "detail", text.Short(err.Error()))
		return 0, nil
	}
	if w.asked != e.Plan {
		w.asked = e.Plan
		w.setStatus(update{phase: PhaseAwaitingApproval, episode: e, text: fmt.Sprintf(
			"Asking for approval of the plan %s for %s: %s to resubmit.",
			shortDigest(e.Plan), e.name(), text.Orders(e.Counts.Resubmit))})
	}
	answer, err := callback.Call(func() (Approval, error) { return w.cfg.Approve(ctx, e, plan) })
	if panicked, ok := errors.AsType[*callback.PanicError](err); ok {
		callback.Log(w.cfg.Logger, err)
		answer, err = Approval{Why: panicked.Error()}, nil
	}
	if err = errors.Join(err, plan.Close()); err != nil {
		return 0, fmt.Errorf("ask for approval: %w", err)
	}
	return 0, w.decide(e, answer, now)
}

// decide acts on the answer of Config.Approve.
func (w *Watcher) decide(e Episode, answer Approval, now time.Time) error {
	why := ""
	if answer.Why != "" {
		why = ": " + text.Short(answer.Why)
	}
	switch answer.Decision {
	case Approved:
		w.log(slog.LevelInfo, "plan approved", "step", PhaseAwaitingApproval, "episode", e.ID,
			"detail", "The plan "+shortDigest(e.Plan)+" is approved"+why+".")
		e.State = EpisodeApplying
		return w.save(w.state.with(e))
	case Rejected:
		e.State, e.Note = EpisodeRejected, "the plan "+shortDigest(e.Plan)+" was rejected"+why
		return w.finish(e, nil, time.Now())
	case Pending:
	default:
		return fmt.Errorf("Config.Approve returned the decision %q; return Pending, %q or %q",
			text.Short(string(answer.Decision)), Approved, Rejected)
	}
	w.askAt = answer.At
	if !answer.At.After(now) {
		w.askAt = time.Now().Add(defaultAskAgain)
	}
	w.setStatus(update{phase: PhaseAwaitingApproval, episode: e, until: w.askAt, key: "pending", text: fmt.Sprintf(
		"The plan %s for %s is not decided yet%s. It has %s to resubmit.",
		shortDigest(e.Plan), e.name(), why, text.Orders(e.Counts.Resubmit))})
	return nil
}

// openPlan opens the plan of an episode and checks its digest.
func (w *Watcher) openPlan(e Episode) (*plan.Plan, error) {
	plan, err := plan.Open(w.planPath(e))
	if err != nil {
		return nil, err
	}
	if plan.Digest() != e.Plan {
		err := fmt.Errorf("%s is the plan %s, want %s", w.planPath(e), plan.Digest(), e.Plan)
		return nil, errors.Join(err, plan.Close())
	}
	return plan, nil
}

// openUndecided opens a plan that is not approved yet. A plan for another system, or of an
// older version, which names none, is an error, since it could not be applied.
func (w *Watcher) openUndecided(e Episode) (*plan.Plan, error) {
	plan, err := w.openPlan(e)
	if err != nil {
		return nil, err
	}
	if err := plan.CheckSystem(w.cfg.Runner.Name); err != nil {
		return nil, errors.Join(err, plan.Close())
	}
	return plan, nil
}

// shortDigest abbreviates a digest for display.
func shortDigest(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }
