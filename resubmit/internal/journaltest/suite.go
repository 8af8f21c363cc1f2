package journaltest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/conformance"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// Opener opens the journal in a directory, which is empty the first time. Opened again, the journal
// must have its records: keep a journal in memory by its directory. If it is an [io.Closer], it is
// closed before it is opened again.
type Opener func(dir string) (resubmit.Journal, error)

// Promise is a requirement of a journal and its check.
type Promise struct {
	Text string
	run  func(*suite)
	// copies means that the check copies the directory, as a crash or a backup does. It is not
	// done for a journal without files there.
	copies bool
}

// Run checks each promise in a subtest.
func Run(t *testing.T, open Opener) {
	t.Helper()
	for _, p := range Promises() {
		t.Run(p.Text, func(t *testing.T) {
			t.Helper()
			p.Check(t, open)
		})
	}
}

// Promises returns all promises.
func Promises() []Promise {
	return []Promise{
		{Text: "is empty when new", run: (*suite).isEmpty},
		{Text: "keeps all fields of a record", run: (*suite).keepsFields},
		{Text: "shares no memory with its callers", run: (*suite).sharesNoMemory},
		{Text: "keeps similar keys apart", run: (*suite).keepsKeysApart},
		{Text: "gives each Put a larger sequence, the version of its records", run: (*suite).versions},
		{Text: "rejects a version that is not the current one", run: (*suite).rejectsVersions},
		{Text: "writes several records or none", run: (*suite).writesAllOrNone},
		{Text: "rejects invalid records", run: (*suite).rejectsInvalid},
		{Text: "removes records", run: (*suite).removes},
		{Text: "lets one of two plans claim from one version", run: (*suite).claimsOnce},
		{Text: "lets one of many runs at once claim an order", run: (*suite).claimsOnceAtOnce},
		{Text: "lets one order have a lane, whatever the plan", run: (*suite).guardsLanes},
		{Text: "keeps order numbers unique", run: (*suite).keepsNumbersUnique},
		{Text: "shows a Deferred record to all at once", run: (*suite).showsDeferred},
		{Text: "yields a snapshot of one moment while records are written", run: (*suite).yieldsSnapshot},
		{Text: "gives each lease a larger epoch, and a reader none", run: (*suite).givesEpochs},
		{Text: "sets the end of leases", run: (*suite).setsLeases},
		{Text: "recognizes the positions that it returned", run: (*suite).recognizesPositions},
		{Text: "rejects another journal", run: (*suite).rejectsOthers},
		{Text: "rejects another system", run: (*suite).rejectsSystems},
		{Text: "behaves like a map, and survives reopening", run: (*suite).behavesLikeMap},
		{Text: "does not hang after a context has ended", run: (*suite).endsWithContext},
		{Text: "rejects calls after Close", run: (*suite).rejectsAfterClose},
		{Text: "has a Durable record on disk when Put returns", run: (*suite).isDurable, copies: true},
		{Text: "has all records on disk when Flush returns", run: (*suite).flushes, copies: true},
		{Text: "loses after a crash only the last Deferred records", run: (*suite).losesInOrder, copies: true},
		{Text: "rejects an older copy, also one that has grown", run: (*suite).rejectsCopies, copies: true},
	}
}

// Check checks the promise with a new journal.
func (p Promise) Check(t testing.TB, open Opener) {
	t.Helper()
	conformance.Run(t, p.Text, func(check *conformance.Check) {
		s := &suite{Check: check, opener: open, dir: t.TempDir()}
		s.open(s.dir)
		defer s.close()
		s.begin()
		if p.copies && !s.hasFiles() {
			t.Logf("not checked: the journal has no files")
			return
		}
		p.run(s)
	})
}

// suite checks one promise of a journal.
type suite struct {
	*conformance.Check

	opener  Opener
	dir     string
	journal resubmit.Journal
}

// must ends the check if a call failed.
func (s *suite) must(err error, format string, args ...any) {
	if err != nil {
		s.Fatalf("%s failed: %v", fmt.Sprintf(format, args...), err)
	}
}

// open closes the journal, if it was open, and opens the one in a directory.
func (s *suite) open(dir string) {
	s.close()
	j, err := s.opener(dir)
	s.must(err, "opening the journal")
	s.journal, s.dir = j, dir
}

func (s *suite) close() {
	if c, ok := s.journal.(io.Closer); ok {
		s.must(c.Close(), "Close")
	}
	s.journal = nil
}

// copy copies the directory of the journal, as it would be after a crash.
func (s *suite) copy() string {
	dir := s.TempDir()
	s.must(os.CopyFS(dir, os.DirFS(s.dir)), "copying the directory")
	return dir
}

