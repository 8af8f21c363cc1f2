package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain is one of the contenders if a test has started this process as one.
func TestMain(m *testing.M) {
	if name := os.Getenv(programVariable); name != "" {
		if err := contend(context.Background(), name, os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestContendersCompleteAllOrders(t *testing.T) {
	t.Parallel()
	for i := range contenders {
		c := &contenders[i]
		t.Run(fmt.Sprintf("%s, %s, %d", c.name, c.api, c.threads), func(t *testing.T) {
			t.Parallel()
			r, err := measure(t.Context(), c, &scenario{orders: 12})
			require.NoError(t, err)
			require.Zero(t, r.lost)
			require.Zero(t, r.said)
			require.Zero(t, r.twice)
			require.Zero(t, r.extra)
			require.GreaterOrEqual(t, r.commerce, 2*12, "a push and a read for each order")
		})
	}
}

// A push that is seen late must not be repeated, whatever was killed and lost before.
func TestLibraryKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	for i := range contenders {
		c := &contenders[i]
		if c.name != "this library" {
			continue
		}
		t.Run(c.api, func(t *testing.T) {
			t.Parallel()
			r, err := measure(t.Context(), c, &scenario{orders: 12, lose: 5, kill: true, lag: 2 * time.Second})
			require.NoError(t, err)
			require.Zero(t, r.twice)
			require.LessOrEqual(t, r.extra, 0)
			require.Equal(t, r.lost, r.said, "an order is left, and not reported")
			if c.api == viaBilling { // it cannot prove that an order is unchanged
				require.LessOrEqual(t, r.lost, c.threads)
			} else {
				require.Zero(t, r.lost)
			}
		})
	}
}

func TestLimitIsKeptByTheServer(t *testing.T) {
	t.Parallel()
	w := &world{limit: 2}
	var calls int
	require.True(t, w.admit(&calls, true))
	require.True(t, w.admit(&calls, true))
	require.False(t, w.admit(&calls, true))
	require.True(t, w.admit(&calls, false), "Connect has no limit")
	require.Equal(t, 4, calls)
	require.Equal(t, 1, w.refused)
}

func TestTableHasTheMedianAndTheWorstLosses(t *testing.T) {
	t.Parallel()
	s := &scenario{name: "Killed", orders: 10, kill: true}
	results := make([][]result, len(contenders))
	for i := range results {
		results[i] = []result{
			{took: 3 * time.Second, commerce: 30, twice: 2}, {took: time.Second, commerce: 10},
			{took: 2 * time.Second, commerce: 25},
		}
	}
	var out bytes.Buffer
	table(&out, s, results)
	require.Contains(t, out.String(), "### Killed: 10 orders")
	require.Contains(t, out.String(), "| this library | Billing | 8 | 2.0 | 5 | 2.50 | 0 | 0 | 0 | 0 | 2 | 0 |")
}
