package resubmit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// ErrLeaseLost means that a run could not renew its lease of the journal in time, for example because the process was
// suspended. Nothing was sent since. Apply the plan again.
var ErrLeaseLost = errors.New("the lease of the journal is over")

var errSuspended = errors.New("this process was suspended, or the journal has not answered for too long")

// leaseMargin is how long before its end a lease is not trusted any more.
const leaseMargin = 5 * time.Second

// retryAfterKey is the key of the record with the last Retry-After of any system.
var retryAfterKey = protocol.Key{Kind: protocol.KindSystem, ID: "retry-after"}

// lease is the right of one run to make claims. It renews itself.
type lease struct {
	Lease
	journal Journal
	run     string

	writing chan struct{} // the lock of those who write the record of the lease
	mu      sync.Mutex
	renewed time.Time // when the last successful renewal began
	failed  error     // why the last renewal failed
	version uint64    // of the record of the lease
	record  protocol.Run
	paused  uint64          // version of the record of the Retry-After
	pause   protocol.System // as recorded
}

// begin begins to use the journal for a plan.
func (l *lease) begin(ctx context.Context, c *Config, p *plan.Plan, owner string) (err error) {
	began := time.Now()
	l.run, l.renewed, l.writing = p.Digest(), began, make(chan struct{}, 1)
	if l.Lease, err = c.Journal.Begin(ctx, c.journalUse(p.Digest(), owner, p.Header().Journal)); err != nil {
		return fmt.Errorf("resubmit: open the journal: %w", err)
	}
	l.record = protocol.Run{Epoch: l.Epoch, Owner: owner, Started: began.Round(0).UTC()}
	if err := l.markBegun(ctx); err != nil {
		return err
	}
	return l.put(ctx, time.Now())
}

// markBegun writes the record of the run, unless it was begun before.
func (l *lease) markBegun(ctx context.Context) error {
	err := changeRun(ctx, l.journal, l.run, func(r *protocol.Run) bool {
		if !r.Started.IsZero() {
			return false
		}
		r.Owner, r.Started = l.record.Owner, l.record.Started
		return true
	})
	if err != nil {
		return fmt.Errorf("resubmit: the journal could not record the run: %w", err)
	}
	return nil
}

