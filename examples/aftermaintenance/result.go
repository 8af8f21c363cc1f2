package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/examples/aftermaintenance/internal/terminal"
	"github.com/cloudblue-go/cloudblue/examples/internal/page"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// showResult shows the result of a run that was applied, and returns the error for the exit status.
func (s *site) showResult(ctx context.Context, run *state.Run, d *report.Document, err error) error {
	out := s.out()
	if interrupted(ctx, err) {
		s.showFiles(out, run)
		return s.showInterrupted(run, err)
	}
	if run.Report.Earlier == run.Report.Result.Total() && run.Report.Earlier > 0 {
		fmt.Fprintln(out.Out, "Nothing was sent now: an earlier run of this plan has ended.")
	}
	color := terminal.Green
	if run.Result.Completed < run.Result.Total() || err != nil {
		color = terminal.Red
	}
	for _, line := range page.Wrap(d.Sentence(), out.Width) {
		fmt.Fprintln(out.Out, s.Paint(s.Stdout, color, line))
	}
	s.showOpen(out, run.Report.Items)
	s.showSteps(out, d)
	s.showChart(out, d)
	s.showFiles(out, run)
	if len(d.Next) > 0 {
		s.next = d.Next[0].Command
	}
	unfinished := findUnfinished(run.Report)
	switch {
	case err != nil:
		return s.endedEarly(run, unfinished, err)
	case unfinished.stopped > 0:
		return stoppedError{fmt.Errorf("%s not started, because %s: find the cause, then make a new plan",
			countOf(unfinished.stopped, "order was", "orders were"), strings.Join(unfinished.stops, ", "))}
	case unfinished.total() > 0:
		return s.notDone(unfinished)
	case s.next == "":
		s.next = s.command("report", short(run.Digest), "-format", "html")
	}
	return nil
}

// showSteps says what is left, and for whom.
func (s *site) showSteps(out page.Page, d *report.Document) {
	if len(d.Next) == 0 {
		return
	}
	fmt.Fprintln(out.Out, "\nLeft:")
	for _, step := range d.Next {
		out.Paragraph("  ", step.Text)
	}
	if d.Waiting.Orders > 0 {
		out.Paragraph("", "Waiting: "+tally(d.Waiting)+".")
	}
}

// maxReasons is for how many reasons the orders that were not completed are listed.
const maxReasons = 20

// showOpen lists the orders that were not completed, grouped by outcome and reason.
func (s *site) showOpen(out page.Page, items []resubmit.Item) {
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
		r := reason{i.Outcome, i.Why}
		if numbers[r] == nil {
			reasons = append(reasons, r)
		}
		numbers[r] = append(numbers[r], i.Number)
	}
	slices.SortStableFunc(reasons, func(a, b reason) int {
		return cmp.Or(cmp.Compare(b.outcome, a.outcome), cmp.Compare(len(numbers[b]), len(numbers[a])))
	})
	for n, r := range reasons {
		if n == 0 {
			fmt.Fprintln(out.Out, "\nNot completed:")
		}
		if n == maxReasons {
			fmt.Fprintf(out.Out, "… and for %s\n", countOf(len(reasons)-n, "other reason", "other reasons"))
			return
		}
		out.Paragraph("", fmt.Sprintf("%s, %d: %s", r.outcome, len(numbers[r]), r.why))
		listed := numbers[r][:min(len(numbers[r]), maxListed)]
		line := strings.Join(listed, " ")
		if more := len(numbers[r]) - len(listed); more > 0 {
			line += fmt.Sprintf(" and %d more", more)
		}
		out.Paragraph("    ", line)
	}
}

// showFiles says where the report is.
func (s *site) showFiles(out page.Page, run *state.Run) {
	if s.temporary {
		return
	}
	for _, name := range []string{"report.html", "report.json"} {
		if path := s.dir.Path(run, name); exists(path) {
			fmt.Fprintf(out.Out, "\nReport: %s\n", path)
			return
		}
	}
}

// showInterrupted says what is under way after a signal.
func (s *site) showInterrupted(run *state.Run, err error) error {
	flying, waiting := run.Result.Progressing+run.Result.Unknown, run.Result.NotStarted
	s.out().Paragraph("", fmt.Sprintf("Interrupted. %s in flight and will be verified when you continue, %s not started. "+
		"Nothing is lost.", countOf(flying, "order is", "orders are"), countOf(waiting, "is", "are")))
	s.said, s.next = true, s.command("apply", short(run.Digest))
	return err
}

// endedEarly returns the error of a run that did not reach its end.
func (s *site) endedEarly(run *state.Run, u unfinished, err error) error {
	if run.Ended() {
		s.next = s.command("plan")
	} else {
		s.next = s.command("apply", short(run.Digest))
	}
	return fmt.Errorf("the run ended early: %w; %s not sent, %s in flight", err,
		countOf(u.unsent+u.stopped, "order was", "orders were"), countOf(u.unknown, "is", "are"))
}

// notDone returns an error for orders that a run should have handled and did not.
func (s *site) notDone(u unfinished) error {
	s.next = s.command("plan")
	var parts []string
	if u.unknown > 0 {
		parts = append(parts, fmt.Sprintf("%s perhaps resubmitted, without proof", countOf(u.unknown, "order was", "orders "+
			"were")))
	}
	if u.unsent > 0 {
		parts = append(parts, fmt.Sprintf("%s not sent, because they could not be read",
			countOf(u.unsent, "order was", "orders were")))
	}
	return errors.New("not everything is done: " + strings.Join(parts, "; ") + ": plan again")
}

// unfinished counts the orders that a run should have handled and did not. Others that were not completed are left for
// a person.
type unfinished struct {
	stopped int      // not started, because the canary of their group stopped,
	stops   []string // for these reasons
	unsent  int      // not read, or the run ended before their turn
	unknown int      // perhaps resubmitted
}

func findUnfinished(r *resubmit.Report) unfinished {
	u := unfinished{unknown: r.Result.Unknown}
	for _, c := range r.Canary {
		if c.Stopped != "" {
			u.stops = append(u.stops, c.Stopped)
		}
	}
	for _, i := range r.Items {
		stopped := slices.ContainsFunc(u.stops, func(why string) bool { return strings.HasSuffix(i.Why, why) })
		switch {
		case i.Outcome == protocol.NotStarted && stopped:
			u.stopped++
		case i.Outcome == protocol.NotStarted, i.Outcome == protocol.Skipped && i.After.Status == "": // it was not read
			u.unsent++
		}
	}
	return u
}

func (u unfinished) total() int { return u.stopped + u.unsent + u.unknown }
