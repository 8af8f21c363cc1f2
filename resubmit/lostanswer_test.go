package resubmit_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// requestOf puts a request of subscription s in Connect.
func requestOf(s *shop, r connect.Request, failed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.ID == "" {
		r.ID = "PR-s"
	}
	k := connect.RequestKey{SubscriptionID: "s", Type: r.Type}
	s.requests[k] = []connect.LatestRequest{{Request: r, FailedInRow: failed}}
}

func TestSecondAttemptFollowsThePolicy(t *testing.T) {
	t.Parallel()
	const settle = defaultSettle
	hourAgo := func() time.Time { return time.Now().Add(-time.Hour) }
	again := func(o *shopOrder) { o.pushFaults = []fault{lostIgnored} }
	asked := func(s *shop, c *resubmit.Config) { c.Requests = s }
	tests := map[string]struct {
		order    func(o *shopOrder)
		shop     func(s *shop, c *resubmit.Config)
		attempts protocol.RetryPolicy
		outcome  protocol.Outcome
		why      string
		pushes   int           // that reached the server
		taken    int           // that it accepted
		unsent   int           // that the client says were not sent
		apart    time.Duration // the last two pushes, at least
	}{
		"the default allows two": {
			order: func(o *shopOrder) { o.pushFaults = []fault{lostIgnored, lostIgnored} }, outcome: "notMoved",
			why: "proven unchanged", pushes: 2, apart: 2 * settle,
		},
		"none is allowed": {
			order: again, attempts: protocol.RetryPolicy{MaxAttempts: 1}, outcome: "notMoved", why: "proven unchanged",
			pushes: 1,
		},
		"a second push goes out when the order is surely as it was": {
			order: again, attempts: protocol.RetryPolicy{MaxAttempts: 2}, outcome: "completed", why: "CP", pushes: 2, taken: 1,
			apart: 2 * settle,
		},
		"a third one needs the policy to allow three": {
			order:    func(o *shopOrder) { o.pushFaults = []fault{lostIgnored, lostIgnored} },
			attempts: protocol.RetryPolicy{MaxAttempts: 2}, outcome: "notMoved",
			why: "pushed 2 times without an answer", pushes: 2, apart: 2 * settle,
		},
		"a third one goes out when the policy allows three": {
			order:    func(o *shopOrder) { o.pushFaults = []fault{lostIgnored, lostIgnored} },
			attempts: protocol.RetryPolicy{MaxAttempts: 3}, outcome: "completed", why: "CP", pushes: 3, taken: 1,
			apart: 2 * settle,
		},
		"what is allowed for a type holds for it": {
			order: again,
			attempts: protocol.RetryPolicy{ByType: map[commerce.OrderType]protocol.RetryPolicy{"SO": {MaxAttempts: 2},
				"CH": {MaxAttempts: 9}}},
			outcome: "completed", why: "CP", pushes: 2, taken: 1, apart: 2 * settle,
		},
		"what is allowed for other types does not": {
			order: again,
			attempts: protocol.RetryPolicy{MaxAttempts: 5,
				ByType: map[commerce.OrderType]protocol.RetryPolicy{"SO": {MaxAttempts: 1}}},
			outcome: "notMoved", why: "proven unchanged", pushes: 1,
		},
		"the spacing is kept": {
			order: again, attempts: protocol.RetryPolicy{MaxAttempts: 2, Spacing: time.Hour}, outcome: "completed", why: "CP",
			pushes: 2, taken: 1, apart: time.Hour,
		},
		"the spacing of a type is kept": {
			order: again,
			attempts: protocol.RetryPolicy{MaxAttempts: 2, Spacing: -1,
				ByType: map[commerce.OrderType]protocol.RetryPolicy{"SO": {Spacing: 2 * time.Hour}}},
			outcome: "completed", why: "CP", pushes: 2, taken: 1, apart: 2 * time.Hour,
		},
		"a push that was accepted is not followed by another": {
			order:    func(o *shopOrder) { o.pushFaults = []fault{lostActed} },
			attempts: protocol.RetryPolicy{MaxAttempts: 9}, outcome: "completed", why: "CP", pushes: 1, taken: 1,
		},
		"an accepted push that failed in other words is not followed by another": {
			order: func(o *shopOrder) {
				o.pushFaults, o.fates = []fault{lostActed}, []fate{{time.Second, "PF", stillDown}}
			},
			attempts: protocol.RetryPolicy{MaxAttempts: 9}, outcome: "failedAgain",
			why:    "failed again for a new reason (transient)",
			pushes: 1, taken: 1,
		},
		"an accepted push that was answered is not followed by another, whatever comes of it": {
			order:    func(o *shopOrder) { o.fates = []fate{{time.Second, "PF", outage}} },
			attempts: protocol.RetryPolicy{MaxAttempts: 9}, outcome: "failedAgain",
			why: "failed again for the same reason (transient)", pushes: 1, taken: 1,
		},
		"a lost push that failed in the same words is pushed for its new failure, when that has settled": {
			order: func(o *shopOrder) {
				o.pushFaults, o.fates = []fault{lostActed}, []fate{{9 * time.Second, "PF", outage}}
			},
			attempts: protocol.RetryPolicy{MaxAttempts: 2}, outcome: "completed", why: "CP", pushes: 2, taken: 2,
			apart: settle + 9*time.Second,
		},
		"an order that somebody moves meanwhile is not pushed": {
			order: func(o *shopOrder) {
				again(o)
				due := time.Now().Add(settle + time.Minute)
				o.onRead = func(o *shopOrder) {
					if time.Now().After(due) {
						o.Status, o.Transitions = "CP", nil
					}
				}
			},
			attempts: protocol.RetryPolicy{MaxAttempts: 2}, outcome: "completed", why: "CP", pushes: 1,
		},
		"an order that moves right before the second push is not pushed": {
			order: func(o *shopOrder) {
				again(o)
				reads := 0
				o.onRead = func(o *shopOrder) {
					if reads++; reads == 4 { // the one before the second claim
						o.Status, o.Transitions = "CP", nil
					}
				}
			},
			attempts: protocol.RetryPolicy{MaxAttempts: 2}, outcome: "completed", why: "CP", pushes: 1,
		},
		"an order that offers nothing any more is not pushed": {
			order: func(o *shopOrder) {
				again(o)
				due := time.Now().Add(time.Minute)
				o.onRead = func(o *shopOrder) {
					if time.Now().After(due) {
						o.Transitions = []commerce.Transition{{To: "CL"}}
					}
				}
			},
			attempts: protocol.RetryPolicy{MaxAttempts: 2}, outcome: "unknown",
			why: "does not offer the transition to PD any more", pushes: 1,
		},
		"a second push that is refused ends the order, with the server's words": {
			order:    func(o *shopOrder) { o.pushFaults = []fault{lostIgnored, conflict} },
			attempts: protocol.RetryPolicy{MaxAttempts: 3}, outcome: "notMoved", why: "Commerce refused the push: ",
			pushes: 2,
			apart:  2 * settle,
		},
		"a second push that never left is tried again": {
			order:    func(o *shopOrder) { o.pushFaults = []fault{lostIgnored, notSent, badToken} },
			attempts: protocol.RetryPolicy{MaxAttempts: 2}, outcome: "completed", why: "CP", pushes: 4, taken: 1,
			unsent: 1,
		},
		"a second push that never leaves is given up": {
			order:    func(o *shopOrder) { o.pushFaults = []fault{lostIgnored, notSent, notSent, notSent, notSent} },
			attempts: protocol.RetryPolicy{MaxAttempts: 2}, outcome: "notMoved",
			why:    "given up after 4 tries: the push was not accepted",
			pushes: 5, unsent: 4,
		},
		"without known transitions nothing proves that the order is unchanged": {
			order: func(o *shopOrder) { o.silent, o.pushFaults = true, []fault{lostIgnored} },
			shop: func(_ *shop, c *resubmit.Config) {
				c.Targets = []commerce.Status{"PD", "RB"}
				c.Capabilities.Transitions = false
			},
			attempts: protocol.RetryPolicy{MaxAttempts: 2}, outcome: "unknown",
			why: "the client does not report why orders fail and which transitions they offer", pushes: 1,
		},
		"readings that fail when the time is up are made again": {
			order: func(o *shopOrder) {
				again(o)
				o.readFaults = []fault{fine, fine, broken, broken}
			},
			attempts: protocol.RetryPolicy{MaxAttempts: 2}, outcome: "completed", why: "CP", pushes: 2, taken: 1,
			apart: 2 * settle,
		},
		"readings that always fail end the watch": {
			order: func(o *shopOrder) {
				again(o)
				o.readFaults = []fault{fine}
				for range 100 {
					o.readFaults = append(o.readFaults, broken)
				}
			},
			shop:     func(s *shop, c *resubmit.Config) { c.Lister = &lister{shop: s, page: 10} }, // Commerce is up
			attempts: protocol.RetryPolicy{MaxAttempts: 2}, outcome: "unknown", why: "could not be read: ", pushes: 1,
		},
		"a request that was made since speaks against it": {
			order: again,
			shop: func(s *shop, c *resubmit.Config) {
				asked(s, c)
				requestOf(s, connect.Request{Type: "purchase", Status: "pending", Created: time.Now().Add(time.Second)}, 0)
			},
			attempts: protocol.RetryPolicy{MaxAttempts: 2}, outcome: "unknown", why: "in Connect PR-s was made at", pushes: 1,
		},
		"a request that was there before does not": {
			order: again,
			shop: func(s *shop, c *resubmit.Config) {
				asked(s, c)
				requestOf(s, connect.Request{Type: "purchase", Status: "approved", Created: hourAgo()}, 0)
			},
			attempts: protocol.RetryPolicy{MaxAttempts: 2}, outcome: "completed", why: "Connect approved PR-s", pushes: 2,
			taken: 1,
			apart: 2 * settle,
		},
		"a purchase that the vendor refused meanwhile speaks against it": {
			order: again,
			shop: func(s *shop, c *resubmit.Config) {
				asked(s, c)
				requestOf(s, connect.Request{Type: "purchase", Status: "failed", Created: hourAgo(), Updated: hourAgo()}, 1)
			},
			attempts: protocol.RetryPolicy{MaxAttempts: 2}, outcome: "unknown",
			why: "a request in Connect forbids it: the vendor refused the purchase", pushes: 1,
		},
		"Connect that fails is queried again": {
			order: again,
			shop: func(s *shop, c *resubmit.Config) {
				asked(s, c)
				s.answer("s", "approved", "")
				s.finderErr = errors.New("502")
				time.AfterFunc(2*settle+time.Second, func() { s.mu.Lock(); defer s.mu.Unlock(); s.finderErr = nil })
			},
			attempts: protocol.RetryPolicy{MaxAttempts: 2}, outcome: "completed", why: "approved", pushes: 2, taken: 1,
			apart: 2 * settle,
		},
		"Connect that always fails leaves it unknown": {
			order:    again,
			shop:     func(s *shop, c *resubmit.Config) { asked(s, c); s.finderErr = errors.New("502") },
			attempts: protocol.RetryPolicy{MaxAttempts: 2}, outcome: "unknown",
			why: "Connect could not be asked: 502", pushes: 1,
		},
		"a cancellation is pushed again when three cancels have failed": {
			order: func(o *shopOrder) { again(o); o.Type = "CL" },
			shop: func(s *shop, c *resubmit.Config) {
				asked(s, c)
				requestOf(s, connect.Request{Type: "cancel", Status: "failed", Created: hourAgo(), Updated: hourAgo()}, 3)
				s.onPush = func(context.Context, string) {
					if s.pushes() > 0 {
						requestOf(s, connect.Request{Type: "cancel", Status: "approved", Created: time.Now()}, 0)
					}
				}
			},
			attempts: protocol.RetryPolicy{MaxAttempts: 9, Spacing: time.Second}, outcome: "completed", why: "CP", pushes: 2,
			taken: 1,
			apart: 2 * settle,
		},
		"a cancellation is not pushed again when four cancels have failed": {
			order: func(o *shopOrder) { again(o); o.Type = "CL" },
			shop: func(s *shop, c *resubmit.Config) {
				asked(s, c)
				requestOf(s, connect.Request{Type: "cancel", Status: "failed", Created: hourAgo(), Updated: hourAgo()}, 4)
			},
			attempts: protocol.RetryPolicy{MaxAttempts: 9}, outcome: "unknown", why: "too many cancel requests failed in a row",
			pushes: 1,
		},
		"a cancellation is not pushed again without Connect": {
			order:    func(o *shopOrder) { again(o); o.Type = "CL" },
			shop:     func(_ *shop, c *resubmit.Config) { c.Requests = nil },
			attempts: protocol.RetryPolicy{MaxAttempts: 9}, outcome: "unknown",
			why: "Connect cannot be asked about the order", pushes: 1,
		},
		"cancellations have at most four pushes and five minutes between them": {
			order: func(o *shopOrder) {
				o.Type, o.pushFaults = "CL", []fault{lostIgnored, lostIgnored, lostIgnored, lostIgnored, lostIgnored}
			},
			shop: func(s *shop, c *resubmit.Config) {
				asked(s, c)
				c.SettleDelay, c.MaxResubmissions = time.Second, 9
			},
			attempts: protocol.RetryPolicy{MaxAttempts: 9, Spacing: time.Second}, outcome: "notMoved",
			why: "pushed 4 times without an answer", pushes: 4, apart: 300 * time.Second,
		},
		"a purchase waits no longer than its own spacing": {
			order:    again,
			shop:     func(_ *shop, c *resubmit.Config) { c.SettleDelay = time.Second },
			attempts: protocol.RetryPolicy{MaxAttempts: 2, Spacing: time.Minute}, outcome: "completed", why: "CP", pushes: 2,
			taken: 1,
			apart: time.Minute,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := outageOrder(1, "s")
				tt.order(o)
				s := newShop(o)
				s.answer("s", connect.StatusApproved, "")
				journal := journalOf(t)
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.Retry, c.Journal, c.Requests = tt.attempts, claimJournal{journal, s}, s
					if tt.shop != nil {
						tt.shop(s, c)
					}
				})
				report, err := r.Apply(t.Context(), planFor(t, o))
				require.NoError(t, err)
				item := itemOf(t, report, 1)
				require.Equal(t, tt.outcome, item.Outcome, item.Why)
				require.Contains(t, item.Why, tt.why)
				require.Len(t, s.ledger, tt.pushes)
				require.Equal(t, tt.taken, s.accepted("id-1"))
				require.Equal(t, tt.pushes-tt.unsent, item.Attempts)
				if n := len(s.ledger); tt.apart > 0 {
					require.GreaterOrEqual(t, s.ledger[n-1].at.Sub(s.ledger[n-2].at), tt.apart)
				}
				rec, err := journal.Get(t.Context(), protocol.OrderKey("id-1"))
				require.NoError(t, err)
				if rec.Order.Phase == protocol.Ended {
					require.Equal(t, tt.outcome, rec.Order.Outcome)
				}
				requireReadAndClaimBeforeEachPush(t, s)
			})
		})
	}
}

