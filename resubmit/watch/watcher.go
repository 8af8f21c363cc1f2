package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/internal/wait"
)

// Watcher plans and applies a resubmission after each maintenance. It waits for the end
// of the maintenance, the settle delay and Connect, writes a plan, asks for approval and
// applies it. See [Episode] for what counts as one maintenance.
//
// Each step is saved before the next one, so that a watcher resumes after a crash at any
// point. No episode is handled twice or dropped silently: one that is too old is reported
// as expired. Failed steps, panics in functions of the configuration included, are
// retried after 30 s, later after up to 10 min; a panic in Approve counts as Pending.
//
// Safe for concurrent use.
type Watcher struct {
	cfg     Config
	windows windowStore
	store   *store
	board   *board
	loop    *loop
	running atomic.Bool
	wake    chan struct{} // holds one element when the loop should run now
}

// New returns a watcher that resumes from the state in cfg.Dir. It starts nothing. A
// state that cannot be read is an error that says what to do.
func New(cfg Config) (*Watcher, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("watch: create the state directory: %w", err)
	}
	s, err := openStore(&cfg)
	if err != nil {
		return nil, err
	}
	w := &Watcher{
		cfg: cfg, windows: windowStore{outages: cfg.Outages}, store: s, wake: make(chan struct{}, 1),
		board: &board{
			logger: cfg.Logger, status: Status{Phase: PhaseStopped, Text: "The watcher is not running."},
		},
	}
	cfg.Runner.Calendar = w.Calendar
	w.loop = newLoop(cfg, &w.windows, s, w.board)
	return w, nil
}

// Run watches until ctx is done and returns its error. A run of orders in progress then
// ends as [resubmit.Runner.Apply] documents. A second concurrent Run is an error.
func (w *Watcher) Run(ctx context.Context) error {
	if !w.running.CompareAndSwap(false, true) {
		return errors.New("watch: the watcher is already running")
	}
	defer w.running.Store(false)
	ctx, cancel := context.WithCancel(ctx)
	var refresher sync.WaitGroup
	defer refresher.Wait()
	defer cancel()

	w.loop.logStart(time.Now())
	refresher.Go(func() { w.refreshWindows(ctx) })
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

// Wake makes the watcher call Approve now, for instance because a person has decided
// about a plan.
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

// refreshWindows reads the windows again and again until ctx is done.
func (w *Watcher) refreshWindows(ctx context.Context) {
	logged := ""
	for ctx.Err() == nil {
		now := time.Now()
		err := w.windows.refresh(ctx, w.cfg.Windows, w.store.from(now), now.Add(windowsAhead))
		if ctx.Err() != nil {
			return
		}
		detail := ""
		if err != nil {
			detail = text.Short(err.Error())
		}
		if detail != logged && detail != "" {
			w.board.log(slog.LevelWarn, "maintenance windows could not be read completely", "step", "windows", "detail", detail)
		}
		logged = detail
		w.signal()
		_ = wait.For(ctx, w.cfg.Refresh, nil) // the loop checks ctx
	}
}

// Status returns what the watcher is doing.
func (w *Watcher) Status() Status { return w.board.get() }

// Episodes returns the episodes that were planned or have expired, oldest plan first. An
// episode is kept for 400 days after it was closed.
func (w *Watcher) Episodes() []Episode { return w.store.episodes() }
