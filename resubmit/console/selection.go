package console

import (
	"math/bits"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// selection says which orders of a plan a page shows.
type selection struct {
	action rules.Action // "" for all
	window string       // the window to which failures are attributed; "" for all
	query  string       // RQL; "" for all
}

// bitmap has a bit for each order of a plan.
type bitmap []uint64

func newBitmap(n int) bitmap { return make(bitmap, (n+63)/64) }

func (b bitmap) set(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bitmap) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }

func (b bitmap) count() (n int) {
	for _, word := range b {
		n += bits.OnesCount64(word)
	}
	return n
}

// kindProperties are the properties that all orders of a kind have in common.
var kindProperties = []string{
	"channel", "class", "provisioningStatus", "status", "template", "type", "vendor", "verdict",
}

// planned is the order that a filter sees, and the entry of which it was made.
type planned struct {
	order commerce.Order
	kind  failure.Attribution
}

// compile parses the query of a selection. The function reports whether an order matches; it is not safe for concurrent
// use. byKind means that it needs only what the orders of a kind have in common. The error says what is wrong with the
// query.
func (s *selection) compile() (match func(*planned) bool, byKind bool, err error) {
	if s.query == "" {
		return func(*planned) bool { return true }, true, nil
	}
	var now *planned
	f, err := filter.Parse(s.query,
		filter.WithVerdict(func(*commerce.Order) failure.Verdict { return now.kind.Verdict }),
		filter.WithClass(func(*commerce.Order) failure.Class { return now.kind.Class }))
	if err != nil {
		return nil, false, wrongField("q", "%v", err)
	}
	properties, _ := filter.Properties(f) // the parser knows no functions
	byKind = true
	for _, p := range properties {
		if p == "billingId" {
			return nil, false, wrongField("q", "filter: a plan has no billingId; use id or number")
		}
		byKind = byKind && slices.Contains(kindProperties, p)
	}
	return func(p *planned) bool {
		now = p
		return f.Match(&p.order)
	}, byKind, nil
}

// find returns the orders of a selection.
func (o *opened) find(s selection) (bitmap, error) {
	match, byKind, err := s.compile()
	if err != nil {
		return nil, err
	}
	candidates := make([]bool, len(o.kinds)) // kinds that may match
	decided := make([]bool, len(o.kinds))    // kinds all of whose orders match if they are candidates
	for i := range o.kinds {
		k := &o.kinds[i]
		candidates[i] = (s.action == "" || k.action == s.action) && (s.window == "" || k.window == s.window)
		if decided[i] = byKind && !k.mixed; decided[i] && candidates[i] {
			candidates[i] = match(k.planned())
		}
	}
	found := newBitmap(len(o.kindOf))
	rows := detailReader{details: &o.details}
	one := &planned{order: commerce.Order{Failure: failureOf("")}}
	for i, k := range o.kindOf {
		row := rows.next()
		matches := candidates[k]
		if matches && !decided[k] {
			if err := o.planned(one, i, row); err != nil {
				return nil, err
			}
			matches = match(one)
		}
		if matches {
			found.set(i)
		}
	}
	return found, nil
}

// planned sets p to an order, by its details if there are any.
func (o *opened) planned(p *planned, i int, row string) error {
	if row == "" {
		e, err := o.EntryAt(o.offsets[i])
		if err == nil {
			*p = *plannedOf(e)
		}
		return err
	}
	o.kinds[o.kindOf[i]].fill(p)
	unpack(row, &p.order)
	return nil
}

// planned returns an order with what the orders of a kind have in common.
func (k *kind) planned() *planned {
	p := &planned{order: commerce.Order{Failure: failureOf(k.reason)}}
	k.fill(p)
	return p
}

// fill sets what the orders of a kind have in common, except the reason.
func (k *kind) fill(p *planned) {
	o := &p.order
	o.Type, o.Status, o.ProvisioningStatus = k.typ, k.status, k.service
	o.VendorAccountID, o.Channel = k.vendor, k.channel
	p.kind = failure.Attribution{Verdict: k.verdict, Class: k.class}
}

// plannedOf returns the order of an entry.
func plannedOf(e *plan.Entry) *planned {
	return &planned{
		order: commerce.Order{
			ID: e.OrderID, Number: e.Number, Type: e.Type, Status: e.Before.Status,
			ProvisioningStatus: e.Before.ProvisioningStatus, PlacedAt: e.Before.PlacedAt, FailedAt: e.Before.FailedAt,
			VendorAccountID: e.VendorAccountID, Channel: e.Channel, CustomerID: e.CustomerID, CustomerName: customerName(e),
			SubscriptionIDs: e.Subscriptions, TenantID: e.TenantID, Total: e.Total, Failure: failureOf(e.Before.Message),
		},
		kind: e.Attribution,
	}
}

// customerName returns the name of an entry's customer, which has the id behind it.
func customerName(e *plan.Entry) string {
	return strings.TrimSuffix(e.Customer, " ("+e.CustomerID+")")
}

const messageLocale = "en_US"

func failureOf(message string) commerce.Failure {
	return commerce.Failure{Messages: map[string]string{messageLocale: message}}
}

// page returns the positions of up to n orders of a bitmap from position on, and the position of the next page; -1 if
// there is none.
func (b bitmap) page(position, n, total int) (page []int, next int) {
	for i := max(position, 0); i < total; i++ {
		if !b.has(i) {
			continue
		}
		if len(page) == n {
			return page, i
		}
		page = append(page, i)
	}
	return page, -1
}

// before returns the position at which the page of n orders before position begins; -1 if there is none.
func (b bitmap) before(position, n int) int {
	start := -1
	for i := position - 1; i >= 0 && n > 0; i-- {
		if b.has(i) {
			start, n = i, n-1
		}
	}
	return start
}
