package console

import (
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// changesBody is the page that compares a plan with the one before it.
type changesBody struct {
	Run, Previous *state.Run
	Name, Before  string
	Counts        plan.DiffCounts
	Rows          []plan.Difference
	More          int    // rows that are not shown
	Why           string // why the plans cannot be compared; "" if they can
}

// maxChanges is how many changes a page lists.
const maxChanges = 500

// changesPage compares a plan with the one before it.
func changesPage(v *visit) error {
	run, err := v.run()
	if err != nil {
		return err
	}
	body := &changesBody{Run: run, Name: runName(run)}
	if body.Previous, err = v.site.previous(run); err != nil {
		return err
	}
	if body.Previous == nil {
		return notFound("plan %s is the first one, so there is nothing to compare it with", body.Name)
	}
	body.Before = runName(body.Previous)
	if !v.site.beginScan(v.user) {
		return errScanning
	}
	defer v.site.endScan(v.user)
	if err := v.site.compare(body); err != nil {
		body.Why = shown(err.Error())
	}
	return v.show("changes", head{Title: "Changes of plan " + body.Name, Page: "plan", Body: body}, nil)
}

// compare fills the page.
func (s *site) compare(body *changesBody) error {
	newer, leave, err := s.open(body.Run)
	if err != nil {
		return err
	}
	defer leave()
	old, leaveOld, err := s.open(body.Previous)
	if err != nil {
		return err
	}
	defer leaveOld()
	body.Counts, err = plan.Diff(old.Plan, newer.Plan, func(d plan.Difference) error {
		if len(body.Rows) == maxChanges {
			body.More++
			return nil
		}
		body.Rows = append(body.Rows, d)
		return nil
	})
	return err
}
