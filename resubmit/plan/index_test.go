package plan_test

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// genOrders returns entries of few vendors, customers and lanes, some of them several times.
func genOrders(t *rapid.T) []*plan.Entry {
	few := func(prefix string, n int, name string) string {
		return rapid.SampledFrom([]string{"", prefix}).Draw(t, name+" known") + fmt.Sprint(rapid.IntRange(1, n).Draw(t, name))
	}
	var entries []*plan.Entry
	for n := range rapid.IntRange(0, 60).Draw(t, "orders") {
		e := &plan.Entry{
			OrderID: few("order ", 40, "id"), Number: fmt.Sprint(n),
			Type:            rapid.SampledFrom([]commerce.OrderType{commerce.TypeSales, commerce.TypeChange}).Draw(t, "type"),
			VendorAccountID: few("vendor ", 3, "vendor"), Channel: commerce.Channel(few("channel ", 2, "channel")),
			CustomerID: rapid.SampledFrom([]string{"", "17", "18"}).Draw(t, "customer id"),
			Customer:   rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "customer"),
			TenantID:   rapid.SampledFrom([]string{"", "", "tenant"}).Draw(t, "tenant"),
			Before:     plan.Snapshot{Status: commerce.StatusProvisioningFailed},
			Attribution: failure.Attribution{
				Verdict: rapid.SampledFrom(failure.Verdicts()).Draw(t, "verdict"),
				Class:   rapid.SampledFrom(failure.Classes()).Draw(t, "class"),
			},
			Decision: rules.Decision{Action: rapid.SampledFrom([]rules.Action{rules.Resubmit, rules.Resubmit, rules.Hold}).
				Draw(t, "action")},
		}
		for range rapid.IntRange(0, 3).Draw(t, "subscriptions") {
			e.Subscriptions = append(e.Subscriptions, few("s", 30, "subscription"))
		}
		e.Before.FailedAt = rapid.SampledFrom([]time.Time{{}, planTime.Add(time.Duration(n)), planTime.AddDate(-90, 0, 0)}).
			Draw(t, "failed")
		e.Fingerprint = plan.Fingerprint(e.OrderID, e.Before)
		entries = append(entries, e)
	}
	return entries
}

// chainOf returns the orders of the chain of order i: it adds orders that share a lane or the id until there are none.
func chainOf(orders []*plan.Entry, i int) []int {
	lanes := map[string]bool{}
	in := make([]bool, len(orders))
	for changed, first := true, true; changed; first = false {
		changed = false
		for n, e := range orders {
			names := append(e.Lanes(), "id "+e.OrderID)
			if in[n] || !slices.ContainsFunc(names, func(l string) bool { return lanes[l] }) && (!first || n != i) {
				continue
			}
			in[n], changed = true, true
			for _, l := range names {
				lanes[l] = true
			}
		}
	}
	var chain []int
	for n := range in {
		if in[n] {
			chain = append(chain, n)
		}
	}
	return chain
}

