package resubmit_test

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// runID is the run of the records in these tests.
const runID = "sha256:0123456789"

// put writes records of any version, and returns the sequence number.
func put(t testing.TB, j resubmit.Journal, records ...protocol.Record) uint64 {
	t.Helper()
	for i := range records {
		r := &records[i]
		current, err := j.Get(t.Context(), r.Key)
		require.NoError(t, err)
		r.Version = current.Version
		if r.At.IsZero() {
			r.At = time.Now()
		}
	}
	seq, err := j.Put(t.Context(), resubmit.Durable, records...)
	require.NoError(t, err)
	return seq
}

// storedOrder returns a record of the failure of an order, in a phase.
func storedOrder(o *commerce.Order, phase protocol.Phase, outcome protocol.Outcome) protocol.Record {
	template := failure.Template(o.Failure.Message())
	r := &protocol.Order{
		Number: o.Number, Run: runID, Fingerprint: plan.Fingerprint(o.ID, plan.SnapshotOf(o)), Template: template,
		PlacedAt: o.PlacedAt, Phase: phase, Outcome: outcome, Attempts: 1, Resubmissions: 1, ClaimedAt: time.Now(),
		FirstClaimAt: time.Now(), SentAt: time.Now(),
	}
	if phase == protocol.Claimed {
		r.SentAt = time.Time{}
	}
	if outcome == protocol.FailedAgain {
		r.After = template
	}
	return protocol.Record{Key: protocol.OrderKey(o.ID), Order: r}
}

func runRecord(end protocol.RunEnd) protocol.Record {
	r := &protocol.Run{Epoch: 1, Started: time.Now(), End: end}
	if end != "" {
		r.Ended = time.Now()
	}
	return protocol.Record{Key: protocol.LeaseKey(runID, 0), Run: r}
}

// olderOrder is the n-th order, placed some hours ago, for tests in a bubble of synctest.
func olderOrder(n int) *commerce.Order {
	o := failedOrder(n)
	o.PlacedAt = time.Now().Add(-10*time.Hour + time.Duration(n)*time.Minute)
	return o
}

// planOne returns the entry of the one order of a list.
func planOne(t testing.TB, j resubmit.Journal, o *commerce.Order, change func(*resubmit.PlanConfig)) *plan.Entry {
	t.Helper()
	cfg := resubmit.PlanConfig{
		RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: &planSource{orders: []*commerce.Order{o}}}),
		IgnoreConnect: true, Journal: j,
	}
	if change != nil {
		change(&cfg)
	}
	entries := planned(t, cfg)
	require.Len(t, entries, 1)
	return entries[0]
}

func TestPlanIsBoundToTheJournal(t *testing.T) {
	t.Parallel()
	j := new(resubmit.MemoryJournal)
	source := failedOrders(2)
	version := put(t, j, storedOrder(source.orders[1], protocol.Open, ""))
	cfg := resubmit.PlanConfig{
		Systems: systemsOf(resubmit.Systems{Lister: source}), Filter: filter.Everything(), IgnoreConnect: true, Journal: j,
		Policy: resubmit.Policy{SettleDelay: 3 * time.Minute, MaxResubmissions: 5},
	}
	p, err := resubmit.BuildPlan(t.Context(), cfg)
	require.NoError(t, err)
	at, err := j.Flush(t.Context())
	require.NoError(t, err)
	require.Equal(t, at, p.Header().Journal)
	require.NoError(t, p.CheckJournal())
	entries := entriesOf(t, p)
	require.Equal(t, []uint64{0, version}, []uint64{entries[0].Version, entries[1].Version})

	var policy resubmit.Policy
	require.NoError(t, json.Unmarshal(p.Header().Policy, &policy))
	want := cfg.WithDefaults()
	policy.Classifier = want.Classifier
	require.Equal(t, want, policy)

	cfg.Name = "another shop"
	_, err = resubmit.BuildPlan(t.Context(), cfg)
	require.ErrorIs(t, err, resubmit.ErrJournalSystem)
}

