package journaltest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

func (s *suite) isEmpty() {
	for _, kind := range []protocol.Kind{
		protocol.KindOrder, protocol.KindLane, protocol.KindRun, protocol.KindSystem, "unknown",
	} {
		s.mustLack(protocol.Key{Kind: kind, ID: "1"})
	}
	if all := s.all(); len(all) > 0 {
		s.Fatalf("Records yielded %d records", len(all))
	}
}

// fullRecords returns a record of each kind with all fields, and some with difficult values.
func fullRecords() []protocol.Record {
	full := []protocol.Record{
		{Key: protocol.OrderKey("full"), Order: new(protocol.Order)},
		{Key: protocol.Key{Kind: protocol.KindLane, ID: "full"}, Lane: new(protocol.Lane)},
		{Key: protocol.Key{Kind: protocol.KindRun, ID: "full"}, Run: new(protocol.Run)},
		{Key: protocol.Key{Kind: protocol.KindSystem, ID: "full"}, System: new(protocol.System)},
	}
	for i := range full {
		fill(reflect.ValueOf(&full[i]).Elem(), 10*i)
		full[i].Version = 0
	}
	odd := order("odd", 1)
	odd.At = time.Date(2026, 11, 1, 1, 30, 0, 1, time.FixedZone("", -7*3600))
	odd.Order.PlacedAt = time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC)
	odd.Order.Why = "line\nline \"quoted\" <b>&amp; \\ \x00 \u2028 中文 🙂"
	long := order("long", 1)
	long.Order.Why = strings.Repeat("long ", 20_000)
	return append(full, odd, long,
		protocol.Record{Key: protocol.OrderKey("empty"), Order: new(protocol.Order)},
		protocol.Record{Key: protocol.Key{Kind: protocol.KindLane, ID: "empty"}, Lane: new(protocol.Lane)},
		protocol.Record{Key: protocol.Key{Kind: protocol.KindRun, ID: "empty"}, Run: new(protocol.Run)},
		protocol.Record{Key: protocol.Key{Kind: protocol.KindSystem, ID: "empty"}, System: new(protocol.System)})
}

// fill sets empty fields to distinct values.
func fill(f reflect.Value, n int) {
	if t, ok := f.Addr().Interface().(*time.Time); ok {
		*t = noon.Add(time.Duration(n) * time.Minute)
		return
	}
	switch f.Kind() {
	case reflect.String:
		if f.String() == "" {
			f.SetString(fmt.Sprintf("field %d", n))
		}
	case reflect.Bool:
		f.SetBool(true)
	case reflect.Int:
		f.SetInt(int64(n + 1))
	case reflect.Uint64:
		f.SetUint(uint64(n) + 1) //nolint:gosec // a small number
	case reflect.Struct:
		for i := range f.NumField() {
			fill(f.Field(i), n+i)
		}
	case reflect.Slice:
		f.Set(reflect.MakeSlice(f.Type(), 2, 2))
		for i := range f.Len() {
			fill(f.Index(i), n+i)
		}
	case reflect.Pointer:
		if !f.IsNil() {
			fill(f.Elem(), n)
		}
	default: // a record has no other kinds
	}
}

func (s *suite) keepsFields() {
	records := fullRecords()
	for i := range records {
		records[i].Version = s.put(resubmit.Durable, records[i])
	}
	for range 2 {
		all := s.all()
		for _, r := range records {
			s.mustHave(r)
			if !same(all[r.Key], r) {
				s.Fatalf("Records yielded %s, but %s was put", show(all[r.Key]), show(r))
			}
		}
		s.open(s.dir)
	}
}

func (s *suite) sharesNoMemory() {
	r := order("1", 1)
	want := r.Clone()
	want.Version = s.put(resubmit.Durable, r)
	spoil := func(r protocol.Record) {
		if r.Order != nil && len(r.Order.Lanes) > 0 {
			r.Order.Number, r.Order.Lanes[0] = "spoiled", "spoiled"
		}
	}
	spoil(r)
	s.mustHave(want)
	spoil(s.get(r.Key))
	s.mustHave(want)
	spoil(s.all()[r.Key])
	s.mustHave(want)
	_, err := s.journal.Put(s.Context(), resubmit.Durable, order("1", 2))
	if c, ok := errors.AsType[*resubmit.ConflictError](err); ok {
		spoil(c.Current)
	}
	s.mustHave(want)
}

