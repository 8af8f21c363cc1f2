package console

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/eta"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// From how many orders or vendors on a person must type the number of orders.
const (
	typeAboveOrders  = 100
	typeAboveVendors = 2
)

// approveBody is the page that asks before a plan is approved.
type approveBody struct {
	Run    *state.Run
	Send   *tally
	Others int // orders of the plan that stay as they are
	Groups int // of the canary; 0 without one
	Rate   string
	Time   string // about how long it takes; "" without a rate limit
	Type   bool   // the number must be typed
	Typed  string
	Gone   bool // the plan is not the current one any more
	Newest *state.Run
	Denied string
	Here   bool // this process applies it
}

// approvePage asks whether a plan is to be approved.
func approvePage(v *visit) error {
	run, err := v.run()
	if err != nil {
		return err
	}
	return v.askApproval(run, nil)
}

// askApproval shows the page, with the problem of an attempt before.
func (v *visit) askApproval(run *state.Run, failed error) error {
	p, leave, err := v.site.open(run)
	if err != nil {
		return err
	}
	defer leave()
	status, err := v.site.dir.Status()
	if err != nil {
		return err
	}
	body := &approveBody{
		Run: run, Send: p.tally(rules.Resubmit), Groups: v.site.canaryGroups(p.Index()),
		Typed: v.field("typed"), Newest: status.Run, Here: v.site.cfg.Apply != nil,
		Denied: v.denied(Approve, "approve", run),
	}
	body.Rate, body.Time = v.site.rateLimit(body.Send.Orders)
	body.Others = run.Counts.Total - body.Send.Orders
	body.Type = mustType(body.Send)
	body.Gone = status.Run == nil || status.Run.ID != run.ID || run.Ended() || !run.StartedAt.IsZero()
	if body.Gone && failed == nil {
		failed = conflict("Plan %s is not waiting for an approval any more. Nothing was sent.", runName(run))
	}
	h := head{Title: fmt.Sprintf("Resubmit %s?", plural(body.Send.Orders, "order")), Page: "plan", Body: body}
	return v.show("approve", h, failed)
}

func mustType(send *tally) bool {
	return send.Orders > typeAboveOrders || send.Vendors > typeAboveVendors
}

// canaryGroups returns with how many groups of orders a run begins; 0 without a canary.
func (s *site) canaryGroups(index *plan.Index) int {
	if c := s.dir.Config().Runner.Canary; c.Steps != nil && len(c.Steps) == 0 {
		return 0
	}
	return len(index.Groups())
}

// rateLimit returns the rate limit of runs in words, and about how long n orders take.
func (s *site) rateLimit(n int) (rate, duration string) {
	limit := resubmit.Config{RateLimit: s.dir.Config().Runner.RateLimit}.WithDefaults().RateLimit
	if limit > 0 {
		duration = eta.Words(eta.AtLimit(n, limit))
	}
	return rateWords(&resubmit.Status{Rate: limit}), duration
}

// approve approves the plan whose digest was shown.
func approve(v *visit) error {
	run, err := v.shownRun("plan", "approve")
	if err != nil {
		return err
	}
	if err := v.checkTyped(run); err != nil {
		return v.askApproval(run, err)
	}
	if err := v.site.dir.Approve(run.Digest, v.by(), v.site.cfg.ApprovalKey); err != nil {
		if errors.Is(err, state.ErrNoRun) {
			err = conflict("Plan %s was replaced, or has ended. Nothing was sent.", runName(run))
		}
		return v.askApproval(run, err)
	}
	err = v.site.apply(run, v.by())
	if err == nil && v.site.cfg.Apply != nil {
		err = v.settle(func(s *state.Status) bool { return s.Run == nil || !s.Run.StartedAt.IsZero() })
	}
	if err != nil {
		return err
	}
	return v.see(query("run", "run", run.ID))
}

// revoke withdraws the approval of a plan that was not begun.
func revoke(v *visit) error {
	run, err := v.shownRun("plan", "revoke")
	if err != nil {
		return err
	}
	if err := v.site.dir.Revoke(run.Digest, v.by(), v.field("why")); err != nil {
		return err
	}
	return v.see(query("plan", "run", run.ID))
}

// checkTyped returns an error unless the number that the page asks for was typed.
func (v *visit) checkTyped(run *state.Run) error {
	p, leave, err := v.site.open(run)
	if err != nil {
		return err
	}
	defer leave()
	send := p.tally(rules.Resubmit)
	typed := strings.Join(strings.Fields(strings.ReplaceAll(v.field("typed"), text.Narrow, "")), "")
	if mustType(send) && typed != fmt.Sprint(send.Orders) {
		return wrongField("typed", "Type %d to confirm. Nothing was sent.", send.Orders)
	}
	return nil
}

// apply applies the approved plan in the background, if this process does that: now, or when the running task has
// ended. It applies no plan that has replaced it.
func (s *site) apply(run *state.Run, by string) error {
	if s.cfg.Apply == nil {
		return nil
	}
	return s.tasks.startNext(applying, by, func(ctx context.Context, _ *task) (string, error) {
		status, err := s.dir.Status()
		if err == nil && (status.Run == nil || status.Run.Digest != run.Digest) {
			err = fmt.Errorf("plan %s was replaced before it was applied", runName(run))
		}
		if err == nil {
			err = s.cfg.Apply(ctx)
		}
		s.cfg.Logger.Info("applying ended", "by", by, "error", err)
		return "run", err
	})
}
