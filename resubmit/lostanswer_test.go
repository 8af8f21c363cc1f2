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
		attempts resubmit.RetryPolicy
		outcome  resubmit.Outcome
		why      string
		pushes   int           // that reached the server
		taken    int           // that it accepted
		apart    time.Duration // the last two pushes, at least
	}{
		"the default allows none": {
			order: again, outcome: "unknown", why: "the policy allows no second push: check the order", pushes: 1,
		},
		"a second push goes out when the order is surely as it was": {
			order: again, attempts: resubmit.RetryPolicy{MaxAttempts: 2}, outcome: "completed", why: "CP", pushes: 2, taken: 1,
			apart: 2 * settle,
		},
		"a third one needs the policy to allow three": {
			order:    func(o *shopOrder) { o.pushFaults = []fault{lostIgnored, lostIgnored} },
			attempts: resubmit.RetryPolicy{MaxAttempts: 2}, outcome: "unknown",
			why: "2 pushes without an answer are all that the policy allows", pushes: 2, apart: 2 * settle,
		},
		"a third one goes out when the policy allows three": {
			order:    func(o *shopOrder) { o.pushFaults = []fault{lostIgnored, lostIgnored} },
			attempts: resubmit.RetryPolicy{MaxAttempts: 3}, outcome: "completed", why: "CP", pushes: 3, taken: 1,
			apart: 2 * settle,
		},
		"what is allowed for a type holds for it": {
			order: again,
			attempts: resubmit.RetryPolicy{ByType: map[commerce.OrderType]resubmit.RetryPolicy{"SO": {MaxAttempts: 2},
				"CH": {MaxAttempts: 9}}},
			outcome: "completed", why: "CP", pushes: 2, taken: 1, apart: 2 * settle,
		},
		"what is allowed for other types does not": {
			order: again,
			attempts: resubmit.RetryPolicy{MaxAttempts: 5,
				ByType: map[commerce.OrderType]resubmit.RetryPolicy{"SO": {MaxAttempts: 1}}},
			outcome: "unknown", why: "allows no second push", pushes: 1,
		},
		"the spacing is kept": {
			order: again, attempts: resubmit.RetryPolicy{MaxAttempts: 2, Spacing: time.Hour}, outcome: "completed", why: "CP",
			pushes: 2, taken: 1, apart: time.Hour,
		},
		"the spacing of a type is kept": {
			order: again,
			attempts: resubmit.RetryPolicy{MaxAttempts: 2, Spacing: -1,
				ByType: map[commerce.OrderType]resubmit.RetryPolicy{"SO": {Spacing: 2 * time.Hour}}},
			outcome: "completed", why: "CP", pushes: 2, taken: 1, apart: 2 * time.Hour,
		},
		"a push that was accepted is not followed by another": {
			order:    func(o *shopOrder) { o.pushFaults = []fault{lostActed} },
			attempts: resubmit.RetryPolicy{MaxAttempts: 9}, outcome: "completed", why: "CP", pushes: 1, taken: 1,
		},
		"an accepted push that failed in other words is not followed by another": {
			order: func(o *shopOrder) {
				o.pushFaults, o.fates = []fault{lostActed}, []fate{{time.Second, "PF", stillDown}}
			},
			attempts: resubmit.RetryPolicy{MaxAttempts: 9}, outcome: "failedAgain",
			why:    "failed again for a new reason (transient)",
			pushes: 1, taken: 1,
		},
		"an accepted push that was answered is not followed by another, whatever comes of it": {
			order:    func(o *shopOrder) { o.fates = []fate{{time.Second, "PF", outage}} },
			attempts: resubmit.RetryPolicy{MaxAttempts: 9}, outcome: "failedAgain",
			why: "failed again for the same reason (transient)", pushes: 1, taken: 1,
		},
		"a lost push that failed in the same words is pushed for its new failure, when that has settled": {
			order: func(o *shopOrder) {
				o.pushFaults, o.fates = []fault{lostActed}, []fate{{9 * time.Second, "PF", outage}}
			},
			attempts: resubmit.RetryPolicy{MaxAttempts: 2}, outcome: "completed", why: "CP", pushes: 2, taken: 2,
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
			attempts: resubmit.RetryPolicy{MaxAttempts: 2}, outcome: "completed", why: "CP", pushes: 1,
		},
		"an order that moves right before the second push is not pushed": {
			order: func(o *shopOrder) {
				again(o)
				reads := 0
				o.onRead = func(o *shopOrder) {
					if reads++; reads == 12 { // the one behind the second intent
						o.Status, o.Transitions = "CP", nil
					}
				}
			},
			attempts: resubmit.RetryPolicy{MaxAttempts: 2}, outcome: "completed", why: "CP", pushes: 1,
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
			attempts: resubmit.RetryPolicy{MaxAttempts: 2}, outcome: "unknown",
			why: "offers no transition that resubmits it; it offers [CL]: check", pushes: 1,
		},
		"a second push that is refused leaves the order unknown, with the server's words": {
			order:    func(o *shopOrder) { o.pushFaults = []fault{lostIgnored, conflict} },
			attempts: resubmit.RetryPolicy{MaxAttempts: 3}, outcome: "unknown", why: "Commerce refused the push to PD: ",
			pushes: 2,
			apart:  2 * settle,
		},
		"a second push that never left is tried again": {
			order:    func(o *shopOrder) { o.pushFaults = []fault{lostIgnored, notSent, badToken} },
			attempts: resubmit.RetryPolicy{MaxAttempts: 2}, outcome: "completed", why: "CP", pushes: 4, taken: 1,
		},
		"a second push that never leaves is given up, and the order is unknown": {
			order:    func(o *shopOrder) { o.pushFaults = []fault{lostIgnored, notSent, notSent, notSent, notSent} },
			attempts: resubmit.RetryPolicy{MaxAttempts: 2}, outcome: "unknown",
			why:    "given up after 4 tries: the push was not sent",
			pushes: 5,
		},
		"the next target of a second push is tried without known transitions": {
			order: func(o *shopOrder) {
				o.silent, o.pushFaults, o.Transitions = true, []fault{lostIgnored}, []commerce.Transition{{To: "RB"}}
			},
			shop:     func(_ *shop, c *resubmit.Config) { c.Targets = []commerce.Status{"PD", "RB"} },
			attempts: resubmit.RetryPolicy{MaxAttempts: 2}, outcome: "completed", why: "CP", pushes: 3, taken: 1,
		},
		"readings that fail when the time is up are made again": {
			order: func(o *shopOrder) {
				again(o)
				o.readFaults = []fault{fine, fine, fine, fine, fine, broken, broken}
			},
			attempts: resubmit.RetryPolicy{MaxAttempts: 2}, outcome: "completed", why: "CP", pushes: 2, taken: 1,
			apart: 3 * settle,
		},
		"readings that always fail end the watch": {
			order: func(o *shopOrder) {
				again(o)
				o.readFaults = []fault{fine}
				for range 100 {
					o.readFaults = append(o.readFaults, broken)
				}
			},
			attempts: resubmit.RetryPolicy{MaxAttempts: 2}, outcome: "unknown", why: "could not be read: ", pushes: 1,
		},
		"a request that was made since speaks against it": {
			order: again,
			shop: func(s *shop, c *resubmit.Config) {
				asked(s, c)
				requestOf(s, connect.Request{Type: "purchase", Status: "pending", Created: time.Now().Add(time.Second)}, 0)
			},
			attempts: resubmit.RetryPolicy{MaxAttempts: 2}, outcome: "unknown", why: "in Connect PR-s was made at", pushes: 1,
		},
		"a request that was there before does not": {
			order: again,
			shop: func(s *shop, c *resubmit.Config) {
				asked(s, c)
				requestOf(s, connect.Request{Type: "purchase", Status: "approved", Created: hourAgo()}, 0)
			},
			attempts: resubmit.RetryPolicy{MaxAttempts: 2}, outcome: "completed", why: "Connect approved PR-s", pushes: 2,
			taken: 1,
			apart: 2 * settle,
		},
		"a purchase that the vendor refused meanwhile speaks against it": {
			order: again,
			shop: func(s *shop, c *resubmit.Config) {
				asked(s, c)
				requestOf(s, connect.Request{Type: "purchase", Status: "failed", Created: hourAgo(), Updated: hourAgo()}, 1)
			},
			attempts: resubmit.RetryPolicy{MaxAttempts: 2}, outcome: "unknown",
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
			attempts: resubmit.RetryPolicy{MaxAttempts: 2}, outcome: "completed", why: "approved", pushes: 2, taken: 1,
			apart: 2 * settle,
		},
		"Connect that always fails leaves it unknown": {
			order:    again,
			shop:     func(s *shop, c *resubmit.Config) { asked(s, c); s.finderErr = errors.New("502") },
			attempts: resubmit.RetryPolicy{MaxAttempts: 2}, outcome: "unknown",
			why: "given up after 4 tries: Connect could not be queried: 502", pushes: 1,
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
			attempts: resubmit.RetryPolicy{MaxAttempts: 9, Spacing: time.Second}, outcome: "completed", why: "CP", pushes: 2,
			taken: 1,
			apart: 2 * settle,
		},
		"a cancellation is not pushed again when four cancels have failed": {
			order: func(o *shopOrder) { again(o); o.Type = "CL" },
			shop: func(s *shop, c *resubmit.Config) {
				asked(s, c)
				requestOf(s, connect.Request{Type: "cancel", Status: "failed", Created: hourAgo(), Updated: hourAgo()}, 4)
			},
			attempts: resubmit.RetryPolicy{MaxAttempts: 9}, outcome: "unknown", why: "too many cancel requests failed in a row",
			pushes: 1,
		},
		"a cancellation is not pushed again without Connect": {
			order:    func(o *shopOrder) { again(o); o.Type = "CL" },
			attempts: resubmit.RetryPolicy{MaxAttempts: 9}, outcome: "unknown",
			why: "if Connect cannot be queried for failed ones", pushes: 1,
		},
		"cancellations have at most four pushes and five minutes between them": {
			order: func(o *shopOrder) {
				o.Type, o.pushFaults = "CL", []fault{lostIgnored, lostIgnored, lostIgnored, lostIgnored, lostIgnored}
			},
			shop: func(s *shop, c *resubmit.Config) {
				asked(s, c)
				c.SettleDelay = -1
			},
			attempts: resubmit.RetryPolicy{MaxAttempts: 9, Spacing: time.Second}, outcome: "unknown",
			why: "4 pushes without an answer are all", pushes: 4, apart: 300 * time.Second,
		},
		"a purchase waits no longer than its own spacing": {
			order:    again,
			shop:     func(_ *shop, c *resubmit.Config) { c.SettleDelay = time.Second },
			attempts: resubmit.RetryPolicy{MaxAttempts: 2, Spacing: time.Minute}, outcome: "completed", why: "CP", pushes: 2,
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
				journal := new(resubmit.MemoryJournal)
				r := runnerFor(t, s, func(c *resubmit.Config) {
					c.Retry, c.Journal = tt.attempts, intentJournal{journal, s}
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
				require.Equal(t, tt.pushes, item.Attempts)
				if n := len(s.ledger); tt.apart > 0 {
					require.GreaterOrEqual(t, s.ledger[n-1].at.Sub(s.ledger[n-2].at), tt.apart)
				}
				rec, _, err := journal.Get("id-1")
				require.NoError(t, err)
				require.Equal(t, tt.pushes, rec.Attempt)
				require.Equal(t, string(tt.outcome), string(rec.State))
				requireIntentAndReadingBeforeEachPush(t, s)
			})
		})
	}
}

