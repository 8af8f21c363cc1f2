package watch

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/wait"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// Watcher plans and applies a resubmission after each maintenance. It waits for the end
// of the maintenance, the settle delay and Connect, writes a plan, asks for approval and
// applies it. See [Episode] for what counts as one maintenance. Plans, approvals, runs and the
// journal are in the state directory, see [state.Dir]: the watcher decides when to plan and to
// apply. It holds no lock of the directory while it waits.
//
// Each step is saved before the next one, so that a watcher resumes after a crash at any
// point. No episode is handled twice or dropped silently: one that is too old is reported
// as expired. Failed steps, panics in functions of the configuration included, are
// retried after 30 s, later after up to 10 min; a panic in Approve counts as Pending.
//
// Safe for concurrent use.
type Watcher struct {
	cfg     Config
	dir     *state.Dir
	windows windowStore
	store   *store
	board   *board
	loop    *loop
	wake    chan struct{} // holds one element when the loop should run now
}

// New opens the state directory cfg.Dir, see [state.Open], and returns a watcher that resumes from
// it. It starts nothing. A state that cannot be read is an error that says what to do.
func New(ctx context.Context, cfg Config) (*Watcher, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s, err := openStore(&cfg)
	if err != nil {
		return nil, err
	}
	w := &Watcher{
		windows: windowStore{outages: cfg.Outages}, store: s, wake: make(chan struct{}, 1),
		board: &board{
			logger: cfg.Logger, status: Status{Phase: PhaseStopped, Text: "The watcher is not running."},
		},
	}
	cfg.State.Calendar = w.Calendar
	if cfg.State.Observed == nil && cfg.Outages != nil {
		cfg.State.Observed = w.windows.observed
	}
	w.cfg = cfg
	w.dir, err = callback.Call(func() (*state.Dir, error) { return state.Open(ctx, cfg.Dir, cfg.State) })
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	w.loop = &loop{timing: timing{cfg: cfg, windows: &w.windows, store: s, board: w.board}, dir: w.dir}
	w.loop.approver.loop = w.loop
	return w, nil
}

// Run watches until ctx is done and returns its error. A run of orders in progress then
// ends as [resubmit.Runner.Apply] documents. It returns a *state.LockedError if a watcher already
// runs in the directory, in this process or another one.
func (w *Watcher) Run(ctx context.Context) error {
	lock, err := durable.AcquireLock(filepath.Join(w.cfg.Dir, lockFile), w.cfg.State.Program, 0)
	if err != nil {
		return fmt.Errorf("watch: one watcher at a time uses a state directory: %w", err)
	}
	defer func() { _ = lock.Release() }() // the system does it at the latest when this process ends
	ctx, cancel := context.WithCancel(ctx)
	var refresher sync.WaitGroup
	defer refresher.Wait()
	defer cancel()

	w.loop.logStart(time.Now())
	refresher.Go(func() { w.windows.keep(ctx, &w.cfg, w.store.from, w.signal) })
	for ctx.Err() == nil {
		pause, err := callback.Call(func() (time.Duration, error) { return w.loop.step(ctx) })
		callback.Log(w.cfg.Logger, err)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			e, _ := w.store.state.open()
			pause = w.board.failed(err, e)
		} else {
			w.board.failures = 0
		}
		if pause > 0 {
			_ = wait.For(ctx, pause, w.wake) // the loop checks ctx
		}
	}
	w.board.set(update{phase: PhaseStopped, text: "The watcher is stopped."})
	return ctx.Err()
}

// Wake makes the watcher look at its plan and call Approve now, for instance because a person has
// decided about it.
func (w *Watcher) Wake() {
	w.loop.approver.now.Store(true)
	w.signal()
}

func (w *Watcher) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Announced returns the announced maintenance, for availability.TrackerConfig.Calendar;
// nil before the first answer of Config.Windows.
func (w *Watcher) Announced() *maintenance.Calendar { return w.windows.current() }

// Calendar returns all known maintenance, observed outages included; nil before the first
// answer of Config.Windows.
func (w *Watcher) Calendar() *maintenance.Calendar {
	now := time.Now()
	c, _ := w.windows.calendar(w.store.from(now), now) // the loop reports the error
	return c
}

// Status returns what the watcher is doing.
func (w *Watcher) Status() Status {
	s := w.board.get()
	if s.Phase != PhaseApplying {
		return s
	}
	if d, err := w.dir.Status(); err == nil && d.Run != nil && d.Run.Live != nil {
		s.Run = *d.Run.Live
	}
	return s
}

// Control gives a command to the run that the watcher works on, or that another process applies: pause, resume, rate,
// drain or cancel. It is obeyed within about a second, also if the watcher waits. The error matches [state.ErrNoRun] if
// there is no such run.
func (w *Watcher) Control(c state.Command) error {
	if err := w.dir.Control(c); err != nil {
		return err
	}
	w.signal()
	return nil
}

// State returns the state directory, with which runs can be shown, approved and controlled.
func (w *Watcher) State() *state.Dir { return w.dir }

// Episodes returns the episodes that were planned or have expired, oldest plan first. An
// episode is kept for 400 days after it was closed.
func (w *Watcher) Episodes() []Episode { return w.store.episodes() }
