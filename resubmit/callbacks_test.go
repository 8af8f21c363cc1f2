package resubmit_test

import (
	"bytes"
	"context"
	"io"
	"iter"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// funcs is every interface of the package, as functions. Those that are nil do the shop's.
type funcs struct {
	*shop
	order  func() error
	push   func(ctx context.Context, id string, to commerce.Status) error
	lookUp func() error
	probe  func() (connect.Probe, error)
	list   func() error
}

func (f *funcs) Order(ctx context.Context, id string) (*commerce.Order, error) {
	if f.order != nil {
		if err := f.order(); err != nil {
			return nil, err
		}
	}
	return f.shop.Order(ctx, id)
}

func (f *funcs) Push(ctx context.Context, id string, to commerce.Status) error {
	if f.push != nil {
		return f.push(ctx, id, to)
	}
	return f.shop.Push(ctx, id, to)
}

func (f *funcs) LatestRequests(ctx context.Context,
	keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	if f.lookUp != nil {
		if err := f.lookUp(); err != nil {
			return nil, err
		}
	}
	return f.shop.LatestRequests(ctx, keys)
}

func (f *funcs) Probe(context.Context) (connect.Probe, error) { return f.probe() }

func (f *funcs) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		if err := f.list(); err != nil {
			yield(nil, err)
			return
		}
		(&lister{shop: f.shop, page: 100}).Orders(ctx, q)(yield)
	}
}

// fails are the ways in which a function does not return.
func fails() map[string]func() {
	return map[string]func(){
		"panic":  func() { panic("the adapter\nis broken \x1b[2J") },
		"goexit": runtime.Goexit, // as t.FailNow does
		"nil":    func() { var o *commerce.Order; _ = o.ID },
	}
}

// whys is a part of the error of each.
var whys = map[string]string{
	"panic": "the adapter is broken", "goexit": "runtime.Goexit was called",
	"nil": "runtime error: invalid memory address or nil pointer dereference",
}

type nilFuncs map[string]func()

func (nilFuncs) Order(context.Context, string) (*commerce.Order, error) { return nil, io.EOF }
func (nilFuncs) Push(context.Context, string, commerce.Status) error    { return io.EOF }
func (nilFuncs) Probe(context.Context) (connect.Probe, error)           { return connect.Probe{}, io.EOF }

// A typed nil would crash the process later, from a goroutine.
func TestNilCallbacksAreRejected(t *testing.T) {
	t.Parallel()
	s := newShop(outageOrder(1, "s1"))
	var client *ordermanager.Client
	for field, change := range map[string]func(*resubmit.Config){
		"Config.Reader holds a nil *ordermanager.Client":   func(c *resubmit.Config) { c.Reader = client },
		"Config.Pusher holds a nil *ordermanager.Client":   func(c *resubmit.Config) { c.Pusher = client },
		"Config.Reader holds a nil resubmit_test.nilFuncs": func(c *resubmit.Config) { c.Reader = nilFuncs(nil) },
		"Config.Requests holds a nil *connect.Client": func(
			c *resubmit.Config) {
			c.Requests = (*connect.Client)(nil)
		},
		"Config.Lister holds a nil *ordermanager.Client": func(c *resubmit.Config) { c.Lister = client },
		"Config.Journal holds a nil *resubmit.MemoryJournal": func(
			c *resubmit.Config) {
			c.Journal = (*resubmit.MemoryJournal)(nil)
		},
		"Config.Prober holds a nil *connect.Client": func(c *resubmit.Config) { c.Prober = (*connect.Client)(nil) },
	} {
		cfg := resubmit.Config{
			Systems: systemsOf(resubmit.Systems{Reader: s, Pusher: s}), Journal: new(resubmit.MemoryJournal),
		}
		change(&cfg)
		_, err := resubmit.NewRunner(cfg)
		require.ErrorContains(t, err, field)
	}
	for field, change := range map[string]func(*resubmit.PlanConfig){
		"PlanConfig.Lister holds a nil *ordermanager.Client": func(c *resubmit.PlanConfig) { c.Lister = client },
		"PlanConfig.Reader holds a nil *ordermanager.Client": func(c *resubmit.PlanConfig) { c.Reader = client },
		"PlanConfig.Requests holds a nil *connect.Client": func(
			c *resubmit.PlanConfig) {
			c.Requests = (*connect.Client)(nil)
		},
		"PlanConfig.Filter holds a nil *resubmit_test.own": func(c *resubmit.PlanConfig) { c.Filter = (*own)(nil) },
	} {
		cfg := resubmit.PlanConfig{
			Systems: systemsOf(resubmit.Systems{Lister: &planSource{}}), Filter: filter.Everything(), Journal: journalOf(t),
		}
		change(&cfg)
		_, err := resubmit.WritePlan(t.Context(), cfg, io.Discard)
		require.ErrorContains(t, err, field)
		_, err = resubmit.BuildPlan(t.Context(), cfg)
		require.ErrorContains(t, err, field)
	}
	_, err := resubmit.CheckPlan(t.Context(), planFor(t, outageOrder(1, "s1")), resubmit.CheckConfig{
		Systems: systemsOf(resubmit.Systems{Reader: client}),
	}, nil)
	require.ErrorContains(t, err, "CheckConfig.Reader holds a nil *ordermanager.Client")
	_, err = resubmit.MeasureBaseline(t.Context(), client, commerce.View{}, time.Now().Add(-time.Hour), time.Now(), nil)
	require.ErrorContains(t, err, "the lister is nil")
	for _, err := range resubmit.Sorted(client).Orders(t.Context(), commerce.Query{}) {
		require.ErrorContains(t, err, "nil lister")
	}
}

