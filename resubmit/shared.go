package resubmit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// Processes that share a journal tell each other through it what holds for all of them: a Retry-After, what operators
// want of a run, and that a circuit is open.

// circuitKey is the key of the record that says whether the circuit of a process is open.
var circuitKey = protocol.Key{Kind: protocol.KindSystem, ID: "circuit"}

// circuitPolls is for how many polls the circuit of another process is taken to be open after it was last recorded. It
// is recorded again after a third of them.
const circuitPolls = 9

// shared is what a run knows of other processes.
type shared struct {
	control  uint64    // version of the record of the run
	circuit  uint64    // version of the record of the circuit
	recorded time.Time // when this process has recorded that its circuit is open; zero if it has not
}

// follow reads what other processes record, until the run ends.
func (x *run) follow() {
	if x.lease.Duration == 0 {
		return
	}
	for sleep(x.ctx, x.lease.poll()) == nil {
		if pause, err := x.lease.recall(x.ctx); err == nil && pause > 0 {
			x.obey(pause)
		}
		if r, err := x.cfg.Journal.Get(x.ctx, protocol.RunKey(x.digest)); err == nil {
			x.obeyControl(&r)
		}
		x.shareCircuit()
	}
}

func (l *lease) poll() time.Duration { return cmp.Or(l.Poll, l.Duration/4) }

// obey pauses all calls for the rest of a Retry-After that another process was sent.
func (x *run) obey(pause time.Duration) {
	if err := tooLong("a server", pause-retryAfterStep, x.cfg.MaxRetryAfter); err != nil {
		x.fail(err)
	}
	x.caller.pace.Hold(pause)
}

// obeyControl does what operators want of the run, if that has changed.
func (x *run) obeyControl(r *protocol.Record) {
	if r.Run == nil || r.Version == x.shared.control {
		return
	}
	x.shared.control = r.Version
	c := &r.Run.Control
	who := commandedBy(c)
	if c.Rate != 0 {
		x.caller.pace.SetLimit(c.Rate)
	}
	ordered := ""
	if c.Paused {
		ordered = who
	}
	if x.gate.set(func(g *gate) bool { was := g.ordered; g.ordered = ordered; return (was == "") != (ordered == "") }) {
		x.reportControl(who)
	}
	switch c.Stop {
	case StopDrain:
		x.drain(who)
	case StopCancel:
		x.end(stopped(c))
	}
}

// stopped returns the error of a run that operators want to end; nil if they do not.
func stopped(c *Control) error {
	if c.Stop == "" {
		return nil
	}
	return fmt.Errorf("%w %s", cmp.Or(map[ControlStop]error{StopDrain: ErrDrained}[c.Stop], ErrCancelled), commandedBy(c))
}

func commandedBy(c *Control) string {
	who := "by " + cmp.Or(text.Short(c.By), "somebody")
	if c.Why != "" {
		who += ": " + text.Short(c.Why)
	}
	return who
}

// shareCircuit records whether the circuit of this process is open, and obeys those of others. Their clocks do not
// matter: a circuit counts from when it is seen.
func (x *run) shareCircuit() {
	r, err := x.cfg.Journal.Get(x.ctx, circuitKey)
	if err != nil {
		return
	}
	s, now, all := &x.shared, time.Now(), circuitPolls*x.lease.poll()
	if r.Version != s.circuit {
		s.circuit, s.recorded = r.Version, time.Time{}
		x.gate.set(func(g *gate) bool {
			g.circuit, g.another = "", time.Time{}
			if r.System != nil && r.System.Why != "" {
				g.circuit, g.another = r.System.Why, now.Add(all)
			}
			return true
		})
	}
	why := x.circuitOpen()
	switch {
	case why == "" && s.recorded.IsZero(), why != "" && now.Sub(s.recorded) < all/3, x.gate.openElsewhere(now):
		return
	}
	version, err := x.cfg.Journal.Put(x.ctx, Durable, protocol.Record{
		Key: circuitKey, Version: s.circuit, At: now.Round(0).UTC(), System: &protocol.System{Why: why},
	})
	if err != nil { // the next time again, unless another process has written it
		return
	}
	if s.circuit, s.recorded = version, now; why == "" {
		s.recorded = time.Time{}
	}
}

