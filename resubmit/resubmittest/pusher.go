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

// TestPusher checks that a pusher keeps the contracts of [resubmit.Pusher] and [commerce.Delivery].
func TestPusher(t *testing.T, f Fixture) {
	t.Helper()
	run(t, f, pusherPromises())
}

func pusherPromises() []promise {
	return []promise{
		{"moves the order to the status with one request", "", pushes},
		{"reports a status that the order does not offer as refused", "", pushRefused},
		{"reports an unknown order as not moved", "", pushMissing},
		{"reports an invalid status as not moved", "", pushNoStatus},
		{"treats ids as opaque", "", pushSpecialIDs},
		{"moves nothing with a second push", "", pushTwice},
		{"sends nothing with a cancelled context", "", pushCancelled},
		{"sends concurrent pushes once each", "", pushesTogether},
		{"returns nil as often as concurrent pushes moved one order", "", pushOneTogether},
		{"returns an error without a retry if the system is unavailable", FaultUnavailable,
			pushesDuring(FaultUnavailable, commerce.ErrUnavailable)},
		{"returns ErrRateLimited with Retry-After without a retry if rate limited", FaultRateLimited, pushWhileBusy},
		{"returns an error without a retry if credentials are refused", FaultUnauthorized,
			pushesDuring(FaultUnauthorized, commerce.ErrUnauthorized, commerce.ErrForbidden)},
		{"returns an error for an HTML page", FaultHTMLPage, pushesDuring(FaultHTMLPage)},
		{"returns unknown delivery without a retry for a lost response", FaultResponseLost,
			pushesDuring(FaultResponseLost, commerce.ErrUnavailable)},
		{"returns unknown delivery without a retry for a 5xx response", FaultResponseReplaced,
			pushesDuring(FaultResponseReplaced, commerce.ErrUnavailable)},
		{"returns nil or unknown delivery without a retry for a truncated response", FaultResponseTruncated,
			pushHalf},
		{"moves nothing if it reads another order first", FaultWrongOrder, pushAnother},
		{"returns unknown delivery if the caller gives up", FaultResponseDelayed, pushSlow},
	}
}

func (s *suite) ledger() Ledger {
	if s.system.Ledger == nil || s.system.Pusher == nil {
		s.Fatalf("the fixture needs System.Pushes and System.Pusher")
	}
	return s.system.Ledger()
}

// since returns the pushes after an earlier ledger.
func (l Ledger) since(before Ledger) Ledger {
	return Ledger{Received: l.Received - before.Received, Accepted: l.Accepted[len(before.Accepted):]}
}

// push pushes once and compares the result with the ledger.
func (s *suite) push(ctx context.Context, id string, to commerce.Status) (Ledger, error) {
	before := s.ledger()
	var err error
	s.within("the push", func() { err = s.system.Pusher.Push(ctx, id, to) })
	saw := s.ledger().since(before)
	s.checkError(err)
	if saw.Received > 1 {
		s.Errorf("one call of Push sent %d pushes", saw.Received)
	}
	for _, moved := range saw.Accepted {
		if moved != (Push{ID: id, To: to}) {
			s.Errorf("the push of %q to %q moved %q to %q", id, to, moved.ID, moved.To)
		}
	}
	if text := contradiction(err, saw); text != "" {
		s.Errorf("%s", text)
	}
	return saw, err
}

// contradiction returns how a result contradicts the ledger; "" if it does not.
func contradiction(err error, saw Ledger) string {
	switch delivery := deliveryOf(err); {
	case err == nil && len(saw.Accepted) == 0:
		return "Push returned nil, but the system moved nothing"
	case err != nil && delivery != commerce.DeliveryUnknown && len(saw.Accepted) > 0:
		return fmt.Sprintf("the error says %q, but the system moved the order: %v", delivery, err)
	case delivery == commerce.DeliveryNotSent && saw.Received > 0:
		return fmt.Sprintf("the error says %q, but the system received the push: %v", delivery, err)
	default:
		return ""
	}
}

// deliveryOf returns the delivery of an error; unknown for nil and for other types than *commerce.Error.
func deliveryOf(err error) commerce.Delivery {
	if e, ok := errors.AsType[*commerce.Error](err); ok {
		return e.Delivery
	}
	return commerce.DeliveryUnknown
}

// mustNotMove requires an error that proves that nothing moved. If refusals are ambiguous and the system received the
// push, it requires that the error does not claim that.
func (s *suite) mustNotMove(saw Ledger, err error) {
	delivery := deliveryOf(err)
	switch ambiguous := s.fixture.AmbiguousRefusals && saw.Received > 0; {
	case len(saw.Accepted) > 0:
		s.Errorf("the system moved %v", saw.Accepted)
	case err == nil:
	case ambiguous && delivery != commerce.DeliveryUnknown:
		s.Errorf("the fixture has AmbiguousRefusals, but the error says %q: %v", delivery, err)
	case !ambiguous && delivery == commerce.DeliveryUnknown:
		s.Errorf("the Delivery of the error does not say that the order was not moved: %v", err)
	}
}

func pushes(s *suite) {
	orders := s.addFailed(3)
	saw, err := s.push(s.Context(), orders[1].ID, s.target())
	if err != nil || saw.Received != 1 || len(saw.Accepted) != 1 {
		s.Errorf("the error is %v; the system received %d pushes and moved %v", err, saw.Received, saw.Accepted)
	}
}

