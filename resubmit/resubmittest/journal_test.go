package resubmittest

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

func TestTheJournalInMemoryKeepsItsPromises(t *testing.T) {
	t.Parallel()
	var places sync.Map
	TestJournal(t, func(place string) (resubmit.Journal, error) {
		j, _ := places.LoadOrStore(place, new(resubmit.MemoryJournal))
		return j.(*resubmit.MemoryJournal), nil
	})
}

func TestASimpleJournalInAFileKeepsItsPromises(t *testing.T) {
	t.Parallel()
	TestJournal(t, openPlain(nil))
}

// plain is a simple journal in a file, for flaws to be put into.
type plain struct {
	mu      sync.Mutex
	path    string
	digest  string
	records map[string]resubmit.Record
	closed  bool
}

type plainContent struct {
	Digest  string
	Records map[string]resubmit.Record
}

func openPlain(flaw func(*plain) resubmit.Journal) OpenJournal {
	return func(place string) (resubmit.Journal, error) {
		p := &plain{path: filepath.Join(place, "journal"), records: make(map[string]resubmit.Record)}
		if text, err := os.ReadFile(p.path); err == nil {
			var c plainContent
			if err := json.Unmarshal(text, &c); err != nil {
				return nil, err
			}
			p.digest, p.records = c.Digest, c.Records
		}
		if flaw == nil {
			return p, nil
		}
		return flaw(p), nil
	}
}

func (p *plain) save() error {
	text, err := json.Marshal(plainContent{p.digest, p.records})
	if err != nil {
		return err
	}
	return os.WriteFile(p.path, text, 0o600)
}

func (p *plain) Begin(digest string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.digest == "" {
		p.digest = digest
		return p.save()
	}
	if p.digest != digest {
		return fmt.Errorf("%w: %s, not %s", resubmit.ErrOtherPlan, p.digest, digest)
	}
	return nil
}

func (p *plain) Put(r resubmit.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.digest == "" {
		return errors.New("closed, or not begun")
	}
	if err := p.records[r.OrderID].CheckNext(r); err != nil {
		return err
	}
	return p.set(r)
}

func (p *plain) set(r resubmit.Record) error {
	p.records[r.OrderID] = r
	return p.save()
}

func (p *plain) Get(id string) (resubmit.Record, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return resubmit.Record{}, false, os.ErrClosed
	}
	r, ok := p.records[id]
	return r, ok, nil
}

func (p *plain) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}

// flawed replaces methods of a journal.
type flawed struct {
	*plain
	begin func(string) error
	put   func(resubmit.Record) error
	get   func(string) (resubmit.Record, bool, error)
	close func() error
}

func (f *flawed) Begin(digest string) error {
	if f.begin != nil {
		return f.begin(digest)
	}
	return f.plain.Begin(digest)
}

func (f *flawed) Put(r resubmit.Record) error {
	if f.put != nil {
		return f.put(r)
	}
	return f.plain.Put(r)
}

func (f *flawed) Get(id string) (resubmit.Record, bool, error) {
	if f.get != nil {
		return f.get(id)
	}
	return f.plain.Get(id)
}

func (f *flawed) Close() error {
	if f.close != nil {
		return f.close()
	}
	return f.plain.Close()
}

// bulkFlawed tells some records at once.
type bulkFlawed struct {
	*plain
	tells func(resubmit.Record) bool
}

func (f bulkFlawed) Heads() iter.Seq2[resubmit.RecordHead, error] {
	return func(yield func(resubmit.RecordHead, error) bool) {
		for _, r := range f.records {
			if f.tells(r) && !yield(r.Head(), nil) {
				return
			}
		}
	}
}

// flawedLater is a LaterJournal with a flaw.
type flawedLater struct {
	*flawed
	putLater func(resubmit.Record) error
	sync     func() error
}

func (f *flawedLater) PutLater(r resubmit.Record) error { return f.putLater(r) }
func (f *flawedLater) Sync() error                      { return f.sync() }

