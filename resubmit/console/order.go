package console

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// orderBody is the page of an order.
type orderBody struct {
	Search   string // what was searched for
	History  *state.OrderHistory
	Name     string
	Entry    *plan.Entry // the newest one; nil if no plan has the order
	At       time.Time   // when it was made
	Now      string      // what to do now
	Events   []orderEvent
	Omitted  int
	Problems []string
	Did      string
	Why      string // what was typed
	Plan     step
	Resolve  step
	Held     bool // it can be planned although it is held
	Open     bool // it can be settled by hand
	Done     bool // there is nothing to plan
}

// orderEvent is something that happened to an order.
type orderEvent struct {
	At         time.Time
	What, Text string
	Who        string
	Run        *state.Run
}

func orderPage(v *visit) error { return v.showOrder(nil) }

// showOrder shows an order, with the problem of an attempt to change something.
func (v *visit) showOrder(failed error) error {
	body := &orderBody{
		Search: strings.TrimSpace(v.field("order")), Did: v.field("did"), Why: v.field("why"),
		Plan: step{v.denied(Control, "plan", nil)}, Resolve: step{v.denied(Approve, "resolve", nil)},
	}
	h := head{Title: "Order", Page: "order", Body: body}
	if body.Search != "" {
		if err := v.fillOrder(body); err != nil {
			failed = cmp.Or(failed, err)
		} else {
			h.Title = "Order " + shown(body.Name)
		}
	}
	return v.show("order", h, failed)
}

// fillOrder adds what is known about an order.
func (v *visit) fillOrder(body *orderBody) error {
	if len(body.Search) > maxQuery {
		body.Search = ""
		return wrongField("order", "The number is too long.")
	}
	if !v.site.beginScan(v.user) {
		return errScanning
	}
	defer v.site.endScan(v.user)
	h, err := v.site.dir.Order(v.r.Context(), body.Search)
	if errors.Is(err, fs.ErrNotExist) {
		return &problem{
			status: http.StatusNotFound, field: "order",
			text: fmt.Sprintf("No order %s in this directory. Give its number or its id.", text.Short(body.Search)),
		}
	}
	if err != nil {
		return err
	}
	body.History, body.Name = h, cmp.Or(h.Number, h.ID)
	body.collect(h)
	body.Now = nextFor(h, body.Entry)
	body.Held = body.Entry != nil && body.Entry.Decision.Action == rules.Hold
	body.Open = h.Record != nil && h.Record.Order.InFlight()
	body.Done = body.Open || h.Record != nil && h.Record.Order.Outcome == protocol.Completed
	return nil
}

// collect adds the events of an order, the newest one first, and its newest entry.
func (b *orderBody) collect(h *state.OrderHistory) {
	for i := range h.Runs {
		r := &h.Runs[i]
		if r.Entry != nil {
			b.Entry, b.At = r.Entry, r.Run.PlannedAt
			b.Events = append(b.Events, orderEvent{
				At: r.Run.PlannedAt, What: "planned", Who: shown(r.Run.PlannedBy), Run: &r.Run,
				Text: actionWords(r.Entry.Decision.Action) + ": " + shown(r.Entry.Decision.Why),
			})
		}
		for _, e := range r.Events {
			if e.Event == audit.EventDecision { // of the plan
				continue
			}
			b.Events = append(b.Events, orderEvent{e.At, eventName(e.Event), eventWords(e), shown(e.Who), &r.Run})
		}
		b.Omitted += r.Omitted
		if r.Problem != "" {
			b.Problems = append(b.Problems, fmt.Sprintf("Run %s: %s", runName(&r.Run), shown(r.Problem)))
		}
	}
	if b.Entry == nil {
		b.Entry = h.Listed
	}
	if e := b.Entry; e != nil {
		b.Events = append(b.Events, orderEvent{At: e.Before.PlacedAt, What: "placed", Who: shown(e.Customer)},
			orderEvent{At: e.Before.FailedAt, What: "failed", Text: shown(e.Before.Message)})
	}
	b.Events = slices.DeleteFunc(b.Events, func(e orderEvent) bool { return e.At.IsZero() })
	slices.SortStableFunc(b.Events, func(x, y orderEvent) int { return y.At.Compare(x.At) })
}

// nextFor says what to do about an order.
func nextFor(h *state.OrderHistory, e *plan.Entry) string {
	if h.Record == nil {
		if e == nil {
			return "Nothing was done to it."
		}
		return fmt.Sprintf("Nothing was sent. The last decision was: %s. Next: %s.", shown(e.Decision.Why),
			actsNext(e.Decision.Action))
	}
	o := h.Record.Order
	switch {
	case o.Phase == protocol.Pushed:
		return "It was sent, and is not verified yet. The run verifies it."
	case o.InFlight():
		return "It may have been sent, and nobody knows yet what became of it. A run that is continued looks. If no run " +
			"can find out, settle it by hand."
	case o.Phase == protocol.Open:
		return "Nothing was sent that took effect. A plan can send it."
	}
	words := map[protocol.Outcome]string{
		protocol.Completed:    "Nothing: it is verified.",
		protocol.Progressing:  "It was sent, and somebody has to act before it can be verified.",
		protocol.FailedAgain:  "It failed again. Look at the reason before another attempt.",
		protocol.FalseSuccess: "It is done in Commerce, but not in Connect. Ask the vendor.",
		protocol.NotMoved:     "It was sent without an effect. A later plan may send it.",
		protocol.Unknown:      "Nobody knows whether it was sent. Look at it in both systems, and settle it by hand.",
	}
	return cmp.Or(words[o.Outcome], outcomeWords(o.Outcome)+".")
}

// override plans an order although it is held.
func override(v *visit) error {
	name, why := v.field("order"), strings.TrimSpace(v.field("why"))
	if name == "" {
		return badRequest("the order is missing; open the order and plan it there")
	}
	if why == "" {
		return v.showOrder(wrongField("override-why", "Give the reason for another attempt. Nothing was planned."))
	}
	cfg := v.site.dir.Config().Plan
	cfg.Override = []string{name}
	cfg.Filter = filter.And(cfg.Filter, filter.Or(filter.Numbers(name), filter.IDs(name)))
	k, err := v.startPlan(shown(name), &cfg, "override: "+why)
	if err != nil {
		return v.showOrder(err)
	}
	return v.started(k, nil)
}

// resolve settles an unknown order by hand.
func resolve(v *visit) error {
	name, why := v.field("order"), strings.TrimSpace(v.field("why"))
	outcome := protocol.Outcome(v.field("outcome"))
	version, err := number.ParseUint(v.field("version"), 10, 64)
	switch {
	case name == "" || err != nil || version == 0:
		return badRequest("the order, or the version of its record, is missing; open the order and settle it there")
	case why == "":
		return v.showOrder(wrongField("resolve-why", "Say how the outcome is known. Nothing was done."))
	case outcome != protocol.Completed && outcome != protocol.NotMoved:
		return v.showOrder(wrongField("resolve-why", "Choose what became of the order. Nothing was done."))
	}
	err = v.site.dir.Resolve(v.r.Context(), state.Resolution{
		Order: name, Version: version, Outcome: outcome, By: v.by(), Why: why,
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = conflict("Nothing was sent for this order, so there is nothing to settle.")
	}
	if err != nil {
		return v.showOrder(err)
	}
	return v.see(query("order", "order", name, "did", "resolve"))
}
