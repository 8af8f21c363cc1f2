package main

import (
	"errors"
	"fmt"
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

// error returns nil if everything is done. early is the error that ended the run early, or nil.
func (u unfinished) error(s *settings, early error) error {
	var parts []string
	if u.stopped > 0 {
		parts = append(parts, fmt.Sprintf("%s not started, because %s: find the cause, then make a new plan",
			number(u.stopped, "order"), strings.Join(u.stops, ", ")))
	}
	again := "run again, which makes a new plan"
	if s.plan != "" {
		again = "run the same command again to resume"
	}
	if u.unknown > 0 {
		parts = append(parts, fmt.Sprintf("%s perhaps resubmitted, without proof: %s, or check them in Commerce",
			number(u.unknown, "order"), again))
	}
	switch {
	case early != nil:
		parts = append(parts, fmt.Sprintf("%s not sent: %s", number(u.unsent, "order"), again))
		return fmt.Errorf("the run ended early: %w; %s", early, strings.Join(parts, "; "))
	case u.unsent > 0:
		parts = append(parts, fmt.Sprintf("%s not sent, because they could not be read: %s", number(u.unsent, "order"),
			again))
	case parts == nil:
		return nil
	}
	return errors.New("not everything is done: " + strings.Join(parts, "; "))
}
