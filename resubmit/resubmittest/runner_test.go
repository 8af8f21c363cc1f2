package resubmittest_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/internal/conformance"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
)

// TestRunnerKeepsItsPromises checks the Runner in simulated worlds, in which calls fail and programs crash.
func TestRunnerKeepsItsPromises(t *testing.T) {
	t.Parallel()
	var pushes, runs atomic.Int64
	resubmittest.Simulate(t, resubmittest.Config{
		Worlds: testkit.Scale(40, 5), FirstSeed: 4_000_000,
		Runner: func(c *resubmit.Config) {
			c.Audit = func(e resubmit.Event) error {
				switch e.(type) {
				case resubmit.PushIntended:
					pushes.Add(1)
				case resubmit.RunFinished:
					runs.Add(1)
				}
				return nil
			}
			*c = resubmittest.CheckRunner(t, *c)
		},
	})
	require.Greater(t, pushes.Load(), int64(20))
	require.Greater(t, runs.Load(), int64(10))
}

type finderFunc func(keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error)

func (f finderFunc) LatestRequests(_ context.Context, keys []connect.RequestKey) (
	map[connect.RequestKey][]connect.LatestRequest, error,
) {
	return f(keys)
}

// engine is a Runner that a test plays.
type engine struct {
	t   *testing.T
	cfg resubmit.Config
}

func (e *engine) emit(events ...resubmit.Event) {
	for _, event := range events {
		require.NoError(e.t, e.cfg.Audit(event))
		e.cfg.OnEvent(event)
	}
}

func (e *engine) start() { e.emit(resubmit.RunStarted{}) }

// push does what is needed for a push, except what is named.
func (e *engine) push(id string, omitted string) error {
	if omitted != "read" {
		_, _ = e.cfg.Reader.Order(e.t.Context(), id)
	}
	if omitted != "intent" {
		e.emit(resubmit.PushIntended{OrderID: id, Target: commerce.StatusPaid})
	}
	if omitted != "calendar" {
		e.cfg.Calendar()
	}
	return e.cfg.Pusher.Push(e.t.Context(), id, commerce.StatusPaid)
}

func (e *engine) finish() { e.emit(resubmit.RunFinished{}) }

