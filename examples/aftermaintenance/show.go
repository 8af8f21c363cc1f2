package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// group is the orders of a plan for which the same is to be done for the same reason.
type group struct {
	action  resubmit.Action
	rule    string
	class   resubmit.Class
	verdict resubmit.Verdict
}

// showPlan prints what will be done and why, one line a group.
func showPlan(out io.Writer, plan *resubmit.Plan) error {
	counts, why, example := map[group]int{}, map[group]string{}, map[group]string{}
	for e, err := range plan.Entries() {
		if err != nil {
			return err
		}
		g := group{e.Decision.Action, e.Decision.RuleID, e.Attribution.Class, e.Attribution.Verdict}
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
		return cmp.Or(cmp.Compare(rank(a.action), rank(b.action)), cmp.Compare(counts[b], counts[a]), cmp.Compare(a.rule, b.rule), cmp.Compare(a.verdict, b.verdict))
	})
	fmt.Fprintf(out, "\nPlan: %d failed orders\n\n", plan.Counts().Total)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ACTION\tORDERS\tREASON\tMAINTENANCE\tEXAMPLE\tWHY")
	for _, g := range groups {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", g.action, counts[g], g.class, g.verdict, example[g], why[g])
	}
	return w.Flush()
}

// rank is the order in which the actions are shown.
func rank(a resubmit.Action) int {
	return slices.Index([]resubmit.Action{
		resubmit.Resubmit, resubmit.Wait, resubmit.Hold, resubmit.Complete, resubmit.Manual, resubmit.Quarantine,
	}, a)
}

// maxListed is how many single orders a report prints; the rest is counted.
const maxListed = 20

// showReport prints what was done, and each order that needs a person.
func showReport(out io.Writer, r *resubmit.Report) {
	fmt.Fprintf(out, "\nReport: %s", r)
	left := slices.DeleteFunc(slices.Clone(r.Items), func(i resubmit.Item) bool { return i.Outcome == resubmit.OutcomeCompleted })
	if len(left) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%d orders need somebody:\n", len(left))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, i := range left[:min(len(left), maxListed)] {
		fmt.Fprintf(w, "%s\t%s\t%s\n", i.Number, i.Outcome, i.Why)
	}
	_ = w.Flush() // what could not be written before cannot be told now
	if more := len(left) - maxListed; more > 0 {
		fmt.Fprintf(out, "… and %d more\n", more)
	}
}

// progress tells how far a run is: one line that is written over on a
// terminal, else a line now and then.
type progress struct {
	resubmit.NopObserver
	out      io.Writer
	terminal bool
	total    int
	pushed   int
	unknown  int
	done     int
	outcomes map[resubmit.Outcome]int
	shown    time.Time
}

func newProgress(out io.Writer, total int) *progress {
	return &progress{out: out, terminal: isTerminal(out), total: total, outcomes: map[resubmit.Outcome]int{}}
}

func (p *progress) OnPlanStarted(resubmit.PlanStarted) { fmt.Fprintln(p.out); p.show(true) }

func (p *progress) OnGateClosed(e resubmit.GateClosed) {
	until := ""
	if !e.Until.IsZero() {
		until = " until " + e.Until.Format(time.RFC3339)
	}
	p.line("waiting%s: %s", until, e.Why)
}

func (p *progress) OnGateOpened(resubmit.GateOpened) { p.line("going on") }

func (p *progress) OnPushed(resubmit.Pushed) { p.pushed++; p.show(false) }

func (p *progress) OnPushUnknown(resubmit.PushUnknown) { p.unknown++; p.show(false) }

func (p *progress) OnDone(i resubmit.Item) {
	p.done++
	p.outcomes[i.Outcome]++
	p.show(p.done == p.total)
}

func (p *progress) OnFinished(*resubmit.Report) {
	if p.terminal {
		fmt.Fprintln(p.out)
	}
}

// show prints the state: often on a terminal, else twice a second at the most.
func (p *progress) show(always bool) {
	pause := 500 * time.Millisecond
	if p.terminal {
		pause = 50 * time.Millisecond
	}
	if !always && time.Since(p.shown) < pause {
		return
	}
	p.shown = time.Now()
	state := fmt.Sprintf("%d of %d pushed", p.pushed, p.total)
	if p.unknown > 0 {
		state += fmt.Sprintf(", %d answers lost", p.unknown)
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

// line prints a line between the states.
func (p *progress) line(format string, args ...any) {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	fmt.Fprintln(p.out, strings.TrimSpace(fmt.Sprintf(format, args...)))
}
