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
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

func TestMemoryJournal(t *testing.T) {
	t.Parallel()
	var journals sync.Map
	TestJournal(t, func(dir string) (resubmit.Journal, error) {
		j, _ := journals.LoadOrStore(dir, new(resubmit.MemoryJournal))
		return j.(*resubmit.MemoryJournal), nil
	})
}

func TestFileJournal(t *testing.T) {
	t.Parallel()
	TestJournal(t, openFileJournal(nil))
}

// fileJournal is a simple journal in a file, the base of broken ones.
type fileJournal struct {
	mu      sync.Mutex
	path    string
	digest  string
	records map[string]resubmit.Record
	closed  bool
}

type fileContent struct {
	Digest  string
	Records map[string]resubmit.Record
}

func openFileJournal(wrap func(*fileJournal) resubmit.Journal) JournalOpener {
	return func(dir string) (resubmit.Journal, error) {
		p := &fileJournal{path: filepath.Join(dir, "journal"), records: make(map[string]resubmit.Record)}
		if text, err := os.ReadFile(p.path); err == nil {
			var c fileContent
			if err := json.Unmarshal(text, &c); err != nil {
				return nil, err
			}
			p.digest, p.records = c.Digest, c.Records
		}
		if wrap == nil {
			return p, nil
		}
		return wrap(p), nil
	}
}

func (p *fileJournal) save() error {
	text, err := json.Marshal(fileContent{p.digest, p.records})
	if err != nil {
		return err
	}
	return os.WriteFile(p.path, text, 0o600)
}

func (p *fileJournal) Begin(digest string) error {
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

func (p *fileJournal) Put(r resubmit.Record) error {
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

func (p *fileJournal) set(r resubmit.Record) error {
	p.records[r.OrderID] = r
	return p.save()
}

func (p *fileJournal) Get(id string) (resubmit.Record, bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return resubmit.Record{}, false, os.ErrClosed
	}
	r, ok := p.records[id]
	return r, ok, nil
}

func (p *fileJournal) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return nil
}

// brokenJournal replaces methods of a journal.
type brokenJournal struct {
	*fileJournal
	begin func(string) error
	put   func(resubmit.Record) error
	get   func(string) (resubmit.Record, bool, error)
	close func() error
}

func (f *brokenJournal) Begin(digest string) error {
	if f.begin != nil {
		return f.begin(digest)
	}
	return f.fileJournal.Begin(digest)
}

func (f *brokenJournal) Put(r resubmit.Record) error {
	if f.put != nil {
		return f.put(r)
	}
	return f.fileJournal.Put(r)
}

func (f *brokenJournal) Get(id string) (resubmit.Record, bool, error) {
	if f.get != nil {
		return f.get(id)
	}
	return f.fileJournal.Get(id)
}

func (f *brokenJournal) Close() error {
	if f.close != nil {
		return f.close()
	}
	return f.fileJournal.Close()
}

// brokenHeads lists some records only.
type brokenHeads struct {
	*fileJournal
	lists func(resubmit.Record) bool
}

func (f brokenHeads) Heads() iter.Seq2[resubmit.RecordHead, error] {
	return func(yield func(resubmit.RecordHead, error) bool) {
		for _, r := range f.records {
			if f.lists(r) && !yield(r.Head(), nil) {
				return
			}
		}
	}
}

// brokenLater is a broken LaterJournal.
type brokenLater struct {
	*brokenJournal
	putLater func(resubmit.Record) error
	sync     func() error
}

func (f *brokenLater) PutLater(r resubmit.Record) error { return f.putLater(r) }
func (f *brokenLater) Sync() error                      { return f.sync() }

