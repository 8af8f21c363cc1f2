package watch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// Approval is the answer of Config.Approve to a plan. The zero value means: ask again in 15 min.
type Approval struct {
	State ApprovalState
	// AskAgainAt is when Approve is called again for the plan; zero means in 15 min. For Pending only.
	AskAgainAt time.Time
	// By is who decided, for the signature and the audit log, which have the first 190 bytes. Default "watcher".
	By string
	// Why is the reason, for the log and the status. Optional.
	Why string
}

// ApprovalState says whether a plan is approved.
type ApprovalState string

// The decisions.
const (
	Pending  ApprovalState = ""         // not decided yet
	Approved ApprovalState = "approved" // apply the plan
	Rejected ApprovalState = "rejected" // cancel the plan and close the episode
)

// signer is the default of Approval.By.
const signer = "watcher"

// approver asks Config.Approve about plans.
type approver struct {
	loop   *loop
	now    atomic.Bool // Wake was called: there may be a decision
	at     time.Time   // when to call Approve again
	digest string      // of the plan that Approve was last called with
}

// ask calls Config.Approve for the plan of an episode, if it is time to. Other plans wait for a person.
func (a *approver) ask(ctx context.Context, e Episode, need *state.ApprovalError) (time.Duration, error) {
	l, run := a.loop, need.Run
	if l.cfg.Approve == nil || run.For != e.ID || run.Review {
		l.blocked = run.For != e.ID
		l.board.set(update{phase: PhaseAwaitingApproval, episode: e, text: fmt.Sprintf(
			"The plan %s of run %s waits for approval: %s. Review it and run: %s",
			shortDigest(run.Digest), run.ID, strings.Join(need.Reasons, ", "), need.Command)})
		return l.cfg.Refresh, nil
	}
	if a.digest != run.Digest {
		a.digest, a.at = run.Digest, time.Time{}
		l.board.set(update{phase: PhaseAwaitingApproval, episode: e, text: fmt.Sprintf(
			"Asking for approval of the plan %s for %s: %s to resubmit.",
			shortDigest(run.Digest), e.name(), text.Orders(run.Counts.Resubmit))})
	}
	if pause := time.Until(a.at); pause > 0 && !a.now.Load() {
		return min(pause, l.cfg.Refresh), nil
	}
	a.now.Store(false)
	p, err := l.dir.OpenPlan(run)
	if err != nil {
		return 0, err
	}
	answer, err := callback.Call(func() (Approval, error) { return l.cfg.Approve(ctx, e, p) })
	if panicked, ok := errors.AsType[*callback.PanicError](err); ok {
		callback.Log(l.cfg.Logger, err)
		answer, err = Approval{Why: panicked.Error()}, nil
	}
	if err = errors.Join(err, p.Close()); err != nil {
		return 0, fmt.Errorf("ask for approval: %w", err)
	}
	return 0, a.decide(e, run, answer)
}

// decide acts on the answer of Config.Approve.
func (a *approver) decide(e Episode, run *state.Run, answer Approval) error {
	l, by, why := a.loop, cmp.Or(strings.TrimSpace(text.Excerpt(answer.By, 190)), signer), ""
	if answer.Why != "" {
		why = ": " + text.Short(answer.Why)
	}
	switch answer.State {
	case Approved:
		if err := l.dir.Approve(run.Digest, by, l.cfg.ApprovalKey); err != nil {
			return err
		}
		l.board.log(slog.LevelInfo, "plan approved", "step", PhaseAwaitingApproval, "episode", e.ID, "by", by,
			"detail", "The plan "+shortDigest(run.Digest)+" is approved"+why+".")
		return nil
	case Rejected: // the next call of Dir.Once obeys
		return l.dir.Control(state.Command{Action: state.ActionCancel, Run: run.Digest, By: by,
			Why: "the plan was rejected" + why})
	case Pending:
	default:
		return fmt.Errorf("Config.Approve returned the decision %q; return Pending, %q or %q",
			text.Short(string(answer.State)), Approved, Rejected)
	}
	a.at = answer.AskAgainAt
	if !a.at.After(time.Now()) {
		a.at = time.Now().Add(defaultAskAgain)
	}
	l.board.set(update{phase: PhaseAwaitingApproval, episode: e, until: a.at, key: "pending", text: fmt.Sprintf(
		"The plan %s for %s is not decided yet%s. It has %s to resubmit.",
		shortDigest(run.Digest), e.name(), why, text.Orders(run.Counts.Resubmit))})
	return nil
}
