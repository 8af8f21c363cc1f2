package temporal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// idle is how long a session is kept that nobody uses.
const idle = 10 * time.Minute

// sessions are the plans that a worker has open, each with a Runner of its own.
type sessions struct {
	cfg   resubmit.Config
	plans plan.Store

	mu     sync.Mutex
	open   map[string]*session
	closed bool
}

// session is an open plan.
type session struct {
	ready chan struct{} // closed when it is open, or has failed to
	err   error         // why it could not be opened

	plan   *plan.Plan
	runner *resubmit.Runner
	*resubmit.Session

	users int // the lock of sessions guards it
	timer *time.Timer
	mu    sync.Mutex
	rate  float64
}

// use calls a function with the session of a plan.
func (s *sessions) use(ctx context.Context, digest string, rate float64, f func(*session) error) error {
	o, err := s.take(digest)
	if err != nil {
		return err
	}
	defer s.give(digest, o)
	select {
	case <-o.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err = o.err; err == nil {
		err = o.setRate(rate)
	}
	if err == nil {
		err = f(o)
	}
	if err != nil && o.ended() { // the next one opens the plan again
		s.drop(digest, o)
	}
	return err
}

// take returns the session of a plan, which it opens if necessary.
func (s *sessions) take(digest string) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, resubmit.ErrClosed
	}
	o := s.open[digest]
	if o == nil {
		o = &session{ready: make(chan struct{})}
		s.open[digest] = o
		go func() { // it must not end with the activity that needs it first
			defer close(o.ready)
			o.err = o.begin(s.cfg, s.plans, digest)
		}()
	}
	if o.timer != nil {
		o.timer.Stop()
	}
	o.users++
	return o, nil
}

// give gives a session back.
func (s *sessions) give(digest string, o *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.users--; o.users > 0 {
		return
	}
	if s.open[digest] != o {
		go o.close()
		return
	}
	o.timer = time.AfterFunc(idle, func() { s.drop(digest, o) })
}

// drop forgets a session, and closes it when nobody uses it.
func (s *sessions) drop(digest string, o *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[digest] != o {
		return
	}
	delete(s.open, digest)
	if o.users == 0 {
		go o.close()
	}
}

// close closes all sessions.
func (s *sessions) close() {
	s.mu.Lock()
	open := s.open
	s.open, s.closed = make(map[string]*session), true
	s.mu.Unlock()
	for _, o := range open {
		o.close()
	}
}

// begin opens the plan.
func (o *session) begin(cfg resubmit.Config, plans plan.Store, digest string) (err error) {
	ctx := context.Background()
	if o.plan, err = plans.Open(ctx, digest); err != nil {
		return fmt.Errorf("open the plan %s: %w", digest, err)
	}
	if o.plan.Digest() != digest {
		return fmt.Errorf("open the plan %s: the store has the plan %s instead", digest, o.plan.Digest())
	}
	if o.runner, err = resubmit.NewRunner(cfg); err != nil {
		return err
	}
	o.Session, err = o.runner.Open(ctx, o.plan)
	return err
}

// ended reports whether the session cannot be used any more.
func (o *session) ended() bool {
	return o.err != nil || o.Status().State == resubmit.StateCancelled
}

func (o *session) close() {
	<-o.ready
	if o.Session != nil {
		o.Close()
	}
	if o.plan != nil {
		_ = o.plan.Close() // it was only read
	}
}

// setRate sets the rate limit if it has changed.
func (o *session) setRate(rate float64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if rate == 0 || rate == o.rate {
		return nil
	}
	if err := o.runner.SetLimits(rate, 0); err != nil {
		return err
	}
	o.rate = rate
	return nil
}

// final reports whether an error ends the run of the plan, as it ends that of a Runner. Others may pass.
func final(err error) bool {
	for _, target := range []error{
		commerce.ErrUnauthorized, commerce.ErrForbidden, connect.ErrUnauthorized, connect.ErrForbidden,
		resubmit.ErrCancelled, resubmit.ErrDrained,
		resubmit.ErrCircuitOpen, resubmit.ErrRetryAfterTooLong, resubmit.ErrJournalMismatch, resubmit.ErrStalePlan,
		resubmit.ErrEntryMismatch, plan.ErrSystemMismatch, plan.ErrUnsigned, plan.ErrBadSignature,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	_, early := errors.AsType[*resubmit.TooEarlyError](err)
	return early
}
