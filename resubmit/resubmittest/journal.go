package resubmittest

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// JournalOpener is a function that opens the journal in a directory, which is empty the first time. Opened again, the
// journal must have its records: keep a journal in memory by its directory. If it is an [io.Closer], it is closed
// before it is opened again.
type JournalOpener func(dir string) (resubmit.Journal, error)

// TestJournal checks that a journal keeps the contract of [resubmit.Journal], each promise in a subtest. To check that
// Put makes a record durable, it copies the directory, as a crash would leave it. A journal without files there is not
// checked for that, which the test log says.
//
//	func TestMyJournal(t *testing.T) {
//		resubmittest.TestJournal(t, func(dir string) (resubmit.Journal, error) {
//			return myjournal.Open(filepath.Join(dir, "journal"))
//		})
//	}
func TestJournal(t *testing.T, open JournalOpener) {
	t.Helper()
	for _, c := range journalPromises() {
		t.Run(c.text, func(t *testing.T) { c.check(t, open) })
	}
}

// journalPromise is a requirement of a journal and its check.
type journalPromise struct {
	text string
	run  func(*journalSuite)
}

func journalPromises() []journalPromise {
	return []journalPromise{
		{"is empty when new", (*journalSuite).isEmpty},
		{"reopens with its plan", (*journalSuite).opensItsPlan},
		{"rejects another plan with ErrOtherPlan and both digests", (*journalSuite).refusesOtherPlans},
		{"rejects records before Begin", (*journalSuite).refusesBeforeBegin},
		{"keeps all fields of a record", (*journalSuite).keepsFields},
		{"replaces only the record of the same order", (*journalSuite).keepsOrdersApart},
		{"rejects invalid transitions and keeps the record", (*journalSuite).enforcesTransitions},
		{"lets one of many concurrent runs claim an order", (*journalSuite).claimsOrdersOnce},
		{"shows a record to all goroutines at once", (*journalSuite).isVisibleAtOnce},
		{"keeps records when reopened", (*journalSuite).survivesReopening},
		{"has a record on disk before Put returns", (*journalSuite).isDurable},
		{"keeps records of PutLater until the next record of the order or Sync",
			(*journalSuite).keepsAsyncRecords},
		{"rejects calls after Close", (*journalSuite).refusesAfterClose},
		{"behaves like a map", (*journalSuite).behavesLikeMap},
		{"lists the records that Get returns", (*journalSuite).listsHeads},
	}
}

// check runs the check with a new journal.
func (c journalPromise) check(t testing.TB, open JournalOpener) {
	t.Helper()
	s := &journalSuite{TB: t, promise: c.text, open: open, dir: t.TempDir()}
	s.reopen()
	s.Cleanup(func() { _ = s.close() })
	c.run(s)
}

// journalSuite checks one promise of a journal.
type journalSuite struct {
	testing.TB
	promise string
	open    JournalOpener
	dir     string
	journal resubmit.Journal
	closed  bool
}

// failf reports that the promise is broken and ends the check.
func (s *journalSuite) failf(format string, args ...any) {
	s.Helper()
	s.Fatalf("broken promise: %s: %s", s.promise, fmt.Sprintf(format, args...))
}

func (s *journalSuite) close() error {
	c, ok := s.journal.(io.Closer)
	if !ok || s.closed {
		return nil
	}
	s.closed = true
	return c.Close()
}

// reopen closes the journal, if it was open, and opens it where it was.
func (s *journalSuite) reopen() {
	s.Helper()
	if s.journal != nil {
		if err := s.close(); err != nil {
			s.failf("closing it failed: %v", err)
		}
	}
	s.journal, s.closed = s.openAt(s.dir), false
}

func (s *journalSuite) openAt(dir string) resubmit.Journal {
	s.Helper()
	j, err := s.open(dir)
	if err != nil || j == nil {
		s.failf("opening it returned %v and the error %v", j, err)
	}
	return j
}

const (
	planOne = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	planTwo = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
)

func (s *journalSuite) begin() {
	s.Helper()
	if err := s.journal.Begin(planOne); err != nil {
		s.failf("Begin failed: %v", err)
	}
}

