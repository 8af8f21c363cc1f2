package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/examples/internal/page"
	"github.com/cloudblue-go/cloudblue/internal/mismatch"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// group identifies the orders of a plan with the same action for the same reason.
type group struct {
	action  rules.Action
	rule    string
	class   failure.Class
	verdict failure.Verdict
	flagged bool
}

// showPlan prints what will be done and why, one line per group.
func showPlan(out io.Writer, p *plan.Plan) error {
	counts, why, example := map[group]int{}, map[group]string{}, map[group]string{}
	var windows plan.WindowUse
	for e, err := range p.Entries() {
		if err != nil {
			return err
		}
		windows.Add(e)
		g := group{e.Decision.Action, e.Decision.RuleID, e.Attribution.Class, e.Attribution.Verdict, e.Decision.Flagged}
		counts[g]++
		if counts[g] == 1 {
			why[g], example[g] = e.Decision.Why, e.Number
		}
	}
	groups := make([]group, 0, len(counts))
	for g := range counts {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(rank(a.action), rank(b.action)), cmp.Compare(counts[b], counts[a]),
			cmp.Compare(a.rule, b.rule), cmp.Compare(a.verdict, b.verdict))
	})
	fmt.Fprintf(out, "\nPlan: %s\n", number(p.Counts().Total, "failed order"))
	if text := mismatch.Text(p.Counts().Mismatched, p.Mismatched()); text != "" {
		page.Paragraph(out, "", "Left out: "+text)
	}
	h := p.Header()
	for _, w := range windows.Unmatched(&h) {
		page.Paragraph(out, "", fmt.Sprintf("No order of the plan fits the window %s. "+
			"Are its times and its time zone right?", w))
	}
	if len(groups) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	t := page.Table{Head: []string{"ACTION", "ORDERS", "REASON", "MAINTENANCE", "EXAMPLE", "WHY"}}
	for _, g := range groups {
		reason := why[g]
		if g.flagged {
			reason += " (please check it)"
		}
		t.Add(g.action, counts[g], g.class, g.verdict, example[g], reason)
	}
	t.Print(out)
	return nil
}

