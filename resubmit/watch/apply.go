package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// apply applies an approved plan, or resumes it.
func (l *loop) apply(ctx context.Context, e Episode) (err error) {
	p, err := l.store.openPlan(e)
	if err != nil {
		return fmt.Errorf("open the approved plan, restore its file: %w", err)
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if err := l.approver.check(e, p); err != nil {
		l.board.log(slog.LevelWarn, "approval is invalid, asking again", "step", PhaseAwaitingApproval, "episode", e.ID,
			"detail", text.Short(err.Error()))
		e.State, e.Approval = EpisodePlanned, ""
		l.approver.at = time.Time{}
		return l.store.save(l.store.state.with(e))
	}
	cfg := l.cfg.Runner
	if cfg.MaxPlanAge == 0 {
		// The plan was approved for this episode, however long that took, and the tracker
		// forgets outages in the end.
		cfg.MaxPlanAge = -1
	}
	runner, err := resubmit.NewRunner(cfg)
	if err != nil {
		return err
	}
	l.board.set(update{phase: PhaseApplying, episode: e,
		text: fmt.Sprintf("Resubmitting %s for %s.", text.Orders(e.Counts.Resubmit), e.name())})
	l.board.setRunner(runner)
	defer l.board.setRunner(nil)
	report, err := runner.Apply(ctx, p)
	switch {
	case errors.Is(err, resubmit.ErrStalePlan):
		l.discardPlan(slog.LevelWarn, "plan is stale, planning again", e, "detail", text.Short(err.Error()))
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
	l.store.change(func(s *state) { s.Journal = position }) // saved with the episode
	e.State, e.Result = EpisodeApplied, report.Result
	e.Note = text.Orders(report.Result.Total()) + " resubmitted: " + report.Result.String()
	return l.finish(e, report, time.Now())
}

// finish closes an episode.
func (l *loop) finish(e Episode, report *resubmit.Report, now time.Time) error {
	e.ClosedAt = now.Round(0).UTC()
	l.cfg.OnClosed(e, report)
	if err := l.store.save(l.store.state.with(e).without(now.Add(-keepEpisodes), l.store.removePlan)); err != nil {
		return err
	}
	level := slog.LevelInfo
	if e.State == EpisodeExpired || e.Result.Completed+e.Result.Progressing < e.Result.Total() {
		level = slog.LevelWarn
	}
	l.board.log(level, "episode closed", "step", string(e.State), "episode", e.ID,
		"detail", text.Sentence(e.String()+": "+e.Note+"."))
	return nil
}
