package state_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// shop is an ordering system with three failed orders.
type shop map[string]*commerce.Order

func newShop() shop {
	s := make(shop)
	for n := range 3 {
		id := fmt.Sprint(n + 1)
		s[id] = &commerce.Order{
			ID: id, Number: "SO00000" + id, Type: commerce.TypeSales, Status: commerce.StatusProvisioningFailed,
			PlacedAt: time.Now().Add(-time.Hour), CustomerID: id,
			Failure:     commerce.Failure{Messages: map[string]string{"en": "502 Bad Gateway"}},
			Transitions: []commerce.Transition{{To: commerce.StatusPaid}},
		}
	}
	return s
}

func (s shop) Orders(_ context.Context, q commerce.Query) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		for _, id := range []string{"1", "2", "3"} {
			if o := *s[id]; q.Match(&o) && !yield(&o, nil) {
				return
			}
		}
	}
}

func (s shop) Order(_ context.Context, id string) (*commerce.Order, error) {
	o := *s[id]
	return &o, nil
}

func (s shop) Push(_ context.Context, id string, _ commerce.Status) error {
	s[id].Status, s[id].Failure, s[id].Transitions = commerce.StatusCompleted, commerce.Failure{}, nil
	return nil
}

func (s shop) systems() resubmit.Systems {
	return resubmit.Systems{
		Name: "our shop", Lister: s, Reader: s, Pusher: s,
		Capabilities: commerce.Capabilities{Failure: true, Transitions: true, Lists: true},
	}
}

func exampleConfig(s shop, dir string, approver ed25519.PublicKey) state.Config {
	return state.Config{
		Systems:   s.systems(),
		Plan:      resubmit.PlanConfig{Filter: filter.Everything(), IgnoreConnect: true, RateLimit: -1},
		Runner:    resubmit.Config{RateLimit: -1, Verify: resubmit.VerifyConfig{InitialInterval: -1}},
		Approvers: []ed25519.PublicKey{approver},
		Anchor:    state.FileAnchor(filepath.Join(dir, "anchor.json")),
	}
}

// A nightly job. No maintenance is known that can have caused the failures, so somebody approves the plan.
func Example() {
	temp, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(temp) }()
	public, private, err := ed25519.GenerateKey(nil) // see plan.NewSigningKey
	if err != nil {
		fmt.Println(err)
		return
	}
	dir, err := state.Open(context.Background(), filepath.Join(temp, "state"), exampleConfig(newShop(), temp, public))
	if err != nil {
		fmt.Println(err)
		return
	}

	_, err = dir.Once(context.Background(), state.OnceOptions{})
	need, ok := errors.AsType[*state.ApprovalError](err)
	if !ok {
		fmt.Println(err)
		return
	}
	fmt.Println("needs an approval:", strings.Join(need.Reasons, ", "))
	if err := dir.Approve(need.Run.Digest, "ana", private); err != nil {
		fmt.Println(err)
		return
	}
	result, err := dir.Once(context.Background(), state.OnceOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Runs[0].Report.Result)

	result, err = dir.Once(context.Background(), state.OnceOptions{})
	fmt.Println(result.Runs[0].End, err)
	fmt.Println("before:", result.Previous.Result)
	// Output:
	// needs an approval: it resubmits 3 orders with the verdict "unknown"
	// 3 completed
	// nothing <nil>
	// before: 3 completed
}
