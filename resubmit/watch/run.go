package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// current returns the open episode and the run of its plan; nil if there is none. An episode without a run, or whose
// plan will not be applied, is not open any more: its windows are planned again.
func (l *loop) current(now time.Time) (Episode, *state.Run, error) {
	e, ok := l.store.state.open()
	if !ok {
		return Episode{}, nil, nil
	}
	runs, err := l.dir.Runs()
	if err != nil {
		return e, nil, err
	}
	var run *state.Run
	for _, r := range slices.Backward(runs) {
		if r.For == e.ID && r.ID > e.After {
			run = &r
			break
		}
	}
	switch {
	case run == nil: // planning failed, or the process was killed before
		l.store.drop()
	case run.End == state.EndTooEarly:
		if l.planAt = now.Add(shortPause); run.Due.After(l.planAt) {
			l.planAt = run.Due
		}
		l.store.drop()
	case run.End == state.EndStale, run.End == state.EndLost:
		l.discard(slog.LevelWarn, "plan is stale, planning again", e, "detail", run.Why)
	default:
		return e, run, nil
	}
	return Episode{}, nil, nil
}

// discard forgets the open episode, so that a new plan is made for its windows. It replaces the old one.
func (l *loop) discard(level slog.Level, message string, e Episode, attrs ...any) {
	l.store.drop()
	l.board.log(level, message, append([]any{"step", PhaseAwaitingApproval, "episode", e.ID, "windows", e.String()},
		attrs...)...)
}

// plan opens an episode, and makes and applies its plan.
func (l *loop) plan(ctx context.Context, e Episode) (time.Duration, error) {
	l.board.set(update{phase: PhasePlanning, silent: l.blocked, episode: e,
		text: "Connect is ready. Planning for " + e.name() + "."})
	cfg, err := l.planConfig(ctx, e)
	if err != nil {
		return 0, err
	}
	status, err := l.dir.Status()
	if err != nil {
		return 0, err
	}
	e.State = EpisodeOpen
	if status.Run != nil {
		e.After = status.Run.ID // IDs are in order, also if the clock is set back
	}
	if err := l.store.save(l.store.state.with(e)); err != nil {
		return 0, err
	}
	return l.once(ctx, e, state.OnceOptions{Plan: &cfg, For: e.ID})
}

// review applies the plan of an episode if it may be applied by now. A plan that was edited is made again.
func (l *loop) review(ctx context.Context, e Episode, run *state.Run) (time.Duration, error) {
	p, err := l.dir.OpenPlan(run)
	if err != nil {
		l.discard(slog.LevelWarn, "plan unusable, planning again", e, "detail", text.Short(err.Error()))
		return 0, nil
	}
	_ = p.Close() // only read
	return l.once(ctx, e, state.OnceOptions{Continue: true})
}

// once calls Dir.Once and returns when to look at the directory again. The result of the plan is in its run.
func (l *loop) once(ctx context.Context, e Episode, o state.OnceOptions) (time.Duration, error) {
	o.Applying = func(run *state.Run) {
		what := "for " + e.name()
		if run.For != e.ID {
			what = "of the unfinished run " + run.ID
		}
		l.board.set(update{phase: PhaseApplying, episode: e,
			text: fmt.Sprintf("Resubmitting %s %s.", text.Orders(run.Counts.Resubmit), what)})
	}
	l.blocked = false
	result, err := l.dir.Once(ctx, o)
	if n := len(result.Runs); n > 0 {
		l.last = result.Runs[n-1]
	}
	if need, ok := errors.AsType[*state.ApprovalError](err); ok {
		return l.approver.ask(ctx, e, need)
	}
	_, early := errors.AsType[*resubmit.TooEarlyError](err)
	_, locked := errors.AsType[*state.LockedError](err)
	l.blocked = locked || errors.Is(err, state.ErrPaused)
	switch {
	case locked:
		l.board.set(update{phase: PhaseLocked, episode: e, key: "locked", text: "Waiting: " + err.Error() + "."})
		return shortPause, nil
	case errors.Is(err, state.ErrPaused):
		l.board.set(update{phase: PhasePaused, episode: e, text: "Waiting: " + err.Error() + "."})
		return l.cfg.Refresh, nil
	case errors.Is(err, resubmit.ErrStalePlan):
		return shortPause, nil
	case early, errors.Is(err, resubmit.ErrDrained), errors.Is(err, resubmit.ErrCancelled):
		return 0, nil
	}
	return 0, err
}

// close closes an episode whose run has ended.
func (l *loop) close(e Episode, run *state.Run) error {
	if l.last != nil && l.last.ID == run.ID {
		run.Report = l.last.Report
	}
	e.Run = run.ID
	switch {
	case run.End == state.EndNothing:
		e.State, e.Note = EpisodeEmpty, "there is no order to resubmit"
		if run.Counts.Total > 0 {
			e.Note += ": " + run.Counts.String()
		}
	case run.StartedAt.IsZero():
		e.State, e.Note = EpisodeRejected, "the plan "+shortDigest(run.Digest)+" was cancelled "+run.Why
	default:
		e.State, e.Note = EpisodeApplied, text.Orders(run.Result.Total())+" resubmitted: "+run.Result.String()
		if run.End != state.EndFinished {
			e.Note += "; " + string(run.End) + ": " + run.Why
		}
	}
	return l.finish(e, run)
}

// expire gives up an episode whose plan was not approved in time.
func (l *loop) expire(e Episode, run *state.Run) error {
	e.State, e.Note = EpisodeExpired, "nobody decided about the plan within "+days(l.cfg.MaxAge)
	err := l.dir.Control(state.Command{Action: state.ActionCancel, Run: run.Digest, By: signer, Why: e.Note})
	if err != nil {
		return err
	}
	e.Run = run.ID
	return l.finish(e, run)
}

// shortDigest abbreviates a digest for display.
func shortDigest(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }
