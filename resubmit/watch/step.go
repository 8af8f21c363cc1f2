package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// loop does the steps of a watcher, one after the other, on one goroutine.
type loop struct {
	timing

	dir      *state.Dir
	approver approver
	last     *state.Run // the last run that this process worked on, with its report
	blocked  bool       // the episode waits for another process, or for a run of one
}

func (l *loop) logStart(now time.Time) {
	attrs := []any{"step", "start", "since", l.store.from(now), "resumed", l.store.saved}
	if e, ok := l.store.state.open(); ok {
		attrs = append(attrs, "episode", e.ID, "state", e.State)
	}
	l.board.log(slog.LevelInfo, "watcher started", attrs...)
}

// step does what is due now and returns the pause before the next step.
func (l *loop) step(ctx context.Context) (time.Duration, error) {
	now := time.Now()
	if !l.store.saved { // so that maintenance from now on is handled even if the service is down
		if err := l.store.save(l.store.state); err != nil {
			return 0, err
		}
	}
	calendar, err := l.windows.calendar(l.store.from(now), now)
	switch {
	case errors.Is(err, errNoWindows):
		// Not logged: normal for a moment after a start, and failures of the source are logged.
		l.board.set(update{phase: PhaseNoCalendar, silent: true, text: "Waiting: " + err.Error() + "."})
		return shortPause, nil
	case err != nil:
		return 0, err
	}
	e, run, err := l.current(now)
	switch {
	case err != nil:
		return 0, err
	case run == nil:
	case run.Ended():
		return 0, l.close(e, run)
	case !run.StartedAt.IsZero(): // also in a maintenance: the Runner waits until it is over
		return l.once(ctx, e, state.OnceOptions{Continue: true})
	case e.End().Before(now.Add(-l.cfg.MaxAge)):
		return 0, l.expire(e, run)
	}
	due, err := l.due(calendar, now)
	switch {
	case err != nil:
		return 0, err
	case len(due) == 0 && run == nil:
		return l.idle(calendar, now), nil
	case len(due) == 0:
		return l.review(ctx, e, run)
	case run != nil:
		l.discard(slog.LevelInfo, "plan discarded: the next maintenance began before a decision", e,
			"window", text.Short(windowText(due[len(due)-1])))
	}
	pause, ready, err := l.process(ctx, calendar, now)
	if ready == nil {
		return pause, err
	}
	return l.plan(ctx, *ready)
}

// due returns the windows that have begun and are not handled yet. It closes what is
// older than MaxAge.
func (l *timing) due(calendar *maintenance.Calendar, now time.Time) ([]maintenance.Window, error) {
	due, done := outstanding(calendar, l.store.state.Episodes, l.store.state.From, now)
	if err := l.addCorrections(done); err != nil {
		return nil, err
	}
	oldest := now.Add(-l.cfg.MaxAge)
	var expired, current []maintenance.Window
	for _, win := range due {
		if end := win.Span().End; !end.IsZero() && !end.After(oldest) {
			expired = append(expired, win)
		} else {
			current = append(current, win)
		}
	}
	if len(expired) > 0 {
		e := l.store.episode(expired)
		e.State, e.Note = EpisodeExpired, "it ended more than "+days(l.cfg.MaxAge)+
			" ago, and its failed orders are left to a person"
		if err := l.finish(e, nil); err != nil {
			return nil, err
		}
	}
	l.store.change(func(s *memory) {
		if s.From.Before(oldest) {
			s.From = oldest // saved with the next episode; the older one on disk does no harm
		}
	})
	return current, nil
}

// addCorrections records windows that are handled and now have another ID or time.
func (l *timing) addCorrections(done []maintenance.Window) error {
	for _, win := range done {
		for _, e := range slices.Backward(l.store.state.Episodes) {
			if !e.addCorrection(win) {
				continue
			}
			if err := l.store.save(l.store.state.with(e)); err != nil {
				return err
			}
			l.board.log(slog.LevelInfo, "window changed after it was handled", "step", "windows", "episode", e.ID,
				"window", text.Short(windowText(win)))
			break
		}
	}
	return nil
}

// idle waits for the next window.
func (l *timing) idle(calendar *maintenance.Calendar, now time.Time) time.Duration {
	next, ok := calendar.Next(now)
	if !ok {
		l.board.set(update{phase: PhaseIdle, text: "No maintenance is announced."})
		return l.cfg.Refresh
	}
	start := next.Span().Start
	l.board.set(update{phase: PhaseIdle, text: "The next maintenance is " + windowText(next) + ".", until: start})
	return min(l.cfg.Refresh, start.Sub(now))
}

