package main

import (
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

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
