package resubmit_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// guarded is a shop that checks credentials before it answers.
type guarded struct {
	*shop
	check func(call, id string) error

	lock  sync.Mutex
	calls map[string]int // that were refused
}

func (g *guarded) admit(call, id string) error {
	if g.check == nil {
		return nil
	}
	err := g.check(call, id)
	if err != nil {
		g.lock.Lock()
		defer g.lock.Unlock()
		if g.calls == nil {
			g.calls = make(map[string]int)
		}
		g.calls[call]++
	}
	return err
}

func (g *guarded) Order(ctx context.Context, id string) (*commerce.Order, error) {
	if err := g.admit("read", id); err != nil {
		return nil, err
	}
	return g.shop.Order(ctx, id)
}

func (g *guarded) Push(ctx context.Context, id string, to commerce.Status) error {
	if err := g.admit("push", id); err != nil {
		return err
	}
	return g.shop.Push(ctx, id, to)
}

func (g *guarded) LatestRequests(ctx context.Context,
	keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	if err := g.admit("look-up", ""); err != nil {
		return nil, err
	}
	return g.shop.LatestRequests(ctx, keys)
}

func (g *guarded) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		if err := g.admit("list", ""); err != nil {
			yield(nil, err)
			return
		}
		for o, err := range (&lister{shop: g.shop, page: 100}).Orders(ctx, q) {
			if !yield(o, err) {
				return
			}
		}
	}
}

func (g *guarded) Probe(context.Context) (connect.Probe, error) {
	if err := g.admit("probe", ""); err != nil {
		return connect.Probe{}, err
	}
	return connect.Probe{Class: connect.ClassUp}, nil
}

func commerceDenies(status int) error {
	return &commerce.Error{Op: "call", HTTPStatus: status, Delivery: commerce.DeliveryRefused}
}

func connectDenies(status int) error { return &connect.Error{Op: "call", HTTPStatus: status} }

func guardedRunner(t *testing.T, g *guarded, change func(*resubmit.Config)) *resubmit.Runner {
	return runnerFor(t, g.shop, func(c *resubmit.Config) {
		c.Reader, c.Pusher, c.Requests, c.Prober, c.Lister = g, g, g, g, g
		c.Canary = resubmit.CanaryConfig{}
		if change != nil {
			change(c)
		}
	})
}

// denial is one kind of call that is refused from some time on.
type denial struct {
	call string
	err  error
	from time.Duration // after the begin of the run
	want error
	says string
	calm bool // pushes go out before
}

func denials() map[string]denial {
	return map[string]denial{
		"push_401": {"push", commerceDenies(401), 0, commerce.ErrUnauthorized,
			"Commerce refused the credentials (push of order SO", false},
		"push_403": {"push", commerceDenies(403), 0, commerce.ErrForbidden,
			"Commerce refused the credentials (push of order SO", false},
		"push_sign_in": {"push", &commerce.Error{Op: "sign in", HTTPStatus: 403, Delivery: commerce.DeliveryNotSent}, 0,
			commerce.ErrForbidden, "push of order", false},
		"push_401_later": {"push", commerceDenies(401), 21 * time.Second, commerce.ErrUnauthorized,
			"push of order SO", true},
		"push_403_later": {"push", commerceDenies(403), 21 * time.Second, commerce.ErrForbidden, "push of order SO",
			true},
		"re-read_401": {"read", commerceDenies(401), 0, commerce.ErrUnauthorized,
			"Commerce refused the credentials (reading order SO", false},
		"re-read_403": {"read", commerceDenies(403), 0, commerce.ErrForbidden,
			"Commerce refused the credentials (reading order SO", false},
		"verification_401": {"read", commerceDenies(401), 5 * time.Second, commerce.ErrUnauthorized,
			"reading order SO", true},
		"verification_look-up401": {"look-up", connectDenies(401), 0, connect.ErrUnauthorized,
			"Connect refused the credentials (looking up requests)", true},
		"verification_look-up403": {"look-up", connectDenies(403), 0, connect.ErrForbidden,
			"Connect refused the credentials (looking up requests)", true},
	}
}

