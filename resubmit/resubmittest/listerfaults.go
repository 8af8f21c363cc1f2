package resubmittest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// listsDuring returns a check that lists during a fault and requires an error that matches one of some.
func listsDuring(f Fault, matches ...error) func(*suite) {
	return func(s *suite) {
		orders := s.addFailed(3)
		lister := s.lister(orders)
		stop := s.inject(f, Reads)
		l := s.list(s.Context(), lister, commerce.FailedOrdersView().Query(), nil)
		s.mustMatch(l.err, matches...)
		if len(l.orders) > 0 && f != FaultResponseTruncated {
			s.Errorf("%d orders were listed during the fault %q", len(l.orders), f)
		}
		stop()
		s.sameOrders("afterwards: ", orders, s.mustList(lister, commerce.FailedOrdersView().Query()))
	}
}

// mustMatch requires an error that matches one of some, if there are any.
func (s *suite) mustMatch(err error, targets ...error) {
	switch {
	case err == nil:
		s.Errorf("there is no error")
	case errors.Is(err, commerce.ErrNotFound):
		s.Errorf("the error %q matches ErrNotFound, but the order may exist", err)
	case len(targets) > 0 && !slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) }):
		s.Errorf("the error %q matches none of %q", err, targets)
	}
}

func listBreaks(s *suite) {
	lister := s.lister(s.addFailed(many))
	broken := false
	l := s.list(s.Context(), lister, commerce.Query{}, func(*commerce.Order) bool {
		if !broken {
			broken = true
			s.inject(FaultUnavailable, Reads)
		}
		return true
	})
	s.completeOrError(l, many)
}

// slowTimeout is when callers of a slow system give up.
const slowTimeout = 20 * time.Millisecond

func listSlow(s *suite) {
	lister := s.lister(s.addFailed(3))
	s.inject(FaultResponseDelayed, Reads)
	ctx, cancel := context.WithTimeout(s.Context(), slowTimeout)
	defer cancel()
	if l := s.list(ctx, lister, commerce.Query{}, nil); !errors.Is(l.err, context.DeadlineExceeded) {
		s.Errorf("the error %v does not match context.DeadlineExceeded", l.err)
	}
}
