package commerce

import (
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/rql"
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

// oneOf reports whether v is one of wanted, or may be. None wanted means any at all.
func oneOf[T ~string](wanted []T, v T, odd bool) bool {
	return len(wanted) == 0 || odd && v == "" || slices.Contains(wanted, v)
}