func (s *journalSuite) put(r resubmit.Record) {
	s.Helper()
	if err := s.journal.Put(r); err != nil {
		s.failf("Put of %s as %s failed: %v", r.OrderID, r.State, err)
	}
}

// holds returns an error if the record of an order is not want; nil means no record. It may be called concurrently.
func holds(j resubmit.Journal, id string, want *resubmit.Record) error {
	got, found, err := j.Get(id)
	switch {
	case err != nil:
		return fmt.Errorf("Get(%q) failed: %w", id, err)
	case want == nil && found:
		return fmt.Errorf("Get(%q) returned %+v, but nothing was put", id, got)
	case want == nil:
		return nil
	case !found:
		return fmt.Errorf("Get(%q) returned nothing, but %s was put", id, want.State)
	case !sameRecord(got, *want):
		return fmt.Errorf("Get(%q) returned %+v, but %+v was put", id, got, *want)
	}
	return nil
}

func (s *journalSuite) mustHold(id string, want *resubmit.Record) {
	s.Helper()
	if err := holds(s.journal, id, want); err != nil {
		s.failf("%v", err)
	}
}

// sameRecord compares all fields, including those of later versions; times by their instant.
func sameRecord(a, b resubmit.Record) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		if t, ok := x.Field(i).Interface().(time.Time); ok {
			if u, ok := y.Field(i).Interface().(time.Time); !ok || !t.Equal(u) {
				return false
			}
			continue
		}
		if !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			return false
		}
	}
	return true
}

func journalRecord(id string, state resubmit.RecordState, n int) resubmit.Record {
	return resubmit.Record{
		OrderID: id, Fingerprint: fmt.Sprintf("%032x", n), State: state, Attempt: 1 + n%3, Target: "PD", Seen: "PF",
		At:  time.Date(2026, 3, 7, 2, 0, 0, n%1_000_000_000, time.UTC).Add(time.Duration(n) * time.Second),
		Why: fmt.Sprintf("step %d", n),
	}
}

func (s *journalSuite) isEmpty() {
	s.mustHold("id-1", nil)
	s.begin()
	for _, id := range []string{"id-1", "1", "a/b", strings.Repeat("9", 200)} {
		s.mustHold(id, nil)
	}
}

func (s *journalSuite) opensItsPlan() {
	s.begin()
	r := journalRecord("id-1", resubmit.RecordPushed, 1)
	s.put(r)
	for range 2 {
		s.begin()
		s.mustHold("id-1", &r)
		s.reopen()
	}
}

func (s *journalSuite) refusesOtherPlans() {
	s.begin()
	for range 2 {
		err := s.journal.Begin(planTwo)
		switch {
		case err == nil:
			s.failf("Begin accepted a second plan")
		case !errors.Is(err, resubmit.ErrOtherPlan):
			s.failf("the error does not match ErrOtherPlan: %v", err)
		case !strings.Contains(err.Error(), planOne) || !strings.Contains(err.Error(), planTwo):
			s.failf("the error does not name both digests: %v", err)
		}
		s.reopen()
	}
	s.begin()
}

func (s *journalSuite) refusesBeforeBegin() {
	if s.journal.Put(journalRecord("id-1", resubmit.RecordPushed, 1)) == nil {
		s.failf("Put accepted a record before Begin")
	}
	s.begin()
	s.mustHold("id-1", nil)
}

func (s *journalSuite) keepsFields() {
	s.begin()
	full := resubmit.Record{OrderID: "id-1", State: resubmit.RecordPushed}
	fields := reflect.ValueOf(&full).Elem()
	for i := range fields.NumField() {
		fillField(fields.Field(i), i)
	}
	zone := time.FixedZone("", -7*3600)
	records := []resubmit.Record{
		full,
		{OrderID: "id-2", State: resubmit.RecordCompleted},
		{OrderID: "id-3", State: resubmit.RecordUnknown, At: time.Date(2026, 11, 1, 1, 30, 0, 1, zone)},
		{OrderID: "id-4", State: resubmit.RecordSkipped, At: time.Now(),
			Why: "line\nline \"quoted\" <b>&amp; \\ \x00 \u2028 中文 🙂"},
		{OrderID: "id-5", State: resubmit.RecordRefused, Why: strings.Repeat("long ", 20_000)},
		{OrderID: "id-6", State: "of a later version"},
	}
	for range 2 {
		for _, r := range records {
			s.put(r)
			s.mustHold(r.OrderID, &r)
		}
		s.reopen()
		s.begin()
	}
	for _, r := range records {
		s.mustHold(r.OrderID, &r)
	}
}

