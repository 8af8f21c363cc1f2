package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/examples/internal/page"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// orderEvent is something that happened to an order.
type orderEvent struct {
	at        time.Time
	what, why string
	run       string
}

// showOrder shows what is known about an order.
func (s *site) showOrder(ctx context.Context, name string) error {
	h, err := s.dir.Order(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		s.next = s.command("list")
		return fmt.Errorf("there is no run and no order %q in this directory: give the start of a digest, or the number or "+
			"id of an order", text.Short(name))
	}
	if err != nil {
		return err
	}
	if s.options.format == formatJSON {
		return json.NewEncoder(s.Stdout).Encode(h)
	}
	entry, events := history(h)
	out := s.page()
	fmt.Fprintf(out.Out, "Order %s", cmp.Or(h.Number, h.ID))
	if entry != nil {
		fmt.Fprintf(out.Out, " of %s, %s, %s", cmp.Or(entry.Customer, "an unknown customer"), entry.Type, entry.Total)
	}
	fmt.Fprintln(out.Out)
	s.showRecord(out, h)
	s.showEvents(out, events)
	if entry != nil {
		s.showEvidence(out, entry)
	}
	for _, r := range h.Runs {
		if r.Problem != "" {
			out.Paragraph("", fmt.Sprintf("Run %s could not be read completely: %s", short(r.Run.Digest), r.Problem))
		}
	}
	return nil
}

// history returns the events of an order, the oldest first, and its newest entry in a plan; nil if it is in none.
func history(h *state.OrderHistory) (entry *plan.Entry, events []orderEvent) {
	for i := range h.Runs {
		r := &h.Runs[i]
		name := short(r.Run.Digest)
		if r.Entry != nil {
			entry = r.Entry
			events = append(events, orderEvent{r.Run.PlannedAt, "planned",
				string(entry.Decision.Action) + ": " + entry.Decision.Why, name})
		}
		for _, e := range r.Events {
			events = append(events, orderEvent{e.At, e.Event, eventText(e), name})
		}
	}
	if entry == nil {
		entry = h.Listed
	}
	if entry != nil {
		events = append(events, orderEvent{entry.Before.PlacedAt, "placed", "", ""},
			orderEvent{entry.Before.FailedAt, "failed", entry.Before.Message, ""})
	}
	events = slices.DeleteFunc(events, func(e orderEvent) bool { return e.at.IsZero() || e.what == audit.EventDecision })
	slices.SortStableFunc(events, func(a, b orderEvent) int { return a.at.Compare(b.at) })
	return entry, events
}

// eventText is what a line of an audit log says.
func eventText(e audit.Line) string {
	var parts []string
	for _, part := range []string{e.State, string(e.Target), string(e.Outcome), e.Why, e.Error} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	line := strings.Join(parts, ": ")
	if e.By != "" {
		line += " (by " + e.By + ")"
	}
	return line
}

// showRecord says what the journal knows, and what to do.
func (s *site) showRecord(out page.Page, h *state.OrderHistory) {
	if h.Record == nil || h.Record.Order == nil {
		fmt.Fprintln(out.Out, "Nothing was sent.")
		s.next = s.command("plan", "-order", shellWord(cmp.Or(h.Number, h.ID)))
		if n := len(h.Runs); n > 0 && willSend(&h.Runs[n-1]) {
			s.next = s.command("apply", short(h.Runs[n-1].Run.Digest))
		}
		return
	}
	o := h.Record.Order
	what := string(o.Phase)
	if o.Phase == protocol.Ended {
		what = string(o.Outcome)
	}
	line := fmt.Sprintf("In the journal: %s", what)
	if o.Why != "" {
		line += ", " + o.Why
	}
	out.Paragraph("", fmt.Sprintf("%s. Sent %s.", strings.TrimSuffix(line, "."), countOf(o.Resubmissions, "time",
		"times")))
	switch {
	case o.Outcome == protocol.Completed, o.DoneByHand():
	case o.InFlight() || o.Outcome == protocol.Unknown:
		out.Paragraph("", "Nobody knows yet what became of it. A run that is continued looks; if none can find out, "+
			"settle it by hand.")
		s.next = s.command("resolve", shellWord(h.Number), "-outcome", "completed|notMoved", "-reason", "TEXT")
	default:
		s.next = s.command("plan", "-order", shellWord(cmp.Or(h.Number, h.ID)))
	}
}

// willSend reports whether a run that has not ended resubmits an order.
func willSend(r *state.OrderRun) bool {
	return !r.Run.Ended() && r.Entry != nil && r.Entry.Decision.Action == rules.Resubmit
}

// showEvents shows what happened to an order.
func (s *site) showEvents(out page.Page, events []orderEvent) {
	if len(events) == 0 {
		return
	}
	t := page.Table{Head: []string{"WHEN", "WHAT", "RUN", "DETAILS"}}
	for _, e := range events {
		t.Add(e.at.In(s.location).Format("2006-01-02 15:04:05"), e.what, e.run, e.why)
	}
	fmt.Fprintln(out.Out)
	out.Print(&t)
}

// showEvidence shows what the last decision is based on.
func (s *site) showEvidence(out page.Page, e *plan.Entry) {
	if len(e.Attribution.Evidence) == 0 {
		return
	}
	fmt.Fprintf(out.Out, "\nEvidence, %s and %s:\n", e.Attribution.Class, e.Attribution.Verdict)
	for _, v := range e.Attribution.Evidence {
		out.Paragraph("  ", v.Text)
	}
}