// ids are easily confused.
func ids() []string {
	return []string{
		"1", "10", "01", "1 ", " 1", "1.0", "+1", "id-1", "ID-1", "id_1", "a/b", "a//b", "a\\b", "../a", ".", "..", "a\tb",
		"a\nb", "%31", "ä", "a\u0308", "中文", "\x00", "\x00\x00", "order", "lane", strings.Repeat("9", 199),
		strings.Repeat("9", 200),
	}
}

func (s *suite) keepsKeysApart() {
	var want []protocol.Record
	for i, id := range ids() {
		for _, r := range []protocol.Record{order(id, i), lane(id, "1"), run(id, 1)} {
			s.mustLack(r.Key)
			r.Version = s.put(resubmit.Deferred, r)
			want = append(want, r)
		}
	}
	for _, r := range want {
		s.mustHave(r)
	}
}

func (s *suite) versions() {
	var last uint64
	for n := range 5 {
		records := []protocol.Record{on(last, order("1", n)), on(last, lane("l", "1"))}
		seq := s.put(resubmit.Durability(n%2), records...)
		if seq <= last {
			s.Fatalf("Put returned the sequence %d after %d", seq, last)
		}
		last = seq
		for _, r := range records {
			s.mustHave(on(seq, r))
		}
		s.put(resubmit.Deferred, order(fmt.Sprint("other ", n), 1))
	}
	if p := s.flush(); p.Sequence <= last || p.Journal == "" || p.Hash == "" {
		s.Fatalf("Flush returned the position %+v after the write %d", p, last)
	}
}

// mustConflict checks that a Put is rejected because the current record is another one.
func (s *suite) mustConflict(current protocol.Record, records ...protocol.Record) {
	_, err := s.journal.Put(s.Context(), resubmit.Durable, records...)
	c, ok := errors.AsType[*resubmit.ConflictError](err)
	switch {
	case err == nil:
		s.Fatalf("Put accepted %s, although the current record is %s", show(records[0]), show(current))
	case !ok:
		s.Fatalf("the error is not a *ConflictError: %v", err)
	case !same(c.Current, current):
		s.Fatalf("the *ConflictError has %s instead of %s", show(c.Current), show(current))
	}
}

func (s *suite) rejectsVersions() {
	first := order("1", 1)
	s.mustConflict(protocol.Record{Key: first.Key}, on(1, first))
	first.Version = s.put(resubmit.Durable, first)
	s.mustConflict(first, order("1", 2))
	s.mustConflict(first, on(first.Version+1, order("1", 2)))
	second := on(first.Version, order("1", 2))
	second.Version = s.put(resubmit.Deferred, second)
	s.mustConflict(second, on(first.Version, order("1", 3)))
	s.open(s.dir)
	s.mustConflict(second, on(first.Version, order("1", 3)))
	s.mustHave(second)
}

func (s *suite) writesAllOrNone() {
	busy := lane("busy", "other")
	busy.Version = s.put(resubmit.Durable, busy)
	s.put(resubmit.Durable, order("other", 1))
	for _, records := range [][]protocol.Record{
		{order("1", 1), lane("busy", "1"), lane("free", "1")},
		{order("1", 1), lane("free", "1"), lane("busy", "1")},
		{lane("free", "1"), lane("busy", "1"), order("1", 1)},
	} {
		s.mustConflict(busy, records...)
		for range 2 {
			s.mustLack(protocol.OrderKey("1"))
			s.mustLack(lane("free", "").Key)
			s.mustHave(busy)
			s.open(s.dir)
		}
	}
	taken := order("1", 1)
	taken.Order.Number = "SO-other"
	if _, err := s.journal.Put(s.Context(), resubmit.Durable, lane("free", "1"), taken); err == nil {
		s.Fatalf("Put accepted the number of another order")
	}
	s.mustLack(lane("free", "").Key)
}

func (s *suite) rejectsInvalid() {
	two := order("1", 1)
	two.Lane = new(protocol.Lane)
	other := order("1", 1)
	other.Kind = protocol.KindRun
	unknown := order("1", 1)
	unknown.Kind = "unknown"
	sameNumber := order("2", 1)
	sameNumber.Order.Number = "SO-1"
	for _, records := range [][]protocol.Record{
		{two}, {other}, {unknown}, {order("", 1)}, {order("1", 1), order("1", 2)}, {order("1", 1), sameNumber},
		{{Key: protocol.Key{Kind: "unknown", ID: "1"}}},
	} {
		if _, err := s.journal.Put(s.Context(), resubmit.Durable, records...); err == nil {
			s.Fatalf("Put accepted %s", show(records[0]))
		}
	}
	if all := s.all(); len(all) > 0 {
		s.Fatalf("Put wrote an invalid record")
	}
}