// fillField sets an empty field to a distinct value.
func fillField(f reflect.Value, n int) {
	if !f.IsZero() {
		return
	}
	if f.Type() == reflect.TypeFor[time.Time]() {
		f.Set(reflect.ValueOf(time.Date(2026, 3, 7, 2, 0, n, 123456789, time.UTC)))
		return
	}
	switch f.Kind() {
	case reflect.String:
		f.SetString(fmt.Sprintf("field %d", n))
	case reflect.Bool:
		f.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		f.SetInt(int64(n + 1))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		f.SetUint(uint64(n) + 1) //nolint:gosec // a small number
	case reflect.Float32, reflect.Float64:
		f.SetFloat(float64(n) + 0.5)
	case reflect.Struct:
		for i := range f.NumField() {
			if f.Field(i).CanSet() {
				fillField(f.Field(i), n+i)
			}
		}
	case reflect.Slice:
		f.Set(reflect.MakeSlice(f.Type(), 2, 2))
		for i := range f.Len() {
			fillField(f.Index(i), n+i)
		}
	case reflect.Pointer:
		f.Set(reflect.New(f.Type().Elem()))
		fillField(f.Elem(), n)
	default: // a record has no other kinds
	}
}

// journalIDs are ids that are easily confused.
func journalIDs() []string {
	return []string{
		"1", "10", "100", "01", "1 ", " 1", "1.0", "+1", "id-1", "ID-1", "id-10", "id_1", "a/b", "a//b", "a\\b", "../a", ".",
		"..", "a b", "a\tb", "a\nb", "100%", "%31", "ä", "a\u0308", "中文", "\x00", "\x00\x00", "h", "o", "o1", "records",
		strings.Repeat("9", 199), strings.Repeat("9", 200),
	}
}

func (s *journalSuite) keepsOrdersApart() {
	s.begin()
	want := make(map[string]resubmit.Record)
	for round, state := range []resubmit.RecordState{resubmit.RecordSending, resubmit.RecordRefused,
		resubmit.RecordCompleted} {
		for i, id := range journalIDs() {
			if round == 0 {
				s.mustHold(id, nil)
			}
			want[id] = journalRecord(id, state, 100*round+i)
			s.put(want[id])
		}
		for id, r := range want {
			s.mustHold(id, &r)
		}
	}
}

func journalStates() []resubmit.RecordState {
	return []resubmit.RecordState{
		resubmit.RecordSending, resubmit.RecordRefused, resubmit.RecordUnknown, resubmit.RecordPushed,
		resubmit.RecordProgressing,
		resubmit.RecordCompleted, resubmit.RecordFailedAgain, resubmit.RecordFalseSuccess, resubmit.RecordSkipped,
	}
}

func (s *journalSuite) enforcesTransitions() {
	s.begin()
	for i, was := range journalStates() {
		for k, next := range journalStates() {
			id := fmt.Sprintf("id-%s-%s", was, next)
			first, second := journalRecord(id, was, i), journalRecord(id, next, 100+k)
			s.put(first)
			refusal := first.CheckNext(second)
			err := s.journal.Put(second)
			switch {
			case refusal != nil && err == nil:
				s.failf("Put accepted %s after %s", next, was)
			case refusal == nil && err != nil:
				s.failf("Put rejected %s after %s: %v", next, was, err)
			case refusal != nil:
				s.mustHold(id, &first)
			default:
				s.mustHold(id, &second)
			}
		}
	}
	s.enforcesAttempts()
}

// enforcesAttempts puts further attempts after a push without a response.
func (s *journalSuite) enforcesAttempts() {
	s.Helper()
	lost := journalRecord("id-1", resubmit.RecordUnknown, 1)
	for more := range 3 {
		for moreLost := range 3 {
			lost.OrderID = fmt.Sprintf("id-%d-%d", more, moreLost)
			next := lost
			next.State, next.Attempt, next.Lost = resubmit.RecordSending, lost.Attempt+more, lost.Lost+moreLost
			s.put(lost)
			want, err := lost, s.journal.Put(next)
			if refusal := lost.CheckNext(next); (refusal == nil) != (err == nil) {
				s.failf("Put of push %d, after %d without a response, after push %d returned the error %v", next.Attempt,
					next.Lost, lost.Attempt, err)
			} else if err == nil {
				want = next
			}
			s.mustHold(lost.OrderID, &want)
		}
	}
}

