package resubmit

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
)

const (
	// batchMin is how many polls must be due at the same time to be answered by a list. A list
	// takes at least two calls.
	batchMin = 20
	// batchAhead is the part of its interval by which a poll may be answered before it is due, so
	// that orders that were pushed one after the other are polled together.
	batchAhead = 4
	// batchTrust is how long an order is polled by lists alone. A list may be stale.
	batchTrust = 30 * time.Minute
	// batchPause is how long no list is made after one that failed or took more calls than it saved.
	batchPause = 10 * time.Minute
)

// batchPoller answers many polls by one list of orders. A list is used for one thing only: to see that
// the status of an order has not changed since it was read, so that it need not be read now. For
// everything else the order is read.
type batchPoller struct {
	mu      sync.Mutex
	waiting map[*pollRequest]struct{}
	over    chan struct{} // closed when the current list has ended; nil for none
	last    chan struct{} // that of the list before, closed
	next    time.Time     // no list is made before
}

// pollRequest is a poll that waits to be due or to be answered by a list.
type pollRequest struct {
	id     string
	kind   commerce.OrderType
	status commerce.Status // as last read
	placed time.Time
	from   time.Time // from when on a list may answer the poll
	due    time.Time
	shown  chan bool // gets whether a list had the order in the same status
}

// nextPoll waits for the next poll of an order. It reports true if the poll is not needed, because a list shows that
// the order is unchanged.
func (x *run) nextPoll(j *job, v *verification) (underWay bool, err error) {
	if !x.listable(j, v) {
		v.last, err = v.wait(j.ctx)
		return false, err
	}
	now := time.Now()
	p := &pollRequest{
		id: j.entry.OrderID, kind: j.entry.Type, status: j.item.After.Status, placed: j.item.After.PlacedAt,
		from: now.Add(v.next - v.next/batchAhead), due: now.Add(v.next), shown: make(chan bool, 1),
	}
	v.last = false
	v.grow()
	x.batch.enter(p)
	defer x.batch.leave(p)
	return x.await(j.ctx, p)
}

// listable reports whether a list can answer the next poll of an order: the order was read while in
// progress, nothing waits for its judgment, and it is not the last poll.
func (x *run) listable(j *job, v *verification) bool {
	now := j.item.After
	switch {
	case x.cfg.Lister == nil, v.read.IsZero(),
		time.Since(v.read)+v.next > batchTrust,
		time.Until(v.deadline) <= v.next:
		return false
	case now.Status == "", failed(j.entry.Before, now), atRest(now.Status), unpaid(now.Status):
		return false
	default:
		return j.good || !x.awaited(j)
	}
}

