package console

import (
	"cmp"
	"hash/maphash"
	"maps"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// opened is a plan with what filtering and paging need of each order: 12 bytes, and its details. It does not change.
type opened struct {
	*plan.Plan
	offsets []int64
	kindOf  []uint32 // numbers of kinds
	kinds   []kind
	details details
	tallies map[rules.Action]*tally
}

// kind is what orders have in common. Many orders are of one kind.
type kind struct {
	kindKey
	reason string // the failure text of the first order of the kind: all have its template
	mixed  bool   // there are too many templates to tell them apart
}

// kindKey distinguishes kinds.
type kindKey struct {
	action           rules.Action
	typ              commerce.OrderType
	status           commerce.Status
	service          commerce.ProvisioningStatus
	vendor           string
	channel          commerce.Channel
	class            failure.Class
	verdict          failure.Verdict
	window, template string
}

// maxTemplates is how many templates are told apart.
const maxTemplates = 1000

// tally counts the orders of one decision.
type tally struct {
	Orders    int
	Customers int
	Vendors   int
	Money     []commerce.Money // by currency
	NoTotal   int              // orders without a total

	customers map[uint64]struct{}
	vendors   map[string]struct{}
	sums      map[string]decimal.Decimal
}

// indexer collects what opened needs.
type indexer struct {
	o         *opened
	seed      maphash.Seed
	numbers   map[kindKey]uint32
	templates map[string]struct{}
}

// open opens and checks a plan file, and reads it once.
func open(path string) (*opened, error) {
	x := newIndexer()
	p, err := plan.OpenEach(path, x.add)
	if err != nil {
		return nil, err
	}
	x.o.Plan = p
	x.o.details.finish()
	for _, t := range x.o.tallies {
		t.finish()
	}
	return x.o, nil
}

func newIndexer() *indexer {
	return &indexer{
		o:    &opened{tallies: make(map[rules.Action]*tally)},
		seed: maphash.MakeSeed(), numbers: make(map[kindKey]uint32), templates: make(map[string]struct{}),
	}
}

func (x *indexer) add(e *plan.Entry, offset int64) {
	key := kindKey{
		e.Decision.Action, e.Type, e.Before.Status, e.Before.ProvisioningStatus, e.VendorAccountID, e.Channel,
		e.Attribution.Class, e.Attribution.Verdict, e.Attribution.WindowID, failure.Template(e.Before.Message),
	}
	_, known := x.templates[key.template]
	mixed := !known && len(x.templates) >= maxTemplates
	if mixed {
		key.template = "\x00"
	}
	n, ok := x.numbers[key]
	if !ok {
		n = x.addKind(&key, e, mixed)
	}
	x.o.offsets, x.o.kindOf = append(x.o.offsets, offset), append(x.o.kindOf, n)
	x.o.details.add(e)
	t := x.o.tallies[e.Decision.Action]
	if t == nil {
		t = &tally{
			customers: make(map[uint64]struct{}), vendors: make(map[string]struct{}), sums: make(map[string]decimal.Decimal),
		}
		x.o.tallies[x.o.kinds[n].action] = t
	}
	t.add(e, x.o.kinds[n].vendor, x.seed)
}

// addKind adds a kind, with copies of the texts of its first order.
func (x *indexer) addKind(key *kindKey, e *plan.Entry, mixed bool) uint32 {
	copied := kindKey{
		cloned(key.action), cloned(key.typ), cloned(key.status), cloned(key.service), cloned(key.vendor),
		cloned(key.channel), cloned(key.class), cloned(key.verdict), cloned(key.window), cloned(key.template),
	}
	n := uint32(len(x.o.kinds)) //nolint:gosec // there are at most as many as orders
	x.numbers[copied] = n
	x.templates[copied.template] = struct{}{}
	x.o.kinds = append(x.o.kinds, kind{copied, strings.Clone(e.Before.Message), mixed})
	return n
}

func cloned[S ~string](s S) S { return S(strings.Clone(string(s))) }

func (t *tally) add(e *plan.Entry, vendor string, seed maphash.Seed) {
	t.Orders++
	if customer := cmp.Or(e.CustomerID, e.Customer); customer != "" {
		t.customers[maphash.String(seed, customer)] = struct{}{}
	}
	t.vendors[vendor] = struct{}{}
	if e.Total.IsZero() {
		t.NoTotal++
		return
	}
	sum, ok := t.sums[e.Total.Currency]
	currency := e.Total.Currency
	if !ok {
		currency = strings.Clone(currency)
	}
	t.sums[currency] = sum.Add(e.Total.Amount)
}

// finish replaces the sets by their sizes.
func (t *tally) finish() {
	t.Customers, t.Vendors = len(t.customers), len(t.vendors)
	for _, currency := range slices.Sorted(maps.Keys(t.sums)) {
		t.Money = append(t.Money, commerce.Money{Amount: t.sums[currency], Currency: currency})
	}
	t.customers, t.vendors, t.sums = nil, nil, nil
}

// tally returns the counts of a decision; empty if no order has it.
func (o *opened) tally(a rules.Action) *tally {
	if t := o.tallies[a]; t != nil {
		return t
	}
	return new(tally)
}
