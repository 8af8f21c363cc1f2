package resubmit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// planSource yields orders as they are, and then an error if it has one.
type planSource struct {
	orders []*commerce.Order
	err    error
	asked  commerce.Query
}

func (s *planSource) Orders(_ context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	s.asked = q
	return func(yield func(*commerce.Order, error) bool) {
		for _, o := range s.orders {
			if o != nil && !q.Match(o) {
				continue
			}
			if !yield(o, nil) {
				return
			}
		}
		if s.err != nil {
			yield(nil, s.err)
		}
	}
}

type planReader func(ctx context.Context, id string) (*commerce.Order, error)

func (r planReader) Order(ctx context.Context, id string) (*commerce.Order, error) { return r(ctx, id) }

type planFinder func(ctx context.Context, keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest,
	error)

func (f planFinder) LatestRequests(ctx context.Context,
	keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	return f(ctx, keys)
}

// noRequests is a Connect that was never reached.
var noRequests = planFinder(func(_ context.Context,
	keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	found := map[connect.RequestKey][]connect.LatestRequest{}
	for _, k := range keys {
		found[k] = nil
	}
	return found, nil
})

// longAgo is before every settle time.
var longAgo = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// failedOrder is the nth order, with all its details, and failed for a transient reason.
func failedOrder(n int) *commerce.Order {
	return &commerce.Order{
		ID: fmt.Sprint("id-", n), Number: fmt.Sprintf("SO%06d", n), Type: commerce.TypeSales,
		Status: commerce.StatusProvisioningFailed, PlacedAt: longAgo.Add(time.Duration(n) * time.Minute),
		SubscriptionIDs: []string{fmt.Sprint(1000 + n)}, Failure: failed(textTransient),
		CustomerID: "77", CustomerName: "Rose & Sons",
		Transitions: []commerce.Transition{{To: commerce.StatusCancelled}, {To: commerce.StatusProvisioning},
			{To: commerce.StatusPaid}},
	}
}

func failedOrders(n int) *planSource {
	s := &planSource{}
	for i := range n {
		s.orders = append(s.orders, failedOrder(i))
	}
	return s
}

func planned(t testing.TB, cfg resubmit.PlanConfig) []*plan.Entry {
	t.Helper()
	if cfg.Filter == nil {
		cfg.Filter = filter.Everything()
	}
	if cfg.Journal == nil {
		cfg.Journal = new(resubmit.MemoryJournal)
	}
	plan, err := resubmit.BuildPlan(t.Context(), cfg)
	require.NoError(t, err)
	return entriesOf(t, plan)
}

func rulesOf(entries []*plan.Entry) (rules []string) {
	for _, e := range entries {
		rules = append(rules, e.Decision.RuleID)
	}
	return rules
}

func TestPlanHasEachSelectedOrderOnceOldestFirst(t *testing.T) {
	t.Parallel()
	const n = 1000 // several batches
	source := failedOrders(n)
	source.orders[5].Status = commerce.StatusCompleted // a source that does not heed the query
	source.orders[6].Type = commerce.TypeRenewal
	source.orders[7].PlacedAt = time.Time{} // not told: stays where it is
	entries := planned(t, resubmit.PlanConfig{
		RateLimit: -1,
		Systems:   systemsOf(resubmit.Systems{Lister: source, Requests: noRequests}), Calendar: nights(t),
		Filter: filter.And(filter.Types(commerce.TypeSales), filter.MessageClass(nil, failure.Transient)),
	})
	require.Len(t, entries, n-2)
	require.Equal(t, []commerce.Status{commerce.StatusProvisioningFailed}, source.asked.Statuses)
	require.Empty(t, source.asked.Types, "older orders of other types may share a lane")
	next := 0
	for _, o := range source.orders {
		if o.Status != commerce.StatusProvisioningFailed || o.Type != commerce.TypeSales {
			continue
		}
		e := entries[next]
		next++
		require.Equal(t, o.ID, e.OrderID)
		require.Equal(t, rules.Decision{Action: rules.Resubmit, RuleID: "connect-none",
			Why: "the call never reached Connect"}, e.Decision)
		require.Equal(t, commerce.StatusPaid, e.Target)
		require.Equal(t, "Rose & Sons (77)", e.Customer)
		require.Equal(t, plan.SnapshotOf(o), e.Before)
		require.Empty(t, e.Before.Diff(plan.SnapshotOf(o)))
	}
}

func TestPlanHasAnOrderOnceThatIsListedTwice(t *testing.T) {
	t.Parallel()
	source := failedOrders(4)
	source.orders[1].PlacedAt = source.orders[0].PlacedAt
	for i := range 3 {
		again := *source.orders[i]
		source.orders = append(source.orders, &again)
	}
	slices.SortStableFunc(source.orders, func(a, b *commerce.Order) int { return a.PlacedAt.Compare(b.PlacedAt) })
	var log bytes.Buffer
	entries := planned(t, resubmit.PlanConfig{
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source}), IgnoreConnect: true,
		Filter: filter.Everything(), Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.Len(t, entries, 4)
	require.Contains(t, log.String(), "the list has orders twice; the plan has them once\" orders=3 first=\"SO")
}

func TestPlanHeaderHasTheConfiguration(t *testing.T) {
	t.Parallel()
	cal, err := maintenance.NewCalendar(nights(t).Windows())
	require.NoError(t, err)
	filter := filter.Types(commerce.TypeSales)
	view := commerce.View{Name: "Mine", Statuses: []commerce.Status{"PF"}, Sort: commerce.NewestFirst}
	source := failedOrders(1)
	plan, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
		Journal:   new(resubmit.MemoryJournal),
		RateLimit: -1,
		Systems:   systemsOf(resubmit.Systems{Lister: source}), IgnoreConnect: true, View: view, Filter: filter,
		Calendar: cal, Rules: someRules(),
	})
	require.NoError(t, err)
	h := plan.Header()
	require.Equal(t, "Mine", h.View)
	require.Equal(t, filter.String(), h.Filter)
	require.Equal(t, cal.Windows(), h.Windows)
	require.Equal(t, someRules(), h.Rules)
	require.WithinDuration(t, time.Now(), h.CreatedAt, time.Minute)
	require.Equal(t, commerce.OldestFirst, source.asked.Sort, "whatever the view shows first")
}