// process takes unhandled maintenance through its phases: end, settle delay, readiness. Then it returns the episode to
// plan for.
func (l *timing) process(
	ctx context.Context, calendar *maintenance.Calendar, now time.Time,
) (pause time.Duration, ready *Episode, err error) {
	due, _ := outstanding(calendar, l.store.state.Episodes, l.store.state.From, now)
	pause = min(shortPause, l.cfg.Refresh)
	if win, ok := calendar.At(now); ok {
		l.unready = 0
		return min(pause, l.inside(win, due, now)), nil, nil
	}
	e := l.store.episode(due)
	end := e.End()
	runner := l.cfg.runner().WithDefaults()
	guard, settle := max(0, runner.Guard), max(0, runner.SettleDelay)
	if next, ok := calendar.Next(now); ok && next.Span().Start.Sub(now) < guard {
		start := next.Span().Start
		l.board.set(update{phase: PhaseSettling, episode: e, until: start, text: fmt.Sprintf(
			"Ended: %s. It is handled together with %s, which is about to begin.", e, windowText(next))})
		return min(pause, start.Sub(now)), nil, nil
	}
	if settled := end.Add(settle); now.Before(settled) {
		l.unready = 0
		l.board.set(update{phase: PhaseSettling, episode: e, until: settled, text: fmt.Sprintf(
			"Ended: %s. Waiting until %s for Commerce to update its pending orders.", e, timeText(settled))})
		return min(pause, settled.Sub(now)), nil, nil
	}
	if now.Before(l.planAt) {
		l.board.set(update{phase: PhaseSettling, episode: e, until: l.planAt, key: "wait", text: fmt.Sprintf(
			"Ended: %s. All its failed orders must wait, and are planned again at %s.", e, timeText(l.planAt))})
		return min(pause, l.planAt.Sub(now)), nil, nil
	}
	if pause := l.notReady(ctx, e, end, now); pause > 0 || ctx.Err() != nil {
		return pause, nil, ctx.Err()
	}
	return 0, &e, nil
}

// overrunMargin is how late a maintenance may end before the status says so: the tracker
// needs some probes to see that Connect is up again.
const overrunMargin = 5 * time.Minute

// inside reports the window that is in progress, and returns the time until its known end.
func (l *timing) inside(win maintenance.Window, due []maintenance.Window, now time.Time) time.Duration {
	span, planned := win.Span(), announced(win, due)
	u := update{phase: PhaseMaintenance, episode: l.store.episode(due), until: span.End}
	end := plannedEnd(planned)
	late := now.Sub(end)
	switch {
	case planned.ID == "":
		u.text = fmt.Sprintf("Connect is down since %s (%s), which was not announced.", momentText(span.Start), win.ID)
	case late >= overrunMargin:
		u.text = fmt.Sprintf("The maintenance %s should have ended at %s.", label(planned), momentText(end))
	default:
		u.text = fmt.Sprintf("The maintenance %s should end at %s.", label(planned), momentText(end))
	}
	if planned.ID != "" && late > l.cfg.WarnAfter {
		u.level = slog.LevelWarn
		u.text += fmt.Sprintf(" It is more than %s late; if it is over, correct its announcement.", l.cfg.WarnAfter)
	}
	l.board.set(u)
	if span.End.IsZero() {
		return shortPause
	}
	return span.End.Sub(now)
}

// announced returns win if it was announced, otherwise the announced window that ends
// last of those that the outage win overlaps; zero if there is none.
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

// plannedEnd is when a window ended or should end.
func plannedEnd(w maintenance.Window) time.Time {
	if end := w.Span().End; !end.IsZero() {
		return end
	}
	return w.End
}

// notReady checks whether Connect is ready, and returns the pause before the next check
// if it is not.
func (l *timing) notReady(ctx context.Context, e Episode, end, now time.Time) time.Duration {
	ready := l.cfg.Ready(ctx, end)
	if ctx.Err() != nil || ready.Ready() {
		l.unready = 0
		return 0
	}
	pause := backoff(l.unready)
	l.unready++
	var missing, why []string
	for _, p := range ready.NotReady() {
		missing, why = append(missing, p.Name), append(why, text.Short(p.Why))
	}
	if len(missing) == 0 {
		why = []string{"The check returned nothing."}
	}
	u := update{phase: PhaseNotReady, episode: e, until: now.Add(pause), key: strings.Join(missing, " "),
		text: fmt.Sprintf("Connect is not ready after %s: %s", e.name(), strings.Join(why, " "))}
	if now.Sub(end) > l.cfg.WarnAfter {
		u.level, u.key = slog.LevelWarn, u.key+" late"
		u.text += fmt.Sprintf(" It has not been ready for more than %s.", l.cfg.WarnAfter)
	}
	l.board.set(u)
	return pause
}

func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 && d > 24*time.Hour {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}
