package report

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// steps makes Document.Next.
type steps struct {
	doc      *Document
	command  string
	examples map[string]string // the number of the first order of each action and outcome
	list     []Step
}

// add adds a step for n orders, unless there are none. args are those of the command; none: there is no command.
func (s *steps) add(actor Actor, n int, what string, args ...string) {
	if n == 0 {
		return
	}
	step := Step{Actor: actor, Orders: n, Text: text.Orders(n) + " " + what}
	if s.command != "" && len(args) > 0 {
		step.Command = s.command + " " + strings.Join(args, " ")
	}
	s.list = append(s.list, step)
}

// show returns the arguments of the command that shows the first order with an action or outcome.
func (s *steps) show(of string) []string { return showArgs(s.examples[of]) }

// plainWord matches what needs no quotes in any shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// showArgs returns the arguments of the command that shows an order; none if the number could be more than that in a
// shell.
func showArgs(number string) []string {
	if !plainWord.MatchString(number) || len(number) > 64 {
		return nil
	}
	return []string{"show", number}
}

// next returns what to do now.
func (s *steps) next() []Step {
	d, c, p := s.doc, s.doc.Outcomes, &s.doc.Planned
	digest := strings.TrimPrefix(d.Digests.Plan, "sha256:")
	apply := []string{"apply", digest[:min(12, len(digest))]}
	switch {
	case d.State == StatePlanned:
		s.add(ActorRun, p.Resubmit, "can be resubmitted: review the plan, then apply it", apply...)
	case d.State == StateRunning:
		s.add(ActorRun, d.Open+d.inFlight(), "not done yet: the run is working, or was interrupted", "status")
		c.Progressing, c.Unknown = 0, 0 // they are in flight
	case stopped(d.Canary) && d.Error == "":
		s.add(ActorPlan, c.NotStarted, "not started, because the canary stopped: look at the reasons, "+
			"then make a new plan", "plan")
	case d.Error == resubmit.ErrDrained.Error() || d.Error == resubmit.ErrCancelled.Error():
		s.add(ActorPlan, c.NotStarted+d.Open, "not started, because the run was ended: make a new plan", "plan")
	default:
		s.add(ActorRun, c.NotStarted+d.Open, "not started: apply the same plan again", apply...)
	}
	s.add(ActorVendor, c.Progressing, "in progress: wait for those who must act, and apply the same plan again to "+
		"verify", apply...)
	s.add(ActorPerson, c.Unknown, "perhaps pushed, and a proof is missing: apply the same plan again, or look in "+
		"Commerce", apply...)
	s.add(ActorPlan, c.NotMoved, "pushed without an answer, and proven unchanged: make a new plan, which may resubmit "+
		"again", "plan")
	s.add(ActorPerson, c.FailedAgain, "failed again: look at the reasons before you make a new plan",
		s.show(string(protocol.FailedAgain))...)
	s.add(ActorPerson, c.FalseSuccess, "done in Commerce, but not in Connect: ask the vendor",
		s.show(string(protocol.FalseSuccess))...)
	s.add(ActorPlan, c.Skipped, "skipped after a change or a refusal: make a new plan, which decides again", "plan")
	s.add(ActorPlan, c.Blocked, "blocked by an older order of the same subscription: resolve that one, then make a new "+
		"plan", blocker(d.Blockers)...)
	s.add(ActorRun, c.ClaimedElsewhere, "claimed by another run: look at the report of that run")
	s.add(ActorPlan, p.Wait, s.waitText(), "plan")
	s.add(ActorPerson, p.Hold, "held, because information is missing: decide, and name what is to be resubmitted in "+
		"a new plan", s.show(string(rules.Hold))...)
	s.add(ActorPerson, p.Complete, "to be completed by hand in Commerce: the service exists",
		s.show(string(rules.Complete))...)
	s.add(ActorPerson, p.Manual, "to be handled by hand", s.show(string(rules.Manual))...)
	s.add(ActorPerson, p.Quarantine, "that resubmitting would not help: order anew, or ask support",
		s.show(string(rules.Quarantine))...)
	return s.list
}

func (s *steps) waitText() string {
	at := s.doc.Deadlines
	switch {
	case at.First.IsZero():
		return "waiting: make a new plan later"
	case at.First.Equal(at.Last):
		return fmt.Sprintf("waiting: make a new plan after %s", s.doc.clock(at.First))
	default:
		return fmt.Sprintf("waiting: make a new plan after %s, when the first is due, or after %s for all that have a time",
			s.doc.clock(at.First), s.doc.clock(at.Last))
	}
}

// stopped reports whether the canary stopped a group.
func stopped(canary []resubmit.CanaryStatus) bool {
	return slices.ContainsFunc(canary, func(c resubmit.CanaryStatus) bool { return c.Stopped != "" })
}

func blocker(list []resubmit.Blocker) []string {
	if len(list) == 0 {
		return nil
	}
	return showArgs(list[0].Number)
}
