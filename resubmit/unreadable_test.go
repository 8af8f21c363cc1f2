package resubmit_test

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

const oddDate = "orderDate must be a time, not 1793527200"

func TestPlanner_holds_orders_with_problems(t *testing.T) {
	t.Parallel()
	source := failedOrders(4)
	odd := source.orders[1]
	odd.PlacedAt, odd.Status, odd.Problems = time.Time{}, "", []string{oddDate, "status must be a text"}
	source.orders[2].SubscriptionIDs = odd.SubscriptionIDs
	reader := planReader(func(_ context.Context, id string) (*commerce.Order, error) {
		require.NotEqual(t, odd.ID, id, "an order that is held anyway is not read")
		return nil, commerce.ErrUnavailable
	})
	odd.Transitions = nil
	entries := planned(t, resubmit.PlanConfig{
		RateLimit: -1,
		Systems:   systemsOf(resubmit.Systems{Lister: source, Reader: reader}), IgnoreConnect: true,
	})
	require.Equal(t, []string{"connect-not-asked", "unreadable-row", "older-order-first", "connect-not-asked"},
		rulesOf(entries))
	require.Equal(t, rules.Hold, entries[1].Decision.Action)
	require.Equal(t, "not all of the order could be read: "+oddDate, entries[1].Decision.Why)
	var told []string
	for _, e := range entries[1].Attribution.Evidence {
		if e.Kind == "order" {
			told = append(told, e.Text)
		}
	}
	require.Equal(t, odd.Problems, told)
}

func TestPlanner_holds_an_order_with_problems_whatever_the_filter(t *testing.T) {
	t.Parallel()
	source := failedOrders(2)
	source.orders[0].Problems, source.orders[0].PlacedAt = []string{oddDate}, time.Time{}
	entries := planned(t, resubmit.PlanConfig{
		RateLimit: -1,
		Systems:   systemsOf(resubmit.Systems{Lister: source}), IgnoreConnect: true,
		Filter: filter.PlacedBetween(longAgo, longAgo.Add(time.Hour)),
		View:   commerce.View{Name: "v", Statuses: []commerce.Status{"PF"}, PlacedFrom: longAgo},
	})
	require.Equal(t, []string{"unreadable-row", "connect-not-asked"}, rulesOf(entries))
}

func TestApply_does_not_push_an_order_that_became_unreadable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		odd, fine := outageOrder(1, "a"), outageOrder(2, "b")
		s := newShop(odd, fine)
		plan := planFor(t, odd, fine)
		odd.onRead = func(o *shopOrder) { o.Problems = []string{oddDate} }
		report, err := runnerFor(t, s, nil).Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Zero(t, s.accepted("id-1"))
		require.Equal(t, 1, s.accepted("id-2"))
		require.Equal(t, protocol.Skipped, itemOf(t, report, 1).Outcome)
		require.Contains(t, itemOf(t, report, 1).Why, "not all of the order could be read: "+oddDate)
	})
}

func TestApply_concludes_nothing_from_an_order_with_problems(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "a")
		s := newShop(o)
		reads := 0
		o.onRead = func(o *shopOrder) {
			if reads++; reads > 1 {
				o.Problems = []string{oddDate}
			}
		}
		report, err := runnerFor(t, s, nil).Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.Equal(t, protocol.Progressing, itemOf(t, report, 1).Outcome)
		require.Contains(t, itemOf(t, report, 1).Why, oddDate)
		require.Equal(t, 1, s.pushes())
	})
}

func TestCheckPlan_reports_an_order_with_problems_as_unread(t *testing.T) {
	t.Parallel()
	o := outageOrder(1, "a")
	plan := planFor(t, o)
	o.Problems = []string{oddDate}
	counts, err := resubmit.CheckPlan(t.Context(), plan, resubmit.CheckConfig{
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Reader: newShop(o)}),
	}, nil)
	require.NoError(t, err)
	require.Equal(t, 1, counts.Unread)
}

