package main

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// ticketSystem is an ordering system of one's own. Its exported methods are all that the library needs.
type ticketSystem struct {
	mu      sync.Mutex
	tickets []ticket
}

// ticket is an order of the ticket system.
type ticket struct {
	number   string
	state    string // "broken" or "delivered"
	reason   string
	placed   time.Time
	failedAt time.Time
}

func newTicketSystem(start time.Time) *ticketSystem {
	return &ticketSystem{tickets: []ticket{
		{number: "T-1", state: "broken", reason: "503 Service Unavailable", placed: start.Add(10 * time.Minute),
			failedAt: start.Add(11 * time.Minute)},
		{number: "T-2", state: "broken", reason: "the vendor has rejected the request: no stock",
			placed: start.Add(20 * time.Minute), failedAt: start.Add(21 * time.Minute)},
		{number: "T-3", state: "broken", reason: "connection refused", placed: start.Add(-90 * time.Minute),
			failedAt: start.Add(-89 * time.Minute)},
		{number: "T-4", state: "delivered", placed: start.Add(30 * time.Minute)},
		{number: "T-5", state: "broken", reason: "502 Bad Gateway", placed: start.Add(70 * time.Minute),
			failedAt: start.Add(71 * time.Minute)},
	}}
}

// System names the ticket system in plans, which are rejected for any other system.
func (s *ticketSystem) System() string { return "ticket system of the example" }

// BaseURL returns nothing: this ticket system has no address.
func (s *ticketSystem) BaseURL() string { return "" }

// Capabilities declares that tickets have a reason of their failure, and transitions.
func (s *ticketSystem) Capabilities() commerce.Capabilities {
	return commerce.Capabilities{Failure: true, Transitions: true, IDSpace: "ticket"}
}

// Orders lists the tickets that match, oldest first.
func (s *ticketSystem) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
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

// Order returns one ticket.
func (s *ticketSystem) Order(_ context.Context, id string) (*commerce.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tickets {
		if t.number == id {
			return t.order(), nil
		}
	}
	return nil, &commerce.Error{Op: "read order", Err: commerce.ErrNotFound}
}

// Push delivers a broken ticket. Any other ticket is refused: commerce.Refused states that nothing was done.
func (s *ticketSystem) Push(_ context.Context, id string, _ commerce.Status) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, t := range s.tickets {
		if t.number == id && t.state == "broken" {
			s.tickets[i].state = "delivered"
			return nil
		}
	}
	return &commerce.Error{Op: "push order", Message: "ticket " + id + " is not broken",
		Delivery: commerce.DeliveryRefused,
		Err:      commerce.ErrConflict}
}

// order converts a ticket to an order of the library.
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
		o.FailedAt = t.failedAt
		o.Failure = commerce.Failure{Messages: map[string]string{"en_US": t.reason}}
		o.Transitions = []commerce.Transition{{To: commerce.StatusProvisioning}}
	}
	return o
}
