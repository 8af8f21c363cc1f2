package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// timing decides when to plan.
type timing struct {
	cfg     Config
	windows *windowStore
	store   *store
	board   *board
	planAt  time.Time // when a plan whose orders must all wait is made again
	unready int       // unready checks in a row
}

// planConfig returns the configuration of the plan for an episode.
func (l *timing) planConfig(ctx context.Context, e Episode) (cfg resubmit.PlanConfig, err error) {
	cfg = l.cfg.State.Plan
	if l.cfg.Plan != nil {
		if cfg, err = l.cfg.Plan(ctx, e); err != nil {
			return cfg, fmt.Errorf("configure the plan: %w", err)
		}
	}
	if name := l.cfg.State.Systems.Name; cfg.Name != "" && cfg.Name != name {
		return cfg, fmt.Errorf("watch.Config.Plan returned Systems of %q, but those of State are of %q; use one system",
			text.Short(cfg.Name), name)
	}
	if cfg.Filter == nil {
		cfg.Filter = filter.FailedDuring(e.Windows...)
	}
	cfg.RateLimit = cmp.Or(cfg.RateLimit, l.cfg.State.Runner.RateLimit)
	cfg.Logger = cmp.Or(cfg.Logger, l.cfg.State.Logger)
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

// finish saves a closed episode. run is nil if there was no plan.
func (l *timing) finish(e Episode, run *state.Run) error {
	now := time.Now()
	e.ClosedAt = now.Round(0).UTC()
	l.cfg.OnClosed(e, run)
	if err := l.store.save(l.store.state.with(e).without(now.Add(-keepEpisodes))); err != nil {
		return err
	}
	level := slog.LevelInfo
	if e.State == EpisodeExpired || run != nil && run.Result.Completed+run.Result.Progressing < run.Result.Total() {
		level = slog.LevelWarn
	}
	l.board.log(level, "episode closed", "step", string(e.State), "episode", e.ID,
		"detail", text.Sentence(e.String()+": "+e.Note+"."))
	return nil
}

// Timing decides when to plan after a maintenance, as a [Watcher] does, for programs that keep what was done elsewhere
// than in a state directory, such as the workflows of package resubmit/temporal. It is safe for concurrent use.
type Timing struct {
	cfg     Config
	windows windowStore

	mu    sync.Mutex
	board board
}

// History is what was done about the maintenance of the last days. The zero value is that of a new installation: it
// begins Config.MaxAge ago.
type History struct {
	From time.Time `json:"from,omitzero"`
	// Episodes are those that were closed, and the last one may be open, if its plan is made and not applied.
	Episodes []Episode `json:"episodes,omitempty"`
	// PlanAt is when to plan again if all orders must wait; zero if that is not known.
	PlanAt time.Time `json:"planAt,omitzero"`
	// Unready is how often Connect was not ready since the maintenance.
	Unready int `json:"unready,omitempty"`
}

// Next says what a program is to do now, see [Timing.Next].
type Next struct {
	// Phase is PhasePlanning if a plan is to be made for Episode now. With an open episode it is PhaseAwaitingApproval,
	// or another one if another maintenance has begun, so that one plan is to be made for both.
	Phase Phase `json:"phase"`
	// Text describes it in a sentence. Until is when the phase is expected to end; zero if that is not known.
	Text    string    `json:"text"`
	Until   time.Time `json:"until,omitzero"`
	Episode *Episode  `json:"episode,omitempty"`
	// Pause is how long to wait before the next call of Timing.Next.
	Pause time.Duration `json:"pause,omitempty"`
}

// NewTiming returns a Timing. Dir of the configuration is empty, and of State only Systems, Policy, Plan, Runner and
// Limits are used.
func NewTiming(cfg Config) (*Timing, error) {
	if err := errors.Join(cfg.check()...); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	limits, err := cfg.State.Limits.WithDefaults(cfg.State.Runner.RateLimit)
	if err != nil {
		return nil, fmt.Errorf("watch: Config.State.%w", err)
	}
	cfg.State.Limits = limits
	return &Timing{
		cfg: cfg, windows: windowStore{outages: cfg.Outages}, board: board{logger: cfg.Logger},
	}, nil
}

// Config returns the configuration with its defaults.
func (t *Timing) Config() Config { return t.cfg }

// Run reads the windows every Config.Refresh until ctx is done. It does not see those that ended more than
// Config.MaxAge before it begins, so that no episode says that they expired.
func (t *Timing) Run(ctx context.Context) {
	t.windows.keep(ctx, &t.cfg, t.from, func() {})
}

func (t *Timing) from(now time.Time) time.Time { return now.Add(-t.cfg.MaxAge) }

// Calendar returns all known maintenance, observed outages included; nil before the first answer of Config.Windows.
func (t *Timing) Calendar() *maintenance.Calendar {
	now := time.Now()
	c, _ := t.windows.calendar(t.from(now), now) // Next reports the error
	return c
}

// Next returns what is to be done next, and changes the history accordingly: keep it. Run must be running. Expired
// episodes are closed, and those that no window can belong to any more are removed.
func (t *Timing) Next(ctx context.Context, h *History) (Next, error) {
	return callback.Call(func() (Next, error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.next(ctx, h)
	})
}

func (t *Timing) next(ctx context.Context, h *History) (n Next, err error) {
	now := time.Now()
	l := timing{cfg: t.cfg, windows: &t.windows, board: &t.board, planAt: h.PlanAt, unready: h.Unready,
		store: &store{maxAge: t.cfg.MaxAge, state: memory{From: h.From, Episodes: h.Episodes}}}
	calendar, err := l.windows.calendar(l.store.from(now), now)
	if errors.Is(err, errNoWindows) {
		return Next{Phase: PhaseNoCalendar, Text: text.Sentence("Waiting: " + err.Error() + "."), Pause: shortPause}, nil
	}
	if err != nil {
		return Next{}, err
	}
	due, err := l.due(calendar, now)
	if err != nil {
		return Next{}, err
	}
	var ready *Episode
	e, open := l.store.state.open()
	if open {
		due = slices.DeleteFunc(due, e.isEdge)
	}
	switch {
	case len(due) > 0:
		n.Pause, ready, err = l.process(ctx, calendar, now)
	case open:
		n.Phase, n.Pause = PhaseAwaitingApproval, t.cfg.Refresh
	default:
		n.Pause = l.idle(calendar, now)
	}
	if err != nil {
		return Next{}, err
	}
	if ready != nil {
		l.board.set(update{
			phase: PhasePlanning, episode: *ready, text: "Connect is ready. Planning for " + ready.name() + ".",
		})
	}
	if n.Phase == "" {
		s := l.board.get()
		n.Phase, n.Text, n.Until, n.Episode = s.Phase, s.Text, s.Until, s.Episode
	}
	from := l.store.state.From
	*h = History{From: from, PlanAt: l.planAt, Unready: l.unready, Episodes: slices.DeleteFunc(
		slices.Clone(l.store.state.Episodes),
		func(e Episode) bool { return e.State != EpisodeOpen && !e.End().IsZero() && e.End().Before(from) })}
	return n, nil
}

// edge is how much the times may differ at which several processes observe an outage.
const edge = 5 * time.Minute

// isEdge reports whether a window is what another process observed of the outage of the episode before or after it.
func (e Episode) isEdge(w maintenance.Window) bool {
	s, end := w.Span(), e.End()
	return w.Source == maintenance.SourceObserved && !s.End.IsZero() && s.End.Sub(s.Start) < edge && !s.Start.After(end)
}

// unknown returns the windows of the episode that no window of a calendar covers, with an ID of their own.
func (e Episode) unknown(c *maintenance.Calendar) (windows []maintenance.Window) {
	for i, w := range e.Windows {
		s, covered := w.Span(), false
		for o := range c.OverlappingSeq(s.Start, s.Start.Add(1)) {
			end := o.Span().End
			covered = covered || end.IsZero() || !s.End.IsZero() && !end.Before(s.End)
		}
		if !covered {
			w.ID = fmt.Sprintf("%s, %d of %s", w.ID, i+1, e.ID)
			windows = append(windows, w)
		}
	}
	return windows
}

// PlanConfig returns the configuration of the plan for an episode. Its calendar has the windows of the episode, also
// if another process has observed them. It is an error if the other windows are not known yet.
func (t *Timing) PlanConfig(ctx context.Context, e Episode) (resubmit.PlanConfig, error) {
	l := timing{cfg: t.cfg, board: &board{logger: slog.New(slog.DiscardHandler)}}
	cfg, err := callback.Call(func() (resubmit.PlanConfig, error) { return l.planConfig(ctx, e) })
	if err != nil {
		return cfg, err
	}
	known := t.Calendar()
	if known == nil {
		return cfg, errNoWindows
	}
	others, err := maintenance.NewCalendar(e.unknown(known))
	if err != nil {
		return cfg, fmt.Errorf("the windows of the episode: %w", err)
	}
	cfg.Systems, cfg.Policy, cfg.Calendar = t.cfg.State.Systems, t.cfg.State.Policy, known.Merge(others)
	return cfg, nil
}
