package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// step does the next thing, and returns how long there is nothing more to do.
func (w *Watcher) step(ctx context.Context) (time.Duration, error) {
	now := time.Now()
	if !w.saved { // so that what happens from now on is not forgotten, if nobody is here
		if err := w.keep(w.state); err != nil {
			return 0, err
		}
		w.saved = true
	}
	calendar, err := w.windows.calendar(w.from(now), now)
	switch {
	case errors.Is(err, errBlind):
		// That is so at each start, for a moment, and a source that fails is in the diary.
		w.say(entry{phase: PhaseNoCalendar, quiet: true, text: "Nothing is done: " + err.Error() + "."})
		return closeLook, nil
	case err != nil:
		return 0, err
	}
	if e, ok := w.state.open(); ok && e.State == EpisodeApplying {
		return 0, w.apply(ctx, e)
	}
	due, err := w.due(calendar, now)
	if err != nil {
		return 0, err
	}
	if e, ok := w.state.open(); ok && len(due) == 0 {
		return w.ask(ctx, e, now)
	}
	if len(due) == 0 {
		return w.idle(calendar, now), nil
	}
	w.drop(due)
	return w.deal(ctx, calendar, now)
}

// due are the windows that have begun and are not dealt with. Those that are too old
// are put aside.
func (w *Watcher) due(calendar *maintenance.Calendar, now time.Time) ([]maintenance.Window, error) {
	due, done := outstanding(calendar, w.state.Episodes, w.state.From, now)
	if err := w.learn(done); err != nil {
		return nil, err
	}
	oldest := now.Add(-w.cfg.MaxAge)
	old := func(win maintenance.Window) bool { end := win.Span().End; return !end.IsZero() && !end.After(oldest) }
	if e, ok := w.state.open(); ok && e.End().Before(oldest) {
		e.State, e.Note = EpisodeExpired, "nobody decided about the plan within "+days(w.cfg.MaxAge)
		if err := w.finish(e, nil, now); err != nil {
			return nil, err
		}
	}
	if late := slices.DeleteFunc(slices.Clone(due),
		func(win maintenance.Window) bool { return !old(win) }); len(late) > 0 {
		e := w.episode(late)
		e.State, e.Note = EpisodeExpired, "it ended more than "+days(w.cfg.MaxAge)+
			" ago, and its failed orders are left to a person"
		if err := w.finish(e, nil, now); err != nil {
			return nil, err
		}
	}
	w.remember(func(s *watcherState) {
		if s.From.Before(oldest) {
			s.From = oldest // on disk with the next episode; until then the old one does no harm
		}
	})
	return slices.DeleteFunc(due, old), nil
}

// learn notes that windows that were dealt with are told otherwise now.
func (w *Watcher) learn(done []maintenance.Window) error {
	for _, win := range done {
		for _, e := range slices.Backward(w.state.Episodes) {
			if !e.learn(win) {
				continue
			}
			if err := w.keep(w.state.with(e)); err != nil {
				return err
			}
			w.tell(slog.LevelInfo, fmt.Sprintf("%s, is known already: it was dealt with at %s, and is not again.",
				windowText(win), momentText(e.knows())), "step", "windows", "episode", e.ID)
			break
		}
	}
	return nil
}

// drop throws the plan away that nobody decided about before the next maintenance began.
func (w *Watcher) drop(due []maintenance.Window) {
	e, ok := w.state.open()
	if !ok {
		return
	}
	w.remember(func(s *watcherState) { s.Episodes = s.closed() }) // the plan in its place is saved
	w.tell(slog.LevelInfo,
		fmt.Sprintf("Nobody has decided about the plan for %s, and now there is %s. There will be a new plan for all of it.",
			e.name(), windowText(due[len(due)-1])), "step", PhaseAwaitingApproval, "episode", e.ID)
}

// idle waits for the next window.
func (w *Watcher) idle(calendar *maintenance.Calendar, now time.Time) time.Duration {
	next, ok := calendar.Next(now)
	if !ok {
		w.say(entry{phase: PhaseIdle, text: "Nothing to do, and no maintenance is announced."})
		return w.cfg.Refresh
	}
	start := next.Span().Start
	w.say(entry{phase: PhaseIdle, text: fmt.Sprintf("Nothing to do. The next maintenance is %s.", windowText(next)),
		until: start})
	return min(w.cfg.Refresh, start.Sub(now))
}