// pushAnother allows the push to succeed if the adapter does not read before a push.
func pushAnother(s *suite) {
	orders := s.addFailed(2)
	s.inject(FaultWrongOrder, Reads)
	if saw, err := s.push(s.Context(), orders[0].ID, s.target()); err != nil {
		s.mustNotMove(saw, err)
	}
}

// addCompleted adds an order that offers no transition.
func (s *suite) addCompleted() *commerce.Order {
	n := newOrder(0)
	n.Status, n.Failure = commerce.StatusCompleted, ""
	return s.add(n)[0]
}

func pushRefused(s *suite) { s.mustNotMove(s.push(s.Context(), s.addCompleted().ID, s.target())) }

func pushMissing(s *suite) {
	s.addFailed(1)
	s.mustNotMove(s.push(s.Context(), s.fixture.MissingID, s.target()))
}

func pushNoStatus(s *suite) {
	id := s.addFailed(1)[0].ID
	for _, to := range []commerce.Status{"", " ", "P D", "../PD", `PD"}`, "PD\n", "<PD>"} {
		s.mustNotMove(s.push(s.Context(), id, to))
	}
}

func pushSpecialIDs(s *suite) {
	orders := s.addEdgeCases()
	ids := idsOf(orders)
	for _, id := range append(similarIDs(ids[0]), specialIDs()...) {
		if !slices.Contains(ids, id) {
			s.mustNotMove(s.push(s.Context(), id, s.target()))
		}
	}
	for _, o := range orders {
		if o.Status != commerce.StatusProvisioningFailed {
			continue
		}
		if saw, err := s.push(s.Context(), o.ID, s.target()); err != nil || len(saw.Accepted) != 1 {
			s.Errorf("%s with the id %q was not moved: %v", o.Number, o.ID, err)
		}
	}
}

func pushTwice(s *suite) {
	id := s.addFailed(1)[0].ID
	if _, err := s.push(s.Context(), id, s.target()); err != nil {
		s.Fatalf("the first push failed: %v", err)
	}
	s.mustNotMove(s.push(s.Context(), id, s.target()))
}

func pushCancelled(s *suite) {
	id := s.addFailed(1)[0].ID
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	saw, err := s.push(ctx, id, s.target())
	if saw.Received > 0 || !errors.Is(err, context.Canceled) {
		s.Errorf("the system received %d pushes, and the error %v must match context.Canceled", saw.Received, err)
	}
}

// pushTogether pushes orders concurrently.
func (s *suite) pushTogether(orders []*commerce.Order) (Ledger, []error) {
	before := s.ledger()
	errs := make([]error, len(orders))
	s.within("concurrent pushes", func() {
		var wg sync.WaitGroup
		for i, o := range orders {
			wg.Go(func() { errs[i] = s.system.Pusher.Push(s.Context(), o.ID, s.target()) })
		}
		wg.Wait()
	})
	saw := s.ledger().since(before)
	if saw.Received > len(orders) {
		s.Errorf("%d calls sent %d pushes", len(orders), saw.Received)
	}
	return saw, errs
}

func pushesTogether(s *suite) {
	orders := s.addFailed(16)
	saw, errs := s.pushTogether(orders)
	if err := errors.Join(errs...); err != nil {
		s.Errorf("pushes failed: %v", err)
	}
	times := map[string]int{}
	for _, moved := range saw.Accepted {
		times[moved.ID]++
	}
	for _, o := range orders {
		if times[o.ID] != 1 {
			s.Errorf("%s was moved %d times", o.Number, times[o.ID])
		}
	}
}

func pushOneTogether(s *suite) {
	order := s.addFailed(1)[0]
	saw, errs := s.pushTogether(slices.Repeat([]*commerce.Order{order}, 16))
	pushed := 0
	for _, err := range errs {
		if err == nil {
			pushed++
		}
	}
	if pushed != len(saw.Accepted) {
		s.Errorf("%d pushes returned nil, but the order was moved %d times", pushed, len(saw.Accepted))
	}
}

// pushDuring pushes during a fault and returns the error.
func (s *suite) pushDuring(f Fault) error {
	id := s.addFailed(1)[0].ID
	s.inject(f, Pushes)
	saw, err := s.push(s.Context(), id, s.target())
	if saw.Received != 1 {
		s.Errorf("the system received %d pushes during the fault %q", saw.Received, f)
	}
	if f == FaultResponseLost || f == FaultResponseReplaced || f == FaultResponseTruncated {
		if len(saw.Accepted) != 1 && saw.Received == 1 {
			s.Fatalf("the fixture: the call must be done before the fault %q", f)
		}
	}
	return err
}

// pushesDuring returns a check that pushes during a fault and requires an error that matches one of some.
func pushesDuring(f Fault, matches ...error) func(*suite) {
	return func(s *suite) { s.mustMatch(s.pushDuring(f), matches...) }
}

func pushWhileBusy(s *suite) {
	err := s.pushDuring(FaultRateLimited)
	s.mustMatch(err, commerce.ErrRateLimited)
	if e, ok := errors.AsType[*commerce.Error](err); !ok || e.RetryAfter != retryAfter {
		s.Errorf("RetryAfter is not %s, as the system requested: %v", retryAfter, err)
	}
}

func pushHalf(s *suite) { _ = s.pushDuring(FaultResponseTruncated) } // nil and an error are both correct

func pushSlow(s *suite) {
	id := s.addFailed(1)[0].ID
	s.inject(FaultResponseDelayed, Pushes)
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

// awaitMove waits until the system moves an order.
func (s *suite) awaitMove(ctx context.Context, before Ledger) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for len(s.system.Ledger().since(before).Accepted) == 0 {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