func TestPlanHasRecurringWindows(t *testing.T) {
	t.Parallel()
	weekly := maintenance.Weekly{ID: "sundays", Weekday: time.Sunday, Time: "02:00", Duration: 2 * time.Hour, Zone: "UTC"}
	cal, err := maintenance.NewCalendar(nil, weekly)
	require.NoError(t, err)
	o := failedOrder(1)
	o.PlacedAt = time.Date(2020, 1, 5, 3, 0, 0, 0, time.UTC) // a Sunday
	o.FailedAt = o.PlacedAt
	plan, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
		Journal:   new(resubmit.MemoryJournal),
		RateLimit: -1,
		Systems:   systemsOf(resubmit.Systems{Lister: &planSource{orders: []*commerce.Order{o}}}), IgnoreConnect: true,
		Filter: filter.Everything(), Calendar: cal,
	})
	require.NoError(t, err)
	require.Empty(t, plan.Header().Windows)
	require.Equal(t, []maintenance.Weekly{weekly}, plan.Header().Weekly)
	require.Equal(t, "sundays@2020-01-05", entriesOf(t, plan)[0].Attribution.WindowID)

	again, err := plan.Header().Calendar()
	require.NoError(t, err)
	from := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	to := time.Now().AddDate(1, 0, 0)
	require.Equal(t, cal.Overlapping(from, to), again.Overlapping(from, to), "in the past and in the future")
}

func TestPlannerRejectsUnsortedLists(t *testing.T) {
	t.Parallel()
	source := failedOrders(600)
	source.orders[3], source.orders[400] = source.orders[400], source.orders[3]
	cfg := resubmit.PlanConfig{
		Journal:   new(resubmit.MemoryJournal),
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source}), IgnoreConnect: true, Filter: filter.Everything(),
	}
	_, err := resubmit.BuildPlan(t.Context(), cfg)
	require.ErrorContains(t, err,
		"the list is not sorted: order SO000004, placed 2020-01-01T00:04:00Z, came after order SO000400")
	require.ErrorContains(t, err, "wrap the lister with Sorted")

	cfg.Lister = resubmit.Sorted(source)
	for i, e := range planned(t, cfg) {
		require.Equal(t, fmt.Sprint("id-", i), e.OrderID)
	}
}

func TestSortedKeepsTiesAndTheLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		source := &planSource{}
		for i, minute := range rapid.SliceOf(rapid.IntRange(0, 9)).Draw(t, "minutes") {
			source.orders = append(source.orders, &commerce.Order{ID: fmt.Sprint(i),
				PlacedAt: longAgo.Add(time.Duration(minute) * time.Minute)})
		}
		q := commerce.Query{Limit: rapid.IntRange(0, 5).Draw(t, "limit"),
			Sort: rapid.SampledFrom([]commerce.Sort{commerce.OldestFirst, commerce.NewestFirst}).Draw(t, "sort")}
		var last *commerce.Order
		count := 0
		for o, err := range resubmit.Sorted(source).Orders(context.Background(), q) {
			require.NoError(t, err)
			if last != nil && q.Sort == commerce.OldestFirst {
				require.False(t, o.PlacedAt.Before(last.PlacedAt))
			} else if last != nil {
				require.False(t, o.PlacedAt.After(last.PlacedAt))
			}
			last = o
			count++
		}
		want := len(source.orders)
		if q.Limit > 0 {
			want = min(want, q.Limit)
		}
		require.Equal(t, want, count)
		require.Zero(t, source.asked.Limit)
	})
}

func TestPlannerReturnsNoPlanIfTheListFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "plan.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("the plan of yesterday"), 0o600))
	source := failedOrders(700)
	source.err = &commerce.Error{Op: "list orders", HTTPStatus: 502}
	cfg := resubmit.PlanConfig{
		Journal:   new(resubmit.MemoryJournal),
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source}), IgnoreConnect: true, Filter: filter.Everything(),
	}

	_, err := resubmit.WritePlanFile(t.Context(), cfg, path)
	require.ErrorIs(t, err, commerce.ErrUnavailable)
	left, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "the plan of yesterday", string(left))
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1, "no temporary file is left")

	for _, s := range []resubmit.OrderLister{&planSource{orders: []*commerce.Order{nil}},
		resubmit.Sorted(&planSource{orders: []*commerce.Order{nil}})} {
		cfg.Lister = s
		_, err = resubmit.BuildPlan(t.Context(), cfg)
		require.ErrorContains(t, err, "neither an order nor an error")
	}
	_, err = resubmit.WritePlanFile(t.Context(), cfg, filepath.Join(dir, "no such folder", "plan.jsonl"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestWritePlanFileReplacesAtomicallyWithMode0600(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plan.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("the plan of yesterday"), 0o644))
	counts, err := resubmit.WritePlanFile(t.Context(), resubmit.PlanConfig{
		Journal:   new(resubmit.MemoryJournal),
		RateLimit: -1,
		Systems:   systemsOf(resubmit.Systems{Lister: failedOrders(3)}), IgnoreConnect: true, Filter: filter.Everything(),
	}, path)
	require.NoError(t, err)
	require.Equal(t, plan.ActionCounts{Total: 3, Resubmit: 3}, counts)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	plan, err := plan.Open(path)
	require.NoError(t, err)
	require.Len(t, entriesOf(t, plan), 3)
	require.NoError(t, plan.Close())
}

