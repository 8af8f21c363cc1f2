package resubmittest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

// desk is an adapter that keeps a few orders in memory, where yours would call your system. It reports neither failures
// nor transitions.
type desk struct {
	mu     sync.Mutex
	orders map[string]*commerce.Order
	ledger resubmittest.Ledger // a real system would keep it itself
}

func (d *desk) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		if q.Account != "" {
			yield(nil, errors.New("accounts are not supported: leave out the account"))
			return
		}
		found := d.find(&q)
		for i, o := range found {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if !yield(o, nil) || i+1 == q.Limit {
				return
			}
		}
	}
}

func (d *desk) find(q *commerce.Query) []*commerce.Order {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []*commerce.Order
	for _, o := range d.orders {
		if q.Match(o) {
			found = append(found, new(*o))
		}
	}
	slices.SortFunc(found, func(a, b *commerce.Order) int { return a.PlacedAt.Compare(b.PlacedAt) })
	if q.Sort == commerce.NewestFirst {
		slices.Reverse(found)
	}
	return found
}

func (d *desk) Order(ctx context.Context, id string) (*commerce.Order, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	o, ok := d.orders[id]
	if !ok {
		return nil, fmt.Errorf("%w: order %q", commerce.ErrNotFound, id)
	}
	return new(*o), nil
}

func (d *desk) Push(ctx context.Context, id string, to commerce.Status) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return &commerce.Error{Op: "push order", Delivery: commerce.DeliveryNotSent, Err: err}
	}
	d.ledger.Received++
	o, ok := d.orders[id]
	if !ok || o.Status != commerce.StatusProvisioningFailed || to != commerce.StatusPaid {
		return &commerce.Error{Op: "push order", Delivery: commerce.DeliveryRefused, Err: commerce.ErrConflict}
	}
	o.Status = to
	d.ledger.Accepted = append(d.ledger.Accepted, resubmittest.Push{ID: id, To: to})
	return nil
}

// newDesk makes a system for the suites: they add orders to it and read its ledger.
func newDesk(testing.TB) resubmittest.System {
	d := &desk{orders: map[string]*commerce.Order{}}
	return resubmittest.System{
		Reader: d, Pusher: d,
		Lister: func(testing.TB, []string) resubmit.OrderLister { return d },
		AddOrder: func(_ testing.TB, n resubmittest.OrderSpec) *commerce.Order {
			d.mu.Lock()
			defer d.mu.Unlock()
			id := fmt.Sprintf("D-%d", len(d.orders)+1)
			d.orders[id] = &commerce.Order{ID: id, Number: id, Type: n.Type, Status: n.Status, PlacedAt: n.PlacedAt,
				Total: n.Total}
			return new(*d.orders[id])
		},
		CancelOrder: func(_ testing.TB, id string) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.orders[id].Status = commerce.StatusCancelled
		},
		Ledger: func() resubmittest.Ledger {
			d.mu.Lock()
			defer d.mu.Unlock()
			return resubmittest.Ledger{Received: d.ledger.Received, Accepted: slices.Clone(d.ledger.Accepted)}
		},
	}
}

// The suites for an adapter. In your package, testDesk is a test: func TestDesk(t *testing.T).
func Example() {
	testDesk := func(t *testing.T) {
		fixture := resubmittest.Fixture{New: newDesk, MissingID: "D-0"} // without Faults, some promises are not checked
		t.Run("lister", func(t *testing.T) { resubmittest.TestLister(t, fixture) })
		t.Run("reader", func(t *testing.T) { resubmittest.TestReader(t, fixture) })
		t.Run("pusher", func(t *testing.T) { resubmittest.TestPusher(t, fixture) })
	}
	fmt.Println("passed:", passes(testDesk))
	// Output: passed: true
}
