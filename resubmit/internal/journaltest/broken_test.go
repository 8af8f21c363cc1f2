package journaltest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/conformance"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/journaltest"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// base is the journal that a broken one wraps.
type base = resubmit.Journal

// broken is a journal whose methods can be replaced.
type broken struct {
	base

	begin   func(context.Context, resubmit.JournalUse) (resubmit.Lease, error)
	put     func(context.Context, resubmit.Durability, []protocol.Record) (uint64, error)
	get     func(context.Context, protocol.Key) (protocol.Record, error)
	records func(context.Context) iter.Seq2[protocol.Record, error]
	flush   func(context.Context) (plan.Position, error)
}

func (b *broken) Begin(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
	if b.begin == nil {
		return b.base.Begin(ctx, u)
	}
	return b.begin(ctx, u)
}

func (b *broken) Put(ctx context.Context, d resubmit.Durability, r ...protocol.Record) (uint64, error) {
	if b.put == nil {
		return b.base.Put(ctx, d, r...)
	}
	return b.put(ctx, d, r)
}

func (b *broken) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	if b.get == nil {
		return b.base.Get(ctx, k)
	}
	return b.get(ctx, k)
}

func (b *broken) Records(ctx context.Context) iter.Seq2[protocol.Record, error] {
	if b.records == nil {
		return b.base.Records(ctx)
	}
	return b.records(ctx)
}

func (b *broken) Flush(ctx context.Context) (plan.Position, error) {
	if b.flush == nil {
		return b.base.Flush(ctx)
	}
	return b.flush(ctx)
}

func (b *broken) Close() error {
	if c, ok := b.base.(*journal.File); ok {
		return c.Close()
	}
	return nil // and goes on
}

// on overwrites the versions of records with the current ones.
func (b *broken) current(ctx context.Context, records []protocol.Record, kinds ...protocol.Kind) []protocol.Record {
	records = append([]protocol.Record(nil), records...)
	for i := range records {
		for _, kind := range kinds {
			if r := &records[i]; r.Kind == kind {
				was, _ := b.base.Get(ctx, r.Key)
				r.Version = was.Version
			}
		}
	}
	return records
}

// fault is a broken journal: the promise that it breaks, and how.
type fault struct {
	promise string
	file    bool // wrap a journal in a file
	breaks  func(*broken)
}

func (f fault) open(dir string) (resubmit.Journal, error) {
	b := &broken{base: new(resubmit.MemoryJournal)}
	if f.file {
		j, err := journal.Open(filepath.Join(dir, "journal"))
		if err != nil {
			return nil, err
		}
		b.base = j
	}
	f.breaks(b)
	return b, nil
}