func TestPlannerReadsMissingDetails(t *testing.T) {
	t.Parallel()
	const n = 600
	source := failedOrders(n)
	bare := func(o *commerce.Order) *commerce.Order {
		return &commerce.Order{ID: o.ID, Number: o.Number, Type: o.Type, Status: o.Status, PlacedAt: o.PlacedAt,
			FailedAt: o.PlacedAt, SubscriptionIDs: o.SubscriptionIDs, TenantID: "t"}
	}
	full := map[string]*commerce.Order{}
	for i, o := range source.orders {
		full[o.ID] = o
		o.SubscriptionIDs, o.PlacedAt = nil, time.Time{}
		source.orders[i] = bare(failedOrder(i))
	}
	full["id-1"].Failure = failed(textOther)
	full["id-2"].Status = commerce.StatusCompleted
	full["id-4"].Transitions = []commerce.Transition{{To: commerce.StatusCancelled}}
	detailed := failedOrder(3)
	source.orders[3] = detailed
	delete(full, "id-3") // is not asked for

	var now, most atomic.Int32
	reader := planReader(func(_ context.Context, id string) (*commerce.Order, error) {
		for most.Load() < now.Load()+1 {
			most.Store(now.Load() + 1)
		}
		now.Add(1)
		defer now.Add(-1)
		switch id {
		case "id-5":
			return nil, &commerce.Error{Op: "read order", HTTPStatus: 404}
		case "id-6":
			return nil, errors.New("a secretless\nerror")
		case "id-7":
			return full["id-8"], nil
		}
		return full[id], nil
	})
	entries := planned(t, resubmit.PlanConfig{
		RateLimit: -1,
		Systems:   systemsOf(resubmit.Systems{Lister: source, Reader: reader}), IgnoreConnect: true, Concurrency: 3,
		Filter: filter.MessageLike("*internal server error*"),
	})
	require.LessOrEqual(t, most.Load(), int32(3))
	require.Len(t, entries, n-1, "one has another reason; those that could not be read stay")
	byID := map[string]*plan.Entry{}
	for _, e := range entries {
		byID[e.OrderID] = e
	}
	require.Nil(t, byID["id-1"])
	require.Equal(t, rules.Wait, byID["id-2"].Decision.Action)
	require.Equal(t, "the order is now CP and no longer in the view Failed Orders", byID["id-2"].Decision.Why)
	require.Equal(t, rules.Resubmit, byID["id-3"].Decision.Action)
	require.Equal(t, rules.Decision{Action: rules.Manual, RuleID: "order-no-transition",
		Why: "the order offers no transition that resubmits it"}, byID["id-4"].Decision)
	for id, why := range map[string]string{
		"id-5": "the order was listed, but does not exist: commerce: read order: HTTP 404 Not Found",
		"id-6": "the order could not be read: a secretless error",
		"id-7": "the order could not be read: the answer is about another order",
	} {
		require.Equal(t, rules.Decision{Action: rules.Hold, RuleID: "order-unread", Why: why}, byID[id].Decision)
	}
	last := byID["id-599"]
	require.Equal(t, []string{"1599"}, last.Subscriptions, "what only the list told is kept")
	require.Equal(t, "t", last.TenantID)
	require.Equal(t, failedOrder(599).PlacedAt, last.Before.PlacedAt)
	require.Equal(t, failedOrder(599).PlacedAt, last.Before.FailedAt)
	require.Equal(t, textTransient, last.Before.Message)
	require.Zero(t, byID["id-2"].Before.FailedAt, "not of this status")
}

func TestPlannerAcceptsAMorePreciseTimeOfPlacing(t *testing.T) {
	t.Parallel()
	fine := map[string]time.Time{"id-0": longAgo.Add(900 * time.Millisecond), "id-1": longAgo.Add(100 * time.Millisecond)}
	source := failedOrders(2)
	for _, o := range source.orders {
		o.PlacedAt, o.Transitions = longAgo, nil
	}
	reader := planReader(func(_ context.Context, id string) (*commerce.Order, error) {
		o := *source.orders[0]
		if id == "id-1" {
			o = *source.orders[1]
		}
		o.PlacedAt = fine[id]
		return &o, nil
	})
	for _, e := range planned(t, resubmit.PlanConfig{
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source, Reader: reader}), IgnoreConnect: true,
	}) {
		require.Equal(t, fine[e.OrderID], e.Before.PlacedAt)
	}
}

func TestPlannerFiltersBySubscriptionAfterReading(t *testing.T) {
	t.Parallel()
	source := failedOrders(2)
	for _, o := range source.orders {
		o.SubscriptionIDs, o.Transitions = nil, nil
	}
	reader := planReader(func(_ context.Context, id string) (*commerce.Order, error) {
		if id == "id-0" {
			return failedOrder(0), nil
		}
		return failedOrder(1), nil
	})
	entries := planned(t, resubmit.PlanConfig{
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source, Reader: reader}), IgnoreConnect: true,
		Filter: filter.Subscriptions("1001")})
	require.Len(t, entries, 1)
	require.Equal(t, "id-1", entries[0].OrderID)
}

func TestPlannerEndsOnRefusedCredentials(t *testing.T) {
	t.Parallel()
	source := failedOrders(5000)
	for _, o := range source.orders {
		o.Transitions = nil
	}
	var calls atomic.Int32
	_, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
		Journal:   new(resubmit.MemoryJournal),
		RateLimit: -1,
		Systems: systemsOf(resubmit.Systems{Lister: source, Reader: planReader(func(
			context.Context, string,
		) (*commerce.Order, error) {
			calls.Add(1)
			return nil, &commerce.Error{Op: "read order", HTTPStatus: 401}
		})}), IgnoreConnect: true, Filter: filter.Everything(),
	})
	require.ErrorIs(t, err, commerce.ErrUnauthorized)
	require.ErrorContains(t, err, "resubmit: plan: read order SO")
	require.Less(t, calls.Load(), int32(2000))
}

