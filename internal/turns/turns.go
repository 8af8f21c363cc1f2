package turns

import (
	"context"
	"sync/atomic"
	"time"
)

// Turns pace calls.
type Turns interface {
	// Turn returns when one more call may go out, or with the reason why it may not.
	Turn(ctx context.Context) error
	// Asked is told at once that a server asked for patience.
	Asked(d time.Duration)
	// Held reports whether nothing may go out for such a server's sake.
	Held() bool
}

type key struct{}

// row is the context of calls that take turns.
type row struct {
	context.Context //nolint:containedctx // it is one
	turns           Turns
	given           time.Time
	taken           atomic.Bool
}

// Value finds the row, and else what the context around it holds.
func (r *row) Value(k any) any {
	if k == (key{}) {
		return r
	}
	return r.Context.Value(k)
}

// atOnce is how late a call may make use of a turn that it was given. A call that waited
// longer, for a free connection or for a sign-in, would come too close to the next one:
// the pace has a few milliseconds of margin in a second, which the network needs too.
const atOnce = 2 * time.Millisecond

// With returns a context whose calls take turns. The first one has its turn already,
// unless it lets that pass, waiting for a sign-in for instance.
func With(ctx context.Context, t Turns) context.Context {
	return &row{Context: ctx, turns: t, given: time.Now()}
}

// Take waits for the turn of one try. A turn is of no use any more when a server asked
// for patience since it was given.
func Take(ctx context.Context) error {
	r, ok := ctx.Value(key{}).(*row)
	if !ok || r.taken.CompareAndSwap(false, true) && time.Since(r.given) < atOnce && !r.turns.Held() {
		return nil
	}
	return r.turns.Turn(ctx)
}

// Asked passes on that a server asked for patience; d is 0 when it did not.
func Asked(ctx context.Context, d time.Duration) {
	if r, ok := ctx.Value(key{}).(*row); ok && d > 0 {
		r.turns.Asked(d)
	}
}
