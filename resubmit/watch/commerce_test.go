package watch_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

const outage = "Reason: 502 Bad Gateway."

// order is an order of the shop.
type order struct {
	commerce.Order
	completes time.Time // zero until a push is accepted
}

// push is a push that reached the shop.
type push struct {
	id       string
	at       time.Time
	accepted bool
}

// shop is a small Commerce, in which an order completes five seconds after a push.
type shop struct {
	lock   sync.Mutex
	orders map[string]*order
	ledger []push
}

// add adds an order that failed at an instant.
func (s *shop) add(at time.Time, reason string) *order {
	n := len(s.orders) + 1
	o := &order{Order: commerce.Order{
		ID: fmt.Sprintf("id-%d", n), Number: fmt.Sprintf("SO%06d", n), Type: commerce.TypeSales,
		Status: commerce.StatusProvisioningFailed, PlacedAt: at.Add(-time.Minute), FailedAt: at,
		VendorAccountID: "1", Channel: commerce.ChannelDirect, CustomerName: "Acme",
		SubscriptionIDs: []string{fmt.Sprintf("sub-%d", n)},
		Failure:         commerce.Failure{Messages: map[string]string{"en_US": reason}},
		Transitions: []commerce.Transition{
			{To: commerce.StatusCancelled}, {To: commerce.StatusProvisioning}, {To: commerce.StatusPaid},
		},
	}}
	s.orders[o.ID] = o
	return o
}

// current returns the order as it is now. Called with the lock held.
func (o *order) current() commerce.Order {
	if !o.completes.IsZero() && !time.Now().Before(o.completes) {
		o.Status = commerce.StatusCompleted
	}
	return o.Order
}

func (s *shop) Order(ctx context.Context, id string) (*commerce.Order, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.orders[id] == nil {
		return nil, &commerce.Error{Op: "read order", HTTPStatus: 404}
	}
	return new(s.orders[id].current()), nil
}

func (s *shop) Push(_ context.Context, id string, to commerce.Status) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	o, ok := s.orders[id]
	current := commerce.Order{}
	if ok {
		current = o.current()
	}
	accepted := ok && current.Offers(to)
	s.ledger = append(s.ledger, push{id: id, at: time.Now(), accepted: accepted})
	if !accepted {
		return &commerce.Error{Op: "push order", HTTPStatus: 409, Message: "the order is locked",
			Delivery: commerce.DeliveryRefused}
	}
	o.Status, o.Transitions, o.completes = commerce.StatusProvisioning, nil, time.Now().Add(5*time.Second)
	return nil
}

// failed returns the orders that match a query and failed before now, oldest first.
func (s *shop) failed(q commerce.Query) []*commerce.Order {
	s.lock.Lock()
	defer s.lock.Unlock()
	var found []*commerce.Order
	for _, o := range s.orders {
		if current := o.current(); !current.FailedAt.After(time.Now()) && q.Match(&current) {
			found = append(found, &current)
		}
	}
	slices.SortFunc(found, func(a, b *commerce.Order) int { return a.PlacedAt.Compare(b.PlacedAt) })
	return found
}

func (s *shop) pushes() int {
	s.lock.Lock()
	defer s.lock.Unlock()
	return len(s.ledger)
}

// accepted counts the accepted pushes of an order.
func (s *shop) accepted(id string) (n int) {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, p := range s.ledger {
		if p.id == id && p.accepted {
			n++
		}
	}
	return n
}
