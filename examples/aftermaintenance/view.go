package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/examples/internal/page"
	"github.com/cloudblue-go/cloudblue/internal/mismatch"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// document makes the document of a plan that was not applied.
func (s *site) document(p *plan.Plan) (*report.Document, error) {
	return report.New(report.Input{Plan: p, Location: s.location, Command: s.command()})
}

// tally describes some orders: "81 orders of 64 customers: 1012.40 USD, 310.00 EUR".
func tally(t report.Tally) string {
	line := number(t.Orders, "order")
	if t.Customers > 0 {
		line += " of " + number(t.Customers, "customer")
	}
	if m := money(t.Money); m != "" {
		line += ": " + m
	}
	return line
}

// money lists amounts of several currencies, which cannot be added up.
func money(amounts []commerce.Money) string {
	parts := make([]string, len(amounts))
	for i, m := range amounts {
		parts[i] = m.String()
	}
	return strings.Join(parts, ", ")
}

// showReasons prints the groups of failed orders, numbered.
func (s *site) showReasons(out page.Page, d *report.Document) {
	if len(d.Reasons) == 0 {
		return
	}
	t := page.Table{Head: []string{"GROUP", "ORDERS", "CUSTOMERS", "MONEY", "CLASS", "MAINTENANCE", "FIRST", "LAST",
		"EXAMPLE",
		"REASON"}}
	if out.Width < 110 {
		t = page.Table{Head: []string{"GROUP", "ORDERS", "CLASS", "MAINTENANCE", "FIRST", "LAST", "EXAMPLE", "REASON"},
			Below: true}
	}
	for i, g := range d.Reasons {
		reason := cmp.Or(g.Template, "(none reported)")
		first, last := s.clock(g.First), s.clock(g.Last)
		if out.Width < 110 {
			t.Add(i+1, g.Orders, g.Class, causes(g.Causes), first, last, g.Example, reason)
			continue
		}
		t.Add(i+1, g.Orders, g.Customers, money(g.Money), g.Class, causes(g.Causes), first, last, g.Example, reason)
	}
	fmt.Fprintln(out.Out)
	out.Print(&t)
	if d.Ungrouped > 0 {
		fmt.Fprintf(out.Out, "%s in no group, because there are too many groups\n", countOf(d.Ungrouped, "order is",
			"orders "+
				"are"))
	}
}

// causes says how many failures a maintenance caused: "caused" if that is so for all, else "caused 12, unrelated 3".
func causes(counts map[failure.Verdict]int) string {
	var parts []string
	for _, v := range failure.Verdicts() {
		if counts[v] > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", v, counts[v]))
		}
	}
	if len(parts) == 1 {
		word, _, _ := strings.Cut(parts[0], " ")
		return word
	}
	return strings.Join(parts, ", ")
}

// showWindows prints the maintenance windows with the number of orders that failed in each.
func (s *site) showWindows(out page.Page, d *report.Document) {
	if len(d.Windows) == 0 {
		return
	}
	t := page.Table{Head: []string{"MAINTENANCE", "ANNOUNCED", "OBSERVED", "FAILED INSIDE", "CAUSED", "TITLE"}}
	for _, w := range d.Windows {
		announced, observed := "", ""
		if w.Announced != nil {
			announced = s.clock(w.Announced.Start) + " – " + s.clock(w.Announced.End)
		}
		if w.Observed != nil {
			observed = s.clock(w.Observed.Start) + " – "
			if w.Observed.End.IsZero() {
				observed += "still down"
			} else {
				observed += s.clock(w.Observed.End)
			}
		}
		t.Add(w.ID, announced, observed, w.Inside, w.Attributed, w.Title)
	}
	fmt.Fprintln(out.Out)
	out.Print(&t)
}

// decision identifies the orders of a plan with the same action for the same reason.
type decision struct {
	action  rules.Action
	rule    string
	class   failure.Class
	verdict failure.Verdict
	flagged bool
}

// showPlan prints what will be done and why, one row per decision.
func (s *site) showPlan(out page.Page, p *plan.Plan) error {
	counts, why, example := map[decision]int{}, map[decision]string{}, map[decision]string{}
	for e, err := range p.Entries() {
		if err != nil {
			return err
		}
		g := decision{e.Decision.Action, e.Decision.RuleID, e.Attribution.Class, e.Attribution.Verdict, e.Decision.Flagged}
		if counts[g]++; counts[g] == 1 {
			why[g], example[g] = e.Decision.Why, e.Label()
		}
	}
	var groups []decision
	for g := range counts {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b decision) int {
		return cmp.Or(cmp.Compare(rank(a.action), rank(b.action)), cmp.Compare(counts[b], counts[a]),
			cmp.Compare(a.rule, b.rule), cmp.Compare(a.class, b.class), cmp.Compare(a.verdict, b.verdict))
	})
	fmt.Fprintf(out.Out, "Plan: %s\n", number(p.Counts().Total, "failed order"))
	if text := mismatch.Text(p.Counts().Mismatched, p.Mismatched()); text != "" {
		out.Paragraph("", "Left out: "+text)
	}
	if len(groups) == 0 {
		return nil
	}
	t := page.Table{Head: []string{"ACTION", "ORDERS", "REASON", "MAINTENANCE", "EXAMPLE", "WHY"}}
	for _, g := range groups {
		reason := why[g]
		if g.flagged {
			reason += " (please check it)"
		}
		t.Add(g.action, counts[g], g.class, g.verdict, example[g], reason)
	}
	fmt.Fprintln(out.Out)
	out.Print(&t)
	return nil
}

// rank returns the position of an action in the table.
func rank(a rules.Action) int {
	return slices.Index([]rules.Action{
		rules.Resubmit, rules.Wait, rules.Hold, rules.Complete, rules.Manual, rules.Quarantine,
	}, a)
}

// showItems prints single orders.
func (s *site) showItems(out page.Page, items []report.Item) {
	if out.Width < 110 {
		t := page.Table{Head: []string{"ORDER", "CUSTOMER", "VENDOR", "MONEY", "CLASS", "ACTION", "REASON"}, Below: true}
		for _, i := range items {
			t.Add(i.Number, i.Customer, i.Vendor, i.Total, i.Class, i.Action, i.Reason)
		}
		out.Print(&t)
		return
	}
	t := page.Table{Head: []string{"ORDER", "TYPE", "CUSTOMER", "VENDOR", "MONEY", "PLACED", "CLASS", "MAINTENANCE",
		"ACTION", "REASON"}, Below: out.Width < 160}
	for _, i := range items {
		t.Add(i.Number, i.Type, i.Customer, i.Vendor, i.Total, s.clock(i.At()), i.Class, i.Cause, i.Action, i.Reason)
	}
	out.Print(&t)
}

// clock is a time for people. The date is left out if it is today.
func (p *program) clock(t time.Time) string {
	if t.IsZero() {
		return "(not known)"
	}
	local, now := t.In(p.location), time.Now().In(p.location)
	if local.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return local.Format("15:04 MST")
	}
	return local.Format("2006-01-02 15:04 MST")
}

// span is a time for how long something takes or took.
func span(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < 0:
		return "0 s"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute).Minutes()))
	case d < 48*time.Hour:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}
