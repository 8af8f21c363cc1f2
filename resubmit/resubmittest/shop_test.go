package resubmittest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

const shopSecret = "the-password-of-the-shop"

// shop is another Commerce Management System in memory, and its adapter.
type shop struct {
	poor bool // reports neither failures nor transitions, and lists given ids only

	mu       sync.Mutex
	orders   []*commerce.Order // as they are now
	accounts map[string]string
	accepted []resubmittest.Push
	faults   resubmittest.FaultDriver
	mixes    bool // reads meet another order
}

// shopErrors are the errors of a shop during faults.
func shopErrors() map[resubmittest.Fault]error {
	fail := func(status int, d commerce.Delivery, err error) error {
		return &commerce.Error{Op: "call", HTTPStatus: status, Delivery: d, Err: err}
	}
	return map[resubmittest.Fault]error{
		resubmittest.FaultUnavailable:  fail(http.StatusServiceUnavailable, commerce.DeliveryUnknown, nil),
		resubmittest.FaultUnauthorized: fail(http.StatusUnauthorized, commerce.DeliveryRefused, nil),
		resubmittest.FaultRateLimited: &commerce.Error{Op: "call", HTTPStatus: http.StatusTooManyRequests,
			Delivery: commerce.DeliveryRefused, RetryAfter: 7 * time.Second},
		resubmittest.FaultHTMLPage:          fail(http.StatusOK, commerce.DeliveryUnknown, commerce.ErrUnavailable),
		resubmittest.FaultResponseLost:      fail(0, commerce.DeliveryUnknown, commerce.ErrUnavailable),
		resubmittest.FaultResponseReplaced:  fail(http.StatusBadGateway, commerce.DeliveryUnknown, nil),
		resubmittest.FaultResponseTruncated: fail(http.StatusOK, commerce.DeliveryUnknown, io.ErrUnexpectedEOF),
	}
}

// rich is the fixture of a shop with all capabilities.
func rich() resubmittest.Fixture {
	return resubmittest.Fixture{
		New: func(testing.TB) resubmittest.System { return newShop(false).system() }, MissingID: "no such order",
		Capabilities: commerce.Capabilities{Failure: true, Transitions: true}, Accounts: []string{"left", "right"},
		Faults: resubmittest.AllFaults(), Secrets: []string{shopSecret},
	}
}

// poor is the fixture of a shop without any capabilities.
func poor() resubmittest.Fixture {
	return resubmittest.Fixture{
		New: func(testing.TB) resubmittest.System {
			system := newShop(true).system()
			system.Inject = nil
			return system
		},
		MissingID: "no such order", ListsByID: true, AmbiguousRefusals: true,
	}
}

func newShop(poor bool) *shop {
	return &shop{poor: poor, accounts: map[string]string{}, faults: resubmittest.FaultDriver{Errors: shopErrors()}}
}

func (s *shop) system() resubmittest.System {
	return resubmittest.System{
		AddOrder: s.put, CancelOrder: s.cancel, Ledger: s.readLedger, Inject: s.inject,
		Lister: func(_ testing.TB, ids []string) resubmit.OrderLister { return shopLister{s, ids} },
		Reader: s, Pusher: s,
	}
}

func (s *shop) put(_ testing.TB, n resubmittest.OrderSpec) *commerce.Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	number := fmt.Sprintf("N%04d", len(s.orders)+1)
	o := &commerce.Order{
		ID: n.ID, Number: number, Type: n.Type, Status: n.Status, PlacedAt: n.PlacedAt, Total: n.Total,
		CustomerID: "C" + number,
	}
	if o.ID == "" {
		o.ID = "id " + number
	}
	if !s.poor && n.Failure != "" {
		o.Failure.Messages = map[string]string{"en_US": "it failed: " + n.Failure}
	}
	s.offer(o)
	s.orders = append(s.orders, o)
	s.accounts[o.ID] = n.Account
	return new(*o)
}

func (s *shop) offer(o *commerce.Order) {
	if s.poor {
		return
	}
	o.Transitions = []commerce.Transition{}
	if o.Status == commerce.StatusProvisioningFailed {
		o.Transitions = append(o.Transitions, commerce.Transition{To: commerce.StatusPaid})
	}
}

// move moves an order. The lock must be held.
func (s *shop) move(o *commerce.Order, to commerce.Status) {
	o.Status, o.Failure = to, commerce.Failure{}
	s.offer(o)
}

func (s *shop) cancel(_ testing.TB, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.find(id); o != nil {
		s.move(o, commerce.StatusCancelled)
	}
}