func requireReadAndClaimBeforeEachPush(t *testing.T, s *shop) {
	t.Helper()
	for i, step := range s.steps {
		if step == "push id-1" {
			require.Equal(t, []string{"read id-1", "claim id-1"}, s.steps[i-2:i])
		}
	}
}

// staleReader shows an order as it was for some time after its first push.
type staleReader struct {
	*shop
	old   commerce.Order
	until time.Duration
}

func (r staleReader) Order(ctx context.Context, id string) (*commerce.Order, error) {
	o, err := r.shop.Order(ctx, id)
	if n := r.pushes(); err == nil && n > 0 && time.Since(r.ledger[0].at) < r.until {
		return &r.old, nil
	}
	return o, err
}

func TestSecondAttemptIgnoresStaleReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s")
		o.pushFaults = []fault{lostActed}
		s := newShop(o)
		s.answer("s", connect.StatusApproved, "")
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Retry.MaxAttempts, c.Requests = 9, s
			c.Reader = staleReader{s, o.Order, defaultSettle - time.Second}
		})
		report, err := r.Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.Equal(t, protocol.Completed, itemOf(t, report, 1).Outcome)
		require.Len(t, s.ledger, 1)
	})
}

func TestSecondAttemptNeedsConnectToBeUpSinceThePush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		window := maintenance.Window{ID: "w", Start: start.Add(7 * time.Minute), End: start.Add(9 * time.Minute)}
		o, behind := outageOrder(1, "s"), outageOrder(2, "s")
		o.pushFaults = []fault{lostIgnored}
		s := newShop(o, behind)
		s.answer("s", connect.StatusApproved, "")
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Requests = s })
		report, err := r.Apply(t.Context(), planWith(t, []maintenance.Window{window}, entryFor(o), entryFor(behind)))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Unknown: 1, Blocked: 1}, report.Result)
		require.Contains(t, itemOf(t, report, 1).Why, "Connect was not up all the time since the push: in the maintenance w")
		require.Len(t, s.ledger, 1)
	})
}

