package sim

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// checkReport checks I9, and compares the outcome of each order with Commerce if the run has finished.
func (ch *checker) checkReport(p *process, r *resubmit.Report, finished bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	a := p.state.approval
	if n := r.Result.Total(); n != a.counts.Resubmit {
		ch.violate("I9", -1, "the report counts %d orders, but the plan has %d", n, a.counts.Resubmit)
	}
	sum := map[string]int{}
	for _, g := range r.Groups {
		for name, n := range countsOf(g.Result) {
			sum[name] += n
		}
	}
	for name, n := range countsOf(r.Result) {
		if sum[name] != n {
			ch.violate("I9", -1, "the groups of the report have %d orders that are %s, but the report has %d", sum[name], name,
				n)
		}
	}
	seen := map[string]bool{}
	for i := range r.Items {
		item := &r.Items[i]
		if seen[item.OrderID] || a.orders[ch.w.indexOf(item.OrderID)] == nil {
			ch.violate("I9", ch.w.indexOf(item.OrderID), "is in the report twice, or is not in the plan")
		}
		seen[item.OrderID] = true
		if finished {
			ch.w.count("outcome " + string(item.Outcome))
			ch.checkOutcome(p, item)
		}
	}
	if !finished || r.Items == nil && a.counts.Resubmit > 0 {
		return
	}
	if len(seen) != a.counts.Resubmit {
		ch.violate("I9", -1, "the report has %d orders, but the plan has %d", len(seen), a.counts.Resubmit)
	}
}

// countsOf returns counts by their names.
func countsOf(r resubmit.OutcomeCounts) (counts map[string]int) {
	text, _ := json.Marshal(r)        // numbers can be marshaled
	_ = json.Unmarshal(text, &counts) // see above
	return counts
}

// checkOutcome compares the outcome of an order with Commerce.
func (ch *checker) checkOutcome(p *process, item *resubmit.Item) {
	i := ch.w.indexOf(item.OrderID)
	o, a := ch.w.order(i), p.state.approval
	switch item.Outcome {
	case protocol.Skipped, protocol.Blocked, protocol.NotStarted:
		if a.accepted[i] > 0 && !ch.looksUnmoved(a, i, &o) && !ch.w.sharesPlan() {
			ch.violate("I9", i, "is reported as %s (%s), but %d pushes of it were accepted", item.Outcome, item.Why,
				a.accepted[i])
		}
	case protocol.Completed:
		if !o.Status.Provisioned() {
			ch.violate("I9", i, "is reported as completed, but is %s", o.Status)
		}
	case protocol.Unknown, protocol.ClaimedElsewhere:
	case protocol.NotMoved:
		if a.accepted[i] > 0 && o.Failures < 2 && ch.w.s.staleReads == 0 {
			ch.violate("I9", i, "is reported as not moved (%s), but %d pushes of it were accepted", item.Why, a.accepted[i])
		}
	default:
		ch.checkPushed(item, i, &o)
	}
}

// checkPushed compares the outcome of an order that was pushed, and is not completed, with Commerce.
func (ch *checker) checkPushed(item *resubmit.Item, i int, o *commercetest.Order) {
	if ch.w.resembled(i) {
		return
	}
	switch {
	case ch.w.s.staleReads > 0: // a jump of the clock can keep reads stale for longer than the settle delay
	case item.Outcome == protocol.FailedAgain && o.Failures < 2 && o.Status != commerce.StatusCancelled:
		ch.violate("I9", i, "is reported as failed again (%s), but failed %d times and is %s", item.Why, o.Failures, o.Status)
	case item.Outcome == protocol.FalseSuccess && !o.Status.Provisioned():
		ch.violate("I9", i, "is reported as completed in Commerce (%s), but is %s", item.Why, o.Status)
	}
	if o.Pushes == 0 {
		ch.violate("I9", i, "is reported as %s (%s), but was never pushed", item.Outcome, item.Why)
	}
}

// resembled reports whether somebody pushed an order in the panel whose request in Connect looks like that of the given
// order: it shows that the push of the given one was accepted, as far as the program can know.
func (w *world) resembled(order int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, alike := range w.ordersByRequest {
		if !slices.Contains(alike, order) {
			continue
		}
		return slices.ContainsFunc(w.commerce.Pushes(), func(c commercetest.Push) bool {
			i, ok := w.byID[c.Order]
			return ok && i != order && c.Accepted && c.Origin == commercetest.OriginPanel && slices.Contains(alike, i)
		})
	}
	return false
}

// sharesPlan reports whether two programs apply one plan.
func (w *world) sharesPlan() bool {
	return slices.ContainsFunc(w.s.programs, func(g programSpec) bool { return g.shares })
}

// looksUnmoved reports whether nothing shows that a push moved an order: it was answered 429, which is a refusal, and
// the order failed again before it was read, or was cancelled after that. No API reports when orders fail, and only
// Order Management reports why.
func (ch *checker) looksUnmoved(plan *approval, i int, o *commercetest.Order) bool {
	limited := func(f faultSpec) bool {
		return f.kind == faultStatusAfter && f.order == i && f.status == http.StatusTooManyRequests
	}
	a := plan.orders[i]
	if a == nil || o.Failures < 2 || !slices.ContainsFunc(ch.w.s.faults, limited) {
		return false
	}
	sameFailure := ch.w.s.api != apiOrderManager || ch.w.sameReason(i, o, a.entry)
	return o.Status == commerce.StatusCancelled || o.Status == commerce.StatusProvisioningFailed && sameFailure
}

// checkEnd checks that a process whose credentials were refused ended with that error.
func (ch *checker) checkEnd(p *process, err error) {
	p.state.mu.Lock()
	since, onePush := p.state.deniedAt, p.state.deniedPush
	p.state.mu.Unlock()
	if since.IsZero() || p.killed() || errors.Is(context.Cause(p.ctx), errStopped) {
		return
	}
	if err != nil && len(ch.w.s.panics) > 0 {
		return // a callback that panicked may have lost the error
	}
	if errors.Is(err, errDiskFull) || errors.Is(err, resubmit.ErrLeaseLost) || err != nil && onePush {
		return // something else ended the run first
	}
	if refused(err) {
		ch.w.count("runs ended by refused credentials")
		return
	}
	ch.violate("credentials", -1, "were refused, but the program ends with %v", err)
}

// checkServers checks what the servers themselves found.
func (ch *checker) checkServers() {
	for _, v := range ch.w.commerce.Violations() {
		if v.Rule == commercetest.RuleOldestFirst && !ch.named[ch.w.indexOf(v.ID)] {
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
