package commerce

import (
	"fmt"
	"log/slog"

	"github.com/cloudblue-go/cloudblue/internal/mismatch"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Sieve decides which orders of a list are yielded, for clients and adapters that list
// orders. Orders that the server should have left out are reported, and those whose status
// says nothing are yielded with Problems, because they may be failed orders. Make it with
// [NewSieve]. Not safe for concurrent use.
type Sieve struct {
	query, asked Query
	rows         mismatch.Rows // that the server should have left out, or whose status says nothing
	dropped      mismatch.Rows
}

// NewSieve returns a sieve for one list of a query. asked has the conditions that the
// server was asked to check, which let through at least what the query does; those that
// it was not asked for are zero.
func NewSieve(query, asked Query) *Sieve { return &Sieve{query: query, asked: asked} }

// Pass reports whether to yield an order. It may add to the order's Problems.
func (s *Sieve) Pass(o *Order) bool {
	if len(s.query.Statuses) > 0 {
		o.checkStatus()
	}
	why := s.asked.Mismatch(o)
	filtered := len(s.asked.Statuses) > 0
	switch {
	case why == "" && filtered && o.Status == "":
		s.rows.Add(o.name(), "no usable status")
	case why == "":
		s.rows.Matched()
	case filtered && o.Status != "" && !o.Status.Known() && !oneOf(s.asked.Statuses, o.Status, false):
		o.Problems = append(o.Problems,
			fmt.Sprintf("its status %q is neither known nor what was asked for", text.Clip(string(o.Status), 40)))
		o.Status = ""
		s.rows.Add(o.name(), why)
		if !s.asked.Match(o) {
			s.drop(o, why)
		}
	default:
		s.Reject(o, why)
	}
	return s.query.Match(o)
}

// Reject reports an order that the server should have left out, for a reason that a query
// cannot express.
func (s *Sieve) Reject(o *Order, why string) {
	s.rows.Add(o.name(), why)
	s.drop(o, why)
}

func (s *Sieve) drop(o *Order, why string) {
	s.dropped.Add(o.name(), why)
	if s.query.OnMismatch != nil {
		s.query.OnMismatch(o)
	}
}

// End is called when the list has ended without an error. It returns an error if no order
// was what the server was asked for although it returned some. Without Query.OnMismatch it
// logs the orders that were dropped; a nil logger logs nothing.
func (s *Sieve) End(log *slog.Logger) error {
	if err := s.rows.Err(); err != nil {
		return err
	}
	if s.dropped.Count() > 0 && s.query.OnMismatch == nil && log != nil {
		log.Warn("the server listed orders that it was asked to leave out", "orders", s.dropped.Count(), "reason",
			s.dropped.String())
	}
	return nil
}

// checkStatus moves a status that is not a status code to the Problems of an order: "" and
// "pf" say nothing, and must not be taken for a status other than PF.
func (o *Order) checkStatus() {
	if problem := mismatch.StatusProblem(string(o.Status)); problem != "" && (o.Status != "" || len(o.Problems) == 0) {
		o.Problems, o.Status = append(o.Problems, problem), ""
	}
}

// name is what people call an order.
func (o *Order) name() string {
	if o.Number != "" {
		return o.Number
	}
	return o.ID
}
