package resubmit

import (
	"context"
	"sync"
	"time"
)

const (
	// pushTimeout bounds a push, also one that is on its way when the run is stopped.
	pushTimeout = 2 * time.Minute
	// pushTogether is by how much less it may be, since pushes that begin within that
	// share what bounds them.
	pushTogether = time.Second
)

// pushBound bounds the pushes of a run, whose end must not cut one in half: its outcome
// would be unknown.
type pushBound struct {
	mu    sync.Mutex
	ctx   context.Context //nolint:containedctx // of the pushes that begin before until
	until time.Time
	ends  []func() // of all contexts that were made and may still be in use
}

// context is that of a push that begins now in a run.
func (p *pushBound) context(run context.Context) context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.ctx == nil || !now.Before(p.until) {
		if len(p.ends) > int(pushTimeout/pushTogether) {
			p.ends[0]() // it has ended
			p.ends = p.ends[1:]
		}
		ctx, end := context.WithTimeout(context.WithoutCancel(run), pushTimeout)
		p.ctx, p.until, p.ends = ctx, now.Add(pushTogether), append(p.ends, end)
	}
	return p.ctx
}

// over lets go of all, when no push is on its way any more.
func (p *pushBound) over() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, end := range p.ends {
		end()
	}
	p.ctx, p.ends = nil, nil
}