var faults = []fault{
	{"is empty when new", false, func(b *broken) {
		b.get = func(context.Context, protocol.Key) (protocol.Record, error) { return protocol.Record{Version: 1}, nil }
	}},
	{"keeps all fields of a record", false, func(b *broken) {
		b.put = func(ctx context.Context, d resubmit.Durability, r []protocol.Record) (uint64, error) {
			if r[0].Order != nil {
				r[0].Order.Gateway = false
			}
			return b.base.Put(ctx, d, r...)
		}
	}},
	{"shares no memory with its callers", false, func(b *broken) {
		kept := make(map[protocol.Key]protocol.Record)
		b.put = func(ctx context.Context, d resubmit.Durability, r []protocol.Record) (uint64, error) {
			seq, err := b.base.Put(ctx, d, r...)
			r[0].Version = seq
			kept[r[0].Key] = r[0]
			return seq, err
		}
		b.get = func(_ context.Context, k protocol.Key) (protocol.Record, error) { return kept[k], nil }
	}},
	{"keeps similar keys apart", false, func(b *broken) {
		b.put = func(ctx context.Context, d resubmit.Durability, r []protocol.Record) (uint64, error) {
			r[0].ID = strings.TrimSpace(r[0].ID)
			return b.base.Put(ctx, d, r...)
		}
		b.get = func(ctx context.Context, k protocol.Key) (protocol.Record, error) {
			k.ID = strings.TrimSpace(k.ID)
			return b.base.Get(ctx, k)
		}
	}},
	{"gives each Put a larger sequence", false, func(b *broken) {
		b.put = func(ctx context.Context, d resubmit.Durability, r []protocol.Record) (uint64, error) {
			_, err := b.base.Put(ctx, d, b.current(ctx, r, protocol.KindOrder, protocol.KindLane)...)
			return 1, err
		}
	}},
	{"rejects a version that is not the current one", false, func(b *broken) {
		b.put = func(ctx context.Context, d resubmit.Durability, r []protocol.Record) (uint64, error) {
			if r[0].Version == 0 {
				r = b.current(ctx, r, protocol.KindOrder)
			}
			return b.base.Put(ctx, d, r...)
		}
	}},
	{"writes several records or none", false, func(b *broken) {
		b.put = func(ctx context.Context, d resubmit.Durability, r []protocol.Record) (seq uint64, err error) {
			for _, one := range r {
				if seq, err = b.base.Put(ctx, d, one); err != nil {
					return 0, err
				}
			}
			return seq, nil
		}
	}},
	{"rejects invalid records", false, func(b *broken) {
		b.put = func(ctx context.Context, d resubmit.Durability, r []protocol.Record) (uint64, error) {
			if protocol.CheckRecords(r) != nil {
				return 1, nil
			}
			return b.base.Put(ctx, d, r...)
		}
	}},
	{"removes records", false, func(b *broken) {
		b.put = func(ctx context.Context, d resubmit.Durability, r []protocol.Record) (uint64, error) {
			if r[0].Removes() && r[0].Version != 0 {
				return 1, nil
			}
			return b.base.Put(ctx, d, r...)
		}
	}},
	{"lets one of two plans claim from one version", false, func(b *broken) {
		b.put = func(ctx context.Context, d resubmit.Durability, r []protocol.Record) (uint64, error) {
			return b.base.Put(ctx, d, b.current(ctx, r, protocol.KindOrder)...)
		}
	}},
	{"lets one of many runs at once claim an order", false, func(b *broken) {
		b.put = func(ctx context.Context, d resubmit.Durability, r []protocol.Record) (uint64, error) {
			was, err := b.base.Get(ctx, r[0].Key)
			if err != nil || was.Version != r[0].Version {
				return 0, errors.Join(err, errors.New("checked too early"))
			}
			for range 100 {
				runtime.Gosched()
			}
			for {
				seq, err := b.base.Put(ctx, d, b.current(ctx, r, protocol.KindOrder)...)
				if _, conflict := errors.AsType[*resubmit.ConflictError](err); !conflict {
					return seq, err
				}
			}
		}
	}},
	{"lets one order have a lane", false, func(b *broken) {
		b.put = func(ctx context.Context, d resubmit.Durability, r []protocol.Record) (uint64, error) {
			return b.base.Put(ctx, d, b.current(ctx, r, protocol.KindLane)...)
		}
	}},
	{"keeps order numbers unique", false, func(b *broken) {
		b.put = func(ctx context.Context, d resubmit.Durability, r []protocol.Record) (uint64, error) {
			seq, err := b.base.Put(ctx, d, r...)
			if errors.Is(err, resubmit.ErrOrderNumber) {
				r[0].Order.Number += " again"
				return b.base.Put(ctx, d, r...)
			}
			return seq, err
		}
	}},
	{"shows a Deferred record to all at once", false, func(b *broken) {
		var mu sync.Mutex
		stale := make(map[protocol.Key]protocol.Record)
		b.put = func(ctx context.Context, d resubmit.Durability, r []protocol.Record) (uint64, error) {
			mu.Lock()
			defer mu.Unlock()
			stale[r[0].Key], _ = b.base.Get(ctx, r[0].Key)
			if d == resubmit.Durable {
				delete(stale, r[0].Key)
			}
			return b.base.Put(ctx, d, r...)
		}
		b.get = func(ctx context.Context, k protocol.Key) (protocol.Record, error) {
			mu.Lock()
			defer mu.Unlock()
			if r, found := stale[k]; found {
				return r, nil
			}
			return b.base.Get(ctx, k)
		}
	}},
	{"yields a snapshot of one moment", false, func(b *broken) {
		b.records = func(ctx context.Context) iter.Seq2[protocol.Record, error] {
			return func(yield func(protocol.Record, error) bool) {
				for r, err := range b.base.Records(ctx) {
					if err == nil {
						runtime.Gosched()
						r, err = b.base.Get(ctx, r.Key)
					}
					if !yield(r, err) {
						return
					}
				}
			}
		}
	}},
	{"gives each lease a larger epoch", false, func(b *broken) {
		b.begin = func(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
			l, err := b.base.Begin(ctx, u)
			l.Epoch = min(l.Epoch, 1)
			return l, err
		}
	}},
	{"gives each lease a larger epoch, and a reader none", false, func(b *broken) {
		b.begin = func(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
			u.Plan = "sha256:always"
			return b.base.Begin(ctx, u)
		}
	}},
	{"sets the end of leases", false, func(b *broken) { // forgets the runs
		b.get = func(ctx context.Context, k protocol.Key) (protocol.Record, error) {
			if k.Kind == protocol.KindRun {
				return protocol.Record{}, nil
			}
			return b.base.Get(ctx, k)
		}
	}},
	{"yields a snapshot of one moment", false, func(b *broken) { // of other records
		b.records = func(context.Context) iter.Seq2[protocol.Record, error] {
			return func(yield func(protocol.Record, error) bool) {
				for n := range 100 {
					if !yield(protocol.Record{Key: protocol.OrderKey(fmt.Sprint("x", n))}, nil) {
						return
					}
				}
			}
		}
	}},
	{"sets the end of leases", false, func(b *broken) {
		b.get = func(ctx context.Context, k protocol.Key) (protocol.Record, error) {
			r, err := b.base.Get(ctx, k)
			if r.Run != nil {
				r.Run.LeaseEnd = time.Time{}
			}
			return r, err
		}
	}},
	{"sets the end of leases", false, func(b *broken) {
		b.get = func(ctx context.Context, k protocol.Key) (protocol.Record, error) {
			r, err := b.base.Get(ctx, k)
			if r.Run != nil {
				r.Run.LeaseEnd = r.Run.LeaseEnd.Add(time.Hour)
			}
			return r, err
		}
	}},
	{"recognizes the positions that it returned", false, func(b *broken) {
		b.begin = func(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
			after := u.After
			u.After = plan.Position{}
			l, err := b.base.Begin(ctx, u)
			if err == nil && after != u.After && after != l.Position {
				err = resubmit.ErrJournalMismatch
			}
			return l, err
		}
	}},
	{"rejects another journal", false, func(b *broken) {
		b.begin = func(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
			u.After = plan.Position{}
			return b.base.Begin(ctx, u)
		}
	}},
	{"rejects another system", false, func(b *broken) {
		b.begin = func(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
			u.IDSpace = "aps"
			return b.base.Begin(ctx, u)
		}
	}},
	{"behaves like a map", false, func(b *broken) {
		puts := 0
		b.put = func(ctx context.Context, d resubmit.Durability, r []protocol.Record) (uint64, error) {
			if puts++; puts == 200 {
				r[0].At = r[0].At.Add(time.Second)
			}
			return b.base.Put(ctx, d, r...)
		}
	}},
	{"does not hang after a context has ended", false, func(b *broken) {
		b.flush = func(ctx context.Context) (plan.Position, error) {
			time.Sleep(time.Minute) // a disk
			return b.base.Flush(context.WithoutCancel(ctx))
		}
	}},
	{"rejects calls after Close", false, func(*broken) {}},
	{"has a Durable record on disk", true, func(b *broken) {
		b.put = func(ctx context.Context, _ resubmit.Durability, r []protocol.Record) (uint64, error) {
			return b.base.Put(ctx, resubmit.Deferred, r...)
		}
	}},
	{"has all records on disk when Flush returns", true, func(b *broken) {
		var last plan.Position
		b.begin = func(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
			l, err := b.base.Begin(ctx, u)
			last = l.Position
			return l, err
		}
		b.flush = func(context.Context) (plan.Position, error) { return last, nil }
	}},
	{"loses after a crash only the last Deferred records", true, func(b *broken) {
		b.put = func(ctx context.Context, d resubmit.Durability, r []protocol.Record) (uint64, error) {
			if d == resubmit.Deferred && r[0].Version != 0 && len(r) == 2 {
				r = r[:1] // the lane comes later
			}
			return b.base.Put(ctx, d, r...)
		}
	}},
	{"rejects an older copy, also one that has grown", true, func(b *broken) {
		b.begin = func(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
			after := u.After
			u.After = plan.Position{}
			l, err := b.base.Begin(ctx, u)
			if after.Sequence > l.Sequence {
				err = resubmit.ErrJournalMismatch
			}
			return l, err
		}
	}},
}

// TestBrokenJournalsAreCaught: each fault breaks its promise, and each promise catches a fault.
func TestBrokenJournalsAreCaught(t *testing.T) {
	t.Parallel()
	caught := make(map[string]bool)
	for _, fault := range faults {
		for _, p := range journaltest.Promises() {
			if !strings.HasPrefix(p.Text, fault.promise) {
				continue
			}
			check := func(t *testing.T) {
				failures := conformance.Failures(t, func(t testing.TB) { p.Check(t, fault.open) })
				require.Len(t, failures, 1)
				require.Contains(t, failures[0], "broken promise: "+p.Text)
			}
			if fault.file {
				check(t)
			} else {
				synctest.Test(t, func(t *testing.T) {
					check(t)
					time.Sleep(time.Hour) // until what hangs has ended
				})
			}
			caught[p.Text] = true
		}
	}
	for _, p := range journaltest.Promises() {
		require.True(t, caught[p.Text], p.Text)
	}
}
