package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// apply applies an approved plan, or resumes it.
func (w *Watcher) apply(ctx context.Context, e Episode) (err error) {
	p, err := w.openPlan(e)
	if err != nil {
		return fmt.Errorf("open the approved plan, restore its file: %w", err)
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := w.checkApproval(e, p); err != nil {
		w.log(slog.LevelWarn, "approval is invalid, asking again", "step", PhaseAwaitingApproval, "episode", e.ID,
			"detail", text.Short(err.Error()))
		e.State, e.Approval = EpisodePlanned, ""
		w.askAt = time.Time{}
		return w.save(w.state.with(e))
	}
	cfg := w.cfg.Runner
	cfg.Calendar = w.Calendar
	if cfg.MaxPlanAge == 0 {
		// The plan was approved for this episode, however long that took, and the tracker
		// forgets outages in the end.
		cfg.MaxPlanAge = -1
	}
	runner, err := resubmit.NewRunner(cfg)
	if err != nil {
		return err
	}
	w.setStatus(update{phase: PhaseApplying, episode: e,
		text: fmt.Sprintf("Resubmitting %s for %s.", text.Orders(e.Counts.Resubmit), e.name())})
	w.setRunner(runner)
	defer w.setRunner(nil)
	report, err := runner.Apply(ctx, p)
	switch {
	case errors.Is(err, resubmit.ErrStalePlan):
		w.discardPlan(slog.LevelWarn, "plan is stale, planning again", e, "detail", text.Short(err.Error()))
		return nil
	case errors.Is(err, plan.ErrUnsigned), errors.Is(err, plan.ErrBadSignature):
		// What is missing comes first, because the status shows only the start of a long error.
		return fmt.Errorf("the plan %s is approved but has no valid signature, so nothing is sent; "+
			"sign it with a required key: %w", shortDigest(e.PlanDigest), err)
	case err != nil:
		return fmt.Errorf("resubmission stopped: %w", err)
	}
	position, err := cfg.Journal.Flush(ctx)
	if err != nil {
		return fmt.Errorf("read the position of the journal: %w", err)
	}
	w.setState(func(s *state) { s.Journal = position }) // saved with the episode
	e.State, e.Result = EpisodeApplied, report.Result
	e.Note = text.Orders(report.Result.Total()) + " resubmitted: " + report.Result.String()
	return w.finish(e, report, time.Now())
}

// finish closes an episode.
func (w *Watcher) finish(e Episode, report *resubmit.Report, now time.Time) error {
	e.ClosedAt = now.Round(0).UTC()
	w.cfg.OnClosed(e, report)
	if err := w.save(w.state.with(e).without(now.Add(-keepEpisodes), w.removeFiles)); err != nil {
		return err
	}
	level := slog.LevelInfo
	if e.State == EpisodeExpired || e.Result.Completed+e.Result.Progressing < e.Result.Total() {
		level = slog.LevelWarn
	}
	w.log(level, "episode closed", "step", string(e.State), "episode", e.ID,
		"detail", text.Sentence(e.String()+": "+e.Note+"."))
	return nil
}

// removeFiles removes the files of an episode. Those that cannot be removed do no harm.
func (w *Watcher) removeFiles(e Episode) {
	_ = os.Remove(w.planPath(e))
	_ = os.Remove(w.planPath(e) + ".sig")
}

func (w *Watcher) planPath(e Episode) string { return filepath.Join(w.cfg.Dir, e.ID+".plan.jsonl") }