// circuitOpen returns why the circuit of this process is open; "" if it is closed.
func (x *run) circuitOpen() string {
	if why := x.caller.outage.open(); why != "" {
		return why
	}
	return x.gate.breaker.whyOpen()
}

// followPolls is for how many polls an order is left to the process that works on it, before its record is read again.
const followPolls = 5

// awaitOther reads the record of the order when no other process of this run works on it, or when the run ends.
func (o *order) awaitOther() (rec protocol.Record, leaseEnd time.Time, err error) {
	var alive time.Time
	for {
		rec, leaseEnd, err = o.load()
		if err != nil || o.x.scheduler.single || !o.othersOf(&rec) || rec.Order.Phase == protocol.Ended {
			return rec, leaseEnd, err
		}
		now := time.Now()
		if !now.Before(alive) {
			if alive, err = o.aliveUntil(rec.Order.Epoch); err != nil || !now.Before(alive) {
				return rec, leaseEnd, err
			}
		}
		o.x.scheduler.admitted(o) // others do not wait for it
		if sleep(o.ctx, followPolls*o.x.lease.poll()) != nil {
			return rec, leaseEnd, nil //nolint:nilerr // the run has ended, which the state machine handles
		}
	}
}

// aliveUntil returns when the lease of another process of this run is over.
func (o *order) aliveUntil(epoch uint64) (time.Time, error) {
	r, err := o.x.cfg.Journal.Get(o.ctx, protocol.LeaseKey(o.x.digest, epoch))
	return r.Run.LeaseOver(), err
}

// othersOf reports whether a record is of another process that applies the same plan.
func (o *order) othersOf(rec *protocol.Record) bool {
	r := rec.Order
	return r != nil && r.Run == o.x.digest && r.Epoch != o.x.lease.Epoch && r.Fingerprint == o.entry.Fingerprint &&
		rec.Version > o.entry.Version && r.Phase != protocol.Open && o.x.lease.Duration > 0
}

// joins begins an order again that another process of this run has claimed meanwhile, so that the report has its
// outcome, and the orders behind it continue.
func (o *order) joins() bool {
	if o.step.Outcome != protocol.Skipped && o.step.Outcome != protocol.ClaimedElsewhere || o.x.scheduler.single {
		return false
	}
	rec, err := o.x.cfg.Journal.Get(o.ctx, protocol.OrderKey(o.entry.OrderID))
	if err != nil || !o.othersOf(&rec) || rec.Version == o.joined {
		return false
	}
	o.joined = rec.Version
	return o.start() == nil
}

// Control is what operators want of a run.
type Control = protocol.Control

// ControlStop is how a run is to be ended.
type ControlStop = protocol.ControlStop

// The stops.
const (
	StopDrain  = protocol.StopDrain  // nothing more is sent, and what was sent is verified
	StopCancel = protocol.StopCancel // nothing more is sent
)

// ChangeControl changes what operators want of the run of a plan, by its digest. All Runners and Sessions that apply
// the plan with the journal obey, in about a second with a *sqljournal.Journal and in a quarter of a minute with a
// *MemoryJournal, also those that begin later: as long as Stop is set, they return ErrDrained or ErrCancelled. It holds
// besides what Runner.Pause and the like say. A file journal is used by one process, whose Runner has the methods.
func ChangeControl(ctx context.Context, j Journal, digest string, change func(*Control)) error {
	err := changeRun(ctx, j, digest, func(r *protocol.Run) bool {
		before := r.Control
		change(&r.Control)
		return r.Control != before
	})
	if err != nil {
		return fmt.Errorf("resubmit: the journal could not record a command: %w", err)
	}
	return nil
}

// changeRun changes the record of a run. change returns false if it stays as it is.
func changeRun(ctx context.Context, j Journal, digest string, change func(*protocol.Run) bool) error {
	key := protocol.RunKey(digest)
	for {
		r, err := j.Get(ctx, key)
		if err != nil {
			return err
		}
		r.Key, r.At = key, time.Now().Round(0).UTC()
		if r.Run == nil {
			r.Run = new(protocol.Run)
		}
		if !change(r.Run) {
			return nil
		}
		_, err = j.Put(ctx, Durable, r)
		if _, ok := errors.AsType[*ConflictError](err); !ok {
			return err
		}
	}
}
