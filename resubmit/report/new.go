package report

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// maxPeople is how many orders Document.People has.
const maxPeople = 200

// New makes the document of a plan and its report, in one pass over the plan. It returns an error if the plan cannot be
// read, if the report is that of another plan, or if its windows are invalid.
func New(in Input) (*Document, error) {
	d, err := build(&in)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return d, nil
}

func build(in *Input) (*Document, error) {
	switch {
	case in.Plan == nil:
		return nil, errors.New("Input.Plan is missing")
	case in.Report != nil && in.Report.PlanDigest != in.Plan.Digest():
		return nil, fmt.Errorf("the report is that of the plan %s, not of %s", text.Short(in.Report.PlanDigest),
			in.Plan.Digest())
	}
	d := newDocument(in)
	b := newBuilder(d, in)
	for e, err := range in.Plan.Entries() {
		if err != nil {
			return nil, err
		}
		b.add(e)
	}
	if err := b.finish(); err != nil {
		return nil, err
	}
	return d, nil
}

// newDocument returns what is known without the entries.
func newDocument(in *Input) *Document {
	h := in.Plan.Header()
	location := cmp.Or(in.Location, time.UTC)
	d := &Document{
		Kind: kind, Version: version, State: StatePlanned, MadeAt: in.Now.UTC(), Zone: location.String(), location: location,
		System: h.System, View: h.View, Filter: h.Filter, Planned: in.Plan.Counts(), Mismatched: in.Plan.Mismatched(),
		Digests: Digests{Plan: in.Plan.Digest(), Journal: h.Journal, Audit: in.Audit},
		Marks:   slices.Clone(in.Marks), Times: Times{PlannedAt: h.CreatedAt.UTC()},
	}
	if in.Now.IsZero() {
		d.MadeAt = time.Now().UTC()
	}
	if h.Policy != nil {
		d.Digests.Policy = fmt.Sprintf("sha256:%x", sha256.Sum256(h.Policy))
	}
	slices.SortStableFunc(d.Marks, func(a, b Mark) int { return a.At.Compare(b.At) })
	d.addReport(in.Report)
	d.Open = d.Planned.Resubmit - d.Outcomes.Total()
	return d
}

// addReport adds what the report says about the whole run. r may be nil.
func (d *Document) addReport(r *resubmit.Report) {
	if r == nil {
		return
	}
	switch {
	case r.FinishedAt.IsZero():
		d.State = StateRunning
	case r.Err != "":
		d.State = StateStopped
	default:
		d.State = StateFinished
	}
	d.Unlisted = max(0, r.Result.Total()-len(r.Items))
	d.Outcomes, d.Earlier, d.CommerceOnly, d.ConnectAsked = r.Result, r.Earlier, r.CommerceOnly, r.ConnectAsked
	d.Error, d.EventError, d.Blockers, d.Canary = r.Err, r.EventError, r.Blockers, r.Canary
	d.Times.StartedAt, d.Times.FinishedAt = r.StartedAt.UTC(), r.FinishedAt.UTC()
	if !r.FinishedAt.IsZero() {
		d.Times.RunSeconds = r.FinishedAt.Sub(r.StartedAt).Seconds()
	}
}

// itemOf returns the item of an order. done is what became of it; nil if that is not known.
func itemOf(e *plan.Entry, done *resubmit.Item) Item {
	i := Item{
		Number: e.Label(), ID: e.OrderID, Customer: e.Customer, CustomerID: e.CustomerID, Vendor: e.VendorAccountID,
		Channel: e.Channel, Type: e.Type, Total: e.Total, FailedAt: e.Before.FailedAt, PlacedAt: e.Before.PlacedAt,
		Reason: e.Before.Message, Class: e.Attribution.Class, Cause: e.Attribution.Verdict, Window: e.Attribution.WindowID,
		Action: e.Decision.Action, Rule: e.Decision.RuleID, Decision: e.Decision.Why, Flagged: e.Decision.Flagged,
		Due: e.Due, Target: e.Target, Evidence: e.Attribution.Evidence,
	}
	if done != nil {
		i.Target, i.Outcome, i.Why, i.BlockedBy = done.Target, done.Outcome, done.Why, done.BlockedBy
		i.Attempts, i.PushedAt, i.DoneAt = done.Attempts, done.PushedAt.UTC(), done.DoneAt.UTC()
		i.CommerceOnly, i.CorrelationID = done.CommerceOnly, done.CorrelationID
		i.Evidence = slices.Concat(i.Evidence, done.Evidence)
		if i.Outcome == protocol.FailedAgain {
			i.ReasonAfter, i.ClassAfter = done.After.Message, done.AfterClass
		}
	}
	i.Actor = i.actor()
	return i
}

// actor returns who has to act next.
func (i *Item) actor() Actor {
	switch i.Action {
	case rules.Resubmit:
	case rules.Wait:
		return ActorPlan
	default:
		return ActorPerson
	}
	switch i.Outcome {
	case protocol.Completed:
		return ActorNone
	case protocol.Progressing:
		return ActorVendor
	case protocol.NotMoved, protocol.Skipped, protocol.Blocked:
		return ActorPlan
	case protocol.FailedAgain, protocol.FalseSuccess, protocol.Unknown:
		return ActorPerson
	default:
		return ActorRun
	}
}

// waits reports whether the customer does not have what was ordered, as far as is known.
func (i *Item) waits() bool { return i.Outcome != protocol.Completed && i.Action != rules.Complete }
