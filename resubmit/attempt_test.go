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
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

func TestAttemptOutcomes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		order   func(o *shopOrder)
		config  func(c *resubmit.Config)
		entry   func(e *plan.Entry)
		outcome protocol.Outcome
		why     string
		pushes  int // that reached the server
		unsent  int // of them, as the client says
		taken   int // that it accepted
		target  commerce.Status
		again   bool // a later run may push it
	}{
		"a push that is accepted completes": {
			outcome: protocol.Completed, why: "Commerce says CP; Connect was not asked", pushes: 1, taken: 1,
			target: "PD",
		},
		"the first target that is offered is taken": {
			order: func(o *shopOrder) {
				o.Transitions = []commerce.Transition{{To: "CL"}, {To: "RB"}, {To: "I4"}}
			},
			outcome: protocol.Completed, why: "CP", pushes: 1, taken: 1, target: "I4",
		},
		"an order that offers only to be cancelled is left alone": {
			order:   func(o *shopOrder) { o.Transitions = []commerce.Transition{{To: "CL"}, {To: "FR"}} },
			outcome: protocol.Skipped, why: "offers no transition that resubmits it; it offers [CL FR]",
		},
		"an order that offers nothing is left alone": {
			order:   func(o *shopOrder) { o.Transitions = []commerce.Transition{} },
			outcome: protocol.Skipped, why: "it offers []",
		},
		"without known transitions the plan's target is taken": {
			order:   func(o *shopOrder) { o.silent = true },
			outcome: protocol.Completed, why: "CP", pushes: 1, taken: 1, target: "PD",
		},
		"without known transitions and a planned target the first configured one is taken": {
			order:   func(o *shopOrder) { o.silent = true },
			entry:   func(e *plan.Entry) { e.Target = "" },
			config:  func(c *resubmit.Config) { c.Targets = []commerce.Status{"PR", "PD"} },
			outcome: protocol.Completed, why: "CP", pushes: 1, taken: 1, target: "PR",
		},
		"without known, planned or configured targets the order is not pushed": {
			order:   func(o *shopOrder) { o.silent = true },
			entry:   func(e *plan.Entry) { e.Target = "" },
			outcome: protocol.Skipped, why: "set Policy.Targets to the one",
		},
		"without known transitions targets are tried until one is accepted": {
			order:   func(o *shopOrder) { o.silent, o.Transitions = true, []commerce.Transition{{To: "RB"}} },
			entry:   func(e *plan.Entry) { e.Target = "" },
			config:  func(c *resubmit.Config) { c.Targets = []commerce.Status{"PD", "PR", "RB", "I4"} },
			outcome: protocol.Completed, why: "CP", pushes: 3, taken: 1, target: "RB",
		},
		"without known transitions configured targets come after the plan's, each once": {
			order:   func(o *shopOrder) { o.silent, o.Transitions = true, []commerce.Transition{{To: "RB"}} },
			config:  func(c *resubmit.Config) { c.Targets = []commerce.Status{"PR", "PD", "RB"} },
			outcome: protocol.Completed, why: "CP", pushes: 3, taken: 1, target: "RB",
		},
		"without known transitions no other target is tried": {
			order:   func(o *shopOrder) { o.silent, o.Transitions = true, []commerce.Transition{{To: "PR"}} },
			outcome: protocol.Skipped, why: "Commerce refused the push to PD: ", pushes: 1,
		},
		"targets that are all refused are all named": {
			order:   func(o *shopOrder) { o.silent, o.Transitions = true, nil },
			config:  func(c *resubmit.Config) { c.Targets = []commerce.Status{"PD", "PR"} },
			outcome: protocol.Skipped, why: "Commerce refused the push to PD, PR: ", pushes: 2,
		},
		"a refusal of the person is not one of the target": {
			order:   func(o *shopOrder) { o.silent, o.pushFaults = true, []fault{forbidden, forbidden} },
			config:  func(c *resubmit.Config) { c.Targets = []commerce.Status{"PD", "PR"} },
			outcome: protocol.Skipped, why: "Commerce refused the push: ", pushes: 2, again: true,
		},
		"a refused token and haste are no reason for another target": {
			order:   func(o *shopOrder) { o.silent, o.pushFaults = true, []fault{badToken, limited, notSent} },
			config:  func(c *resubmit.Config) { c.Targets = []commerce.Status{"PD", "PR"} },
			outcome: protocol.Completed, why: "CP", pushes: 4, unsent: 1, taken: 1, target: "PD",
		},
		"no other target follows a lost answer": {
			order:   func(o *shopOrder) { o.silent, o.pushFaults = true, []fault{lostIgnored} },
			config:  func(c *resubmit.Config) { c.Targets = []commerce.Status{"PD", "PR"} },
			outcome: protocol.Unknown, why: "but Connect cannot be asked about the order", pushes: 1, target: "PD",
		},
		"no other target follows a lost answer to the next one": {
			order:   func(o *shopOrder) { o.silent, o.pushFaults = true, []fault{conflict, lostIgnored} },
			config:  func(c *resubmit.Config) { c.Targets = []commerce.Status{"PD", "PR", "RB"} },
			outcome: protocol.Unknown, why: "but Connect cannot be asked about the order", pushes: 2, target: "PR",
		},
		"an order with known transitions gets no other": {
			order:   func(o *shopOrder) { o.pushFaults = []fault{conflict} },
			config:  func(c *resubmit.Config) { c.Targets = []commerce.Status{"PD", "PR"} },
			outcome: protocol.Skipped, why: "Commerce refused the push: ", pushes: 1,
		},
		"an order that is gone is skipped": {
			order:   func(o *shopOrder) { o.readFaults = []fault{missing} },
			outcome: protocol.Skipped, why: "does not exist any more",
		},
		"an answer about another order is nothing to go by": {
			order:   func(o *shopOrder) { o.onRead = func(o *shopOrder) { o.ID = "another" } },
			outcome: protocol.Skipped, why: "the reader returned order",
		},
		"an order that somebody completed is skipped": {
			order:   func(o *shopOrder) { o.onRead = func(o *shopOrder) { o.Status = "CP" } },
			outcome: protocol.Skipped, why: "moved since the plan was made: status PF → CP",
		},
		"an order that failed for another reason meanwhile is skipped": {
			order: func(o *shopOrder) {
				o.onRead = func(o *shopOrder) { o.Failure.Messages = map[string]string{"en_US": "another"} }
			},
			outcome: protocol.Skipped, why: `failure "Reason: 502 Bad Gateway." → "another"`,
		},
		"a refusal ends the order with the server's words": {
			order:   func(o *shopOrder) { o.pushFaults = []fault{conflict} },
			outcome: protocol.Skipped, why: "the order is locked", pushes: 1,
		},
		"a token that is refused once is no reason to give up": {
			order:   func(o *shopOrder) { o.pushFaults = []fault{badToken} },
			outcome: protocol.Completed, why: "CP", pushes: 2, taken: 1, target: "PD",
		},
		"a push that never left is tried again": {
			order:   func(o *shopOrder) { o.pushFaults = []fault{notSent, notSent} },
			outcome: protocol.Completed, why: "CP", pushes: 3, unsent: 2, taken: 1, target: "PD",
		},
		"an order whose push is always rate limited is given up after the tries that are allowed": {
			order:   func(o *shopOrder) { o.pushFaults = []fault{limited, limited, limited, limited, limited} },
			outcome: protocol.Skipped, why: "given up after 4 tries: the push was not accepted", pushes: 4, again: true,
		},
		"MaxDeferrals -1 allows no other try": {
			order:   func(o *shopOrder) { o.pushFaults = []fault{limited} },
			config:  func(c *resubmit.Config) { c.MaxDeferrals = -1 },
			outcome: protocol.Skipped, why: "given up after 1 tries", pushes: 1, again: true,
		},
		"an order waits while Commerce does not answer": {
			order:   func(o *shopOrder) { o.readFaults = slices.Repeat([]fault{broken}, 9) },
			outcome: protocol.Completed, why: "CP", pushes: 1, taken: 1, target: "PD",
		},
		"a lost answer is resolved by reading when the push was accepted": {
			order:   func(o *shopOrder) { o.pushFaults = []fault{lostActed} },
			outcome: protocol.Completed, why: "CP", pushes: 1, taken: 1, target: "PD",
		},
		"a lost answer stays unknown when the order does not move": {
			order:   func(o *shopOrder) { o.pushFaults = []fault{lostIgnored} },
			outcome: protocol.Unknown, why: "but Connect cannot be asked about the order", pushes: 1, target: "PD",
		},
		"a lost answer and a new failure mean that it was accepted and failed again": {
			order: func(o *shopOrder) {
				o.pushFaults = []fault{lostActed}
				o.fates = []fate{{after: time.Second, status: "PF", reason: "Vendor has failed request PR-1"}}
			},
			outcome: protocol.FailedAgain, why: "failed again for a new reason (permanent)", pushes: 1, taken: 1,
			target: "PD",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := outageOrder(1, "s1")
				s := newShop(o)
				if tt.order != nil {
					tt.order(o)
				}
				e := entryFor(o)
				if tt.entry != nil {
					tt.entry(e)
				}
				r := runnerFor(t, s, func(c *resubmit.Config) {
					if tt.config != nil {
						tt.config(c)
					}
				})
				report, err := r.Apply(t.Context(), planWith(t, nil, e))
				require.NoError(t, err)
				item := itemOf(t, report, 1)
				require.Equal(t, tt.outcome, item.Outcome, item.Why)
				require.Contains(t, item.Why, tt.why)
				require.Equal(t, tt.target, item.Target)
				require.Len(t, s.ledger, tt.pushes)
				require.Equal(t, tt.pushes-tt.unsent, item.Attempts)
				require.Equal(t, tt.taken, s.accepted("id-1"))
				require.Equal(t, 1, report.Result.Total())
				requireRecord(t, tt.outcome, tt.pushes, tt.again)
			})
		})
	}
}

