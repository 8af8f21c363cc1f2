package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// timing is how fast the job goes. Zero fields are the defaults of the library, or
// those that suit the test systems.
type timing struct {
	rate         float64
	atOnce       int
	settle, look time.Duration
	attempts     int
	spacing      time.Duration
}

func (t *timing) flags(flags *flag.FlagSet) {
	flags.Float64Var(&t.rate, "rate", 0, "most `calls` per second, to both systems together, when planning and applying "+
		"(default 5; on the test systems no limit)")
	flags.IntVar(&t.atOnce, "at-once", 0,
		"most orders that are pushed at the same time (default 2; on the test systems 8)")
	flags.DurationVar(&t.settle, "settle", 0,
		"`time` after a maintenance or a failure in which an order is left alone, since Commerce may "+
			"still retry it (default 4m; on the test systems 2s)")
	flags.DurationVar(&t.look, "look", 0,
		"`time` from a push to the first check of its result (default 10s; on the test systems 150ms)")
	flags.IntVar(&t.attempts, "attempts", 0,
		"most pushes of an order whose answers are lost although it is proved unchanged, also those cut off "+
			"when the program was killed (default 1: then it is left to a person)")
	flags.DurationVar(&t.spacing, "spacing", 0,
		"with -attempts: least `time` between two pushes of an order (default 5m, for cancellations at least 5m)")
}

func (t *timing) check() error {
	switch {
	case t.rate != 0 && !(t.rate >= 0.01 && t.rate <= 10_000): // also NaN
		return fmt.Errorf("-rate %v: give calls per second, from 0.01 to 10000", t.rate)
	case t.atOnce < 0:
		return fmt.Errorf("-at-once %d: give a number of orders", t.atOnce)
	case t.settle < 0:
		return fmt.Errorf("-settle %v: give a time such as 4m", t.settle)
	case t.attempts < 0:
		return fmt.Errorf("-attempts %d: give a number of pushes", t.attempts)
	case t.spacing < 0:
		return fmt.Errorf("-spacing %v: give a time such as 5m", t.spacing)
	case t.look < 0:
		return fmt.Errorf("-look %v: give a time such as 10s", t.look)
	}
	return nil
}

// forSandbox fills in what suits systems that answer at once.
func (t *timing) forSandbox() {
	orDefault(&t.rate, -1)
	orDefault(&t.atOnce, 8)
	orDefault(&t.settle, 2*time.Second)
	orDefault(&t.look, 150*time.Millisecond)
}

func orDefault[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}

// pause separates the calls before it from those after it, which are paced apart, so
// that both together keep the rate.
func (t *timing) pause(ctx context.Context) error {
	const calls = 4 // as many as the first look at Connect makes, and one
	rate := resubmit.Config{RateLimit: t.rate}.WithDefaults().RateLimit
	if rate < 0 {
		return nil
	}
	select {
	case <-time.After(time.Duration(calls / rate * float64(time.Second))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *timing) set(cfg *resubmit.Config, sandbox bool) {
	cfg.RateLimit, cfg.Concurrency, cfg.SettleDelay, cfg.Verify.First = t.rate, t.atOnce, t.settle, t.look
	cfg.Retry = resubmit.RetryPolicy{MaxAttempts: t.attempts, Spacing: t.spacing}
	if sandbox {
		cfg.Verify.Max, cfg.Verify.Timeout = time.Second, time.Minute
	}
}
