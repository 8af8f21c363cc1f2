package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cloudblue-go/cloudblue/resubmit"
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
	u := unfinished{unknown: r.Result.Unknown, unsent: r.Unread}
	skipped := map[string]int{}
	for _, i := range r.Items {
		if i.Outcome == resubmit.OutcomeSkipped && i.After.Status == "" { // it was not read
			u.unsent++
			skipped[i.Why]++
		}
	}
	for _, b := range r.Blockers { // by an order that was not completed, which is counted itself
		u.unsent -= b.Orders
	}
	for _, c := range r.Canary {
		if n := skipped[c.Stopped]; n > 0 {
			u.unsent -= n
			u.stopped += n
			u.stops = append(u.stops, c.Stopped)
		}
	}
	u.unsent = max(0, u.unsent)
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
	if u.unknown > 0 {
		parts = append(parts, fmt.Sprintf("%s with an unknown outcome: check them in Commerce before "+
			"anything is sent again", number(u.unknown, "order")))
	}
	again := "run again, which makes a new plan"
	if s.plan != "" {
		again = "run the same command again to resume"
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
