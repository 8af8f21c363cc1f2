package main

import (
	"context"
	"errors"
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
	kind     commerce.OrderType
	state    string // "broken", "delivered" or "cancelled"
	reason   string
	placed   time.Time
	failedAt time.Time
}

func newTicketSystem(start time.Time) *ticketSystem {
	failed := func(number, reason string, after time.Duration) ticket {
		placed := start.Add(after)
		return ticket{
			number: number, kind: commerce.TypeSales, state: "broken", reason: reason, placed: placed,
			failedAt: placed.Add(time.Minute),
		}
	}
	return &ticketSystem{tickets: []ticket{
		failed("T-1", "503 Service Unavailable", 10*time.Minute),
		failed("T-2", "the vendor has rejected the request: no stock", 20*time.Minute),
		failed("T-3", "connection refused", -90*time.Minute),
		{number: "T-4", kind: commerce.TypeSales, state: "delivered", placed: start.Add(30 * time.Minute)},
		failed("T-5", "502 Bad Gateway", 70*time.Minute),
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

// Orders lists the tickets that match, in the order that the query asks for. Tickets have no account to list by.
func (s *ticketSystem) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		if q.Account != "" {
			yield(nil, errors.New("list tickets: tickets have no account: leave it out"))
			return
		}
		for i, o := range s.find(&q) {
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

// find returns the tickets that match, sorted.
func (s *ticketSystem) find(q *commerce.Query) (found []*commerce.Order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tickets {
		if o := t.order(); q.Match(o) {
			found = append(found, o)
		}
	}
	slices.SortStableFunc(found, func(a, b *commerce.Order) int { return a.PlacedAt.Compare(b.PlacedAt) })
	if q.Sort == commerce.NewestFirst {
		slices.Reverse(found)
	}
	return found
}

// Order returns one ticket.
func (s *ticketSystem) Order(ctx context.Context, id string) (*commerce.Order, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.index(id); i >= 0 {
		return s.tickets[i].order(), nil
	}
	return nil, &commerce.Error{Op: "read ticket " + id, Err: commerce.ErrNotFound}
}

// index returns the index of a ticket, or -1. The mutex must be locked.
func (s *ticketSystem) index(id string) int {
	return slices.IndexFunc(s.tickets, func(t ticket) bool { return t.number == id })
}

// Push delivers a broken ticket. Nothing is done for any other ticket or status, which the Delivery of the error says.
func (s *ticketSystem) Push(ctx context.Context, id string, to commerce.Status) error {
	if err := ctx.Err(); err != nil {
		return &commerce.Error{Op: "push ticket " + id, Delivery: commerce.DeliveryNotSent, Err: err}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(id)
	if i < 0 || s.tickets[i].state != "broken" || to != commerce.StatusProvisioning {
		return &commerce.Error{
			Op: "push ticket " + id, Message: "there is no broken ticket with this number that can become " + string(to),
			Delivery: commerce.DeliveryRefused, Err: commerce.ErrConflict,
		}
	}
	s.tickets[i].state = "delivered"
	return nil
}

// order converts a ticket to an order of the library.
func (t ticket) order() *commerce.Order {
	o := &commerce.Order{
		ID: t.number, Number: t.number, Type: t.kind,
		SubscriptionIDs: []string{"sub-" + t.number},
		PlacedAt:        t.placed,
		Status:          commerce.StatusCompleted,
		Transitions:     []commerce.Transition{},
	}
	switch t.state {
	case "cancelled":
		o.Status = commerce.StatusCancelled
	case "broken":
		o.Status = commerce.StatusProvisioningFailed
		o.FailedAt = t.failedAt
		o.Failure = commerce.Failure{Messages: map[string]string{"en_US": t.reason}}
		o.Transitions = []commerce.Transition{{To: commerce.StatusProvisioning}}
	}
	return o
}