func TestSecondAttemptDoesNotWaitForOrdersThatWaitForIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opens, other := outageOrder(1, "a"), outageOrder(2, "b") // which goes before the breaker opens
		tried, waits := outageOrder(3, "c"), outageOrder(4, "d")
		opens.fates = []fate{{time.Second, "PF", stillDown}}
		tried.pushFaults, waits.pushFaults = []fault{lostIgnored}, []fault{lostIgnored} // one of them is tried
		s := newShop(opens, other, tried, waits)
		for _, sub := range []string{"a", "b", "c", "d"} {
			s.answer(sub, connect.StatusApproved, "")
		}
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Concurrency, c.Breaker, c.Requests = 1, resubmit.BreakerConfig{Failures: 1, SampleSize: 1}, s
			c.Pusher = lengthyPusher{s, time.Minute}
		})
		report, err := r.Apply(t.Context(), planFor(t, opens, other, tried, waits))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 3, FailedAgain: 1}, report.Result)
		last := idsOf(s.ledger[len(s.ledger)-4:])
		require.Equal(t, last[0], last[1])
		require.Equal(t, last[2], last[3])
	})
}

func TestSecondAttemptThatIsNotMadeLeavesTheOrderUnknown(t *testing.T) {
	t.Parallel()
	ends := map[string]struct {
		end func(*resubmit.Runner)
		err error
	}{"drained": {(*resubmit.Runner).Drain, resubmit.ErrDrained},
		"cancelled": {(*resubmit.Runner).Cancel, resubmit.ErrCancelled}}
	whens := map[string]time.Duration{
		"before the order has settled": time.Minute, "while it is watched on": 6 * time.Minute,
		"while the second push waits": 11 * time.Minute,
	}
	for how, tt := range ends {
		for when, after := range whens {
			t.Run(how+" "+when, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					// It keeps the second push waiting from the eighth minute on.
					window := maintenance.Window{ID: "w", Start: start.Add(12 * time.Minute), End: start.Add(20 * time.Minute)}
					o := outageOrder(1, "s")
					o.pushFaults = []fault{lostIgnored}
					s := newShop(o)
					s.answer("s", connect.StatusApproved, "")
					r := runnerFor(t, s, func(c *resubmit.Config) { c.Requests = s })
					plan := planWith(t, []maintenance.Window{window}, entryFor(o))
					time.AfterFunc(after, func() { tt.end(r) })
					report, err := r.Apply(t.Context(), plan)
					require.ErrorIs(t, err, tt.err)
					require.Equal(t, 1, report.Result.Unknown+report.Result.NotMoved)
					require.Contains(t, itemOf(t, report, 1).Why, tt.err.Error()[len("resubmit: "):])
					require.Len(t, s.ledger, 1)

					report, err = r.Apply(t.Context(), plan)
					require.NoError(t, err)
					require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, report.Result)
					require.Len(t, s.ledger, 2)
					require.GreaterOrEqual(t, s.ledger[1].at.Sub(s.ledger[0].at), 2*defaultSettle)
				})
			})
		}
	}
}

