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

// Group is failures of one kind: of one class and with texts that are equal
// but for ids, times and numbers.
type Group struct {
	Class Class `json:"class"`
	// Template is the text that they share, see [Template]; "" where no reason
	// is told.
	Template string `json:"template"`
	Count    int    `json:"count"`
	// First and Last are the times of the earliest and the latest failure: of the
	// failure where it is known, else of placing. Zero when none tells its time.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Example is the number of the first order of the group, and Text its whole text.
	Example string `json:"example"`
	Text    string `json:"text"`
}

// Groups is failures by kind.
type Groups struct {
	// Groups has the largest first.
	Groups []Group `json:"groups"`
	// Orders is how many orders there were. Beyond is how many of them are in no group,
	// since as many groups as were asked for were full of other kinds.
	Orders int `json:"orders"`
	Beyond int `json:"beyond,omitempty"`
}

// GroupOrders groups failed orders by what their texts have in common. It holds
// one text a group and no orders. At most limit kinds are kept apart; what comes after
// them is counted in Beyond and never left out in silence. A limit of 0 is
// 1000; a nil classifier is the default one. The error is that of
// the orders.
//
// Orders without a text are one group, whose Template is "". The list of Order
// Management tells no texts, so read each order first:
//
//	for o, err := range orders.Orders(ctx, commerce.FailedOrders().Query()) {
//		if err == nil {
//			o, err = orders.Order(ctx, o.ID)
//		}
//		if !yield(o, err) {
//			return
//		}
//	}
func GroupOrders(orders iter.Seq2[*commerce.Order, error], c *Classifier, limit int) (*Groups, error) {
	if limit < 0 {
		return nil, fmt.Errorf("resubmit: group failures: the limit is %d; give at least 1, or 0 for the default", limit)
	}
	g := NewGrouper(c, limit)
	for o, err := range orders {
		if err == nil && o == nil {
			err = errors.New("the list yielded neither an order nor an error")
		}
		if err != nil {
			return nil, fmt.Errorf("resubmit: group failures: %w", err)
		}
		g.Add(o)
	}
	return g.Groups(), nil
}

// Grouper groups failed orders one by one, as [GroupOrders] does. It is for one goroutine.
type Grouper struct {
	classifier *Classifier
	limit      int
	groups     map[failureKey]*Group
	orders     int
	beyond     int
}

type failureKey struct {
	class    Class
	template string
}

// NewGrouper returns a Grouper without orders. A nil classifier is the default one; a limit
// of 0 is 1000.
func NewGrouper(c *Classifier, limit int) *Grouper {
	return &Grouper{classifier: c, limit: cmp.Or(limit, 1000), groups: map[failureKey]*Group{}}
}

// Add counts one failed order.
func (g *Grouper) Add(o *commerce.Order) {
	text := o.Failure.Message()
	class, _ := g.classifier.Classify(text)
	g.orders++
	key := failureKey{class, Template(text)}
	group, ok := g.groups[key]
	if !ok {
		if len(g.groups) == g.limit {
			g.beyond++
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

// Groups returns what was added so far, the largest group first.
func (g *Grouper) Groups() *Groups {
	out := &Groups{Groups: make([]Group, 0, len(g.groups)), Orders: g.orders, Beyond: g.beyond}
	for _, group := range g.groups {
		out.Groups = append(out.Groups, *group)
	}
	slices.SortFunc(out.Groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Template, b.Template),
			strings.Compare(string(a.Class), string(b.Class)))
	})
	return out
}
