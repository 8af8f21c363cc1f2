package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math"
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
	flags.Float64Var(&t.rate, "rate", 0, "most `calls` in a second, to both systems together, while planning too (default 5; on the test systems no limit)")
	flags.IntVar(&t.atOnce, "at-once", 0, "how many orders are pushed at the same time (default 2; on the test systems 8)")
	flags.DurationVar(&t.settle, "settle", 0, "the `time` that Commerce goes on by itself after a maintenance or a push, so that nobody is to interfere (default 4m; on the test systems 2s)")
	flags.DurationVar(&t.look, "look", 0, "the `time` after a push at which its result is looked for first (default 10s; on the test systems 150ms)")
	flags.IntVar(&t.attempts, "attempts", 0, "how many pushes of an order may get no answer, while it surely stays as it was; also those that a kill of this program may have cut off (default 1: then it is left to a person)")
	flags.DurationVar(&t.spacing, "spacing", 0, "least `time` between two of them (default 5m, which is also the least for cancellations)")
}

func (t *timing) check() error {
	switch {
	case t.rate < 0 || math.IsNaN(t.rate):
		return fmt.Errorf("-rate %v: give a number of calls in a second", t.rate)
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
	rate := cmp.Or(t.rate, resubmit.DefaultRate)
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
	cfg.Rate, cfg.Concurrency, cfg.Settle, cfg.Verify.First = t.rate, t.atOnce, t.settle, t.look
	cfg.Attempts = resubmit.AttemptPolicy{Max: t.attempts, Spacing: t.spacing}
	if sandbox {
		cfg.Verify.Max, cfg.Verify.Timeout = time.Second, time.Minute
	}
}