func (s *suite) removes() {
	first := order("1", 1)
	first.Version = s.put(resubmit.Durable, first, lane("l", "1"))
	s.mustConflict(first, protocol.Record{Key: first.Key})
	s.put(resubmit.Durable, protocol.Record{Key: first.Key, Version: first.Version})
	for range 2 {
		s.mustLack(first.Key)
		if all := s.all(); len(all) != 1 {
			s.Fatalf("Records yielded %d records instead of one", len(all))
		}
		s.open(s.dir)
	}
	s.mustConflict(protocol.Record{Key: first.Key}, on(first.Version, order("1", 2)))
	again := order("2", 2)
	again.Order.Number = first.Order.Number // is free now
	again.Version = s.put(resubmit.Durable, again)
	s.mustHave(again)
}

func (s *suite) claimsOnce() {
	base := order("1", 1)
	base.Version = s.put(resubmit.Durable, base)
	one, two := on(base.Version, order("1", 2)), on(base.Version, order("1", 3))
	one.Order.Run, two.Order.Run = "sha256:one", "sha256:two"
	one.Version = s.put(resubmit.Durable, one)
	s.mustConflict(one, two)
	s.open(s.dir)
	s.mustConflict(one, two)
	s.mustHave(one)
}

func (s *suite) claimsOnceAtOnce() {
	const runs, orders = 16, 40
	for version := range uint64(2) {
		base := make([]uint64, orders)
		for n := range base {
			base[n] = s.get(protocol.OrderKey(fmt.Sprint(n))).Version
		}
		if version > 0 && base[0] == 0 {
			s.Fatalf("Get returned no record of an order that was claimed")
		}
		var got [orders]atomic.Int32
		start := make(chan struct{})
		var all sync.WaitGroup
		for range runs {
			all.Go(func() {
				<-start
				for n := range orders {
					r := on(base[n], order(fmt.Sprint(n), int(version))) //nolint:gosec // a small number
					if _, err := s.journal.Put(s.Context(), resubmit.Durable, r); err == nil {
						got[n].Add(1)
					}
				}
			})
		}
		close(start)
		all.Wait()
		for n := range orders {
			if times := got[n].Load(); times != 1 {
				s.Fatalf("%d of %d runs claimed the order %d", times, runs, n)
			}
		}
	}
}

func (s *suite) guardsLanes() {
	taken := lane("subscription", "1")
	taken.Version = s.put(resubmit.Durable, order("1", 1), taken)
	s.mustConflict(taken, order("2", 1), lane("subscription", "2"))
	s.open(s.dir)
	s.mustConflict(taken, order("2", 1), lane("subscription", "2"))
	free := on(taken.Version, lane("subscription", ""))
	free.Version = s.put(resubmit.Deferred, free)
	s.mustConflict(free, order("2", 1), on(taken.Version, lane("subscription", "2")))
	s.put(resubmit.Durable, order("2", 1), on(free.Version, lane("subscription", "2")))
}

func (s *suite) keepsNumbersUnique() {
	first := s.put(resubmit.Durable, order("1", 1))
	for range 2 {
		other := order("2", 1)
		other.Order.Number = "SO-1"
		_, err := s.journal.Put(s.Context(), resubmit.Durable, other)
		if !errors.Is(err, resubmit.ErrOrderNumber) {
			s.Fatalf("Put of the number of another order returned the error %v instead of ErrOrderNumber", err)
		}
		s.mustLack(other.Key)
		s.open(s.dir)
	}
	renamed := on(first, order("1", 2))
	renamed.Order.Number = "SO-new"
	second := s.put(resubmit.Durable, renamed)
	s.open(s.dir)
	freed := order("2", 1)
	freed.Order.Number = "SO-1"
	s.put(resubmit.Durable, freed)
	for _, id := range []string{"3", "4"} { // without a number
		none := order(id, 1)
		none.Order.Number = ""
		s.put(resubmit.Durable, none)
	}
	none := on(second, order("1", 3))
	none.Order.Number = ""
	s.put(resubmit.Durable, none)
	s.open(s.dir)
	taken := order("5", 1)
	taken.Order.Number = "SO-new"
	s.put(resubmit.Durable, taken)
}

