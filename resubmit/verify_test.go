package resubmit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

func TestVerifyChecksBothSystems(t *testing.T) {
	t.Parallel()
	fails := func(reason string) func(*shopOrder) {
		return func(o *shopOrder) { o.fates = []fate{{3 * time.Second, "PF", reason}} }
	}
	stays := func(status commerce.Status) func(*shopOrder) {
		return func(o *shopOrder) { o.fates = []fate{{3 * time.Second, status, ""}} }
	}
	answers := func(status connect.RequestStatus) func(*shop) {
		return func(s *shop) { s.answer("s", status, "vendor's words") }
	}
	tests := map[string]struct {
		order   func(*shopOrder)
		connect func(*shop)
		config  func(*resubmit.Config)
		outcome protocol.Outcome
		why     string
		took    time.Duration
	}{
		"both say that it is done": {nil, answers("approved"), nil, "completed",
			"Commerce says CP, and Connect approved PR-s", 10 * time.Second},
		"provisioned is enough": {stays("WZ"), answers("approved"), nil, "completed", "Commerce says WZ",
			10 * time.Second},
		"Connect says that it failed": {nil, answers("failed"), nil, "falseSuccess",
			"in Connect PR-s is failed: vendor's words", 310 * time.Second},
		"Connect says it was revoked": {nil, answers("revoked"), nil, "falseSuccess", "PR-s is revoked", 310 * time.Second},
		"Connect has no such request": {nil, nil, nil, "falseSuccess", "Connect has no purchase request for subscription s",
			310 * time.Second},
		"the vendor must act": {nil, answers("pending"), nil, "progressing", "PR-s is pending: the vendor must act",
			30 * time.Minute},
		"the customer must act": {nil, answers("inquiring"), nil, "progressing", "the customer must act", 30 * time.Minute},
		"somebody must act": {nil, answers("new one"), nil, "progressing", "PR-s is new one: somebody must act",
			30 * time.Minute},
		"a request that was over before the order was placed is not its own": {nil, func(s *shop) {
			s.answer("s", "approved", "")
			k := connect.RequestKey{SubscriptionID: "s", Type: connect.TypePurchase}
			s.requests[k][0].Request.Updated = time.Now().Add(-3 * time.Hour)
		}, nil, "falseSuccess", "has no purchase request", 310 * time.Second},
		"one asset of two failed": {nil, func(s *shop) {
			s.answer("s", "approved", "")
			k := connect.RequestKey{SubscriptionID: "s", Type: connect.TypePurchase}
			s.requests[k] = append(s.requests[k], connect.LatestRequest{Request: connect.Request{ID: "PR-2", Status: "failed"}})
		}, nil, "falseSuccess", "PR-2 is failed: no reason given", 310 * time.Second},
		"Connect approves later": {nil, func(s *shop) {
			s.answer("s", "pending", "")
			time.AfterFunc(time.Minute, func() { s.answer("s", "approved", "") })
		}, nil, "completed", "Connect approved PR-s", 70 * time.Second},
		"Connect lags behind Commerce by some minutes": {nil, func(s *shop) {
			time.AfterFunc(4*time.Minute, func() { s.answer("s", "approved", "") })
		}, nil, "completed", "Connect approved PR-s", 310 * time.Second},
		"Connect may lag at the end of the time too": {func(o *shopOrder) { o.fates = []fate{{29 * time.Minute, "CP", ""}} },
			nil, nil,
			"falseSuccess", "has no purchase request", 35 * time.Minute},
		"Connect may lag no longer than the time for all": {nil, nil,
			func(c *resubmit.Config) { c.Verify.Timeout = time.Minute },
			"falseSuccess", "has no purchase request", 70 * time.Second},
		"without a grace the first poll decides": {nil, nil, func(c *resubmit.Config) { c.Verify.ConnectGrace = -1 },
			"falseSuccess", "has no purchase request", 10 * time.Second},
		"four failed cancels in a row that Commerce reports as done are found": {func(o *shopOrder) { o.Type = "CL" },
			func(s *shop) {
				s.requests[connect.RequestKey{SubscriptionID: "s", Type: connect.TypeCancel}] = []connect.LatestRequest{
					{Request: connect.Request{ID: "PR-5", Status: "failed", Reason: "no"}, FailedInRow: 5},
				}
			}, nil, "falseSuccess", "PR-5 is failed: no", 310 * time.Second},
		"Connect cannot be queried": {nil, func(s *shop) { s.finderErr = errors.New("502 Bad Gateway") }, nil,
			"progressing", "Commerce says CP; Connect could not be queried: 502 Bad Gateway", 30 * time.Minute},
		"Connect can be queried again": {nil, func(s *shop) {
			s.finderErr = errors.New("502 Bad Gateway")
			s.answer("s", "approved", "")
			time.AfterFunc(time.Minute, func() { s.mu.Lock(); defer s.mu.Unlock(); s.finderErr = nil })
		}, nil, "completed", "Connect approved PR-s", 70 * time.Second},
		"a type without requests needs no Connect": {func(o *shopOrder) { o.Type = "RN" }, nil, nil,
			"completed", "orders of type RN have no request in Connect", 10 * time.Second},
		"a suspension that Commerce reports as done is looked up in Connect": {func(o *shopOrder) { o.Type = "XX" },
			func(s *shop) {
				s.requests[connect.RequestKey{SubscriptionID: "s", Type: connect.TypeSuspend}] = []connect.LatestRequest{
					{Request: connect.Request{ID: "PR-9", Status: "failed", Reason: "no"}},
				}
			},
			func(c *resubmit.Config) {
				c.RequestTypes = map[commerce.OrderType]connect.RequestType{"XX": connect.TypeSuspend}
			}, "falseSuccess", "PR-9 is failed: no", 310 * time.Second},
		"the tenant is the better key": {func(o *shopOrder) { o.TenantID = "t" }, func(s *shop) {
			s.answer("s", "failed", "")
			s.requests[connect.RequestKey{TenantID: "t", Type: connect.TypePurchase}] = []connect.LatestRequest{
				{Request: connect.Request{ID: "PR-t", Status: "approved"}},
			}
		}, nil, "completed", "approved PR-t", 10 * time.Second},
		"an order without keys is confirmed by Commerce alone": {func(o *shopOrder) { o.SubscriptionIDs = nil }, nil, nil,
			"completed", "names neither a tenant nor a subscription", 10 * time.Second},
		"it fails again for the same reason, and is given the settle time to leave": {fails(outage), nil, nil,
			"failedAgain", "failed again for the same reason (transient): " + outage, 310 * time.Second},
		"it fails again for another reason": {fails("Vendor has failed request PR-1"), nil, nil,
			"failedAgain", "failed again for a new reason (permanent): Vendor has failed", 10 * time.Second},
		"it fails again without a reason": {func(o *shopOrder) {
			o.Failure.Messages = nil
			o.fates = []fate{{after: time.Second, status: "PF"}}
		}, nil, nil, "failedAgain", "failed again, without a reason", 310 * time.Second},
		"it is cancelled meanwhile": {stays("CL"), nil, nil, "failedAgain", "ended as CL, without being provisioned",
			10 * time.Second},
		"its payment is not authorized": {stays("AF"), nil, nil, "failedAgain", "ended as AF, without being provisioned",
			10 * time.Second},
		"its top-up fails": {stays("TF"), nil, nil, "failedAgain", "ended as TF, without being provisioned",
			10 * time.Second},
		"Commerce is at it for ever": {stays(""), nil, nil, "progressing", "the order is PR: Commerce must act",
			30 * time.Minute},
		"Commerce is processing and Connect shows who must act": {stays(""), answers("tiers_setup"), nil,
			"progressing", "the order is PR, and in Connect PR-s is tiers_setup: a tier account must act", 30 * time.Minute},
		"Commerce is processing and Connect cannot be queried": {stays(""), func(s *shop) { s.finderErr = errors.New("down") }, nil,
			"progressing", "could not be queried for who must act: down", 30 * time.Minute},
		"a person must act": {stays("MO"), nil, nil, "progressing", "a person must act in Commerce", 30 * time.Minute},
		"one poll without waiting": {stays(""), nil, func(c *resubmit.Config) { c.Verify.Timeout = -1 },
			"progressing", "the order is PR", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				o := outageOrder(1, "s")
				s := newShop(o)
				if tt.order != nil {
					tt.order(o)
				}
				if tt.connect != nil {
					tt.connect(s)
				}
				journal := journalOf(t)
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.Requests, c.Journal = s, journal
					if tt.config != nil {
						tt.config(c)
					}
				})
				report, err := r.Apply(t.Context(), planFor(t, o))
				require.NoError(t, err)
				item := itemOf(t, report, 1)
				require.Equal(t, tt.outcome, item.Outcome, item.Why)
				require.Contains(t, item.Why, tt.why)
				require.Equal(t, tt.took, time.Since(start).Truncate(time.Second))
				require.Equal(t, 1, s.accepted("id-1"))
				require.True(t, report.ConnectAsked)
				rec, err := journal.Get(t.Context(), protocol.OrderKey("id-1"))
				require.NoError(t, err)
				if tt.outcome == protocol.Progressing {
					require.Equal(t, protocol.Pushed, rec.Order.Phase)
				} else {
					require.Equal(t, tt.outcome, rec.Order.Outcome)
				}
			})
		})
	}
}