func (s *shop) readLedger() resubmittest.Ledger {
	s.mu.Lock()
	defer s.mu.Unlock()
	return resubmittest.Ledger{Received: s.faults.Pushes(), Accepted: slices.Clone(s.accepted)}
}

func (s *shop) inject(t testing.TB, f resubmittest.Fault, on resubmittest.CallKind) func() {
	if f != resubmittest.FaultWrongOrder {
		return s.faults.Inject(t, f, on)
	}
	mix := func(on bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.mixes = on
	}
	mix(true)
	return func() { mix(false) }
}

func (s *shop) find(id string) *commerce.Order {
	for _, o := range s.orders {
		if o.ID == id {
			return o
		}
	}
	return nil
}

// call calls act while holding the lock, or fails according to the fault.
func (s *shop) call(ctx context.Context, on resubmittest.CallKind, act func() error) error {
	if err := ctx.Err(); err != nil {
		return &commerce.Error{Op: string(on), Delivery: commerce.DeliveryNotSent, Err: err}
	}
	err := s.faults.Call(ctx, on, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		return act()
	})
	if ended := ctx.Err(); ended != nil && errors.Is(err, ended) {
		err = &commerce.Error{Op: string(on), Delivery: commerce.DeliveryUnknown, Err: err}
	}
	return err
}

// Order implements resubmit.OrderReader.
func (s *shop) Order(ctx context.Context, id string) (*commerce.Order, error) {
	var read *commerce.Order
	err := s.call(ctx, resubmittest.Reads, func() error {
		o := s.find(id)
		if o == nil {
			return &commerce.Error{Op: "read", Err: commerce.ErrNotFound}
		}
		if s.mixes {
			return &commerce.Error{Op: "read", Err: fmt.Errorf("the response to a read of %q is about another order", id)}
		}
		read = new(*o)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return read, nil
}

// Push implements resubmit.Pusher.
func (s *shop) Push(ctx context.Context, id string, to commerce.Status) error {
	return s.call(ctx, resubmittest.Pushes, func() error {
		refusal := &commerce.Error{Op: "push", Delivery: commerce.DeliveryRefused, Err: commerce.ErrConflict}
		if s.poor {
			refusal.Delivery = commerce.DeliveryUnknown
		}
		o := s.find(id)
		if o == nil || o.Status != commerce.StatusProvisioningFailed || to != commerce.StatusPaid {
			return refusal
		}
		s.move(o, to)
		s.accepted = append(s.accepted, resubmittest.Push{ID: id, To: to})
		return nil
	})
}

// shopLister lists the orders of a shop in pages.
type shopLister struct {
	shop *shop
	ids  []string
}

const shopPage = 7

// Orders implements resubmit.OrderLister.
func (s shopLister) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		var found []*commerce.Order
		err := s.shop.call(ctx, resubmittest.Reads, func() (err error) {
			found, err = s.find(q)
			return err
		})
		for i := 0; err == nil && i < len(found); i++ {
			if i > 0 && i%shopPage == 0 {
				err = s.shop.call(ctx, resubmittest.Reads, func() error { return nil })
			}
			if err == nil && !yield(found[i], nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// find returns the orders of a query. The lock must be held.
func (s shopLister) find(q commerce.Query) ([]*commerce.Order, error) {
	if s.shop.poor && q.Account != "" {
		return nil, &commerce.Error{Op: "list", Delivery: commerce.DeliveryNotSent,
			Err: errors.New("accounts are not supported")}
	}
	var found []*commerce.Order
	for _, o := range s.shop.orders {
		if q.Match(o) && (q.Account == "" || s.shop.accounts[o.ID] == q.Account) &&
			(!s.shop.poor || slices.Contains(s.ids, o.ID)) {
			found = append(found, new(*o))
		}
	}
	for _, id := range s.ids {
		if s.shop.poor && s.shop.find(id) == nil {
			return nil, &commerce.Error{Op: "list", Err: fmt.Errorf("%w: %q", commerce.ErrNotFound, id)}
		}
	}
	slices.SortStableFunc(found, func(a, b *commerce.Order) int { return a.PlacedAt.Compare(b.PlacedAt) })
	if q.Sort == commerce.NewestFirst {
		slices.Reverse(found)
	}
	if q.Limit > 0 {
		found = found[:min(q.Limit, len(found))]
	}
	return found, nil
}

func TestSuitesWithAnotherSystem(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]resubmittest.Fixture{"all capabilities": rich(),
		"no capabilities": poor()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("lister", func(t *testing.T) { resubmittest.TestLister(t, f) })
			t.Run("reader", func(t *testing.T) { resubmittest.TestReader(t, f) })
			t.Run("pusher", func(t *testing.T) { resubmittest.TestPusher(t, f) })
		})
	}
}
