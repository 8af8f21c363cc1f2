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

// TestReader proves that a reader keeps the contract of resubmit.OrderReader.
func TestReader(t *testing.T, f Fixture) {
	t.Helper()
	run(t, f, readerChecks())
}

func readerChecks() []check {
	return []check{
		{"an order is read as it is", nil, readsTruth},
		{"a failed order is read with its failure and the transitions that it offers, as far as the adapter tells them", nil,
			readsDetails},
		{"what the adapter cannot tell is in no order", nil, readsNothingUntold},
		{"an order that is not there is ErrNotFound", nil, readsMissing},
		{"an id is taken as a whole, whatever its characters", nil, readsOddIDs},
		{"an order is read as it is now", nil, readsNow},
		{"each read gives an order of its own", nil, readsFresh},
		{"a cancelled context ends the read with its error", nil, readCancelled},
		{"reads at the same time do not disturb each other", nil, readsTogether},
		{"a system that is away is ErrUnavailable to a reader", []Fault{Unavailable}, readWhileAway},
		{"refused credentials are ErrUnauthorized or ErrForbidden to a reader", []Fault{Denied}, readDenied},
		{"a page of HTML is not an order, nor that there is none", []Fault{Page}, readOfPage},
		{"a lost answer is ErrUnavailable to a reader", []Fault{AnswerLost}, readLost},
		{"half of an answer is not an order", []Fault{AnswerHalf}, readHalf},
		{"an answer about another order is an error", []Fault{Another}, readAnother},
		{"a read of a slow system ends with the context", []Fault{Slow}, readSlow},
	}
}

// read reads one order and looks at the form of the answer.
func (s *stand) read(ctx context.Context, id string) (o *commerce.Order, err error) {
	s.Helper()
	if s.sys.Reader == nil {
		s.Fatalf("the fixture has no System.Reader")
	}
	s.within("the read", func() { o, err = s.sys.Reader.Order(ctx, id) })
	if (o == nil) == (err == nil) {
		s.Fatalf("the read of %q gave the order %v and the error %v: it must give one of them", id, o, err)
	}
	s.inspect(err)
	return o, err
}

// mustRead reads one order that is there.
func (s *stand) mustRead(want *commerce.Order) *commerce.Order {
	s.Helper()
	o, err := s.read(s.Context(), want.ID)
	if err != nil {
		s.Fatalf("%s cannot be read by its id %q: %v", want.Number, want.ID, err)
	}
	return o
}

func readsTruth(s *stand) {
	for _, want := range append(s.delicate(), s.mixture()...) {
		for _, difference := range compare(want, s.mustRead(want), false) {
			s.Errorf("%s: %s", want.Number, difference)
		}
	}
}

func readsDetails(s *stand) {
	for _, want := range s.mixture() {
		o := s.mustRead(want)
		failed := want.Status == commerce.StatusProvisioningFailed
		if text := usual(0).Failure; s.fix.Capabilities.Failure && strings.Contains(o.Failure.Message(), text) != failed {
			s.Errorf("%s is %s and failed with %q: a failed order, and no other, tells %q", o.Number, o.Status,
				o.Failure.Message(), text)
		}
		if !s.fix.Capabilities.Transitions {
			continue
		}
		if !o.Detailed() {
			s.Errorf("%s does not tell its transitions; that there are none is an empty list, not nil", o.Number)
		}
		if o.Offers(s.target()) != failed {
			s.Errorf("%s is %s and offers %s: a failed order, and no other, offers %s", o.Number, o.Status, moves(o), s.target())
		}
	}
}

func readsNothingUntold(s *stand) {
	for _, want := range s.mixture() {
		for _, told := range untold(s.fix.Capabilities, s.mustRead(want)) {
			s.Errorf("%s tells %s, although the adapter declares not to tell it", want.Number, told)
		}
	}
}

func readsMissing(s *stand) {
	s.failed(2)
	o, err := s.read(s.Context(), s.fix.Missing)
	if !errors.Is(err, commerce.ErrNotFound) {
		s.Errorf("the read of %q gave the order %v and the error %v", s.fix.Missing, o, err)
	}
}

