package state

import (
	"context"
	"errors"

	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// Recover replaces a lost or damaged journal, so that plans can be made again; nothing else does. The new journal has
// another identity and what can be read of the old one, which stays beside it. From then on, every order that was
// placed before, and that the new journal has no newer record of, is held until the operator names it (see
// resubmit.PlanConfig), because it may have been sent. An unfinished run ends. why is logged.
//
// A journal in Config.Journal must have been recovered before; Recover accepts it and stores its position.
func Recover(ctx context.Context, dir string, cfg Config, why string) error {
	d, err := open(dir, cfg)
	if err != nil {
		return err
	}
	s, err := d.takeLock()
	if err != nil {
		return err
	}
	defer s.release()
	j := d.cfg.Journal
	if j == nil {
		kept, summary, err := journal.Recover(d.journals.path)
		if err != nil {
			return failed("recover the journal", err)
		}
		d.log.Warn("the journal was recovered", "why", why, "by", d.owner, "kept", kept, "records", summary.Records)
		file, err := journal.Open(d.journals.path, journal.WithOwner(d.cfg.Program))
		if err != nil {
			return failed("open the journal", err)
		}
		defer func() { _ = file.Close() }() // Flush has written it
		j = file
	}
	lease, err := j.Begin(ctx, d.journals.as(plan.Position{}))
	if err == nil && lease.ForgottenBefore.IsZero() {
		err = errors.New("the journal knows of no loss; recover it first")
	}
	if err != nil {
		return failed("open the journal", err)
	}
	run, _, err := d.runs.newest()
	if err == nil && run != nil && !run.Ended() {
		err = d.runs.end(run, EndLost, "the journal was lost: "+why)
	}
	if err != nil {
		return err
	}
	at, err := j.Flush(ctx)
	if err != nil {
		return failed("write the journal", err)
	}
	return failed("write the anchor of the journal", d.cfg.Anchor.Store(ctx, at))
}