func (s *suite) showsDeferred() {
	const callers, each = 16, 30
	errs := make(chan error, callers)
	for caller := range callers {
		go func() { errs <- s.putAndGet(caller, each) }()
	}
	var failed error
	for range callers {
		failed = errors.Join(failed, <-errs)
	}
	if failed != nil {
		s.Fatalf("%v", failed)
	}
}

// putAndGet puts the orders of one caller and gets each immediately, in another goroutine.
func (s *suite) putAndGet(caller, each int) error {
	for n := range each {
		r := order(fmt.Sprint(caller, " ", n), n)
		for _, d := range []resubmit.Durability{resubmit.Durable, resubmit.Deferred} {
			seq, err := s.journal.Put(s.Context(), d, r)
			if err != nil {
				return err
			}
			r.Version = seq
			got := make(chan protocol.Record)
			go func() {
				r, err := s.journal.Get(s.Context(), r.Key)
				if err != nil {
					r.Order = &protocol.Order{Why: err.Error()}
				}
				got <- r
			}()
			if got := <-got; !same(got, r) {
				return fmt.Errorf("get returned %s, but %s was put", show(got), show(r))
			}
		}
	}
	return nil
}

func (s *suite) yieldsSnapshot() {
	const pairs = 50
	versions := make([]uint64, pairs)
	write := func(round int) error {
		for n := range versions {
			a, b := order(fmt.Sprint("a", n), round), order(fmt.Sprint("b", n), round)
			seq, err := s.journal.Put(s.Context(), resubmit.Deferred, on(versions[n], a), on(versions[n], b))
			if err != nil {
				return err
			}
			versions[n] = seq
			runtime.Gosched() // so that the reader comes to its turn
		}
		return nil
	}
	s.must(write(0), "Put")
	stop, stopped := make(chan struct{}), make(chan error)
	go func() {
		var err error
		for round := 1; err == nil; round++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
				err = write(round)
			}
		}
		stopped <- err
	}()
	var found []map[protocol.Key]protocol.Record
	for range 20 {
		found = append(found, s.all())
	}
	close(stop)
	s.must(<-stopped, "Put")
	for _, all := range found {
		s.checkSnapshot(all, pairs)
	}
	n := 0
	for _, err := range s.journal.Records(s.Context()) {
		s.must(err, "Records")
		s.put(resubmit.Durable, order(fmt.Sprint("while records are read ", n), 1))
		if n++; n == 3 {
			break
		}
	}
}

// checkSnapshot checks that all pairs are complete, and that later ones are of no later round.
func (s *suite) checkSnapshot(all map[protocol.Key]protocol.Record, pairs int) {
	if len(all) != 2*pairs {
		s.Fatalf("Records yielded %d of %d records", len(all), 2*pairs)
	}
	attempts := func(id string, n int) int {
		r := all[protocol.OrderKey(fmt.Sprint(id, n))]
		if r.Order == nil {
			s.Fatalf("Records did not yield the order %s%d, which was put", id, n)
		}
		return r.Order.Attempts
	}
	first := attempts("a", 0)
	last := first
	for n := range pairs {
		a, b := attempts("a", n), attempts("b", n)
		if a != b {
			s.Fatalf("Records yielded half of a Put")
		}
		if a > last || a < first-1 {
			s.Fatalf("Records yielded records of different moments: of the rounds %d to %d", first, a)
		}
		last = a
	}
}

func (s *suite) givesEpochs() {
	u := use()
	var last uint64
	for n := range 6 {
		u.Plan = fmt.Sprint(planOne, n%2)
		l, err := s.journal.Begin(s.Context(), u)
		s.must(err, "Begin")
		if l.Epoch <= last {
			s.Fatalf("a lease has the epoch %d after %d", l.Epoch, last)
		}
		last = l.Epoch
		if l := s.begin(); l.Epoch != 0 {
			s.Fatalf("a reader got the epoch %d", l.Epoch)
		}
		if n%2 == 1 {
			s.open(s.dir)
		}
	}
}