func TestSecondAttemptAfterACrash(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		left    protocol.Order
		most    int
		outcome protocol.Outcome
		pushes  int
		takes   time.Duration // before the push, at least
	}{
		"a claim whose push may have been sent": {
			protocol.Order{Target: "PD", Phase: protocol.Claimed, Attempts: 1}, 2, protocol.Completed, 1, defaultSettle,
		},
		"an answer that was lost long ago": {
			protocol.Order{Target: "PD", Phase: protocol.Unanswered, Attempts: 1}, 2, protocol.Completed, 1, defaultSettle,
		},
		"a second claim counts as a second push": {
			protocol.Order{Target: "PD", Phase: protocol.Claimed, Attempts: 2}, 2, protocol.NotMoved, 0, 0,
		},
		"a second claim is followed by a third if that is allowed": {
			protocol.Order{Target: "PD", Phase: protocol.Claimed, Attempts: 2}, 3, protocol.Completed, 1, defaultSettle,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				o := outageOrder(1, "s")
				s, plan := newShop(o), planFor(t, o)
				s.answer("s", connect.StatusApproved, "")
				r := runnerFor(t, s, func(c *resubmit.Config) { c.Retry.MaxAttempts, c.Requests = tt.most, s })
				left := tt.left
				left.Number, left.Fingerprint = o.Number, entryFor(o).Fingerprint
				left.ClaimedAt, left.FirstClaimAt = start.Add(-time.Hour), start.Add(-time.Hour)
				left.SentAt = start.Add(-time.Hour)
				leaveRecord(t, plan.Digest(), "id-1", left)
				report, err := r.Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Equal(t, tt.outcome, itemOf(t, report, 1).Outcome, itemOf(t, report, 1).Why)
				require.Len(t, s.ledger, tt.pushes)
				if tt.pushes > 0 {
					require.GreaterOrEqual(t, s.ledger[0].at.Sub(start), tt.takes)
				}
			})
		})
	}
}