func TestPlannerLooksUpOnlyNeededKeysInBatches(t *testing.T) {
	t.Parallel()
	source := failedOrders(300)
	source.orders[0].TenantID = "tenant"                  // the better key
	source.orders[1].SubscriptionIDs = []string{"2", "3"} // two keys
	source.orders[2].Type = commerce.TypeRenewal          // no request in Connect
	source.orders[3].SubscriptionIDs = nil                // nothing to ask for
	source.orders[4].Failure = failed(textPermanent)      // decided by its reason
	source.orders[5].Failure = failed(textOther)          // held
	source.orders[6].Failure = failed(textOther)          // named
	source.orders[7].Type = commerce.TypeCancellation     // another type of request
	source.orders[9].SubscriptionIDs = []string{"1008"}   // as the one before it
	source.orders[10].Type, source.orders[10].Failure = "RN", failed(textOther)
	var mu sync.Mutex
	var calls [][]connect.RequestKey
	asked := map[connect.RequestKey]int{}
	finder := planFinder(func(ctx context.Context,
		keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, keys)
		for _, k := range keys {
			asked[k]++
		}
		found, _ := noRequests(ctx, keys)
		two := connect.RequestKey{SubscriptionID: "2", Type: connect.TypePurchase}
		if _, ok := found[two]; ok {
			found[two] = []connect.LatestRequest{newest(connect.TypePurchase, connect.StatusApproved, 0, 0)}
			delete(found, connect.RequestKey{SubscriptionID: "3", Type: connect.TypePurchase})
			return found, errors.New("connect: list requests: HTTP 403 Forbidden")
		}
		return found, nil
	})
	entries := planned(t, resubmit.PlanConfig{
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source, Requests: finder}), Override: []string{"SO000006"},
	})
	require.Equal(t, []string{
		"connect-none", "connect-unknown", "connect-not-asked", "connect-unknown", "reason-permanent",
		"reason-unclassified", "connect-none", "connect-none", "connect-none", "connect-none", "reason-unclassified",
		"connect-none",
	}, rulesOf(entries)[:12])
	require.Contains(t, entries[1].Decision.Why, "HTTP 403 Forbidden")
	require.Contains(t, entries[3].Decision.Why, "has neither a subscription nor a tenant to look up")
	require.Equal(t, failure.Evidence{Kind: "operator", Text: "the operator named this order"},
		entries[6].Attribution.Evidence[3])
	require.Equal(t, failure.Evidence{
		Kind: "request", Text: "the latest purchase request is approved, not older than the order", Ref: "PR-1",
		At: decideNow,
	}, entries[1].Attribution.Evidence[3])

	require.Len(t, calls, 2, "one for each batch")
	require.Contains(t, asked, connect.RequestKey{TenantID: "tenant", Type: connect.TypePurchase})
	require.Contains(t, asked, connect.RequestKey{SubscriptionID: "1007", Type: connect.TypeCancel})
	require.Len(t, asked, 300-6+1,
		"a renewal or two, what is decided already, what has no key and a double; one has two keys")
	for k, times := range asked {
		require.Equal(t, 1, times, k)
	}
}

func TestPlanEvidenceHasTheAgeOfARequest(t *testing.T) {
	t.Parallel()
	order := failedOrder(0)
	undated := failedOrder(1)
	undated.PlacedAt = time.Time{}
	finder := planFinder(func(_ context.Context,
		keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
		found := map[connect.RequestKey][]connect.LatestRequest{}
		for _, k := range keys {
			found[k] = []connect.LatestRequest{{Request: connect.Request{
				ID: "PR-7", Type: k.Type, Status: connect.StatusApproved, Created: longAgo.Add(-2 * time.Hour),
				Updated: longAgo.Add(-time.Hour),
			}}}
		}
		return found, nil
	})
	entries := planned(t, resubmit.PlanConfig{
		RateLimit: -1,
		Systems: systemsOf(resubmit.Systems{
			Lister: &planSource{orders: []*commerce.Order{order, undated}}, Requests: finder,
		}),
	})
	require.Equal(t, []string{"connect-older", "connect-approved"}, rulesOf(entries))
	for i, age := range []string{"older", "possibly older"} {
		require.Contains(t, entries[i].Attribution.Evidence, failure.Evidence{
			Kind: "request", Text: "the latest purchase request is approved, created 2019-12-31T22:00:00Z, " + age +
				" than the order",
			Ref: "PR-7", At: longAgo.Add(-time.Hour),
		})
	}
}

func TestPlannerSplitsLookUps(t *testing.T) {
	t.Parallel()
	o := failedOrder(1)
	o.SubscriptionIDs = nil
	for i := range 1200 {
		o.SubscriptionIDs = append(o.SubscriptionIDs, fmt.Sprint(i))
	}
	var sizes []int
	finder := planFinder(func(ctx context.Context,
		keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
		sizes = append(sizes, len(keys))
		return noRequests(ctx, keys)
	})
	planned(t, resubmit.PlanConfig{
		RateLimit: -1,
		Systems:   systemsOf(resubmit.Systems{Lister: &planSource{orders: []*commerce.Order{o}}, Requests: finder}),
	})
	require.Equal(t, []int{500, 500, 200}, sizes)
}

