package sim

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// checkReport checks I9, and compares the outcome of each order with Commerce if the run has finished.
func (ch *checker) checkReport(r *resubmit.Report, counts plan.ActionCounts, finished bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if n := r.Result.Total(); n != ch.counts.Resubmit || n != counts.Resubmit {
		ch.violate("I9", -1, "the report counts %d orders, but the plan has %d", n, ch.counts.Resubmit)
	}
	sum := resubmit.OutcomeCounts{}
	for _, g := range r.Groups {
		sum = resubmit.OutcomeCounts{
			Completed: sum.Completed + g.Result.Completed, Progressing: sum.Progressing + g.Result.Progressing,
			FailedAgain: sum.FailedAgain + g.Result.FailedAgain, FalseSuccess: sum.FalseSuccess + g.Result.FalseSuccess,
			Skipped: sum.Skipped + g.Result.Skipped, Unknown: sum.Unknown + g.Result.Unknown,
		}
	}
	if sum.Skipped += r.Unread; sum != r.Result {
		ch.violate("I9", -1, "the groups of the report sum to %q, but the report has %q", sum, r.Result)
	}
	seen := map[string]bool{}
	for i := range r.Items {
		item := &r.Items[i]
		if seen[item.OrderID] || ch.approved[ch.w.indexOf(item.OrderID)] == nil {
			ch.violate("I9", ch.w.indexOf(item.OrderID), "is in the report twice, or is not in the plan")
		}
		seen[item.OrderID] = true
		if finished {
			ch.w.counts.countUnder(&ch.w.mu, "outcome "+string(item.Outcome))
			ch.checkOutcome(item)
		}
	}
	if !finished || r.Items == nil && ch.counts.Resubmit > 0 {
		return
	}
	if len(seen)+r.Unread != ch.counts.Resubmit {
		ch.violate("I9", -1, "the report has %d orders, but the plan has %d", len(seen), ch.counts.Resubmit)
	}
}

// checkOutcome compares the outcome of an order with Commerce.
func (ch *checker) checkOutcome(item *resubmit.Item) {
	i := ch.w.indexOf(item.OrderID)
	o := ch.w.order(i)
	switch item.Outcome {
	case resubmit.OutcomeSkipped:
		if ch.acceptedPushes[i] > 0 && !ch.looksUnmoved(i, &o) {
			ch.violate("I9", i, "is reported as skipped (%s), but %d pushes of it were accepted", item.Why, ch.acceptedPushes[i])
		}
	case resubmit.OutcomeCompleted:
		if !o.Status.Provisioned() {
			ch.violate("I9", i, "is reported as completed, but is %s", o.Status)
		}
	case resubmit.OutcomeUnknown:
	default:
		switch {
		case ch.w.s.staleReads > 0: // a jump of the clock can keep reads stale for longer than the settle delay
		case item.Outcome == resubmit.OutcomeFailedAgain && o.Failures < 2 && o.Status != commerce.StatusCancelled:
			ch.violate("I9", i, "is reported as failed again (%s), but failed %d times and is %s",
				item.Why, o.Failures, o.Status)
		case item.Outcome == resubmit.OutcomeFalseSuccess && !o.Status.Provisioned():
			ch.violate("I9", i, "is reported as completed in Commerce (%s), but is %s", item.Why, o.Status)
		}
		if o.Pushes == 0 {
			ch.violate("I9", i, "is reported as %s (%s), but was never pushed", item.Outcome, item.Why)
		}
	}
}

// looksUnmoved reports whether nothing shows that a push moved an order: it was answered 429, which is a refusal, and
// the order failed again before it was read. No API reports when orders fail, and only Order Management reports why.
func (ch *checker) looksUnmoved(i int, o *commercetest.Order) bool {
	limited := func(f faultSpec) bool {
		return f.kind == faultStatusAfter && f.order == i && f.status == http.StatusTooManyRequests
	}
	a := ch.approved[i]
	return a != nil && o.Status == commerce.StatusProvisioningFailed && o.Failures > 1 &&
		(ch.w.s.api != apiOrderManager || ch.w.sameReason(i, o, a.entry)) && slices.ContainsFunc(ch.w.s.faults, limited)
}

// checkEnd checks that a process whose credentials were refused ended with that error.
func (ch *checker) checkEnd(p *process, err error) {
	p.state.mu.Lock()
	since := p.state.deniedAt
	p.state.mu.Unlock()
	if since.IsZero() || p.killed() || errors.Is(context.Cause(p.ctx), errStopped) {
		return
	}
	if err != nil && len(ch.w.s.panics) > 0 {
		return // a callback that panicked may have lost the error
	}
	if errors.Is(err, errDiskFull) {
		return // it ended the run first
	}
	for _, refusal := range []error{
		commerce.ErrUnauthorized, commerce.ErrForbidden, connect.ErrUnauthorized, connect.ErrForbidden,
	} {
		if errors.Is(err, refusal) {
			ch.w.count("runs ended by refused credentials")
			return
		}
	}
	ch.violate("credentials", -1, "were refused, but the program ends with %v", err)
}

// checkServers checks what the servers themselves found.
func (ch *checker) checkServers() {
	for _, v := range ch.w.commerce.Violations() {
		if v.Rule == commercetest.RuleOldestFirst {
			ch.violate("I5", ch.w.indexOf(v.ID), "%s", v.Text)
		}
	}
	for _, v := range ch.w.connect.Violations() {
		if v.Rule == connecttest.RuleFourCancels && v.At.After(ch.w.start.Add(ch.w.s.connectSkew)) && !ch.w.inPanel() {
			ch.violate("F6", -1, "%s", v.Text)
		}
	}
}

// inPanel reports whether somebody pushed an order in the panel.
func (w *world) inPanel() bool {
	return slices.ContainsFunc(w.commerce.Pushes(), func(c commercetest.Push) bool {
		return c.Origin == commercetest.OriginPanel
	})
}
