package availability

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/callback"
)

// WaitConfig says how [WaitUntilUp] waits. Zero fields take the defaults named.
type WaitConfig struct {
	// Maintenance is how long it waits while Connect answers 502, which is a
	// maintenance, and Generic while it is not up for any other reason, networks
	// included. Each is spent by its own looks only, and whichever is spent first ends
	// the wait. Defaults 3 h and 15 min, those in the code of CloudBlue's own runner
	// (connect/WIRE.md#0.2); -1 has no end.
	Maintenance time.Duration
	Generic     time.Duration
	// MaxDelay bounds the time between two looks, which doubles from about a
	// second, with full jitter; a Retry-After is heeded up to it. Default 5 min,
	// as in the runner.
	MaxDelay time.Duration
	// Looks is how many looks in a row must find Connect up, 5 s apart. Default 3.
	Looks int
	// LookTimeout bounds one look. Default 30 s.
	LookTimeout time.Duration
	// Progress is told after every look, before the wait for the next. Default: nobody.
	Progress func(WaitResult)
	// Logger is told the same, at Info. Default: nothing is logged.
	Logger *slog.Logger
}

const (
	// confirmEvery is the time between the looks that confirm that Connect is up.
	confirmEvery = 5 * time.Second
	firstDelay   = time.Second
)

func (c WaitConfig) withDefaults() (WaitConfig, error) {
	c.Maintenance = cmp.Or(c.Maintenance, 3*time.Hour)
	c.Generic = cmp.Or(c.Generic, 15*time.Minute)
	c.MaxDelay = cmp.Or(c.MaxDelay, longestPause)
	c.Looks = cmp.Or(c.Looks, 3)
	c.LookTimeout = cmp.Or(c.LookTimeout, 30*time.Second)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	if c.Progress == nil {
		c.Progress = func(WaitResult) {}
	}
	if c.MaxDelay < firstDelay || c.LookTimeout < 0 || c.Looks < 1 {
		return c, fmt.Errorf("MaxDelay must be at least %s, LookTimeout and Looks must be positive", firstDelay)
	}
	return c, nil
}

// WaitResult is what a wait has seen.
type WaitResult struct {
	// Up is how it ended, once it has.
	Up bool
	// Began is when the first look began, Elapsed how long all took.
	Began   time.Time
	Elapsed time.Duration
	// Maintenance and Generic are what is spent of the two budgets.
	Maintenance time.Duration
	Generic     time.Duration
	// Looks counts the looks of each class, Last is the newest.
	Looks map[connect.Availability]int
	Last  connect.Probe
	// InRow is how many looks in a row found Connect up until now.
	InRow int
	// Next is the time until the next look; 0 once the wait has ended.
	Next time.Duration
}

// String is one line.
func (w WaitResult) String() string {
	state := "still waiting for Connect"
	if w.Up {
		state = "Connect is up"
	}
	return fmt.Sprintf("%s after %s (maintenance %s, other reasons %s; looks: %s)", state,
		w.Elapsed.Round(time.Second), w.Maintenance.Round(time.Second), w.Generic.Round(time.Second), counted(w.Looks))
}

// WaitUntilUp looks at Connect until it is up, ctx ends or a budget of cfg is
// spent, and returns what it saw in each case. An error matches that of ctx, or
// [connect.ErrUnavailable] when a budget was spent. It starts no goroutine.
//
// A [Tracker] can share the looks: Progress: func(w connect.WaitResult) {
// tracker.Observe(w.Last) }.
func WaitUntilUp(ctx context.Context, p Prober, cfg WaitConfig) (WaitResult, error) {
	cfg, err := cfg.withDefaults()
	if err == nil && callback.Nil(p) {
		err = errNoProber
	}
	if err != nil {
		return WaitResult{}, waitError(err)
	}
	w := wait{cfg: cfg, delays: newDelays(cfg.MaxDelay), WaitResult: WaitResult{Began: time.Now(), Looks: map[connect.Availability]int{}}}
	for {
		if err := w.look(ctx, p); err != nil {
			return w.ended(), waitError(err)
		}
		if w.Up || w.spent() {
			break
		}
		w.Next = w.delay()
		w.tell()
		pause(ctx, w.Next)
	}
	done := w.ended()
	if !done.Up {
		err = waitError(fmt.Errorf("%w: gave up: %s; the last look: %w", connect.ErrUnavailable, done, w.Last.Err))
	}
	w.tell()
	return done, err
}

func waitError(err error) error { return &connect.Error{Op: "wait until up", Err: err} }

// newDelays makes the waits of one call. It draws from 0 to twice the interval.
func newDelays(most time.Duration) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = firstDelay/2, most/2
	b.Multiplier, b.RandomizationFactor = 2, 1
	return b
}

// wait is a wait under way.
type wait struct {
	cfg    WaitConfig
	delays *backoff.ExponentialBackOff
	lookAt time.Time // when the newest look began
	WaitResult
}

// look is one look. Time is charged to the reason that the look before it gave.
func (w *wait) look(ctx context.Context, p Prober) error {
	w.charge()
	probe, err := glance(ctx, p, w.cfg.LookTimeout)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		probe = connect.Probe{Class: connect.Unreachable, At: w.lookAt.UTC(), Err: err}
	}
	w.Last, w.Elapsed, w.Next = probe, time.Since(w.Began), 0
	w.Looks[probe.Class]++
	if probe.Class != connect.Up {
		w.InRow = 0
		return nil
	}
	w.InRow++
	w.Up = w.InRow >= w.cfg.Looks
	return nil
}

func (w *wait) charge() {
	now := time.Now()
	if budget, _ := w.budget(); budget != nil {
		*budget += now.Sub(w.lookAt)
	}
	w.lookAt = now
}

// budget is what the newest look spends, and how much of it there is; nil when
// there was none, or it found Connect up.
func (w *wait) budget() (spent *time.Duration, of time.Duration) {
	switch w.Last.Class {
	case "", connect.Up:
		return nil, 0
	case connect.MaintenanceSuspected:
		return &w.Maintenance, w.cfg.Maintenance
	default:
		return &w.Generic, w.cfg.Generic
	}
}

func (w *wait) spent() bool {
	spent, of := w.budget()
	return spent != nil && of >= 0 && *spent >= of
}

// delay is the time until the next look, which comes at the latest when the
// budget is spent.
func (w *wait) delay() time.Duration {
	spent, of := w.budget()
	if spent == nil {
		return confirmEvery
	}
	d := w.delays.NextBackOff()
	if asked := retryAfter(w.Last); asked > 0 {
		d = min(asked, w.cfg.MaxDelay)
	}
	if of >= 0 {
		d = min(d, of-*spent)
	}
	return d
}

func (w *wait) tell() {
	told := w.WaitResult
	told.Looks = maps.Clone(w.Looks)
	w.cfg.Progress(told)
	w.cfg.Logger.Info("waiting for Connect", "up", told.Up, "class", told.Last.Class, "elapsed", told.Elapsed,
		"maintenance", told.Maintenance, "generic", told.Generic, "next", told.Next)
}

// ended is what is returned.
func (w *wait) ended() WaitResult {
	w.Next, w.Elapsed = 0, time.Since(w.Began)
	return w.WaitResult
}
