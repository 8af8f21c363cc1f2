package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/internal/wait"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// Config makes a [Watcher]. Zero fields take the defaults named.
type Config struct {
	// Dir is the directory of the state: one JSON file, and for each episode its
	// plan and its journal. It is made if need be, for its owner only. Required, and
	// for one Watcher alone.
	Dir string
	// Windows tells the announced windows, for instance a *connect.Multi. Required.
	// It is asked every Refresh; while it fails, what it told before is used. Nothing is
	// done before its first answer, and an empty one with a warning that all windows may
	// be missing is none.
	Windows maintenance.WindowSource
	// Outages are observed ones, which are maintenance too, announced or not: a window
	// goes on while the outage that overlaps with it does. Run the tracker beside the
	// watcher, and keep what it remembers: that Connect was down is not known for a
	// time in which no window was announced and nobody looked. Default: none are observed.
	Outages OutageTracker
	// Ready looks whether Connect is back, where since is the end of the maintenance.
	// Required, because announced ends are often wrong.
	//
	//	func(ctx context.Context, since time.Time) connect.Readiness {
	//		return availability.CheckReadiness(ctx, client, availability.ReadinessQuery{Hub: hub, Since: since})
	//	}
	Ready func(ctx context.Context, since time.Time) availability.Readiness
	// Plan says what to plan for an episode. Required. Left nil, the Filter becomes
	// FailedDuring(e.Windows...), the Calendar all that is known, and Settle and Targets
	// those of the Runner. Where orders do not tell when they failed, a filter of your own
	// must begin early enough: see [filter.FailedBetween].
	Plan func(ctx context.Context, e Episode) (resubmit.PlanConfig, error)
	// Approve decides about a plan with orders to resubmit. Required. It should
	// return soon: to ask a person, remember the question, answer with Pending,
	// and call [Watcher.Wake] when there is an answer. It is asked again with the same
	// plan after a restart. When the next maintenance begins before there is an
	// answer, the plan is thrown away, and made anew for both afterwards.
	// The plan is closed when Approve has returned.
	Approve func(ctx context.Context, e Episode, plan *plan.Plan) (Approval, error)
	// Runner makes the runner of each plan. Its Journal and Calendar must be nil: the
	// watcher sets them. Its Settle is also how long after a maintenance nothing is
	// planned yet, and a window that begins within its Guard after another one
	// belongs to the same episode.
	Runner resubmit.Config
	// Journal opens, or makes, the journal at a path, for instance with
	// resubmit/journal. Required. If it is an io.Closer it is closed after the run.
	Journal func(path string) (resubmit.Journal, error)
	// Done is told of each episode that is over, with the report if its plan was
	// carried out. It comes before the state says so: after a crash it is told again.
	// Default: nobody is told.
	Done func(e Episode, r *resubmit.Report)

	// MaxAge is how long ago a maintenance may have ended and still be dealt with: what is
	// older, because the service was down or nobody decided, is reported as too old
	// and left to a person. When a watcher starts for the first time it is also how far it
	// looks back. Default 7 days, in which Microsoft lets seats be cancelled (documented,
	// resubmit/SAFETY.md#f14). A run that has begun is always brought to its end.
	MaxAge time.Duration
	// ReadyWithin is how long a maintenance may overrun, and Connect take to be ready
	// after it, before that is worth a warning. The watcher goes on looking. Default 3 h, as long
	// as CloudBlue's own runner waits (its code, connect/WIRE.md#0.2).
	ReadyWithin time.Duration
	// Refresh is the time between two questions to Windows. Default 5 min.
	Refresh time.Duration
	// Logger gets the diary: each step in a sentence, with the attributes step,
	// episode, until and error where there are any. Default: nothing is logged.
	Logger *slog.Logger
}

// Approval is what a service says about a plan. The zero value asks again in 15 min.
type Approval struct {
	Decision Decision
	// At is when to ask again; zero is in 15 min. For Pending only.
	At time.Time
	// Why is a sentence for the diary, "" for none.
	Why string
}

// Decision is what to do with a plan.
type Decision string

// The answers.
const (
	Pending  Decision = ""        // it is not decided: ask again
	Approved Decision = "apply"   // carry it out
	Rejected Decision = "decline" // throw it away; the episode is over
)

const (
	defaultMaxAge      = 7 * 24 * time.Hour
	defaultReadyWithin = 3 * time.Hour
	defaultRefresh     = 5 * time.Minute
	askAgain           = 15 * time.Minute
	// closeLook is how often is looked while something goes on.
	closeLook = time.Minute
)