// deal goes through the stations of maintenance that is not dealt with: its end, the
// settle time, readiness, the plan.
func (w *Watcher) deal(ctx context.Context, calendar *maintenance.Calendar, now time.Time) (time.Duration, error) {
	due, _ := outstanding(calendar, w.state.Episodes, w.state.From, now)
	look := min(closeLook, w.cfg.Refresh)
	if win, ok := calendar.At(now); ok {
		w.unready = 0
		return min(look, w.inside(win, due, now)), nil
	}
	e := w.episode(due)
	end := e.End()
	runner := w.cfg.Runner.WithDefaults()
	guard, settle := max(0, runner.Guard), max(0, runner.SettleDelay)
	if next, ok := calendar.Next(now); ok && next.Span().Start.Sub(now) < guard {
		start := next.Span().Start
		w.say(entry{phase: PhaseSettling, episode: e, until: start,
			text: fmt.Sprintf("Over: %s. But %s, is about to begin: they are dealt with together.", e, windowText(next))})
		return min(look, start.Sub(now)), nil
	}
	if calm := end.Add(settle); now.Before(calm) {
		w.unready = 0
		w.say(entry{phase: PhaseSettling, episode: e, until: calm,
			text: fmt.Sprintf("Over: %s. Commerce has until %s to ask again about the orders that wait.", e, timeText(calm))})
		return min(look, calm.Sub(now)), nil
	}
	if wait := w.notReady(ctx, e, end, now); wait > 0 || ctx.Err() != nil {
		return wait, ctx.Err()
	}
	return 0, w.plan(ctx, calendar, e)
}

// overrunWord is how late the end of a maintenance is worth a word: to see that
// Connect is up again takes some looks.
const overrunWord = 5 * time.Minute

// inside tells which window holds, and returns the time until it is known to end.
func (w *Watcher) inside(win maintenance.Window, due []maintenance.Window, now time.Time) time.Duration {
	planned := announced(win, due)
	span := win.Span()
	en := entry{phase: PhaseMaintenance, episode: w.episode(due), until: span.End}
	switch {
	case planned.ID == "":
		en.text = fmt.Sprintf("Connect has not been up since %s (%s), and nobody announced it.", momentText(span.Start),
			win.ID)
	case now.Sub(plannedEnd(planned)) >= overrunWord:
		en.text = fmt.Sprintf("The maintenance %s should have ended at %s and goes on.", called(planned),
			momentText(plannedEnd(planned)))
	default:
		en.text = fmt.Sprintf("The maintenance %s has begun. It should end at %s.", called(planned),
			momentText(plannedEnd(planned)))
	}
	if late := now.Sub(plannedEnd(planned)); planned.ID != "" && late > w.cfg.ReadyWithin {
		en.level = slog.LevelWarn
		en.text += fmt.Sprintf(" That is so for more than %s now: if it is over, say so where it was announced.",
			w.cfg.ReadyWithin)
	}
	w.say(en)
	if span.End.IsZero() {
		return closeLook
	}
	return span.End.Sub(now)
}

// announced is the announced window that holds, or that an outage is the rest of; zero
// if nobody announced the outage.
func announced(win maintenance.Window, due []maintenance.Window) maintenance.Window {
	if win.Source != maintenance.SourceObserved {
		return win
	}
	var found maintenance.Window
	for _, d := range due {
		if d.Source != maintenance.SourceObserved && overlap(d.Span(), win.Span()) &&
			(found.ID == "" || plannedEnd(d).After(plannedEnd(found))) {
			found = d
		}
	}
	return found
}

// plannedEnd is when a window ends, or should.
func plannedEnd(w maintenance.Window) time.Time {
	if end := w.Span().End; !end.IsZero() {
		return end
	}
	return w.End
}

// notReady looks whether Connect is ready, and returns how long to wait if not.
func (w *Watcher) notReady(ctx context.Context, e Episode, end, now time.Time) time.Duration {
	ready := w.cfg.Ready(ctx, end)
	if ctx.Err() != nil || ready.Ready() {
		w.unready = 0
		return 0
	}
	wait := backoffAfter(w.unready)
	w.unready++
	var missing, why []string
	for _, p := range ready.Missing() {
		missing, why = append(missing, p.Name), append(why, text.Short(p.Why))
	}
	if len(missing) == 0 {
		why = []string{"Nothing is known about it."}
	}
	en := entry{phase: PhaseNotReady, episode: e, until: now.Add(wait), key: strings.Join(missing, " "),
		text: fmt.Sprintf("Connect is not ready after %s: %s", e.name(), strings.Join(why, " "))}
	if late := now.Sub(end); late > w.cfg.ReadyWithin {
		en.level, en.key = slog.LevelWarn, en.key+" late"
		en.text += fmt.Sprintf(" That is so for more than %s now.", w.cfg.ReadyWithin)
	}
	w.say(en)
	return wait
}

