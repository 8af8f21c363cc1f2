package commercetest_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inMemory returns a System whose Connect is called without sockets, for synctest bubbles.
func inMemory(t *testing.T, change func(*commercetest.Config)) (*commercetest.System, *fakeConnect) {
	t.Helper()
	connect := &fakeConnect{now: time.Now}
	cfg := through(testkit.Transport(connect))
	cfg.Seed = 3
	if change != nil {
		change(&cfg)
	}
	return newSystem(t, cfg), connect
}

// pass waits in a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }

func TestPollAfter60To119Seconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sys, _ := inMemory(t, nil)
		for range 20 {
			sys.Place(commercetest.OrderSpec{})
		}
		start := time.Now()
		require.NoError(t, sys.Step(t.Context()))
		waits := map[time.Duration]bool{}
		for range 20 {
			due, ok := sys.NextDue()
			require.True(t, ok)
			wait := due.Sub(start)
			require.GreaterOrEqual(t, wait, 60*time.Second)
			waits[wait] = true
			if wait > 120*time.Second {
				break // the first orders are due again
			}
			pass(time.Until(due))
			require.NoError(t, sys.Step(t.Context()))
		}
		require.Greater(t, len(waits), 10, "the waits are random")
	})
}

func TestStepProcessesOnlyDueEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sys, connect := inMemory(t, func(c *commercetest.Config) { c.PollInterval = time.Minute })
		o := sys.Place(commercetest.OrderSpec{})
		require.NoError(t, sys.Step(t.Context()))
		connect.all("approved", "")
		pass(time.Minute - time.Nanosecond)
		require.NoError(t, sys.Step(t.Context()))
		now, _ := sys.Order(o.ID)
		require.Equal(t, commerce.StatusProvisioning, now.Status)
		pass(time.Nanosecond)
		require.NoError(t, sys.Step(t.Context()))
		now, _ = sys.Order(o.ID)
		require.Equal(t, commerce.StatusCompleted, now.Status)
	})
}

func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sys, connect := inMemory(t, nil)
		connect.set(func(f *fakeConnect) { f.vendor = "approved" })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- sys.Run(ctx) }()
		synctest.Wait()
		var placed []commercetest.Order
		for range 100 {
			placed = append(placed, sys.Place(commercetest.OrderSpec{}))
		}
		synctest.Wait()
		for _, o := range placed {
			now, _ := sys.Order(o.ID)
			require.Equal(t, commerce.StatusProvisioning, now.Status)
		}
		pass(2 * time.Minute)
		synctest.Wait()
		for _, o := range placed {
			now, _ := sys.Order(o.ID)
			require.Equal(t, commerce.StatusCompleted, now.Status)
		}
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

func TestCancellationFailsNoOrder(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Step", "Run"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			working := &fakeConnect{now: time.Now}
			stopping := true
			sys := newSystem(t, through(testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
				if stopping {
					stopping = false
					cancel()
					return nil, errors.New("cut off")
				}
				return testkit.Transport(working).RoundTrip(r)
			})))
			o := sys.Place(commercetest.OrderSpec{})
			run := sys.Step
			if name == "Run" {
				run = sys.Run
			}
			require.ErrorIs(t, run(ctx), context.Canceled)
			now, _ := sys.Order(o.ID)
			require.Equal(t, commerce.StatusProvisioning, now.Status)
			require.NoError(t, sys.Step(t.Context()), "the call is made again")
			require.Len(t, working.posted(), 1)
		})
	}
}

func TestLateAnswerIsDropped(t *testing.T) {
	t.Parallel()
	var sys *commercetest.System
	var id string
	connect := &fakeConnect{now: time.Now}
	sys = newSystem(t, through(testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.URL.Path, "/requests") {
			if err := sys.MarkFailed(id, "by hand"); err != nil {
				return nil, err
			}
		}
		return testkit.Transport(connect).RoundTrip(r)
	})))
	id = sys.Place(commercetest.OrderSpec{}).ID
	require.NoError(t, sys.Step(t.Context()))
	o, _ := sys.Order(id)
	require.Equal(t, "by hand", o.Failure)
	require.Equal(t, 1, o.Failures)
	_, due := sys.NextDue()
	require.False(t, due)
}

func TestTransport(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sys, connect := inMemory(t, nil)
		connect.set(func(f *fakeConnect) { f.down = true })
		o := sys.Place(commercetest.OrderSpec{})
		require.NoError(t, sys.Step(t.Context()))
		client := &http.Client{Transport: sys.Transport()}
		require.NoError(t, sys.AddFault(commercetest.Fault{Kind: commercetest.FaultDelay, Delay: time.Hour}))
		start := time.Now()
		pushOnce(t, client, "http://commerce.example.com", o.ID)
		require.Equal(t, time.Hour, time.Since(start))
		now, _ := sys.Order(o.ID)
		require.Equal(t, 1, now.Pushes)
	})
}

func TestConcurrentPushes(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *commercetest.Config) { c.PollInterval, c.StaleEventFor = 0, -1 })
	sys := r.sys
	r.connect.set(func(f *fakeConnect) { f.vendor, f.down = "approved", true })

	const n = 60
	for range n {
		sys.Place(commercetest.OrderSpec{})
	}
	require.NoError(t, sys.Step(t.Context()))
	r.connect.set(func(f *fakeConnect) { f.down = false })

	ctx, stop := context.WithCancel(t.Context())
	var runner sync.WaitGroup
	runner.Go(func() { _ = sys.Run(ctx) }) // it ends with the error of ctx

	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	pushThrice(t, client, r.base, sys.Orders())
	stop()
	runner.Wait()
	r.clock.Add(time.Hour)
	require.NoError(t, sys.Step(t.Context()), "events that Run left")
	r.clock.Add(time.Hour)
	require.NoError(t, sys.Step(t.Context()))
	for _, o := range sys.Orders() {
		require.Equal(t, commerce.StatusCompleted, o.Status)
	}

	accepted := 0
	for _, c := range sys.Pushes() {
		if c.Accepted {
			accepted++
		}
	}
	require.Equal(t, n, accepted)
	require.Len(t, sys.Pushes(), 3*n)
	require.Empty(t, sys.Violations())
}

// pushThrice pushes every order from three callers at the same time.
func pushThrice(t *testing.T, client *http.Client, base string, placed []commercetest.Order) {
	var pushers sync.WaitGroup
	defer pushers.Wait()
	for _, o := range placed {
		for range 3 {
			pushers.Go(func() { pushOnce(t, client, base, o.ID) })
		}
	}
}

func pushOnce(t *testing.T, client *http.Client, base, id string) {
	res, err := testkit.Send(t.Context(), client, http.MethodPost, base+orders+"/"+id+"/push", `{"ofStatus":"PD"}`,
		map[string]string{"APS-Token": commercetest.DefaultToken})
	if err != nil || !json.Valid([]byte(res.Body)) {
		t.Error(err, res.Body)
	}
}
