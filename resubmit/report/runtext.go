package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// How many blocking orders and groups of repeated failures the text names.
const (
	maxShownBlocked = 10
	maxShownGroups  = 5
)

// Text returns a report in a few lines for people, without the single orders. Each line ends with a line break. It has
// no control characters, whatever the servers sent. The text of a nil report is empty.
func Text(r *resubmit.Report) string {
	if r == nil {
		return ""
	}
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(text.Clean(fmt.Sprintf(format, args...)) + "\n") }
	line("%s: %s", text.Orders(r.Result.Total()), r.Result)
	earlierRuns(r, line)
	for _, g := range r.Groups {
		name := slices.DeleteFunc([]string{string(g.Class), g.VendorAccountID, string(g.Channel)},
			func(s string) bool { return s == "" })
		line("  %s: %s", strings.Join(name, " · "), g.Result)
	}
	for _, c := range r.Canary {
		if c.Stopped != "" {
			line("  %s", c.Stopped)
		}
	}
	for _, h := range r.Blockers[:min(maxShownBlocked, len(r.Blockers))] {
		line("  %d blocked by %s", h.Orders, h.Number)
	}
	if rest := len(r.Blockers) - maxShownBlocked; rest > 0 {
		line("  and others by %d further orders: see Report.Blockers", rest)
	}
	if r.FailedAgain != nil {
		for _, g := range r.FailedAgain.Groups[:min(maxShownGroups, len(r.FailedAgain.Groups))] {
			line("  %d failed again (%s): %s", g.Count, g.Class, cmp.Or(text.Short(g.Template), "no reason reported"))
		}
	}
	endOf(r, line)
	return b.String()
}

// earlierRuns says which results are not of this run.
func earlierRuns(r *resubmit.Report, line func(string, ...any)) {
	switch {
	case r.Earlier == 0:
	case r.Earlier == r.Result.Total():
		line("nothing was sent now: an earlier run of this plan has ended, and these are its results")
	default:
		line("%d of these results are of an earlier run of this plan", r.Earlier)
	}
}

// endOf writes what concerns the whole run.
func endOf(r *resubmit.Report, line func(string, ...any)) {
	if rest := r.Plan.Total - r.Plan.Resubmit; rest > 0 || r.Plan.Mismatched > 0 {
		line("the whole plan: %s", r.Plan)
	}
	if r.CommerceOnly > 0 {
		line("%d of the completed are confirmed by Commerce alone", r.CommerceOnly)
	}
	if !r.ConnectAsked {
		line("Connect was not asked")
	}
	if r.CloseToVerified > 0 {
		line("from the end of the maintenance until all were verified: %v", r.CloseToVerified.Round(time.Second))
	}
	if r.EventError != "" {
		line("the event callback was removed: %s", r.EventError)
	}
	if r.Err != "" {
		line("stopped early: %s", r.Err)
	}
	for _, next := range r.Next {
		line("next: %s", next)
	}
}
