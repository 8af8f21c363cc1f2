package availability

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// WaitConfig configures [WaitUntilUp]. Zero fields take the defaults named.
type WaitConfig struct {
	// MaintenanceTimeout limits the time in which Connect answers 502 (a maintenance),
	// and OtherTimeout the time in which it is down for any other reason, including
	// the network. The wait fails when either is spent. Defaults 3 h and 15 min, as
	// in the code of CloudBlue's own runner (connect/WIRE.md#0.2); -1 is no limit.
	MaintenanceTimeout time.Duration
	OtherTimeout       time.Duration
	// MaxDelay limits the time between two probes, which grows exponentially from
	// one second, with full jitter. A Retry-After is honored up to MaxDelay. Default
	// 5 min, as in that runner.
	MaxDelay time.Duration
	// Threshold is how many consecutive probes, 5 s apart, must find Connect up. Default 3.
	Threshold int
	// ProbeTimeout limits one probe. Default 30 s.
	ProbeTimeout time.Duration
	// Progress is called after every probe. Optional.
	Progress func(WaitResult)
	// Logger receives one Info record per probe. Default: no logs.
	Logger *slog.Logger
}

const (
	// confirmEvery is the time between probes that find Connect up.
	confirmEvery = 5 * time.Second
	firstDelay   = time.Second
)

func (c WaitConfig) withDefaults() (WaitConfig, error) {
	c.MaintenanceTimeout = cmp.Or(c.MaintenanceTimeout, 3*time.Hour)
	c.OtherTimeout = cmp.Or(c.OtherTimeout, 15*time.Minute)
	c.MaxDelay = cmp.Or(c.MaxDelay, maxRetryAfter)
	c.Threshold = cmp.Or(c.Threshold, 3)
	c.ProbeTimeout = cmp.Or(c.ProbeTimeout, 30*time.Second)
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	if c.Progress == nil {
		c.Progress = func(WaitResult) {}
	}
	if c.MaxDelay < firstDelay || c.ProbeTimeout < 0 || c.Threshold < 1 {
		return c, fmt.Errorf("MaxDelay must be at least %s, ProbeTimeout and Threshold must be positive", firstDelay)
	}
	return c, nil
}

// WaitResult is the progress and the result of [WaitUntilUp].
type WaitResult struct {
	// Up is whether Connect is up; false while the wait continues or after it failed.
	Up bool
	// Elapsed is the time since the first probe began.
	Elapsed time.Duration
	// MaintenanceTime is the time so far in which Connect answered 502, OtherTime the time in
	// which it was down for other reasons.
	MaintenanceTime time.Duration
	OtherTime       time.Duration
	// Probes counts the probes by class.
	Probes map[connect.ProbeClass]int
	// Last is the latest probe.
	Last connect.Probe
	// Next is the time until the next probe; 0 in the result.
	Next time.Duration
}

// String describes the result on one line.
func (w WaitResult) String() string {
	state := "still waiting for Connect"
	if w.Up {
		state = "Connect is up"
	}
	return fmt.Sprintf("%s after %s (maintenance %s, other reasons %s; probes: %s)", state,
		w.Elapsed.Round(time.Second), w.MaintenanceTime.Round(time.Second), w.OtherTime.Round(time.Second), counted(w.Probes))
}

// WaitUntilUp probes Connect until a [Tracker] finds it up, ctx ends or a limit of cfg
// is reached. It always returns what it saw. An error matches that of ctx, or
// [connect.ErrUnavailable] when a limit was reached. It starts no goroutine.
func WaitUntilUp(ctx context.Context, p Prober, cfg WaitConfig) (WaitResult, error) {
	cfg, err := cfg.withDefaults()
	if err == nil && callback.Nil(p) {
		err = errNoProber
	}
	var tracker *Tracker
	if err == nil {
		tracker, err = NewTracker(TrackerConfig{Threshold: cfg.Threshold, ThresholdTime: -1, MaxGap: math.MaxInt64})
	}
	if err != nil {
		return WaitResult{}, &waitError{err}
	}
	began, delays := time.Now(), newDelays(cfg.MaxDelay)
	w := WaitResult{Probes: make(map[connect.ProbeClass]int)}
	for {
		at := time.Now()
		seen, err := probe(ctx, p, cfg.ProbeTimeout)
		w.Elapsed, w.Next = time.Since(began), 0
		if ctx.Err() != nil {
			return w, &waitError{ctx.Err()}
		}
		if err != nil {
			seen = connect.Probe{Class: connect.ClassUnreachable, At: at.UTC(), Err: err}
		}
		tracker.Observe(seen)
		w.Last = seen
		w.Probes[w.Last.Class]++
		w.Up = tracker.Status(time.Now()).Up()
		spent, left := w.budget(cfg)
		if !w.Up && left > 0 {
			w.Next = min(w.delay(cfg, delays), left)
		}
		w.report(cfg)
		switch {
		case w.Up:
			return w, nil
		case left <= 0:
			return w, &waitError{fmt.Errorf("%w: gave up: %s; last probe: %w", connect.ErrUnavailable, w, w.Last.Err)}
		}
		pause(ctx, w.Next)
		*spent += time.Since(at)
	}
}

// waitError is an error of WaitUntilUp. It is on one line, whatever a prober returns.
type waitError struct{ err error }

func (e *waitError) Error() string {
	return text.Sentence("availability: wait until up: " + e.err.Error())
}

func (e *waitError) Unwrap() error { return e.err }

// newDelays returns the delays of one call, drawn from 0 to twice the interval.
func newDelays(most time.Duration) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = firstDelay/2, most/2
	b.Multiplier, b.RandomizationFactor = 2, 1
	return b
}

// budget returns where the time after the latest probe is charged, and how much is left.
func (w *WaitResult) budget(cfg WaitConfig) (spent *time.Duration, left time.Duration) {
	limit := time.Duration(-1)
	switch w.Last.Class {
	case connect.ClassUp:
		spent = new(time.Duration)
	case connect.ClassMaintenanceSuspected:
		spent, limit = &w.MaintenanceTime, cfg.MaintenanceTimeout
	default:
		spent, limit = &w.OtherTime, cfg.OtherTimeout
	}
	if limit < 0 {
		return spent, math.MaxInt64
	}
	return spent, limit - *spent
}

func (w *WaitResult) delay(cfg WaitConfig, delays *backoff.ExponentialBackOff) time.Duration {
	if w.Last.Class == connect.ClassUp {
		return confirmEvery
	}
	d := delays.NextBackOff()
	if after := retryAfter(w.Last); after > 0 {
		d = min(after, cfg.MaxDelay)
	}
	return d
}

func (w WaitResult) report(cfg WaitConfig) {
	w.Probes = maps.Clone(w.Probes)
	cfg.Progress(w)
	cfg.Logger.Info("waiting for Connect", "up", w.Up, "class", w.Last.Class, "elapsed", w.Elapsed,
		"maintenance", w.MaintenanceTime, "generic", w.OtherTime, "next", w.Next)
}
