package watch

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"strings"
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

// ask calls Config.Approve for a plan, if it is time to.
func (w *Watcher) ask(ctx context.Context, e Episode, now time.Time) (time.Duration, error) {
	if pause := w.askAt.Sub(now); pause > 0 && !w.askNow.Load() {
		return min(pause, w.cfg.Refresh), nil
	}
	w.askNow.Store(false)
	plan, err := w.openUndecided(e)
	if err != nil {
		w.discardPlan(slog.LevelWarn, "plan unusable, planning again", e, "detail", text.Short(err.Error()))
		return 0, nil
	}
	if w.asked != e.PlanDigest {
		w.asked = e.PlanDigest
		w.setStatus(update{phase: PhaseAwaitingApproval, episode: e, text: fmt.Sprintf(
			"Asking for approval of the plan %s for %s: %s to resubmit.",
			shortDigest(e.PlanDigest), e.name(), text.Orders(e.Counts.Resubmit))})
	}
	answer, err := callback.Call(func() (Approval, error) { return w.cfg.Approve(ctx, e, plan) })
	if panicked, ok := errors.AsType[*callback.PanicError](err); ok {
		callback.Log(w.cfg.Logger, err)
		answer, err = Approval{Why: panicked.Error()}, nil
	}
	if err = errors.Join(err, plan.Close()); err != nil {
		return 0, fmt.Errorf("ask for approval: %w", err)
	}
	return 0, w.decide(e, answer, now)
}

// approve signs the digest of a plan and saves that, before anything is sent.
func (w *Watcher) approve(e Episode) error {
	p, err := w.openPlan(e)
	if err != nil {
		return err
	}
	signature, err := p.Sign(w.cfg.ApprovalKey, "watcher")
	if err = errors.Join(err, p.Close()); err != nil {
		return err
	}
	e.State, e.Approval = EpisodeApplying, string(signature.Line())
	return w.save(w.state.with(e))
}

// checkApproval returns an error unless the plan was approved by this watcher, or one with the same key.
func (w *Watcher) checkApproval(e Episode, p *plan.Plan) error {
	signature, err := plan.ReadSignature(strings.NewReader(e.Approval))
	if err == nil {
		_, err = p.WithSignature(signature).SignedBy(ed25519.PublicKey(w.cfg.ApprovalKey[ed25519.SeedSize:]))
	}
	return err
}

// decide acts on the answer of Config.Approve.
func (w *Watcher) decide(e Episode, answer Approval, now time.Time) error {
	why := ""
	if answer.Why != "" {
		why = ": " + text.Short(answer.Why)
	}
	switch answer.State {
	case Approved:
		w.log(slog.LevelInfo, "plan approved", "step", PhaseAwaitingApproval, "episode", e.ID,
			"detail", "The plan "+shortDigest(e.PlanDigest)+" is approved"+why+".")
		return w.approve(e)
	case Rejected:
		e.State, e.Note = EpisodeRejected, "the plan "+shortDigest(e.PlanDigest)+" was rejected"+why
		return w.finish(e, nil, time.Now())
	case Pending:
	default:
		return fmt.Errorf("Config.Approve returned the decision %q; return Pending, %q or %q",
			text.Short(string(answer.State)), Approved, Rejected)
	}
	w.askAt = answer.AskAgainAt
	if !answer.AskAgainAt.After(now) {
		w.askAt = time.Now().Add(defaultAskAgain)
	}
	w.setStatus(update{phase: PhaseAwaitingApproval, episode: e, until: w.askAt, key: "pending", text: fmt.Sprintf(
		"The plan %s for %s is not decided yet%s. It has %s to resubmit.",
		shortDigest(e.PlanDigest), e.name(), why, text.Orders(e.Counts.Resubmit))})
	return nil
}

// openUndecided opens a plan that is not approved yet. A plan for another system, or of an
// older version, which names none, is an error, since it could not be applied.
func (w *Watcher) openUndecided(e Episode) (*plan.Plan, error) {
	plan, err := w.openPlan(e)
	if err != nil {
		return nil, err
	}
	if err := plan.CheckSystem(w.cfg.Runner.Name); err != nil {
		return nil, errors.Join(err, plan.Close())
	}
	return plan, nil
}
