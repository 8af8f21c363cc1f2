package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

// The suites show that the ticket system keeps the promises that the library relies on.
func TestTicketSystem(t *testing.T) {
	t.Parallel()
	fixture := resubmittest.Fixture{
		New: newTestSystem, MissingID: "T-0", Target: commerce.StatusProvisioning,
		Capabilities: new(ticketSystem).Capabilities(),
	}
	t.Run("lister", func(t *testing.T) { resubmittest.TestLister(t, fixture) })
	t.Run("reader", func(t *testing.T) { resubmittest.TestReader(t, fixture) })
	t.Run("pusher", func(t *testing.T) { resubmittest.TestPusher(t, fixture) })
}

// newTestSystem returns an empty ticket system, to which the suites add tickets.
func newTestSystem(testing.TB) resubmittest.System {
	tickets := new(ticketSystem)
	pusher := &countingPusher{tickets: tickets}
	return resubmittest.System{
		Reader: tickets, Pusher: pusher, Ledger: pusher.copyLedger,
		Lister: func(testing.TB, []string) resubmit.OrderLister { return tickets },
		AddOrder: func(_ testing.TB, o resubmittest.OrderSpec) *commerce.Order {
			tickets.mu.Lock()
			defer tickets.mu.Unlock()
			t := ticket{
				number: fmt.Sprintf("T-%d", len(tickets.tickets)+1), kind: o.Type, state: "delivered", placed: o.PlacedAt,
			}
			if o.Status == commerce.StatusProvisioningFailed {
				t.state, t.reason, t.failedAt = "broken", o.Failure, o.PlacedAt
			}
			tickets.tickets = append(tickets.tickets, t)
			return t.order()
		},
		CancelOrder: func(_ testing.TB, id string) {
			tickets.mu.Lock()
			defer tickets.mu.Unlock()
			i := slices.IndexFunc(tickets.tickets, func(t ticket) bool { return t.number == id })
			tickets.tickets[i].state = "cancelled"
		},
	}
}

// countingPusher keeps the ledger of a ticket system. A real system would have its own.
type countingPusher struct {
	tickets *ticketSystem
	mu      sync.Mutex
	ledger  resubmittest.Ledger
}

func (p *countingPusher) Push(ctx context.Context, id string, to commerce.Status) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err := p.tickets.Push(ctx, id, to)
	if ctx.Err() == nil {
		p.ledger.Received++
	}
	if err == nil {
		p.ledger.Accepted = append(p.ledger.Accepted, resubmittest.Push{ID: id, To: to})
	}
	return err
}

func (p *countingPusher) copyLedger() resubmittest.Ledger {
	p.mu.Lock()
	defer p.mu.Unlock()
	return resubmittest.Ledger{Received: p.ledger.Received, Accepted: slices.Clone(p.ledger.Accepted)}
}