func requireIntentAndReadingBeforeEachPush(t *testing.T, s *shop) {
	t.Helper()
	for i, step := range s.steps {
		if step == "push id-1" {
			require.Equal(t, []string{"intent id-1", "read id-1"}, s.steps[i-2:i])
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
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Retry.MaxAttempts = 9
			c.Reader = staleReader{s, o.Order, defaultSettle - time.Second}
		})
		report, err := r.Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCompleted, itemOf(t, report, 1).Outcome)
		require.Len(t, s.ledger, 1)
	})
}

func TestSecondAttemptWaitsForTheGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		window := maintenance.Window{ID: "w", Start: start.Add(7 * time.Minute), End: start.Add(20 * time.Minute)}
		o, behind := outageOrder(1, "s"), outageOrder(2, "s")
		o.pushFaults = []fault{lostIgnored}
		s := newShop(o, behind)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Retry.MaxAttempts = 2 })
		report, err := r.Apply(t.Context(), planWith(t, []maintenance.Window{window}, entryFor(o), entryFor(behind)))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 2}, report.Result)
		require.Equal(t, window.End.Add(defaultSettle), s.ledger[1].at)
		require.Equal(t, []string{"id-1", "id-1", "id-2"}, []string{s.ledger[0].id, s.ledger[1].id, s.ledger[2].id})
	})
}

