package resubmit_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// clock notes when requests go out. Two of them may share times.
type clock struct {
	next  http.RoundTripper
	times *[]time.Time
	mu    *sync.Mutex
}

func (c clock) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	*c.times = append(*c.times, time.Now())
	c.mu.Unlock()
	return c.next.RoundTrip(r)
}

// servers are both systems in memory, with failed orders, and what they saw.
type servers struct {
	commerce *commercetest.System
	connect  *connecttest.System
	shop     *ordermanager.Client
	requests *connect.Client
	times    []time.Time
}

func newServers(t *testing.T, orders, pageSize int) *servers {
	s := &servers{connect: connecttest.New(connecttest.Config{})}
	var err error
	s.commerce, err = commercetest.New(commercetest.Config{})
	require.NoError(t, err)
	for range orders {
		s.commerce.Place(commercetest.OrderSpec{Type: commerce.TypeSales})
		<-time.After(time.Second)
	}
	require.NoError(t, s.commerce.Step(t.Context()))
	mu := new(sync.Mutex)
	s.shop, err = ordermanager.New("https://commerce.example.net", ordermanager.Token(commercetest.DefaultToken),
		ordermanager.WithPageSize(pageSize), ordermanager.WithHTTPClient(&http.Client{Transport: clock{s.commerce.Transport(),
			&s.times, mu}}))
	require.NoError(t, err)
	s.requests, err = connect.New("https://connect.example.net/public/v1", connect.APIKey(connecttest.DefaultKey),
		connect.WithHTTPClient(&http.Client{Transport: clock{s.connect.Transport(), &s.times, mu}}))
	require.NoError(t, err)
	return s
}

// config plans with everything that planning can call. The list tells no details.
func (s *servers) config(rate float64) resubmit.PlanConfig {
	return resubmit.PlanConfig{
		Journal: new(resubmit.MemoryJournal),
		Systems: systemsOf(resubmit.Systems{Lister: undetailed{s.shop}, Reader: s.shop, Requests: s.requests}),
		Policy:  resubmit.Policy{SettleDelay: time.Millisecond}, Filter: filter.Everything(),
		RateLimit: rate,
	}
}

// undetailed is a list that tells no transitions.
type undetailed struct{ resubmit.OrderLister }

func (u undetailed) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		for o, err := range u.OrderLister.Orders(ctx, q) {
			if o != nil {
				short := *o
				short.Transitions = nil
				o = &short
			}
			if !yield(o, err) {
				return
			}
		}
	}
}

func requirePace(t *testing.T, times []time.Time, rate int) {
	t.Helper()
	for i, from := range times {
		in := 0
		for _, at := range times[i:] {
			if at.Sub(from) < time.Second {
				in++
			}
		}
		require.LessOrEqual(t, in, rate, "in the second after call %d of %d", i, len(times))
	}
}

func TestPlanner_keeps_the_rate_at_the_servers(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0, 1, 5, 50} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newServers(t, 45, 10)
				// fewer than the tries of one read
				require.NoError(t, s.commerce.AddFault(commercetest.Fault{Path: "*/orders/*", Kind: commercetest.FaultStatus,
					Status: 503, Times: 3}))
				start := time.Now()
				p, err := resubmit.BuildPlan(t.Context(), s.config(rate))
				require.NoError(t, err)
				require.Equal(t, plan.ActionCounts{Total: 45, Resubmit: 45}, p.Counts())
				limit := int(max(rate, 1))
				if rate == 0 {
					limit = defaultRate
				}
				requirePace(t, s.times, limit)
				require.GreaterOrEqual(t, len(s.times), 45+5+3+1, "reads, pages, retries and a look-up")
				if limit <= 5 {
					require.Greater(t, time.Since(start), time.Duration(len(s.times)-1)*time.Second/time.Duration(limit))
				}

				s.times = nil
				counts, err := resubmit.CheckPlan(t.Context(), p, resubmit.CheckConfig{
					Systems: systemsOf(resubmit.Systems{Reader: s.shop}), RateLimit: rate,
				}, nil)
				require.NoError(t, err)
				require.Equal(t, plan.DiffCounts{Same: 45}, counts)
				require.Len(t, s.times, 45)
				requirePace(t, s.times, limit)
			})
		})
	}
}

func TestPlannerKeepsTheCallBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const orders = 600
		s := newServers(t, orders, 100)
		p, err := resubmit.BuildPlan(t.Context(), s.config(-1))
		require.NoError(t, err)
		require.Equal(t, plan.ActionCounts{Total: orders, Resubmit: orders}, p.Counts())
		require.LessOrEqual(t, len(s.times), orders*11/10, "a read of each order, pages and look-ups")
	})
}

