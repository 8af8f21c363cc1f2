package temporal

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

const (
	// maxWait is how long an attempt may wait for its turn to push.
	maxWait = 3 * time.Second
	// maxLate is how long after the beginning of an activity its push may be sent. Its timeout is much longer.
	maxLate = 15 * time.Second
	// briefly is how long a look may take when the run of the plan ends.
	briefly = 5 * time.Second
	// heartbeatTimeout is when an activity without a heartbeat is taken to be lost.
	heartbeatTimeout = 10 * time.Second
	// heartbeat is how often a long activity reports, and thereby learns that it is cancelled.
	heartbeat = time.Second
)

// activities make all calls.
type activities struct {
	sessions *sessions
	alive    *alive // nil: the workflow of a plan is not looked at
	// known returns an error as long as the maintenance windows are not known, which a worker that watches reads itself.
	// Nil: they are.
	known func() error
}

// ready finds what may begin.
func (a *activities) ready(ctx context.Context, in readyInput) (out resubmit.Ready, err error) {
	defer heartbeats(ctx)()
	err = a.sessions.use(ctx, in.Digest, in.Rate, func(s *session) (err error) {
		out, err = s.Ready(ctx, in.Run, in.Done, in.Tried, in.Most)
		return err
	})
	return out, described(err, "")
}

// attempt resubmits an order, unless it has to wait.
func (a *activities) attempt(ctx context.Context, in stepInput) (stepOutput, error) {
	defer heartbeats(ctx)()
	if a.known != nil {
		if err := a.known(); err != nil {
			return stepOutput{}, described(err, "")
		}
	}
	if err := a.alive.check(ctx, in.Digest); err != nil {
		return stepOutput{}, err
	}
	// The server's time when it gave the activity to this worker. The deadline of ctx counts from when the worker got
	// it, which may be much later.
	late := activity.GetInfo(ctx).StartedTime.Round(0).Add(maxLate)
	return a.step(ctx, in, resubmit.StepOptions{MaxWait: maxWait, NotAfter: late, Judge: in.Judge})
}

// verify looks what became of an order that may have been pushed.
func (a *activities) verify(ctx context.Context, in stepInput) (stepOutput, error) {
	if in.Brief {
		brief, cancel := context.WithTimeout(ctx, briefly)
		defer cancel()
		ctx = brief
	}
	return a.step(ctx, in, resubmit.StepOptions{MaxWait: maxWait, LookOnly: true, Judge: in.Judge})
}

func (a *activities) step(ctx context.Context, in stepInput, o resubmit.StepOptions) (stepOutput, error) {
	defer heartbeats(ctx)()
	var r resubmit.StepResult
	err := a.sessions.use(ctx, in.Digest, in.Rate, func(s *session) (err error) {
		r, err = s.Step(ctx, in.OrderID, o)
		return err
	})
	switch {
	case r.Item.Outcome == protocol.ClaimedElsewhere && !r.Done:
		r.Item.Outcome = protocol.Unknown // another process may send it, for instance for an attempt that was lost
	case err != nil && ctx.Err() == nil:
		return stepOutput{}, described(err, r.Item.Outcome)
	}
	if r.Done && r.Item.Outcome != protocol.Completed {
		r.Why = r.Item.Why // for the history
	}
	return stepOutput{
		Outcome: r.Item.Outcome, Done: r.Done, Push: r.Push, Again: r.Again, Why: r.Why, Health: r.Health,
	}, nil
}

// heartbeats reports until it is stopped that the activity is not lost, if that takes long. If the activity was
// cancelled, ctx ends.
func heartbeats(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for {
			select {
			case <-time.After(heartbeat):
				activity.RecordHeartbeat(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	return cancel
}

// described returns an error that the workflows understand, about an order that has an outcome so far.
func described(err error, o protocol.Outcome) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if final(err) {
		kind := endedType
		if errors.Is(err, resubmit.ErrCancelled) || errors.Is(err, resubmit.ErrDrained) {
			kind = commandedType
		}
		return temporal.NewNonRetryableApplicationError(err.Error(), kind, nil, o)
	}
	return temporal.NewApplicationError(err.Error(), "", o)
}
