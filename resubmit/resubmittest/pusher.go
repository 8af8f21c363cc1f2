package resubmittest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// TestPusher proves that a pusher keeps the contract of resubmit.Pusher and of commerce.Delivery.
func TestPusher(t *testing.T, f Fixture) {
	t.Helper()
	run(t, f, pusherChecks())
}

func pusherChecks() []check {
	return []check{
		{"a push moves that order to that status, and is sent once", nil, pushes},
		{"a push that the order does not offer is refused for sure", nil, pushRefused},
		{"a push of an order that is not there fails for sure", nil, pushMissing},
		{"a status that is none fails for sure", nil, pushNoStatus},
		{"an id is pushed as a whole, whatever its characters", nil, pushOddIDs},
		{"a second push of a moved order moves nothing", nil, pushTwice},
		{"a push with a cancelled context is not sent", nil, pushCancelled},
		{"pushes at the same time are each sent once", nil, pushesTogether},
		{"of pushes of one order at the same time, as many return nil as moved it", nil, pushOneTogether},
		{"a push to a system that is away is an error, and not sent again", []Fault{Unavailable}, pushWhileAway},
		{"a push to a busy system is ErrRateLimited with its Retry-After, and not sent again", []Fault{Busy}, pushWhileBusy},
		{"a push with refused credentials is an error, and not sent again", []Fault{Denied}, pushDenied},
		{"a page of HTML does not mean that the order moved", []Fault{Page}, pushOfPage},
		{"a lost answer is an error with Delivery unknown, and the push is not sent again", []Fault{AnswerLost}, pushLost},
		{"an answer of 5xx proves nothing, and the push is not sent again", []Fault{AnswerReplaced}, pushReplaced},
		{"half of an answer proves nothing, and the push is not sent again", []Fault{AnswerHalf}, pushHalf},
		{"a push that reads another order first moves none", []Fault{Another}, pushAnother},
		{"a caller who gives up has an error with Delivery unknown", []Fault{Slow}, pushSlow},
	}
}

func (s *stand) ledger() Ledger {
	s.Helper()
	if s.sys.Ledger == nil || s.sys.Pusher == nil {
		s.Fatalf("the fixture has no System.Ledger or no System.Pusher")
	}
	return s.sys.Ledger()
}

// since is what a ledger has that an earlier one has not.
func (l Ledger) since(before Ledger) Ledger {
	return Ledger{Sent: l.Sent - before.Sent, Moved: l.Moved[len(before.Moved):]}
}

// push pushes once and judges what came back by what the system saw.
func (s *stand) push(ctx context.Context, id string, to commerce.Status) (Ledger, error) {
	s.Helper()
	before := s.ledger()
	var err error
	s.within("the push", func() { err = s.sys.Pusher.Push(ctx, id, to) })
	saw := s.ledger().since(before)
	s.inspect(err)
	if saw.Sent > 1 {
		s.Errorf("one call of Push sent %d pushes", saw.Sent)
	}
	for _, moved := range saw.Moved {
		if moved != (Pushed{ID: id, To: to}) {
			s.Errorf("asked to push %q to %q, it pushed %q to %q", id, to, moved.ID, moved.To)
		}
	}
	if lie := lies(err, saw); lie != "" {
		s.Errorf("%s", lie)
	}
	return saw, err
}

// lies tells how an outcome contradicts what the system saw; "" when it does not.
func lies(err error, saw Ledger) string {
	switch delivery := deliveryOf(err); {
	case err == nil && len(saw.Moved) == 0:
		return "Push returned nil, and the system moved nothing"
	case err != nil && delivery != commerce.DeliveryUnknown && len(saw.Moved) > 0:
		return fmt.Sprintf("the error says %q, and the system moved the order: %v", delivery, err)
	case delivery == commerce.NotSent && saw.Sent > 0:
		return fmt.Sprintf("the error says %q, and the push came in: %v", delivery, err)
	default:
		return ""
	}
}

