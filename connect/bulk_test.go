package connect_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
)

// meter is a transport that takes its time, and keeps what a server sees.
type meter struct {
	next    http.RoundTripper
	latency time.Duration

	mu      sync.Mutex
	calls   []time.Time // their begins
	running int
	most    int
}

func (m *meter) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	m.calls = append(m.calls, time.Now())
	m.running++
	m.most = max(m.most, m.running)
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.running--
	}()
	if m.latency > 0 {
		<-time.After(m.latency)
	}
	return m.next.RoundTrip(r)
}

// busiest is the most calls that began within any second.
func (m *meter) busiest() int {
	most := 0
	for i, begin := range m.calls {
		end, _ := slices.BinarySearchFunc(m.calls, begin.Add(time.Second), time.Time.Compare)
		most = max(most, end-i)
	}
	return most
}

// crowd is a Connect with n subscriptions. Each has a failed purchase; every tenth
// has two products, every seventh a change that was sent without external_id after
// its purchase, and every fifth key names nothing there is.
func crowd(t testing.TB, n int, latency time.Duration, opts ...connect.Option) (*connecttest.System, *connect.Client,
	*meter, []connect.RequestKey) {
	t.Helper()
	sys := connecttest.New(connecttest.Config{Now: func() time.Time { return epoch.AddDate(0, 0, 7) }})
	add := func(seed connecttest.RequestSpec) {
		_, err := sys.AddRequest(seed)
		require.NoError(t, err)
	}
	keys := make([]connect.RequestKey, n)
	for i := range n {
		tenant, sub := fmt.Sprintf("1c378bdd-9c8a-4566-be8a-bd90a%07d", i), fmt.Sprint(1000000+i)
		keys[i] = tenantKey(tenant)
		if i%10 == 0 {
			keys[i] = connect.RequestKey{SubscriptionID: sub, Type: connect.TypePurchase}
		}
		if i%5 == 4 {
			continue
		}
		created := epoch.Add(time.Duration(i) * time.Second)
		purchase := connecttest.RequestSpec{
			ExternalUID: tenant, ExternalID: sub, Type: connect.TypePurchase, Status: connect.StatusFailed, Reason: "no",
			Created: created,
		}
		add(purchase)
		if i%10 == 0 {
			purchase.ExternalUID, purchase.ProductID = tenant+"-2", "PRD-999-999-999"
			purchase.Status, purchase.Created = connect.StatusPending, created.Add(time.Hour)
			add(purchase)
		}
		if i%7 == 0 {
			keys[i].Type = connect.TypeChange
			add(connecttest.RequestSpec{ExternalUID: tenant, Type: connect.TypeChange, Status: connect.StatusInquiring,
				Created: created.Add(2 * time.Hour)})
		}
	}
	m := &meter{next: sys.Transport(), latency: latency}
	client, err := connect.New(testBase, connect.APIKey(connecttest.DefaultKey),
		append([]connect.Option{connect.WithHTTPClient(&http.Client{Transport: m})}, opts...)...)
	require.NoError(t, err)
	return sys, client, m, keys
}

func TestLatestRequestsOfTenThousandKeys(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		keys  int
		opts  []connect.Option
		most  int           // at once
		calls int           // a look-up of 50 keys is one call; the first makes another one
		took  time.Duration // with 100 ms for a call
		rate  int           // 0: any
	}{
		"as it is":                   {10_000, nil, 3, 220, 7500 * time.Millisecond, 0},
		"four at once":               {500, []connect.Option{connect.WithConcurrency(4)}, 4, 12, 400 * time.Millisecond, 0},
		"two at once":                {500, []connect.Option{connect.WithConcurrency(2)}, 2, 12, 700 * time.Millisecond, 0},
		"at most ten calls a second": {500, []connect.Option{connect.WithRateLimit(10)}, 3, 12, 1200 * time.Millisecond, 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, client, m, keys := crowd(t, test.keys, 100*time.Millisecond, test.opts...)
				began := time.Now()
				found, err := client.LatestRequests(t.Context(), keys)
				require.NoError(t, err)
				t.Logf("%d keys: %d calls, %d at once, %d in the busiest second, %s", len(keys), len(m.calls), m.most, m.busiest(),
					time.Since(began))
				require.Len(t, found, len(keys))
				require.LessOrEqual(t, m.most, test.most)
				require.LessOrEqual(t, len(m.calls), test.calls)
				require.LessOrEqual(t, time.Since(began), test.took)
				if test.rate > 0 {
					require.LessOrEqual(t, m.busiest(), test.rate)
				}
				for i, key := range keys {
					if got := statusesOf(found[key]); !slices.Equal(wanted(i), got) { // require.Equal takes seconds for so many
						require.Equal(t, wanted(i), got, "%d %+v", i, key)
					}
				}
			})
		})
	}
}

// wanted is what is to be found for the i-th key of a crowd, newest first.
func wanted(i int) []connect.RequestStatus {
	switch {
	case i%5 == 4:
		return []connect.RequestStatus{}
	case i%7 == 0: // found by its tenant, and by its subscription since the asset keeps that
		return []connect.RequestStatus{connect.StatusInquiring}
	case i%10 == 0:
		return []connect.RequestStatus{connect.StatusPending, connect.StatusFailed}
	default:
		return []connect.RequestStatus{connect.StatusFailed}
	}
}

func statusesOf(found []connect.LatestRequest) []connect.RequestStatus {
	all := make([]connect.RequestStatus, len(found))
	for i, n := range found {
		all[i] = n.Request.Status
	}
	return all
}

func TestLatestRequestsStopAfterRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		arrange func(t *testing.T, sys *connecttest.System)
		is      error
		calls   int // 3 look-ups, and up to 2 that were under way
	}{
		"forbidden": {func(_ *testing.T, sys *connecttest.System) { sys.DenyPaths("/requests") }, connect.ErrForbidden, 5},
		"a maintenance": {
			func(_ *testing.T, sys *connecttest.System) { sys.SetMaintenance(true) }, connect.ErrUnavailable, 15,
		},
		"a network that is gone": {func(t *testing.T, sys *connecttest.System) {
			require.NoError(t, sys.AddFault(connecttest.Fault{Kind: connecttest.FaultReset}))
		}, connect.ErrUnavailable, 15},
		"a page in place of the answer": {func(t *testing.T, sys *connecttest.System) {
			require.NoError(t, sys.AddFault(connecttest.Fault{Kind: connecttest.FaultHTML}))
		}, connect.ErrUnavailable, 15},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sys, client, m, keys := crowd(t, 600, 100*time.Millisecond)
				test.arrange(t, sys)
				found, err := client.LatestRequests(t.Context(), keys)
				require.ErrorIs(t, err, test.is)
				require.ErrorContains(t, err, "600 of 600 keys are unknown: ")
				require.ErrorContains(t, err, "keys were not asked for, since 3 look-ups in a row were refused")
				require.NotContains(t, err.Error(), "\n")
				require.Empty(t, found)
				require.LessOrEqual(t, len(m.calls), test.calls)
			})
		})
	}
}

func TestLatestRequestsDuringMaintenance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sys, client, m, keys := crowd(t, 600, 100*time.Millisecond)
		time.AfterFunc(250*time.Millisecond, func() { sys.SetMaintenance(true) })
		found, err := client.LatestRequests(t.Context(), keys)
		require.ErrorIs(t, err, connect.ErrUnavailable)
		require.NotEmpty(t, found)
		require.Less(t, len(found), len(keys))
		require.Less(t, len(m.calls), 24)
		for i, key := range keys {
			if newest, ok := found[key]; ok {
				require.Equal(t, wanted(i), statusesOf(newest))
			}
		}
	})
}

func TestLatestRequestsHonorRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sys, client, m, keys := crowd(t, 600, 100*time.Millisecond)
		require.NoError(t, sys.AddFault(connecttest.Fault{
			Skip: 5, Times: 1, Kind: connecttest.FaultStatus, Status: http.StatusTooManyRequests, RetryAfter: 20 * time.Second,
		}))
		began := time.Now()
		found, err := client.LatestRequests(t.Context(), keys)
		require.NoError(t, err)
		require.Len(t, found, len(keys))
		for _, at := range m.calls {
			since := at.Sub(began)
			require.False(t, since > 300*time.Millisecond && since < 20*time.Second, "a call after %s", since)
		}
	})
}

func TestLatestRequestsStopAfterLongRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sys, client, m, keys := crowd(t, 600, 100*time.Millisecond)
		require.NoError(t, sys.AddFault(connecttest.Fault{
			Skip: 5, Times: 1, Kind: connecttest.FaultStatus, Status: http.StatusServiceUnavailable, RetryAfter: time.Hour,
		}))
		began := time.Now()
		found, err := client.LatestRequests(t.Context(), keys)
		require.ErrorIs(t, err, connect.ErrUnavailable)
		require.NotEmpty(t, found)
		// The two that were answered in the instant of the refusal may each have been followed by one more.
		require.GreaterOrEqual(t, len(m.calls), 6)
		require.LessOrEqual(t, len(m.calls), 8)
		require.LessOrEqual(t, m.calls[len(m.calls)-1].Sub(began), 300*time.Millisecond)

		_, _, err = client.LatestRequest(t.Context(), keys[0])
		require.ErrorIs(t, err, connect.ErrUnavailable)
		require.ErrorContains(t, err, "not sent: an answer to another call asked to wait, 1h0m0s more")
		told, ok := errors.AsType[*connect.Error](err)
		require.True(t, ok)
		require.WithinRange(t, time.Now().Add(told.RetryAfter), began.Add(time.Hour),
			began.Add(time.Hour+300*time.Millisecond))
		p, err := client.Probe(t.Context())
		require.NoError(t, err)
		require.Equal(t, connect.ClassUp, p.Class, "a look from outside is not held back")
	})
}

func TestWithRateLimitsRetries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sys, client, m, keys := crowd(t, 300, 10*time.Millisecond, connect.WithRateLimit(2), connect.WithMaxTries(20))
		require.NoError(t, sys.AddFault(connecttest.Fault{Every: 2, Kind: connecttest.FaultStatus,
			Status: http.StatusTooManyRequests}))
		found, err := client.LatestRequests(t.Context(), keys)
		require.NoError(t, err)
		require.Len(t, found, len(keys))
		require.Greater(t, len(m.calls), 10)
		require.LessOrEqual(t, m.busiest(), 2)
	})
}

func BenchmarkLatestRequests(b *testing.B) {
	_, client, m, keys := crowd(b, 10_000, 0)
	for b.Loop() {
		found, err := client.LatestRequests(b.Context(), keys)
		if err != nil || len(found) != len(keys) {
			b.Fatal(len(found), err)
		}
	}
	b.ReportMetric(float64(len(m.calls))/float64(b.N), "calls/op")
}
