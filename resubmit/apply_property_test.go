package resubmit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// trouble is all that can go wrong in one run, drawn before it.
type trouble struct {
	orders []orderTrouble
	// stops are when the first runs are cancelled, drained or killed; the last one is not.
	stops    []stop
	opens    time.Duration // when a window begins, and how long it is; 0 for none
	length   time.Duration
	slots    int
	rate     float64
	limits   []limits // that are set later
	canary   []int
	failures int // failures of the last eight that open the breaker; -1 for none
	attempts int // pushes of an order that may go out without an answer
}

type stop struct {
	after  time.Duration
	drain  bool
	killed int // at that Put; 0 for not
	stored bool
}

type limits struct {
	after       time.Duration
	rate        float64
	concurrency int
}

type orderTrouble struct {
	subs   []string
	action rules.Action
	pushes []fault
	reads  []fault
	fates  []fate
	answer connect.RequestStatus
	silent bool            // it does not tell its transitions
	offers commerce.Status // the one that the shop accepts
}

// blindTargets are the user's.
var blindTargets = []commerce.Status{commerce.StatusPaid, commerce.StatusProvisioning,
	commerce.StatusCheckingConditions}

func genTrouble(t *rapid.T) trouble {
	fates := []fate{
		completes, {after: time.Minute, status: "CP"}, {after: 3 * time.Second, status: "PF", reason: outage},
		{after: 3 * time.Second, status: "PF", reason: stillDown},
		{after: time.Minute, status: "PF", reason: "Vendor has failed request"}, {}, {after: time.Second, status: "CL"},
	}
	one := rapid.Custom(func(t *rapid.T) orderTrouble {
		return orderTrouble{
			subs: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 3, rapid.ID).Draw(t,
				"subscriptions"),
			action: rapid.SampledFrom([]rules.Action{"resubmit", "resubmit", "resubmit", "hold", "quarantine"}).Draw(t,
				"action"),
			pushes: rapid.SliceOfN(rapid.SampledFrom([]fault{fine, lostActed, lostIgnored, conflict, limited, badToken,
				notSent}), 0, 5).Draw(t, "pushes"),
			reads: rapid.SliceOfN(rapid.SampledFrom([]fault{fine, fine, fine, broken, limited, missing}), 0, 6).Draw(t,
				"reads"),
			fates: rapid.SliceOfN(rapid.SampledFrom(fates), 0, 3).Draw(t, "fates"),
			answer: rapid.SampledFrom([]connect.RequestStatus{"approved", "approved", "failed", "pending", ""}).Draw(t,
				"answer"),
			silent: rapid.Bool().Draw(t, "silent"),
			offers: rapid.SampledFrom(append([]commerce.Status{""}, blindTargets...)).Draw(t, "offers"),
		}
	})
	return trouble{
		orders: rapid.SliceOfN(one, 1, 12).Draw(t, "orders"),
		stops: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) stop {
			return stop{
				time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second, rapid.Bool().Draw(t, "drain"),
				max(0, rapid.IntRange(-30, 30).Draw(t, "killed")), rapid.Bool().Draw(t, "stored"),
			}
		}), 0, 3).Draw(t, "stops"),
		limits: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) limits {
			return limits{
				time.Duration(rapid.IntRange(0, 400).Draw(t, "seconds")) * time.Second,
				rapid.SampledFrom([]float64{0, 1, 3, 20}).Draw(t, "rate"), rapid.IntRange(0, 5).Draw(t, "slots"),
			}
		}), 0, 3).Draw(t, "limits"),
		canary:   rapid.SampledFrom([][]int{{}, {1, 2, 5}, {3}}).Draw(t, "canary"),
		failures: rapid.SampledFrom([]int{-1, 1, 3}).Draw(t, "breaker"),
		attempts: rapid.IntRange(1, 3).Draw(t, "attempts"),
		opens:    time.Duration(rapid.IntRange(0, 900).Draw(t, "opens")) * time.Second,
		length:   time.Duration(rapid.IntRange(1, 900).Draw(t, "length")) * time.Second,
		slots:    rapid.IntRange(1, 4).Draw(t, "slots"),
		rate:     rapid.SampledFrom([]float64{-1, 1, 10}).Draw(t, "rate"),
	}
}

func TestApplyPushesNothingTwiceWhateverFails(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		tr := genTrouble(rt)
		var wrong string
		synctest.Test(t, func(t *testing.T) { wrong = tr.run(t.Context()) })
		if wrong != "" {
			rt.Fatal(wrong)
		}
	})
}

