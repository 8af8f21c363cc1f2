package main

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// shop is the made-up ordering system. Its three methods, Orders, Order and
// Push, are all that the library wants of any Commerce Management System.
type shop struct {
	mu      sync.Mutex
	tickets []ticket
}

// ticket is an order in the words of the shop.
type ticket struct {
	number  string
	state   string // "broken" or "delivered"
	trouble string
	placed  time.Time
	broke   time.Time
}

func newShop(night time.Time) *shop {
	return &shop{tickets: []ticket{
		{number: "T-1", state: "broken", trouble: "503 Service Unavailable", placed: night.Add(10 * time.Minute),
			broke: night.Add(11 * time.Minute)},
		{number: "T-2", state: "broken", trouble: "the vendor has rejected the request: no stock",
			placed: night.Add(20 * time.Minute), broke: night.Add(21 * time.Minute)},
		{number: "T-3", state: "broken", trouble: "connection refused", placed: night.Add(-90 * time.Minute),
			broke: night.Add(-89 * time.Minute)},
		{number: "T-4", state: "delivered", placed: night.Add(30 * time.Minute)},
		{number: "T-5", state: "broken", trouble: "502 Bad Gateway", placed: night.Add(70 * time.Minute),
			broke: night.Add(71 * time.Minute)},
	}}
}

// Orders lists oldest first, and narrows nothing down but by the query's own Match.
func (s *shop) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		s.mu.Lock()
		tickets := slices.Clone(s.tickets)
		s.mu.Unlock()
		slices.SortFunc(tickets, func(a, b ticket) int { return a.placed.Compare(b.placed) })
		for _, t := range tickets {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			if o := t.order(); q.Match(o) && !yield(o, nil) {
				return
			}
		}
	}
}

// Order reads one ticket.
func (s *shop) Order(_ context.Context, id string) (*commerce.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tickets {
		if t.number == id {
			return t.order(), nil
		}
	}
	return nil, &commerce.Error{Op: "read order", Err: commerce.ErrNotFound}
}

// Push tries a broken ticket again. The shop refuses anything else, and says so
// in a way that the library understands: Refused means that nothing was done.
func (s *shop) Push(_ context.Context, id string, _ commerce.Status) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, t := range s.tickets {
		if t.number == id && t.state == "broken" {
			s.tickets[i].state = "delivered"
			return nil
		}
	}
	return &commerce.Error{Op: "push order", Message: "ticket " + id + " is not broken", Delivery: commerce.Refused,
		Err: commerce.ErrConflict}
}

// order says the ticket in the words of the library.
func (t ticket) order() *commerce.Order {
	o := &commerce.Order{
		ID: t.number, Number: t.number, Type: commerce.TypeSales,
		SubscriptionIDs: []string{"sub-" + t.number},
		PlacedAt:        t.placed,
		Status:          commerce.StatusCompleted,
		Transitions:     []commerce.Transition{},
	}
	if t.state == "broken" {
		o.Status = commerce.StatusProvisioningFailed
		o.FailedAt = t.broke
		o.Failure = commerce.Failure{Text: map[string]string{"en_US": t.trouble}}
		o.Transitions = []commerce.Transition{{To: commerce.StatusProvisioning}}
	}
	return o
}