func (s *journalSuite) claimsOrdersOnce() {
	s.begin()
	s.claimOnce(journalRecord("", resubmit.RecordSending, 0))
	next := journalRecord("", resubmit.RecordSending, 1)
	for n := range onceOrders {
		lost := next
		lost.OrderID, lost.State = onceID(n), resubmit.RecordUnknown
		s.put(lost)
	}
	next.Attempt, next.Lost = next.Attempt+1, next.Lost+1
	s.claimOnce(next)
}

const onceOrders = 40

func onceID(n int) string { return fmt.Sprintf("id-%d", n) }

// claimOnce lets many runs claim the same orders.
func (s *journalSuite) claimOnce(intent resubmit.Record) {
	s.Helper()
	const runs = 16
	var got [onceOrders]atomic.Int32
	start := make(chan struct{})
	var all sync.WaitGroup
	for run := range runs {
		all.Go(func() {
			<-start
			r := intent
			r.Why = fmt.Sprintf("run %d", run)
			for n := range onceOrders {
				r.OrderID = onceID(n)
				if s.journal.Put(r) == nil {
					got[n].Add(1)
				}
			}
		})
	}
	close(start)
	all.Wait()
	for n := range onceOrders {
		if times := got[n].Load(); times != 1 {
			s.failf("of %[1]d runs, %[3]d claimed order id-%[2]d", runs, n, times)
		}
	}
}

func (s *journalSuite) isVisibleAtOnce() {
	s.begin()
	const callers, each = 16, 30
	errs := make(chan error, callers)
	for caller := range callers {
		go func() { errs <- putAndGet(s.journal, caller, each) }()
	}
	var failed error
	for range callers {
		if err := <-errs; failed == nil {
			failed = err
		}
	}
	if failed != nil {
		s.failf("%v", failed)
	}
}

