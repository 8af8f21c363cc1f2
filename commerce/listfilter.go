package commerce

import (
	"fmt"
	"log/slog"

	"github.com/cloudblue-go/cloudblue/internal/mismatch"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// ListChecker drops and reports orders that a server listed although they do not match the
// query. Implementations of a client or an adapter use it, one for each list.
// An order whose status is unusable is kept, with Problems, because it may be a failed
// order. Create it with [NewListChecker]. It is not safe for concurrent use.
type ListChecker struct {
	query, asked Query
	rows         mismatch.Rows // orders that should not be listed, or without usable status
	dropped      mismatch.Rows
}

// NewListChecker returns a ListChecker for one list. asked is the part of query that the server
// was asked to check; conditions that it was not asked to check are zero.
func NewListChecker(query, asked Query) *ListChecker { return &ListChecker{query: query, asked: asked} }

// Keep reports whether an order belongs to the list. It may add to the order's Problems.
func (f *ListChecker) Keep(o *Order) bool {
	if len(f.query.Statuses) > 0 {
		o.checkStatus()
	}
	why := f.asked.Mismatch(o)
	filtered := len(f.asked.Statuses) > 0
	switch {
	case why == "" && filtered && o.Status == "":
		f.rows.Add(o.name(), "no usable status")
	case why == "":
		f.rows.Matched()
	case filtered && o.Status != "" && !o.Status.Known() && !oneOf(f.asked.Statuses, o.Status, false):
		o.Problems = append(o.Problems,
			fmt.Sprintf("its status %q is neither known nor what was asked for", text.Clip(string(o.Status), 40)))
		o.Status = ""
		f.rows.Add(o.name(), why)
		if !f.asked.Match(o) {
			f.report(o, why)
		}
	default:
		f.Drop(o, why)
	}
	return f.query.Match(o)
}

// Drop reports an order that the caller itself leaves out of the list, because of a condition that
// is not in the query; see [Query.OnMismatch].
func (f *ListChecker) Drop(o *Order, why string) {
	f.rows.Add(o.name(), why)
	f.report(o, why)
}

func (f *ListChecker) report(o *Order, why string) {
	f.dropped.Add(o.name(), why)
	if f.query.OnMismatch != nil {
		f.query.OnMismatch(o)
	}
}

// Finish checks the complete list and logs the dropped orders, unless Query.OnMismatch is set or
// the logger is nil. It returns an error if the server returned orders and none of them matched
// what it was asked for. Call it only if listing did not fail.
func (f *ListChecker) Finish(log *slog.Logger) error {
	if err := f.rows.Err(); err != nil {
		return err
	}
	if f.dropped.Count() > 0 && f.query.OnMismatch == nil && log != nil {
		log.Warn("the server listed orders that it was asked to leave out", "orders", f.dropped.Count(), "reason",
			f.dropped.String())
	}
	return nil
}

// checkStatus moves a status that is not a status code to the Problems of an order, because
// "" and "pf" must not be read as "some status other than PF".
func (o *Order) checkStatus() {
	if problem := mismatch.StatusProblem(string(o.Status)); problem != "" && (o.Status != "" || len(o.Problems) == 0) {
		o.Problems, o.Status = append(o.Problems, problem), ""
	}
}

// name is the order number, or the id if there is none.
func (o *Order) name() string {
	if o.Number != "" {
		return o.Number
	}
	return o.ID
}
