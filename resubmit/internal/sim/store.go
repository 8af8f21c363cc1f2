package sim

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// errDiskFull is the error of a full simulated disk, errCommitLost that of a write that succeeded without an answer.
var (
	errDiskFull   = errors.New("no space left on device")
	errCommitLost = errors.New("the connection was lost during the commit")
)

// leaseTime is how long a lease of a Store is valid, unless its processes lock it.
const leaseTime = time.Minute

// deferral is how long it takes at most until a Deferred record is durable.
const deferral = 5 * time.Second

// Store is the journal that all processes of a world share. It does what [resubmit.Journal] allows, and no better: a
// crash loses Deferred records, all later ones of the same key with them, and nothing else. It can be restored from a
// copy, replaced and recovered. Safe for concurrent use.
type Store struct {
	// locked means that one process at a time uses the journal, as a file, so that leases last until it ends.
	locked bool

	mu        sync.Mutex
	identity  int
	start     storePut // before all puts
	puts      []storePut
	settled   int // puts before it are durable
	current   map[protocol.Key]protocol.Record
	system    [3]string
	forgotten time.Time
}

// storePut is a write, or the begin of a lease.
type storePut struct {
	at      plan.Position // behind it
	made    time.Time
	owner   int // the process
	durable bool
	records []protocol.Record
}

// reset empties the store and gives it a new identity. The lock must be held.
func (s *Store) reset() {
	s.identity++
	s.start.at = plan.Position{Journal: fmt.Sprintf("journal-%d", s.identity), Hash: "start"}
	s.puts, s.settled, s.system, s.forgotten = nil, 0, [3]string{}, time.Time{}
	s.current = make(map[protocol.Key]protocol.Record)
}

// lock locks the store, and makes it if it is new.
func (s *Store) lock() {
	s.mu.Lock()
	if s.current == nil {
		s.reset()
	}
}

// For returns the journal as a process uses it.
func (s *Store) For(process int) resubmit.Journal { return &storeUser{s, process} }

func (s *Store) last() *storePut {
	if len(s.puts) == 0 {
		return &s.start
	}
	return &s.puts[len(s.puts)-1]
}

// append adds a write.
func (s *Store) append(owner int, records []protocol.Record) *storePut {
	p := storePut{owner: owner, made: time.Now(), at: s.last().at}
	p.at.Sequence++
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s %d %d", p.at.Hash, p.at.Sequence, owner) // a hash takes every write
	for _, r := range records {
		r = r.Clone()
		if !r.Removes() {
			r.Version = p.at.Sequence
		}
		if r.Run != nil {
			r.Run.LeaseEnd = s.leaseEnd(r.Run)
		}
		p.records = append(p.records, r)
		_, _ = fmt.Fprintf(h, " %q", r.Key) // see above
	}
	p.at.Hash = fmt.Sprintf("%x", h.Sum(nil)[:8])
	s.puts = append(s.puts, p)
	s.apply(p.records)
	return s.last()
}

func (s *Store) leaseEnd(r *protocol.Run) time.Time {
	switch {
	case !r.Ended.IsZero():
		return time.Now()
	case s.locked:
		return time.Now().Add(maxDuration) // until the process ends
	default:
		return time.Now().Add(leaseTime)
	}
}

func (s *Store) apply(records []protocol.Record) {
	for _, r := range records {
		if r.Removes() {
			delete(s.current, r.Key)
			continue
		}
		s.current[r.Key] = r
	}
}

// secure makes the writes of some keys durable, with all that they depend on.
func (s *Store) secure(chosen func(*storePut) bool) {
	keys := make(map[protocol.Key]bool)
	for i := len(s.puts) - 1; i >= s.settled; i-- {
		p := &s.puts[i]
		needed := chosen(p) || slices.ContainsFunc(p.records, func(r protocol.Record) bool { return keys[r.Key] })
		if p.durable || !needed {
			continue
		}
		p.durable = true
		for _, r := range p.records {
			keys[r.Key] = true
		}
	}
	for s.settled < len(s.puts) && s.puts[s.settled].durable {
		s.settled++
	}
}

// seenBy makes durable what another process wrote to a key: it would not see it otherwise.
func (s *Store) seenBy(process int, k protocol.Key) {
	s.secure(func(p *storePut) bool {
		return p.owner != process && slices.ContainsFunc(p.records, func(r protocol.Record) bool { return r.Key == k })
	})
}

