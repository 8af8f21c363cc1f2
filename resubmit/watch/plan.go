package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// plan writes the plan of an episode and saves the episode.
func (l *loop) plan(ctx context.Context, calendar *maintenance.Calendar, e Episode) error {
	l.board.set(update{phase: PhasePlanning, episode: e, text: "Connect is ready. Planning for " + e.name() + "."})
	if err := l.checkJournal(ctx); err != nil {
		return err
	}
	cfg, err := l.planConfig(ctx, calendar, e)
	if err != nil {
		return err
	}
	if _, err := resubmit.WritePlanFile(ctx, cfg, l.store.planPath(e)); err != nil {
		return err
	}
	plan, err := plan.Open(l.store.planPath(e))
	if err != nil {
		return err
	}
	due, position := plan.Due(), plan.Header().Journal
	e.State, e.PlannedAt, e.PlanDigest, e.Counts = EpisodePlanned, plan.Header().CreatedAt, plan.Digest(), plan.Counts()
	if err := plan.Close(); err != nil {
		return err
	}
	if e.Counts.Resubmit == 0 && !due.IsZero() {
		l.planAt = later(due, time.Now().Add(shortPause))
		return nil
	}
	l.store.change(func(s *state) { s.Journal = position }) // saved with the episode
	if e.Counts.Resubmit == 0 {
		e.State, e.Note = EpisodeEmpty, "there is no order to resubmit"
		if e.Counts.Total > 0 {
			e.Note += ": " + e.Counts.String()
		}
		return l.finish(e, nil, time.Now())
	}
	l.approver.at = time.Time{}
	return l.store.save(l.store.state.with(e))
}

// checkJournal returns an error if the journal is not the one of the last plan, or an older copy: it does not know what
// was sent, so nothing is planned with it.
func (l *loop) checkJournal(ctx context.Context) error {
	r := &l.cfg.Runner
	_, err := r.Journal.Begin(ctx, resubmit.JournalUse{
		System: r.Name, BaseURL: r.BaseURL, IDSpace: r.Capabilities.IDSpace, After: l.store.state.Journal,
	})
	if errors.Is(err, resubmit.ErrJournalMismatch) {
		return fmt.Errorf("restore the journal, or, if it is lost, recover it and move %s away: %w", l.cfg.Dir, err)
	}
	return err
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// planConfig returns the configuration from Config.Plan with its defaults.
func (l *loop) planConfig(
	ctx context.Context, calendar *maintenance.Calendar, e Episode,
) (resubmit.PlanConfig, error) {
	cfg, err := l.cfg.Plan(ctx, e)
	if err != nil {
		return cfg, fmt.Errorf("configure the plan: %w", err)
	}
	if cfg.Filter == nil {
		cfg.Filter = filter.FailedDuring(e.Windows...)
	}
	cfg.Calendar = cmp.Or(cfg.Calendar, calendar)
	switch name := l.cfg.Runner.Name; {
	case cfg.Systems == resubmit.Systems{}:
		cfg.Systems = l.cfg.Runner.Systems
	case cfg.Name != name:
		return cfg, fmt.Errorf("watch.Config.Plan returned Systems of %q, but those of Runner are of %q; use one system",
			text.Short(cfg.Name), name)
	}
	cfg.Policy, cfg.Journal = l.cfg.Runner.Policy, l.cfg.Runner.Journal
	cfg.RateLimit = cmp.Or(cfg.RateLimit, l.cfg.Runner.RateLimit)
	progress := cfg.Progress
	cfg.Progress = func(now resubmit.PlanProgress) {
		l.board.set(update{phase: PhasePlanning, silent: true, episode: e,
			text: fmt.Sprintf("Planning for %s: %s.", e.name(), now)})
		if progress != nil {
			progress(now)
		}
	}
	return cfg, nil
}

// shortDigest abbreviates a digest for display.
func shortDigest(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }
