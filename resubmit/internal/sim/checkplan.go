package sim

import (
	"cmp"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

// selected is a failure of an order that a full scan selects.
type selected struct {
	id     string // in the world's API
	number int    // of the failure
}

// selects reports whether a scan selects an order.
func selects(scan []selected, id string) bool {
	return slices.ContainsFunc(scan, func(s selected) bool { return s.id == id })
}

// checkSelection checks I11: the plan has the orders of which full scans before and after planning select the same
// failure. If the scans differ, it may have more.
func (ch *checker) checkSelection(f filter.Filter, planned, unsure []string, before, after []selected) {
	for _, s := range before {
		i := ch.w.indexOf(s.id)
		if slices.Contains(after, s) && !slices.Contains(planned, s.id) && !ch.w.unselectable(i, f) {
			ch.violate("I11", i, "is not in the plan, but %v selects it", f)
		}
	}
	if f == nil {
		return
	}
	ch.w.count("plans compared with a full scan")
	same := slices.Equal(before, after) && len(ch.w.s.malformed) == 0 // a malformed row may be selected
	for _, id := range planned {
		if same && !selects(before, id) && !slices.Contains(unsure, id) {
			ch.violate("I11", ch.w.indexOf(id), "is in the plan, but %s does not select it", f)
		}
	}
	text := f.String()
	if again, err := filter.Parse(text); err != nil || again.String() != text {
		ch.violate("I11", -1, "%s is parsed as %v, %v", text, again, err)
	}
}

// unselectable reports whether the row of an order does not show which order it is, or whether it is selected.
func (w *world) unselectable(order int, f filter.Filter) bool {
	return slices.ContainsFunc(w.s.malformed, func(o malformedSpec) bool {
		return o.order == order &&
			(o.kind.nameless() || o.kind == malformedStatusMissing || o.kind == malformedReasonList && f != nil)
	})
}

// matching is the full scan: the failed orders that the filter selects now. drawn is nil if it selects all.
func (w *world) matching(drawn, f filter.Filter) []selected {
	if drawn == nil {
		return w.failed()
	}
	client, err := directClient(w)
	if err != nil {
		w.checker.violate("world", -1, "%v", err)
		return nil
	}
	var scan []selected
	view := commerce.FailedOrdersView().Query()
	for o, err := range client.Orders(w.ctx, commerce.Query{}) {
		if err == nil {
			o, err = client.Order(w.ctx, o.ID)
		}
		if err != nil {
			w.checker.violate("world", -1, "%v", err)
			return nil
		}
		if view.Match(o) && f.Match(o) {
			truth := w.order(w.indexOf(o.ID))
			scan = append(scan, selected{o.ID, truth.Failures})
		}
	}
	return sorted(scan)
}

// failed are the orders that have failed now.
func (w *world) failed() (scan []selected) {
	for _, o := range w.commerce.Orders() {
		switch {
		case o.Status != commerce.StatusProvisioningFailed:
		case w.s.api == apiOrderManager:
			scan = append(scan, selected{o.ID, o.Failures})
		default:
			scan = append(scan, selected{o.BillingID, o.Failures})
		}
	}
	return sorted(scan)
}

func sorted(scan []selected) []selected {
	slices.SortFunc(scan, func(a, b selected) int { return cmp.Compare(a.id, b.id) })
	return scan
}

// checkRow checks I18: an order that the plan resubmits could be read.
func (ch *checker) checkRow(p *process, order int) {
	if ch.w.s.api == apiBilling {
		return // its rows are never malformed
	}
	for _, o := range ch.w.s.malformed {
		if o.order == order && o.kind.unreadable() && !ch.w.beganDuring(p, o.from) {
			ch.violate("I18", order, "is to be resubmitted, but %s", o.kind)
		}
	}
}

// beganDuring reports whether something began after a process started, or never, so that the process may not have
// read it.
func (w *world) beganDuring(p *process, from time.Duration) bool {
	return from > p.startedAt.Sub(w.start) || p.number >= faultyProcesses
}

// checkRequests checks I18: an order that the plan resubmits has no failed or unattributable request in Connect.
func (ch *checker) checkRequests(p *process, order int) {
	i := slices.IndexFunc(ch.w.s.orders, func(o orderSpec) bool { return o.index == order })
	if i < 0 {
		return
	}
	tenant, kind := ch.w.s.orders[i].requestKey()
	var newest connect.Request
	failed := 0                                 // consecutively
	for _, r := range ch.w.connect.Requests() { // oldest first
		switch {
		case r.Asset.ExternalUID != tenant || r.Type != kind || r.Status == connect.StatusDraft:
			continue
		case r.Status == connect.StatusFailed:
			failed++
		default:
			failed = 0
		}
		newest = r
	}
	if newest.ID == "" || newest.Updated.After(p.startedAt.Add(ch.w.s.connectSkew)) {
		return // it may have been read before
	}
	for _, h := range ch.w.s.unattributed {
		if h.order == order && !ch.w.beganDuring(p, h.from) {
			ch.violate("I18", order, "is to be resubmitted, but Connect shows its requests %s", h.kind)
		}
	}
	if failed > 0 && kind == connect.TypePurchase || failed >= 4 && kind == connect.TypeCancel {
		ch.violate("I18", order, "is to be resubmitted, but its last %d requests of type %s in Connect failed", failed,
			kind)
	}
}