// own is a filter of the user.
type own struct{ match func() }

func (o *own) Match(*commerce.Order) bool { o.match(); return true }
func (o *own) String() string             { return "own()" }

type zeroSize struct{}

func (zeroSize) Order(context.Context, string) (*commerce.Order, error) { return nil, io.EOF }
func (zeroSize) Push(context.Context, string, commerce.Status) error    { return nil }

func TestZeroSizeAdaptersAreAccepted(t *testing.T) {
	t.Parallel()
	_, err := resubmit.NewRunner(resubmit.Config{
		Systems: systemsOf(resubmit.Systems{Reader: zeroSize{}, Pusher: zeroSize{}}), Journal: journalOf(t),
	})
	require.NoError(t, err)
}

// first calls f the first time.
func first(f func()) func() {
	called := false
	return func() {
		if !called {
			called = true
			f()
		}
	}
}

func TestPanicInApply(t *testing.T) {
	t.Parallel()
	for kind, fail := range fails() {
		for name, tt := range map[string]struct {
			change  func(f *funcs, c *resubmit.Config)
			outcome protocol.Outcome
			why     string
			pushes  int
		}{
			"reader": {func(f *funcs, _ *resubmit.Config) {
				fail := first(fail)
				f.order = func() error { fail(); return nil }
			}, protocol.Completed, "", 1},
			"reader_always": {func(f *funcs, _ *resubmit.Config) {
				f.order = func() error { fail(); return nil }
			}, protocol.Skipped, "could not be read again: a callback panicked: ", 0},
			"pusher_before_it_acts": {func(f *funcs, _ *resubmit.Config) {
				f.push = func(context.Context, string, commerce.Status) error { fail(); return nil }
			}, protocol.Unknown, "but Connect cannot be asked about the order", 0},
			"pusher_after_it_acted": {func(f *funcs, _ *resubmit.Config) {
				f.push = func(ctx context.Context, id string, to commerce.Status) error {
					err := f.shop.Push(ctx, id, to)
					fail()
					return err
				}
			}, protocol.Completed, "", 1},
			"request_finder": {func(f *funcs, c *resubmit.Config) {
				c.Requests, f.lookUp = f, func() error { fail(); return nil }
			}, protocol.Progressing, "Connect could not be queried: a callback panicked: ", 1},
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					o, log := outageOrder(1, "s1"), new(bytes.Buffer)
					s := newShop(o)
					s.answer("s1", connect.StatusApproved, "")
					f := &funcs{shop: s}
					r := runnerFor(t, s, func(c *resubmit.Config) {
						c.Reader, c.Pusher, c.Logger = f, f, slog.New(slog.NewTextHandler(log, nil))
						tt.change(f, c)
					})
					report, err := r.Apply(t.Context(), planFor(t, o))
					require.NoError(t, err)
					item := itemOf(t, report, 1)
					require.Equal(t, tt.outcome, item.Outcome, item.Why)
					require.Contains(t, item.Why, tt.why)
					require.NotContains(t, item.Why, "\n")
					require.NotContains(t, item.Why, "\x1b")
					require.Len(t, s.ledger, tt.pushes)
					require.Contains(t, log.String(), whys[kind])
					require.Contains(t, log.String(), "level=ERROR")
					require.Contains(t, log.String(), "callbacks_test.go", "the stack")
				})
			})
		}
	}
}