func TestPlannerWithoutConnectHoldsOrdersUnlessIgnored(t *testing.T) {
	t.Parallel()
	source := failedOrders(2)
	source.orders[1].Type = commerce.TypeRenewal
	entries := planned(t, resubmit.PlanConfig{RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source})})
	require.Equal(t, []string{"connect-unknown", "connect-not-asked"}, rulesOf(entries))
	require.Contains(t, entries[0].Decision.Why, "give PlanConfig.Requests, or set IgnoreConnect")
	require.Equal(t, []string{"connect-not-asked", "connect-not-asked"},
		rulesOf(planned(t, resubmit.PlanConfig{
			RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source, Requests: noRequests}), IgnoreConnect: true,
		})))
	require.Equal(t, []string{"connect-not-asked", "connect-not-asked"},
		rulesOf(planned(t, resubmit.PlanConfig{
			RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source}),
			Policy: resubmit.Policy{RequestTypes: map[commerce.OrderType]connect.RequestType{commerce.TypeSales: ""}},
		})))
}

func TestPlanSaysThatReasonsAreNotReported(t *testing.T) {
	t.Parallel()
	source := failedOrders(2)
	for _, o := range source.orders {
		o.Failure = commerce.Failure{}
	}
	entries := planned(t, resubmit.PlanConfig{
		RateLimit: -1,
		Systems:   resubmit.Systems{Name: testSystem, Lister: source}, IgnoreConnect: true, Override: []string{"SO000001"},
	})
	require.Equal(t, []string{"reason-not-reported", "connect-not-asked"}, rulesOf(entries))
	require.Contains(t, entries[0].Decision.Why, "this Commerce client does not report why orders failed")
	require.Equal(t, "Connect was not asked, and the operator named the order", entries[1].Decision.Why)

	entries = planned(t, resubmit.PlanConfig{
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source}), IgnoreConnect: true,
	})
	require.Equal(t, []string{"reason-unclassified", "reason-unclassified"}, rulesOf(entries),
		"a source that does not say")
}

func TestPlannerHoldsOrdersOfUnansweredKeys(t *testing.T) {
	t.Parallel()
	finder := planFinder(func(context.Context, []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest,
		error) {
		return map[connect.RequestKey][]connect.LatestRequest{{SubscriptionID: "1001", Type: connect.TypePurchase}: nil}, nil
	})
	entries := planned(t, resubmit.PlanConfig{
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: failedOrders(2), Requests: finder}),
	})
	require.Equal(t, rules.Resubmit, entries[1].Decision.Action)
	require.Equal(t, rules.Hold, entries[0].Decision.Action)
	require.Contains(t, entries[0].Decision.Why, "there was no answer for its key")
}

func TestPlannerLooksUpRequestsForRules(t *testing.T) {
	t.Parallel()
	source := failedOrders(1)
	source.orders[0].Failure = failed(textOther)
	for name, rule := range map[string]rules.Rule{
		"a condition on the request": {ID: "a", Requests: []connect.RequestStatus{rules.NoRequest}, Action: rules.Manual,
			Why: "x"},
		"a word for the reason": {ID: "a", Message: "*moon*", Action: rules.Resubmit, Why: "x"},
	} {
		var calls atomic.Int32
		finder := planFinder(func(ctx context.Context,
			keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
			calls.Add(1)
			return noRequests(ctx, keys)
		})
		entries := planned(t, resubmit.PlanConfig{
			RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source, Requests: finder}), Rules: []rules.Rule{rule},
		})
		require.Equal(t, "a", entries[0].Decision.RuleID, name)
		require.Equal(t, int32(1), calls.Load(), name)
	}
}

func TestPlannerWaitsForTheSettleDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC()
		window := func(from, to time.Duration) *maintenance.Calendar {
			cal, err := maintenance.NewCalendar([]maintenance.Window{{ID: "w", Start: now.Add(from), End: now.Add(to)}})
			require.NoError(t, err)
			return cal
		}
		const minute = time.Minute
		tests := map[string]struct {
			cal    *maintenance.Calendar
			age    time.Duration // of the failure
			settle time.Duration
			rule   string
			why    string
			due    time.Duration // from now
		}{
			"in a window": {window(-minute, minute), 9 * time.Hour, 0, "order-unsettled",
				"the maintenance window w is open; plan again 4m0s after its end", 5 * minute},
			"just after a window": {window(-2*minute, -minute), 9 * time.Hour, 0, "order-unsettled",
				"the maintenance window w ended less than 4m0s ago; plan again after", 3 * minute},
			"a while after a window":      {window(-9*minute, -4*minute), 9 * time.Hour, 0, "connect-not-asked", "", 0},
			"before a window":             {window(minute, 2*minute), 9 * time.Hour, 0, "connect-not-asked", "", 0},
			"just failed":                 {nil, 3 * minute, 0, "order-unsettled", "the order failed less than 4m0s ago", minute},
			"failed a while ago":          {nil, 4 * minute, 0, "connect-not-asked", "", 0},
			"after a shorter settle time": {window(-9*minute, -2*minute), 9 * time.Hour, minute, "connect-not-asked", "", 0},
		}
		for name, test := range tests {
			known, placed := failedOrder(1), failedOrder(1)
			known.PlacedAt, known.FailedAt = now.Add(-10*time.Hour), now.Add(-test.age)
			placed.PlacedAt = now.Add(-test.age)
			refused := failedOrder(1)
			refused.PlacedAt, refused.Failure = now, failed(textPermanent)
			entries := planned(t, resubmit.PlanConfig{
				RateLimit: -1,
				Systems: systemsOf(resubmit.Systems{
					Lister: resubmit.Sorted(&planSource{orders: []*commerce.Order{known, placed, refused}}),
				}),
				Policy: resubmit.Policy{SettleDelay: test.settle}, IgnoreConnect: true,
				Calendar: test.cal,
			})
			require.Equal(t, []string{test.rule, test.rule, "reason-permanent"}, rulesOf(entries), name)
			require.Contains(t, entries[0].Decision.Why, test.why, name)
			require.Equal(t, test.rule == "order-unsettled", entries[0].Target == "", name)
			if test.due == 0 {
				require.Zero(t, entries[0].Due, name)
			} else {
				require.Equal(t, now.Add(test.due), entries[0].Due, name)
			}
		}
	})
}

