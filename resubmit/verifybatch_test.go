package resubmit_test

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// lister lists the orders of a shop in pages by offset, each of which is a call.
type lister struct {
	shop    *shop
	mu      sync.Mutex
	page    int
	faults  []fault                // of the pages
	old     time.Duration          // how old what it shows may be; 0 for never
	hides   func(id string) bool   // rows that it leaves out
	loose   bool                   // it shows orders of any status
	others  int                    // orders that have nothing to do with the plan, at the front of each list
	shows   map[string]shownBefore // since when
	queries []commerce.Query
}

type shownBefore struct {
	order commerce.Order
	at    time.Time
}

func (l *lister) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		l.mu.Lock()
		l.queries = append(l.queries, q)
		l.mu.Unlock()
		for start := 0; ; start += l.page {
			if err := ratelimit.Wait(ctx); err != nil {
				yield(nil, err)
				return
			}
			rows, err := l.rows(q, start)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, o := range rows {
				if !yield(o, nil) {
					return
				}
			}
			if len(rows) < l.page {
				return
			}
		}
	}
}

func (l *lister) rows(q commerce.Query, start int) ([]*commerce.Order, error) {
	s := l.shop
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, time.Now())
	if f := take(&l.faults); f != fine {
		return nil, s.fail("list orders", f)
	}
	list := make([]*commerce.Order, l.others, l.others+len(s.orders))
	for i := range list {
		list[i] = &commerce.Order{ID: "other"}
	}
	for _, o := range s.orders {
		s.advance(o)
		shown := l.shown(o)
		if (l.loose || q.Match(&shown)) && (l.hides == nil || !l.hides(o.ID)) {
			list = append(list, &shown)
		}
	}
	slices.SortFunc(list, func(a, b *commerce.Order) int {
		return cmp.Or(a.PlacedAt.Compare(b.PlacedAt), cmp.Compare(a.ID, b.ID))
	})
	return list[min(start, len(list)):min(start+l.page, len(list))], nil
}

// shown is an order as the list shows it, which may be as it was.
func (l *lister) shown(o *shopOrder) commerce.Order {
	if l.old == 0 {
		return o.Order
	}
	if l.shows == nil {
		l.shows = make(map[string]shownBefore)
	}
	if before, ok := l.shows[o.ID]; ok && time.Since(before.at) < l.old {
		return before.order
	}
	l.shows[o.ID] = shownBefore{o.Order, time.Now()}
	return o.Order
}

// hourLong are orders that Connect takes an hour for.
func hourLong(n int) []*shopOrder {
	orders := manyOrders(n)
	for _, o := range orders {
		o.fates = []fate{{time.Hour, commerce.StatusCompleted, ""}}
	}
	return orders
}

// verifyHourLong applies a plan of orders that take an hour, and returns the calls
// that reached the shop.
func verifyHourLong(t *testing.T, n int, change func(*resubmit.Config, *shop)) (calls int, report *resubmit.Report,
	s *shop) {
	t.Helper()
	newJournal(t)
	orders := hourLong(n)
	s = newShop(orders...)
	r := runnerFor(t, s, func(c *resubmit.Config) {
		c.Verify.Timeout, c.RateLimit = 3*time.Hour, 20
		change(c, s)
	})
	report, err := r.Apply(t.Context(), planFor(t, orders...))
	require.NoError(t, err)
	require.Equal(t, resubmit.OutcomeCounts{Completed: n}, report.Result)
	require.LessOrEqual(t, mostInASecond(s.calls, time.Time{}, time.Now()), 20)
	return len(s.calls), report, s
}

func TestVerifyBatchSavesReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		single, alone, _ := verifyHourLong(t, n, func(*resubmit.Config, *shop) {})
		var l *lister
		listed, swept, _ := verifyHourLong(t, n, func(c *resubmit.Config, s *shop) {
			l = &lister{shop: s, page: 100}
			c.Lister = l
		})
		took := func(r *resubmit.Report) time.Duration { return r.FinishedAt.Sub(r.StartedAt) }
		t.Logf("%d orders that take an hour: %d calls in %v without a list, %d calls in %v with %d lists", n, single,
			took(alone), listed, took(swept), len(l.queries))
		require.Less(t, listed, single/2)
		require.Less(t, took(swept), took(alone)+6*time.Minute)
		require.Greater(t, len(l.queries[0].IDs), 1)
	})
}