// What the engine cannot do without ends the run, and nothing is sent.
func TestPanicThatEndsApply(t *testing.T) {
	t.Parallel()
	for kind, fail := range map[string]func(){"panic": fails()["panic"], "nil": fails()["nil"]} {
		for name, change := range map[string]func(c *resubmit.Config){
			"calendar":        func(c *resubmit.Config) { c.Calendar = func() *maintenance.Calendar { fail(); return nil } },
			"journal_begin":   func(c *resubmit.Config) { c.Journal = failingJournal{c.Journal, "begin", fail} },
			"journal_get":     func(c *resubmit.Config) { c.Journal = failingJournal{c.Journal, "get", fail} },
			"journal_put":     func(c *resubmit.Config) { c.Journal = failingJournal{c.Journal, "put", fail} },
			"journal_records": func(c *resubmit.Config) { c.Journal = failingJournal{c.Journal, "records", fail} },
		} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					o := outageOrder(1, "s1")
					s := newShop(o)
					_, err := runnerFor(t, s, change).Apply(t.Context(), planFor(t, o))
					require.ErrorContains(t, err, whys[kind])
					require.Empty(t, s.ledger)
				})
			})
		}
	}
}

type failingJournal struct {
	resubmit.Journal
	at   string
	fail func()
}

func (j failingJournal) failAt(at string) {
	if j.at == at {
		j.fail()
	}
}

func (j failingJournal) Begin(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
	j.failAt("begin")
	return j.Journal.Begin(ctx, u)
}

func (j failingJournal) Put(
	ctx context.Context, d resubmit.Durability, records ...protocol.Record,
) (uint64, error) {
	j.failAt("put")
	return j.Journal.Put(ctx, d, records...)
}

func (j failingJournal) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	j.failAt("get")
	return j.Journal.Get(ctx, k)
}

func (j failingJournal) Records(ctx context.Context) iter.Seq2[protocol.Record, error] {
	j.failAt("records")
	return j.Journal.Records(ctx)
}

func (j failingJournal) Flush(ctx context.Context) (plan.Position, error) {
	j.failAt("flush")
	return j.Journal.Flush(ctx)
}

// While the windows are not known nothing is pushed.
func TestPanicOfACalendarClosesTheGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s1")
		s, start := newShop(o), time.Now()
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.MaxPlanAge = -1
			c.Calendar = func() *maintenance.Calendar {
				if time.Since(start) < time.Hour {
					panic("the calendar is broken")
				}
				return nil
			}
		})
		report, err := r.Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
		require.GreaterOrEqual(t, s.ledger[0].at.Sub(start), time.Hour)
	})
}

func TestPanicOfALister(t *testing.T) {
	t.Parallel()
	for kind, fail := range fails() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := manyOrders(30)
				for _, o := range orders {
					o.fates = []fate{{after: 25 * time.Minute, status: "CP"}}
				}
				s := newShop(orders...)
				f := &funcs{shop: s, list: func() error { fail(); return nil }}
				r := runnerFor(t, s, func(c *resubmit.Config) { c.Lister = f })
				report, err := r.Apply(t.Context(), planFor(t, orders...))
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Completed: 30}, report.Result)
			})
		})
	}
}

func TestPanicOfAProbe(t *testing.T) {
	t.Parallel()
	for kind, fail := range fails() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := manyOrders(10)
				s := downFor(time.Minute, orders...)
				fail := first(fail)
				f := &funcs{shop: s, probe: func() (connect.Probe, error) {
					fail()
					return connect.Probe{Class: connect.ClassUp},
						nil
				}}
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.Prober, c.RateLimit, c.Breaker = f, 1, resubmit.BreakerConfig{Failures: 2, SampleSize: 2}
				})
				report, err := r.Apply(t.Context(), planFor(t, orders...))
				require.NoError(t, err)
				require.Equal(t, 10, report.Result.Total())
				require.Positive(t, report.Result.Completed)
			})
		})
	}
}

func isA[T resubmit.Event](e resubmit.Event) bool { _, ok := e.(T); return ok }