func TestSecondAttemptDoesNotWaitForOrdersThatWaitForIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opens, other := outageOrder(1, "a"), outageOrder(2, "b") // which goes before the breaker opens
		tried, waits := outageOrder(3, "c"), outageOrder(4, "d")
		opens.fates = []fate{{time.Second, "PF", stillDown}}
		tried.pushFaults = []fault{lostIgnored}
		s := newShop(opens, other, tried, waits)
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Retry.MaxAttempts, c.Concurrency, c.Breaker = 2, 1, resubmit.BreakerConfig{Failures: 1, SampleSize: 1}
			c.Pusher = lengthyPusher{s, time.Minute}
		})
		report, err := r.Apply(t.Context(), planFor(t, opens, other, tried, waits))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 3, FailedAgain: 1}, report.Result)
		require.Equal(t, []string{"id-3", "id-3", "id-4"}, []string{s.ledger[2].id, s.ledger[3].id, s.ledger[4].id})
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
		"while the second push waits": 9 * time.Minute,
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
					r := runnerFor(t, s, func(c *resubmit.Config) { c.Retry.MaxAttempts = 2 })
					plan := planWith(t, []maintenance.Window{window}, entryFor(o))
					time.AfterFunc(after, func() { tt.end(r) })
					report, err := r.Apply(t.Context(), plan)
					require.ErrorIs(t, err, tt.err)
					require.Equal(t, resubmit.OutcomeCounts{Unknown: 1}, report.Result)
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
		left    resubmit.Record
		most    int
		outcome resubmit.Outcome
		pushes  int
		takes   time.Duration // before the push, at least
	}{
		"an intent whose push may have gone out at any time since": {
			resubmit.Record{State: "sending", Attempt: 1}, 2, "completed", 1, 2 * defaultSettle,
		},
		"a lost answer from long ago": {
			resubmit.Record{State: "unknown", Attempt: 1}, 2, "completed", 1, defaultSettle,
		},
		"a second intent counts as a second push": {
			resubmit.Record{State: "sending", Attempt: 2, Lost: 1}, 2, "unknown", 0, 0,
		},
		"a second intent is followed by a third if that is allowed": {
			resubmit.Record{State: "sending", Attempt: 2, Lost: 1}, 3, "completed", 1, 2 * defaultSettle,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				o := outageOrder(1, "s")
				s, plan := newShop(o), planFor(t, o)
				journal := new(resubmit.MemoryJournal)
				require.NoError(t, journal.Begin(plan.Digest()))
				tt.left.OrderID, tt.left.Fingerprint, tt.left.At = "id-1", entryFor(o).Fingerprint, start.Add(-time.Hour)
				require.NoError(t, journal.Put(tt.left))
				r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal, c.Retry.MaxAttempts = journal, tt.most })
				report, err := r.Apply(t.Context(), plan)
				require.NoError(t, err)
				require.Equal(t, tt.outcome, itemOf(t, report, 1).Outcome)
				require.Len(t, s.ledger, tt.pushes)
				if tt.pushes > 0 {
					require.GreaterOrEqual(t, s.ledger[0].at.Sub(start), tt.takes)
				}
			})
		})
	}
}