func TestIndexAgreesWithTheEntries(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		entries := genOrders(rt)
		p, err := readPlan(writePlan(t, entries...))
		require.NoError(rt, err)
		ix := p.Index()
		orders := slices.DeleteFunc(entries, func(e *plan.Entry) bool { return e.Decision.Action != rules.Resubmit })
		require.Equal(rt, len(orders), ix.Len())
		found := map[string]int{}
		for i, e := range orders {
			got, err := ix.Entry(i)
			require.NoError(rt, err)
			requireSameEntry(rt, e, got)

			chain := chainOf(orders, i)
			place := slices.Index(chain, i)
			require.Equal(rt, place == 0, ix.First(i))
			previous, ok := ix.Previous(i)
			require.Equal(rt, place > 0, ok)
			if ok {
				require.Equal(rt, chain[place-1], previous)
			}
			next, ok := ix.Next(i)
			require.Equal(rt, place+1 < len(chain), ok)
			if ok {
				require.Equal(rt, chain[place+1], next)
			}
			require.Equal(rt, plan.Group{e.VendorAccountID, e.Type, e.Attribution.Class}, ix.Groups()[ix.Group(i)])
			require.Equal(rt, plan.ReportGroup{e.Attribution.Class, e.VendorAccountID, e.Channel},
				ix.ReportGroup(i))
			require.Equal(rt, e.Attribution.Verdict, ix.Verdict(i))
			if e.Before.FailedAt.Year() < 1970 {
				require.Zero(rt, ix.FailedAt(i))
			} else {
				require.Equal(rt, e.Before.FailedAt.Truncate(time.Second), ix.FailedAt(i))
			}
			if _, ok := found[e.OrderID]; !ok {
				found[e.OrderID] = i
			}
			n, ok := ix.Find(e.OrderID)
			require.True(rt, ok)
			require.Equal(rt, found[e.OrderID], n)
			for j := range i {
				require.Equal(rt, cmp.Or(e.CustomerID, e.Customer) == cmp.Or(orders[j].CustomerID, orders[j].Customer),
					ix.Customer(i) == ix.Customer(j))
			}
			require.Equal(rt, e.CustomerID+e.Customer == "", ix.Customer(i) == 0)
		}
		for _, other := range []string{"", "nobody", "order 41"} {
			_, ok := ix.Find(other)
			require.False(rt, ok, other)
		}
	})
}

func TestIndexChainsEntriesOfOneOrder(t *testing.T) {
	t.Parallel()
	entry := func(n int, id string) *plan.Entry {
		return diffEntry(n, func(e *plan.Entry) {
			e.OrderID, e.TenantID, e.Before.PlacedAt = id, "", time.Time{}
		})
	}
	p, err := readPlan(writePlan(t, entry(1, "a"), entry(2, "b"), entry(3, "a"), entry(4, "c"), entry(5, "a")))
	require.NoError(t, err)
	ix := p.Index()
	require.Equal(t, 5, ix.Len())
	at, ok := ix.Find("a")
	require.True(t, ok)
	var chain []int
	for ; ok; at, ok = ix.Next(at) {
		chain = append(chain, at)
	}
	require.Equal(t, []int{0, 2, 4}, chain)
	require.True(t, ix.First(0))
	require.False(t, ix.First(2))
	require.True(t, ix.First(3))
}

func TestIndexEntryReadsLongLinesAndPageBoundaries(t *testing.T) {
	t.Parallel()
	var entries []*plan.Entry
	for n := range 9000 {
		e := diffEntry(n, func(e *plan.Entry) { e.TenantID = "" })
		if n%3000 == 7 {
			e.Customer = strings.Repeat("c", 300_000) // longer than a block
		}
		entries = append(entries, e)
	}
	p, err := readPlan(writePlan(t, entries...))
	require.NoError(t, err)
	for i, want := range entries {
		got, err := p.Index().Entry(i)
		require.NoError(t, err)
		requireSameEntry(t, want, got)
		require.True(t, p.Index().First(i))
	}
}

func TestIndexEntryIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	var entries []*plan.Entry
	for n := range 200 {
		entries = append(entries, diffEntry(n, nil))
	}
	p, err := readPlan(writePlan(t, entries...))
	require.NoError(t, err)
	var readers sync.WaitGroup
	for g := range 8 {
		readers.Go(func() {
			for i := g; i < len(entries); i += 2 {
				e, err := p.Index().Entry(i)
				if err != nil || e.OrderID != entries[i].OrderID {
					t.Error(i, e, err)
				}
			}
		})
	}
	readers.Wait()
}

func TestIndexEntryDetectsAFileChangedSinceOpen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plan.jsonl")
	data := writePlan(t, planEntries()...)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	p, err := plan.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	_, err = p.Index().Entry(0)
	require.NoError(t, err)
	for name, content := range map[string][]byte{
		"the file was changed after it was opened": bytes.Replace(data, []byte(`"target":"PD"`), []byte(`"target":"CL"`), 1),
		"read byte ": data[:500],
	} {
		require.NoError(t, os.WriteFile(path, content, 0o600))
		_, err = p.Index().Entry(0)
		require.ErrorContains(t, err, name)
		require.ErrorContains(t, err, "make a new plan")
		require.NotContains(t, err.Error(), "\n")
	}
}