func (s *suite) setsLeases() {
	u := use()
	u.Plan = planOne
	l, err := s.journal.Begin(s.Context(), u)
	s.must(err, "Begin")
	r := run(planOne, l.Epoch)
	r.Run.LeaseEnd = noon
	for renewal := range uint64(3) {
		r.Run.Renewals = renewal
		began := time.Now()
		r.Version = s.put(resubmit.Durable, r)
		end := s.leaseEnd(s.get(r.Key))
		if yielded := s.leaseEnd(s.all()[r.Key]); !end.After(began) || !yielded.After(began) {
			s.Fatalf("the lease of a run ends at %v, before it began", end)
		}
		if latest := time.Now().Add(l.Duration + time.Minute); l.Duration > 0 && end.After(latest) {
			s.Fatalf("a lease of %v ends only at %v", l.Duration, end)
		}
	}
	s.open(s.dir)
	if end := s.leaseEnd(s.get(r.Key)); l.Duration == 0 && end.After(time.Now()) {
		s.Fatalf("a lease until the journal is closed ends at %v, after it was opened again", end)
	}
	r.Run.Ended, r.Run.End = time.Now(), protocol.RunFinished
	s.put(resubmit.Durable, r)
	if end := s.leaseEnd(s.get(r.Key)); end.After(time.Now()) {
		s.Fatalf("the lease of a run that has ended ends at %v", end)
	}
}

// leaseEnd returns the end of the lease of a run, whose record must be there.
func (s *suite) leaseEnd(r protocol.Record) time.Time {
	if r.Run == nil {
		s.Fatalf("the record of a run was put, but is %s", show(r))
	}
	return r.Run.LeaseEnd
}

func (s *suite) recognizesPositions() {
	positions := []plan.Position{{}, s.begin().Position, s.flush()}
	for n := range 5 {
		s.put(resubmit.Durability(n%2), order(fmt.Sprint(n), n))
		s.put(resubmit.Deferred, lane(fmt.Sprint(n), "1"))
		positions = append(positions, s.flush(), s.begin().Position)
		if n%2 == 1 {
			s.open(s.dir)
		}
		for _, p := range positions {
			s.must(s.beginAfter(p), "Begin after a position that was returned")
		}
	}
	last := positions[len(positions)-1]
	hash, later, early, id := last, last, last, last
	hash.Hash = strings.Repeat("0", len(hash.Hash))
	later.Sequence++
	early.Sequence--
	id.Journal = "another"
	for what, p := range map[string]plan.Position{
		"with another hash": hash, "that is not reached yet": later, "of another journal": id,
		"with the hash of another one": early,
	} {
		if err := s.beginAfter(p); !errors.Is(err, resubmit.ErrJournalMismatch) {
			s.Fatalf("Begin after a position %s returned the error %v instead of ErrJournalMismatch", what, err)
		}
	}
}

func (s *suite) rejectsOthers() {
	s.put(resubmit.Durable, order("1", 1))
	p := s.flush()
	s.open(s.TempDir())
	for n := range 2 {
		if err := s.beginAfter(p); !errors.Is(err, resubmit.ErrJournalMismatch) {
			s.Fatalf("a new journal returned the error %v instead of ErrJournalMismatch", err)
		}
		s.begin()
		s.put(resubmit.Durable, order(fmt.Sprint(n), 1))
	}
}

func (s *suite) rejectsSystems() {
	for range 2 {
		for _, change := range []func(*resubmit.JournalUse){
			func(u *resubmit.JournalUse) { u.System = "billing" },
			func(u *resubmit.JournalUse) { u.BaseURL = "https://other.example.net:6308" },
			func(u *resubmit.JournalUse) { u.IDSpace = "simpleapi" },
		} {
			u := use()
			change(&u)
			if _, err := s.journal.Begin(s.Context(), u); !errors.Is(err, resubmit.ErrJournalSystem) {
				s.Fatalf("Begin for another system returned the error %v instead of ErrJournalSystem", err)
			}
		}
		s.open(s.dir)
		s.begin()
	}
}

func (s *suite) behavesLikeMap() {
	random := rand.New(rand.NewPCG(1, 2))
	want := make(map[protocol.Key]protocol.Record)
	for n := range 600 {
		r := order(fmt.Sprint(random.IntN(40)), n)
		if n%3 == 0 {
			r = lane(fmt.Sprint(random.IntN(40)), fmt.Sprint(n))
		}
		r.Version = want[r.Key].Version
		if random.IntN(5) == 0 {
			r.Order, r.Lane, r.At = nil, nil, time.Time{}
		}
		seq := s.put(resubmit.Durability(random.IntN(2)), r)
		if want[r.Key] = on(seq, r); r.Removes() {
			delete(want, r.Key)
		}
		if n%50 == 0 {
			s.open(s.dir)
		}
		if n%20 == 0 {
			s.mustBe(want)
		}
	}
}

