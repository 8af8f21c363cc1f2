package state

import (
	"context"
	"fmt"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// Preview makes a plan without the lock, and changes nothing, except that a Retry-After is recorded in the journal if
// that is not in use. It is for people to look at: [Dir.Once] makes its own. Nil: Config.Plan.
func (d *Dir) Preview(ctx context.Context, cfg *resubmit.PlanConfig) (p *plan.Plan, err error) {
	err = d.journals.read(ctx, func(j resubmit.Journal) (err error) {
		if p, err = resubmit.BuildPlan(ctx, d.planConfig(cfg, readOnly{j, d.journals})); err != nil {
			err = fmt.Errorf("state: preview: %w", err)
		}
		return err
	})
	return p, err
}

// readOnly is a journal that ignores writes, except that of a Retry-After, which the next planning must obey.
type readOnly struct {
	resubmit.Journal
	store *journalStore
}

func (j readOnly) Put(ctx context.Context, d resubmit.Durability, records ...protocol.Record) (uint64, error) {
	if len(records) != 1 || records[0].Kind != protocol.KindSystem {
		return 0, nil
	}
	return j.store.put(ctx, d, records[0])
}