// run lives through the trouble and says what was wrong, "" for nothing. It uses
// no t of its own, so that rapid can find the smallest trouble.
func (tr trouble) run(ctx context.Context) (wrong string) {
	report := &complaint{}
	defer func() {
		if report.failed {
			_ = recover()
			wrong = report.text
		}
	}()
	s, plan, marked := tr.prepare(report)
	seen := new(breakerDiary)
	config := func(c *resubmit.Config) {
		c.Targets, c.OnEvent, c.Retry.MaxAttempts = blindTargets, seen.on, tr.attempts
		c.MaxPlanAge = -1 // windows begin between the plan and its run
		c.Requests, c.Journal, c.Concurrency, c.RateLimit = s, claimJournal{c.Journal, s}, tr.slots, tr.rate
		c.Canary.Steps, c.Breaker = tr.canary, resubmit.BreakerConfig{Failures: tr.failures, SampleSize: 8, MaxOpens: -1}
	}
	r := runnerFor(report, s, config)
	for _, l := range tr.limits {
		defer time.AfterFunc(l.after, func() { _ = r.SetLimits(l.rate, l.concurrency) }).Stop()
	}
	for _, stop := range tr.stops {
		runner := r
		if stop.killed > 0 {
			runner = runnerFor(report, s, func(c *resubmit.Config) {
				c.Journal = &dyingJournal{Journal: journalOf(report), left: stop.killed - 1, stores: stop.stored}
				config(c)
			})
		}
		got, err := stop.apply(ctx, runner, plan)
		if err != nil && !errors.Is(err, resubmit.ErrDrained) && !denied(err) && !errors.Is(err, errDead) {
			require.ErrorIs(report, err, context.DeadlineExceeded)
		}
		<-time.After(time.Second) // a new process does not know the calls of the last second
		if got == nil {           // it ended before it began
			require.Error(report, err)
			continue
		}
		require.Equal(report, marked, got.Result.Total(), "I9 of a run that was stopped")
	}
	got, err := r.Apply(ctx, plan)
	runs := 1 + len(tr.stops)
	for ; denied(err) && runs < 5*len(tr.orders); runs++ { // the same command continues after the credentials were refused
		got, err = r.Apply(ctx, plan)
	}
	require.NoError(report, err)
	tr.checkBreaker(report, s, seen)
	tr.checkPace(report, s)
	require.Equal(report, marked, got.Result.Total(), "I9")
	require.Len(report, got.Items, marked)
	tr.check(report, s, plan.Header().Windows[0], runs)
	tr.checkOutcomes(report, s, got)
	return ""
}

func denied(err error) bool {
	return errors.Is(err, commerce.ErrUnauthorized) || errors.Is(err, commerce.ErrForbidden)
}

func (s stop) apply(ctx context.Context, r *resubmit.Runner, plan *plan.Plan) (*resubmit.Report, error) {
	if s.drain {
		drained := make(chan struct{})
		timer := time.AfterFunc(s.after, func() { defer close(drained); r.Drain() })
		defer func() {
			if !timer.Stop() {
				<-drained // not the next run
			}
		}()
		return r.Apply(ctx, plan)
	}
	ctx, cancel := context.WithTimeout(ctx, s.after)
	defer cancel()
	return r.Apply(ctx, plan)
}

// checkBreaker looks for pushes while the breaker was open. In the shop they take
// no time, so that none is in flight.
func (tr trouble) checkBreaker(t require.TestingT, s *shop, seen *breakerDiary) {
	for i, turn := range seen.turns {
		if turn.State != resubmit.BreakerOpen {
			continue
		}
		until := seen.ends[turn.run] // when the run did
		if i+1 < len(seen.turns) && seen.turns[i+1].run == turn.run {
			until = seen.at[i+1]
		}
		for _, l := range s.ledger {
			open := l.at.After(seen.at[i]) && l.at.Before(until)
			require.False(t, open, "I8: %s was pushed at %v, while the breaker was open", l.id, l.at)
		}
	}
}

// checkPace looks for seconds that hold more calls than any limit of the run.
func (tr trouble) checkPace(t require.TestingT, s *shop) {
	most := tr.rate
	for _, l := range tr.limits {
		most = max(most, l.rate)
	}
	if tr.rate == -1 {
		return
	}
	require.LessOrEqual(t, mostInASecond(s.calls, time.Time{}, time.Now()), int(most), "I7")
}

