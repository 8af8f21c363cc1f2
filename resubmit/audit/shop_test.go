package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// shop is a Commerce in which a push works at once, and a Connect that agrees.
type shop struct {
	mu      sync.Mutex
	orders  map[string]*commerce.Order
	journal resubmit.MemoryJournal
	pushes  int
	onPush  func(id string) error
}

func newShop(n int) *shop {
	s := &shop{orders: make(map[string]*commerce.Order)}
	for i := range n {
		o := &commerce.Order{
			ID: fmt.Sprintf("id-%d", i+1), Number: fmt.Sprintf("SO%06d", i+1), Type: commerce.TypeSales,
			Status: commerce.StatusProvisioningFailed, PlacedAt: time.Date(2026, 11, 22, 2, 30, i, 0, time.UTC),
			SubscriptionIDs: []string{fmt.Sprintf("1%06d", i+1)}, Transitions: []commerce.Transition{{To: commerce.StatusPaid}},
			Failure: commerce.Failure{Messages: map[string]string{"en_US": "503 Service Unavailable"}},
		}
		s.orders[o.ID] = o
	}
	return s
}

func (s *shop) Order(_ context.Context, id string) (*commerce.Order, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	read := *s.orders[id]
	return &read, nil
}

func (s *shop) Orders(ctx context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		for _, id := range q.IDs {
			if s.orders[id] == nil {
				yield(nil, errors.New("there is no order "+id))
				return
			}
			if !yield(s.Order(ctx, id)) {
				return
			}
		}
	}
}

func (s *shop) Push(_ context.Context, id string, _ commerce.Status) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pushes++
	if s.onPush != nil {
		if err := s.onPush(id); err != nil {
			return err
		}
	}
	s.orders[id].Status = commerce.StatusCompleted
	return nil
}

func (s *shop) System() string { return "audited shop" }

func (s *shop) BaseURL() string { return "https://shop.test" }

func (s *shop) Capabilities() commerce.Capabilities {
	return commerce.Capabilities{Failure: true, Transitions: true, MaxConcurrency: 1}
}

func (s *shop) LatestRequests(_ context.Context,
	keys []connect.RequestKey) (map[connect.RequestKey][]connect.LatestRequest, error) {
	found := make(map[connect.RequestKey][]connect.LatestRequest)
	for _, k := range keys {
		found[k] = []connect.LatestRequest{{Request: connect.Request{ID: "PR-" + k.SubscriptionID,
			Status: connect.StatusApproved, Updated: time.Date(2026, 11, 22, 5, 0, 0, 0, time.UTC)}}}
	}
	return found, nil
}

// plan marks all orders of the shop for resubmission but those of the ids, which it
// holds.
func (s *shop) plan(t testing.TB, held ...string) *plan.Plan {
	t.Helper()
	plan, err := s.planOf(held...)
	require.NoError(t, err)
	return plan
}

func (s *shop) planOf(held ...string) (*plan.Plan, error) {
	lease, err := s.journal.Begin(context.Background(), resubmit.JournalUse{System: s.System(), BaseURL: s.BaseURL()})
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	w, err := plan.NewWriter(&file, plan.Header{
		System: s.System(), View: "test", Filter: "true()", Journal: lease.Position,
	})
	if err != nil {
		return nil, err
	}
	for i := range len(s.orders) {
		o := s.orders[fmt.Sprintf("id-%d", i+1)]
		before := plan.SnapshotOf(o)
		e := &plan.Entry{
			OrderID: o.ID, Number: o.Number, Type: o.Type, Subscriptions: o.SubscriptionIDs, Before: before,
			Fingerprint: plan.Fingerprint(o.ID, before), Target: commerce.StatusPaid,
			Attribution: failure.Attribution{Verdict: failure.Caused, Class: failure.Transient},
			Decision:    rules.Decision{Action: rules.Resubmit, RuleID: "never-reached", Why: "the call never reached Connect"},
		}
		for _, id := range held {
			if id == o.ID {
				e.Decision, e.Target = rules.Decision{Action: rules.Hold, RuleID: "unclear", Why: "nobody knows"}, ""
			}
		}
		if err := w.Write(e); err != nil {
			return nil, err
		}
	}
	if _, _, err = w.Close(); err != nil {
		return nil, err
	}
	return plan.Read(bytes.NewReader(file.Bytes()), int64(file.Len()))
}

// config applies plans without waiting, one order after the other.
func (s *shop) config() resubmit.Config {
	systems := resubmit.SystemsOf(s, nil)
	systems.Requests = s
	return resubmit.Config{
		Systems: systems, Journal: &s.journal, Concurrency: 1, RateLimit: -1, Guard: -1, MaxDeferrals: -1,
		Canary: resubmit.CanaryConfig{Steps: []int{}},
		Verify: resubmit.VerifyConfig{InitialInterval: -1, Timeout: -1},
	}
}