// number is "1 order" or "2 orders".
func number(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// rank returns the position of an action in the table.
func rank(a rules.Action) int {
	return slices.Index([]rules.Action{
		rules.Resubmit, rules.Wait, rules.Hold, rules.Complete, rules.Manual, rules.Quarantine,
	}, a)
}

// How many of the orders that were not completed are listed; the others are counted.
const (
	maxReasons = 20
	maxListed  = 40 // orders of one reason
)

// showReport prints the result, and each order that was not completed.
func showReport(out io.Writer, r *resubmit.Report) {
	fmt.Fprintf(out, "\nResult: %s, %s\n", number(r.Result.Total(), "order"), r.Result)
	switch {
	case r.Earlier == 0:
	case r.Earlier == r.Result.Total():
		fmt.Fprintln(out, "Nothing was sent now: an earlier run of this plan has ended, and this is its result.")
	default:
		fmt.Fprintf(out, "Of these, %d are the results of an earlier run of this plan.\n", r.Earlier)
	}
	if len(r.Groups) > 0 {
		t := page.Table{Head: []string{"REASON", "VIA", "VENDOR", "ORDERS", "RESULT"}}
		for _, g := range r.Groups {
			t.Add(g.Class, g.Channel, g.VendorAccountID, g.Result.Total(), g.Result)
		}
		fmt.Fprintln(out)
		t.Print(out)
	}
	if r.CommerceOnly > 0 {
		fmt.Fprintf(out, "\n%d of the completed orders are confirmed by Commerce only.\n", r.CommerceOnly)
	}
	if r.CloseToVerified > 0 {
		fmt.Fprintf(out, "\nAll were completed and verified %v after the end of the maintenance.\n",
			r.CloseToVerified.Round(time.Second))
	}
	showOpen(out, r.Items)
}

// showOpen lists the orders that were not completed, grouped by outcome and reason.
func showOpen(out io.Writer, items []resubmit.Item) {
	type reason struct {
		outcome protocol.Outcome
		why     string
	}
	numbers := map[reason][]string{}
	var reasons []reason
	for _, i := range items {
		if i.Outcome == protocol.Completed {
			continue
		}
		s := reason{i.Outcome, i.Why}
		if numbers[s] == nil {
			reasons = append(reasons, s)
		}
		numbers[s] = append(numbers[s], i.Number)
	}
	slices.SortStableFunc(reasons, func(a, b reason) int {
		return cmp.Or(cmp.Compare(b.outcome, a.outcome), cmp.Compare(len(numbers[b]), len(numbers[a])))
	})
	for n, s := range reasons {
		if n == 0 {
			fmt.Fprintln(out, "\nNot completed:")
		}
		if n == maxReasons {
			fmt.Fprintf(out, "… and for %d other reasons\n", len(reasons)-n)
			return
		}
		page.Paragraph(out, "", fmt.Sprintf("%s, %d: %s", s.outcome, len(numbers[s]), s.why))
		listed := numbers[s][:min(len(numbers[s]), maxListed)]
		text := strings.Join(listed, " ")
		if more := len(numbers[s]) - len(listed); more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		page.Paragraph(out, "    ", text)
	}
}

// showLeft prints what is left for a person and what to do about it, and reports whether there is anything.
func showLeft(out io.Writer, s *settings, sum *summary) bool {
	p, r := sum.Plan, sum.Result
	left := false
	for _, c := range []struct {
		n          int
		what, next string
	}{
		{p.Wait, "that cannot be resubmitted yet", "plan again later"},
		{p.Hold, "to decide about", "if resubmitting helps, plan again with -order NUMBER"},
		{p.Complete, "to complete by hand in Commerce", "their service exists"},
		{p.Manual, "to handle by hand", "the plan says why"},
		{p.Mismatched, "to check, since Commerce listed them although they do not match the query", "listed above"},
		{p.Quarantine, "that need a new order or support", "resubmitting does not help"},
		{r.Total() - r.Completed - sum.unfinished.total(), "not completed", "listed above with the reasons"},
	} {
		if c.n == 0 {
			continue
		}
		if !left {
			fmt.Fprintln(out, "\nLeft for a person:")
		}
		left = true
		page.Paragraph(out, "    ", fmt.Sprintf("%d %s: %s", c.n, c.what, c.next))
	}
	switch {
	case !left, s.plan == "" && s.state.path != "":
	case s.plan == "":
		fmt.Fprintln(out, "To keep the plan, with each order, its decision and the evidence, use -plan FILE.")
	default:
		fmt.Fprintf(out, "The plan %s lists each order with its decision and the evidence.\n", s.plan)
	}
	return left
}

// showDryRun prints that nothing was changed, and how to apply the plan.
func showDryRun(out io.Writer, s *settings, plan plan.ActionCounts) {
	fmt.Fprintln(out, "\nNothing was changed: this was a dry run.")
	switch {
	case plan.Resubmit == 0:
		fmt.Fprintln(out, "There is nothing to resubmit now.")
	case s.state.path != "":
		fmt.Fprintf(out, "To resubmit %s, add -apply to the same command: it makes its own plan.\n",
			number(plan.Resubmit, "order"))
	case s.plan == "":
		fmt.Fprintf(out, "To resubmit %s, keep the plan with -plan FILE, review it, and add -apply.\n",
			number(plan.Resubmit, "order"))
	default:
		fmt.Fprintf(out, "To resubmit %s, review the plan and add -apply to the same command.\n",
			number(plan.Resubmit, "order"))
	}
}

// progress shows the progress of a run: on a terminal by rewriting one line, otherwise by at most two lines a second.
type progress struct {
	out      io.Writer
	terminal bool
	total    int
	pushed   int
	unknown  int
	done     int
	outcomes map[protocol.Outcome]int
	shown    time.Time
}

func newProgress(out io.Writer) *progress {
	return &progress{out: out, terminal: isTerminal(out)}
}

func (p *progress) onEvent(e resubmit.Event) {
	switch e := e.(type) {
	case resubmit.RunStarted:
		*p = progress{out: p.out, terminal: p.terminal, total: e.Counts.Resubmit, outcomes: map[protocol.Outcome]int{}}
		fmt.Fprintln(p.out)
		p.show(true)
	case resubmit.GateClosed:
		until := ""
		if !e.Until.IsZero() {
			until = " until " + e.Until.Format(time.RFC3339)
		}
		p.line("waiting%s: %s", until, e.Why)
	case resubmit.GateOpened:
		p.line("continuing")
	case resubmit.PushAccepted:
		p.pushed++
		p.show(false)
	case resubmit.PushUnanswered:
		p.unknown++
		p.show(false)
	case resubmit.OrderDone:
		p.done++
		p.outcomes[e.Outcome]++
		p.show(p.done == p.total)
	case resubmit.RunFinished:
		if p.terminal {
			fmt.Fprintln(p.out)
		}
	}
}

// show prints the state, unless it was printed a moment ago.
func (p *progress) show(always bool) {
	pause := 500 * time.Millisecond
	if p.terminal {
		pause = 50 * time.Millisecond
	}
	if !always && time.Since(p.shown) < pause {
		return
	}
	p.shown = time.Now()
	state := fmt.Sprintf("%d of %d sent", p.pushed+p.unknown, p.total)
	if p.unknown > 0 {
		state += fmt.Sprintf(" (%d answers lost)", p.unknown)
	}
	for _, outcome := range slices.Sorted(maps.Keys(p.outcomes)) {
		state += fmt.Sprintf(", %d %s", p.outcomes[outcome], outcome)
	}
	if p.terminal {
		fmt.Fprintf(p.out, "\r\x1b[K%s", state)
		return
	}
	fmt.Fprintln(p.out, state)
}

// line prints a line of its own.
func (p *progress) line(format string, args ...any) {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	fmt.Fprintln(p.out, text.OneLine(fmt.Sprintf(format, args...)))
}
