package resubmit_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// past is what earlier runs have left of a plan, drawn before it.
type past struct {
	orders []pastOrder
	canary []int
	kinds  []string // of groups that the user names; nil for the default
	drops  bool     // items
	tells  bool     // an observer
	inHand int
}

type pastOrder struct {
	kind     commerce.OrderType
	vendor   string
	customer string
	tenant   string
	subs     []string
	class    failure.Class
	action   rules.Action
	state    resubmit.RecordState // "" for no record
	seen     commerce.Status
	attempts int
	fates    []fate
}

func genPast(t *rapid.T) past {
	p := past{
		canary: rapid.SampledFrom([][]int{{}, {1, 2, 5}, {3}}).Draw(t, "canary"),
		kinds:  rapid.SampledFrom([][]string{nil, {"a", "b"}}).Draw(t, "groups"),
		drops:  rapid.Bool().Draw(t, "drops items"),
		tells:  rapid.Bool().Draw(t, "has an observer"),
		inHand: rapid.IntRange(1, 20).Draw(t, "in hand"),
	}
	p.orders = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) pastOrder {
		return pastOrder{
			kind:     rapid.SampledFrom([]commerce.OrderType{commerce.TypeSales, commerce.TypeChange}).Draw(t, "type"),
			vendor:   rapid.SampledFrom([]string{"", "1", `2"`}).Draw(t, "vendor"),
			customer: rapid.SampledFrom([]string{"", "Acme", `A "B"`}).Draw(t, "customer"),
			tenant:   rapid.SampledFrom([]string{"", "", "t1", "t2"}).Draw(t, "tenant"),
			subs: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"}), 0, 2,
				rapid.ID).Draw(t, "subscriptions"),
			class: rapid.SampledFrom([]failure.Class{failure.Transient, failure.Unclassified}).Draw(t, "class"),
			action: rapid.SampledFrom([]rules.Action{rules.Resubmit, rules.Resubmit, rules.Resubmit, rules.Hold}).Draw(t,
				"action"),
			state: rapid.SampledFrom([]resubmit.RecordState{
				"", "", resubmit.RecordCompleted, resubmit.RecordCompleted, resubmit.RecordSkipped, resubmit.RecordFailedAgain,
				resubmit.RecordFalseSuccess, resubmit.RecordRefused,
			}).Draw(t, "state"),
			seen:     rapid.SampledFrom([]commerce.Status{"CP", "CP", "PF", "CL", ""}).Draw(t, "seen"),
			attempts: rapid.IntRange(0, 2).Draw(t, "attempts"),
			fates: rapid.SampledFrom([][]fate{nil, nil, {{after: time.Second, status: "PF", reason: "again"}}}).Draw(t,
				"fates"),
		}
	}), 1, 30).Draw(t, "orders")
	if len(p.canary) > 0 {
		// Whether the canary knows of an order before another one asks is a matter of chance,
		// unless it comes before all that ask, and there is room for all.
		p.inHand = 100
		slices.SortStableFunc(p.orders, func(a, b pastOrder) int { return a.rank() - b.rank() })
		for i := range p.orders {
			p.orders[i].tenant, p.orders[i].subs = "", []string{fmt.Sprint(i)}
		}
	}
	return p
}

func (o pastOrder) rank() int {
	if o.state == "" || o.state == resubmit.RecordRefused {
		return 1
	}
	return 0
}

// record is what the journal has about an order; false for nothing.
func (o pastOrder) record(e *plan.Entry) (resubmit.Record, bool) {
	r := resubmit.Record{
		OrderID: e.OrderID, Fingerprint: e.Fingerprint, State: o.state, Attempt: o.attempts, Target: commerce.StatusPaid,
		Seen: o.seen, At: time.Now().Add(-time.Minute), Why: "because of " + e.Number,
	}
	return r, o.state != ""
}

// hidden hides that a journal can tell all its records at once.
type hidden struct{ resubmit.Journal }

