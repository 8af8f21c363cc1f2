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
	// paceMargin is by how much the limit's second is taken to be longer, so that a
	// slow network does not put one call too many into it: 6 ms.
	paceMargin = 1.006
	// paceLate is how far calls that come late may catch up, one right behind the
	// other. The limit holds all the same, since the calls of the last second are known.
	paceLate = 50 * time.Millisecond
	// paceRaise is how often the pace is raised again by a tenth of the limit.
	paceRaise = 10 * time.Second
	paceStep  = 0.1
)

// pacer spaces all calls of a run, slows down when the servers have trouble, and
// holds all calls back when a server asked for that.
type pacer struct {
	turn chan struct{} // held by the one call that waits for its time; the others wait for it
	// queue is held by the one call that waits for the turn, but for pushes, which thus
	// go before what waits behind it: what was read for them is not to become old.
	queue chan struct{}

	mu      sync.Mutex
	limit   float64 // calls a second; negative for no limit
	floor   float64 // the lowest share of the limit
	share   float64 // the share of the limit that is in force
	why     string  // why the share is not 1
	turned  time.Time
	due     time.Time // when the last call was to go
	went    rateWindow
	until   time.Time // nothing goes out before
	changed chan struct{}
	held    chan struct{} // closed and replaced when a server asks for patience
	// notify is called with the lock held, so that changes are reported in order.
	notify func(RateChange)
}

// callKind says how a call waits.
type callKind int

const (
	inLine callKind = iota
	// beforePush is a reading after which a push follows at once. Behind the intent
	// nobody waits for a server's sake: a crash would leave an order unknown that was
	// never sent, and a drain would have to wait as well.
	beforePush
	// pushing waits as beforePush, and goes first.
	pushing
)

// errHeldBack says that a push, or what leads to it, was not to wait.
var errHeldBack = errors.New("held back right before the push")

func newPacer(perSecond, floor float64) *pacer {
	return &pacer{
		turn: make(chan struct{}, 1), queue: make(chan struct{}, 1), limit: perSecond, floor: floor, share: 1,
		changed: make(chan struct{}), held: make(chan struct{}), notify: func(RateChange) {},
	}
}

// wait returns when one call may go out.
func (p *pacer) wait(ctx context.Context) error { return p.await(ctx, inLine) }

// await returns when one call of a kind may go out, or with errHeldBack if it is one
// that is not to wait for the sake of a server.
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

// holds returns what tells a call that a server asks for patience, if it is one that
// is not to wait for that. Whoever it stands behind may.
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

// take lets a call out now, or says how long it has to wait, whether that is for
// a server's sake, and what tells that the answer is another one.
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
	const most = 1 << 62 // ns: what is slower has no number
	return time.Duration(min(most, math.Ceil(float64(time.Second)*paceMargin/(p.limit*p.share))))
}

// hold lets nothing out for d from now, and returns the patience that is asked for in
// all.
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

// slow halves the pace. What a call tells that began before the last time is not
// news.
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

// raise takes back some of the slowing for the time that passed without trouble.
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

// change sets another limit, and forgets what slowed the last one down only if
// there is none any more.
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

// rate is what is in force, in calls a second; -1 for no limit.
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
