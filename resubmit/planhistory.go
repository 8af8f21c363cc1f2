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
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
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

// history reads what was done to orders before: it is in the journal.
type history struct {
	*PlanConfig
	calls     *planCalls
	forgotten time.Time   // when the journal lost records
	probed    func() bool // whether Connect answers a probe

	mu   sync.Mutex
	runs map[protocol.Key]*protocol.Run // the leases that the records of orders name
}

// open begins to read the journal, and returns its position.
func (h *history) open(ctx context.Context) (plan.Position, error) {
	h.probed = sync.OnceValue(func() bool { return h.probe(ctx) })
	lease, err := callback.Call(func() (Lease, error) {
		return h.Journal.Begin(ctx, JournalUse{System: h.Name, BaseURL: h.BaseURL, IDSpace: h.Capabilities.IDSpace})
	})
	if err != nil {
		callback.Log(h.Logger, err)
		return plan.Position{}, fmt.Errorf("resubmit: plan: open the journal: %w", err)
	}
	h.forgotten = lease.ForgottenBefore
	return lease.Position, h.recallPause(ctx)
}

// recallPause waits for a Retry-After in the journal, and has later ones recorded for the next run.
func (h *history) recallPause(ctx context.Context) error {
	pauses := &lease{journal: guardedJournal{h.Journal, h.Logger}}
	pause, err := pauses.recallPause(ctx)
	if err != nil {
		return fmt.Errorf("resubmit: plan: the journal: %w", err)
	}
	if err := tooLong("a server", pause-retryAfterStep, defaultMaxRetryAfter); err != nil {
		return err
	}
	if pause > 0 {
		h.calls.pace.Hold(pause)
	}
	h.calls.record = func(asked, until time.Time) error {
		return pauses.remember(context.WithoutCancel(ctx), asked, until)
	}
	return nil
}

// get reads a record of the journal.
func (h *history) get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	r, err := h.Journal.Get(ctx, k)
	if err != nil {
		return r, fmt.Errorf("resubmit: plan: read the %s %s in the journal: %w", k.Kind, text.Short(k.ID), err)
	}
	return r, nil
}

// recall reads what the journal knows about a candidate.
func (h *history) recall(ctx context.Context, c *candidate) (err error) {
	c.past, err = h.of(ctx, c.order.ID)
	r := c.past.run
	if err == nil && r != nil && (r.End == protocol.RunCircuitOpen || r.End == protocol.RunCanaryStopped) {
		c.past.connectUp = c.facts.RequestsQueried && c.facts.RequestsErr == nil || h.probed()
	}
	return err
}

func (h *history) of(ctx context.Context, orderID string) (before past, err error) {
	before.record, err = h.get(ctx, protocol.OrderKey(orderID))
	if err == nil && before.record.Order != nil {
		before.run, err = h.run(ctx, before.record.Order)
	}
	return before, err
}

// settledAt returns from when on a read of the order shows what became of it.
func (h *past) settledAt(policy *protocol.Policy) time.Time {
	return policy.SettledAt(h.record.Order, h.run.LeaseExpiry())
}

// judge makes an order wait or holds it because of what was done to it before.
func (h *history) judge(c *candidate, m moment) (v choice) {
	o, e := c.past.record.Order, c.item.entry
	if o == nil && h.forgotten.IsZero() {
		return choice{}
	}
	f := protocol.Failure{
		Fingerprint: e.Fingerprint, Template: failure.Template(e.Before.Message), PlacedAt: e.Before.PlacedAt,
	}
	known := protocol.History{
		Run: c.past.run, ConnectUp: c.past.connectUp, ForgottenBefore: h.forgotten, Named: e.Named,
	}
	now, leaseExpiry := time.Now(), c.past.run.LeaseExpiry()
	if due := protocol.DecidableAt(c.past.record, f, known, leaseExpiry, &h.Policy); due.After(now) {
		return waitUntil(due, rules.IDOrderInProgress, whyInProgress(o, leaseExpiry.After(now)))
	}
	if w, ok := h.Calendar.Last(m.now); ok {
		known.OutageEnded = w.Span().End
	}
	why := protocol.HoldReason(c.past.record, f, known, &h.Policy)
	switch {
	case why == "":
		return choice{}
	case o.DoneByHand():
		return decided(rules.Complete, rules.IDHistory, why)
	default:
		return decided(rules.Hold, rules.IDHistory, why)
	}
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

// run returns the record of the lease with which an order's record was written; nil if the journal has none.
func (h *history) run(ctx context.Context, o *protocol.Order) (*protocol.Run, error) {
	key := protocol.LeaseKey(o.Run, o.Epoch)
	h.mu.Lock()
	defer h.mu.Unlock()
	if run, known := h.runs[key]; known {
		return run, nil
	}
	rec, err := h.get(ctx, key)
	if err != nil {
		return nil, err
	}
	if h.runs == nil {
		h.runs = make(map[protocol.Key]*protocol.Run)
	}
	h.runs[key] = rec.Run
	return rec.Run, nil
}

// probeTries is how often a planner probes Connect, since a single probe does not survive one lost packet.
const probeTries = 3

// probe reports whether Connect answers a probe; false without a Prober.
func (h *history) probe(ctx context.Context) bool {
	if h.Prober == nil || h.calls.slots.Take(ctx) != nil {
		return false
	}
	defer h.calls.slots.Give()
	for tries := 1; ; tries++ {
		turn, err := h.calls.next(ctx)
		if err != nil {
			return false
		}
		found, err := callback.Call(func() (connect.Probe, error) { return h.Prober.Probe(turn) })
		callback.Log(h.Logger, err)
		if up := err == nil && found.Class == connect.ClassUp; up || tries == probeTries {
			return up
		}
		if sleep(ctx, time.Second<<(tries-1)) != nil {
			return false
		}
	}
}
