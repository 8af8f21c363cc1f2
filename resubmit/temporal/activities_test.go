package temporal

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// shop is a Commerce with one order, which has failed.
type shop struct {
	mu     sync.Mutex
	order  commerce.Order
	pushes int
	refuse error
}

func newShop() *shop {
	return &shop{order: commerce.Order{
		ID: "id-1", Number: "SO1", Type: commerce.TypeSales, Status: commerce.StatusProvisioningFailed,
		PlacedAt: time.Now().Add(-time.Hour), VendorAccountID: "1",
		Failure:     commerce.Failure{Messages: map[string]string{"en_US": "Reason: 502 Bad Gateway."}},
		Transitions: []commerce.Transition{{To: commerce.StatusPaid}},
	}}
}

func (s *shop) Order(context.Context, string) (*commerce.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return nil, s.refuse
	}
	o := s.order
	return &o, nil
}

func (s *shop) Push(context.Context, string, commerce.Status) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushes++
	s.order.Status, s.order.Transitions = commerce.StatusCompleted, []commerce.Transition{}
	return nil
}

// newActivities returns the activities for a plan with the order, and its digest.
func newActivities(t *testing.T, s *shop, change func(*resubmit.Config)) (*activities, string) {
	t.Helper()
	j, err := journal.Open(filepath.Join(t.TempDir(), "journal"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close()) })
	systems := resubmit.Systems{
		Name: "shop", Reader: s, Pusher: s, Capabilities: commerce.Capabilities{Failure: true, Transitions: true},
	}
	lease, err := j.Begin(t.Context(), resubmit.JournalUse{System: "shop"})
	require.NoError(t, err)
	var b bytes.Buffer
	w, err := plan.NewWriter(&b, plan.Header{
		System: "shop", CreatedAt: time.Now(), View: "Failed Orders", Filter: "everything()", Journal: lease.Position,
	})
	require.NoError(t, err)
	before := plan.SnapshotOf(&s.order)
	require.NoError(t, w.Write(&plan.Entry{
		OrderID: "id-1", Number: "SO1", Type: commerce.TypeSales, VendorAccountID: "1", Before: before,
		Fingerprint: plan.Fingerprint("id-1", before),
		Attribution: failure.Attribution{Verdict: failure.Caused, Class: failure.Transient},
		Decision:    rules.Decision{Action: rules.Resubmit, RuleID: "test", Why: "test"}, Target: commerce.StatusPaid,
	}))
	_, _, err = w.Close()
	require.NoError(t, err)
	dir := t.TempDir()
	file := filepath.Join(dir, "plan.jsonl")
	require.NoError(t, os.WriteFile(file, b.Bytes(), 0o600))
	p, err := plan.Open(file)
	require.NoError(t, err)
	require.NoError(t, Dir(dir).Put(t.Context(), p))
	require.NoError(t, p.Close())
	cfg := resubmit.Config{Systems: systems, Journal: j, RateLimit: -1}
	cfg.Verify.InitialInterval = -1
	if change != nil {
		change(&cfg)
	}
	a := &activities{sessions: &sessions{cfg: cfg, plans: Dir(dir), open: make(map[string]*session)}}
	t.Cleanup(a.sessions.close)
	return a, p.Digest()
}

// do executes an activity.
func do[T any](t *testing.T, f any, in any) (out T, err error) {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: "f"})
	v, err := env.ExecuteActivity("f", in)
	if err == nil && v.HasValue() {
		err = v.Get(&out)
	}
	return out, err
}

func requireEnded(t *testing.T, err error, text string) {
	t.Helper()
	e, ok := errors.AsType[*temporal.ApplicationError](err)
	require.True(t, ok, err)
	require.Equal(t, endedType, e.Type())
	require.ErrorContains(t, err, text)
}

