package commerce

import (
	"fmt"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/rql"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Sort is the order of a list by the time of placing.
type Sort string

const (
	// OldestFirst is the zero value, and what resubmission needs.
	OldestFirst Sort = ""
	// NewestFirst is what the panel shows.
	NewestFirst Sort = "newest"
)

// Query is what a client can ask of a server. The zero value asks for every
// order, oldest first. Whatever the server makes of it, a client yields only
// orders for which Match is true.
type Query struct {
	// Statuses and Types: any of these; empty means any at all.
	Statuses []Status
	Types    []OrderType
	// PlacedFrom and PlacedTo bound the time of placing, half-open: from ≤ t < to.
	// A zero bound is none.
	PlacedFrom time.Time
	PlacedTo   time.Time
	// IDs and Numbers: any of these; empty means any at all.
	IDs     []string
	Numbers []string
	// NumberLike is a pattern for the number with * for any text; empty means any.
	NumberLike string
	// Account is the APS id of the account whose orders are asked for, where the
	// way in can do that. Empty means all that the caller may see. It is not
	// checked again: an order does not name the account by that id.
	Account string
	Sort    Sort
	// Limit is the most orders to yield; 0 means all.
	Limit int
	// OnMismatch is called for each order that the server returned although it had been
	// asked to leave it out. Such an order is not yielded. It is called while the list is
	// read, by the goroutine that reads it, and may keep the order. Nil: a client logs a
	// warning with the number of these orders and the first few of them. If the server
	// returned such orders only, the list ends with an error in any case.
	OnMismatch func(*Order)
}

// Match reports whether an order is one that the query asks for. An order
// without a time of placing matches no bound on it. An order with Problems matches
// where the field is empty, because that may be the field that could not be read.
func (q *Query) Match(o *Order) bool {
	odd := len(o.Problems) > 0
	switch {
	case !oneOf(q.Statuses, o.Status, odd), !oneOf(q.Types, o.Type, odd), !oneOf(q.IDs, o.ID, odd),
		!oneOf(q.Numbers, o.Number, odd),
		q.NumberLike != "" && (!odd || o.Number != "") && !rql.Like(q.NumberLike, o.Number):
		return false
	case o.PlacedAt.IsZero():
		return odd || q.PlacedFrom.IsZero() && q.PlacedTo.IsZero()
	default:
		return (q.PlacedFrom.IsZero() || !o.PlacedAt.Before(q.PlacedFrom)) &&
			(q.PlacedTo.IsZero() || o.PlacedAt.Before(q.PlacedTo))
	}
}

// Mismatch says which condition an order does not meet, such as `status "CP"`, or "" if it
// matches. See Match.
func (q *Query) Mismatch(o *Order) string {
	odd := len(o.Problems) > 0
	switch {
	case q.Match(o):
		return ""
	case !oneOf(q.Statuses, o.Status, odd):
		return field("status", string(o.Status))
	case !oneOf(q.Types, o.Type, odd):
		return field("type", string(o.Type))
	case !oneOf(q.IDs, o.ID, odd):
		return field("id", o.ID)
	case !oneOf(q.Numbers, o.Number, odd), q.NumberLike != "" && !rql.Like(q.NumberLike, o.Number):
		return field("number", o.Number)
	case o.PlacedAt.IsZero():
		return "no time of placing"
	default:
		return "placed " + o.PlacedAt.UTC().Format(time.RFC3339)
	}
}

func field(name, value string) string {
	if value == "" {
		return "no " + name
	}
	return fmt.Sprintf("%s %q", name, text.Clip(value, 40))
}

// oneOf reports whether v is one of wanted, or may be. None wanted means any at all.
func oneOf[T ~string](wanted []T, v T, odd bool) bool {
	return len(wanted) == 0 || odd && v == "" || slices.Contains(wanted, v)
}