// mustBe checks all records.
func (s *suite) mustBe(want map[protocol.Key]protocol.Record) {
	all := s.all()
	if len(all) != len(want) {
		s.Fatalf("Records yielded %d instead of %d records", len(all), len(want))
	}
	for k, r := range want {
		s.mustHave(r)
		if !same(all[k], r) {
			s.Fatalf("Records yielded %s, but %s was put", show(all[k]), show(r))
		}
	}
}

func (s *suite) endsWithContext() {
	ended, cancel := context.WithCancel(s.Context())
	cancel()
	j := s.journal
	for what, call := range map[string]func(context.Context) error{
		"Begin": func(ctx context.Context) error { _, err := j.Begin(ctx, use()); return err },
		"Get":   func(ctx context.Context) error { _, err := j.Get(ctx, protocol.OrderKey("1")); return err },
		"Flush": func(ctx context.Context) error { _, err := j.Flush(ctx); return err },
		"Put": func(ctx context.Context) error {
			_, err := j.Put(ctx, resubmit.Durable, order("1", 1))
			return err
		},
		"Records": func(ctx context.Context) error {
			for _, err := range j.Records(ctx) {
				if err != nil {
					return err
				}
			}
			return nil
		},
	} {
		s.within(ended, what, call)
	}
	s.put(resubmit.Durable, order("2", 1))
}

func (s *suite) rejectsAfterClose() {
	c, ok := s.journal.(io.Closer)
	if !ok {
		s.Logf("not checked: it has no method Close")
		return
	}
	for range 2 {
		s.must(c.Close(), "Close")
	}
	if _, err := s.journal.Put(s.Context(), resubmit.Durable, order("1", 1)); err == nil {
		s.Fatalf("Put succeeded after Close")
	}
	if _, err := s.journal.Get(s.Context(), protocol.OrderKey("1")); err == nil {
		s.Fatalf("Get succeeded after Close")
	}
	if _, err := s.journal.Begin(s.Context(), use()); err == nil {
		s.Fatalf("Begin succeeded after Close")
	}
	failed := false
	for _, err := range s.journal.Records(s.Context()) {
		failed = err != nil
	}
	if !failed {
		s.Fatalf("Records succeeded after Close")
	}
}

func (s *suite) isDurable() {
	var last uint64
	for n := range 5 {
		r := on(last, order("1", n))
		last = s.put(resubmit.Durable, r, lane(fmt.Sprint(n), "1"))
		dir, live := s.copy(), s.dir
		s.open(dir)
		s.mustHave(on(last, r))
		s.mustHave(on(last, lane(fmt.Sprint(n), "1")))
		s.open(live)
	}
}

func (s *suite) flushes() {
	r := order("1", 1)
	r.Version = s.put(resubmit.Deferred, r)
	p := s.flush()
	s.open(s.copy())
	s.mustHave(r)
	s.must(s.beginAfter(p), "Begin after the position that Flush returned")
}

func (s *suite) losesInOrder() {
	var last uint64
	var versions []uint64
	for n := range 10 {
		d := resubmit.Deferred
		if n == 5 {
			d = resubmit.Durable
		}
		last = s.put(d, on(last, order("1", n)), lane(fmt.Sprint(n), "1"))
		versions = append(versions, last)
	}
	s.open(s.copy())
	found := -1
	for n := range versions {
		if r := s.get(lane(fmt.Sprint(n), "").Key); r.Version != 0 {
			if n != found+1 {
				s.Fatalf("after a crash, the write %d is there, but not the one before", n)
			}
			found = n
		}
	}
	if found < 5 {
		s.Fatalf("after a crash, the durable write is lost")
	}
	s.mustHave(on(versions[found], order("1", found)))
	s.put(resubmit.Durable, on(versions[found], order("1", 99)))
}

func (s *suite) rejectsCopies() {
	s.put(resubmit.Durable, order("1", 1))
	before := s.flush()
	dir := s.copy()
	s.put(resubmit.Durable, order("2", 1))
	p := s.flush()
	s.put(resubmit.Durable, order("3", 1))
	s.open(dir)
	s.must(s.beginAfter(before), "Begin after a position of the copy")
	for n := range 10 {
		if err := s.beginAfter(p); !errors.Is(err, resubmit.ErrJournalMismatch) {
			s.Fatalf("Begin after a position that the copy never had returned the error %v instead of ErrJournalMismatch", err)
		}
		s.put(resubmit.Durable, order(fmt.Sprint("other ", n), 1))
		s.flush()
	}
}