// leaveRecord puts the record of an order into the journal of a test, as an earlier run of a plan that has ended would.
func leaveRecord(t *testing.T, digest, id string, left protocol.Order) {
	t.Helper()
	j := journalOf(t)
	lease, err := j.Begin(t.Context(), resubmit.JournalUse{System: testSystem, Plan: digest})
	require.NoError(t, err)
	left.Run, left.Epoch = digest, lease.Epoch
	_, err = j.Put(t.Context(), resubmit.Durable, protocol.Record{Key: protocol.OrderKey(id), Order: &left})
	require.NoError(t, err)
}

func TestSecondAttemptIsMadeByOneOfTwoRunners(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s")
		s, plan := newShop(o), planFor(t, o)
		s.answer("s", connect.StatusApproved, "")
		now := time.Now()
		leaveRecord(t, plan.Digest(), "id-1", protocol.Order{
			Number: o.Number, Fingerprint: entryFor(o).Fingerprint, Phase: protocol.Unanswered, Attempts: 1, Target: "PD",
			ClaimedAt: now, FirstClaimAt: now, SentAt: now,
		})
		var both sync.WaitGroup
		for range 2 {
			r := runnerFor(t, s, func(c *resubmit.Config) { c.Retry.MaxAttempts, c.Requests = 9, s })
			both.Go(func() { _, _ = r.Apply(t.Context(), plan) })
		}
		both.Wait()
		require.Len(t, s.ledger, 1)
	})
}

