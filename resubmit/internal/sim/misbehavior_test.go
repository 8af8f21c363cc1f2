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

// brokenFaultHandling are programs that handle one kind of fault wrongly.
var brokenFaultHandling = []brokenCase{
	{"lister misses orders of the same time", "I11", Config{Plan: func(_ *Process, c *resubmit.PlanConfig) {
		var last time.Time
		c.Lister = changingLister{c.Lister, func(o *commerce.Order) bool {
			same := o.PlacedAt.Equal(last)
			last = o.PlacedAt
			return !same
		}}
	}}},
	{"lister leaves malformed rows out", "I11", Config{Plan: func(_ *Process, c *resubmit.PlanConfig) {
		c.Lister = changingLister{c.Lister, func(o *commerce.Order) bool { return len(o.Problems) == 0 }}
	}}},
	{"clients hide the problems of rows", "I18", Config{Plan: func(_ *Process, c *resubmit.PlanConfig) {
		c.Reader = changingReader{c.Reader, func(o *commerce.Order) { o.Problems = nil }}
		c.Lister = changingLister{c.Lister, func(o *commerce.Order) bool {
			o.Problems = nil
			return true
		}}
	}}},
	{"finder takes unreadable requests for none", "I18", Config{Plan: func(_ *Process, c *resubmit.PlanConfig) {
		c.Requests = ignoresMissingAnswers{c.Requests}
	}}},
	{"pusher repeats a push that a gateway answered", "I6", Config{Runner: wrapPusher(
		func(ctx context.Context, p resubmit.Pusher, id string, to commerce.Status) error {
			err := p.Push(ctx, id, to)
			if e, ok := errors.AsType[*commerce.Error](err); ok && e.Delivery == commerce.DeliveryUnknown &&
				e.HTTPStatus >= 300 {
				err = p.Push(ctx, id, to)
			}
			return err
		},
	)}},
	{"clients hide that credentials were refused", "credentials", Config{Runner: func(_ *Process, c *resubmit.Config) {
		clients := hidesDenials{c.Reader, c.Pusher}
		c.Reader, c.Pusher, c.Capabilities.Lists = clients, clients, false
	}}},
	{"pusher repeats a push after a panic", "I6", Config{First: 150, Runner: wrapPusher(
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

// changingLister changes the orders of a list, and leaves out those for which change returns false.
type changingLister struct {
	resubmit.OrderLister
	change func(*commerce.Order) bool
}

func (l changingLister) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		for o, err := range l.OrderLister.Orders(ctx, q) {
			if (err != nil || l.change(o)) && !yield(o, err) {
				return
			}
		}
	}
}

// ignoresMissingAnswers reports no requests for keys without an answer.
type ignoresMissingAnswers struct{ resubmit.RequestFinder }

func (f ignoresMissingAnswers) LatestRequests(
	ctx context.Context, keys []connect.RequestKey,
) (map[connect.RequestKey][]connect.LatestRequest, error) {
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

// hidesDenials are clients that hide that their credentials were refused.
type hidesDenials struct {
	resubmit.OrderReader
	resubmit.Pusher
}

func (c hidesDenials) Order(ctx context.Context, id string) (*commerce.Order, error) {
	o, err := c.OrderReader.Order(ctx, id)
	return o, withoutDenial(err)
}

func (c hidesDenials) Push(ctx context.Context, id string, to commerce.Status) error {
	return withoutDenial(c.Pusher.Push(ctx, id, to))
}

func withoutDenial(err error) error {
	if errors.Is(err, commerce.ErrUnauthorized) || errors.Is(err, commerce.ErrForbidden) {
		return &commerce.Error{Op: "call", HTTPStatus: http.StatusBadGateway, Delivery: commerce.DeliveryNotSent,
			Err: errors.New("no answer")}
	}
	return err
}

// quietScenario has five orders and no faults after the start of the program.
func quietScenario() *scenario {
	s := &scenario{seed: 1, programs: []programSpec{{plans: 1}}, twin: true, maxTries: 1, api: apiOrderManager,
		asyncHeals: true}
	s.limits = resubmit.Config{
		Guard: time.Minute, Policy: resubmit.Policy{SettleDelay: 240 * time.Second}, RateLimit: 10, Concurrency: 2,
		MaxDeferrals: 3,
		Verify: resubmit.VerifyConfig{InitialInterval: 10 * time.Second, MaxInterval: time.Minute,
			Timeout: 15 * time.Minute},
		Canary: resubmit.CanaryConfig{Steps: []int{}}, Breaker: resubmit.BreakerConfig{Failures: -1, Wait: time.Minute},
	}
	for i := range 5 {
		s.orders = append(s.orders, orderSpec{
			index: i, kind: commerce.TypeSales, product: quickProduct, subscription: 100 + i, tenant: 100 + i,
			cause:       causeWindow,
			placedAfter: time.Duration(i) * 5 * time.Second, reply: vendorReply{action: connecttest.VendorApprove,
				after: time.Minute},
		})
	}
	s.orders[1].cause = causeReached // it has a request in Connect
	return s
}

// TestMisbehavior simulates each misbehavior alone. It must happen, break no rule, and break one with a program that
// handles it wrongly.
func TestMisbehavior(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*scenario)
		events []string
		broken string // the case in brokenFaultHandling; "": none
	}{
		{
			"equal sort keys", func(s *scenario) { s.drawTies(newDice(1, 1)) },
			[]string{"order placed in the second of another"}, "lister misses orders of the same time",
		},
		{
			"unattributable requests",
			func(s *scenario) { s.unattributed = []unattributedSpec{{order: 1, kind: unattributedType}} },
			[]string{"request without a type"}, "finder takes unreadable requests for none",
		},
		{
			"gateway status after the action",
			func(s *scenario) {
				s.faults = []faultSpec{{call: callPush, order: 2, kind: faultStatusAfter, status: 499}}
			},
			[]string{"499 from a gateway after the server acted (push)"}, "pusher repeats a push that a gateway answered",
		},
		{
			"credentials refused", func(s *scenario) { s.denials = []denialSpec{{status: 401, call: 15}} },
			[]string{"runs ended by refused credentials"}, "clients hide that credentials were refused",
		},
		{
			"malformed orders",
			func(s *scenario) {
				s.malformed = []malformedSpec{{order: 2, kind: malformedAmountDigits}, {order: 3, kind: malformedRowNull}}
			},
			[]string{"malformed row: its amount has 100 digits (list)", "malformed row: its row is null (list)"},
			"clients hide the problems of rows",
		},
		{
			"malformed orders left out", func(s *scenario) { s.malformed = []malformedSpec{{order: 2, kind: malformedDateFar}} },
			[]string{"malformed row: its date is after the year 9999 (list)"}, "lister leaves malformed rows out",
		},
		{
			"panic after the action", func(s *scenario) { s.panics = []panicSpec{{call: callPush, order: 2, after: true}} },
			[]string{"panic after the call (push)"}, "pusher repeats a push after a panic",
		},
		{
			"panics everywhere",
			func(s *scenario) {
				s.panics = []panicSpec{{call: callRead, order: 2, n: 1}, {call: callEvent, order: -1, n: 3},
					{call: callList, order: -1}}
			},
			[]string{"panic before the call (read)", "panic before the call (event)", "panic before the call (list)"}, "",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := quietScenario()
			tt.change(s)
			o := simulate(t, &Config{}, s, true)
			require.Empty(t, o.violations, "%s", strings.Join(o.history, "\n"))
			for _, event := range tt.events {
				require.NotZero(t, o.counts[event], "%s\n%v\n%s", event, o.counts, strings.Join(o.history, "\n"))
			}
			require.NotZero(t, o.counts["twins compared"])
			i := slices.IndexFunc(brokenFaultHandling, func(c brokenCase) bool { return c.name == tt.broken })
			if i < 0 {
				require.Empty(t, tt.broken)
				return
			}
			broken := brokenFaultHandling[i]
			o = simulate(t, &broken.cfg, s, true)
			found := Failure{Violations: o.violations}
			require.True(t, found.Breaks(broken.rule), "%v\n%s", o.violations, strings.Join(o.history, "\n"))
		})
	}
}
