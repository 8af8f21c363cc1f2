package resubmit_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// absent is a Commerce that does not answer reads and lists while it is down.
type absent struct {
	*shop
	down  func(id string) error // "" for a list
	calls int                   // that got no answer
}

func (a *absent) answer(id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.down(id)
	if err != nil {
		a.calls++
	}
	return err
}

func (a *absent) Order(ctx context.Context, id string) (*commerce.Order, error) {
	if err := a.answer(id); err != nil {
		return nil, err
	}
	return a.shop.Order(ctx, id)
}

func (a *absent) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		if err := a.answer(""); err != nil {
			yield(nil, err)
			return
		}
		(&lister{shop: a.shop, page: 100}).Orders(ctx, q)(yield)
	}
}

// outages are the ways in which Commerce does not answer.
func outages() map[string]error {
	return map[string]error{
		"500": &commerce.Error{Op: "read order", HTTPStatus: 500}, "503": &commerce.Error{Op: "read order", HTTPStatus: 503},
		"refused": errors.New("connection refused"),
	}
}

// between returns a function that is down for some time.
func between(from, to time.Duration, err error) func(string) error {
	start := time.Now()
	return func(string) error {
		if since := time.Since(start); since >= from && since < to {
			return err
		}
		return nil
	}
}

func TestOutageOfCommerceUsesUpNoOrder(t *testing.T) {
	t.Parallel()
	for name, fails := range outages() {
		for _, lists := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					orders := manyOrders(60)
					s := newShop(orders...)
					seen := new(diary)
					a := &absent{shop: s, down: between(5*time.Second, time.Hour, fails)}
					r := runnerFor(t, s, func(c *resubmit.Config) {
						c.Reader, c.RateLimit, c.OnEvent = a, 5, seen.on
						if lists {
							c.Lister = a
						}
					})
					time.AfterFunc(30*time.Minute, func() {
						status := r.Status()
						require.Contains(t, status.Gate, "Commerce does not answer: ")
						require.WithinRange(t, status.Until, time.Now(), time.Now().Add(17*time.Minute))
						require.Zero(t, status.Result.Skipped)
					})
					report, err := r.Apply(t.Context(), planFor(t, orders...))
					require.NoError(t, err)
					require.Equal(t, resubmit.OutcomeCounts{Completed: 60}, report.Result)
					require.Less(t, a.calls, 20)
					require.Less(t, time.Since(start), 90*time.Minute)
					for _, l := range s.ledger {
						since := l.at.Sub(start)
						require.True(t, since < 20*time.Second || since >= time.Hour, "a push after %v", since)
					}
					require.Contains(t, seen.closed[0].Why, "Commerce does not answer: ")
				})
			})
		}
	}
}

func TestOutageOfCommerceEndsTheRunAfterTwoHours(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := manyOrders(60)
		s := newShop(orders...)
		a := &absent{shop: s, down: between(5*time.Second, 10*time.Hour, outages()["500"])}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Reader, c.RateLimit = a, 5 })
		plan := planFor(t, orders...)
		report, err := r.Apply(t.Context(), plan)
		require.ErrorIs(t, err, resubmit.ErrCommerceDown)
		require.ErrorContains(t, err, "since 2000-01-01T00:00:")
		require.InDelta(t, 150*time.Minute, time.Since(start), float64(15*time.Minute))
		pushed := s.pushes()
		require.Equal(t, resubmit.OutcomeCounts{Progressing: pushed, NotStarted: 60 - pushed}, report.Result)
		require.NotContains(t, endsOf(t, plan), protocol.RunCircuitOpen, "that is about Connect")

		<-time.After(10 * time.Hour)
		report, err = r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 60}, report.Result)
		require.Equal(t, 60, s.pushes())
	})
}

func TestOutageOfCommerceDoesNotDelayADrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		orders := manyOrders(20)
		orders[0].pushFaults = []fault{limited} // it is read before it is reported
		s := newShop(orders...)
		s.retryAfter = 0
		a := &absent{shop: s, down: func(string) error {
			if len(s.ledger) > 0 {
				return outages()["503"]
			}
			return nil
		}}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Reader, c.Concurrency = a, 1 })
		time.AfterFunc(10*time.Minute, r.Drain)
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.ErrorIs(t, err, resubmit.ErrDrained)
		require.Equal(t, resubmit.OutcomeCounts{Unknown: 1, NotStarted: 19}, report.Result)
		require.Less(t, time.Since(start), 11*time.Minute)
	})
}

// One order that Commerce cannot show costs only itself, whether the client has lists or not.
func TestOrderThatCannotBeReadCostsOnlyItself(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(c *resubmit.Config, a *absent){
		"with a lister":        func(c *resubmit.Config, a *absent) { c.Lister = a },
		"without a lister":     func(*resubmit.Config, *absent) {},
		"one order at a time":  func(c *resubmit.Config, _ *absent) { c.Concurrency = 1 },
		"as the first canary":  func(c *resubmit.Config, _ *absent) { withCanary(c) },
		"one open order":       func(c *resubmit.Config, _ *absent) { c.MaxOpenOrders = 1 },
		"while it is verified": func(c *resubmit.Config, a *absent) { c.Concurrency = 1; a.down = afterPush(a) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				orders := manyOrders(30)
				s := newShop(orders...)
				a := &absent{shop: s}
				a.down = func(id string) error {
					if id == "id-0" {
						return outages()["500"]
					}
					return nil
				}
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.Reader = a
					change(c, a)
				})
				report, err := r.Apply(t.Context(), planFor(t, orders...))
				require.NoError(t, err)
				item := itemOf(t, report, 0)
				require.Equal(t, 29, report.Result.Completed)
				require.Contains(t, item.Why, "could not be read")
				if s.accepted("id-0") == 0 {
					require.Equal(t, protocol.Skipped, item.Outcome)
				} else {
					require.Equal(t, protocol.Progressing, item.Outcome)
				}
				require.Less(t, time.Since(start), 40*time.Minute)
				last := s.ledger[len(s.ledger)-1].at
				require.Less(t, last.Sub(start), 15*time.Minute, "the others wait for some trials at most")
			})
		})
	}
}

// afterPush fails to read the order id-0 once it was pushed.
func afterPush(a *absent) func(string) error {
	return func(id string) error {
		for _, l := range a.ledger {
			if l.id == id && id == "id-0" {
				return outages()["500"]
			}
		}
		return nil
	}
}

// A plan of one order that Commerce cannot show waits, because that may be an outage.
func TestOutageOfTheOnlyOrderEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s")
		s := newShop(o)
		a := &absent{shop: s, down: between(0, time.Hour, outages()["500"])}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Reader = a })
		report, err := r.Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
		require.Less(t, a.calls, 20)
	})
}