func TestPlanner_makes_no_call_during_a_pause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServers(t, 20, 10)
		require.NoError(t, s.commerce.AddFault(commercetest.Fault{
			Path: "*/orders/*", Kind: commercetest.FaultStatus, Status: 429, RetryAfter: 20 * time.Second, Times: 1,
		}))
		var until []time.Time
		cfg := s.config(-1)
		cfg.RateLimit = 10
		cfg.Progress = func(p resubmit.PlanProgress) { until = append(until, p.Until) }
		plan, err := resubmit.BuildPlan(t.Context(), cfg)
		require.NoError(t, err)
		require.Equal(t, 20, plan.Counts().Resubmit)
		gap := time.Duration(0)
		for i := range s.times[1:] {
			gap = max(gap, s.times[i+1].Sub(s.times[i]))
		}
		require.GreaterOrEqual(t, gap, 19*time.Second)
		require.False(t, until[5].IsZero(), "progress says until when nothing is called")
	})
}

func TestPlanner_ends_if_the_pause_is_longer_than_a_day(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServers(t, 20, 10)
		require.NoError(t, s.commerce.AddFault(commercetest.Fault{
			Path: "*/orders/*", Kind: commercetest.FaultStatus, Status: 429, RetryAfter: 25 * time.Hour, Times: 1,
		}))
		start := time.Now()
		_, err := resubmit.BuildPlan(t.Context(), s.config(0))
		require.ErrorIs(t, err, resubmit.ErrRetryAfterTooLong)
		require.Less(t, time.Since(start), time.Minute)
	})
}

func TestPlanner_shows_progress_each_second(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServers(t, 45, 10)
		var told []resubmit.PlanProgress
		var times []time.Time
		cfg := s.config(0)
		cfg.Progress = func(p resubmit.PlanProgress) { told, times = append(told, p), append(times, time.Now()) }
		_, err := resubmit.BuildPlan(t.Context(), cfg)
		require.NoError(t, err)
		require.Greater(t, len(told), 5)
		for i := range times[1:] {
			require.GreaterOrEqual(t, times[i+1].Sub(times[i]), time.Second)
			require.GreaterOrEqual(t, told[i+1].Read, told[i].Read)
		}
		last := told[len(told)-1]
		require.Equal(t, 45, last.Listed)
		require.Greater(t, last.Read, 40)
		require.Contains(t, last.String(), "45 listed, ")
	})
}

func TestPlanner_survives_a_panic_in_Progress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServers(t, 45, 10)
		calls := 0
		cfg := s.config(0)
		cfg.Progress = func(resubmit.PlanProgress) { calls++; panic("broken display") }
		plan, err := resubmit.BuildPlan(t.Context(), cfg)
		require.NoError(t, err)
		require.Equal(t, 45, plan.Counts().Total)
		require.Equal(t, 1, calls)
	})
}

// afterwards is a Connect that fails, but for some calls at first.
func afterwards(good int, err error) planFinder {
	return func(ctx context.Context, keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
		if good--; good >= 0 {
			return noRequests(ctx, keys)
		}
		return nil, err
	}
}