// deliveryOf is unknown for an error that is no *commerce.Error, and for nil.
func deliveryOf(err error) commerce.Delivery {
	if e, ok := errors.AsType[*commerce.Error](err); ok {
		return e.Delivery
	}
	return commerce.DeliveryUnknown
}

// unmoved wants an error that says for sure that nothing moved. When the system
// was asked, and its refusals are vague, it wants the opposite.
func (s *stand) unmoved(saw Ledger, err error) {
	s.Helper()
	delivery := deliveryOf(err)
	switch vague := s.fix.VagueRefusals && saw.Sent > 0; {
	case len(saw.Moved) > 0:
		s.Errorf("the system moved %v", saw.Moved)
	case err == nil:
	case vague && delivery != commerce.DeliveryUnknown:
		s.Errorf("the fixture has VagueRefusals, yet the error says %q: %v", delivery, err)
	case !vague && delivery == commerce.DeliveryUnknown:
		s.Errorf("the error does not say in its Delivery that the order was not moved: %v", err)
	}
}

func pushes(s *stand) {
	orders := s.failed(3)
	saw, err := s.push(s.Context(), orders[1].ID, s.target())
	if err != nil || saw.Sent != 1 || len(saw.Moved) != 1 {
		s.Errorf("the error is %v; %d pushes came in, and %v was moved", err, saw.Sent, saw.Moved)
	}
}

// pushAnother moves the order itself where the adapter reads nothing before a push.
func pushAnother(s *stand) {
	orders := s.failed(2)
	s.spoil(Another, Reads)
	if saw, err := s.push(s.Context(), orders[0].ID, s.target()); err != nil {
		s.unmoved(saw, err)
	}
}

// done puts an order that offers nothing.
func (s *stand) done() *commerce.Order {
	s.Helper()
	n := usual(0)
	n.Status, n.Failure = commerce.StatusCompleted, ""
	return s.put(n)[0]
}

func pushRefused(s *stand) { s.unmoved(s.push(s.Context(), s.done().ID, s.target())) }

func pushMissing(s *stand) {
	s.failed(1)
	s.unmoved(s.push(s.Context(), s.fix.Missing, s.target()))
}

func pushNoStatus(s *stand) {
	id := s.failed(1)[0].ID
	for _, to := range []commerce.Status{"", " ", "P D", "../PD", `PD"}`, "PD\n", "<PD>"} {
		s.unmoved(s.push(s.Context(), id, to))
	}
}

func pushOddIDs(s *stand) {
	orders := s.delicate()
	ids := idsOf(orders)
	for _, odd := range append(oddIDs(ids[0]), oddities()...) {
		if !slices.Contains(ids, odd) {
			s.unmoved(s.push(s.Context(), odd, s.target()))
		}
	}
	for _, o := range orders {
		if o.Status != commerce.StatusProvisioningFailed {
			continue
		}
		if saw, err := s.push(s.Context(), o.ID, s.target()); err != nil || len(saw.Moved) != 1 {
			s.Errorf("%s with the id %q was not moved: %v", o.Number, o.ID, err)
		}
	}
}

func pushTwice(s *stand) {
	id := s.failed(1)[0].ID
	if _, err := s.push(s.Context(), id, s.target()); err != nil {
		s.Fatalf("the first push failed: %v", err)
	}
	s.unmoved(s.push(s.Context(), id, s.target()))
}

func pushCancelled(s *stand) {
	id := s.failed(1)[0].ID
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	saw, err := s.push(ctx, id, s.target())
	if saw.Sent > 0 || !errors.Is(err, context.Canceled) {
		s.Errorf("%d pushes came in, and the error %v must match context.Canceled", saw.Sent, err)
	}
}