func TestSecondAttemptIsMadeByOneOfTwoRunners(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s")
		s, plan := newShop(o), planFor(t, o)
		journal := new(resubmit.MemoryJournal)
		require.NoError(t, journal.Begin(plan.Digest()))
		require.NoError(t, journal.Put(resubmit.Record{
			OrderID: "id-1", Fingerprint: entryFor(o).Fingerprint, State: "unknown", Attempt: 1, At: time.Now(),
		}))
		var both sync.WaitGroup
		for range 2 {
			r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal, c.Retry.MaxAttempts = journal, 9 })
			both.Go(func() { _, _ = r.Apply(t.Context(), plan) })
		}
		both.Wait()
		require.Len(t, s.ledger, 1)
	})
}

func TestRetryPolicyIsValidated(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		policy resubmit.RetryPolicy
		says   string
	}{
		"a negative count":   {resubmit.RetryPolicy{MaxAttempts: -1}, "Config.Retry.MaxAttempts is -1"},
		"a negative spacing": {resubmit.RetryPolicy{Spacing: -2}, "Config.Retry.Spacing is -2ns"},
		"a negative count of a type": {
			resubmit.RetryPolicy{ByType: map[commerce.OrderType]resubmit.RetryPolicy{"CL": {MaxAttempts: -3}}},
			`Config.Retry.ByType["CL"].MaxAttempts is -3`,
		},
		"types of a type": {
			resubmit.RetryPolicy{ByType: map[commerce.OrderType]resubmit.RetryPolicy{
				"CL": {ByType: map[commerce.OrderType]resubmit.RetryPolicy{}},
			}},
			`Config.Retry.ByType["CL"] has a ByType of its own`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop()
			_, err := resubmit.NewRunner(resubmit.Config{
				Systems: systemsOf(resubmit.Systems{Reader: s, Pusher: s}), Retry: tt.policy,
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

// intents keeps the intents that a journal was given.
type intents struct {
	*resubmit.MemoryJournal
	mu  sync.Mutex
	all []resubmit.Record
}

func (j *intents) Put(r resubmit.Record) error {
	if r.State == resubmit.RecordSending {
		j.mu.Lock()
		j.all = append(j.all, r)
		j.mu.Unlock()
	}
	return j.MemoryJournal.Put(r)
}

// A crash behind the second intent leaves only that: dated by the first push, the watch
// over the second would be over before it began.
func TestSecondAttemptHasItsOwnPushTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s")
		o.pushFaults = []fault{lostIgnored}
		s, journal := newShop(o), &intents{MemoryJournal: new(resubmit.MemoryJournal)}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal, c.Retry.MaxAttempts = journal, 2 })
		_, err := r.Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.Len(t, journal.all, 2)
		require.Equal(t, 2, journal.all[1].Attempt)
		require.Zero(t, journal.all[1].SentAt)
	})
}