// A new plan must not ignore the unknown orders of the old one, and not push what another run has in flight.
func TestPlannerOfOrdersInFlight(t *testing.T) {
	t.Parallel()
	for _, phase := range []protocol.Phase{protocol.Claimed, protocol.Unanswered, protocol.Pushed} {
		t.Run(string(phase), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start, j, o := time.Now(), new(resubmit.MemoryJournal), olderOrder(1)
				changed := *o
				changed.Failure = failed("503 Service Unavailable")
				version := put(t, j, storedOrder(o, phase, ""), runRecord(""))

				named := func(c *resubmit.PlanConfig) { c.Override = []string{o.ID} }
				for _, o := range []*commerce.Order{o, &changed} {
					e := planOne(t, j, o, named)
					require.Equal(t, rules.Wait, e.Decision.Action, "not even if the operator names it")
					require.Equal(t, rules.IDOrderInProgress, e.Decision.RuleID)
					require.Contains(t, e.Decision.Why, "run "+runID+" is working on it")
					require.False(t, e.Due.Before(start.Add(time.Minute)), "the end of the lease")
				}

				time.Sleep(time.Minute)
				e := planOne(t, j, o, nil)
				require.Equal(t, rules.Resubmit, e.Decision.Action, "the next run resolves it first, by reads")
				require.Equal(t, version, e.Version)

				if e = planOne(t, j, &changed, nil); phase == protocol.Pushed {
					require.Equal(t, rules.Resubmit, e.Decision.Action, "the accepted push led to another failure")
					return
				}
				require.Equal(t, rules.Wait, e.Decision.Action, "the push may still be on the wire")
				require.Contains(t, e.Decision.Why, "an earlier push by run "+runID+" may still be under way")
				time.Sleep(time.Until(e.Due) - 1)
				require.Equal(t, rules.Wait, planOne(t, j, &changed, nil).Decision.Action)
				time.Sleep(time.Nanosecond)
				require.Equal(t, rules.Resubmit, planOne(t, j, &changed, nil).Decision.Action)
				require.Less(t, time.Since(start), 10*time.Minute)
			})
		})
	}
}

