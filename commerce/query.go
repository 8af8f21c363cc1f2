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
// without a time of placing matches no bound on it.
func (q *Query) Match(o *Order) bool {
	switch {
	case len(q.Statuses) > 0 && !slices.Contains(q.Statuses, o.Status),
		len(q.Types) > 0 && !slices.Contains(q.Types, o.Type),
		len(q.IDs) > 0 && !slices.Contains(q.IDs, o.ID),
		len(q.Numbers) > 0 && !slices.Contains(q.Numbers, o.Number),
		!q.PlacedFrom.IsZero() && (o.PlacedAt.IsZero() || o.PlacedAt.Before(q.PlacedFrom)),
		!q.PlacedTo.IsZero() && (o.PlacedAt.IsZero() || !o.PlacedAt.Before(q.PlacedTo)),
		q.NumberLike != "" && !rql.Like(q.NumberLike, o.Number):
		return false
	default:
		return true
	}
}
