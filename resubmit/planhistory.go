package resubmit

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// past is what the journal knows about an order.
type past struct {
	record protocol.Record
	run    *protocol.Run // of the record; nil if it is not known
	// connectUp means that Connect answers. It is only determined if the run ended because Connect did not.
	connectUp bool
}

// openJournal begins to read the journal, and records its position in the plan.
func (p *planner) openJournal(ctx context.Context) error {
	lease, err := callback.Call(func() (Lease, error) {
		return p.Journal.Begin(ctx, JournalUse{System: p.Name, BaseURL: p.BaseURL, IDSpace: p.Capabilities.IDSpace})
	})
	if err != nil {
		callback.Log(p.Logger, err)
		return fmt.Errorf("resubmit: plan: open the journal: %w", err)
	}
	p.header.Journal, p.forgotten = lease.Position, lease.ForgottenBefore
	return p.recallPause(ctx)
}

// recallPause waits for a Retry-After in the journal, and has later ones recorded for the next run.
func (p *planner) recallPause(ctx context.Context) error {
	pauses := &lease{journal: guardedJournal{p.Journal, p.Logger}}
	pause, err := pauses.recall(ctx)
	if err != nil {
		return fmt.Errorf("resubmit: plan: the journal: %w", err)
	}
	if err := tooLong("a server", pause-retryAfterStep, defaultMaxRetryAfter); err != nil {
		return err
	}
	if pause > 0 {
		p.calls.pace.Hold(pause)
	}
	p.calls.record = func(asked, until time.Time) error {
		return pauses.remember(context.WithoutCancel(ctx), asked, until)
	}
	return nil
}

// get reads a record of the journal.
func (p *planner) get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	r, err := p.Journal.Get(ctx, k)
	if err != nil {
		return r, fmt.Errorf("resubmit: plan: read the %s %s in the journal: %w", k.Kind, text.Short(k.ID), err)
	}
	return r, nil
}

// recall reads what the journal knows about a candidate.
func (p *planner) recall(ctx context.Context, c *candidate) (err error) {
	c.past, err = p.pastOf(ctx, c.order.ID)
	r := c.past.run
	if err == nil && r != nil && (r.End == protocol.RunCircuitOpen || r.End == protocol.RunCanaryStopped) {
		c.past.connectUp = c.facts.RequestsQueried && c.facts.RequestsErr == nil || p.probed()
	}
	return err
}

func (p *planner) pastOf(ctx context.Context, orderID string) (h past, err error) {
	if h.record, err = p.get(ctx, protocol.OrderKey(orderID)); err == nil && h.record.Order != nil {
		h.run, err = p.runs.get(ctx, p, h.record.Order)
	}
	return h, err
}

// settledAt returns from when on a read of the order shows what became of it.
func (h *past) settledAt(policy *protocol.Policy) time.Time {
	return policy.SettledAt(h.record.Order, h.run.LeaseOver())
}

// judgePast makes an order wait or holds it because of what was done to it before.
func (p *planner) judgePast(c *candidate, m moment) (v choice) {
	o, e := c.past.record.Order, c.item.entry
	if o == nil && p.forgotten.IsZero() {
		return choice{}
	}
	f := protocol.Failure{
		Fingerprint: e.Fingerprint, Template: failure.Template(e.Before.Message), PlacedAt: e.Before.PlacedAt,
	}
	h := protocol.History{
		Run: c.past.run, ConnectUp: c.past.connectUp, ForgottenBefore: p.forgotten, Named: e.Named,
	}
	now, leaseOver := time.Now(), c.past.run.LeaseOver()
	if due := protocol.WaitUntil(c.past.record, f, h, leaseOver, &p.Policy); due.After(now) {
		return waitUntil(due, rules.IDOrderInProgress, whyInProgress(o, leaseOver.After(now)))
	}
	if w, ok := p.Calendar.Last(m.now); ok {
		h.OutageEnded = w.Span().End
	}
	if why := protocol.Hold(c.past.record, f, h, &p.Policy); why != "" {
		return decided(rules.Hold, rules.IDHistory, why)
	}
	return choice{}
}

// whyInProgress returns why a planned order must wait, given its record and whether its run lives.
func whyInProgress(o *protocol.Order, lives bool) string {
	switch {
	case o == nil:
		return "a push that the journal has lost may still be under way"
	case lives:
		return fmt.Sprintf("run %s is working on it", text.Short(o.Run))
	default:
		return fmt.Sprintf("an earlier push by run %s may still be under way", text.Short(o.Run))
	}
}

// runRecords has the records of the leases that the records of orders name.
type runRecords struct {
	mu   sync.Mutex
	runs map[protocol.Key]*protocol.Run
}

// get returns the record of the lease with which an order's record was written; nil if the journal has none.
func (r *runRecords) get(ctx context.Context, p *planner, o *protocol.Order) (*protocol.Run, error) {
	key := protocol.LeaseKey(o.Run, o.Epoch)
	r.mu.Lock()
	defer r.mu.Unlock()
	if run, known := r.runs[key]; known {
		return run, nil
	}
	rec, err := p.get(ctx, key)
	if err != nil {
		return nil, err
	}
	if r.runs == nil {
		r.runs = make(map[protocol.Key]*protocol.Run)
	}
	r.runs[key] = rec.Run
	return rec.Run, nil
}

// probeTries is how often a planner probes Connect, since a single probe does not survive one lost packet.
const probeTries = 3

// probe reports whether Connect answers a probe; false without a Prober.
func (p *planner) probe(ctx context.Context) bool {
	if p.Prober == nil || p.take(ctx) != nil {
		return false
	}
	defer p.give()
	for tries := 1; ; tries++ {
		turn, err := p.calls.next(ctx)
		if err != nil {
			return false
		}
		found, err := callback.Call(func() (connect.Probe, error) { return p.Prober.Probe(turn) })
		callback.Log(p.Logger, err)
		if up := err == nil && found.Class == connect.ClassUp; up || tries == probeTries {
			return up
		}
		if sleep(ctx, time.Second<<(tries-1)) != nil {
			return false
		}
	}
}