// The failed request of a false success is visible in Connect at once. Only one that failed before the push may be
// followed by another, since Connect may be some minutes behind.
func TestVerifySeesAFalseSuccessAtOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		after time.Duration // the push, when the request fails
		took  time.Duration
	}{
		"failed since the push":  {3 * time.Second, 10 * time.Second},
		"failed before the push": {-time.Hour, 310 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				o := outageOrder(1, "s")
				s := newShop(o)
				s.onPush = func(context.Context, string) {
					time.AfterFunc(max(0, tt.after), func() {
						s.answer("s", connect.StatusFailed, "no credit")
						s.mu.Lock()
						defer s.mu.Unlock()
						s.requests[connect.RequestKey{SubscriptionID: "s", Type: connect.TypePurchase}][0].Request.Updated =
							start.Add(tt.after)
					})
				}
				r := runnerFor(t, s, func(c *resubmit.Config) { c.Requests = s })
				report, err := r.Apply(t.Context(), planFor(t, o))
				require.NoError(t, err)
				item := itemOf(t, report, 1)
				require.Equal(t, protocol.FalseSuccess, item.Outcome)
				require.Contains(t, item.Why, "in Connect PR-s is failed: no credit")
				require.Equal(t, tt.took, time.Since(start).Truncate(time.Second))
			})
		})
	}
}

