package commercetest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// store holds the orders in the order of placing. The System's lock guards it.
type store struct {
	seed           uint64
	records        []*record
	byID           map[string]*record // by APS id
	byName         map[string]*record // by number and by billing id
	bySubscription map[string][]*record

	tokens map[string]token // by value
	issued int              // tokens issued so far
	nonces map[string]int64 // of OAuth, with their timestamps
}

// record is an order with the state that no API shows.
type record struct {
	Order
	seq int
	// turn counts the moves of the order, so that an event or an answer that belongs to
	// an earlier turn is dropped.
	turn int
	// polls counts the waits for Connect, so that each is drawn independently.
	polls int
	// pushedFor is the ordinal of the failure that was pushed last; 0 if none was.
	pushedFor int
	// pushedAt is when the last push of a client was accepted; inProgress is set until
	// the order has ended after it.
	pushedAt   time.Time
	inProgress bool
	// doubled is set when a second event was created: the order will complete with a
	// failed item (resubmit/SAFETY.md#f9).
	doubled bool
	// stale is what reads return until staleUntil; nil means the current order.
	stale      *Order
	staleUntil time.Time
}

func newStore(seed uint64) store {
	return store{
		seed: seed,
		byID: map[string]*record{}, byName: map[string]*record{}, bySubscription: map[string][]*record{},
		tokens: map[string]token{}, nonces: map[string]int64{},
	}
}

func (st *store) add(n OrderSpec, provider string, now time.Time) *record {
	seq := len(st.records) + 1
	typ := cmp.Or(n.Type, commerce.TypeSales)
	rec := &record{seq: seq, Order: Order{
		ID:        st.uuid("order", strconv.Itoa(seq)),
		BillingID: strconv.Itoa(1000000 + seq),
		Number:    fmt.Sprintf("%s%06d", typ, seq),
		Type:      typ,
		PlacedAt:  now.UTC(),

		VendorAccount: cmp.Or(n.VendorAccount, provider),
		Customer:      cmp.Or(n.Customer, strconv.Itoa(5000+seq)),
		Subscription:  cmp.Or(n.Subscription, strconv.Itoa(700000+seq)),
		Product:       cmp.Or(n.Product, DefaultProduct),
		Total:         n.Total,
		Comments:      n.Comments,
		RequestType:   cmp.Or(n.RequestType, requestOf(typ)),
		FailWith:      n.FailWith,
	}}
	rec.CustomerName = cmp.Or(n.CustomerName, "Customer "+rec.Customer)
	rec.Tenant = cmp.Or(n.Tenant, st.tenant(rec.Subscription))
	if rec.Total.IsZero() {
		rec.Total = defaultTotal()
	}
	st.records = append(st.records, rec)
	st.byID[rec.ID], st.byName[rec.Number], st.byName[rec.BillingID] = rec, rec, rec
	st.bySubscription[rec.Subscription] = append(st.bySubscription[rec.Subscription], rec)
	return rec
}

// find returns the order with any of its ids; nil if there is none.
func (st *store) find(id string) *record {
	if rec, ok := st.byID[id]; ok {
		return rec
	}
	return st.byName[id]
}

// tenant is the tenant of the subscription's first order, or a new one.
func (st *store) tenant(subscription string) string {
	if older := st.bySubscription[subscription]; len(older) > 0 {
		return older[0].Tenant
	}
	return st.uuid("tenant", subscription)
}

// uuid derives an id from the seed and a name, so that it does not depend on the order
// of concurrent calls.
func (st *store) uuid(kind, name string) string {
	r := st.random(kind + " " + name)
	hi, lo := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x",
		hi>>32, hi>>16&0xffff, hi&0xfff, 0x8000|lo>>48&0x3fff, lo&0xffffffffffff)
}

func (st *store) random(name string) *rand.Rand { return testkit.Random(st.seed, name) }

// view is the order as APIs return it.
func (rec *record) view(now time.Time) Order {
	if rec.stale != nil && now.Before(rec.staleUntil) {
		return *rec.stale
	}
	return rec.Order
}
