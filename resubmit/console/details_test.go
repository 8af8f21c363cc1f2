package console

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

func TestDetailsHaveWhatFiltersTest(t *testing.T) {
	t.Parallel()
	entries := []*plan.Entry{
		{},
		{OrderID: "a", Number: "SO1", Customer: "Żółw\x00 (7)", CustomerID: "7", TenantID: "t", Subscriptions: []string{"1"},
			Total: commerce.Money{Amount: decimal.RequireFromString("12345678901234567890.10"), Currency: "EUR"}},
		{OrderID: "b", Subscriptions: []string{"1", "", "3"}, Total: commerce.Money{Currency: "JPY"}},
		{Before: plan.Snapshot{Message: strings.Repeat("long ", 100_000)}},
		{Before: plan.Snapshot{PlacedAt: time.Date(1500, 1, 2, 3, 4, 5, 6, time.UTC),
			FailedAt: time.Date(9999, 1, 2, 3, 4, 5, 999_999_999, time.UTC)}},
	}
	var d details
	for i := range 20 * len(entries) { // several chunks
		d.add(entries[i%len(entries)])
	}
	d.finish()
	require.Greater(t, len(d.chunks), 1)
	rows := detailReader{details: &d}
	read := commerce.Order{Failure: failureOf("")}
	for i := range 20 * len(entries) {
		unpack(rows.next(), &read)
		want := plannedOf(entries[i%len(entries)]).order
		require.True(t, want.Total.Amount.Equal(read.Total.Amount))
		want.Total.Amount, read.Total.Amount = decimal.Zero, decimal.Zero
		require.ElementsMatch(t, want.SubscriptionIDs, read.SubscriptionIDs)
		want.SubscriptionIDs = read.SubscriptionIDs
		require.Equal(t, want, read)
	}
}

func TestDetailsAreLimited(t *testing.T) {
	t.Parallel()
	var d details
	e := &plan.Entry{Before: plan.Snapshot{Message: strings.Repeat("x", 1<<20)}}
	for range maxDetails>>20 + 1 {
		d.add(e)
	}
	d.finish()
	require.True(t, d.tooBig)
	rows := detailReader{details: &d}
	require.Empty(t, rows.next())

	var p plans
	for i := range 3 { // of half the limit each
		p.keep(&shared{path: fmt.Sprint(i), opened: &opened{Plan: new(plan.Plan), details: details{size: maxDetails / 2}}})
	}
	require.Len(t, p.open, 2)
	p.keep(&shared{path: "large", opened: &opened{Plan: new(plan.Plan), details: details{size: maxDetails}}})
	require.Len(t, p.open, 1)
	require.Equal(t, "large", p.open[0].path)
}
