package resubmit

import (
	"slices"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// namedOrders are the orders that the operator named in PlanConfig.Override and OverrideIfFound, by number or id.
type namedOrders struct {
	names   map[string]bool
	planned map[string]bool // ids and numbers of those in the plan
}

func newNamedOrders(cfg *PlanConfig) namedOrders {
	n := namedOrders{names: make(map[string]bool), planned: make(map[string]bool)}
	for _, name := range slices.Concat(cfg.Override, cfg.OverrideIfFound) {
		n.names[name] = true
	}
	return n
}

func (n *namedOrders) has(o *commerce.Order) bool { return n.names[o.ID] || n.names[o.Number] }

// note remembers that an entry is in the plan.
func (n *namedOrders) note(e *plan.Entry) {
	if n.names[e.OrderID] || n.names[e.Number] {
		n.planned[e.OrderID], n.planned[e.Number] = true, true
	}
}

// missing returns the names that are not in the plan, sorted.
func (n *namedOrders) missing(names []string) (missing []string) {
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if !n.planned[name] {
			missing = append(missing, text.Short(name))
		}
	}
	return missing
}