func TestPlannerHoldsRepeatedFailures(t *testing.T) {
	t.Parallel()
	window := func(t *testing.T, end time.Time) *maintenance.Calendar {
		cal, err := maintenance.NewCalendar([]maintenance.Window{{ID: "w", Start: end.Add(-20 * time.Minute), End: end}})
		require.NoError(t, err)
		return cal
	}
	up := planProber(func() connect.ProbeClass { return connect.ClassUp })
	down := planProber(func() connect.ProbeClass { return connect.ClassMaintenanceSuspected })
	for name, test := range map[string]struct {
		outcome protocol.Outcome
		end     protocol.RunEnd
		change  func(t *testing.T, c *resubmit.PlanConfig, o *commerce.Order)
		held    bool
	}{
		"failed again": {protocol.FailedAgain, protocol.RunFinished, nil, true},
		"not moved":    {protocol.NotMoved, protocol.RunFinished, nil, true},
		"with another number in the text": {protocol.FailedAgain, protocol.RunFinished,
			func(_ *testing.T, _ *resubmit.PlanConfig, o *commerce.Order) {
				o.Failure = failed("'500 Internal Server Error' for request 4712")
			}, true},
		"with another text": {protocol.FailedAgain, protocol.RunFinished,
			func(_ *testing.T, _ *resubmit.PlanConfig, o *commerce.Order) { o.Failure = failed("'502 Bad Gateway'") }, false},
		"named": {protocol.FailedAgain, protocol.RunFinished,
			func(_ *testing.T, c *resubmit.PlanConfig, o *commerce.Order) { c.Override = []string{o.Number} }, false},
		"whatever the user's rules say": {protocol.FailedAgain, protocol.RunFinished,
			func(_ *testing.T, c *resubmit.PlanConfig, _ *commerce.Order) {
				c.Rules = []rules.Rule{{ID: "again", Message: "*", Action: rules.Resubmit, Why: "we insist"}}
			}, true},
		"a maintenance ended since": {protocol.FailedAgain, protocol.RunFinished,
			func(t *testing.T, c *resubmit.PlanConfig, _ *commerce.Order) {
				c.Calendar = window(t, time.Now().Add(-50*time.Minute))
			}, false},
		"a maintenance ended before": {protocol.FailedAgain, protocol.RunFinished,
			func(t *testing.T, c *resubmit.PlanConfig, _ *commerce.Order) {
				c.Calendar = window(t, time.Now().Add(-70*time.Minute))
			}, true},
		"the canary stopped, and Connect answers": {protocol.FailedAgain, protocol.RunCanaryStopped,
			func(_ *testing.T, c *resubmit.PlanConfig, _ *commerce.Order) { c.Prober = up }, false},
		"the canary stopped, and the first probes are lost": {protocol.FailedAgain, protocol.RunCanaryStopped,
			func(_ *testing.T, c *resubmit.PlanConfig, _ *commerce.Order) {
				probes := 0
				c.Prober = planProber(func() connect.ProbeClass {
					if probes++; probes < 3 {
						return connect.ClassUnreachable
					}
					return connect.ClassUp
				})
			}, false},
		"the canary stopped, and Connect is down": {protocol.FailedAgain, protocol.RunCanaryStopped,
			func(_ *testing.T, c *resubmit.PlanConfig, _ *commerce.Order) { c.Prober = down }, true},
		"the circuit was open, and a look-up succeeds": {protocol.NotMoved, protocol.RunCircuitOpen,
			func(_ *testing.T, c *resubmit.PlanConfig, _ *commerce.Order) {
				c.Prober, c.Requests, c.IgnoreConnect = down, noRequests, false
			}, false},
		"the circuit was open, and nobody knows": {protocol.NotMoved, protocol.RunCircuitOpen, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j, o := new(resubmit.MemoryJournal), olderOrder(1)
				o.Failure = failed("'500 Internal Server Error' for request 4711")
				version := put(t, j, storedOrder(o, protocol.Ended, test.outcome), runRecord(test.end))
				time.Sleep(time.Hour)
				e := planOne(t, j, o, func(c *resubmit.PlanConfig) {
					if test.change != nil {
						test.change(t, c, o)
					}
				})
				require.Equal(t, version, e.Version)
				require.Equal(t, name == "named", e.Named)
				if !test.held {
					require.Equal(t, rules.Resubmit, e.Decision.Action, e.Decision.Why)
					return
				}
				require.Equal(t, rules.Hold, e.Decision.Action)
				require.Equal(t, rules.IDHistory, e.Decision.RuleID)
				require.Contains(t, e.Decision.Why, "run "+runID+" resubmitted it at 2000-01-01T00:00:00Z")
				require.Contains(t, e.Decision.Why, "name it to resubmit it again")
			})
		})
	}
}

// Commerce may still retry an order that has just failed, also if the client does not report when orders fail.
func TestPlannerLetsAnOrderThatFailedAgainSettle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, o := new(resubmit.MemoryJournal), olderOrder(1)
		put(t, j, storedOrder(o, protocol.Ended, protocol.FailedAgain))
		seen := time.Now()
		o.Failure = failed("'502 Bad Gateway'")
		for _, named := range []bool{false, true} {
			e := planOne(t, j, o, func(c *resubmit.PlanConfig) {
				if named {
					c.Override = []string{o.Number}
				}
			})
			require.Equal(t, rules.Wait, e.Decision.Action)
			require.Equal(t, rules.IDOrderUnsettled, e.Decision.RuleID)
			require.Equal(t, seen.Add(240*time.Second).UTC(), e.Due)
		}
		time.Sleep(240 * time.Second)
		require.Equal(t, rules.Resubmit, planOne(t, j, o, nil).Decision.Action)
	})
}

// planProber is a Connect that is in some state.
type planProber func() connect.ProbeClass