func (tr trouble) prepare(t require.TestingT) (s *shop, p *plan.Plan, marked int) {
	s = newShop()
	var entries []*plan.Entry
	for i, ot := range tr.orders {
		o := outageOrder(i, "")
		o.SubscriptionIDs, o.pushFaults, o.readFaults, o.fates = ot.subs, slices.Clone(ot.pushes), slices.Clone(ot.reads),
			slices.Clone(ot.fates)
		o.generation = 1
		if o.silent = ot.silent; ot.silent {
			o.Transitions = []commerce.Transition{{To: ot.offers}}
		}
		s.orders[o.ID] = o
		for _, sub := range ot.subs {
			if ot.answer != "" {
				s.answer(sub, ot.answer, "")
			}
		}
		e := entryFor(o)
		e.Decision.Action = ot.action
		if ot.action == rules.Resubmit {
			marked++
		} else {
			e.Target = ""
		}
		entries = append(entries, e)
	}
	now := time.Now()
	window := maintenance.Window{ID: "w", Start: now.Add(tr.opens), End: now.Add(tr.opens + tr.length)}
	return s, planWith(t, []maintenance.Window{window}, entries...), marked
}

// check holds the ledger of the server against the invariants.
func (tr trouble) check(t require.TestingT, s *shop, w maintenance.Window, runs int) {
	type failing struct {
		id         string
		generation int
	}
	accepted := map[failing]int{}
	lost := map[string][]time.Time{}
	pushes := map[string]int{}
	for _, l := range s.ledger {
		var n int
		_, err := fmt.Sscanf(l.id, "id-%d", &n)
		require.NoError(t, err)
		ot := tr.orders[n]
		require.Equal(t, rules.Resubmit, ot.action, "I12: %s was not to be touched", l.id)
		require.Less(t, len(lost[l.id]), tr.attempts, "I6: %s was pushed again although %d answers were lost", l.id,
			tr.attempts)
		before := len(lost[l.id])
		if before > 0 {
			require.GreaterOrEqual(t, l.at.Sub(lost[l.id][before-1]), 2*time.Minute+2*defaultSettle,
				"I6: %s was pushed again too early", l.id)
		}
		if !ot.silent {
			require.Equal(t, commerce.StatusPaid, l.target)
		}
		require.Contains(t, blindTargets, l.target)
		if k := pushes[l.id]; k < len(ot.pushes) && (ot.pushes[k] == lostActed && l.accepted || ot.pushes[k] == lostIgnored) {
			lost[l.id] = append(lost[l.id], l.at)
		}
		pushes[l.id]++
		require.LessOrEqual(t, pushes[l.id], tr.attempts*(len(blindTargets)+defaultMaxDeferrals+1)*runs)
		guarded := !l.at.Before(w.Start.Add(-defaultGuard+time.Nanosecond)) &&
			l.at.Before(w.End.Add(defaultSettle))
		require.False(t, guarded, "I4: %s was pushed at %v", l.id, l.at)
		if l.accepted {
			accepted[failing{l.id, l.generation}]++
			// A failure in the same words, behind a push without an answer, cannot be told from that of the plan.
			// A run that crashes may lose an answer.
			require.LessOrEqual(t, l.generation, 1+before+runs-1, "only the failure of the plan may be pushed")
			require.Zero(t, l.open, "I5: %s was pushed while another order of its subscription was under way", l.id)
		}
	}
	for f, n := range accepted {
		require.Equal(t, 1, n, "I1: %v", f)
	}
	claims := map[string]int{}
	for _, step := range s.steps {
		switch what, id, _ := strings.Cut(step, " "); what {
		case "claim":
			claims[id]++
		case "push":
			require.Positive(t, claims[id], "I2: %s was pushed without a claim of its own", id)
			claims[id] = 0
		}
	}
	for i, ot := range tr.orders {
		if ot.action != rules.Resubmit {
			require.Zero(t, s.reads[fmt.Sprintf("id-%d", i)], "I12")
		}
	}
}

// checkOutcomes holds the report against the ledger.
func (tr trouble) checkOutcomes(t require.TestingT, s *shop, r *resubmit.Report) {
	for _, i := range r.Items {
		switch n := s.accepted(i.OrderID); i.Outcome {
		case protocol.Skipped, protocol.Blocked, protocol.NotStarted, protocol.ClaimedElsewhere:
			require.Zero(t, n, "%s is said to be %s: %s", i.Number, i.Outcome, i.Why)
		case protocol.Unknown, protocol.NotMoved:
		default:
			require.Positive(t, n, "%s is said to be %s: %s", i.Number, i.Outcome, i.Why)
			require.LessOrEqual(t, n, tr.attempts, "%s is said to be %s: %s", i.Number, i.Outcome, i.Why)
		}
	}
}

// complaint is a require.TestingT that keeps the first failure and leaves by panic,
// since what goes on in a bubble cannot be told to rapid from there.
type complaint struct {
	failed bool
	text   string
}

func (f *complaint) Errorf(format string, args ...any) {
	f.failed, f.text = true, fmt.Sprintf(format, args...)
}

func (f *complaint) FailNow() { panic(f.text) }