// requireRecord requires that the journal has the outcome of the order id-1, if it was pushed.
func requireRecord(t *testing.T, outcome protocol.Outcome, pushes int, again bool) {
	t.Helper()
	rec := recordOf(t, 1)
	switch {
	case pushes == 0:
		require.Nil(t, rec, "nothing was done, so nothing is recorded")
	case again:
		require.Equal(t, protocol.Open, rec.Phase)
		require.True(t, rec.Refused)
	case outcome == protocol.Unknown:
		require.Equal(t, protocol.Unanswered, rec.Phase)
		require.Equal(t, 1, rec.Attempts)
	default:
		require.Equal(t, protocol.Ended, rec.Phase)
		require.Equal(t, outcome, rec.Outcome)
	}
}

func TestReadThatFailsWhileCommerceAnswersSkipsTheOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bad, good := outageOrder(1, "s1"), outageOrder(2, "s2")
		bad.readFaults = slices.Repeat([]fault{broken}, 100)
		good.fates = []fate{{after: time.Hour, status: "CP"}}
		s := newShop(bad, good)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Verify.MaxInterval, c.Verify.Timeout = time.Second, 2*time.Hour })
		report, err := r.Apply(t.Context(), planFor(t, bad, good))
		require.NoError(t, err)
		require.Equal(t, protocol.Skipped, itemOf(t, report, 1).Outcome)
		require.Contains(t, itemOf(t, report, 1).Why, "given up after 4 tries: the order could not be read again")
		require.Equal(t, protocol.Completed, itemOf(t, report, 2).Outcome)
		require.Zero(t, s.accepted("id-1"))
	})
}

func TestTargetsHaveTheirOwnClaimAndRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s1")
		o.silent, o.Transitions = true, []commerce.Transition{{To: "RB"}}
		s, d := newShop(o), &diary{}
		r := runnerFor(t, s, func(c *resubmit.Config) {
			c.Journal, c.OnEvent = claimJournal{journalOf(t), s}, d.on
			c.Targets = []commerce.Status{"PD", "RB"}
		})
		_, err := r.Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		once := []string{"read id-1", "claim id-1", "push id-1"}
		require.Equal(t, slices.Concat(once, once), s.steps[:6])
		require.Equal(t, []commerce.Status{"PD", "RB"}, []commerce.Status{s.ledger[0].target, s.ledger[1].target})
		require.Contains(t, d.String(), "SO000001 refused again=true")
		require.Contains(t, d.String(), "SO000001 pushed RB")
	})
}

func TestTargetsEndWhenSomebodyElseMovedTheOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s1")
		o.silent, o.Transitions = true, []commerce.Transition{{To: "RB"}}
		s := newShop(o)
		s.onPush = func(context.Context, string) {
			o.onRead = func(o *shopOrder) { o.Status = commerce.StatusProvisioning }
		}
		r := runnerFor(t, s, func(c *resubmit.Config) { c.Targets = []commerce.Status{"PD", "RB"} })
		report, err := r.Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.Contains(t, fmt.Sprint(itemOf(t, report, 1).Evidence), "status PF → PR")
		require.Len(t, s.ledger, 1)
	})
}

func TestRetryAfterHoldsAllCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second := outageOrder(1, "s1"), outageOrder(2, "s2")
		first.pushFaults = []fault{limited}
		s := newShop(first, second)
		s.retryAfter = 90 * time.Second
		r := runnerFor(t, s, func(c *resubmit.Config) { c.RateLimit = 2 })
		report, err := r.Apply(t.Context(), planFor(t, first, second))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 2}, report.Result)
		var refusedAt time.Time
		for _, l := range s.ledger {
			if !l.accepted {
				refusedAt = l.at
			}
		}
		require.False(t, refusedAt.IsZero())
		for _, at := range s.calls {
			require.False(t, at.After(refusedAt) && at.Before(refusedAt.Add(s.retryAfter)),
				"a call went out %v after the server asked for %v", at.Sub(refusedAt), s.retryAfter)
		}
		require.Equal(t, "corr-1", itemOf(t, report, 1).CorrelationID)
	})
}

// slowReader answers five seconds after the reading.
type slowReader struct{ *shop }

func (r slowReader) Order(ctx context.Context, id string) (*commerce.Order, error) {
	o, err := r.shop.Order(ctx, id)
	<-time.After(5 * time.Second)
	return o, err
}

func TestAttemptReadsAgainAfterAHoldBeforeThePush(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders := []*shopOrder{outageOrder(1, "s1"), outageOrder(2, "s2")}
		for _, o := range orders {
			o.pushFaults = []fault{limited} // whichever comes first
		}
		s := newShop(orders...)
		r := runnerFor(t, s, func(c *resubmit.Config) { c.RateLimit, c.Reader = 1, slowReader{s} })
		report, err := r.Apply(t.Context(), planFor(t, orders...))
		require.NoError(t, err)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 2}, report.Result)
		first := s.ledger[0].id
		other := map[string]string{"id-1": "id-2", "id-2": "id-1"}[first]
		require.Subset(t, s.steps[:2], []string{"read id-1", "read id-2"}, "both were read before the push")
		require.Equal(t, "push "+first, s.steps[2])
		at := slices.Index(s.steps[3:], "push "+other)
		require.Contains(t, s.steps[3:3+at], "read "+other)
	})
}

func TestAttemptReadsAgainAfterEachRefusal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := outageOrder(1, "s1")
		o.pushFaults = []fault{badToken}
		s := newShop(o)
		s.onPush = func(context.Context, string) {
			// While the push is refused a person resubmits the order in the panel.
			o.onRead = func(o *shopOrder) { o.Status = commerce.StatusProvisioning }
		}
		report, err := runnerFor(t, s, nil).Apply(t.Context(), planFor(t, o))
		require.NoError(t, err)
		require.Equal(t, protocol.Progressing, itemOf(t, report, 1).Outcome, "it may have been the push")
		require.Contains(t, fmt.Sprint(itemOf(t, report, 1).Evidence), "status PF → PR")
		require.Len(t, s.ledger, 1)
	})
}

// badJournal fails each Put of an order in a phase.
type badJournal struct {
	resubmit.Journal
	fails protocol.Phase
}

func (j badJournal) Put(ctx context.Context, d resubmit.Durability, records ...protocol.Record) (uint64, error) {
	if o := records[0].Order; o != nil && o.Phase == j.fails {
		return 0, errors.New("no space left on device")
	}
	return j.Journal.Put(ctx, d, records...)
}

func TestJournalErrorStopsTheRun(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		phase   protocol.Phase
		pushes  int
		outcome protocol.Outcome
		says    string
	}{
		"of a claim: nothing is pushed":                {protocol.Claimed, 0, protocol.NotStarted, "order SO000001: no space"},
		"of a push: nothing more is pushed":            {protocol.Pushed, 1, protocol.Progressing, "could not record order SO000001, so nothing more"},
		"of an outcome: the order counts nevertheless": {protocol.Ended, 1, protocol.Completed, "could not record order SO000001"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				orders := []*shopOrder{outageOrder(1, "s1"), outageOrder(2, "s1"), outageOrder(3, "s1")}
				s := newShop(orders...)
				r := runnerFor(t, s, func(c *resubmit.Config) { c.Journal = badJournal{journalOf(t), tt.phase} })
				report, err := r.Apply(t.Context(), planFor(t, orders...))
				require.ErrorContains(t, err, tt.says)
				require.ErrorContains(t, err, "no space left on device")
				require.Equal(t, 3, report.Result.Total())
				require.Equal(t, tt.outcome, itemOf(t, report, 1).Outcome)
				require.Equal(t, protocol.NotStarted, itemOf(t, report, 3).Outcome)
				require.Contains(t, itemOf(t, report, 3).Why, "not started: ")
				require.Len(t, s.ledger, tt.pushes)
				require.Equal(t, err.Error(), report.Err)
			})
		})
	}
}