func TestPlanner_fails_when_a_named_order_is_not_in_the_plan(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plan.jsonl")
	_, err := resubmit.WritePlanFile(t.Context(), resubmit.PlanConfig{
		Journal:   new(resubmit.MemoryJournal),
		RateLimit: -1,
		Systems:   systemsOf(resubmit.Systems{Lister: failedOrders(3)}), IgnoreConnect: true,
		Filter:   filter.Numbers("SO000001", "SO000002"),
		Override: []string{"id-404", "SO000001", "id-2", "SO000000", "id-404"},
	}, path)
	missing, ok := errors.AsType[*resubmit.NotPlannedError](err)
	require.True(t, ok, err)
	require.Equal(t, []string{"SO000000", "id-404"}, missing.Orders, "all of them, also those that the filter leaves out")
	require.ErrorContains(t, err, "SO000000, id-404")
	require.NoFileExists(t, path)
}

func TestPlannerLogsMissingOverrides(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	planned(t, resubmit.PlanConfig{
		RateLimit: -1,
		Systems: systemsOf(resubmit.Systems{Lister: failedOrders(3), Reader: planReader(func(
			context.Context, string,
		) (*commerce.Order, error) {
			return nil, errors.New("never")
		})}),
		IgnoreConnect: true, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		Override: []string{"SO000001"}, OverrideIfFound: []string{"id-2", "SO000404"},
	})
	require.Contains(t, log.String(), `msg="overridden orders are not in the view or not selected" orders=SO000404`)
	require.Contains(t, log.String(), "total=3 resubmit=3")
	require.NotContains(t, log.String(), "could not be read")
}

func TestPlannerLogsWindowsThatMatchNoFailure(t *testing.T) {
	t.Parallel()
	placed := failedOrder(1).PlacedAt
	window := func(id string, start time.Time) maintenance.Window {
		return maintenance.Window{ID: id, Start: start, End: start.Add(time.Hour)}
	}
	cancelled := window("cancelled", placed.Add(2*time.Hour))
	cancelled.Cancelled = true
	early, fits := window("early", placed.AddDate(-1, 0, 0)), window("fits", placed.Add(-time.Minute))
	for name, test := range map[string]struct {
		windows []maintenance.Window
		warned  []string
	}{
		"one that fits":              {[]maintenance.Window{fits}, nil},
		"one in a wrong zone":        {[]maintenance.Window{window("late", placed.Add(-5*time.Hour))}, []string{"late"}},
		"one of the wrong year":      {[]maintenance.Window{early}, []string{"early"}},
		"old ones beside the latest": {[]maintenance.Window{early, fits}, nil},
		"others":                     {[]maintenance.Window{cancelled, window("future", time.Now().Add(time.Hour))}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calendar, err := maintenance.NewCalendar(test.windows)
			require.NoError(t, err)
			var log bytes.Buffer
			planned(t, resubmit.PlanConfig{
				RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: failedOrders(3)}), IgnoreConnect: true,
				Calendar: calendar, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			})
			require.Equal(t, len(test.warned), strings.Count(log.String(), "no order of the plan fits a window"), log.String())
			for _, id := range test.warned {
				require.Contains(t, log.String(), `window="`+id+": ")
			}
		})
	}
}

func TestPlannerRejectsInvalidConfigs(t *testing.T) {
	t.Parallel()
	good := func() resubmit.PlanConfig {
		return resubmit.PlanConfig{
			Journal:   new(resubmit.MemoryJournal),
			RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: failedOrders(1)}), Filter: filter.Everything(),
			IgnoreConnect: true,
		}
	}
	tests := map[string]struct {
		change func(*resubmit.PlanConfig)
		want   string
	}{
		"no source":       {func(c *resubmit.PlanConfig) { c.Lister = nil }, "PlanConfig.Lister is nil"},
		"no filter":       {func(c *resubmit.PlanConfig) { c.Filter = nil }, "PlanConfig.Filter: "},
		"an empty filter": {func(c *resubmit.PlanConfig) { c.Filter = filter.And() }, "PlanConfig.Filter: "},
		"a bad rule": {func(c *resubmit.PlanConfig) { c.Rules = make([]rules.Rule, 1) },
			"PlanConfig.Rules: rules[0].id: is missing"},
		"a bad view": {func(c *resubmit.PlanConfig) { c.View.Name = "x" }, "PlanConfig.View: statuses is empty"},
		"a bad target": {func(c *resubmit.PlanConfig) { c.Targets = []commerce.Status{"CL"} },
			`PlanConfig.Targets has "CL"`},
		"no target":      {func(c *resubmit.PlanConfig) { c.Targets = []commerce.Status{} }, "PlanConfig.Targets is empty"},
		"no settle time": {func(c *resubmit.PlanConfig) { c.SettleDelay = -time.Second }, "PlanConfig.SettleDelay is -1s"},
		"nobody named": {func(c *resubmit.PlanConfig) { c.Override = []string{""} },
			"PlanConfig.Override has an empty name"},
		"no journal": {func(c *resubmit.PlanConfig) { c.Journal = nil }, "PlanConfig.Journal is nil"},
		"a nil journal": {func(c *resubmit.PlanConfig) { c.Journal = (*resubmit.MemoryJournal)(nil) },
			"PlanConfig.Journal holds a nil"},
		"a settle time of a nanosecond": {func(c *resubmit.PlanConfig) { c.SettleDelay = 1 }, "PlanConfig.SettleDelay is 1ns"},
		"a margin of a nanosecond":      {func(c *resubmit.PlanConfig) { c.Margins.Lead = 1 }, "PlanConfig.Margins.Lead is 1ns"},
		"a negative margin":             {func(c *resubmit.PlanConfig) { c.Margins.Tail = -1 }, "PlanConfig.Margins.Tail is -1ns"},
		"a look-back of nothing":        {func(c *resubmit.PlanConfig) { c.Margins.Lookback = -2 }, "PlanConfig.Margins.Lookback is"},
		"a rate of a trillion":          {func(c *resubmit.PlanConfig) { c.RateLimit = 1e12 }, "PlanConfig.RateLimit is 1e+12"},
		"a call in a million years":     {func(c *resubmit.PlanConfig) { c.RateLimit = 1e-12 }, "PlanConfig.RateLimit is 1e-12"},
		"a million calls at once": {func(c *resubmit.PlanConfig) { c.Concurrency = 1e6 },
			"PlanConfig.Concurrency is 1000000; give 1 to 10000"},
		"no concurrency": {func(c *resubmit.PlanConfig) { c.Concurrency = -1 }, "PlanConfig.Concurrency is -1"},
	}
	for name, test := range tests {
		cfg := good()
		test.change(&cfg)
		var b bytes.Buffer
		_, err := resubmit.WritePlan(t.Context(), cfg, &b)
		require.ErrorContains(t, err, test.want, name)
		require.NotContains(t, err.Error(), "\n", name)
		require.Empty(t, b.Bytes(), name)
	}
}