// resume goes on with the past and returns what was seen of that.
func (of past) resume(t *testing.T, hide bool) (seen string) {
	synctest.Test(t, func(t *testing.T) {
		s, journal := newShop(), new(resubmit.MemoryJournal)
		var entries []*plan.Entry
		for i, po := range of.orders {
			o := outageOrder(i, "")
			o.Type, o.VendorAccountID, o.CustomerName, o.TenantID, o.SubscriptionIDs = po.kind, po.vendor, po.customer,
				po.tenant,
				po.subs
			o.fates, o.generation = slices.Clone(po.fates), 1
			e := entryFor(o)
			if e.Attribution.Class, e.Decision.Action = po.class, po.action; po.action != rules.Resubmit {
				e.Target = ""
			}
			s.orders[o.ID] = o
			entries = append(entries, e)
		}
		p := planWith(t, []maintenance.Window{}, entries...)
		require.NoError(t, journal.Begin(p.Digest()))
		for i, e := range entries {
			if r, ok := of.orders[i].record(e); ok {
				require.NoError(t, journal.Put(r))
			}
		}
		diary := new(diary)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Concurrency, c.MaxOpenOrders, c.OmitItems, c.Canary.Steps = 1, of.inHand, of.drops, of.canary
			c.RateLimit, c.Breaker.Failures = 1, -1 // so that no two orders end at the same time
			if c.Journal = journal; hide {
				c.Journal = hidden{journal}
			}
			if of.tells {
				c.OnEvent = diary.on
			}
			if of.kinds != nil {
				c.Canary.Group = func(e *plan.Entry) string { return of.kinds[len(e.OrderID)%len(of.kinds)] }
			}
		})
		report, err := r.Apply(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, p.Counts().Resubmit, report.Result.Total())
		seen = describe(report, diary)
	})
	return seen
}

// describe writes down a report and what an observer was told, without what depends
// on which of two orders was faster.
func describe(report *resubmit.Report, diary *diary) string {
	var b strings.Builder
	report.StartedAt, report.FinishedAt, report.PlanDigest = time.Time{}, time.Time{}, ""
	slices.SortFunc(report.Items, func(a, b resubmit.Item) int { return strings.Compare(a.OrderID, b.OrderID) })
	for i := range report.Items {
		item := &report.Items[i]
		item.DoneAt, item.PushedAt = time.Time{}, time.Time{}
		if why, _, by := strings.Cut(item.Why, " by SO"); by {
			item.Why = why // of two that block an order either may be named
		}
	}
	report.Blockers = nil
	if report.FailedAgain != nil {
		report.FailedAgain.Groups = nil // the example is the first
	}
	lines := strings.Split(diary.String(), "\n")
	slices.Sort(lines)
	if err := report.WriteJSON(&b); err != nil {
		return err.Error()
	}
	return b.String() + strings.Join(lines, "\n")
}

func TestResumeWithABulkJournalIsTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := genPast(rt)
		if one, all := p.resume(t, true), p.resume(t, false); one != all {
			rt.Fatalf("one by one:\n%s\nat once:\n%s", one, all)
		}
	})
}

// asked counts what a journal is asked for, and may fail.
type asked struct {
	resubmit.MemoryJournal
	mu    sync.Mutex
	gets  map[string]int
	fails error // of Heads, behind the first
}

func (j *asked) Get(id string) (resubmit.Record, bool, error) {
	j.mu.Lock()
	j.gets[id]++
	j.mu.Unlock()
	return j.MemoryJournal.Get(id)
}

func (j *asked) Heads() iter.Seq2[resubmit.RecordHead, error] {
	return func(yield func(resubmit.RecordHead, error) bool) {
		for r := range j.MemoryJournal.Heads() {
			if !yield(r, nil) {
				return
			}
			if j.fails != nil {
				yield(resubmit.RecordHead{}, j.fails)
				return
			}
		}
	}
}