func TestABrokenJournalIsCaught(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		flaw    func(*plain) resubmit.Journal
		promise string
		says    string
	}{
		"finds what is not there": {func(p *plain) resubmit.Journal {
			return &flawed{plain: p, get: func(id string) (resubmit.Record, bool, error) {
				r, _, err := p.Get(id)
				return r, true, err
			}}
		}, "a new journal is empty", "where nothing was put"},
		"refuses its own plan": {func(p *plain) resubmit.Journal {
			return &flawed{plain: p, begin: func(digest string) error {
				if p.digest != "" {
					return errors.New("begun already")
				}
				return p.Begin(digest)
			}}
		}, "the plan that it was begun with opens it again", "begun already"},
		"takes another plan": {func(p *plain) resubmit.Journal {
			return &flawed{plain: p, begin: func(digest string) error { p.digest = digest; return p.save() }}
		}, "another plan is refused with ErrOtherPlan, both digests named", "took a second plan"},
		"refuses another plan with an error of its own": {func(p *plain) resubmit.Journal {
			return &flawed{plain: p, begin: func(digest string) error {
				if err := p.Begin(digest); err != nil {
					return errors.New(err.Error())
				}
				return nil
			}}
		}, "another plan is refused with ErrOtherPlan, both digests named", "does not match ErrOtherPlan"},
		"does not name the plans": {func(p *plain) resubmit.Journal {
			return &flawed{plain: p, begin: func(digest string) error {
				if p.Begin(digest) != nil {
					return resubmit.ErrOtherPlan
				}
				return nil
			}}
		}, "another plan is refused with ErrOtherPlan, both digests named", "does not name both digests"},
		"takes records without a plan": {func(p *plain) resubmit.Journal {
			return &flawed{plain: p, put: p.set}
		}, "nothing is put before it is begun", "for no plan"},
		"drops the reason": {func(p *plain) resubmit.Journal {
			return &flawed{plain: p, put: func(r resubmit.Record) error { r.Why = ""; return p.Put(r) }}
		}, "a record comes back with all its fields", "was put"},
		"keeps seconds only": {func(p *plain) resubmit.Journal {
			return &flawed{plain: p, put: func(r resubmit.Record) error { r.At = r.At.Truncate(1e9); return p.Put(r) }}
		}, "a record comes back with all its fields", "was put"},
		"takes ids for numbers": {func(p *plain) resubmit.Journal {
			return &flawed{plain: p, get: func(id string) (resubmit.Record, bool,
				error) {
				return p.Get(strings.TrimLeft(id, "0"))
			}}
		}, "a record takes the place of that of its order, and of no other", "was put"},
		"lets everything follow": {func(p *plain) resubmit.Journal {
			return &flawed{plain: p, put: p.set}
		}, "what may not follow a record is refused, and changes nothing", "Put took sending after"},
		"refuses too late": {func(p *plain) resubmit.Journal {
			return &flawed{plain: p, put: func(r resubmit.Record) error {
				refusal := p.records[r.OrderID].CheckNext(r)
				return errors.Join(p.set(r), refusal)
			}}
		}, "what may not follow a record is refused, and changes nothing", "was put"},
		"looks first and writes later": {func(p *plain) resubmit.Journal {
			return &flawed{plain: p, put: func(r resubmit.Record) error {
				was, _, _ := p.Get(r.OrderID)
				if err := was.CheckNext(r); err != nil {
					return err
				}
				for range 100 {
					runtime.Gosched()
				}
				p.mu.Lock()
				defer p.mu.Unlock()
				p.records[r.OrderID] = r
				return nil
			}}
		}, "of many at once only one gets an order", "got it"},
		"shows what was put with the next one only": {func(p *plain) resubmit.Journal {
			late := make(map[string]resubmit.Record)
			return &flawed{plain: p, put: func(r resubmit.Record) error {
				p.mu.Lock()
				defer p.mu.Unlock()
				if was, ok := late[r.OrderID]; ok {
					p.records[r.OrderID] = was
				}
				late[r.OrderID] = r
				return nil
			}}
		}, "what was put is there for everybody", "found nothing"},
		"forgets what was put": {func(p *plain) resubmit.Journal {
			return &flawed{plain: p, put: func(r resubmit.Record) error { p.records[r.OrderID] = r; return nil }}
		}, "what was put is there when it is opened again", "found nothing"},
		"saves when it is closed": {func(p *plain) resubmit.Journal {
			return &flawed{
				plain: p, put: func(r resubmit.Record) error { p.records[r.OrderID] = r; return nil },
				close: func() error { return errors.Join(p.save(), p.Close()) },
			}
		}, "what was put is on disk before Put returns", "after a crash right behind Put"},
		"shows what was put later when it is on disk": {func(p *plain) resubmit.Journal {
			var late []resubmit.Record
			return &flawedLater{
				flawed: &flawed{plain: p}, putLater: func(r resubmit.Record) error { late = append(late, r); return nil },
				sync: func() error { return p.Put(late[0]) },
			}
		}, "what was put later is read at once, and on disk before a later record of its order and after Sync",
			"found nothing"},
		"has Sync forgotten": {func(p *plain) resubmit.Journal {
			late := make(map[string]resubmit.Record)
			f := &flawed{plain: p, put: func(r resubmit.Record) error { delete(late, r.OrderID); return p.Put(r) }}
			f.get = func(id string) (resubmit.Record, bool, error) {
				if r, ok := late[id]; ok {
					return r, true, nil
				}
				return p.Get(id)
			}
			return &flawedLater{
				flawed: f, putLater: func(r resubmit.Record) error { late[r.OrderID] = r; return nil },
				sync: func() error { return nil },
			}
		}, "what was put later is read at once, and on disk before a later record of its order and after Sync",
			"after a crash right behind Sync"},
		"takes records when it is closed": {func(p *plain) resubmit.Journal {
			return &flawed{plain: p, close: func() error { return nil }}
		}, "a journal that is closed takes nothing", "Put took a record"},
		"knows nothing when it is closed, and says so as if it knew": {func(p *plain) resubmit.Journal {
			return &flawed{plain: p, get: func(string) (resubmit.Record, bool, error) { return resubmit.Record{}, false, nil }}
		}, "a journal that is closed takes nothing", "as if it knew"},
		"takes orders for one another": {func(p *plain) resubmit.Journal {
			short := func(id string) string { return id[:min(len(id), 2)] }
			return &flawed{
				plain: p,
				put: func(r resubmit.Record) error {
					r.Why += "\n" + r.OrderID
					r.OrderID = short(r.OrderID)
					return p.Put(r)
				},
				get: func(id string) (resubmit.Record, bool, error) {
					r, ok, err := p.Get(short(id))
					r.Why, r.OrderID, _ = strings.Cut(r.Why, "\n")
					return r, ok, err
				},
			}
		}, "it holds what a map would hold", "Put of"},
		"leaves out what came to an end": {func(p *plain) resubmit.Journal {
			return bulkFlawed{p, func(r resubmit.Record) bool { return r.State != resubmit.RecordCompleted }}
		}, "it tells at once what it tells one by one", "Heads yielded"},
	}
	broken := make(map[string]bool)
	for _, tt := range tests {
		broken[tt.promise] = true
	}
	for _, c := range journalChecks() {
		require.True(t, broken[c.promise], "no broken journal for: %s", c.promise)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var failures []string
			for _, c := range journalChecks() {
				if c.promise == tt.promise {
					failures = catch(t, func(t testing.TB) { c.prove(t, openPlain(tt.flaw)) })
				}
			}
			require.Len(t, failures, 1)
			require.Contains(t, failures[0], "broken promise: "+tt.promise+": ")
			require.Contains(t, failures[0], tt.says)
		})
	}
}

// catcher is a test that may fail. What it did not override is that of the real
// one.
type catcher struct {
	testing.TB
	failures []string
}

func (c *catcher) Fatalf(format string, args ...any) {
	c.failures = append(c.failures, fmt.Sprintf(format, args...))
	runtime.Goexit()
}

// catch runs a check and returns why it failed.
func catch(t *testing.T, check func(testing.TB)) []string {
	c := &catcher{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		check(c)
	}()
	<-done
	return c.failures
}