func TestRefusedCredentials(t *testing.T) {
	t.Parallel()
	for name, d := range denials() {
		t.Run(name+"_end_the_run_and_it_continues_later", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := manyOrders(21)
				for i := range orders {
					orders[i].SubscriptionIDs = []string{fmt.Sprint(i)}
				}
				start := time.Now()
				g := &guarded{shop: newShop(orders...)}
				for i := range orders {
					g.answer(fmt.Sprint(i), connect.StatusApproved, "")
				}
				g.check = func(call, _ string) error {
					if call == d.call && time.Since(start) >= d.from {
						return d.err
					}
					return nil
				}
				journal := journalOf(t)
				r := guardedRunner(t, g, func(c *resubmit.Config) { c.Journal = journal })
				plan := planFor(t, orders...)
				report, err := r.Apply(t.Context(), plan)
				require.ErrorIs(t, err, d.want)
				require.ErrorContains(t, err, d.says)
				require.ErrorContains(t, err, "run again with the same plan and journal")
				require.Equal(t, err.Error(), report.Err)
				if !d.calm {
					require.Less(t, time.Since(start), time.Second, "at once")
					require.Equal(t, 21, report.Result.NotStarted+report.Result.Skipped+report.Result.Unknown)
				}
				require.LessOrEqual(t, g.calls[d.call], 8, "refused calls: two for each of three orders, and what was under way")
				require.Less(t, time.Since(start), 2*time.Minute)
				require.LessOrEqual(t, report.Result.Skipped+report.Result.Unknown, 4)
				for _, i := range report.Items {
					if i.Outcome == protocol.Unknown {
						require.Contains(t, i.Why, "the last push was refused, and whether it moved the order is not known")
					}
				}
				for _, c := range report.Canary {
					require.Zero(t, c.Bad)
					require.Empty(t, c.Stopped)
				}
				for _, o := range orders {
					rec, err := journal.Get(t.Context(), protocol.OrderKey(o.ID))
					require.NoError(t, err)
					if rec.Order != nil {
						require.Contains(t, []protocol.Phase{protocol.Open, protocol.Pushed, protocol.Ended}, rec.Order.Phase)
					}
				}

				g.check = nil
				report, err = r.Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{Completed: 21}, report.Result)
				for _, o := range orders {
					require.Equal(t, 1, g.accepted(o.ID))
				}
			})
		})
	}
}

// A push whose token has expired is refused once, and its client renews the token.
func TestRefusedCredentialsThatWereRenewed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403} {
		synctest.Test(t, func(t *testing.T) {
			orders := manyOrders(5)
			g, refused := &guarded{shop: newShop(orders...)}, false
			g.check = func(call, _ string) error {
				if call == "push" && !refused {
					refused = true
					return commerceDenies(status)
				}
				return nil
			}
			start := time.Now()
			r := guardedRunner(t, g, func(c *resubmit.Config) { c.Requests, c.MaxDeferrals = nil, -1 })
			report, err := r.Apply(t.Context(), planFor(t, orders...))
			require.NoError(t, err)
			require.Equal(t, resubmit.OutcomeCounts{Completed: 5}, report.Result)
			require.Less(t, g.ledger[0].at.Sub(start), time.Second, "there is no pause")
		})
	}
}

// 403 to a few orders is about them, wherever they stand, and does not count in the canary.
func TestForbiddenOrder(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"push", "read"} {
		for name, forbidden := range map[string][]int{"first": {0, 1}, "in_the_middle": {7, 8}, "apart": {0, 5, 9, 14, 19},
			"last": {19, 20}} {
			t.Run(call+"_"+name+"_is_left_and_the_others_go", func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					orders, left := manyOrders(21), make(map[string]bool)
					for _, n := range forbidden {
						left[orders[n].ID] = true
					}
					g := &guarded{shop: newShop(orders...)}
					g.check = func(c, id string) error {
						if c == call && left[id] {
							return commerceDenies(403)
						}
						return nil
					}
					r := guardedRunner(t, g, func(c *resubmit.Config) { c.Requests, c.Concurrency = nil, 1 })
					plan := planFor(t, orders...)
					report, err := r.Apply(t.Context(), plan)
					require.NoError(t, err)
					require.Equal(t, resubmit.OutcomeCounts{Completed: 21 - len(forbidden), Skipped: len(forbidden)}, report.Result)
					item := itemOf(t, report, forbidden[0])
					require.Contains(t, item.Why, "403 Forbidden")
					require.Zero(t, report.Canary[0].Bad)

					g.check = nil // the permission was added
					report, err = r.Apply(t.Context(), plan)
					require.NoError(t, err)
					require.Equal(t, resubmit.OutcomeCounts{Completed: 21}, report.Result)
				})
			})
		}
	}
}

