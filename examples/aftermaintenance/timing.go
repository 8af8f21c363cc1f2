package main

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// timing are rates and times. Zero fields are the defaults of the library.
type timing struct {
	rate                float64
	concurrency         int
	settle, verifyAfter time.Duration
	attempts            int
	spacing             time.Duration
}

func (t *timing) flags(flags *flag.FlagSet) {
	flags.Float64Var(&t.rate, "rate", 0,
		"limit of `calls` per second, to both systems together, when planning and applying "+
			"(default 5; on the test systems none)")
	flags.IntVar(&t.concurrency, "concurrency", 0,
		"number of orders that are pushed at the same time (default 2; on the test systems 8)")
	flags.DurationVar(&t.settle, "settle-delay", 0,
		"`time` after a maintenance or a failure in which an order is not pushed, since Commerce may "+
			"still retry it (default 4m; on the test systems 4s)")
	flags.DurationVar(&t.verifyAfter, "verify-after", 0,
		"`time` from a push to the first check of its result (default 10s; on the test systems 150ms)")
	flags.IntVar(&t.attempts, "attempts", 0,
		"pushes of an order at most, if the answers are lost and the order is proved to be unchanged; pushes "+
			"cut off when the program was killed count too (default 2; after that a new plan decides)")
	flags.DurationVar(&t.spacing, "spacing", 0,
		"minimum `time` between two pushes of an order (default 5m, for cancellations at least 5m)")
}

func (t *timing) check() error {
	switch {
	case t.rate != 0 && !(t.rate >= 0.01 && t.rate <= 10_000): // also NaN
		return fmt.Errorf("-rate %v: give calls per second, from 0.01 to 10000", t.rate)
	case t.concurrency < 0:
		return fmt.Errorf("-concurrency %d: give a number of orders", t.concurrency)
	case t.settle < 0 || 0 < t.settle && t.settle < 10*time.Millisecond:
		return fmt.Errorf("-settle-delay %v: give a time such as 4m", t.settle)
	case t.attempts < 0:
		return fmt.Errorf("-attempts %d: give a number of pushes", t.attempts)
	case t.spacing < 0:
		return fmt.Errorf("-spacing %v: give a time such as 5m", t.spacing)
	case t.verifyAfter < 0:
		return fmt.Errorf("-verify-after %v: give a time such as 10s", t.verifyAfter)
	}
	return nil
}

// forSandbox sets defaults for systems that answer at once.
func (t *timing) forSandbox() {
	orDefault(&t.rate, -1)
	orDefault(&t.concurrency, 8)
	orDefault(&t.settle, 4*time.Second) // half of it is the longest push
	orDefault(&t.verifyAfter, 150*time.Millisecond)
}

func orDefault[T comparable](value *T, otherwise T) {
	var zero T
	if *value == zero {
		*value = otherwise
	}
}

// pause waits between calls that have rate limits of their own, so that together they keep the rate.
func (t *timing) pause(ctx context.Context) error {
	const calls = 4 // one more than the first check of Connect makes
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
	cfg.RateLimit, cfg.Concurrency, cfg.Verify.InitialInterval = t.rate, t.concurrency, t.verifyAfter
	if sandbox {
		cfg.Verify.MaxInterval, cfg.Verify.Timeout = time.Second, time.Minute
	}
}
