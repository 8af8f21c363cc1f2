package console

import (
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// documentOfRun is replaced by Dir.Document.
func documentOfRun(d *state.Dir, run *state.Run) (*report.Document, error) {
	p, err := d.OpenPlan(run)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return report.New(report.Input{Plan: p})
}