// Orders that are always forbidden end a run when they come first, but no run after it.
func TestForbiddenOrdersDoNotBlockTheOthersForever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(21)
		g := &guarded{shop: newShop(orders...)}
		g.check = func(call, id string) error {
			if call == "push" && (id == "id-0" || id == "id-1" || id == "id-2") {
				return commerceDenies(403)
			}
			return nil
		}
		r := guardedRunner(t, g, func(c *resubmit.Config) { c.Requests, c.Concurrency = nil, 1 })
		plan := planFor(t, orders...)
		_, err := r.Apply(t.Context(), plan)
		require.ErrorIs(t, err, commerce.ErrForbidden)
		report, err := r.Apply(t.Context(), plan)
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 18, Skipped: 3}, report.Result)
	})
}

// A list that verifies many orders at once is not replaced by single reads when it is
// forbidden.
func TestRefusedCredentialsOfAList(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403} {
		synctest.Test(t, func(t *testing.T) {
			orders := manyOrders(40)
			for _, o := range orders {
				o.fates = []fate{{after: 25 * time.Minute, status: "CP"}}
			}
			g := &guarded{shop: newShop(orders...)}
			g.check = func(call, _ string) error {
				if call == "list" {
					return commerceDenies(status)
				}
				return nil
			}
			r := guardedRunner(t, g, func(c *resubmit.Config) { c.Requests, c.Canary.Steps = nil, []int{} })
			report, err := r.Apply(t.Context(), planFor(t, orders...))
			require.ErrorContains(t, err,
				fmt.Sprintf("(listing orders), so the run ended: commerce: call: HTTP %d", status))
			require.Equal(t, resubmit.OutcomeCounts{Progressing: 40}, report.Result)
			require.Equal(t, 1, g.calls["list"])
		})
	}
}

func TestRefusedCredentialsOfAProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(40)
		g := &guarded{shop: downFor(time.Hour, orders...)}
		g.check = func(call, _ string) error {
			if call == "probe" {
				return connectDenies(401)
			}
			return nil
		}
		r := guardedRunner(t, g, func(c *resubmit.Config) {
			c.Requests, c.Canary.Steps, c.RateLimit = nil, []int{}, 1
			c.Breaker = resubmit.BreakerConfig{Failures: 2, SampleSize: 2}
		})
		_, err := r.Apply(t.Context(), planFor(t, orders...))
		require.ErrorIs(t, err, connect.ErrUnauthorized)
		require.Equal(t, 1, g.calls["probe"])
	})
}

// A lost answer stays unknown, and is resolved when the credentials work again.
func TestRefusedCredentialsAfterALostAnswer(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]denial{
		"read":    {call: "read", err: commerceDenies(401)},
		"look-up": {call: "look-up", err: connectDenies(403)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := outageOrder(1, "s1")
				o.pushFaults = []fault{lostIgnored}
				start, g := time.Now(), &guarded{shop: newShop(o)}
				g.check = func(call, _ string) error {
					if call == d.call && time.Since(start) > time.Minute {
						return d.err
					}
					return nil
				}
				journal := journalOf(t)
				r := guardedRunner(t, g, func(c *resubmit.Config) { c.Journal, c.Retry.MaxAttempts = journal, 2 })
				plan := planFor(t, o)
				report, err := r.Apply(t.Context(), plan)
				require.ErrorContains(t, err, "refused the credentials")
				require.Equal(t, protocol.Unknown, itemOf(t, report, 1).Outcome)
				rec, err := journal.Get(t.Context(), protocol.OrderKey("id-1"))
				require.NoError(t, err)
				require.Equal(t, protocol.Unanswered, rec.Order.Phase)
				require.Equal(t, 1, rec.Order.Attempts)

				g.check = nil
				g.onPush = func(context.Context, string) { g.answer("s1", connect.StatusApproved, "") }
				report, err = r.Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Equal(t, protocol.Completed, itemOf(t, report, 1).Outcome, itemOf(t, report, 1).Why)
				require.Equal(t, 1, g.accepted("id-1"))
			})
		})
	}
}

