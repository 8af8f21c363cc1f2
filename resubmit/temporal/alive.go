package temporal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// trusted is how long the workflow of a plan is taken to run after it was seen to.
const trusted = time.Second

// alive looks whether the workflows of plans still run: one that was terminated does not tell its chains.
type alive struct {
	describe func(ctx context.Context, workflow, run string) (*client.WorkflowExecutionDescription, error)

	mu   sync.Mutex
	seen map[string]time.Time // when the workflow of a plan was last seen to run
}

// check returns an error if the workflow of a plan does not run.
func (a *alive) check(ctx context.Context, digest string) error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if now.Sub(a.seen[digest]) < trusted {
		return nil
	}
	d, err := a.describe(ctx, planID(digest), "")
	_, gone := errors.AsType[*serviceerror.NotFound](err)
	switch {
	case gone || err == nil && d.WorkflowCloseTime != nil:
		return temporal.NewNonRetryableApplicationError("the workflow of the plan has ended", stoppedType, nil)
	case err != nil:
		return described(fmt.Errorf("look whether the workflow of the plan runs: %w", err), "")
	}
	a.seen[digest] = now
	return nil
}