// plan makes the plan of an episode, and keeps it.
func (w *Watcher) plan(ctx context.Context, calendar *maintenance.Calendar, e Episode) error {
	w.say(entry{phase: PhasePlanning, episode: e, text: "Connect is ready. Making the plan for " + e.name() + "."})
	cfg, err := w.cfg.Plan(ctx, e)
	if err != nil {
		return fmt.Errorf("what to plan is not known: %w", err)
	}
	if cfg.Filter == nil {
		cfg.Filter = filter.FailedDuring(e.Windows...)
	}
	if cfg.Calendar == nil {
		cfg.Calendar = calendar
	}
	if cfg.System == "" { // the Source may have no name; if it has another one, planning fails
		if cfg.System, err = w.cfg.Runner.SystemName(); err != nil {
			return err
		}
	}
	if cfg.RateLimit == 0 {
		cfg.RateLimit = w.cfg.Runner.RateLimit
	}
	progress := cfg.Progress
	cfg.Progress = func(now resubmit.PlanProgress) {
		w.say(entry{phase: PhasePlanning, quiet: true, episode: e,
			text: fmt.Sprintf("Making the plan for %s: %s.", e.name(), now)})
		if progress != nil {
			progress(now)
		}
	}
	if cfg.SettleDelay == 0 {
		cfg.SettleDelay = w.cfg.Runner.SettleDelay
	}
	if cfg.Targets == nil {
		cfg.Targets = w.cfg.Runner.Targets
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
	return w.keep(w.state.with(e))
}

// ask asks the service about a plan that is there.
func (w *Watcher) ask(ctx context.Context, e Episode, now time.Time) (time.Duration, error) {
	if wait := w.askAt.Sub(now); wait > 0 && !w.askNow.Load() {
		return min(wait, w.cfg.Refresh), nil
	}
	w.askNow.Store(false)
	plan, err := w.openUndecided(e)
	if err != nil {
		w.tell(slog.LevelWarn, fmt.Sprintf("The plan for %s cannot be used and is made anew: %s.", e,
			text.Short(err.Error())),
			"step", PhaseAwaitingApproval, "episode", e.ID)
		w.remember(func(s *watcherState) { s.Episodes = s.closed() })
		return 0, nil
	}
	if w.asked != e.Plan {
		w.asked = e.Plan
		w.say(entry{phase: PhaseAwaitingApproval, episode: e,
			text: fmt.Sprintf("Asking for approval of the plan %s for %s: %s to resubmit.",
				shortDigest(e.Plan), e.name(), text.Orders(e.Counts.Resubmit))})
	}
	answer, err := callback.Call(func() (Approval, error) { return w.cfg.Approve(ctx, e, plan) })
	if panicked, ok := errors.AsType[*callback.PanicError](err); ok {
		callback.Log(w.cfg.Logger, err)
		answer, err = Approval{Why: panicked.Error()}, nil
	}
	if err = errors.Join(err, plan.Close()); err != nil {
		return 0, fmt.Errorf("nobody could be asked for approval: %w", err)
	}
	why := ""
	if answer.Why != "" {
		why = ": " + text.Short(answer.Why)
	}
	switch answer.Decision {
	case Approved:
		w.tell(slog.LevelInfo, fmt.Sprintf("The plan %s is approved%s.", shortDigest(e.Plan), why), "step", PhaseAwaitingApproval,
			"episode", e.ID)
		e.State = EpisodeApplying
		return 0, w.keep(w.state.with(e))
	case Rejected:
		e.State, e.Note = EpisodeRejected, "the plan "+shortDigest(e.Plan)+" was declined"+why
		return 0, w.finish(e, nil, time.Now())
	case Pending:
	default:
		return 0, fmt.Errorf("Approve answered %q; answer with %q, %q or Pending", text.Short(string(answer.Decision)), Approved, Rejected) //nolint:staticcheck // the name of a function
	}
	w.askAt = answer.At
	if !answer.At.After(now) {
		w.askAt = time.Now().Add(askAgain)
	}
	w.say(entry{phase: PhaseAwaitingApproval, episode: e, until: w.askAt, key: "later",
		text: fmt.Sprintf("The plan %s for %s is not decided yet%s. It has %s to resubmit.", shortDigest(e.Plan), e.name(),
			why, text.Orders(e.Counts.Resubmit))})
	return 0, nil
}

// apply carries an approved plan out, or goes on with it.
func (w *Watcher) apply(ctx context.Context, e Episode) (err error) {
	plan, err := w.openPlan(e)
	if err != nil {
		return fmt.Errorf("the approved plan cannot be read, put it back: %w", err)
	}
	defer func() { err = errors.Join(err, plan.Close()) }()
	journal, err := w.cfg.Journal(w.journalPath(e))
	if err != nil {
		return fmt.Errorf("the journal cannot be opened: %w", err)
	}
	if callback.Nil(journal) { // a Runner would take one in memory
		return errors.New("watch.Config.Journal returned neither a journal nor an error")
	}
	if c, ok := journal.(io.Closer); ok {
		defer func() { err = errors.Join(err, c.Close()) }()
	}
	cfg := w.cfg.Runner
	cfg.Journal, cfg.Calendar = journal, w.Calendar
	if cfg.MaxPlanAge == 0 {
		// The plan was approved for this episode, however long that took, and what was
		// seen of outages is forgotten in the end.
		cfg.MaxPlanAge = -1
	}
	runner, err := resubmit.NewRunner(cfg)
	if err != nil {
		return err
	}
	w.say(entry{phase: PhaseApplying, episode: e, text: fmt.Sprintf("Resubmitting %s for %s.",
		text.Orders(e.Counts.Resubmit), e.name())})
	w.setRunner(runner)
	defer w.setRunner(nil)
	report, err := runner.Apply(ctx, plan)
	if errors.Is(err, resubmit.ErrStalePlan) {
		w.tell(slog.LevelWarn, fmt.Sprintf("The plan for %s is made anew, and approval asked for again: %s.", e,
			text.Short(err.Error())),
			"step", PhaseApplying, "episode", e.ID)
		w.remember(func(s *watcherState) { s.Episodes = s.closed() })
		return nil
	}
	if err != nil {
		return fmt.Errorf("the resubmission stopped: %w", err)
	}
	e.State, e.Result, e.Note = EpisodeApplied, report.Result,
		text.Orders(report.Result.Total())+" resubmitted: "+report.Result.String()
	return w.finish(e, report, time.Now())
}

// finish closes an episode.
func (w *Watcher) finish(e Episode, report *resubmit.Report, now time.Time) error {
	e.ClosedAt = now.Round(0).UTC()
	w.cfg.Done(e, report)
	if err := w.keep(w.state.with(e).without(now.Add(-keepEpisodes), w.removeFiles)); err != nil {
		return err
	}
	level := slog.LevelInfo
	if e.State == EpisodeExpired || e.Result.Completed+e.Result.Progressing < e.Result.Total() {
		level = slog.LevelWarn
	}
	w.tell(level, ended(e), "step", string(e.State), "episode", e.ID)
	return nil
}

// ended is the last sentence about an episode.
func ended(e Episode) string {
	if e.State == EpisodeExpired {
		return fmt.Sprintf("Not dealt with %s: %s.", e, e.Note)
	}
	return fmt.Sprintf("Dealt with %s: %s.", e.name(), e.Note)
}

func (w *Watcher) removeFiles(e Episode) {
	_ = os.Remove(w.planPath(e)) // what cannot be removed does no harm
	_ = os.Remove(w.journalPath(e))
}

func (w *Watcher) planPath(e Episode) string    { return filepath.Join(w.cfg.Dir, e.ID+".plan.jsonl") }
func (w *Watcher) journalPath(e Episode) string { return filepath.Join(w.cfg.Dir, e.ID+".journal") }

// openPlan opens the plan of an episode, and no other.
func (w *Watcher) openPlan(e Episode) (*plan.Plan, error) {
	plan, err := plan.Open(w.planPath(e))
	if err != nil {
		return nil, err
	}
	if plan.Digest() != e.Plan {
		return nil, errors.Join(fmt.Errorf("%s holds the plan %s, not %s", w.planPath(e), plan.Digest(), e.Plan),
			plan.Close())
	}
	return plan, nil
}

// openUndecided is openPlan for a plan that is not approved yet. One of an older version,
// which names no system, is an error: it could not be applied.
func (w *Watcher) openUndecided(e Episode) (*plan.Plan, error) {
	plan, err := w.openPlan(e)
	if err != nil {
		return nil, err
	}
	if plan.Header().System == "" {
		var system string
		if system, err = w.cfg.Runner.SystemName(); err == nil {
			err = plan.CheckSystem(system)
		}
	}
	if err != nil {
		return nil, errors.Join(err, plan.Close())
	}
	return plan, nil
}

// episode is one that has not been planned yet.
func (w *Watcher) episode(due []maintenance.Window) Episode {
	windows := slices.Clone(due)
	for i := range windows { // as they are after a file
		for _, t := range []*time.Time{&windows[i].Start, &windows[i].End, &windows[i].ActualStart, &windows[i].ActualEnd} {
			*t = t.Round(0)
		}
	}
	return Episode{ID: w.state.freeID(windows[0].Span().Start), Windows: windows}
}

// keep saves a state, and only then goes by it.
func (w *Watcher) keep(s watcherState) error {
	if err := s.save(w.cfg.Dir); err != nil {
		return err
	}
	w.remember(func(now *watcherState) { *now = s })
	return nil
}

func (w *Watcher) remember(change func(*watcherState)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.state)
}

// backoffAfter is how long to wait after n failures in a row.
func backoffAfter(n int) time.Duration {
	return min(30*time.Second<<min(n, 10), 10*time.Minute)
}

func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 && d > 24*time.Hour {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}

// shortDigest is enough of a digest for people.
func shortDigest(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }
