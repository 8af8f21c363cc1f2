package throttle

import (
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/wait"
)

const (
	// margin makes the second of the limit 6 ms longer, so that network delays do not put one call too many into it.
	margin = 1.006
	// catchUp is by how much late calls may catch up, without a pause between them. The limit still holds, because the
	// calls of the last second are known.
	catchUp = 50 * time.Millisecond
	// raiseEvery is how often the rate is raised again, by raiseStep of the limit.
	raiseEvery = 10 * time.Second
	raiseStep  = 0.1
	// slowInterval is the time between two calls from which on a push does not wait as long after the read before it:
	// the read would be out of date.
	slowInterval = 2 * time.Second
	// maxAge is how long a call may be put off after it was allowed. If it is a push, its claim is written meanwhile.
	maxAge = 250 * time.Millisecond
)

// ErrHeldBack means that a push, or the read before it, would have had to wait for a Retry-After.
var ErrHeldBack = errors.New("held back right before the push")

// Pacer limits the rate of all calls of a run, lowers the rate when servers are overloaded, and pauses all calls when a
// server sent Retry-After. It is safe for concurrent use.
type Pacer struct {
	// pushes and others are locks: of each kind one call waits for its time, and the others for the lock. Pushes go
	// first: the order was just read for them, and its state must not become stale.
	pushes, others chan struct{}

	mu      sync.Mutex
	waiting int       // pushes; no other call is made meanwhile
	limit   float64   // calls per second; negative for no limit
	floor   float64   // the lowest fraction of the limit
	share   float64   // the fraction of the limit that is in force
	why     string    // why the fraction is not 1
	turned  time.Time // when it last changed
	due     time.Time // when the last call was due
	recent  window
	made    meter
	shared  *LastCall
	turns   turns
	until   time.Time // no call is made before
	changed chan struct{}
	held    chan struct{} // closed and replaced when a server sends Retry-After
	// notify is called with the lock held, so that changes are reported in order.
	notify func(Change)
}

// Change is a change of the rate.
type Change struct {
	// Rate is the rate in force and Limit the configured one, in calls per second; -1 is no limit.
	Rate, Limit float64
	// Why is the reason why Rate is below Limit; "" if it is not.
	Why string
}

// Kind says how a call waits.
type Kind int

// The kinds of calls.
const (
	// Any waits for its turn, and for a Retry-After.
	Any Kind = iota
	// BeforePush is the read before a push. It does not wait for a Retry-After, because the order has a slot for pushes.
	BeforePush
	// Push waits like BeforePush, but goes first. At rates of less than a call in two seconds it waits only until a
	// second after the call before it, and later calls wait longer.
	Push
)

// line is where a call of a kind waits: pushes for themselves.
func (k Kind) line() int {
	if k == Push {
		return 0
	}
	return 1
}

// LastCall is when the last call was allowed by any of the Pacers that share it, one after the other. The zero value is
// ready to use.
type LastCall struct {
	mu sync.Mutex
	at time.Time
}

func (l *LastCall) store(at time.Time) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.at = at
}

func (l *LastCall) load() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at
}

// NewPacer returns a Pacer with a limit in calls per second, -1 for none, which is lowered to the fraction floor of it
// at most. shared may be nil.
func NewPacer(limit, floor float64, shared *LastCall) *Pacer {
	p := &Pacer{
		pushes: make(chan struct{}, 1), others: make(chan struct{}, 1), limit: limit, floor: floor, share: 1,
		changed: make(chan struct{}), held: make(chan struct{}), shared: shared,
	}
	p.Follow()
	return p
}

// Follow makes the next call wait as if the last call of another Pacer were the end of a full second of calls.
func (p *Pacer) Follow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shared == nil || p.limit < 0 {
		return
	}
	if last := p.shared.load(); last.After(p.recent.last()) {
		_, most := p.recent.span(p.limit)
		p.recent.calls = append(p.recent.calls, bunch{last, last, most})
		p.recent.n += most
		p.due = last
	}
}

// Wait returns when one call of a kind may be made at once, or ErrHeldBack if it must not wait for a Retry-After.
func (p *Pacer) Wait(ctx context.Context, k Kind) error {
	_, err := p.Take(ctx, k)
	return err
}

// Take is Wait for a call that is made a little later. It must be made before the token expires, or wait again.
func (p *Pacer) Take(ctx context.Context, k Kind) (expires time.Time, err error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}
	if len(p.pushes) == 0 && len(p.others) == 0 {
		if t := p.take(time.Now(), k); t.rest <= 0 {
			return t.expires, nil
		}
	}
	p.turns.queued.Add(1)
	defer p.turns.queued.Add(-1)
	held, err := p.holds(k)
	if err != nil {
		return time.Time{}, err
	}
	line := p.others
	if k == Push {
		line = p.pushes
		p.pushWaits(1)
		defer p.pushWaits(-1)
	}
	if err := enter(ctx, line, held); err != nil {
		return time.Time{}, err
	}
	defer func() { <-line }()
	for {
		if err := p.reserve(ctx, k); err != nil {
			return time.Time{}, err
		}
		t := p.take(time.Now(), k)
		switch {
		case t.rest <= 0:
			return t.expires, ctx.Err()
		case t.hold && k != Any:
			return time.Time{}, ErrHeldBack
		}
		if err := wait.For(ctx, t.rest, t.changed); err != nil {
			return time.Time{}, err
		}
	}
}

// pushWaits counts the pushes that wait, and lets other calls continue when there are none.
func (p *Pacer) pushWaits(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting += n; p.waiting == 0 {
		p.wake()
	}
}

// holds returns a channel that is closed when a server sends Retry-After, for calls that must not wait for that; nil
// for others.
func (p *Pacer) holds(k Kind) (<-chan struct{}, error) {
	if k == Any {
		return nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().Before(p.until) {
		return nil, ErrHeldBack
	}
	return p.held, nil
}

// enter takes the one place in c, unless held is closed before.
func enter(ctx context.Context, c chan<- struct{}, held <-chan struct{}) error {
	select {
	case c <- struct{}{}:
		return nil
	case <-held:
		return ErrHeldBack
	case <-ctx.Done():
		return ctx.Err()
	}
}

// taken says whether a call may be made.
type taken struct {
	rest    time.Duration   // how long it has to wait; 0 if it was allowed
	hold    bool            // it waits for a Retry-After
	changed <-chan struct{} // closed when this changes
	expires time.Time       // until when it must be made
}

// take allows a call now, or says how long it has to wait.
func (p *Pacer) take(now time.Time, k Kind) taken {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := taken{changed: p.changed, expires: now.Add(maxAge)}
	switch {
	case now.Before(p.until):
		wait.rest, wait.hold = p.until.Sub(now), true
	case p.limit < 0:
	case k != Push && p.waiting > 0:
		wait.rest = time.Hour // until no push waits
	case p.turns.shared != nil:
		wait.rest, wait.expires = p.turns.take(now, k)
	default:
		wait.rest = p.takeOwn(now, k)
	}
	if wait.rest <= 0 {
		p.made.add(now)
		p.shared.store(now)
	}
	return wait
}

// takeOwn allows a call now, by the limit of this Pacer alone, or returns how long it has to wait.
func (p *Pacer) takeOwn(now time.Time, k Kind) time.Duration {
	p.raise(now)
	due := p.due.Add(p.interval())
	if p.due.IsZero() {
		due = now
	}
	allowed := due
	if full := p.recent.fullUntil(now, p.limit*p.share); full.After(due) {
		due, allowed = full, full
	}
	if k == Push && p.interval() > slowInterval {
		if second := p.recent.last().Add(time.Duration(margin * float64(time.Second))); second.Before(due) {
			allowed = second
		}
	}
	if now.Before(allowed) {
		return allowed.Sub(now)
	}
	for _, late := range [...]time.Time{now.Add(-catchUp), p.until} {
		if due.Before(late) {
			due = late
		}
	}
	p.due = due
	p.recent.add(now)
	return 0
}

func (p *Pacer) interval() time.Duration {
	const most = 1 << 62 // ns, so that it fits
	return time.Duration(min(most, math.Ceil(float64(time.Second)*margin/(p.limit*p.share))))
}

// Late counts a call that was allowed at a time as made now.
func (p *Pacer) Late(allowed time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); p.limit > 0 && now.After(allowed) {
		p.recent.move(allowed, now)
		p.shared.store(now)
	}
}

// Hold pauses all calls for d from now, unless they are paused for longer, and returns the whole pause.
func (p *Pacer) Hold(d time.Duration) (from, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if until := now.Add(d); until.After(p.until) {
		p.until = until
		close(p.held)
		p.held = make(chan struct{})
		p.wake()
	}
	return now, p.until
}

// Rest returns how long all calls are paused; not above 0 if they are not.
func (p *Pacer) Rest() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until.IsZero() {
		return 0
	}
	return time.Until(p.until)
}

// SlowDown halves the rate. A call that began before the last change does not count.
func (p *Pacer) SlowDown(began time.Time, why string) {
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
func (p *Pacer) raise(now time.Time) {
	if p.share >= 1 {
		return
	}
	share := p.share
	for ; now.Sub(p.turned) >= raiseEvery && share < 1; share += raiseStep {
		p.turned = p.turned.Add(raiseEvery)
	}
	if share > 1-raiseStep/2 {
		share, p.why = 1, ""
	}
	p.set(p.limit, share)
}

// Limit returns the limit in calls per second; -1 for none.
func (p *Pacer) Limit() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit
}

// SetLimit sets another limit. A lowered rate stays lowered, unless there is no limit any more.
func (p *Pacer) SetLimit(limit float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	share := p.share
	if limit < 0 {
		share, p.why = 1, ""
	}
	p.set(limit, share)
}

func (p *Pacer) set(limit, share float64) {
	if limit == p.limit && share == p.share {
		return
	}
	p.limit, p.share = limit, share
	p.turns.ask, p.turns.at = [2]time.Time{}, nil
	p.wake()
	if p.notify != nil {
		p.notify(Change{Rate: p.rate(), Limit: limit, Why: p.why})
	}
}

func (p *Pacer) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// rate returns the rate in force, in calls per second; -1 for no limit.
func (p *Pacer) rate() float64 {
	if p.limit < 0 {
		return -1
	}
	return p.limit * p.share
}

// Rate returns the rate in force, in calls per second, -1 for no limit, and why it is below the limit; "" if it is not.
func (p *Pacer) Rate() (rate float64, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rate(), p.why
}

// Notify sets a function that is called with each change of the rate; nil for none. It must not call the Pacer.
func (p *Pacer) Notify(f func(Change)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notify = f
}
