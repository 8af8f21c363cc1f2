package temporal

import (
	"context"
	"crypto/ed25519"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// Orders lists the order of the shop.
func (s *shop) Orders(ctx context.Context, _ commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) { yield(s.Order(ctx, "")) }
}

// testKey is a key for tests only.
func testKey(n string) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(n, ed25519.SeedSize)))
}

func publicOf(k ed25519.PrivateKey) ed25519.PublicKey { return ed25519.PublicKey(k[ed25519.SeedSize:]) }

// newWatching returns the activities of a worker that watches a shop, whose maintenance has ended.
func newWatching(t *testing.T, change func(*Options)) (*watchActivities, watch.Episode) {
	t.Helper()
	s := newShop()
	a, _ := newActivities(t, s, nil)
	w := maintenance.Window{ID: "W", Start: time.Now().Add(-2 * time.Hour), End: time.Now().Add(-30 * time.Minute)}
	o := Options{Plans: a.sessions.plans, Runner: a.sessions.cfg, Watch: &watch.Config{
		State: state.Config{Plan: resubmit.PlanConfig{Filter: filter.Everything(), IgnoreConnect: true, RateLimit: -1}},
		Ready: func(context.Context, time.Time) availability.Readiness {
			return availability.Readiness{Checks: []availability.Check{{State: availability.StateReady}}}
		},
		Windows: maintenance.SourceFunc(func(context.Context, time.Time, time.Time) ([]maintenance.Window, error) {
			return []maintenance.Window{w}, nil
		}),
	}}
	o.Runner.Lister = s
	if change != nil {
		change(&o)
	}
	x, err := newWatchActivities(&o)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		x.timing.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	require.Eventually(t, func() bool { return o.Runner.Calendar() != nil }, 10*time.Second, time.Millisecond)
	return x, watch.Episode{ID: "maintenance-1", Windows: []maintenance.Window{w}}
}

func (w *watchActivities) makes(t *testing.T, e watch.Episode) madePlan {
	t.Helper()
	p, err := do[madePlan](t, w.make, makeInput{System: "shop", Episode: e, Queue: "q", Rate: 7})
	require.NoError(t, err)
	return p
}

func TestWatchActivitiesPlan(t *testing.T) {
	t.Parallel()
	w, e := newWatching(t, nil)
	out, err := do[nextOutput](t, w.next, nextInput{System: "shop"})
	require.NoError(t, err)
	require.Equal(t, watch.PhasePlanning, out.Next.Phase)
	require.Equal(t, e.Windows[0].ID, out.Next.Episode.Windows[0].ID)
	require.NotZero(t, out.History.From)

	p := w.makes(t, *out.Next.Episode)
	require.Equal(t, 1, p.Input.Total)
	require.Equal(t, "q", p.Input.Setup.Queue)
	require.Equal(t, control{State: resubmit.StateRunning, Rate: 7}, p.Input.Control)
	require.Empty(t, p.Reasons, "within the limits")
	require.Equal(t, 12*time.Hour, p.ApprovalTime)
	require.Equal(t, 7*24*time.Hour, p.MaxAge)
	stored, err := w.plans.Open(t.Context(), p.Input.Setup.Digest)
	require.NoError(t, err)
	require.NoError(t, stored.Close())

	_, err = do[madePlan](t, w.make, makeInput{System: "another shop", Episode: e})
	require.ErrorContains(t, err, "watches another shop, and this worker has shop")
	_, err = do[nextOutput](t, w.next, nextInput{System: "another shop"})
	require.ErrorContains(t, err, "another task queue")

	w, e = newWatching(t, func(o *Options) {
		o.Watch.State.Limits.MaxAmount = map[string]decimal.Decimal{"EUR": decimal.NewFromInt(1)}
	})
	require.Equal(t, []string{"it resubmits orders in an unknown currency, for which there is no limit"},
		w.makes(t, e).Reasons)
}