func TestBrokenRunnersAreCaught(t *testing.T) {
	t.Parallel()
	done := func(id string) resubmit.Event {
		return resubmit.OrderDone{Item: resubmit.Item{OrderID: id, Number: id}}
	}
	var duringPush, duringEvent func() // once
	once := func(f *func()) {
		if call := *f; call != nil {
			*f = nil
			call()
		}
	}
	for name, tc := range map[string]struct {
		promise string // "" if none is broken
		run     func(e *engine)
	}{
		"keeps all promises": {"", func(e *engine) {
			for range 2 {
				e.start()
				require.NoError(t, e.push("1", ""))
				require.NoError(t, e.push("1", ""))
				require.NoError(t, e.push("2", ""))
				_, _ = e.cfg.Requests.LatestRequests(t.Context(), []connect.RequestKey{{TenantID: "1"}, {TenantID: "2"}})
				e.emit(done("1"), done("2"))
				e.finish()
			}
		}},
		"pushes again when it was denied": {"", func(e *engine) {
			e.start()
			require.ErrorIs(t, e.push("denied", ""), commerce.ErrUnauthorized)
			e.cfg.Calendar()
			_ = e.cfg.Pusher.Push(t.Context(), "denied", commerce.StatusPaid)
			e.finish()
		}},
		"emits before the start": {"emits RunStarted first", func(e *engine) { e.emit(done("1")) }},
		"emits after the end": {"emits RunStarted first", func(e *engine) {
			e.start()
			e.finish()
			e.emit(done("1"))
		}},
		"starts twice": {"emits RunStarted first", func(e *engine) { e.start(); e.start() }},
		"loses an event": {"emits RunStarted first", func(e *engine) {
			e.start()
			_ = e.cfg.Audit(done("1"))
			e.finish()
		}},
		"calls OnEvent during OnEvent": {"calls OnEvent for one event", func(e *engine) {
			e.start()
			duringEvent = func() { e.cfg.OnEvent(done("2")) }
			e.cfg.OnEvent(done("1"))
		}},
		"ends an order twice": {"emits one OrderDone", func(e *engine) {
			e.start()
			e.emit(done("1"), done("1"))
		}},
		"pushes without an intent": {"emits PushIntended before each push", func(e *engine) {
			e.start()
			_ = e.push("1", "intent")
		}},
		"pushes twice with one intent": {"emits PushIntended before each push", func(e *engine) {
			e.start()
			_ = e.push("1", "")
			_ = e.push("1", "intent")
		}},
		"pushes to another status": {"emits PushIntended before each push", func(e *engine) {
			e.start()
			e.emit(resubmit.PushIntended{OrderID: "1", Target: commerce.StatusCompleted})
			_ = e.push("1", "intent")
		}},
		"pushes without a read": {"reads an order before each push", func(e *engine) {
			e.start()
			_ = e.push("1", "read")
		}},
		"pushes without the calendar": {"calls Calendar before each push", func(e *engine) {
			e.start()
			_ = e.push("1", "calendar")
		}},
		"pushes an order during its push": {"pushes an order once at a time", func(e *engine) {
			e.start()
			duringPush = func() { _ = e.push("1", "") }
			_ = e.push("1", "")
		}},
		"pushes an order that is done": {"pushes an order once at a time", func(e *engine) {
			e.start()
			e.emit(done("1"))
			_ = e.push("1", "")
		}},
		"looks up a key twice": {"looks up each key once", func(e *engine) {
			e.start()
			_, _ = e.cfg.Requests.LatestRequests(t.Context(), []connect.RequestKey{{TenantID: "1"}, {TenantID: "1"}})
		}},
		"looks up nothing": {"looks up each key once", func(e *engine) {
			e.start()
			_, _ = e.cfg.Requests.LatestRequests(t.Context(), nil)
		}},
		"reads before the start": {"makes calls only between", func(e *engine) {
			_, _ = e.cfg.Reader.Order(t.Context(), "1")
		}},
		"looks up after the end": {"makes calls only between", func(e *engine) {
			e.start()
			e.finish()
			_, _ = e.cfg.Requests.LatestRequests(t.Context(), []connect.RequestKey{{TenantID: "1"}})
		}},
	} {
		t.Run(name, func(t *testing.T) { // not parallel: they share what happens during a call
			var seen int
			found := conformance.Failures(t, func(tb testing.TB) {
				tc.run(&engine{t, resubmittest.CheckRunner(tb, resubmit.Config{
					Systems: resubmit.Systems{
						Reader: readerFunc(func(context.Context, string) (*commerce.Order, error) { return nil, errors.New("none") }),
						Pusher: pusherFunc(func(_ context.Context, id string, _ commerce.Status) error {
							once(&duringPush)
							if id == "denied" {
								return commerce.ErrUnauthorized
							}
							return nil
						}),
						Requests: finderFunc(func([]connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
							return nil, nil
						}),
					},
					Calendar: func() *maintenance.Calendar { return nil },
					Audit:    func(resubmit.Event) error { seen++; return nil },
					OnEvent:  func(resubmit.Event) { seen--; once(&duringEvent) },
				})})
			})
			if tc.promise == "" {
				require.Empty(t, found)
				require.Zero(t, seen, "both functions get all events")
				return
			}
			require.NotEmpty(t, found)
			require.Contains(t, found[0], "broken promise: "+tc.promise)
		})
	}
}

// TestCheckRunnerReportsEachPromiseOnce checks the number of failures of a promise that is broken many times.
func TestCheckRunnerReportsEachPromiseOnce(t *testing.T) {
	t.Parallel()
	found := conformance.Failures(t, func(t testing.TB) {
		cfg := resubmittest.CheckRunner(t, resubmit.Config{})
		for range 3 {
			cfg.OnEvent(resubmit.GateOpened{})
			require.NoError(t, cfg.Audit(resubmit.GateOpened{}))
		}
	})
	require.Len(t, found, 1, "%q", found)
}
