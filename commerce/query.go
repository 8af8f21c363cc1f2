package commerce

import (
	"fmt"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/rql"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Sort is the direction in which a list is sorted by PlacedAt.
type Sort string

const (
	// OldestFirst sorts by PlacedAt ascending, as resubmission needs. It is the zero value.
	OldestFirst Sort = ""
	// NewestFirst sorts by PlacedAt descending, as the panel does.
	NewestFirst Sort = "newest"
)

// Query selects orders of a list. The zero value selects all orders, oldest first. A client
// asks the server to filter where it can, and yields only orders for which Match is true.
type Query struct {
	// Statuses and Types select orders with any of them; empty selects all.
	Statuses []Status
	Types    []OrderType
	// PlacedFrom and PlacedTo limit when the order was placed: from ≤ t < to. A zero time
	// is no limit.
	PlacedFrom time.Time
	PlacedTo   time.Time
	// IDs and Numbers select orders with any of them; empty selects all.
	IDs     []string
	Numbers []string
	// NumberLike is a pattern for the number, in which * stands for any text; empty selects all.
	NumberLike string
	// Account is the APS id of the account whose orders are listed, if the API supports it.
	// Empty selects all orders that the caller may see. Match does not check it, because
	// orders do not carry that id.
	Account string
	Sort    Sort
	// Limit is the largest number of orders to yield; 0 means all.
	Limit int
	// OnMismatch is called for each order that the server returned although it was asked to
	// leave it out. Such an order is not yielded. The function is called by the goroutine
	// that reads the list, and may keep the order. If it is nil, the client logs one warning
	// with the number of these orders and the first few. If the server returned no other
	// orders, the list ends with an error in any case.
	OnMismatch func(*Order)
}

// Match reports whether the query selects an order. An order without PlacedAt does not match
// a limit on it. A field that is empty in an order with Problems matches, because it may be
// the field that could not be read.
func (q *Query) Match(o *Order) bool {
	odd := len(o.Problems) > 0
	switch {
	case !oneOf(q.Statuses, o.Status, odd), !oneOf(q.Types, o.Type, odd), !q.wantsID(o.ID, odd),
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

// Mismatch returns the condition that an order does not meet, such as `status "CP"`, or "" if
// the order matches; see [Query.Match].
func (q *Query) Mismatch(o *Order) string {
	odd := len(o.Problems) > 0
	switch {
	case q.Match(o):
		return ""
	case !oneOf(q.Statuses, o.Status, odd):
		return field("status", string(o.Status))
	case !oneOf(q.Types, o.Type, odd):
		return field("type", string(o.Type))
	case !q.wantsID(o.ID, odd):
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

// wantsID is oneOf for IDs, which may be UUIDs in any letter case.
func (q *Query) wantsID(id string, odd bool) bool {
	return oneOf(q.IDs, id, odd) ||
		slices.ContainsFunc(q.IDs, func(wanted string) bool { return text.ID(wanted) == text.ID(id) })
}

// oneOf reports whether v is wanted. Nothing wanted means everything, and an empty v of an odd
// order may be the field that could not be read.
func oneOf[T ~string](wanted []T, v T, odd bool) bool {
	return len(wanted) == 0 || odd && v == "" || slices.Contains(wanted, v)
}