func (p planProber) Probe(context.Context) (connect.Probe, error) {
	return connect.Probe{Class: p()}, nil
}

func TestPlannerLimitsResubmissionsOverAllPlans(t *testing.T) {
	t.Parallel()
	j, o := new(resubmit.MemoryJournal), failedOrder(1)
	r := storedOrder(o, protocol.Ended, protocol.FailedAgain)
	r.Order.Resubmissions, r.Order.Template, r.At = 3, "another text", time.Now().Add(-time.Hour)
	put(t, j, r)
	e := planOne(t, j, o, nil)
	require.Equal(t, rules.Hold, e.Decision.Action)
	require.Equal(t, "it was resubmitted 3 times already; name it to resubmit it again", e.Decision.Why)
	require.Equal(t, rules.Resubmit,
		planOne(t, j, o, func(c *resubmit.PlanConfig) { c.MaxResubmissions = 4 }).Decision.Action)
	require.Equal(t, rules.Resubmit,
		planOne(t, j, o, func(c *resubmit.PlanConfig) { c.OverrideIfFound = []string{o.ID} }).Decision.Action)
}

// One bad order must not keep the others from being sent: it is held, and they are not.
func TestPlannerHoldsOnlyTheRepeatedFailure(t *testing.T) {
	t.Parallel()
	j, source := new(resubmit.MemoryJournal), failedOrders(31)
	put(t, j, storedOrder(source.orders[0], protocol.Ended, protocol.FailedAgain), runRecord(protocol.RunFinished))
	p, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
		Systems: systemsOf(resubmit.Systems{Lister: source}), Filter: filter.Everything(), IgnoreConnect: true, Journal: j,
	})
	require.NoError(t, err)
	require.Equal(t, plan.ActionCounts{Total: 31, Resubmit: 30, Hold: 1}, p.Counts())
}

// lossyJournal lost what was written before a time.
type lossyJournal struct {
	resubmit.Journal
	before time.Time
}

func (j lossyJournal) Begin(ctx context.Context, u resubmit.JournalUse) (resubmit.Lease, error) {
	l, err := j.Journal.Begin(ctx, u)
	l.ForgottenBefore = j.before
	return l, err
}

func TestPlannerHoldsWhatALostJournalForgot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(48 * time.Hour)
		lost := time.Now().Add(-24 * time.Hour)
		j := lossyJournal{new(resubmit.MemoryJournal), lost}
		source := failedOrders(4)
		for _, o := range source.orders {
			o.PlacedAt = lost.Add(-time.Hour)
		}
		source.orders[3].PlacedAt = lost.Add(time.Second)
		older, newer := storedOrder(source.orders[1], protocol.Open, ""), storedOrder(source.orders[2], protocol.Open, "")
		older.Order.ClaimedAt, newer.Order.ClaimedAt = lost.Add(-time.Minute), lost.Add(time.Minute)
		put(t, j, older, newer)
		cfg := resubmit.PlanConfig{
			Systems: systemsOf(resubmit.Systems{Lister: source}), IgnoreConnect: true, Journal: j,
		}
		const sent = "connect-not-asked"
		entries := planned(t, cfg)
		require.Equal(t, []string{rules.IDHistory, rules.IDHistory, sent, sent}, rulesOf(entries))
		require.Contains(t, entries[0].Decision.Why, "the journal lost what was done before")

		cfg.Override = []string{"id-0", "id-1"}
		entries = planned(t, cfg)
		require.Equal(t, []string{sent, sent, sent, sent}, rulesOf(entries))
		require.True(t, entries[0].Named)
	})
}

// faultyJournal fails to read one kind of records.
type faultyJournal struct {
	resubmit.Journal
	kind  protocol.Kind
	fault func() error
}

func (j faultyJournal) Get(ctx context.Context, k protocol.Key) (protocol.Record, error) {
	if k.Kind == j.kind {
		return protocol.Record{}, j.fault()
	}
	return j.Journal.Get(ctx, k)
}