func TestPlannerEndsAllGoroutinesWhenCancelled(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for name, where := range map[string]func(*resubmit.PlanConfig, context.CancelFunc){
		"while it reads": func(c *resubmit.PlanConfig, cancel context.CancelFunc) {
			c.Reader = planReader(func(ctx context.Context, _ string) (*commerce.Order, error) {
				cancel()
				<-ctx.Done()
				return nil, ctx.Err()
			})
		},
		"while it looks in Connect": func(c *resubmit.PlanConfig, cancel context.CancelFunc) {
			c.IgnoreConnect = false
			c.Requests = planFinder(func(ctx context.Context,
				_ []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
				cancel()
				<-ctx.Done()
				return nil, ctx.Err()
			})
		},
		"while it lists": func(c *resubmit.PlanConfig, cancel context.CancelFunc) {
			c.Lister = watched{c.Lister, func(i int) {
				if i == 1500 {
					cancel()
				}
			}}
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		source := failedOrders(3000)
		if name == "while it reads" {
			for _, o := range source.orders {
				o.Transitions = nil
			}
		}
		cfg := resubmit.PlanConfig{
			Journal:   new(resubmit.MemoryJournal),
			RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source}), Filter: filter.Everything(),
			IgnoreConnect: true,
		}
		where(&cfg, cancel)
		_, err := resubmit.BuildPlan(ctx, cfg)
		require.ErrorIs(t, err, context.Canceled, name)
		cancel()
	}
	// A writer that fails ends the listing.
	_, err := resubmit.WritePlan(t.Context(), resubmit.PlanConfig{
		Journal:   new(resubmit.MemoryJournal),
		RateLimit: -1,
		Systems:   systemsOf(resubmit.Systems{Lister: failedOrders(5000)}), IgnoreConnect: true, Filter: filter.Everything(),
	}, &brokenWriter{after: 10})
	require.ErrorIs(t, err, errDiskFull)
}

func TestPlanErrorsAreShortAndOnOneLine(t *testing.T) {
	t.Parallel()
	finder := planFinder(func(context.Context, []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest,
		error) {
		some := map[connect.RequestKey][]connect.LatestRequest{{SubscriptionID: "1001", Type: connect.TypePurchase}: nil}
		return some, errors.New(strings.Repeat("<html>\n", 1000))
	})
	entries := planned(t, resubmit.PlanConfig{
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: failedOrders(2), Requests: finder}),
	})
	require.Less(t, len(entries[0].Decision.Why), 300)
	require.NotContains(t, entries[0].Decision.Why, "\n")
}

func TestSnapshotDiff(t *testing.T) {
	t.Parallel()
	was := plan.Snapshot{Status: "PF", ProvisioningStatus: "FAILED", Message: "503", PlacedAt: at("22 02:00"),
		FailedAt: at("22 02:01")}
	tests := map[string]struct {
		change func(*plan.Snapshot)
		want   string
	}{
		"nothing":    {func(*plan.Snapshot) {}, ""},
		"the status": {func(s *plan.Snapshot) { s.Status = "CP" }, "status PF → CP"},
		"the provisioning status": {func(s *plan.Snapshot) { s.ProvisioningStatus = "COMPLETED" },
			"provisioning status FAILED → COMPLETED"},
		"the reason":         {func(s *plan.Snapshot) { s.Message = "504\nnow" }, `failure "503" → "504 now"`},
		"no reason any more": {func(s *plan.Snapshot) { s.Message = "" }, `failure "503" → ""`},
		"a later failure": {func(s *plan.Snapshot) { s.FailedAt = at("22 05:00") },
			"failed 2026-11-22T02:01:00Z → 2026-11-22T05:00:00Z"},
		"the same instant elsewhere": {func(s *plan.Snapshot) { s.FailedAt = s.FailedAt.In(time.FixedZone("", 3600)) },
			""},
		"what one of them does not tell": {func(s *plan.Snapshot) {
			s.FailedAt, s.PlacedAt, s.ProvisioningStatus = time.Time{},
				time.Time{}, ""
		}, ""},
		"the status and the time together": {func(s *plan.Snapshot) { s.Status = "CL"; s.PlacedAt = at("22 02:02") },
			"status PF → CL; placed 2026-11-22T02:00:00Z → 2026-11-22T02:02:00Z"},
	}
	for name, test := range tests {
		now := was
		test.change(&now)
		require.Equal(t, test.want, was.Diff(now), name)
		require.Equal(t, name == "nothing" || name == "the same instant elsewhere",
			plan.Fingerprint("1", was) == plan.Fingerprint("1", now), name)
	}
	require.NotEqual(t, plan.Fingerprint("1", was), plan.Fingerprint("2", was))
	require.NotEqual(t, plan.Fingerprint("a", plan.Snapshot{Status: "bc"}),
		plan.Fingerprint("ab", plan.Snapshot{Status: "c"}))
}