func TestWatchActivitiesApprove(t *testing.T) {
	t.Parallel()
	ana, eva := testKey("a"), testKey("e")
	approve := func(w *watchActivities, d decision) error {
		_, err := do[any](t, w.approve, approveInput{System: "shop", Decision: d})
		return err
	}
	signature := func(w *watchActivities, digest string, key ed25519.PrivateKey) string {
		p, err := w.plans.Open(t.Context(), digest)
		require.NoError(t, err)
		defer p.Close()
		s, err := p.Sign(key, "ana")
		require.NoError(t, err)
		return string(s.Line())
	}
	signer := func(w *watchActivities, digest string) (string, error) {
		p, err := w.plans.Open(t.Context(), digest)
		require.NoError(t, err)
		defer p.Close()
		s, err := p.SignedBy(publicOf(ana))
		if err != nil {
			return "", err
		}
		return s.Signer, nil
	}

	w, e := newWatching(t, func(o *Options) { o.Runner.Require = []ed25519.PublicKey{publicOf(ana)} })
	p := w.makes(t, e)
	digest := p.Input.Setup.Digest
	require.Equal(t, []string{"every plan must be signed"}, p.Reasons)
	require.ErrorContains(t, approve(w, decision{Digest: digest, By: "ana"}), "must have the signature")
	require.ErrorContains(t, approve(w, decision{Digest: digest, Signature: "{}"}), "signature")
	require.ErrorContains(t, approve(w, decision{Digest: digest, Signature: signature(w, digest, eva)}), "required keys")
	other := w.makes(t, e).Input.Setup.Digest
	require.ErrorContains(t, approve(w, decision{Digest: digest, Signature: signature(w, other, ana)}), "another plan")
	_, err := signer(w, digest)
	require.ErrorIs(t, err, plan.ErrUnsigned)
	require.NoError(t, approve(w, decision{Digest: digest, Signature: signature(w, digest, ana)}))
	by, err := signer(w, digest)
	require.NoError(t, err)
	require.Equal(t, "ana", by)

	w, e = newWatching(t, func(o *Options) { o.Watch.ApprovalKey = ana })
	digest = w.makes(t, e).Input.Setup.Digest
	require.ErrorContains(t, approve(w, decision{Digest: digest, By: "ben"}), "must have the signature")
	in := approveInput{System: "shop", Decision: decision{Digest: digest, By: "ben"}, Asked: true}
	_, err = do[any](t, w.approve, in)
	require.NoError(t, err)
	by, err = signer(w, digest)
	require.NoError(t, err)
	require.Equal(t, "ben", by, "the worker has the key")

	w, e = newWatching(t, nil)
	digest = w.makes(t, e).Input.Setup.Digest
	require.NoError(t, approve(w, decision{Digest: digest, By: "ben"}), "without keys, the signal is the approval")
}

func TestWatchActivitiesAsk(t *testing.T) {
	t.Parallel()
	var answer watch.Approval
	var answerErr error
	w, e := newWatching(t, func(o *Options) {
		o.Watch.Approve = func(_ context.Context, _ watch.Episode, p *plan.Plan) (watch.Approval, error) {
			if p.Counts().Resubmit != 1 {
				return answer, errors.New("the plan is another one")
			}
			return answer, answerErr
		}
	})
	p := w.makes(t, e)
	require.True(t, p.Asks)
	digest := p.Input.Setup.Digest
	ask := func() (askOutput, error) {
		return do[askOutput](t, w.ask, askInput{System: "shop", Episode: e, Digest: digest})
	}
	out, err := ask()
	require.NoError(t, err)
	require.Equal(t, askOutput{}, out)
	answer = watch.Approval{State: watch.Approved, Why: "it is small"}
	out, err = ask()
	require.NoError(t, err)
	require.Equal(t, decision{Digest: digest, By: "Config.Approve", Why: "it is small"}, out.Decision)
	answer = watch.Approval{State: watch.Rejected}
	out, err = ask()
	require.NoError(t, err)
	require.True(t, out.Decision.Rejected)
	answer.State = "perhaps"
	_, err = ask()
	require.ErrorContains(t, err, `the decision "perhaps"`)
	answerErr = errors.New("the database is down")
	_, err = ask()
	require.ErrorContains(t, err, "the database is down")
}

func TestWorkerRejectsAWatch(t *testing.T) {
	t.Parallel()
	a, _ := newActivities(t, newShop(), nil)
	cfg := a.sessions.cfg
	for want, c := range map[string]watch.Config{
		"Options.Watch.Dir is set":           {Dir: "/var/lib/resubmit"},
		"Options.Watch.OnClosed is set":      {OnClosed: func(watch.Episode, *state.Run) {}},
		"Options.Watch.State.Journal is set": {State: state.Config{Journal: cfg.Journal}},
		"Options.Watch.State.Systems is set": {State: state.Config{Systems: cfg.Systems}},
		"Options.Watch.State.Runner is set":  {State: state.Config{Runner: resubmit.Config{Concurrency: 1}}},
		"Options.Watch.State.Policy is set":  {State: state.Config{Policy: resubmit.Policy{SettleDelay: time.Minute}}},
		"Config.Windows is nil":              {},
	} {
		_, err := NewWorkers(nil, cfg.Systems, cfg.Journal, Options{Plans: Dir(""), Runner: cfg, Watch: &c})
		require.ErrorContains(t, err, want)
	}
	require.Error(t, StartWatch(t.Context(), nil, WatchOptions{}))
	_, err := WatchOnce(WatchOptions{System: "shop", Rate: -1})
	require.ErrorContains(t, err, "the rate is -1")
	require.ErrorContains(t, ApprovePlan(t.Context(), nil, Approval{System: "shop"}), "not the digest")
}