// If the clock was set back since the push, nobody knows whether a request failed before it.
func TestVerifyWaitsForConnectAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s")
		s := newShop(o)
		p, j := planFor(t, o), journalOf(t)
		ctx, cancel := context.WithCancel(t.Context())
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.OnEvent = func(e resubmit.Event) {
				if _, ok := e.(resubmit.PushAccepted); ok {
					cancel()
				}
			}
		})
		_, err := r.Apply(ctx, p)
		require.ErrorIs(t, err, context.Canceled)
		rec, err := j.Get(t.Context(), protocol.OrderKey("id-1"))
		require.NoError(t, err)
		for _, at := range []*time.Time{&rec.At, &rec.Order.ClaimedAt, &rec.Order.FirstClaimAt, &rec.Order.SentAt} {
			*at = at.Add(time.Hour)
		}
		_, err = j.Put(t.Context(), resubmit.Durable, rec)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		s.answer("s", connect.StatusFailed, "no credit")
		start := time.Now()
		report, err := runnerFor(t, s, func(c *resubmit.Config) { c.Requests = s }).Apply(t.Context(), p)
		require.NoError(t, err)
		require.Equal(t, protocol.FalseSuccess, itemOf(t, report, 1).Outcome)
		require.GreaterOrEqual(t, time.Since(start), 5*time.Minute)
	})
}

func TestVerifyEndsIfTheOrderCannotBeRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		o := outageOrder(1, "s")
		o.readFaults = append([]fault{fine}, slices.Repeat([]fault{broken}, 100)...)
		s := newShop(o)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Lister = &lister{shop: newShop(), page: 10} }) // Commerce is up
		report, err := r.Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		item := itemOf(t, report, 1)
		require.Equal(t, protocol.Progressing, item.Outcome)
		require.Contains(t, item.Why, "the order could not be read: ")
		require.InDelta(t, 31*time.Minute, time.Since(start), float64(2*time.Minute))
	})
}

