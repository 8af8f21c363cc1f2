package sim

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// Each of these takes one kind of trouble lightly.
var troubleIsBroken = []brokenCase{
	{"a list that misses orders of the same time", "I11", Config{Plan: func(_ *Process, c *resubmit.PlanConfig) {
		c.Lister = sourceFunc(func(orders iter.Seq2[*commerce.Order, error], yield func(*commerce.Order, error) bool) {
			var last commerce.Order
			for o, err := range orders {
				if err == nil && o.PlacedAt.Equal(last.PlacedAt) {
					continue
				}
				if err == nil {
					last = *o
				}
				if !yield(o, err) {
					return
				}
			}
		}, c.Lister)
	}}},
	{"a list that leaves odd rows out", "I11", Config{Plan: func(_ *Process, c *resubmit.PlanConfig) {
		c.Lister = sourceFunc(func(orders iter.Seq2[*commerce.Order, error], yield func(*commerce.Order, error) bool) {
			for o, err := range orders {
				if err == nil && len(o.Problems) > 0 {
					continue
				}
				if !yield(o, err) {
					return
				}
			}
		}, c.Lister)
	}}},
	{"readers that make light of odd rows", "I18", Config{Plan: func(_ *Process, c *resubmit.PlanConfig) {
		c.Reader = changed{c.Reader, func(o *commerce.Order) { o.Problems = nil }}
		c.Lister = sourceFunc(func(orders iter.Seq2[*commerce.Order, error], yield func(*commerce.Order, error) bool) {
			for o, err := range orders {
				if err == nil {
					o.Problems = nil
				}
				if !yield(o, err) {
					return
				}
			}
		}, c.Lister)
	}}},
	{"look-ups that take what cannot be read for nothing", "I18", Config{Plan: func(_ *Process, c *resubmit.PlanConfig) {
		c.Requests = carelessFinder{c.Requests}
	}}},
	{"a pusher that sends again what a gateway answered", "I6", Config{Runner: wrapPusher(
		func(ctx context.Context, p resubmit.Pusher, id string, to commerce.Status) error {
			err := p.Push(ctx, id, to)
			if e, ok := errors.AsType[*commerce.Error](err); ok && e.Delivery == commerce.DeliveryUnknown &&
				e.HTTPStatus >= 300 {
				err = p.Push(ctx, id, to)
			}
			return err
		},
	)}},
	{"clients that take refused credentials for trouble", "credentials",
		Config{Runner: func(_ *Process, c *resubmit.Config) {
			blind := blindClient{c.Reader, c.Pusher}
			c.Reader, c.Pusher = blind, blind
		}}},
	{"a pusher that sends again after a panic", "I6", Config{Runner: wrapPusher(
		func(ctx context.Context, p resubmit.Pusher, id string, to commerce.Status) (err error) {
			defer func() {
				if recover() != nil {
					err = p.Push(ctx, id, to)
				}
			}()
			return p.Push(ctx, id, to)
		},
	)}},
}

// changedSource is a source whose list is changed.
type changedSource struct {
	resubmit.OrderLister
	change func(orders iter.Seq2[*commerce.Order, error], yield func(*commerce.Order, error) bool)
}

func sourceFunc(change func(iter.Seq2[*commerce.Order, error], func(*commerce.Order, error) bool),
	s resubmit.OrderLister) changedSource {
	return changedSource{s, change}
}

func (s changedSource) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) { s.change(s.OrderLister.Orders(ctx, q), yield) }
}

// carelessFinder says that there is no request for a key that was not answered.
type carelessFinder struct{ resubmit.RequestFinder }

func (f carelessFinder) LatestRequests(ctx context.Context,
	keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	found, err := f.RequestFinder.LatestRequests(ctx, keys)
	if err == nil || found == nil {
		return found, err
	}
	for _, key := range keys {
		if _, ok := found[key]; !ok {
			found[key] = nil
		}
	}
	return found, nil
}

// blindClient does not say that its credentials were refused.
type blindClient struct {
	resubmit.OrderReader
	resubmit.Pusher
}

func (c blindClient) Order(ctx context.Context, id string) (*commerce.Order, error) {
	o, err := c.OrderReader.Order(ctx, id)
	return o, forgetRefusal(err)
}

func (c blindClient) Push(ctx context.Context, id string, to commerce.Status) error {
	return forgetRefusal(c.Pusher.Push(ctx, id, to))
}

// System is that of the reader.
func (c blindClient) System() string {
	s, _ := c.OrderReader.(interface{ System() string })
	return s.System()
}