func TestVerifyBatchNeedsSeveralOrders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, n := range []int{1} {
			var l *lister
			verifyHourLong(t, n, func(c *resubmit.Config, s *shop) {
				l = &lister{shop: s, page: 100}
				c.Lister = l
			})
			require.Empty(t, l.queries)
		}
	})
}

func TestVerifyBatchPausesAfterAUselessList(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*lister){
		"it fails":                    func(l *lister) { l.faults = slices.Repeat([]fault{broken}, 100) },
		"it sends Retry-After":        func(l *lister) { l.faults = slices.Repeat([]fault{limited}, 100) },
		"it is full of other orders":  func(l *lister) { l.others = 5000 },
		"it shows none of the orders": func(l *lister) { l.hides = func(string) bool { return true } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				single, _, _ := verifyHourLong(t, 60, func(*resubmit.Config, *shop) {})
				var l *lister
				listed, _, _ := verifyHourLong(t, 60, func(c *resubmit.Config, s *shop) {
					l = &lister{shop: s, page: 10}
					spoil(l)
					c.Lister = l
				})
				require.NotEmpty(t, l.queries)
				require.LessOrEqual(t, len(l.queries), 8, "in 70 min")
				require.LessOrEqual(t, listed, single+8*30)
			})
		})
	}
}

func TestVerifyBatchHonorsRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l *lister
		_, _, s := verifyHourLong(t, 60, func(c *resubmit.Config, s *shop) {
			s.retryAfter = 7 * time.Minute
			l = &lister{shop: s, page: 100, faults: []fault{limited}}
			c.Lister = l
		})
		longest := time.Duration(0)
		for i := range s.calls[1:] {
			longest = max(longest, s.calls[i+1].Sub(s.calls[i]))
		}
		require.GreaterOrEqual(t, longest, 7*time.Minute)
	})
}

func TestVerifyBatchDoesNotTrustStaleListsForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, report, _ := verifyHourLong(t, 60, func(c *resubmit.Config, s *shop) {
			c.Lister = &lister{shop: s, page: 100, old: 100 * time.Hour}
		})
		for _, i := range report.Items {
			require.Less(t, i.DoneAt.Sub(i.PushedAt), 95*time.Minute)
		}
	})
}

func TestVerifyBatchReadsOrdersThatChanged(t *testing.T) {
	t.Parallel()
	for name, loose := range map[string]bool{"it is listed no more": false, "it is listed in another status": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := manyOrders(90)
				for i, o := range orders {
					o.fates = []fate{{time.Duration(i+1) * time.Minute, commerce.StatusCompleted, ""}}
				}
				s := newShop(orders...)
				takes := make(map[string]time.Duration)
				for _, o := range orders {
					takes[o.ID] = o.fates[0].after
				}
				l := &lister{shop: s, page: 100, loose: loose}
				r := runnerFor(t, s, func(c *resubmit.Config) { c.Lister, c.Verify.Timeout = l, 3*time.Hour })
				report, err := r.Apply(t.Context(), planFor(t, orders...))
				require.NoError(t, err)
				require.Equal(t, 90, report.Result.Completed)
				require.NotEmpty(t, l.queries)
				for _, i := range report.Items {
					late := i.DoneAt.Sub(i.PushedAt) - takes[i.OrderID]
					require.Less(t, late, 6*time.Minute)
				}
			})
		})
	}
}

// slowTrouble is what can go wrong while many orders take long.
type slowTrouble struct {
	fates  []fate
	reads  [][]fault
	subs   []string
	pages  []fault
	page   int
	old    time.Duration
	hidden []bool
	rate   float64
	slots  int
}