func TestVerifyTakesNoStaleAnswerForAnotherFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s")
		o.fates = []fate{{time.Hour, commerce.StatusCompleted, ""}}
		o.readFaults = []fault{fine, fine, stale}
		r := runnerFor(t, newShop(o), nil)
		report, err := r.Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.Equal(t, protocol.Progressing, itemOf(t, report, 1).Outcome)
	})
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s")
		o.fates = []fate{{15 * time.Second, commerce.StatusProvisioningFailed, outage}}
		start := time.Now()
		report, err := runnerFor(t, newShop(o), nil).Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.Equal(t, protocol.FailedAgain, itemOf(t, report, 1).Outcome)
		require.Equal(t, 70*time.Second, time.Since(start).Truncate(10*time.Second), "two polls see the same failure")
	})
}

func TestVerifyHonorsConnectGraceOverCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		o := outageOrder(1, "s")
		s := newShop(o)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Requests, c.Verify.Timeout = s, -1 })
		plan := planFor(t, o)
		var item resubmit.Item
		for item.Outcome == "" || item.Outcome == protocol.Progressing {
			report, err := r.Apply(t.Context(), plan)
			require.NoError(t, err)
			item = itemOf(t, report, 1)
			<-time.After(time.Minute)
		}
		require.Equal(t, protocol.FalseSuccess, item.Outcome)
		// It is first seen to be done a minute after the push.
		require.InDelta(t, 7*time.Minute, time.Since(start), float64(time.Second))
	})
}

func TestVerifyGroupsFailureReasons(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var orders []*shopOrder
		for n := range 6 {
			o := outageOrder(n, "")
			switch {
			case n < 3:
				o.fates = []fate{{time.Second, "PF", stillDown}}
			case n < 5:
				o.fates = []fate{{time.Second, "PF", fmt.Sprintf("Vendor has failed request PR-1234-5678-00%d", n)}}
			}
			orders = append(orders, o)
		}
		r := runnerFor(t, newShop(orders...), func(c *resubmit.Config) { c.Breaker.Failures, c.OmitItems = -1, true })
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1, FailedAgain: 5}, report.Result)
		require.Equal(t, 5, report.FailedAgain.Orders)
		groups := report.FailedAgain.Groups
		require.Len(t, groups, 2)
		require.Equal(t, 3, groups[0].Count)
		require.Equal(t, failure.Transient, groups[0].Class)
		require.Equal(t, 2, groups[1].Count)
		require.Equal(t, failure.Permanent, groups[1].Class)
	})
}

func TestVerifyUsesTheClassifier(t *testing.T) {
	t.Parallel()
	const text = "Tenant bridge refused"
	own, err := failure.NewClassifier(failure.Pattern{ID: "bridge", Class: failure.Transient,
		Match: []string{"tenant bridge"}})
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		classifier *failure.Classifier
		class      failure.Class
		opens      bool // the breaker, as Connect seems still to be down
	}{
		"as ever":          {nil, failure.Unclassified, false},
		"as the user says": {own, failure.Transient, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var orders []*shopOrder
				for n := range 9 {
					o := outageOrder(n, fmt.Sprint(n))
					o.fates = []fate{{time.Second, "PF", text}}
					orders = append(orders, o)
				}
				seen := new(breakerDiary)
				r := runnerFor(t, newShop(orders...), func(c *resubmit.Config) { c.Classifier, c.OnEvent = tt.classifier, seen.on })
				report, err := r.Apply(t.Context(), planFor(t, orders...))
				require.NoError(t, err)
				require.Equal(t, resubmit.OutcomeCounts{FailedAgain: 9}, report.Result)
				require.Equal(t, tt.opens, len(seen.turns) > 0)
				require.Equal(t, tt.class, report.FailedAgain.Groups[0].Class)
				require.Equal(t, tt.class, itemOf(t, report, 0).AfterClass)
				require.Equal(t, fmt.Sprintf("failed again for a new reason (%s): %s", tt.class, text), itemOf(t, report, 0).Why)
			})
		})
	}
}

// silentFinder answers for no key.
type silentFinder struct{}

func (silentFinder) LatestRequests(context.Context,
	[]connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	return nil, nil
}

func TestVerifyNeedsAnAnswerForEachKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s")
		s := newShop(o)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Requests = silentFinder{} })
		report, err := r.Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.Contains(t, itemOf(t, report, 1).Why, "Connect could not be queried: it returned nothing for subscription s")
	})
}