// await waits until a poll is due or a list has answered it. The first poll that is due makes the list.
func (x *run) await(ctx context.Context, p *pollRequest) (underWay bool, err error) {
	due := time.NewTimer(time.Until(p.due))
	defer due.Stop()
	select {
	case <-due.C:
	case <-ctx.Done():
		return false, ctx.Err()
	case shown := <-p.shown:
		if !shown {
			err = sleep(ctx, time.Until(p.due))
		}
		return shown, err
	}
	for {
		select {
		case shown := <-p.shown:
			return shown, nil
		default: // the last list was made before the poll was due
		}
		all, over := x.batch.claim(p, time.Now())
		if len(all) > 0 {
			x.pollBatch(ctx, all)
			continue
		}
		if over == nil {
			return false, nil
		}
		select {
		case <-over:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

func (s *batchPoller) enter(p *pollRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[p] = struct{}{}
}

func (s *batchPoller) leave(p *pollRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, p)
}

// claim returns the polls that a list may answer now, including p. It returns none if they are too
// few. If a list is running or has answered p, over is closed when it has ended.
func (s *batchPoller) claim(p *pollRequest, now time.Time) (all []*pollRequest, over <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over != nil {
		return nil, s.over
	}
	if _, waits := s.waiting[p]; !waits {
		return nil, s.last
	}
	if now.Before(s.next) {
		return nil, nil
	}
	for p := range s.waiting {
		if !p.from.After(now) {
			all = append(all, p)
		}
	}
	if len(all) < batchMin {
		s.next = now.Add(time.Second) // counting takes time, too
		return nil, nil
	}
	for _, p := range all {
		delete(s.waiting, p)
	}
	s.over = make(chan struct{})
	return all, s.over
}

// end ends a list. No other one is made before next.
func (s *batchPoller) end(next time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = next
	close(s.over)
	s.last, s.over = s.over, nil
}

// pollBatch answers polls by one list. Nothing that a list shows counts if it fails.
func (x *run) pollBatch(ctx context.Context, all []*pollRequest) {
	t := &batchLimiter{callLimiter: callLimiter{x: x, who: "Commerce"}, most: int64(len(all) / 2)}
	shown, err := x.listBatch(ctx, all, t)
	next := time.Time{}
	if err == nil && int64(len(shown)) < t.calls.Load() {
		err = fmt.Errorf("it took %d calls and had %d unchanged orders", t.calls.Load(), len(shown))
	}
	if err != nil && ctx.Err() == nil {
		next = time.Now().Add(batchPause)
		x.cfg.Logger.Warn("listing the orders in progress failed or saved no calls, so they are read one by one for now",
			"polls", len(all), "again", next.UTC(), "error", err)
	}
	for _, p := range all {
		p.shown <- err == nil && shown[p]
	}
	x.batch.end(next)
}

// listBatch lists the orders of some polls, with as few others as possible, and returns those that are unchanged.
func (x *run) listBatch(ctx context.Context, all []*pollRequest, t *batchLimiter) (map[*pollRequest]bool, error) {
	if err := x.reads.take(ctx); err != nil {
		return nil, err
	}
	defer x.reads.give()
	if err := x.pace.wait(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	t.calls.Store(1)
	ctx = ratelimit.With(ctx, t)
	shown, err := within(ctx,
		func() (map[*pollRequest]bool, error) { return listUnchanged(ctx, x.cfg.Lister, all) })
	callback.Log(x.cfg.Logger, err)
	if why := overloaded(err); why != "" {
		x.pace.slow(began, "a list of orders was answered with "+why)
	}
	if e, ok := errors.AsType[*commerce.Error](err); ok && e.RetryAfter > 0 {
		x.noteRetryAfter("Commerce", e.RetryAfter, "")
	}
	x.checkAccess("Commerce", "listing the orders in progress", err)
	return shown, err
}

// listUnchanged reads a list until it has had all orders, and returns those with an unchanged status.
func listUnchanged(ctx context.Context, from OrderLister, all []*pollRequest) (map[*pollRequest]bool, error) {
	missing := make(map[string]*pollRequest, len(all))
	for _, p := range all {
		missing[p.id] = p
	}
	shown := make(map[*pollRequest]bool)
	for o, err := range from.Orders(ctx, batchQuery(all)) {
		if err != nil {
			return nil, err
		}
		if o == nil {
			return nil, errors.New("the lister yielded neither an order nor an error")
		}
		p := missing[o.ID]
		if p == nil {
			continue
		}
		if o.Status == p.status {
			shown[p] = true
		}
		if delete(missing, o.ID); len(missing) == 0 {
			break
		}
	}
	return shown, nil
}

// batchQuery selects orders by their statuses, their types and when they were placed. The time bounds
// have a second of tolerance, because the APIs of Commerce round differently.
func batchQuery(all []*pollRequest) commerce.Query {
	statuses, kinds := make(map[commerce.Status]bool), make(map[commerce.OrderType]bool)
	first, last := all[0].placed, all[0].placed
	for _, p := range all {
		statuses[p.status], kinds[p.kind] = true, true
		if p.placed.Before(first) {
			first = p.placed
		}
		if p.placed.After(last) {
			last = p.placed
		}
	}
	q := commerce.Query{Statuses: slices.Sorted(maps.Keys(statuses))}
	if !kinds[""] {
		q.Types = slices.Sorted(maps.Keys(kinds))
	}
	if !first.IsZero() {
		q.PlacedFrom, q.PlacedTo = first.Add(-time.Second), last.Add(time.Second)
	}
	return q
}

// batchLimiter limits the calls of a list and ends it before it costs as much as single reads.
type batchLimiter struct {
	callLimiter
	most  int64
	calls atomic.Int64
}

// Wait implements ratelimit.Limiter.
func (t *batchLimiter) Wait(ctx context.Context) error {
	if t.calls.Add(1) > t.most {
		return fmt.Errorf("it took more than %d calls, half of those to read the orders one by one", t.most)
	}
	return t.callLimiter.Wait(ctx)
}