func TestJournalFindsBrokenJournals(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		wrap    func(*fileJournal) resubmit.Journal
		promise string
		says    string
	}{
		"invents records": {func(p *fileJournal) resubmit.Journal {
			return &brokenJournal{fileJournal: p, get: func(id string) (resubmit.Record, bool, error) {
				r, _, err := p.Get(id)
				return r, true, err
			}}
		}, "is empty when new", "but nothing was put"},
		"rejects its own plan": {func(p *fileJournal) resubmit.Journal {
			return &brokenJournal{fileJournal: p, begin: func(digest string) error {
				if p.digest != "" {
					return errors.New("begun already")
				}
				return p.Begin(digest)
			}}
		}, "reopens with its plan", "begun already"},
		"accepts another plan": {func(p *fileJournal) resubmit.Journal {
			return &brokenJournal{fileJournal: p, begin: func(digest string) error { p.digest = digest; return p.save() }}
		}, "rejects another plan with ErrOtherPlan and both digests", "accepted a second plan"},
		"rejects another plan with its own error": {func(p *fileJournal) resubmit.Journal {
			return &brokenJournal{fileJournal: p, begin: func(digest string) error {
				if err := p.Begin(digest); err != nil {
					return errors.New(err.Error())
				}
				return nil
			}}
		}, "rejects another plan with ErrOtherPlan and both digests", "does not match ErrOtherPlan"},
		"omits the digests": {func(p *fileJournal) resubmit.Journal {
			return &brokenJournal{fileJournal: p, begin: func(digest string) error {
				if p.Begin(digest) != nil {
					return resubmit.ErrOtherPlan
				}
				return nil
			}}
		}, "rejects another plan with ErrOtherPlan and both digests", "does not name both digests"},
		"accepts records before Begin": {func(p *fileJournal) resubmit.Journal {
			return &brokenJournal{fileJournal: p, put: p.set}
		}, "rejects records before Begin", "before Begin"},
		"drops the reason": {func(p *fileJournal) resubmit.Journal {
			return &brokenJournal{fileJournal: p, put: func(r resubmit.Record) error { r.Why = ""; return p.Put(r) }}
		}, "keeps all fields of a record", "was put"},
		"truncates times to seconds": {func(p *fileJournal) resubmit.Journal {
			return &brokenJournal{fileJournal: p, put: func(r resubmit.Record) error {
				r.At = r.At.Truncate(time.Second)
				return p.Put(r)
			}}
		}, "keeps all fields of a record", "was put"},
		"compares ids as numbers": {func(p *fileJournal) resubmit.Journal {
			return &brokenJournal{fileJournal: p, get: func(id string) (resubmit.Record, bool,
				error) {
				return p.Get(strings.TrimLeft(id, "0"))
			}}
		}, "replaces only the record of the same order", "was put"},
		"accepts every transition": {func(p *fileJournal) resubmit.Journal {
			return &brokenJournal{fileJournal: p, put: p.set}
		}, "rejects invalid transitions and keeps the record", "Put accepted sending after"},
		"stores a rejected record": {func(p *fileJournal) resubmit.Journal {
			return &brokenJournal{fileJournal: p, put: func(r resubmit.Record) error {
				refusal := p.records[r.OrderID].CheckNext(r)
				return errors.Join(p.set(r), refusal)
			}}
		}, "rejects invalid transitions and keeps the record", "was put"},
		"checks and writes without a lock": {func(p *fileJournal) resubmit.Journal {
			return &brokenJournal{fileJournal: p, put: func(r resubmit.Record) error {
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
		}, "lets one of many concurrent runs claim an order", "claimed order"},
		"shows a record after the next one only": {func(p *fileJournal) resubmit.Journal {
			late := make(map[string]resubmit.Record)
			return &brokenJournal{fileJournal: p, put: func(r resubmit.Record) error {
				p.mu.Lock()
				defer p.mu.Unlock()
				if was, ok := late[r.OrderID]; ok {
					p.records[r.OrderID] = was
				}
				late[r.OrderID] = r
				return nil
			}}
		}, "shows a record to all goroutines at once", "returned nothing"},
		"stores nothing": {func(p *fileJournal) resubmit.Journal {
			return &brokenJournal{fileJournal: p, put: func(r resubmit.Record) error { p.records[r.OrderID] = r; return nil }}
		}, "keeps records when reopened", "returned nothing"},
		"stores records in Close only": {func(p *fileJournal) resubmit.Journal {
			return &brokenJournal{
				fileJournal: p, put: func(r resubmit.Record) error { p.records[r.OrderID] = r; return nil },
				close: func() error { return errors.Join(p.save(), p.Close()) },
			}
		}, "has a record on disk before Put returns", "after a crash right after Put"},
		"shows records of PutLater after Sync only": {func(p *fileJournal) resubmit.Journal {
			var late []resubmit.Record
			return &brokenLater{
				brokenJournal: &brokenJournal{fileJournal: p},
				putLater:      func(r resubmit.Record) error { late = append(late, r); return nil },
				sync:          func() error { return p.Put(late[0]) },
			}
		}, "keeps records of PutLater until the next record of the order or Sync",
			"returned nothing"},
		"does nothing in Sync": {func(p *fileJournal) resubmit.Journal {
			late := make(map[string]resubmit.Record)
			f := &brokenJournal{fileJournal: p, put: func(r resubmit.Record) error { delete(late, r.OrderID); return p.Put(r) }}
			f.get = func(id string) (resubmit.Record, bool, error) {
				if r, ok := late[id]; ok {
					return r, true, nil
				}
				return p.Get(id)
			}
			return &brokenLater{
				brokenJournal: f, putLater: func(r resubmit.Record) error { late[r.OrderID] = r; return nil },
				sync: func() error { return nil },
			}
		}, "keeps records of PutLater until the next record of the order or Sync",
			"after a crash right after Sync"},
		"accepts records after Close": {func(p *fileJournal) resubmit.Journal {
			return &brokenJournal{fileJournal: p, close: func() error { return nil }}
		}, "rejects calls after Close", "Put accepted a record"},
		"finds nothing after Close": {func(p *fileJournal) resubmit.Journal {
			return &brokenJournal{fileJournal: p, get: func(string) (resubmit.Record, bool, error) {
				return resubmit.Record{}, false, nil
			}}
		}, "rejects calls after Close", "but must return an error"},
		"confuses orders": {func(p *fileJournal) resubmit.Journal {
			short := func(id string) string { return id[:min(len(id), 2)] }
			return &brokenJournal{
				fileJournal: p,
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
		}, "behaves like a map", "Put of"},
		"omits completed orders": {func(p *fileJournal) resubmit.Journal {
			return brokenHeads{p, func(r resubmit.Record) bool { return r.State != resubmit.RecordCompleted }}
		}, "lists the records that Get returns", "Heads yielded"},
	}
	broken := make(map[string]bool)
	for _, tt := range tests {
		broken[tt.promise] = true
	}
	for _, c := range journalPromises() {
		require.True(t, broken[c.text], "no journal breaks %q", c.text)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var failures []string
			for _, c := range journalPromises() {
				if c.text == tt.promise {
					failures = catch(t, func(t testing.TB) { c.check(t, openFileJournal(tt.wrap)) })
				}
			}
			require.Len(t, failures, 1)
			require.Contains(t, failures[0], "broken promise: "+tt.promise+": ")
			require.Contains(t, failures[0], tt.says)
		})
	}
}

// catcher is a testing.TB that records failures.
type catcher struct {
	testing.TB
	failures []string
}

func (c *catcher) Fatalf(format string, args ...any) {
	c.failures = append(c.failures, fmt.Sprintf(format, args...))
	runtime.Goexit()
}

// catch runs a check and returns the failures.
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