// crash loses Deferred writes of a process. lose draws whether one is lost that may be.
func (s *Store) crash(process int, lose func() bool) (lost int) {
	s.lock()
	defer s.mu.Unlock()
	s.secure(func(p *storePut) bool { return time.Since(p.made) > deferral })
	gone := make(map[protocol.Key]bool)
	kept := s.puts[:0:0]
	for _, p := range s.puts {
		after := slices.ContainsFunc(p.records, func(r protocol.Record) bool { return gone[r.Key] })
		if p.durable || !after && (p.owner != process || !lose()) {
			kept = append(kept, p)
			continue
		}
		lost++
		for _, r := range p.records {
			gone[r.Key] = true
		}
	}
	s.keep(kept)
	s.end()
	return lost
}

// keep replaces the writes. Sequence numbers of lost ones are not used again.
func (s *Store) keep(puts []storePut) {
	end := s.last().at
	s.puts, s.settled, s.current = puts, 0, make(map[protocol.Key]protocol.Record)
	for _, p := range s.puts {
		s.apply(p.records)
	}
	if s.last().at != end {
		s.puts = append(s.puts, storePut{at: end, durable: true})
	}
}

// exit makes the writes of a process durable, as its orderly end does.
func (s *Store) exit(process int) {
	s.lock()
	defer s.mu.Unlock()
	s.secure(func(p *storePut) bool { return p.owner == process })
	s.end()
}

// end ends all leases of a locked store: the lock shows that their processes are gone.
func (s *Store) end() {
	if !s.locked {
		return
	}
	for _, r := range s.current {
		if r.Run != nil && r.Run.Ended.IsZero() && r.Run.LeaseEnd.After(time.Now()) {
			r.Run.LeaseEnd = time.Now() // shared with the write
		}
	}
}

// restore restores a copy that was made before a position. share says how old it is: 0 is the oldest. It returns false
// if there is none.
func (s *Store) restore(before plan.Position, share float64) bool {
	s.lock()
	defer s.mu.Unlock()
	n := slices.IndexFunc(s.puts, func(p storePut) bool { return p.at == before })
	if n < 1 {
		return false
	}
	s.puts = s.puts[:int(share*float64(n))]
	s.keep(slices.Clone(s.puts))
	return true
}

// safe is a position that a crash does not undo.
func (s *Store) safe() plan.Position {
	s.lock()
	defer s.mu.Unlock()
	for _, p := range slices.Backward(s.puts) {
		if p.durable {
			return p.at
		}
	}
	return s.start.at
}

// replace puts an empty journal in its place.
func (s *Store) replace() {
	s.lock()
	defer s.mu.Unlock()
	s.reset()
}

// recover continues after a loss: a new identity, and what was done before is not known.
func (s *Store) recover(now time.Time) {
	s.lock()
	defer s.mu.Unlock()
	kept, at := slices.Collect(maps.Values(s.current)), s.last().at.Sequence
	s.reset()
	s.forgotten = now
	for _, r := range kept {
		r = r.AdjustForLoss(now)
		s.puts = append(s.puts, storePut{at: s.start.at, durable: true, records: []protocol.Record{r}})
		s.apply([]protocol.Record{r})
	}
	s.start.at.Sequence = at
	s.puts = append(s.puts, storePut{at: s.start.at, durable: true})
}

// setBack moves all times into the future, as if the clock had jumped back.
func (s *Store) setBack(ahead time.Duration) {
	s.lock()
	defer s.mu.Unlock()
	if !s.forgotten.IsZero() {
		s.forgotten = s.forgotten.Add(ahead)
	}
	for _, p := range s.puts {
		for i := range p.records {
			r := &p.records[i]
			times := []*time.Time{&r.At}
			if o := r.Order; o != nil {
				times = append(times, &o.ClaimedAt, &o.FirstClaimAt, &o.SentAt)
			}
			if n := r.Run; n != nil {
				times = append(times, &n.Started, &n.Ended)
				if !s.locked {
					times = append(times, &n.LeaseEnd)
				}
			}
			if n := r.System; n != nil {
				times = append(times, &n.RetryAfter, &n.AskedAt)
			}
			for _, t := range times {
				if !t.IsZero() {
					*t = t.Add(ahead)
				}
			}
		}
		s.apply(p.records)
	}
}

// durable returns the last durable record of a key; the zero Record if there is none.
func (s *Store) durable(k protocol.Key) protocol.Record {
	r, _ := s.durablePut(k)
	return r
}

// made is when the last durable record of a key was written, by the clock of the world; zero if that is not known.
func (s *Store) made(k protocol.Key) time.Time {
	_, at := s.durablePut(k)
	return at
}