func (s *suite) hasFiles() bool {
	s.put(resubmit.Durable, order("file", 1))
	found, err := filepath.Glob(filepath.Join(s.dir, "*"))
	s.must(err, "reading the directory")
	return len(found) > 0
}

func use() resubmit.JournalUse {
	return resubmit.JournalUse{
		System: "ordermanager", BaseURL: "https://mn.example.net:6308", IDSpace: "aps", Owner: "test",
	}
}

const planOne = "sha256:1111111111111111111111111111111111111111111111111111111111111111"

// begin begins to read.
func (s *suite) begin() resubmit.Lease {
	l, err := s.journal.Begin(s.Context(), use())
	s.must(err, "Begin")
	return l
}

func (s *suite) beginAfter(p plan.Position) error {
	u := use()
	u.After = p
	_, err := s.journal.Begin(s.Context(), u)
	return err
}

func (s *suite) put(d resubmit.Durability, records ...protocol.Record) uint64 {
	seq, err := s.journal.Put(s.Context(), d, records...)
	s.must(err, "Put of the %s %s", records[0].Kind, records[0].ID)
	return seq
}

func (s *suite) get(k protocol.Key) protocol.Record {
	r, err := s.journal.Get(s.Context(), k)
	s.must(err, "Get of the %s %s", k.Kind, k.ID)
	return r
}

func (s *suite) flush() plan.Position {
	p, err := s.journal.Flush(s.Context())
	s.must(err, "Flush")
	return p
}

// all returns all records.
func (s *suite) all() map[protocol.Key]protocol.Record {
	all := make(map[protocol.Key]protocol.Record)
	for r, err := range s.journal.Records(s.Context()) {
		s.must(err, "Records")
		if _, found := all[r.Key]; found {
			s.Fatalf("Records yielded the %s %s twice", r.Kind, r.ID)
		}
		all[r.Key] = r
	}
	return all
}

// mustHave checks that Get returns a record.
func (s *suite) mustHave(want protocol.Record) {
	if got := s.get(want.Key); !same(got, want) {
		s.Fatalf("Get returned %s, but %s was put", show(got), show(want))
	}
}

// mustLack checks that there is no record.
func (s *suite) mustLack(k protocol.Key) {
	if got := s.get(k); !same(got, protocol.Record{}) {
		s.Fatalf("Get returned %s, but there is no such record", show(got))
	}
}

// same compares all fields but those that the journal sets; times by their instant.
func same(a, b protocol.Record) bool { return show(a) == show(b) }

func show(r protocol.Record) string {
	r = r.Clone()
	for _, t := range times(&r) {
		*t = t.UTC()
	}
	if r.Run != nil {
		r.Run.LeaseEnd = time.Time{}
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// times returns the times of a record.
func times(r *protocol.Record) []*time.Time {
	list := []*time.Time{&r.At}
	if o := r.Order; o != nil {
		list = append(list, &o.PlacedAt, &o.ClaimedAt, &o.FirstClaimAt, &o.SentAt)
	}
	if r.Lane != nil {
		list = append(list, &r.Lane.NewestAt)
	}
	if r.Run != nil {
		list = append(list, &r.Run.Started, &r.Run.Ended)
	}
	if r.System != nil {
		list = append(list, &r.System.RetryAfter, &r.System.AskedAt)
	}
	return list
}

var noon = time.Date(2026, 3, 7, 12, 0, 0, 123456789, time.UTC)

// order returns the record of an order with a number of its own; n distinguishes its records.
func order(id string, n int) protocol.Record {
	return protocol.Record{
		Key: protocol.OrderKey(id), At: noon.Add(time.Duration(n) * time.Second),
		Order: &protocol.Order{
			Number: "SO-" + id, Run: planOne, Epoch: 1, Fingerprint: fmt.Sprintf("%032x", n), Phase: protocol.Claimed,
			Attempts: n, Lanes: []string{"subscription " + id, "tenant " + id},
		},
	}
}

func lane(id, order string) protocol.Record {
	return protocol.Record{
		Key: protocol.Key{Kind: protocol.KindLane, ID: id}, At: noon, Lane: &protocol.Lane{Order: order, Newest: order},
	}
}

func run(id string, epoch uint64) protocol.Record {
	return protocol.Record{
		Key: protocol.Key{Kind: protocol.KindRun, ID: id}, At: noon, Run: &protocol.Run{Epoch: epoch, Started: noon},
	}
}

// on returns a record that replaces a version.
func on(version uint64, r protocol.Record) protocol.Record {
	r.Version = version
	return r
}

// within calls f with a context that ends, and fails if f does not return.
func (s *suite) within(ctx context.Context, what string, f func(context.Context) error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = f(ctx) // may have completed
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		s.Fatalf("%s did not return after its context ended", what)
	}
}