func TestActivitiesResubmitAnOrder(t *testing.T) {
	t.Parallel()
	s := newShop()
	a, digest := newActivities(t, s, nil)
	ready, err := do[resubmit.Ready](t, a.ready, readyInput{Digest: digest, Most: 5})
	require.NoError(t, err)
	require.Equal(t, []resubmit.NextChain{{Places: []int{0}, IDs: []string{"id-1"}, Vendor: "1"}}, ready.Chains)

	in := stepInput{Digest: digest, OrderID: "id-1", Rate: 50}
	out, err := do[stepOutput](t, a.verify, in)
	require.NoError(t, err)
	require.True(t, out.Push, "a look never pushes")
	require.Zero(t, s.pushes)
	a.known = func() error { return errors.New("the windows are not known") }
	_, err = do[stepOutput](t, a.attempt, in)
	require.ErrorContains(t, err, "the windows are not known")
	require.Zero(t, s.pushes)
	for a.known = nil; !out.Done; {
		out, err = do[stepOutput](t, a.attempt, in)
		require.NoError(t, err)
	}
	require.Equal(t, protocol.Completed, out.Outcome)
	out, err = do[stepOutput](t, a.attempt, in)
	require.NoError(t, err)
	require.Equal(t, stepOutput{Outcome: protocol.Completed, Done: true, Health: "good"}, out)
	require.Equal(t, 1, s.pushes)
	ready, err = do[resubmit.Ready](t, a.ready, readyInput{Digest: digest, Run: "2", Most: 5})
	require.NoError(t, err)
	require.Empty(t, ready.Chains)
}

func TestCommandsEndThePlanForGood(t *testing.T) {
	t.Parallel()
	for _, err := range []error{resubmit.ErrCancelled, resubmit.ErrDrained} {
		e, ok := errors.AsType[*temporal.ApplicationError](described(err, protocol.NotStarted))
		require.True(t, ok)
		require.Equal(t, commandedType, e.Type())
		require.True(t, endsPlan(e))
	}
}

func TestActivitiesEndThePlan(t *testing.T) {
	t.Parallel()
	s := newShop()
	s.refuse = &commerce.Error{Op: "read order", HTTPStatus: 401}
	a, digest := newActivities(t, s, nil)
	_, err := do[stepOutput](t, a.attempt, stepInput{Digest: digest, OrderID: "id-1"})
	requireEnded(t, err, "refused the credentials")
	s.refuse = nil
	_, err = do[stepOutput](t, a.attempt, stepInput{Digest: digest, OrderID: "id-1"})
	require.NoError(t, err, "the next run opens the plan again")
	_, err = do[stepOutput](t, a.attempt, stepInput{Digest: digest, OrderID: "id-2"})
	requireEnded(t, err, "not as in the approved plan")

	a, digest = newActivities(t, newShop(), func(c *resubmit.Config) { c.MaxPlanAge = time.Millisecond })
	_, err = do[resubmit.Ready](t, a.ready, readyInput{Digest: digest, Most: 5})
	requireEnded(t, err, "plan")
}

func TestActivitiesNeedThePlan(t *testing.T) {
	t.Parallel()
	a, digest := newActivities(t, newShop(), nil)
	for _, d := range []string{"", "sha256:..", digest + "0"} {
		_, err := do[stepOutput](t, a.attempt, stepInput{Digest: d, OrderID: "id-1"})
		require.ErrorContains(t, err, "digest")
	}
	other := "sha256:" + string(bytes.Repeat([]byte("0"), 64))
	_, err := do[stepOutput](t, a.attempt, stepInput{Digest: other, OrderID: "id-1"})
	require.ErrorContains(t, err, "no such file")
	e, ok := errors.AsType[*temporal.ApplicationError](err)
	require.True(t, ok)
	require.NotEqual(t, endedType, e.Type(), "it may come")

	a.sessions.plans = wrongStore{a.sessions.plans, digest}
	_, err = do[stepOutput](t, a.attempt, stepInput{Digest: other, OrderID: "id-1"})
	require.ErrorContains(t, err, "the store has the plan "+digest)
}

// wrongStore always opens one plan.
type wrongStore struct {
	plan.Store

	digest string
}

func (w wrongStore) Open(ctx context.Context, _ string) (*plan.Plan, error) {
	return w.Store.Open(ctx, w.digest)
}

func TestWorkerRejects(t *testing.T) {
	t.Parallel()
	s := newShop()
	a, _ := newActivities(t, s, nil)
	cfg := a.sessions.cfg
	_, err := NewWorkers(nil, cfg.Systems, new(resubmit.MemoryJournal), Options{Plans: Dir(""), Runner: cfg})
	require.ErrorContains(t, err, "MemoryJournal")
	_, err = NewWorkers(nil, cfg.Systems, cfg.Journal, Options{Plans: Dir("")})
	require.ErrorContains(t, err, "SharedRate")
	_, err = NewWorkers(nil, cfg.Systems, cfg.Journal, Options{Runner: cfg})
	require.ErrorContains(t, err, "Options.Plans")
	cfg.Guard = 1
	_, err = NewWorkers(nil, cfg.Systems, cfg.Journal, Options{Plans: Dir(""), Runner: cfg})
	require.ErrorContains(t, err, "Config.Guard")
}