func genSlowTrouble(t *rapid.T) slowTrouble {
	n := rapid.IntRange(20, 60).Draw(t, "orders")
	fates := []fate{
		{50 * time.Second, "CP", ""}, {17 * time.Minute, "CP", ""}, {17 * time.Minute, "PF", outage},
		{62 * time.Minute, "CP", ""},
		{62 * time.Minute, "CP", ""}, {83 * time.Minute, "PF", "Vendor has failed request"}, {83 * time.Minute, "CL", ""}, {},
		{9 * time.Minute, "MO", ""},
	}
	several := func(what string, most int, of ...fault) []fault {
		return rapid.SliceOfN(rapid.SampledFrom(of), 0, most).Draw(t, what)
	}
	tr := slowTrouble{
		fates:  rapid.SliceOfN(rapid.SampledFrom(fates), n, n).Draw(t, "fates"),
		subs:   rapid.SliceOfN(rapid.SampledFrom([]string{"", "", "", "a", "b"}), n, n).Draw(t, "subscriptions"),
		hidden: rapid.SliceOfN(rapid.SampledFrom([]bool{false, false, true}), n, n).Draw(t, "hidden"),
		pages:  several("pages", 6, fine, fine, broken, limited, lostIgnored),
		page:   rapid.SampledFrom([]int{1, 7, 100}).Draw(t, "page"),
		old:    rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour, 100 * time.Hour}).Draw(t, "old"),
		rate:   rapid.SampledFrom([]float64{-1, 2, 10}).Draw(t, "rate"),
		slots:  rapid.IntRange(1, 3).Draw(t, "slots"),
	}
	for range n {
		// So few that none is left for the last look, whose answer counts.
		tr.reads = append(tr.reads, several("reads", 3, fine, fine, fine, broken))
	}
	return tr
}

// apply lives through the trouble, and returns the outcome of each order.
func (tr slowTrouble) apply(ctx context.Context, t require.TestingT, list bool) map[string]resubmit.Item {
	newJournal(t)
	s := newShop()
	var orders []*shopOrder
	for i, f := range tr.fates {
		o := outageOrder(i, tr.subs[i])
		o.fates, o.generation = []fate{f}, 1
		s.orders[o.ID] = o
		orders = append(orders, o)
	}
	plan := planFor(t, orders...)
	for i, o := range orders {
		o.readFaults = append([]fault{fine}, tr.reads[i]...) // it is pushed
	}
	r := runnerFor(t, s, func(c *resubmit.Config) {
		c.RateLimit, c.Concurrency, c.Verify.Timeout, c.Breaker.Failures = tr.rate, tr.slots, 2*time.Hour, -1
		if list {
			c.Lister = &lister{shop: s, page: tr.page, faults: slices.Clone(tr.pages), old: tr.old, hides: func(id string) bool {
				return tr.hidden[slices.IndexFunc(orders, func(o *shopOrder) bool { return o.ID == id })]
			}}
		}
	})
	report, err := r.Apply(ctx, plan)
	require.NoError(t, err)
	if tr.rate > 0 {
		require.LessOrEqual(t, mostInASecond(s.calls, time.Time{}, time.Now()), int(tr.rate), "I7")
	}
	items := make(map[string]resubmit.Item)
	for _, i := range report.Items {
		require.LessOrEqual(t, s.accepted(i.OrderID), 1, "I1")
		items[i.OrderID] = i
	}
	return items
}

// same says what differs with a list, "" for nothing.
func (tr slowTrouble) same(ctx context.Context) (wrong string) {
	report := &failures{}
	defer func() {
		if report.failed {
			_ = recover()
			wrong = report.text
		}
	}()
	without, with := tr.apply(ctx, report, false), tr.apply(ctx, report, true)
	require.Len(report, with, len(without))
	for id, a := range without {
		b := with[id]
		require.Equal(report, a.Outcome, b.Outcome, "%s: %s; with a list: %s", id, a.Why, b.Why)
		require.Equal(report, a.After.Status, b.After.Status, id)
		require.Equal(report, a.SameReason, b.SameReason, id)
		require.Equal(report, a.Attempts, b.Attempts, id)
	}
	return ""
}

func TestVerifyBatchChangesNoOutcome(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		tr := genSlowTrouble(rt)
		var wrong string
		synctest.Test(t, func(t *testing.T) { wrong = tr.same(t.Context()) })
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// failures records the first failure of a check, and ends it.
type failures struct {
	text   string
	failed bool
}

func (f *failures) Errorf(format string, args ...any) {
	if !f.failed {
		f.failed, f.text = true, fmt.Sprintf(format, args...)
	}
}

func (f *failures) FailNow() { panic(f) }
