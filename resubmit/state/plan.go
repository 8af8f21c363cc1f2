package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// PlanOptions are the options of [Dir.Plan].
type PlanOptions struct {
	// For says what the plan is for, see Run.For.
	For string
	// By is who makes the plan, for people. Default: the user of this process.
	By string
}

// ErrUnfinished means that a run has begun and is not finished, so that no plan can replace it.
var ErrUnfinished = errors.New("a run is not finished")

// Plan makes a plan that is applied only after a person has approved it, whatever Limits say: call [Dir.Approve], and
// then [Dir.Once] with Continue. It replaces an older plan that was not applied, and keeps its pause. A plan without an
// order that can be resubmitted now ends at once, see Run.End, unless it is paused. cfg nil: Config.Plan.
//
// The error matches [ErrUnfinished] if a run has begun, and [*LockedError] if another process plans or applies. After
// an error of the planner the older plan stays. If a command ends it while the planner works, there is no new plan: the
// error matches [resubmit.ErrDrained] or [resubmit.ErrCancelled].
func (d *Dir) Plan(ctx context.Context, cfg *resubmit.PlanConfig, o PlanOptions) (run *Run, err error) {
	s, err := d.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = cmp.Or(err, s.close(ctx)) }()
	old, _, err := s.runs.newest()
	if err == nil {
		err = s.obey(ctx, old, nil)
	}
	if err != nil {
		return nil, err
	}
	draft := Run{For: text.Short(o.For), PlannedBy: cmp.Or(text.Short(o.By), s.owner), Review: true}
	switch {
	case old == nil || old.Ended():
		old = nil
	case !old.StartedAt.IsZero():
		return nil, fmt.Errorf("state: %w: %s; continue it, or run: %s drain", ErrUnfinished, old.ID, s.cfg.Command)
	}
	run, err = s.plan(ctx, cfg, draft, old)
	if err != nil || run.nothing() == "" || run.Paused != nil {
		return run, err
	}
	return run, s.runs.end(run, run.nothing(), "")
}

// plan makes a plan, and its run from a draft. The run appears in runs/ when it is complete. The run that it replaces,
// which may be nil, ends just after, or in the next session if the process is killed.
func (s *session) plan(ctx context.Context, cfg *resubmit.PlanConfig, run Run, replaces *Run) (*Run, error) {
	draft := filepath.Join(s.runs.path, hidden+"plan")
	if err := os.Mkdir(draft, 0o700); err != nil {
		return nil, failed("make a plan", err)
	}
	defer func() { _ = os.RemoveAll(draft) }() // else the next session does
	err := s.runs.step("write " + planFile)
	if err == nil {
		_, err = s.writePlan(ctx, s.planConfig(cfg, s.journal), filepath.Join(draft, planFile))
	}
	if err != nil {
		return nil, failed("make a plan", err)
	}
	p, err := plan.Open(filepath.Join(draft, planFile))
	if err != nil {
		return nil, err
	}
	run.Kind, run.Version, run.Owner = runFormat.Kind, runFormat.Version, s.owner
	run.Digest, run.Counts, run.Due, run.PlannedAt = p.Digest(), p.Counts(), p.Due(), p.Header().CreatedAt
	_ = p.Close() // only read
	if run.ID, err = s.runs.newID(&run); err != nil {
		return nil, err
	}
	if replaces != nil {
		if err := s.obey(ctx, replaces, nil); err != nil { // commands that were given meanwhile
			return nil, err
		}
		if replaces.Ended() {
			return nil, replaces.stopped()
		}
		if run.Paused = replaces.Paused; run.Paused != nil && s.cfg.Journal != nil {
			pause := Command{Action: ActionPause, Run: run.Digest, By: run.Paused.By, Why: run.Paused.Why}
			if err := tell(ctx, s.journal, &pause, &run); err != nil {
				return nil, err
			}
		}
	}
	if err := runFormat.WriteFile(filepath.Join(draft, runFile), run, 0o600); err != nil {
		return nil, failed("write "+runFile, err)
	}
	if err = s.runs.step("add the run"); err == nil {
		err = durable.Rename(draft, filepath.Join(s.runs.path, run.ID))
	}
	if err != nil || replaces == nil {
		return &run, failed("add the run", err)
	}
	return &run, s.runs.end(replaces, EndStale, "it was replaced by a newer plan of "+run.PlannedBy)
}

// planConfig returns the configuration of the planner. plan may be nil.
func (d *Dir) planConfig(plan *resubmit.PlanConfig, j resubmit.Journal) resubmit.PlanConfig {
	cfg := *cmp.Or(plan, &d.cfg.Plan)
	cfg.Systems, cfg.Policy, cfg.Journal, cfg.Calendar = d.cfg.Systems, d.cfg.Policy, j, d.cfg.Calendar()
	return cfg
}

// OpenPlan opens the plan of a run, and rejects one that was edited or replaced. Close it.
func (d *Dir) OpenPlan(run *Run) (*plan.Plan, error) { return d.runs.openPlan(run) }