func TestPlannerReturnsNoPlanIfTheJournalFails(t *testing.T) {
	t.Parallel()
	errDisk := errors.New("input/output error")
	for _, kind := range []protocol.Kind{protocol.KindOrder, protocol.KindRun, protocol.KindLane} {
		for name, fault := range map[string]func() error{
			"an error": func() error { return errDisk }, "a panic": func() error { panic(errDisk) },
		} {
			t.Run(string(kind)+"/"+name, func(t *testing.T) {
				t.Parallel()
				memory, source := new(resubmit.MemoryJournal), failedOrders(600)
				put(t, memory, storedOrder(source.orders[300], protocol.Pushed, ""))
				_, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
					Systems: systemsOf(resubmit.Systems{Lister: source}), Filter: filter.Everything(), IgnoreConnect: true,
					Journal: faultyJournal{memory, kind, fault},
				})
				require.ErrorContains(t, err, "input/output error")
			})
		}
	}
}

// shopLister lists the failed orders of a shop.
type shopLister struct{ shop *shop }

func (l shopLister) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	source := &planSource{}
	l.shop.mu.Lock()
	for _, o := range l.shop.orders {
		l.shop.advance(o)
		listed := o.Order
		source.orders = append(source.orders, &listed)
	}
	l.shop.mu.Unlock()
	return resubmit.Sorted(source).Orders(ctx, q)
}

// One subscription over three plans: the first run leaves it blocked, the second plan holds the order that failed again,
// and the third one frees the lane, because a person completed that order.
func TestPlanOfABlockedSubscriptionContinuesWhenAPersonCompletesTheOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second, other := outageOrder(1, "a"), outageOrder(2, "a"), outageOrder(3, "b")
		first.fates = []fate{{after: time.Second, status: commerce.StatusProvisioningFailed, reason: outage}}
		s := newShop(first, second, other)
		next := func() (*plan.Plan, []string) {
			p, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
				RateLimit: -1, Systems: systemsOf(resubmit.Systems{Lister: shopLister{s}, Reader: s}), IgnoreConnect: true,
				Filter: filter.Everything(), Journal: journalOf(t),
			})
			require.NoError(t, err)
			return p, rulesOf(entriesOf(t, p))
		}
		apply := func(p *plan.Plan) *resubmit.Report {
			report, err := runnerFor(t, s, nil).Apply(t.Context(), p)
			require.NoError(t, err)
			return report
		}
		const sent = "connect-not-asked"
		p, found := next()
		require.Equal(t, []string{sent, sent, sent}, found)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1, FailedAgain: 1, Blocked: 1}, apply(p).Result)

		time.Sleep(time.Hour)
		p, found = next()
		require.Equal(t, []string{rules.IDHistory, rules.IDOlderOrderFirst}, found)
		require.Zero(t, p.Counts().Resubmit)

		s.orders["id-1"].Status = commerce.StatusCompleted // by a person
		p, found = next()
		require.Equal(t, []string{sent}, found)
		require.Equal(t, resubmit.OutcomeCounts{Completed: 1}, apply(p).Result)
		require.Equal(t, protocol.Completed, recordOf(t, 1).Outcome, "as the planner read it")
		require.Equal(t, 1, s.accepted("id-1"))
		require.Equal(t, 1, s.accepted("id-2"))
	})
}

// A batch that could not be decided is not written, even if the writer sees its end before that of the context. That is
// rare, hence many plans.
func TestPlannerNeverWritesAFailedBatch(t *testing.T) {
	t.Parallel()
	errDisk := errors.New("input/output error")
	for range testkit.Scale(1500, 100) {
		_, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
			Systems: systemsOf(resubmit.Systems{Lister: failedOrders(10)}), Filter: filter.Everything(), IgnoreConnect: true,
			Journal: faultyJournal{new(resubmit.MemoryJournal), protocol.KindOrder, func() error { return errDisk }},
		})
		require.ErrorIs(t, err, errDisk)
	}
}
