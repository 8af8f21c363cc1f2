package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/examples/internal/page"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// showResult shows the result of a run that was applied, and returns the error for the exit status.
func (s *site) showResult(ctx context.Context, run *state.Run, d *report.Document, err error) error {
	out := s.out()
	color := green
	if run.Result.Completed < run.Result.Total() || err != nil {
		color = red
	}
	for _, line := range page.Wrap(resultSentence(s, run, d), out.Width) {
		fmt.Fprintln(out.Out, s.paint(s.stdout, color, line))
	}
	s.showOpen(out, run.Report.Items)
	s.showLeft(out, d)
	if !run.Ended() || run.End == state.EndFinished {
		s.showChart(out, d)
	}
	s.showFiles(out, run)
	unfinished := findUnfinished(run.Report)
	switch {
	case interrupted(ctx, err):
		return s.showInterrupted(run, err)
	case err != nil:
		return s.endedEarly(run, unfinished, err)
	case unfinished.stopped > 0:
		s.next = s.command("show", short(run.Digest))
		return stoppedError{fmt.Errorf("%s not started, because %s: find the cause, then make a new plan",
			countOf(unfinished.stopped, "order was", "orders were"), strings.Join(unfinished.stops, ", "))}
	case unfinished.total() > 0:
		return s.notDone(unfinished)
	}
	s.nextAfterRun(run, d)
	return nil
}

// resultSentence says what a run achieved.
func resultSentence(s *site, run *state.Run, d *report.Document) string {
	n := run.Report.Result
	switch {
	case run.Report.Earlier == n.Total() && n.Total() > 0:
		return fmt.Sprintf("Nothing was sent now: an earlier run of this plan has ended. Its result: %s.", n)
	case n.Completed < n.Total():
		return fmt.Sprintf("%d of %s verified. Result: %s.", n.Completed, countOf(n.Total(), "order is", "orders are"), n)
	}
	where := "Commerce and Connect"
	if d.CommerceOnly > 0 || !d.ConnectAsked {
		where = "Commerce"
	}
	line := fmt.Sprintf("All %s verified in %s", countOf(n.Total(), "order is", "orders are"), where)
	if n.Total() == 1 {
		line = "The order is verified in " + where
	}
	if seconds := d.Times.CloseToVerifiedSeconds; seconds > 0 {
		line += fmt.Sprintf(", %s after the end of the maintenance (%s → %s)",
			span(time.Duration(seconds*float64(time.Second))), s.clock(d.Times.WindowClosedAt), s.clock(d.Times.LastVerifiedAt))
	}
	return line + "."
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

// showLeft says what needs a person.
func (s *site) showLeft(out page.Page, d *report.Document) {
	p := d.Planned
	failed := d.Outcomes.FailedAgain + d.Outcomes.FalseSuccess + d.Outcomes.NotMoved
	first := true
	for _, c := range []struct {
		n          int
		what, next string
	}{
		{failed, "not completed", "listed above with the reasons"},
		{p.Wait, "that cannot be resubmitted yet", "plan again later"},
		{p.Hold, "to decide about", "if resubmitting helps, plan with -order NUMBER"},
		{p.Complete, "to complete by hand in Commerce", "their service exists"},
		{p.Manual, "to handle by hand", "the plan says why"},
		{p.Mismatched, "to check, since Commerce listed them although they do not match the query", "the plan names them"},
		{p.Quarantine, "that need a new order or support", "resubmitting does not help"},
	} {
		if c.n == 0 {
			continue
		}
		if first {
			fmt.Fprintln(out.Out, "\nLeft for a person:")
			first = false
		}
		out.Paragraph("    ", fmt.Sprintf("%d %s: %s", c.n, c.what, c.next))
	}
	if d.Waiting.Orders > 0 {
		out.Paragraph("", "Waiting: "+tally(d.Waiting)+".")
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

// nextAfterRun says what to do after a run that has ended well.
func (s *site) nextAfterRun(run *state.Run, d *report.Document) {
	n := run.Counts
	switch {
	case run.Result.FailedAgain > 0:
		s.next = s.command("show", firstWith(run.Report, protocol.FailedAgain))
	case n.Wait > 0 && !run.Due.IsZero() && run.Due.After(time.Now()):
		s.next = s.command("plan") + "   # after " + s.clock(run.Due)
	case n.Wait > 0:
		s.next = s.command("plan")
	case s.left:
		s.next = s.command("show", short(run.Digest))
	default:
		s.next = s.command("report", "-format", "html")
	}
	_ = d
}

// firstWith returns the number of the first order with an outcome.
func firstWith(r *resubmit.Report, o protocol.Outcome) string {
	for _, i := range r.Items {
		if i.Outcome == o {
			return i.Number
		}
	}
	return ""
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