func (s *Store) durablePut(k protocol.Key) (protocol.Record, time.Time) {
	s.lock()
	defer s.mu.Unlock()
	for _, p := range slices.Backward(s.puts) {
		for _, r := range p.records {
			if r.Key == k && p.durable {
				return r.Clone(), p.made
			}
		}
	}
	return protocol.Record{}, time.Time{}
}

// all returns all records.
func (s *Store) all() []protocol.Record {
	s.lock()
	defer s.mu.Unlock()
	return slices.SortedFunc(maps.Values(s.current), func(a, b protocol.Record) int { return compareKeys(a.Key, b.Key) })
}

// storeUser is the store as one process uses it.
type storeUser struct {
	*Store

	process int
}

var _ resubmit.Journal = (*storeUser)(nil)

// Begin implements [resubmit.Journal].
func (u *storeUser) Begin(ctx context.Context, use resubmit.JournalUse) (resubmit.Lease, error) {
	if err := ctx.Err(); err != nil {
		return resubmit.Lease{}, err
	}
	u.lock()
	defer u.mu.Unlock()
	if !u.was(use.After) {
		return resubmit.Lease{}, fmt.Errorf("%w: it is %+v, and was not %+v", resubmit.ErrJournalMismatch,
			u.last().at, use.After)
	}
	system := [3]string{use.System, use.BaseURL, use.IDSpace}
	if u.system == ([3]string{}) {
		u.system = system
	}
	if u.system != system {
		return resubmit.Lease{}, fmt.Errorf("%w: it belongs to %q, not to %q", resubmit.ErrJournalSystem, u.system, system)
	}
	l := resubmit.Lease{ForgottenBefore: u.forgotten}
	if !u.locked {
		l.Duration = leaseTime
	}
	if use.Plan != "" {
		p := u.append(u.process, nil)
		p.durable = true
		l.Epoch = p.at.Sequence
	}
	l.Position = u.position()
	return l, nil
}

// was reports whether the journal was at a position.
func (s *Store) was(p plan.Position) bool {
	return p == (plan.Position{}) || p == s.start.at ||
		slices.ContainsFunc(s.puts, func(n storePut) bool { return n.at == p })
}

// position makes everything durable and returns the position.
func (s *Store) position() plan.Position {
	s.secure(func(*storePut) bool { return true })
	return s.last().at
}

// Put implements [resubmit.Journal].
func (u *storeUser) Put(ctx context.Context, d resubmit.Durability, records ...protocol.Record) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := protocol.CheckRecords(records); err != nil {
		return 0, err
	}
	u.lock()
	defer u.mu.Unlock()
	for _, r := range records {
		u.seenBy(u.process, r.Key)
		now := u.current[r.Key]
		if now.Version != r.Version {
			now.Key = r.Key
			return 0, &resubmit.ConflictError{Current: now.Clone()}
		}
		if r.Order != nil && r.Order.Number != "" && u.numbered(r) {
			return 0, fmt.Errorf("%w: %s", resubmit.ErrOrderNumber, r.Order.Number)
		}
	}
	p := u.append(u.process, records)
	if d == resubmit.Durable {
		at := p.at
		u.secure(func(p *storePut) bool { return p.at == at })
	}
	return u.last().at.Sequence, nil
}

// numbered reports whether another order has the number of a record.
func (s *Store) numbered(r protocol.Record) bool {
	for _, o := range s.current {
		if o.Order != nil && o.Order.Number == r.Order.Number && o.ID != r.ID {
			return true
		}
	}
	return false
}

// Get implements [resubmit.Journal].
func (u *storeUser) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	if err := ctx.Err(); err != nil {
		return protocol.Record{}, err
	}
	u.lock()
	defer u.mu.Unlock()
	u.seenBy(u.process, k)
	return u.current[k].Clone(), nil
}

// Records implements [resubmit.Journal].
func (u *storeUser) Records(ctx context.Context) iter.Seq2[protocol.Record, error] {
	return func(yield func(protocol.Record, error) bool) {
		u.lock()
		u.secure(func(p *storePut) bool { return p.owner != u.process })
		u.mu.Unlock()
		for _, r := range u.all() {
			if err := ctx.Err(); err != nil {
				yield(protocol.Record{}, err)
				return
			}
			if !yield(r.Clone(), nil) {
				return
			}
		}
	}
}

func compareKeys(a, b protocol.Key) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
}

// Flush implements [resubmit.Journal].
func (u *storeUser) Flush(ctx context.Context) (plan.Position, error) {
	if err := ctx.Err(); err != nil {
		return plan.Position{}, err
	}
	u.lock()
	defer u.mu.Unlock()
	return u.position(), nil
}
