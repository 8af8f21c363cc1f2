package watch

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// Approval is the answer of Config.Approve to a plan. The zero value means: ask again in 15 min.
type Approval struct {
	State ApprovalState
	// AskAgainAt is when Approve is called again; zero means in 15 min. For Pending only.
	AskAgainAt time.Time
	// Why is the reason, for the log and the status. Optional.
	Why string
}

// ApprovalState says whether a plan is approved.
type ApprovalState string

// The decisions.
const (
	Pending  ApprovalState = ""         // not decided yet
	Approved ApprovalState = "approved" // apply the plan
	Rejected ApprovalState = "rejected" // discard the plan and close the episode
)

// approver asks for the approval of plans, and signs those that are approved.
type approver struct {
	loop   *loop
	now    atomic.Bool // Wake was called: there may be a decision
	at     time.Time   // when to call Approve again
	digest string      // of the plan that Approve was last called with
}

// ask calls Config.Approve for a plan, if it is time to.
func (a *approver) ask(ctx context.Context, e Episode, now time.Time) (time.Duration, error) {
	if pause := a.at.Sub(now); pause > 0 && !a.now.Load() {
		return min(pause, a.loop.cfg.Refresh), nil
	}
	a.now.Store(false)
	plan, err := a.openUndecided(e)
	if err != nil {
		a.loop.discardPlan(slog.LevelWarn, "plan unusable, planning again", e, "detail", text.Short(err.Error()))
		return 0, nil
	}
	if a.digest != e.PlanDigest {
		a.digest = e.PlanDigest
		a.loop.board.set(update{phase: PhaseAwaitingApproval, episode: e, text: fmt.Sprintf(
			"Asking for approval of the plan %s for %s: %s to resubmit.",
			shortDigest(e.PlanDigest), e.name(), text.Orders(e.Counts.Resubmit))})
	}
	answer, err := callback.Call(func() (Approval, error) { return a.loop.cfg.Approve(ctx, e, plan) })
	if panicked, ok := errors.AsType[*callback.PanicError](err); ok {
		callback.Log(a.loop.cfg.Logger, err)
		answer, err = Approval{Why: panicked.Error()}, nil
	}
	if err = errors.Join(err, plan.Close()); err != nil {
		return 0, fmt.Errorf("ask for approval: %w", err)
	}
	return 0, a.decide(e, answer, now)
}

// approve signs the digest of a plan and saves that, before anything is sent.
func (a *approver) approve(e Episode) error {
	p, err := a.loop.store.openPlan(e)
	if err != nil {
		return err
	}
	signature, err := p.Sign(a.loop.cfg.ApprovalKey, "watcher")
	if err = errors.Join(err, p.Close()); err != nil {
		return err
	}
	e.State, e.Approval = EpisodeApplying, string(signature.Line())
	return a.loop.store.save(a.loop.store.state.with(e))
}

// check returns an error unless the plan was approved by this watcher, or one with the same key.
func (a *approver) check(e Episode, p *plan.Plan) error {
	signature, err := plan.ReadSignature(strings.NewReader(e.Approval))
	if err == nil {
		_, err = p.WithSignature(signature).SignedBy(ed25519.PublicKey(a.loop.cfg.ApprovalKey[ed25519.SeedSize:]))
	}
	return err
}

// decide acts on the answer of Config.Approve.
func (a *approver) decide(e Episode, answer Approval, now time.Time) error {
	why := ""
	if answer.Why != "" {
		why = ": " + text.Short(answer.Why)
	}
	switch answer.State {
	case Approved:
		a.loop.board.log(slog.LevelInfo, "plan approved", "step", PhaseAwaitingApproval, "episode", e.ID,
			"detail", "The plan "+shortDigest(e.PlanDigest)+" is approved"+why+".")
		return a.approve(e)
	case Rejected:
		e.State, e.Note = EpisodeRejected, "the plan "+shortDigest(e.PlanDigest)+" was rejected"+why
		return a.loop.finish(e, nil, time.Now())
	case Pending:
	default:
		return fmt.Errorf("Config.Approve returned the decision %q; return Pending, %q or %q",
			text.Short(string(answer.State)), Approved, Rejected)
	}
	a.at = answer.AskAgainAt
	if !answer.AskAgainAt.After(now) {
		a.at = time.Now().Add(defaultAskAgain)
	}
	a.loop.board.set(update{phase: PhaseAwaitingApproval, episode: e, until: a.at, key: "pending", text: fmt.Sprintf(
		"The plan %s for %s is not decided yet%s. It has %s to resubmit.",
		shortDigest(e.PlanDigest), e.name(), why, text.Orders(e.Counts.Resubmit))})
	return nil
}

// openUndecided opens a plan that is not approved yet. A plan for another system, or of an
// older version, which names none, is an error, since it could not be applied.
func (a *approver) openUndecided(e Episode) (*plan.Plan, error) {
	plan, err := a.loop.store.openPlan(e)
	if err != nil {
		return nil, err
	}
	if err := plan.CheckSystem(a.loop.cfg.Runner.Name); err != nil {
		return nil, errors.Join(err, plan.Close())
	}
	return plan, nil
}
