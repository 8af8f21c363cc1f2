package resubmittest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// spoilt lists while reads go wrong, and wants an error that matches any of some.
func (s *stand) spoilt(f Fault, matches ...error) {
	s.Helper()
	orders := s.failed(3)
	source := s.source(orders)
	mend := s.spoil(f, Reads)
	l := s.list(s.Context(), source, commerce.FailedOrders().Query(), nil)
	s.matches(l.err, matches...)
	if len(l.orders) > 0 {
		s.Errorf("%d orders were listed while the system was %s", len(l.orders), f)
	}
	mend()
	s.same("afterwards: ", orders, s.mustList(source, commerce.FailedOrders().Query()))
}

// matches wants an error, which matches any of some.
func (s *stand) matches(err error, targets ...error) {
	s.Helper()
	switch {
	case err == nil:
		s.Errorf("there is no error")
	case errors.Is(err, commerce.ErrNotFound):
		s.Errorf("the error %q matches ErrNotFound, although nothing is known", err)
	case len(targets) > 0 && !slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) }):
		s.Errorf("the error %q matches none of %q", err, targets)
	}
}

func listWhileAway(s *stand) { s.spoilt(Unavailable, commerce.ErrUnavailable) }
func listDenied(s *stand)    { s.spoilt(Denied, commerce.ErrUnauthorized, commerce.ErrForbidden) }
func listOfPage(s *stand)    { s.spoilt(Page, commerce.ErrUnavailable) }
func listLost(s *stand)      { s.spoilt(AnswerLost, commerce.ErrUnavailable) }
func listHalf(s *stand)      { s.spoilt(AnswerHalf) }

func listBreaks(s *stand) {
	source := s.source(s.failed(many))
	broken := false
	l := s.list(s.Context(), source, commerce.Query{}, func(*commerce.Order) bool {
		if !broken {
			broken = true
			s.spoil(Unavailable, Reads)
		}
		return true
	})
	s.whole(l, many)
}

// soon is when callers give up on a slow system.
const soon = 20 * time.Millisecond

func listSlow(s *stand) {
	source := s.source(s.failed(3))
	s.spoil(Slow, Reads)
	ctx, cancel := context.WithTimeout(s.Context(), soon)
	defer cancel()
	if l := s.list(ctx, source, commerce.Query{}, nil); !errors.Is(l.err, context.DeadlineExceeded) {
		s.Errorf("the error %v does not match context.DeadlineExceeded", l.err)
	}
}