func readsOddIDs(s *stand) {
	orders := s.delicate()
	ids := idsOf(orders)
	for _, odd := range append(oddIDs(ids[0]), oddities()...) {
		if slices.Contains(ids, odd) {
			continue
		}
		if o, err := s.read(s.Context(), odd); err == nil {
			s.Errorf("the id %q, which no order has, gave %s", odd, o.Number)
		}
	}
	for _, want := range orders {
		if o := s.mustRead(want); o.ID != want.ID {
			s.Errorf("the id %q gave the order %q", want.ID, o.ID)
		}
	}
}

func readsNow(s *stand) {
	want := s.failed(1)[0]
	s.mustRead(want)
	if s.sys.TakeAway == nil {
		s.Fatalf("the fixture has no System.TakeAway")
	}
	s.sys.TakeAway(s.TB, want.ID)
	if o := s.mustRead(want); o.Status == want.Status {
		s.Errorf("%s is read as %s after somebody moved it", o.Number, o.Status)
	}
}

func readsFresh(s *stand) {
	want := s.failed(1)[0]
	s.mustRead(want).Number = "spoilt"
	if s.mustRead(want).Number != want.Number {
		s.Errorf("who changes an order that was read, changes what others read")
	}
}

func readCancelled(s *stand) {
	want := s.failed(1)[0]
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	if _, err := s.read(ctx, want.ID); !errors.Is(err, context.Canceled) {
		s.Errorf("the error %v does not match context.Canceled", err)
	}
}

func readsTogether(s *stand) {
	wants := s.mixture()
	got, errs := make([]*commerce.Order, 4*len(wants)), make([]error, 4*len(wants))
	s.mustRead(wants[0]) // and the fixture has a reader
	s.within("reads at the same time", func() {
		var wg sync.WaitGroup
		for i := range got {
			wg.Go(func() { got[i], errs[i] = s.sys.Reader.Order(s.Context(), wants[i%len(wants)].ID) })
		}
		wg.Wait()
	})
	for i, o := range got {
		want := wants[i%len(wants)]
		if errs[i] != nil || o == nil {
			s.Errorf("one of %d reads gave the order %v and the error %v", len(got), o, errs[i])
			continue
		}
		for _, difference := range compare(want, o, false) {
			s.Errorf("%s: %s", want.Number, difference)
		}
	}
}

// misread reads while reads go wrong, and wants an error that matches any of some.
func (s *stand) misread(f Fault, matches ...error) {
	s.Helper()
	want := s.failed(1)[0]
	mend := s.spoil(f, Reads)
	_, err := s.read(s.Context(), want.ID)
	s.matches(err, matches...)
	mend()
	s.mustRead(want)
}

func readWhileAway(s *stand) { s.misread(Unavailable, commerce.ErrUnavailable) }
func readDenied(s *stand)    { s.misread(Denied, commerce.ErrUnauthorized, commerce.ErrForbidden) }
func readOfPage(s *stand)    { s.misread(Page, commerce.ErrUnavailable) }
func readLost(s *stand)      { s.misread(AnswerLost, commerce.ErrUnavailable) }
func readHalf(s *stand)      { s.misread(AnswerHalf) }

func readAnother(s *stand) {
	orders := s.failed(2)
	mend := s.spoil(Another, Reads)
	for _, want := range orders {
		_, err := s.read(s.Context(), want.ID)
		s.matches(err)
	}
	mend()
	s.mustRead(orders[0])
}

func readSlow(s *stand) {
	want := s.failed(1)[0]
	s.spoil(Slow, Reads)
	ctx, cancel := context.WithTimeout(s.Context(), soon)
	defer cancel()
	if _, err := s.read(ctx, want.ID); !errors.Is(err, context.DeadlineExceeded) {
		s.Errorf("the error %v does not match context.DeadlineExceeded", err)
	}
}