func TestRetryPolicyIsValidated(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		policy protocol.RetryPolicy
		says   string
	}{
		"a negative count":   {protocol.RetryPolicy{MaxAttempts: -1}, "Config.Retry.MaxAttempts is -1"},
		"a negative spacing": {protocol.RetryPolicy{Spacing: -2}, "Config.Retry.Spacing is -2ns"},
		"a negative count of a type": {
			protocol.RetryPolicy{ByType: map[commerce.OrderType]protocol.RetryPolicy{"CL": {MaxAttempts: -3}}},
			`Config.Retry.ByType["CL"].MaxAttempts is -3`,
		},
		"types of a type": {
			protocol.RetryPolicy{ByType: map[commerce.OrderType]protocol.RetryPolicy{
				"CL": {ByType: map[commerce.OrderType]protocol.RetryPolicy{}},
			}},
			`Config.Retry.ByType["CL"] has a ByType of its own`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop()
			_, err := resubmit.NewRunner(resubmit.Config{
				Systems: systemsOf(resubmit.Systems{Reader: s, Pusher: s}), Journal: journalOf(t),
				Policy: resubmit.Policy{Retry: tt.policy},
			})
			require.ErrorContains(t, err, tt.says)
		})
	}
}

func TestSecondAttemptDoesNotWaitForItsOwnSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := manyOrders(4)
		for _, o := range orders {
			o.pushFaults = []fault{lostIgnored}
		}
		s := newShop(orders...)
		for i := range orders {
			s.answer(fmt.Sprint(i), connect.StatusApproved, "")
		}
		f := frail{s, newMeter(), 1}
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Systems = resubmit.SystemsOf(f, nil)
			c.Requests, c.Retry.MaxAttempts = s, 2
		})
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		report, err := r.Apply(ctx, planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, 4, report.Result.Completed, report.Result)
		require.Equal(t, 1, f.busy.most)
	})
}

