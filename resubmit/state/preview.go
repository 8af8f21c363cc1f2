package state

import (
	"context"
	"fmt"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// Preview makes a plan without the lock, and changes nothing. It is for people to look at: [Dir.Once] makes its own.
// Nil: Config.Plan.
func (d *Dir) Preview(ctx context.Context, cfg *resubmit.PlanConfig) (*plan.Plan, error) {
	j, closing, err := d.journals.use(ctx, true)
	if err != nil {
		return nil, err
	}
	if j == nil {
		j = new(resubmit.MemoryJournal)
	}
	p, err := resubmit.BuildPlan(ctx, d.planConfig(cfg, readOnly{j}))
	if err != nil {
		_ = closing() // err says more
		return nil, fmt.Errorf("state: preview: %w", err)
	}
	return p, failed("close the journal", closing())
}

// readOnly is a journal that ignores writes.
type readOnly struct{ resubmit.Journal }

func (readOnly) Put(context.Context, resubmit.Durability, ...protocol.Record) (uint64, error) {
	return 0, nil
}