// together pushes orders at the same time.
func (s *stand) together(orders []*commerce.Order) (Ledger, []error) {
	s.Helper()
	before := s.ledger()
	errs := make([]error, len(orders))
	s.within("pushes at the same time", func() {
		var wg sync.WaitGroup
		for i, o := range orders {
			wg.Go(func() { errs[i] = s.sys.Pusher.Push(s.Context(), o.ID, s.target()) })
		}
		wg.Wait()
	})
	saw := s.ledger().since(before)
	if saw.Sent > len(orders) {
		s.Errorf("%d calls sent %d pushes", len(orders), saw.Sent)
	}
	return saw, errs
}

func pushesTogether(s *stand) {
	orders := s.failed(16)
	saw, errs := s.together(orders)
	if err := errors.Join(errs...); err != nil {
		s.Errorf("pushes failed: %v", err)
	}
	times := map[string]int{}
	for _, moved := range saw.Moved {
		times[moved.ID]++
	}
	for _, o := range orders {
		if times[o.ID] != 1 {
			s.Errorf("%s was moved %d times", o.Number, times[o.ID])
		}
	}
}

func pushOneTogether(s *stand) {
	order := s.failed(1)[0]
	saw, errs := s.together(slices.Repeat([]*commerce.Order{order}, 16))
	pushed := 0
	for _, err := range errs {
		if err == nil {
			pushed++
		}
	}
	if pushed != len(saw.Moved) {
		s.Errorf("%d pushes returned nil, and the order was moved %d times", pushed, len(saw.Moved))
	}
}

// mispush pushes while pushes go wrong, and wants an error.
func (s *stand) mispush(f Fault) error {
	s.Helper()
	id := s.failed(1)[0].ID
	s.spoil(f, Pushes)
	saw, err := s.push(s.Context(), id, s.target())
	if saw.Sent != 1 {
		s.Errorf("%d pushes came in while the system was %s", saw.Sent, f)
	}
	if f == AnswerLost || f == AnswerReplaced || f == AnswerHalf {
		if len(saw.Moved) != 1 && saw.Sent == 1 {
			s.Fatalf("the fixture: the fault %q must do what it is asked before the answer goes wrong", f)
		}
	}
	return err
}

func pushWhileAway(s *stand) {
	s.matches(s.mispush(Unavailable), commerce.ErrUnavailable)
}

func pushWhileBusy(s *stand) {
	err := s.mispush(Busy)
	s.matches(err, commerce.ErrRateLimited)
	if e, ok := errors.AsType[*commerce.Error](err); !ok || e.RetryAfter != busyFor {
		s.Errorf("the system asked to wait for %s, and RetryAfter does not say so: %v", busyFor, err)
	}
}

func pushDenied(s *stand) {
	s.matches(s.mispush(Denied), commerce.ErrUnauthorized, commerce.ErrForbidden)
}

func pushOfPage(s *stand) {
	s.matches(s.mispush(Page))
}

func pushLost(s *stand) {
	s.matches(s.mispush(AnswerLost), commerce.ErrUnavailable)
}

func pushReplaced(s *stand) {
	s.matches(s.mispush(AnswerReplaced), commerce.ErrUnavailable)
}

func pushHalf(s *stand) { _ = s.mispush(AnswerHalf) } // nil is as true as an error

func pushSlow(s *stand) {
	id := s.failed(1)[0].ID
	s.spoil(Slow, Pushes)
	before := s.ledger()
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	giveUp := make(chan struct{})
	go func() {
		defer close(giveUp)
		s.awaitMove(ctx, before)
		cancel()
	}()
	_, err := s.push(ctx, id, s.target())
	cancel()
	<-giveUp
	if !errors.Is(err, context.Canceled) {
		s.Errorf("the error %v does not match context.Canceled", err)
	}
}

// awaitMove waits until the system has moved an order.
func (s *stand) awaitMove(ctx context.Context, before Ledger) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for len(s.sys.Ledger().since(before).Moved) == 0 {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
