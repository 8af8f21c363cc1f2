package resubmit_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/ratelimit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

func TestEventsAreInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := []*shopOrder{outageOrder(1, "a"), outageOrder(2, "b"), outageOrder(3, "b"), outageOrder(4, "c")}
		orders[0].pushFaults = []fault{badToken}
		orders[1].pushFaults = []fault{lostIgnored}
		orders[3].onRead = moveTo(commerce.StatusCompleted)
		s := newShop(orders...)
		seen := new(diary)
		var log bytes.Buffer
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.OnEvent, c.Concurrency = seen.on, 1
			c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		})
		var entries []*plan.Entry
		for _, o := range orders {
			entries = append(entries, entryFor(o))
		}
		plan := planWith(t, []maintenance.Window{windowAt(-time.Hour, 0)}, entries...)
		_, err := r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, []string{"started 4", "gate closed", "gate opened"}, seen.lines[:3])
		require.Equal(t, "finished 4", seen.lines[len(seen.lines)-1])
		of := make(map[string][]string)
		for _, line := range seen.lines {
			if number, what, ok := strings.Cut(line, " "); ok && strings.HasPrefix(number, "SO") {
				of[number] = append(of[number], what)
			}
		}
		require.Equal(t, map[string][]string{
			"SO000001": {"intent 1", `reread ""`, "refused again=true", "intent 2", `reread ""`, "pushed PD", "done completed"},
			"SO000002": {"intent 1", `reread ""`, "unknown", "done unknown"},
			"SO000003": {"done blocked"},
			"SO000004": {`reread "status PF → CP"`, "done skipped"},
		}, of)
		require.Contains(t, log.String(), `msg="the answer to a push was lost" order=SO000002`)
	})
}

// pausingShop pauses the run right before its first push is sent.
type pausingShop struct {
	*shop
	pause func()
}

func (s *pausingShop) Push(ctx context.Context, id string, to commerce.Status) error {
	if pause := s.pause; pause != nil {
		s.pause = nil
		pause()
		err := errors.Join(ratelimit.Wait(ctx), ratelimit.Wait(ctx)) // the first needs no further wait
		return &commerce.Error{Op: "push order", Delivery: commerce.DeliveryNotSent, Err: err}
	}
	return s.shop.Push(ctx, id, to)
}

func TestPushThatIsHeldBackIsNoWarning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "a")
		s := &pausingShop{shop: newShop(o)}
		var log bytes.Buffer
		r := runnerFor(t, s.shop, func(c *resubmit.Config) {
			c.Pusher, c.Logger = s, slog.New(slog.NewTextHandler(&log, nil))
		})
		s.pause = func() {
			r.Pause()
			time.AfterFunc(time.Minute, r.Resume)
		}
		report, err := r.Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
		require.Contains(t, log.String(), `level=INFO msg="a push was held back" order=SO000001`)
		require.NotContains(t, log.String(), "refused")
		require.NotContains(t, log.String(), "level=WARN")
	})
}

func TestOnEventMayPauseTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := []*shopOrder{outageOrder(1, "a"), outageOrder(2, "b")}
		s := newShop(orders...)
		var r *resubmit.Runner
		r = runnerFor(t, s, func(c *resubmit.Config) {
			c.Concurrency, c.RateLimit = 1, 1
			c.OnEvent = func(e resubmit.Event) {
				if e, ok := e.(resubmit.PushAccepted); ok && e.Number == "SO000001" {
					r.Pause()
					time.AfterFunc(time.Hour, r.Resume)
				}
				_ = r.Status()
			}
		})
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 2}, report.Result)
		require.WithinDuration(t, start.Add(time.Hour), s.ledger[1].at, 5*time.Second)
	})
}

func TestAuditReceivesEachEventAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "a")
		s, audited := newShop(o), &diary{}
		s.onPush = func(context.Context, string) { audited.write("push") }
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Audit = func(e resubmit.Event) error { audited.on(e); return nil }
		})
		_, err := r.Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.Equal(t, `started 1
SO000001 intent 1
push
SO000001 reread ""
SO000001 pushed PD
SO000001 done completed
finished 1`, audited.String())
	})
}

func TestAuditErrorsEndTheRun(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("the disk is full") },
		"panic": func() error { panic("the disk is full") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := outageOrder(1, "a")
				s := newShop(o)
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.Audit = func(e resubmit.Event) error {
						if _, ok := e.(resubmit.PushIntended); ok {
							return fail()
						}
						return nil
					}
				})
				report, err := r.Apply(t.Context(), planFor(t, o))
				require.ErrorContains(t, err, "the disk is full")
				require.Zero(t, s.pushes())
				require.Equal(t, resubmit.OutcomeCounts{NotStarted: 1}, report.Result)
			})
		})
	}
}

func TestOnEventIsCalledInOrderWhileItIsSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(2000)
		s, done, queued := newShop(orders...), 0, 0
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.OnEvent = func(e resubmit.Event) {
				<-time.After(time.Second)
				if _, ok := e.(resubmit.OrderDone); ok {
					done++
					queued = max(queued, s.pushes()-done)
				}
			}
		})
		_, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, 2000, done)
		require.Less(t, queued, 1100, "no order is begun while 1 024 events wait")
	})
}
