package resubmittest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// TestReader checks that a reader keeps the contract of [resubmit.OrderReader].
func TestReader(t *testing.T, f Fixture) {
	t.Helper()
	run(t, f, readerPromises())
}

func readerPromises() []promise {
	return []promise{
		{"reads correct fields", "", readsFields},
		{"reads the declared failure and transitions", "", readsDetails},
		{"reads declared fields only", "", readsDeclaredOnly},
		{"returns ErrNotFound for an unknown id", "", readsMissing},
		{"treats ids as opaque", "", readsSpecialIDs},
		{"reads the current state", "", readsCurrent},
		{"returns a new order for each read", "", readsCopies},
		{"returns the error of a cancelled context", "", readCancelled},
		{"serves concurrent reads", "", readsTogether},
		{"returns ErrUnavailable if the system is unavailable", FaultUnavailable,
			readsDuring(FaultUnavailable, commerce.ErrUnavailable)},
		{"returns ErrUnauthorized or ErrForbidden if credentials are refused", FaultUnauthorized,
			readsDuring(FaultUnauthorized, commerce.ErrUnauthorized, commerce.ErrForbidden)},
		{"returns an error for an HTML page", FaultHTMLPage, readsDuring(FaultHTMLPage, commerce.ErrUnavailable)},
		{"returns ErrUnavailable for a lost response", FaultResponseLost,
			readsDuring(FaultResponseLost, commerce.ErrUnavailable)},
		{"returns an error for a truncated response", FaultResponseTruncated, readsDuring(FaultResponseTruncated)},
		{"returns an error for a response about another order", FaultWrongOrder, readAnother},
		{"ends with the context if the system is slow", FaultResponseDelayed, readSlow},
	}
}

// read reads one order and checks the form of the result.
func (s *suite) read(ctx context.Context, id string) (o *commerce.Order, err error) {
	if s.system.Reader == nil {
		s.Fatalf("the fixture needs System.Reader")
	}
	s.within("the read", func() { o, err = s.system.Reader.Order(ctx, id) })
	if (o == nil) == (err == nil) {
		s.Fatalf("the read of %q returned the order %v and the error %v, instead of one of them", id, o, err)
	}
	s.checkError(err)
	return o, err
}

// mustRead reads an existing order.
func (s *suite) mustRead(want *commerce.Order) *commerce.Order {
	o, err := s.read(s.Context(), want.ID)
	if err != nil {
		s.Fatalf("%s cannot be read by its id %q: %v", want.Number, want.ID, err)
	}
	return o
}

func readsFields(s *suite) {
	for _, want := range append(s.addEdgeCases(), s.addMixed()...) {
		for _, difference := range compareOrder(want, s.mustRead(want), false) {
			s.Errorf("%s: %s", want.Number, difference)
		}
	}
}

func readsDetails(s *suite) {
	for _, want := range s.addMixed() {
		o := s.mustRead(want)
		failed := want.Status == commerce.StatusProvisioningFailed
		text := newOrder(0).Failure
		if s.fixture.Capabilities.Failure && strings.Contains(o.Failure.Message(), text) != failed {
			s.Errorf("%s is %s and failed with %q: failed orders, and no others, must report %q", o.Number, o.Status,
				o.Failure.Message(), text)
		}
		if !s.fixture.Capabilities.Transitions {
			continue
		}
		if !o.HasTransitions() {
			s.Errorf("%s reports no transitions; if there are none, they must be an empty list, not nil", o.Number)
		}
		if o.Offers(s.target()) != failed {
			s.Errorf("%s is %s and offers %s: failed orders, and no others, must offer %s",
				o.Number, o.Status, transitions(o), s.target())
		}
	}
}

func readsDeclaredOnly(s *suite) {
	for _, want := range s.addMixed() {
		for _, reported := range undeclared(s.fixture.Capabilities, s.mustRead(want)) {
			s.Errorf("%s reports %s, which the fixture does not declare", want.Number, reported)
		}
	}
}

func readsMissing(s *suite) {
	s.addFailed(2)
	o, err := s.read(s.Context(), s.fixture.MissingID)
	if !errors.Is(err, commerce.ErrNotFound) {
		s.Errorf("the read of %q returned the order %v and the error %v", s.fixture.MissingID, o, err)
	}
}

func readsSpecialIDs(s *suite) {
	orders := s.addEdgeCases()
	ids := idsOf(orders)
	for _, id := range append(similarIDs(ids[0]), specialIDs()...) {
		if slices.Contains(ids, id) {
			continue
		}
		if o, err := s.read(s.Context(), id); err == nil {
			s.Errorf("the id %q, which no order has, returned %s", id, o.Number)
		}
	}
	for _, want := range orders {
		if o := s.mustRead(want); o.ID != want.ID {
			s.Errorf("the id %q returned the order %q", want.ID, o.ID)
		}
	}
}

func readsCurrent(s *suite) {
	want := s.addFailed(1)[0]
	s.mustRead(want)
	if s.system.CancelOrder == nil {
		s.Fatalf("the fixture needs System.CancelOrder")
	}
	s.system.CancelOrder(s.TB, want.ID)
	if o := s.mustRead(want); o.Status == want.Status {
		s.Errorf("%s is still read as %s after it was cancelled", o.Number, o.Status)
	}
}

func readsCopies(s *suite) {
	want := s.addFailed(1)[0]
	s.mustRead(want).Number = "spoilt"
	if s.mustRead(want).Number != want.Number {
		s.Errorf("a change to a returned order changes later reads")
	}
}

func readCancelled(s *suite) {
	want := s.addFailed(1)[0]
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	if _, err := s.read(ctx, want.ID); !errors.Is(err, context.Canceled) {
		s.Errorf("the error %v does not match context.Canceled", err)
	}
}

func readsTogether(s *suite) {
	wants := s.addMixed()
	got, errs := make([]*commerce.Order, 4*len(wants)), make([]error, 4*len(wants))
	s.mustRead(wants[0]) // fails if the fixture has no reader
	s.within("concurrent reads", func() {
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() { got[i], errs[i] = s.system.Reader.Order(s.Context(), wants[i%len(wants)].ID) })
		}
		wg.Wait()
	})
	for i, o := range got {
		want := wants[i%len(wants)]
		if errs[i] != nil || o == nil {
			s.Errorf("one of %d reads returned the order %v and the error %v", len(got), o, errs[i])
			continue
		}
		for _, difference := range compareOrder(want, o, false) {
			s.Errorf("%s: %s", want.Number, difference)
		}
	}
}

// readsDuring returns a check that reads during a fault and requires an error that matches one of some.
func readsDuring(f Fault, matches ...error) func(*suite) {
	return func(s *suite) {
		want := s.addFailed(1)[0]
		stop := s.inject(f, Reads)
		_, err := s.read(s.Context(), want.ID)
		s.mustMatch(err, matches...)
		stop()
		s.mustRead(want)
	}
}

func readAnother(s *suite) {
	orders := s.addFailed(2)
	stop := s.inject(FaultWrongOrder, Reads)
	for _, want := range orders {
		_, err := s.read(s.Context(), want.ID)
		s.mustMatch(err)
	}
	stop()
	s.mustRead(orders[0])
}

func readSlow(s *suite) {
	want := s.addFailed(1)[0]
	s.inject(FaultResponseDelayed, Reads)
	ctx, cancel := context.WithTimeout(s.Context(), slowTimeout)
	defer cancel()
	if _, err := s.read(ctx, want.ID); !errors.Is(err, context.DeadlineExceeded) {
		s.Errorf("the error %v does not match context.DeadlineExceeded", err)
	}
}