// halfDone is a plan of ten orders, each in a lane of its own, and the journal of a run
// that has completed those with an even number.
func halfDone(t *testing.T) (*shop, *plan.Plan, *asked) {
	j := &asked{gets: make(map[string]int)}
	var orders []*shopOrder
	for i := range 10 {
		orders = append(orders, outageOrder(i, fmt.Sprint(i)))
	}
	plan := planFor(t, orders...)
	require.NoError(t, j.Begin(plan.Digest()))
	for i, o := range orders {
		if i%2 == 0 {
			e := entryFor(o)
			require.NoError(t, j.Put(resubmit.Record{
				OrderID: o.ID, Fingerprint: e.Fingerprint, State: resubmit.RecordCompleted, Attempt: 1, Seen: "CP", At: time.Now(),
				Why: "done",
			}))
		}
	}
	return newShop(orders...), plan, j
}

func TestResumeReadsFinishedRecordsOnlyIfItemsAreWanted(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*resubmit.Config)
		gets   int
	}{
		"with items": {func(*resubmit.Config) {}, 5},
		"with an observer": {func(c *resubmit.Config) {
			c.OmitItems, c.OnEvent = true, func(resubmit.Event) {}
		}, 5},
		"with neither": {func(c *resubmit.Config) { c.OmitItems = true }, 0},
		"with neither, and with groups": {func(c *resubmit.Config) {
			c.OmitItems, c.Canary.Group = true, func(e *plan.Entry) string { return e.Customer }
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, plan, j := halfDone(t)
				r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = j; tt.change(c) })
				report, err := r.Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Completed: 10}, report.Result)
				require.Equal(t, 5, s.pushes())
				gets := 0
				for i := 0; i < 10; i += 2 {
					gets += j.gets[fmt.Sprintf("id-%d", i)]
				}
				require.InDelta(t, tt.gets, gets, 1, "a lane is mistaken for another once in a while")
			})
		})
	}
}

func TestResumePushesNothingIfTheJournalCannotBeRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, plan, j := halfDone(t)
		j.fails = errors.New("the disk is gone")
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = j })
		report, err := r.Apply(t.Context(), plan)
		require.ErrorIs(t, err, j.fails)
		require.ErrorContains(t, err, "resubmit: the journal: ")
		require.Equal(t, err.Error(), report.Err)
		require.Equal(t, 10, report.Result.Total())
		require.Empty(t, s.calls)

		j.fails = nil
		report, err = r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 10}, report.Result)
	})
}

func TestResumeIgnoresRecordsOfAnotherFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, plan, j := halfDone(t)
		r, _, err := j.MemoryJournal.Get("id-4")
		require.NoError(t, err)
		r.Fingerprint = strings.Repeat("0", 32)
		require.NoError(t, j.Put(r))
		_, err = runnerFor(t, s, func(c *resubmit.Config) { c.Journal, c.OmitItems = j, true }).Apply(t.Context(), plan)
		require.ErrorContains(t, err, "order SO000004: its record is for another order or another failure than the plan")
	})
}

func TestResumeThatEndsAtOnceReportsFinishedOrders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, plan, j := halfDone(t)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = j })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		report, err := r.Apply(ctx, plan)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 5, Skipped: 5}, report.Result)
		require.Empty(t, s.calls)
	})
}

func TestResumeBlocksLanesOfFailedOrdersWithoutItems(t *testing.T) {
	t.Parallel()
	for state, seen := range map[resubmit.RecordState]commerce.Status{
		resubmit.RecordFailedAgain: "PF", resubmit.RecordSkipped: "PR", resubmit.RecordFalseSuccess: "CP",
	} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, j := newShop(outageOrder(1, "a"), outageOrder(2, "a")), new(resubmit.MemoryJournal)
				plan := planFor(t, s.orders["id-1"], s.orders["id-2"])
				require.NoError(t, j.Begin(plan.Digest()))
				require.NoError(t, j.Put(resubmit.Record{
					OrderID: "id-1", Fingerprint: entryFor(s.orders["id-1"]).Fingerprint, State: state, Attempt: 1, Seen: seen,
					At: time.Now(),
				}))
				r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal, c.OmitItems = j, true })
				report, err := r.Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Len(t, report.Blockers, 1)
				require.Empty(t, s.calls)
			})
		})
	}
}
