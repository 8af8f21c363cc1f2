package resubmit

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/throttle"
)

// planProgress counts and shows the progress of planning. The counters are those of PlanProgress.
type planProgress struct {
	show   func(PlanProgress) // nil: it is not shown
	logger *slog.Logger
	pace   *throttle.Pacer

	listed, read, lookedUp, decided atomic.Int64
}

// start shows the progress each second until the returned function is called.
func (p *planProgress) start() (end func()) {
	if p.show == nil {
		return func() {}
	}
	over := make(chan struct{})
	var shows sync.WaitGroup
	shows.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			if err := p.showOnce(); err != nil {
				p.logger.Warn("PlanConfig.Progress panicked and is not called any more", "error", err)
				return
			}
		}
	})
	return func() {
		close(over)
		shows.Wait()
	}
}

func (p *planProgress) showOnce() (err error) {
	defer callback.Recover(&err)
	now := PlanProgress{
		Listed: int(p.listed.Load()), Read: int(p.read.Load()), LookedUp: int(p.lookedUp.Load()),
		Decided: int(p.decided.Load()),
	}
	if rest := p.pace.Rest(); rest > 0 {
		now.Until = time.Now().Add(rest)
	}
	p.show(now)
	return nil
}
