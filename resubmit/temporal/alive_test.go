package temporal

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
)

// Nothing is pushed for a plan whose workflow was terminated.
func TestAttemptsNeedTheWorkflowOfThePlan(t *testing.T) {
	t.Parallel()
	s := newShop()
	a, digest := newActivities(t, s, nil)
	in := stepInput{Digest: digest, OrderID: "id-1"}
	now := time.Now()
	info := new(client.WorkflowExecutionDescription)
	var failure error
	looks := 0
	a.alive = &alive{seen: make(map[string]time.Time), describe: func(_ context.Context, id, _ string) (
		*client.WorkflowExecutionDescription, error,
	) {
		looks++
		require.Equal(t, planID(digest), id)
		return info, failure
	}}
	stopped := func(err error) bool {
		e, ok := errors.AsType[*temporal.ApplicationError](err)
		require.True(t, ok, err)
		return e.Type() == stoppedType
	}
	failure = errors.New("no connection")
	_, err := do[stepOutput](t, a.attempt, in)
	require.False(t, stopped(err), "it may run")
	failure = serviceerror.NewNotFound("it was deleted")
	_, err = do[stepOutput](t, a.attempt, in)
	require.True(t, stopped(err))
	failure, info.WorkflowCloseTime = nil, &now
	_, err = do[stepOutput](t, a.attempt, in)
	require.True(t, stopped(err))
	require.Zero(t, s.pushes)

	info.WorkflowCloseTime, looks = nil, 0
	for range 2 {
		_, err = do[stepOutput](t, a.attempt, in)
		require.NoError(t, err)
	}
	require.Equal(t, 1, s.pushes)
	require.LessOrEqual(t, looks, 2)
	a.alive.seen[digest] = time.Now().Add(-time.Hour)
	info.WorkflowCloseTime = &now
	_, err = do[stepOutput](t, a.attempt, in)
	require.True(t, stopped(err))
}