// A request that belongs to no key for sure makes its keys unknown, not the whole plan.
func TestPlanner_holds_orders_when_all_look_ups_return_unclear_requests(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]string{
		"no asset": `{"id":"PR-1","type":"purchase","status":"failed","created":"2026-01-10T00:00:00Z"}`,
		"an unknown status": `{"id":"PR-1","type":"purchase","status":"on_hold","created":"2026-01-10T00:00:00Z",` +
			`"asset":{"id":"AS-1","external_id":"%s"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := failedOrders(1)
			if strings.Contains(row, "%s") {
				row = fmt.Sprintf(row, source.orders[0].SubscriptionIDs[0])
			}
			vendors, err := connect.New("https://connect.example", connect.APIKey("SU-000-000-000:key12345678"),
				connect.WithHTTPClient(&http.Client{Transport: answering(func(r *http.Request) (*http.Response, error) {
					body := "[" + row + "]"
					if strings.Contains(r.URL.RawQuery, "offset=1") {
						body = "[]"
					}
					return &http.Response{
						StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
						Body: io.NopCloser(strings.NewReader(body)), Request: r,
					}, nil
				})}))
			require.NoError(t, err)
			entries := planned(t, resubmit.PlanConfig{
				RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: source, Requests: vendors}),
			})
			require.Len(t, entries, 1)
			require.Equal(t, rules.Hold, entries[0].Decision.Action)
		})
	}
}

type answering func(*http.Request) (*http.Response, error)

func (f answering) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestPlanner_fails_when_no_look_up_in_Connect_succeeds(t *testing.T) {
	t.Parallel()
	wrongURL := &connect.Error{Op: "list requests", HTTPStatus: http.StatusNotFound}
	for name, c := range map[string]struct {
		err    error
		good   int
		failed bool
		whole  bool
	}{
		"a wrong key":                      {&connect.Error{HTTPStatus: http.StatusUnauthorized}, 0, true, false},
		"a key without the permission":     {&connect.Error{HTTPStatus: http.StatusForbidden}, 0, true, false},
		"a key that is refused later":      {&connect.Error{HTTPStatus: http.StatusUnauthorized}, 1, true, false},
		"a wrong URL":                      {wrongURL, 0, true, true},
		"a Connect that is down":           {errors.New("connection refused"), 0, true, true},
		"a Connect that goes down":         {errors.New("connection refused"), 1, false, true},
		"a permission for some of it only": {&connect.Error{HTTPStatus: http.StatusForbidden}, 1, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const n = 3000
			path := filepath.Join(t.TempDir(), "plan.jsonl")
			cfg := resubmit.PlanConfig{
				Journal:   new(resubmit.MemoryJournal),
				RateLimit: -1, Concurrency: 1,
				Systems: systemsOf(resubmit.Systems{Lister: failedOrders(n), Requests: afterwards(c.good, c.err)}),
				Filter:  filter.Everything(),
			}
			counts, err := resubmit.WritePlanFile(t.Context(), cfg, path)
			if !c.failed {
				require.NoError(t, err)
				require.Equal(t, plan.ActionCounts{Total: n, Resubmit: 256, Hold: n - 256}, counts)
				return
			}
			require.ErrorIs(t, err, c.err)
			require.ErrorContains(t, err, counts.String())
			require.NoFileExists(t, path)
			require.Positive(t, counts.Hold)
			require.Equal(t, 256*c.good, counts.Resubmit)
			if c.whole {
				require.Equal(t, plan.ActionCounts{Total: n, Hold: n}, counts)
			} else {
				require.Less(t, counts.Total, n, "a key that is refused ends the planning early")
			}

			cfg.Requests = afterwards(c.good, c.err)
			plan, err := resubmit.BuildPlan(t.Context(), cfg)
			require.ErrorIs(t, err, c.err)
			require.Nil(t, plan)

			cfg.IgnoreConnect = true
			_, err = resubmit.BuildPlan(t.Context(), cfg)
			require.NoError(t, err, "no look-up was needed")
		})
	}
}

func TestPlanner_distinguishes_a_wrong_key_and_a_wrong_URL(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServers(t, 3, 10)
		over := &http.Client{Transport: clock{s.connect.Transport(), new([]time.Time), new(sync.Mutex)}}
		for want, made := range map[error]func() (*connect.Client, error){
			connect.ErrUnauthorized: func() (*connect.Client, error) {
				return connect.New("https://connect.example.net/public/v1", connect.APIKey("SU-000-000-000:wrong"),
					connect.WithHTTPClient(over))
			},
			connect.ErrNotFound: func() (*connect.Client, error) {
				return connect.New("https://connect.example.net/wrong", connect.APIKey(connecttest.DefaultKey),
					connect.WithHTTPClient(over))
			},
		} {
			client, err := made()
			require.NoError(t, err)
			cfg := s.config(-1)
			cfg.Requests = client
			_, err = resubmit.BuildPlan(t.Context(), cfg)
			require.ErrorIs(t, err, want)
			require.ErrorContains(t, err, "3 orders, hold 3")
		}
	})
}

func TestPlanner_rejects_invalid_rates(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -2, -0.5} {
		cfg := resubmit.PlanConfig{
			Journal: new(resubmit.MemoryJournal),
			Systems: systemsOf(resubmit.Systems{Lister: failedOrders(1)}), IgnoreConnect: true, Filter: filter.Everything(),
			RateLimit: rate,
		}
		_, err := resubmit.BuildPlan(t.Context(), cfg)
		require.ErrorContains(t, err, "PlanConfig.RateLimit is")
		plan := planFor(t, outageOrder(1, "a"))
		_, err = resubmit.CheckPlan(t.Context(), plan, resubmit.CheckConfig{
			Systems: systemsOf(resubmit.Systems{Reader: newShop()}), RateLimit: rate,
		}, nil)
		require.ErrorContains(t, err, "CheckConfig.RateLimit is")
	}
}