func TestPlannerLogsWarningsAboutTheFilter(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	planned(t, resubmit.PlanConfig{
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: failedOrders(1)}), IgnoreConnect: true,
		Filter: filter.Types("SO", "so"),
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	require.Contains(t, log.String(), "level=WARN")
	require.Contains(t, log.String(), "did you mean SO (sales)?")
}

// clockedLister lists orders of a Commerce whose clock is ahead of the local one.
type clockedLister struct {
	*planSource
	ahead time.Duration
}

func (l clockedLister) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	for i := range 2 { // two answers agree
		local := time.Now().Add(time.Duration(i) * time.Second)
		ratelimit.ReportDate(ctx, "commerce.example.net", local.Add(l.ahead), local)
	}
	return l.planSource.Orders(ctx, q)
}

func TestPlannerUsesTheClockOfCommerce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		ahead   time.Duration
		failed  time.Duration // ago, by the clock of Commerce
		want    rules.Action
		due     time.Duration // from now, by the clock of Commerce
		differs string
	}{
		"an hour ahead, failed long ago":  {time.Hour, 5 * time.Minute, rules.Resubmit, 0, "is 1h0m0s behind"},
		"an hour ahead, just failed":      {time.Hour, time.Minute, rules.Wait, 3 * time.Minute, "is 1h0m0s behind"},
		"an hour behind, just failed":     {-time.Hour, time.Minute, rules.Wait, 3 * time.Minute, "is 1h0m0s ahead of"},
		"a few seconds ahead, long ago":   {5 * time.Second, 5 * time.Minute, rules.Resubmit, 0, ""},
		"two minutes behind, just failed": {-2 * time.Minute, time.Minute, rules.Wait, 3 * time.Minute, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				theirs, o := time.Now().Add(test.ahead).UTC(), olderOrder(1)
				o.FailedAt = theirs.Add(-test.failed)
				systems := systemsOf(resubmit.Systems{Lister: clockedLister{&planSource{orders: []*commerce.Order{o}}, test.ahead}})
				systems.BaseURL = "https://commerce.example.net/base"
				e := planOne(t, new(resubmit.MemoryJournal), o, func(c *resubmit.PlanConfig) {
					c.Systems, c.Logger = systems, slog.New(slog.NewTextHandler(&log, nil))
				})
				require.Equal(t, test.want, e.Decision.Action, e.Decision.Why)
				if test.due > 0 {
					require.Equal(t, theirs.Add(test.due), e.Due)
				}
				found := slices.IndexFunc(e.Attribution.Evidence, func(ev failure.Evidence) bool { return ev.Kind == "clock" })
				require.Equal(t, test.differs != "", found >= 0)
				require.Equal(t, test.differs != "", strings.Contains(log.String(), "the local clock differs"))
				if found >= 0 {
					require.Equal(t, "the local clock "+test.differs+" that of Commerce, whose time is used",
						e.Attribution.Evidence[found].Text)
				}
			})
		})
	}
}

func TestPlannerSaysThatAFailureIsInTheFuture(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := olderOrder(1)
		o.FailedAt = time.Now().Add(time.Hour).UTC()
		e := planOne(t, new(resubmit.MemoryJournal), o, nil)
		require.Equal(t, rules.Wait, e.Decision.Action)
		require.Contains(t, e.Decision.Why, "which is 1h0m0s later than the local clock says: set the clock")
		require.Equal(t, o.FailedAt.Add(4*time.Minute), e.Due)
	})
}

// A plan that is made too early says when to plan again.
func TestPlanMadeTooEarlyIsDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC()
		cancel, change := olderOrder(1), olderOrder(2)
		cancel.Type, change.FailedAt = commerce.TypeCancellation, now.Add(-time.Minute)
		finder := planFinder(func(_ context.Context, keys []connect.RequestKey) (
			map[connect.RequestKey][]connect.LatestRequest, error) {
			found := map[connect.RequestKey][]connect.LatestRequest{}
			for _, k := range keys {
				if found[k] = nil; k.Type == connect.TypeCancel {
					found[k] = []connect.LatestRequest{{FailedInRow: 1, Request: connect.Request{
						ID: "PR-1", Type: k.Type, Status: connect.StatusFailed, Updated: now.Add(-4 * time.Minute),
					}}}
				}
			}
			return found, nil
		})
		p, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
			Systems: systemsOf(resubmit.Systems{
				Lister: &planSource{orders: []*commerce.Order{cancel, change}}, Requests: finder,
			}),
			Filter: filter.Everything(), Journal: new(resubmit.MemoryJournal),
		})
		require.NoError(t, err)
		require.Equal(t, plan.ActionCounts{Total: 2, Wait: 2}, p.Counts())
		entries := entriesOf(t, p)
		require.Equal(t, []string{"connect-failed-recently", "order-unsettled"}, rulesOf(entries))
		require.Equal(t, now.Add(61*time.Second), entries[0].Due)
		require.Equal(t, now.Add(3*time.Minute), entries[1].Due)
		require.Equal(t, entries[0].Due, p.Due())
	})
}