func idsOf(ledger []pushed) []string {
	ids := make([]string, len(ledger))
	for i, l := range ledger {
		ids[i] = l.id
	}
	return ids
}

// A gateway that answers a push instead of Commerce has probably not passed it on, so that the push does not count.
// A success that cannot be read may be of Commerce, and a fault is.
func TestUnreadableSuccessCountsAsAnAttempt(t *testing.T) {
	t.Parallel()
	fault := &commerce.Error{Op: "push order", HTTPStatus: 500, Err: &commerce.Fault{Code: 7}}
	for name, tt := range map[string]struct {
		answer *commerce.Error
		pushes int
	}{
		"a page with 200": {refusal(200, commerce.DeliveryUnknown), 1},
		"a fault":         {fault, 1},
		"a redirect":      {refusal(302, commerce.DeliveryUnknown), 2},
		"a gateway":       {refusal(502, commerce.DeliveryUnknown), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := outageOrder(1, "s")
				failsAtOnce := fate{after: time.Millisecond, status: "PF", reason: outage}
				o.SubscriptionIDs, o.fates = nil, []fate{failsAtOnce, failsAtOnce}
				s := newShop(o)
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.Pusher, c.Retry.MaxAttempts = &actingPusher{shop: s, answers: []*commerce.Error{tt.answer}}, 1
				})
				report, err := r.Apply(t.Context(), planFor(t, o))
				require.NoError(t, err)
				require.Equal(t, tt.pushes, s.pushes(), itemOf(t, report, 1).Why)
			})
		})
	}
}
