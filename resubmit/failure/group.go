package failure

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// Group is a group of failures of one class whose texts have the same [Template].
type Group struct {
	Class Class `json:"class"`
	// Template is the common part of the texts; empty if the orders have no failure text.
	Template string `json:"template"`
	// Count is the number of failures.
	Count int `json:"count"`
	// First and Last are the times of the earliest and the latest failure, or of placing where the time of the failure
	// is unknown. Zero if no order has a time.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Example is the number of the first order added to the group, and Text its whole failure text.
	Example string `json:"example"`
	Text    string `json:"text"`
}

// Grouping is the result of [GroupOrders].
type Grouping struct {
	// Groups are the groups, largest first.
	Groups []Group `json:"groups"`
	// Orders is the number of orders, and Ungrouped the number of those that are in no group because there were too
	// many groups.
	Orders    int `json:"orders"`
	Ungrouped int `json:"ungrouped,omitempty"`
}

// GroupOrders groups failed orders by [Template] and class. It keeps one text per group and no orders.
// A limit of 0 means 1000 groups; orders beyond it are counted in Grouping.Ungrouped. A nil classifier means
// [DefaultClassifier]. It returns an error for a negative limit and the first error of orders.
//
// Order Management lists orders without failure texts, so read each order first:
//
//	for o, err := range orders.Orders(ctx, commerce.FailedOrdersView().Query()) {
//		if err == nil {
//			o, err = orders.Order(ctx, o.ID)
//		}
//		if !yield(o, err) {
//			return
//		}
//	}
func GroupOrders(orders iter.Seq2[*commerce.Order, error], c *Classifier, limit int) (*Grouping, error) {
	if limit < 0 {
		return nil, fmt.Errorf("failure: group orders: the limit is %d; use at least 1, or 0 for the default", limit)
	}
	g := NewGrouper(c, limit)
	for o, err := range orders {
		if err == nil && o == nil {
			err = errors.New("the list yielded neither an order nor an error")
		}
		if err != nil {
			return nil, fmt.Errorf("failure: group orders: %w", err)
		}
		g.Add(o)
	}
	return g.Groups(), nil
}

// Grouper groups failed orders one by one, as [GroupOrders] does. It is not safe for concurrent use.
type Grouper struct {
	classifier *Classifier
	limit      int
	groups     map[groupKey]*Group
	orders     int
	ungrouped  int
}

type groupKey struct {
	class    Class
	template string
}

// NewGrouper returns an empty Grouper. The arguments are those of [GroupOrders].
func NewGrouper(c *Classifier, limit int) *Grouper {
	return &Grouper{classifier: c, limit: cmp.Or(limit, 1000), groups: map[groupKey]*Group{}}
}

// Add adds one failed order.
func (g *Grouper) Add(o *commerce.Order) {
	g.orders++
	text := o.Failure.Message()
	class, _ := g.classifier.Classify(text)
	key := groupKey{class, Template(text)}
	group := g.groups[key]
	if group == nil {
		if len(g.groups) == g.limit {
			g.ungrouped++
			return
		}
		group = &Group{Class: class, Template: key.template, Example: o.Label(), Text: text}
		g.groups[key] = group
	}
	group.Count++
	at := failedOrPlaced(o).Round(0).UTC()
	if at.IsZero() {
		return
	}
	if group.First.IsZero() || at.Before(group.First) {
		group.First = at
	}
	if at.After(group.Last) {
		group.Last = at
	}
}

// Groups returns the groups of the orders added so far.
func (g *Grouper) Groups() *Grouping {
	out := &Grouping{Groups: make([]Group, 0, len(g.groups)), Orders: g.orders, Ungrouped: g.ungrouped}
	for _, group := range g.groups {
		out.Groups = append(out.Groups, *group)
	}
	slices.SortFunc(out.Groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Template, b.Template),
			strings.Compare(string(a.Class), string(b.Class)))
	})
	return out
}