func TestPanicOfOnEvent(t *testing.T) {
	t.Parallel()
	for kind, fail := range fails() {
		for at, is := range map[string]func(resubmit.Event) bool{
			"started": isA[resubmit.RunStarted], "intent": isA[resubmit.PushIntended], "pushed": isA[resubmit.PushAccepted],
			"done": isA[resubmit.OrderDone], "canary": isA[resubmit.CanaryChange], "finished": isA[resubmit.RunFinished],
		} {
			t.Run(at+"/"+kind, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					orders, log := manyOrders(5), new(bytes.Buffer)
					s := newShop(orders...)
					r := runnerFor(t, s, func(c *resubmit.Config) {
						c.Canary, c.Logger = resubmit.CanaryConfig{}, slog.New(slog.NewTextHandler(log, nil))
						c.OnEvent = func(e resubmit.Event) {
							if is(e) {
								fail()
							}
						}
					})
					report, err := r.Apply(t.Context(), planFor(t, orders...))
					require.NoError(t, err)
					require.Equal(t, resubmit.OutcomeCounts{Completed: 5}, report.Result)
					require.Contains(t, report.EventError, whys[kind])
					require.Equal(t, 1, strings.Count(log.String(), "OnEvent is not called any more"))
				})
			})
		}
	}
	_, err := runnerFor(t, newShop(), func(c *resubmit.Config) { c.OnEvent = new(diary).on }).Apply(t.Context(),
		planFor(t))
	require.NoError(t, err)
}

func TestPanicInASession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s1")
		s := newShop(o)
		f := &funcs{shop: s, push: func(context.Context, string, commerce.Status) error { panic("the adapter is broken") }}
		session, err := runnerFor(t, s, func(c *resubmit.Config) { c.Pusher = f }).Open(t.Context(), planFor(t, o))
		require.NoError(t, err)
		defer session.Close()
		item, err := session.Attempt(t.Context(), entryFor(o))
		require.NoError(t, err)
		require.Equal(t, protocol.Unknown, item.Outcome)
	})
}

func TestPanicInWritePlan(t *testing.T) {
	t.Parallel()
	for kind, fail := range fails() {
		build := func(change func(f *funcs, c *resubmit.PlanConfig)) (*plan.Plan, error) {
			orders := manyOrders(3)
			for i, o := range orders {
				o.SubscriptionIDs = []string{string(rune('a' + i))}
				o.PlacedAt = o.PlacedAt.Add(time.Duration(i) * time.Second)
			}
			f := &funcs{shop: newShop(orders...), list: func() error { return nil }}
			cfg := resubmit.PlanConfig{
				Systems: systemsOf(resubmit.Systems{Lister: lean{&guarded{shop: f.shop}}, Reader: f}), Journal: journalOf(t),
				Policy: resubmit.Policy{SettleDelay: time.Millisecond}, Filter: filter.Everything(), RateLimit: -1,
			}
			change(f, &cfg)
			return resubmit.BuildPlan(t.Context(), cfg)
		}
		p, err := build(func(f *funcs, _ *resubmit.PlanConfig) { f.order = func() error { fail(); return nil } })
		require.NoError(t, err, "a reader")
		require.Equal(t, plan.ActionCounts{Total: 3, Hold: 3}, p.Counts())
		for e, err := range p.Entries() {
			require.NoError(t, err)
			require.Contains(t, e.Decision.Why, "the order could not be read: a callback panicked: "+whys[kind])
		}
		_, err = build(func(f *funcs, c *resubmit.PlanConfig) {
			c.Requests = f
			f.lookUp = func() error { fail(); return nil }
		})
		require.ErrorContains(t, err, whys[kind], "a request finder of which no look-up succeeds")
		_, err = build(func(f *funcs, c *resubmit.PlanConfig) { c.Lister, f.list = f, func() error { fail(); return nil } })
		require.ErrorContains(t, err, "list orders: a callback panicked: "+whys[kind])
		_, err = build(func(_ *funcs, c *resubmit.PlanConfig) { c.IgnoreConnect, c.Filter = true, &own{fail} })
		require.ErrorContains(t, err, whys[kind])
		o := outageOrder(1, "s1")
		f := &funcs{shop: newShop(o), order: func() error { fail(); return nil }}
		counts, err := resubmit.CheckPlan(t.Context(), planFor(t, o), resubmit.CheckConfig{
			Systems: systemsOf(resubmit.Systems{Reader: f}),
		},
			func(plan.Difference) error { return nil })
		require.NoError(t, err)
		require.Equal(t, 1, counts.Unread)
	}
}