// putAndGet puts the orders of one caller and gets each immediately, in another goroutine.
func putAndGet(j resubmit.Journal, caller, each int) error {
	for n := range each {
		for _, state := range []resubmit.RecordState{resubmit.RecordSending, resubmit.RecordPushed} {
			id := fmt.Sprintf("id-%d-%d", n, caller)
			r := journalRecord(id, state, n)
			if err := j.Put(r); err != nil {
				return fmt.Errorf("Put of %s as %s failed: %w", id, state, err)
			}
			seen := make(chan error)
			go func() { seen <- holds(j, id, &r) }()
			if err := <-seen; err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *journalSuite) survivesReopening() {
	s.begin()
	want := make(map[string]resubmit.Record)
	for round := range 3 {
		for i, state := range journalStates() {
			id := fmt.Sprintf("id-%d-%d", round, i)
			want[id] = journalRecord(id, state, 10*round+i)
			s.put(want[id])
		}
		s.reopen()
		s.begin()
		for id, r := range want {
			s.mustHold(id, &r)
		}
	}
}

func (s *journalSuite) isDurable() {
	s.begin()
	for n, state := range []resubmit.RecordState{resubmit.RecordSending, resubmit.RecordPushed, resubmit.RecordCompleted} {
		r := journalRecord("id-1", state, n)
		s.put(r)
		if !s.mustSurvive("Put", r) {
			return
		}
	}
}

func (s *journalSuite) keepsAsyncRecords() {
	s.begin()
	j, ok := s.journal.(resubmit.LaterJournal)
	if !ok {
		s.Logf("not checked: it is no LaterJournal")
		return
	}
	later := func(r resubmit.Record) {
		s.Helper()
		if err := j.PutLater(r); err != nil {
			s.failf("PutLater of %s as %s failed: %v", r.OrderID, r.State, err)
		}
		s.mustHold(r.OrderID, &r)
	}
	pushed, completed := journalRecord("id-1", resubmit.RecordPushed, 1),
		journalRecord("id-1", resubmit.RecordCompleted, 2)
	intent := journalRecord("id-2", resubmit.RecordSending, 3)
	later(pushed)
	later(completed)
	later(journalRecord("id-2", resubmit.RecordRefused, 1))
	s.put(intent)
	if s.mustHold("id-2", &intent); !s.mustSurvive("Put", intent) {
		return
	}
	if err := j.Sync(); err != nil {
		s.failf("Sync failed: %v", err)
	}
	s.mustSurvive("Sync", completed, intent)
}

// mustSurvive checks that records survive a crash right after a call. It returns false if the journal has no files, so
// that this cannot be checked.
func (s *journalSuite) mustSurvive(call string, records ...resubmit.Record) bool {
	s.Helper()
	left := s.TempDir()
	if err := os.CopyFS(left, os.DirFS(s.dir)); err != nil {
		s.failf("its directory could not be copied: %v", err)
	}
	if files, err := os.ReadDir(left); err != nil || len(files) == 0 {
		s.Logf("not checked: it has no files in its directory (%v)", err)
		return false
	}
	after := s.openAt(left)
	var err error
	for _, r := range records {
		err = errors.Join(err, holds(after, r.OrderID, &r))
	}
	if c, ok := after.(io.Closer); ok {
		err = errors.Join(err, c.Close())
	}
	if err != nil {
		s.failf("after a crash right after %s: %v", call, err)
	}
	return true
}

func (s *journalSuite) refusesAfterClose() {
	s.begin()
	if _, ok := s.journal.(io.Closer); !ok {
		s.Logf("not checked: it is no io.Closer")
		return
	}
	if err := s.close(); err != nil {
		s.failf("closing it failed: %v", err)
	}
	if s.journal.Put(journalRecord("id-1", resubmit.RecordSending, 1)) == nil {
		s.failf("Put accepted a record")
	}
	if _, found, err := s.journal.Get("id-1"); err == nil || found {
		s.failf("Get returned found=%v and the error %v, but must return an error", found, err)
	}
}

func (s *journalSuite) behavesLikeMap() {
	s.begin()
	random := rand.New(rand.NewPCG(1, 2))
	want := make(map[string]resubmit.Record)
	for n := range 600 {
		id := fmt.Sprintf("%d", random.IntN(400))
		states := journalStates()
		next := journalRecord(id, states[random.IntN(len(states))], n)
		refusal := want[id].CheckNext(next)
		if err := s.journal.Put(next); (err == nil) != (refusal == nil) {
			s.failf("Put of %s as %s after %q returned the error %v", id, next.State, want[id].State, err)
		}
		if refusal == nil {
			want[id] = next
		}
		if n%150 == 149 {
			s.reopen()
			s.begin()
		}
	}
	for n := range 400 {
		id := fmt.Sprintf("%d", n)
		if r, ok := want[id]; ok {
			s.mustHold(id, &r)
		} else {
			s.mustHold(id, nil)
		}
	}
}

// listsHeads compares the heads of a resubmit.BulkJournal with the records. Other journals are not checked.
func (s *journalSuite) listsHeads() {
	bulk, ok := s.journal.(resubmit.BulkJournal)
	if !ok {
		return
	}
	s.begin()
	want := make(map[string]resubmit.Record)
	for round := range 2 {
		for i, state := range journalStates() {
			for _, id := range []string{fmt.Sprintf("id-%d", i), fmt.Sprintf("id-%d-%d", round, i)} {
				if want[id].CheckNext(journalRecord(id, state, i)) == nil {
					want[id] = journalRecord(id, state, 10*round+i)
					s.put(want[id])
				}
			}
		}
		got := make(map[string]bool)
		for head, err := range bulk.Heads() {
			switch {
			case err != nil:
				s.failf("Heads ended with the error %v", err)
			case got[head.OrderID]:
				s.failf("Heads yielded order %q twice", head.OrderID)
			case head != want[head.OrderID].Head():
				s.failf("Heads yielded %+v, but %+v was put", head, want[head.OrderID])
			}
			got[head.OrderID] = true
		}
		if len(got) != len(want) {
			s.failf("Heads yielded %d of %d records", len(got), len(want))
		}
	}
}