// put writes the record of the lease, which renews it.
func (l *lease) put(ctx context.Context, began time.Time) error {
	select {
	case l.writing <- struct{}{}:
		defer func() { <-l.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	l.mu.Lock()
	record, version := l.record, l.version
	l.mu.Unlock()
	for {
		seq, err := l.journal.Put(ctx, Durable, protocol.Record{
			Key: protocol.LeaseKey(l.run, l.Epoch), Version: version, At: began.Round(0).UTC(), Run: &record,
		})
		conflict, ok := errors.AsType[*ConflictError](err)
		switch {
		case ok && conflict.Current.Version > version: // an earlier write succeeded, but there was no answer
			version = conflict.Current.Version
		case ok:
			return fmt.Errorf("resubmit: the journal lost the record of the lease: %w", ErrJournalMismatch)
		case err != nil:
			return fmt.Errorf("resubmit: the journal could not renew the lease: %w", err)
		default:
			l.mu.Lock()
			defer l.mu.Unlock()
			l.version, l.renewed = seq, began
			return nil
		}
	}
}

// valid reports whether claims may still be sent.
func (l *lease) valid(now time.Time) bool {
	if l.Duration == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(now.Sub(l.renewed), now.Round(0).Sub(l.renewed.Round(0))) < l.Duration-leaseMargin
}

// keep renews the lease until ctx ends, and calls lost if that fails for too long.
func (l *lease) keep(ctx context.Context, lost func(error)) {
	if l.Duration == 0 {
		return
	}
	for sleep(ctx, l.Duration/4) == nil {
		if l.valid(time.Now()) {
			l.renew(ctx)
		}
		if err := l.lost(); err != nil && ctx.Err() == nil {
			lost(err)
			return
		}
	}
}

func (l *lease) renew(ctx context.Context) {
	began := time.Now()
	l.mu.Lock()
	l.record.Renewals++
	l.mu.Unlock()
	err := l.put(ctx, began)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = err
}

// lost returns an error if the lease is over.
func (l *lease) lost() error {
	valid := l.valid(time.Now())
	l.mu.Lock()
	defer l.mu.Unlock()
	if errors.Is(l.failed, ErrJournalMismatch) {
		return l.failed
	}
	if valid {
		return nil
	}
	why := cmp.Or(l.failed, errSuspended)
	return fmt.Errorf("resubmit: %w; apply the plan again: %w", ErrLeaseLost, why)
}

// end records how the run ended.
func (l *lease) end(ctx context.Context, end protocol.RunEnd, cause error) error {
	l.mu.Lock()
	l.record.Ended, l.record.End, l.record.Error = time.Now().Round(0).UTC(), end, ""
	if cause != nil {
		l.record.Error = cause.Error()
	}
	l.mu.Unlock()
	return l.put(ctx, time.Now())
}

// leaseEnd returns when the lease of the run that wrote an order's record is over; zero if it is over.
func (l *lease) leaseEnd(ctx context.Context, o *protocol.Order) (time.Time, error) {
	if o == nil || o.Phase != protocol.Claimed {
		return time.Time{}, nil
	}
	r, err := l.journal.Get(ctx, protocol.LeaseKey(o.Run, o.Epoch))
	if err != nil || r.Run == nil || !r.Run.Ended.IsZero() {
		return time.Time{}, err
	}
	return r.Run.LeaseEnd, nil
}

// recallPause returns the rest of the pause that a system asked an earlier run for, or another process since the last
// call.
func (l *lease) recallPause(ctx context.Context) (time.Duration, error) {
	r, err := l.journal.Get(ctx, retryAfterKey)
	if err != nil || r.System == nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.Version == l.paused {
		return 0, nil
	}
	l.paused, l.pause = r.Version, *r.System
	now := time.Now()
	return l.pause.PauseEnd(now).Sub(now), nil
}

// retryAfterStep is the unit to which the end of a pause is rounded up in a journal, because many
// calls in a row get the same Retry-After.
const retryAfterStep = time.Second

// remember records a pause, unless a longer one is recorded.
func (l *lease) remember(ctx context.Context, asked, until time.Time) error {
	asked, until = asked.Round(0).UTC(), until.Add(retryAfterStep-1).Round(0).Truncate(retryAfterStep).UTC()
	l.mu.Lock()
	known, version := l.pause, l.paused
	l.mu.Unlock()
	for until.After(known.PauseEnd(time.Now())) {
		next := protocol.System{RetryAfter: until, AskedAt: asked}
		seq, err := l.journal.Put(ctx, Durable, protocol.Record{
			Key: retryAfterKey, Version: version, At: asked, System: &next,
		})
		if conflict, ok := errors.AsType[*ConflictError](err); ok { // recall still finds the other one
			if known, version = (protocol.System{}), conflict.Current.Version; conflict.Current.System != nil {
				known = *conflict.Current.System
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("resubmit: the journal could not record a Retry-After, so nothing more is sent: %w", err)
		}
		l.mu.Lock()
		l.pause, l.paused = next, seq
		l.mu.Unlock()
		return nil
	}
	return nil
}

// journalUse describes a run for the journal.
func (s *Systems) journalUse(digest, owner string, after plan.Position) JournalUse {
	return JournalUse{
		System: s.Name, BaseURL: s.BaseURL, IDSpace: s.Capabilities.IDSpace, Plan: digest, Owner: owner, After: after,
	}
}

// Processes that share a journal tell each other through it what holds for all of them: a Retry-After, what operators
// want of a run, and that a circuit is open.

// circuitKey is the key of the record that says whether the circuit of a process is open.
var circuitKey = protocol.Key{Kind: protocol.KindSystem, ID: "circuit"}

// circuitPolls is for how many polls the circuit of another process is taken to be open after it was last recorded. It
// is recorded again after a third of them.
const circuitPolls = 9

// shared is what a run knows of other processes.
type shared struct {
	run      *run
	began    protocol.Record // of the run, as it was when this process began
	control  uint64          // version of the record of the run
	circuit  uint64          // version of the record of the circuit
	recorded time.Time       // when this process has recorded that its circuit is open; zero if it has not

	mu    sync.Mutex // of what follows
	rate  float64    // the rate limit that operators want and that was set; 0 if none was
	own   float64    // the rate limit of the Runner without it
	ended bool       // sets no rate limit any more
}

// follow obeys what operators wanted when the run began, and then what other processes record, until it ends.
func (s *shared) follow() {
	s.obeyControl(&s.began)
	go s.keepFollowing()
}

func (s *shared) keepFollowing() {
	x := s.run
	if x.lease.Duration == 0 {
		return
	}
	for sleep(x.ctx, x.lease.poll()) == nil {
		if pause, err := x.lease.recallPause(x.ctx); err == nil && pause > 0 {
			x.obey(pause)
		}
		if r, err := x.cfg.Journal.Get(x.ctx, protocol.RunKey(x.digest)); err == nil {
			s.obeyControl(&r)
		}
		s.shareCircuit()
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
func (s *shared) obeyControl(r *protocol.Record) {
	if r.Run == nil || r.Version == s.control {
		return
	}
	s.control = r.Version
	x := s.run
	c := &r.Run.Control
	who := commandedBy(c)
	s.obeyRate(c.Rate)
	ordered := ""
	if c.Paused {
		ordered = who
	}
	if x.gate.set(func(g *gate) bool {
		was := g.others.paused
		g.others.paused = ordered
		return (was == "") != (ordered == "")
	}) {
		x.reportControl(who)
	}
	switch c.Stop {
	case protocol.StopDrain:
		x.drain(who)
	case protocol.StopCancel:
		x.end(stopped(c))
	}
}

// obeyRate sets the rate limit that operators want, unless the run has ended.
func (s *shared) obeyRate(rate float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.setRate(rate)
	}
}

// endRate restores the rate limit of the Runner, which may apply another plan next.
func (s *shared) endRate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.setRate(0)
}

// setRate sets the rate limit that operators want, if that has changed; 0 restores that of the Runner.
func (s *shared) setRate(rate float64) {
	pace := s.run.caller.pace
	if rate == s.rate {
		return
	}
	if now := pace.Limit(); now != s.rate { // that of the configuration, or of SetLimits since
		s.own = now
	}
	pace.SetLimit(cmp.Or(rate, s.own))
	s.rate = rate
}

// stopped returns the error of a run that operators want to end; nil if they do not.
func stopped(c *protocol.Control) error {
	if c.Stop == "" {
		return nil
	}
	err := ErrCancelled
	if c.Stop == protocol.StopDrain {
		err = ErrDrained
	}
	return fmt.Errorf("%w %s", err, commandedBy(c))
}

func commandedBy(c *protocol.Control) string {
	who := "by " + cmp.Or(text.Short(c.By), "somebody")
	if c.Why != "" {
		who += ": " + text.Short(c.Why)
	}
	return who
}

// shareCircuit records whether the circuit of this process is open, and obeys those of others. Their clocks do not
// matter: a circuit counts from when it is seen.
func (s *shared) shareCircuit() {
	x := s.run
	r, err := x.cfg.Journal.Get(x.ctx, circuitKey)
	if err != nil {
		return
	}
	now, all := time.Now(), circuitPolls*x.lease.poll()
	if r.Version != s.circuit {
		first := s.circuit == 0
		s.circuit, s.recorded = r.Version, time.Time{}
		s.obeyCircuit(r.System, now.Add(all), first)
	}
	why, opens := s.circuitOpen()
	switch {
	case why == "" && s.recorded.IsZero(), why != "" && now.Sub(s.recorded) < all/3, x.gate.openElsewhere(now):
		return
	}
	version, err := x.cfg.Journal.Put(x.ctx, Durable, protocol.Record{
		Key: circuitKey, Version: s.circuit, At: now.Round(0).UTC(), System: &protocol.System{Why: why, Opens: opens},
	})
	if err != nil { // the next time again, unless another process has written it
		return
	}
	if s.circuit, s.recorded = version, now; why == "" {
		s.recorded = time.Time{}
	}
}

// obeyCircuit pushes nothing while the circuit of another process is open. How often it has opened does not count in
// the first record that is seen, which a run that has ended may have left: a process that lives records it again.
func (s *shared) obeyCircuit(r *protocol.System, until time.Time, first bool) {
	g, is, was := s.run.gate, protocol.System{}, ""
	if r != nil {
		is = *r
	}
	if is.Why == "" {
		until = time.Time{}
	}
	if first {
		is.Opens = 0
	}
	g.set(func(g *gate) bool {
		was, g.others.circuit, g.others.until = g.others.circuit, is.Why, until
		return true
	})
	switch {
	case is.Why != "":
		g.breaker.openElsewhere(is.Opens, is.Why)
	case was != "":
		g.breaker.closedElsewhere()
	}
}

// circuitOpen returns why the circuit of this process is open, "" if it is closed, and how often its breaker has opened
// if that is open.
func (s *shared) circuitOpen() (why string, opens int) {
	why, opens = s.run.gate.breaker.whyOpen()
	return cmp.Or(s.run.caller.outage.open(), why), opens
}

// ChangeControl pauses, slows down or stops the run of a plan in all processes, by the digest of the plan. All Runners
// and Sessions that apply the plan with the journal obey, in about a second with a *sqljournal.Journal and in a quarter
// of a minute with a *MemoryJournal, also those that begin later: as long as Stop is set, they return ErrDrained or
// ErrCancelled. It holds besides what Runner.Pause and the like say. A file journal is used by one process, whose
// Runner has the methods.
func ChangeControl(ctx context.Context, j Journal, digest string, change func(*protocol.Control)) error {
	var invalid error
	err := changeRun(ctx, j, digest, func(r *protocol.Run) bool {
		before := r.Control
		change(&r.Control)
		if invalid = nil; r.Control.Rate != before.Rate {
			invalid = checkRate("ChangeControl: the rate", r.Control.Rate)
		}
		return invalid == nil && r.Control != before
	})
	switch {
	case invalid != nil:
		return fmt.Errorf("resubmit: %w", invalid)
	case err != nil:
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

// guardedJournal turns a panic of a journal into an error of the call.
type guardedJournal struct {
	to  Journal
	log *slog.Logger
}

func (j guardedJournal) Begin(ctx context.Context, u JournalUse) (l Lease, err error) {
	err = j.guard(func() (err error) { l, err = j.to.Begin(ctx, u); return err })
	return l, err
}

func (j guardedJournal) Put(ctx context.Context, d Durability, records ...protocol.Record) (seq uint64, err error) {
	err = j.guard(func() (err error) { seq, err = j.to.Put(ctx, d, records...); return err })
	return seq, err
}

func (j guardedJournal) Get(ctx context.Context, k protocol.Key) (r protocol.Record, err error) {
	err = j.guard(func() (err error) { r, err = j.to.Get(ctx, k); return err })
	return r, err
}

func (j guardedJournal) Flush(ctx context.Context) (p plan.Position, err error) {
	err = j.guard(func() (err error) { p, err = j.to.Flush(ctx); return err })
	return p, err
}

func (j guardedJournal) Records(ctx context.Context) iter.Seq2[protocol.Record, error] {
	return func(yield func(protocol.Record, error) bool) {
		stopped := false
		err := j.guard(func() error {
			for r, err := range j.to.Records(ctx) {
				if stopped = !yield(r, err); stopped {
					break
				}
			}
			return nil
		})
		if err != nil && !stopped {
			yield(protocol.Record{}, err)
		}
	}
}

func (j guardedJournal) guard(f func() error) error {
	err := protect(f)
	callback.Log(j.log, err)
	return err
}
