package console

import (
	"context"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// orderBody is the page of an order.
type orderBody struct {
	Name     string
	Entry    *plan.Entry
	Override step
	Resolve  step
	Why      string
}

func orderPage(v *visit) error { return v.showOrder(nil) }

func (v *visit) showOrder(failed error) error {
	name := v.field("order")
	return notFound("No order %s in this directory.", text.Short(name))
}

// override plans an order although it is held.
func override(v *visit) error {
	name := v.field("order")
	if name == "" || v.field("why") == "" {
		return v.showOrder(wrongField("why", "Give the reason for another attempt."))
	}
	cfg := v.site.dir.Config().Plan
	cfg.Override = []string{name}
	by := v.user
	k, err := v.site.tasks.start("Making a plan", by, func(ctx context.Context, k *task) (string, error) {
		cfg.Progress = func(p resubmit.PlanProgress) { k.setProgress("Making a plan: " + p.String() + ".") }
		run, err := v.site.dir.Plan(ctx, &cfg, state.PlanOptions{By: by, For: v.field("why")})
		if err != nil {
			return "", err
		}
		return query("plan", "run", run.ID), nil
	})
	return v.started(k, err)
}

// resolve settles an unknown order by hand.
func resolve(v *visit) error {
	name, why := v.field("order"), strings.TrimSpace(v.field("why"))
	outcome := protocol.Outcome(v.field("outcome"))
	switch {
	case name == "":
		return badRequest("the order is missing; open the order and settle it there")
	case why == "":
		return v.showOrder(wrongField("resolve-why", "Say how the outcome is known. Nothing was done."))
	case outcome != protocol.Completed && outcome != protocol.NotMoved:
		return v.showOrder(wrongField("resolve-why", "Choose what became of the order. Nothing was done."))
	}
	err := v.site.dir.Resolve(v.r.Context(), state.Resolution{Order: name, Outcome: outcome, By: v.by(), Why: why})
	if err != nil {
		return v.showOrder(err)
	}
	return v.see(query("order", "order", name, "did", "resolve"))
}