// lean lists orders without their details, so that each has to be read.
type lean struct{ *guarded }

func (l lean) Orders(_ context.Context, _ commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		if err := l.admit("list", ""); err != nil {
			yield(nil, err)
			return
		}
		for n := range len(l.orders) {
			o := l.orders[fmt.Sprintf("id-%d", n)]
			if !yield(&commerce.Order{ID: o.ID, Number: o.Number, Status: o.Status, Type: o.Type, PlacedAt: o.PlacedAt}, nil) {
				return
			}
		}
	}
}

func TestRefusedCredentialsWhilePlanning(t *testing.T) {
	t.Parallel()
	plan := func(t *testing.T, forbidden int, status int, call string) (*plan.Plan, error) {
		g := &guarded{shop: newShop(manyOrders(20)...)}
		g.check = func(c, id string) error {
			var n int
			_, _ = fmt.Sscanf(id, "id-%d", &n)
			if c == call && n < forbidden {
				return commerceDenies(status)
			}
			return nil
		}
		return resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
			Systems: systemsOf(resubmit.Systems{Lister: lean{g}, Reader: g}),
			Policy:  resubmit.Policy{SettleDelay: time.Millisecond},
			Filter:  filter.Everything(), IgnoreConnect: true, RateLimit: -1, Journal: journalOf(t),
		})
	}
	_, err := plan(t, 20, 403, "read")
	require.ErrorIs(t, err, commerce.ErrForbidden)
	_, err = plan(t, 1, 401, "read")
	require.ErrorIs(t, err, commerce.ErrUnauthorized)
	_, err = plan(t, 1, 403, "list")
	require.ErrorIs(t, err, commerce.ErrForbidden)
	p, err := plan(t, 3, 403, "read")
	require.NoError(t, err)
	require.Equal(t, 3, p.Counts().Hold, "403 to some orders is about them")
	require.Equal(t, 17, p.Counts().Resubmit)
}

// Orders that a run begins anew are counted when all others are done: without that a second
// run with refused credentials would look like one that had nothing to do.
func TestRefusedCredentialsInEachRun(t *testing.T) {
	t.Parallel()
	for call, result := range map[string]resubmit.OutcomeCounts{
		"push": {Skipped: 2, Unknown: 1, NotStarted: 2}, // the order that ended the run could not be read since
		"read": {Skipped: 2, NotStarted: 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			orders := manyOrders(5)
			g := &guarded{shop: newShop(orders...)}
			g.check = func(c, _ string) error {
				if c == call {
					return commerceDenies(403)
				}
				return nil
			}
			r := guardedRunner(t, g, func(c *resubmit.Config) { c.Requests = nil })
			plan := planFor(t, orders...)
			for n := range 4 {
				if n == 1 && call == "push" {
					result = resubmit.OutcomeCounts{Skipped: 5}
				}
				report, err := r.Apply(t.Context(), plan)
				require.ErrorIs(t, err, commerce.ErrForbidden)
				require.ErrorContains(t, err, "Commerce refused the credentials")
				require.Equal(t, err.Error(), report.Err)
				require.Equal(t, result, report.Result)
			}
			g.check = nil
			report, err := r.Apply(t.Context(), plan)
			require.NoError(t, err)
			require.Equal(t, resubmit.OutcomeCounts{Completed: 5}, report.Result)
		})
	}
}

// A 403 of a gateway proves nothing about the push, so that its order is watched. It must
// not stop the canary: the run ends with the error.
func TestForbiddenByAGatewayEndsTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(21)
		g := &guarded{shop: newShop(orders...)}
		g.check = func(c, _ string) error {
			if c == "push" {
				return &commerce.Error{Op: "call", HTTPStatus: 403, Delivery: commerce.DeliveryUnknown}
			}
			return nil
		}
		r := guardedRunner(t, g, func(c *resubmit.Config) { c.Requests = nil })
		plan := planFor(t, orders...)
		report, err := r.Apply(t.Context(), plan)
		require.ErrorIs(t, err, commerce.ErrForbidden)
		require.Equal(t, resubmit.OutcomeCounts{Unknown: 3, NotStarted: 18}, report.Result)
		require.Equal(t, 3, g.calls["push"])
		require.Empty(t, report.Canary[0].Stopped)
	})
}
