package resubmit

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/wait"
)

const (
	// paceMargin makes the second of the limit 6 ms longer, so that network delays do not put one
	// call too many into it.
	paceMargin = 1.006
	// paceLate is by how much late calls may catch up, without a pause between them. The limit still
	// holds, because the calls of the last second are known.
	paceLate = 50 * time.Millisecond
	// paceRaise is how often the rate is raised again, by paceStep of the limit.
	paceRaise = 10 * time.Second
	paceStep  = 0.1
)

// pacer limits the rate of all calls of a run, lowers the rate when servers are overloaded, and pauses
// all calls when a server sent Retry-After.
type pacer struct {
	turn chan struct{} // the lock of the one call that waits for its time
	// queue is the lock of the one call that waits for turn. Pushes do not take it, so that they go
	// first: the order was just read for them, and its state must not become stale.
	queue chan struct{}

	mu      sync.Mutex
	limit   float64   // calls per second; negative for no limit
	floor   float64   // the lowest fraction of the limit
	share   float64   // the fraction of the limit that is in force
	why     string    // why the fraction is not 1
	turned  time.Time // when it last changed
	due     time.Time // when the last call was due
	went    rateWindow
	until   time.Time // no call is made before
	changed chan struct{}
	held    chan struct{} // closed and replaced when a server sends Retry-After
	// notify is called with the lock held, so that changes are reported in order.
	notify func(RateChange)
}

// callKind says how a call waits.
type callKind int

const (
	inLine callKind = iota
	// beforePush is the read before a push. After the intent is recorded, no call waits for a
	// Retry-After: a crash would leave an order unknown that was never pushed, and a drain would
	// have to wait too.
	beforePush
	// pushing waits like beforePush, but goes first.
	pushing
)

// errHeldBack means that a push, or the read before it, would have had to wait.
var errHeldBack = errors.New("held back right before the push")

func newPacer(perSecond, floor float64) *pacer {
	return &pacer{
		turn: make(chan struct{}, 1), queue: make(chan struct{}, 1), limit: perSecond, floor: floor, share: 1,
		changed: make(chan struct{}), held: make(chan struct{}), notify: func(RateChange) {},
	}
}

// wait returns when one call may be made.
func (p *pacer) wait(ctx context.Context) error { return p.await(ctx, inLine) }

// await returns when one call of a kind may be made, or errHeldBack if it must not wait for a
// Retry-After.
func (p *pacer) await(ctx context.Context, k callKind) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(p.turn) == 0 {
		if rest, _, _ := p.take(time.Now()); rest <= 0 {
			return nil
		}
	}
	held, err := p.holds(k)
	if err != nil {
		return err
	}
	if k != pushing {
		if err := enter(ctx, p.queue, held); err != nil {
			return err
		}
		defer func() { <-p.queue }()
	}
	if err := enter(ctx, p.turn, held); err != nil {
		return err
	}
	defer func() { <-p.turn }()
	for {
		rest, hold, changed := p.take(time.Now())
		switch {
		case rest <= 0:
			return ctx.Err()
		case hold && k != inLine:
			return errHeldBack
		}
		if err := wait.For(ctx, rest, changed); err != nil {
			return err
		}
	}
}

// holds returns a channel that is closed when a server sends Retry-After, for calls that must not wait
// for that; nil for others.
func (p *pacer) holds(k callKind) (<-chan struct{}, error) {
	if k == inLine {
		return nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().Before(p.until) {
		return nil, errHeldBack
	}
	return p.held, nil
}

// enter takes the one place in c, unless held is closed before.
func enter(ctx context.Context, c chan<- struct{}, held <-chan struct{}) error {
	select {
	case c <- struct{}{}:
		return nil
	case <-held:
		return errHeldBack
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take allows a call now, or returns how long it has to wait, whether that is for a Retry-After, and a
// channel that is closed when this changes.
func (p *pacer) take(now time.Time) (rest time.Duration, hold bool, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.until) {
		return p.until.Sub(now), true, p.changed
	}
	if p.limit < 0 {
		return 0, false, nil
	}
	p.raise(now)
	due := p.due.Add(p.interval())
	if p.due.IsZero() {
		due = now
	}
	if full := p.went.fullUntil(now, p.limit*p.share); full.After(due) {
		due = full
	}
	if now.Before(due) {
		return due.Sub(now), false, p.changed
	}
	for _, late := range [...]time.Time{now.Add(-paceLate), p.until} {
		if due.Before(late) {
			due = late
		}
	}
	p.due = due
	p.went.add(now)
	return 0, false, nil
}

func (p *pacer) interval() time.Duration {
	const most = 1 << 62 // ns, so that it fits
	return time.Duration(min(most, math.Ceil(float64(time.Second)*paceMargin/(p.limit*p.share))))
}

// hold pauses all calls for d from now, and returns the whole pause.
func (p *pacer) hold(d time.Duration) Patience {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if until := now.Add(d); until.After(p.until) {
		p.until = until
		close(p.held)
		p.held = make(chan struct{})
		p.wake()
	}
	return Patience{Asked: now, Until: p.until}
}

func (p *pacer) rest() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until.IsZero() {
		return 0
	}
	return time.Until(p.until)
}

// slow halves the rate. A call that began before the last change does not count.
func (p *pacer) slow(began time.Time, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit < 0 || p.floor >= 1 || began.Before(p.turned) && p.share < 1 {
		return
	}
	now := time.Now()
	p.turned, p.why = now, why
	if share := max(p.floor, p.share/2); share < p.share {
		p.set(p.limit, share)
	}
}

// raise raises the rate again for the time that passed without trouble.
func (p *pacer) raise(now time.Time) {
	if p.share >= 1 {
		return
	}
	share := p.share
	for ; now.Sub(p.turned) >= paceRaise && share < 1; share += paceStep {
		p.turned = p.turned.Add(paceRaise)
	}
	if share > 1-paceStep/2 {
		share, p.why = 1, ""
	}
	p.set(p.limit, share)
}

// change sets another limit. A lowered rate stays lowered, unless there is no limit any more.
func (p *pacer) change(limit float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	share := p.share
	if limit < 0 {
		share, p.why = 1, ""
	}
	p.set(limit, share)
}

func (p *pacer) set(limit, share float64) {
	if limit == p.limit && share == p.share {
		return
	}
	p.limit, p.share = limit, share
	p.wake()
	p.notify(RateChange{Rate: p.rate(), Limit: limit, Why: p.why})
}

func (p *pacer) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// rate returns the rate in force, in calls per second; -1 for no limit.
func (p *pacer) rate() float64 {
	if p.limit < 0 {
		return -1
	}
	return p.limit * p.share
}

func (p *pacer) view() (rate float64, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rate(), p.why
}

func (p *pacer) watch(notify func(RateChange)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notify = notify
}

// sleep waits for d, or until ctx is done, and then returns its error.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	if err := wait.For(ctx, d, nil); err != nil {
		return err
	}
	return ctx.Err()
}