func forgetRefusal(err error) error {
	if errors.Is(err, commerce.ErrUnauthorized) || errors.Is(err, commerce.ErrForbidden) {
		return &commerce.Error{Op: "call", HTTPStatus: http.StatusBadGateway, Delivery: commerce.NotSent,
			Err: errors.New("no answer")}
	}
	return err
}

// calmScenario is a world of five orders in which nothing goes wrong after the start.
func calmScenario() *scenario {
	s := &scenario{seed: 1, twin: true, tries: 1, way: byOrderManager, heals: true, limits: resubmit.Config{
		Guard: time.Minute, SettleDelay: 240 * time.Second, RateLimit: 10, Concurrency: 2, MaxDeferrals: 3,
		Verify: resubmit.VerifyConfig{First: 10 * time.Second, Max: time.Minute, Timeout: 15 * time.Minute},
		Canary: resubmit.CanaryConfig{Steps: []int{}}, Breaker: resubmit.BreakerConfig{Failures: -1, Wait: time.Minute},
	}}
	for i := range 5 {
		s.orders = append(s.orders, orderSeed{
			index: i, kind: commerce.TypeSales, product: quickProduct, subscription: 100 + i, cause: causeWindow,
			after: time.Duration(i) * 5 * time.Second, fate: fate{action: connecttest.Approve, after: time.Minute},
		})
	}
	s.orders[1].cause = causeReached // it has a request in Connect
	return s
}

// Each trouble happens in a world of its own, does no harm there, and is found if the
// program takes it lightly.
func TestTrouble(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		change  func(*scenario)
		happens []string
		broken  string // the case that takes it lightly
	}{
		{
			"equal sort keys", func(s *scenario) { s.drawTies(newDice(1, 1)) },
			[]string{"order placed in the second of another"}, "a list that misses orders of the same time",
		},
		{
			"unattributable requests",
			func(s *scenario) { s.hidden = []hiddenSeed{{order: 1, kind: hiddenType}} },
			[]string{"request without a type"}, "look-ups that take what cannot be read for nothing",
		},
		{
			"gateway status after the action",
			func(s *scenario) {
				s.faults = []faultSeed{{call: callPush, order: 2, kind: faultStatusAfter, status: 499}}
			},
			[]string{"499 from a gateway after the server acted (push)"}, "a pusher that sends again what a gateway answered",
		},
		{
			"credentials refused", func(s *scenario) { s.refusals = []refusalSeed{{status: 401, call: 15}} },
			[]string{"runs ended by refused credentials"}, "clients that take refused credentials for trouble",
		},
		{
			"malformed orders",
			func(s *scenario) {
				s.odd = []oddSeed{{order: 2, kind: oddAmountDigits}, {order: 3, kind: oddRowNull}}
			},
			[]string{"odd row: its amount has 100 digits (list)", "odd row: its row is null (list)"},
			"readers that make light of odd rows",
		},
		{
			"malformed orders left out", func(s *scenario) { s.odd = []oddSeed{{order: 2, kind: oddDateFar}} },
			[]string{"odd row: its date is after the year 9999 (list)"}, "a list that leaves odd rows out",
		},
		{
			"panic after the action", func(s *scenario) { s.panics = []panicSeed{{call: callPush, order: 2, after: true}} },
			[]string{"panic after the call (push)"}, "a pusher that sends again after a panic",
		},
		{
			"panics everywhere",
			func(s *scenario) {
				s.panics = []panicSeed{{call: callRead, order: 2, n: 1}, {call: callEvent, order: -1, n: 3},
					{call: callList, order: -1}}
			},
			[]string{"panic before the call (read)", "panic before the call (event)", "panic before the call (list)"}, "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := calmScenario()
			tt.change(s)
			o := play(t, &Config{}, s, true)
			require.Empty(t, o.wrong, "%s", strings.Join(o.history, "\n"))
			for _, what := range tt.happens {
				require.NotZero(t, o.counts[what], "%s\n%v", what, o.counts)
			}
			require.NotZero(t, o.counts["twins compared"])
			i := slices.IndexFunc(troubleIsBroken, func(c brokenCase) bool { return c.name == tt.broken })
			if i < 0 {
				require.Empty(t, tt.broken)
				return
			}
			broken := troubleIsBroken[i].cfg
			o = play(t, &broken, s, true)
			require.True(t, slices.ContainsFunc(o.wrong, func(v Violation) bool { return v.Rule == troubleIsBroken[i].rule }),
				"%v\n%s", o.wrong, strings.Join(o.history, "\n"))
		})
	}
}