func TestPlanner_writes_a_plan_of_any_orders(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		source := &planSource{orders: rapid.SliceOfN(anyOrder(), 1, 5).Draw(t, "orders")}
		p, err := resubmit.BuildPlan(context.Background(), resubmit.PlanConfig{
			Journal: new(resubmit.MemoryJournal),
			Systems: systemsOf(resubmit.Systems{Lister: resubmit.Sorted(source)}), Filter: filter.Everything(),
			IgnoreConnect: true,
		})
		require.NoError(t, err)
		require.Equal(t, len(source.orders), p.Counts().Total)
		byNumber := map[string]*commerce.Order{}
		for _, o := range source.orders {
			byNumber[o.Number] = o
		}
		var again bytes.Buffer
		w, err := plan.NewWriter(&again, p.Header())
		require.NoError(t, err)
		for e, err := range p.Entries() {
			require.NoError(t, err)
			require.NoError(t, w.Write(e))
			if o := byNumber[e.Number]; e.Decision.RuleID != "unreadable-row" {
				require.Equal(t, o.ID, e.OrderID)
				require.Equal(t, plan.SnapshotOf(o), e.Before)
				require.Equal(t, o.SubscriptionIDs, e.Subscriptions)
				require.Equal(t, o.Total.String(), e.Total.String())
			}
		}
		_, digest, err := w.Close()
		require.NoError(t, err)
		require.Equal(t, p.Digest(), digest, "what was read is what was written")
	})
}

// anyOrder is an order that is fine but for some fields, which are anything.
func anyOrder() *rapid.Generator[*commerce.Order] {
	n := 0
	texts := rapid.OneOf(rapid.String(), rapid.Just("\xff\xfe"), rapid.Just(" "), rapid.Just(""),
		rapid.Just("a\u2028\u0085\x1b\"\\"),
		rapid.Map(rapid.IntRange(4000, 5000), func(n int) string { return strings.Repeat("\x01", n) }))
	times := rapid.OneOf(rapid.Just(time.Time{}),
		rapid.Map(rapid.Int64(), func(s int64) time.Time { return time.Unix(s, 1) }),
		rapid.Map(rapid.Int64Range(0, 1<<31),
			func(s int64) time.Time { return time.Unix(s, 0).In(time.FixedZone("", 3600)) }),
		rapid.Just(time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -7200))), rapid.Just(time.Date(-1, 1, 1, 0, 0,
			0, 0, time.UTC)))
	amounts := rapid.Custom(func(t *rapid.T) decimal.Decimal {
		return decimal.New(rapid.Int64().Draw(t, "coefficient"),
			rapid.OneOf(rapid.Int32(), rapid.Int32Range(-70, 70)).Draw(t, "exponent"))
	})
	return rapid.Custom(func(t *rapid.T) *commerce.Order {
		n++
		o := failedOrder(n)
		for range rapid.IntRange(0, 3).Draw(t, "odd fields") {
			text := texts.Draw(t, "text")
			switch rapid.IntRange(0, 12).Draw(t, "field") {
			case 0:
				o.ID = text
			case 1:
				o.Type = commerce.OrderType(text)
			case 2:
				o.ProvisioningStatus = commerce.ProvisioningStatus(text)
			case 3:
				o.VendorAccountID = text
			case 4:
				o.Channel = commerce.Channel(text)
			case 5:
				o.CustomerName, o.CustomerID = text, text
			case 6:
				o.TenantID = text
			case 7:
				o.Total = commerce.Money{Amount: amounts.Draw(t, "amount"), Currency: text}
			case 8:
				o.PlacedAt = times.Draw(t, "placed")
			case 9:
				o.FailedAt = times.Draw(t, "failed")
			case 10:
				o.SubscriptionIDs = rapid.SliceOfN(texts, 1, 3).Draw(t, "subscriptions")
			case 11:
				o.Failure = failed(text)
			case 12:
				o.Transitions = []commerce.Transition{{To: commerce.Status(text)}}
			}
		}
		return o
	})
}