func (c Config) withDefaults() Config {
	c.MaxAge = cmp.Or(c.MaxAge, defaultMaxAge)
	c.ReadyWithin = cmp.Or(c.ReadyWithin, defaultReadyWithin)
	c.Refresh = cmp.Or(c.Refresh, defaultRefresh)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	if c.Done == nil {
		c.Done = func(Episode, *resubmit.Report) {}
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("resubmit: Config."+format, args...))
	}
	for _, f := range []struct {
		missing bool
		what    string
	}{
		{c.Dir == "", "Dir is empty; give a directory for the state"},
		{c.Windows == nil, "Windows is nil; give what tells the windows"},
		{c.Ready == nil, "Ready is nil; give what looks whether Connect is back"},
		{c.Plan == nil, "Plan is nil; give what says what to plan"},
		{c.Approve == nil, "Approve is nil; give who decides about a plan"},
		{c.Journal == nil, "Journal is nil; give what opens a journal that survives the process"},
		{c.Runner.Journal != nil, "Runner.Journal is set; leave it nil, each plan has its own"},
		{c.Runner.Calendar != nil, "Runner.Calendar is set; leave it nil, the watcher knows the windows"},
	} {
		if f.missing {
			bad("%s", f.what)
		}
	}
	if err := callback.RejectNil(callback.Field{Name: "watch.Config.Windows", Value: c.Windows}, callback.Field{Name: "watch.Config.Outages", Value: c.Outages}); err != nil {
		errs = append(errs, fmt.Errorf("resubmit: %w", err))
	}
	if c.MaxAge < 0 || c.ReadyWithin < 0 || c.Refresh < 0 {
		bad("MaxAge is %v, ReadyWithin %v and Refresh %v; give durations, or 0 for the defaults", c.MaxAge, c.ReadyWithin, c.Refresh)
	}
	if _, err := resubmit.NewRunner(c.Runner); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Watcher resubmits after each maintenance what it broke. It runs for months inside a
// service: it follows the announced windows and the observed outages, waits for
// the end of a maintenance, the settle time, and for Connect to be ready, makes
// a plan, asks the service to approve it, applies it, and tells what came of it. See
// [Episode] for what it takes for one maintenance.
//
// What it has done is on disk before it goes on. After a crash at any moment it
// continues: an episode without a plan is planned, a plan without an answer is asked about again,
// and a run goes on with its plan and its journal. No episode is dealt with
// twice, and none is left out without a word: what it cannot deal with in time is told as too
// old. What fails is tried again, at growing intervals of at most ten minutes. A panic in a
// function of the configuration is such a failure; one in Approve is no answer.
//
// Safe for concurrent use.
type Watcher struct {
	cfg     Config
	windows almanac
	running atomic.Bool
	wake    chan struct{} // holds one element when there is something to look at
	askNow  atomic.Bool   // a person may have decided

	// Of the loop alone:
	askAt    time.Time // when to ask for approval again
	failures int       // in a row
	unready  int       // looks in a row that found Connect not ready
	saved    bool      // there is a state on disk
	asked    string    // the plan that was asked about last

	mu     sync.Mutex
	state  watcherState
	status Status
	said   string // what the diary said last
	runner *resubmit.Runner
}

// New checks a configuration, makes the directory and reads the state that is
// in it. It starts nothing. A state that cannot be read is an error that says what
// to do: it must not be taken for none.
func New(cfg Config) (*Watcher, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("resubmit: watcher: make the directory of the state: %w", err)
	}
	state, ok, err := loadWatcherState(cfg.Dir)
	if err != nil {
		return nil, err
	}
	return &Watcher{
		cfg: cfg, state: state, saved: ok,
		windows: almanac{outages: cfg.Outages},
		wake:    make(chan struct{}, 1),
		status:  Status{Phase: PhaseStopped, Text: "The watcher does not run."},
	}, nil
}

// Run watches until ctx ends, and returns the error of ctx. A run of orders that is
// under way then ends as [resubmit.Runner.Apply] says. A second Run at the same time is refused.
func (w *Watcher) Run(ctx context.Context) error {
	if !w.running.CompareAndSwap(false, true) {
		return errors.New("resubmit: the watcher runs already")
	}
	defer w.running.Store(false)
	ctx, cancel := context.WithCancel(ctx)
	var follower sync.WaitGroup
	defer follower.Wait()
	defer cancel()

	w.greet(time.Now())
	follower.Go(func() { w.follow(ctx) })
	for ctx.Err() == nil {
		pause, err := callback.Call(func() (time.Duration, error) { return w.step(ctx) })
		callback.Log(w.cfg.Logger, err)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			pause = w.failed(err)
		} else {
			w.failures = 0
		}
		if pause > 0 {
			_ = wait.For(ctx, pause, w.wake) // the loop looks at ctx
		}
	}
	w.say(entry{phase: PhaseStopped, text: "The watcher stops."})
	return ctx.Err()
}

// Wake lets the watcher look now instead of at its next time, for instance because a
// person has decided about a plan.
func (w *Watcher) Wake() {
	w.askNow.Store(true)
	w.nudge()
}

func (w *Watcher) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// Announced is the calendar of what was announced, for connect.TrackerConfig.Calendar; nil
// before the first answer of the source.
func (w *Watcher) Announced() *maintenance.Calendar { return w.windows.told() }

// Calendar is all maintenance that is known, the observed outages included; nil before
// the first answer of the source.
func (w *Watcher) Calendar() *maintenance.Calendar {
	now := time.Now()
	c, _ := w.windows.calendar(w.from(now), now) // what is wrong is in the diary
	return c
}

// follow keeps the windows fresh.
func (w *Watcher) follow(ctx context.Context) {
	told := ""
	for ctx.Err() == nil {
		now := time.Now()
		warnings, err := w.windows.refresh(ctx, w.cfg.Windows, w.from(now), now.Add(windowsAhead))
		if ctx.Err() != nil {
			return
		}
		news := ""
		for _, warning := range warnings {
			news += "The windows: " + warning.Error() + ". "
		}
		if err != nil {
			news += "The windows could not be asked for, and what is known of them stays: " + text.Short(err.Error()) + "."
		}
		if news != told && news != "" {
			w.cfg.Logger.Warn(text.Short(news), "step", "windows")
		}
		told = news
		w.nudge()
		_ = wait.For(ctx, w.cfg.Refresh, nil) // the loop looks at ctx
	}
}
