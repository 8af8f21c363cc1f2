package console

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// runName is the short name of a run.
func runName(run *state.Run) string {
	d := shortDigest(run.Digest)
	return d[:min(7, len(d))]
}

// endWords says how a run ended.
func endWords(run *state.Run) string {
	words := map[state.End]string{
		state.EndFinished: "finished", state.EndNothing: "there was nothing to resubmit",
		state.EndTooEarly: "it was too early for all orders", state.EndDrained: "drained", state.EndCancelled: "cancelled",
		state.EndStale: "out of date", state.EndLost: "the journal was lost",
	}
	how := cmp.Or(words[run.End], string(run.End))
	if run.Why != "" {
		how += ": " + text.Short(run.Why)
	}
	return shown(how)
}

// eventNames are events in the words of the pages.
var eventNames = map[string]string{
	audit.EventRecovered: "log repaired", audit.EventAct: "action", audit.EventPlanStarted: "begun",
	audit.EventPaused: "wait", audit.EventResumed: "sending again", audit.EventRateLimit: "rate limit",
	audit.EventControl: "control", audit.EventBreaker: "circuit breaker", audit.EventCanary: "canary",
	audit.EventOutcome: "outcome", audit.EventRunFinished: "ended", audit.EventAnswer: "answer",
	audit.EventIntent: "about to send", audit.EventPush: "sent",
}

// who returns the name of a person without role and address.
func who(by string) string {
	name, _, _ := strings.Cut(by, " (")
	return shown(name)
}

// eventName returns the name of an event.
func eventName(event string) string { return shown(cmp.Or(eventNames[event], event)) }

// eventWords says what an event is about.
func eventWords(e audit.Line) string {
	var parts []string
	add := func(s string) {
		if s != "" {
			parts = append(parts, s)
		}
	}
	if e.Outcome != "" {
		add(outcomeWords(e.Outcome))
	}
	add(shown(e.State))
	if e.By != "" {
		add("by " + shown(e.By))
	}
	if e.Target != "" {
		add("to " + shown(e.Target))
	}
	if e.Rate > 0 {
		add(fmt.Sprintf("%.4g calls/s", e.Rate))
	}
	add(shown(e.Why))
	add(shown(e.Error))
	return strings.Join(parts, ", ")
}

// groupFilter returns the text of the filter for a group.
func groupFilter(g report.Group) string {
	return filter.And(filter.MessageClass(nil, g.Class), filter.Templates(g.Template)).String()
}

// percent returns done as a percentage of all.
func percent(done, all int) int {
	if all == 0 {
		return 100
	}
	return done * 100 / all
}

// pageSizes are the numbers of rows that a page may have.
var pageSizes = []int{50, 100, 500}