func TestPlanner_holds_what_a_plan_cannot_hold(t *testing.T) {
	t.Parallel()
	many := make([]string, 300_000)
	for i := range many {
		many[i] = strings.Repeat("s", 100)
	}
	for name, change := range map[string]func(*commerce.Order){
		"has a blank id":            func(o *commerce.Order) { o.ID = " " },
		"has an id of 17 MiB":       func(o *commerce.Order) { o.ID = strings.Repeat("x", 17<<20) },
		"has an id that is no text": func(o *commerce.Order) { o.ID = "\xff" },
		"has a customer of 17 MiB":  func(o *commerce.Order) { o.CustomerName = strings.Repeat("x", 17<<20) },
		"has many subscriptions":    func(o *commerce.Order) { o.SubscriptionIDs = many },
		"was placed in 10000": func(o *commerce.Order) {
			o.PlacedAt = time.Date(10_000, 1, 1, 0, 0, 0, 0,
				time.UTC)
		},
		"was placed before Christ": func(o *commerce.Order) { o.PlacedAt = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) },
		"failed in 10000": func(o *commerce.Order) {
			o.FailedAt = time.Date(10_000, 1, 1, 0, 0, 0, 0,
				time.UTC)
		},
		"costs too much":               func(o *commerce.Order) { o.Total.Amount = decimal.New(1, 1<<31-1) },
		"costs too little":             func(o *commerce.Order) { o.Total.Amount = decimal.New(1, -100) },
		"costs a number of 100 digits": func(o *commerce.Order) { o.Total.Amount = decimal.New(1, 99) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := failedOrders(3)
			change(source.orders[1])
			entries := planned(t, resubmit.PlanConfig{Systems: systemsOf(resubmit.Systems{Lister: source}), IgnoreConnect: true})
			require.Equal(t, []string{"connect-not-asked", "unreadable-row", "connect-not-asked"}, rulesOf(entries))
		})
	}
}

func TestPlanner_holds_an_order_that_is_older_when_read(t *testing.T) {
	t.Parallel()
	source := failedOrders(3)
	for _, o := range source.orders {
		o.Transitions = nil
	}
	reader := planReader(func(_ context.Context, id string) (*commerce.Order, error) {
		n, err := strconv.Atoi(strings.TrimPrefix(id, "id-"))
		o := failedOrder(n)
		if n == 1 {
			o.PlacedAt = longAgo.Add(-time.Hour)
		}
		return o, err
	})
	entries := planned(t, resubmit.PlanConfig{
		Systems: systemsOf(resubmit.Systems{Lister: source, Reader: reader}), IgnoreConnect: true,
	})
	require.Equal(t, []string{"connect-not-asked", "unreadable-row", "connect-not-asked"}, rulesOf(entries))
	require.Contains(t, entries[1].Decision.Why, "before the previous order")
}

func TestPlanner_keeps_the_start_and_the_hash_of_a_long_reason(t *testing.T) {
	t.Parallel()
	long := textTransient + strings.Repeat("ä", 1<<19)
	source := failedOrders(2)
	source.orders[0].Failure, source.orders[1].Failure = failed(long+"1"), failed(long+"2")
	entries := planned(t, resubmit.PlanConfig{Systems: systemsOf(resubmit.Systems{Lister: source}), IgnoreConnect: true})
	require.Equal(t, []string{"connect-not-asked", "connect-not-asked"}, rulesOf(entries),
		"a long reason does not hold an order")
	one, other := entries[0].Before, entries[1].Before
	require.Less(t, len(one.Message), 65<<10)
	require.True(t, utf8.ValidString(one.Message))
	require.Contains(t, one.Message, fmt.Sprintf("… (%d bytes, SHA-256 ", len(long)+1))
	require.Equal(t, plan.SnapshotOf(source.orders[0]), one)

	other.PlacedAt = one.PlacedAt
	require.NotEqual(t, plan.Fingerprint("id", one), plan.Fingerprint("id", other))
	require.Contains(t, one.Diff(other), `another one that starts with the same words`)
	require.Empty(t, one.Diff(plan.SnapshotOf(source.orders[0])))

	short := failedOrder(1)
	short.Failure = failed(strings.Repeat("x", 64<<10))
	require.Len(t, plan.SnapshotOf(short).Message, 64<<10)
}

func TestApply_pushes_an_order_with_a_long_reason_unless_it_changed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		long := outage + strings.Repeat("x", 1<<20)
		same, moved := outageOrder(1, "a"), outageOrder(2, "b")
		same.Failure, moved.Failure = failed(long+"1"), failed(long+"1")
		s := newShop(same, moved)
		plan := planFor(t, same, moved)
		moved.Failure = failed(long + "2")
		_, err := runnerFor(t, s, nil).Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, 1, s.accepted("id-1"))
		require.Zero(t, s.accepted("id-2"))
	})
}
