package report

import (
	"fmt"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Sentence returns what is true now in one or two sentences, such as "All 81 orders are verified in Commerce and
// Connect, 39 min after the maintenance ended (2026-11-21 05:02–05:41 CET).".
func (d *Document) Sentence() string {
	s := d.progress()
	if d.Error != "" {
		s = "Stopped early: " + strings.TrimSuffix(text.Sentence(d.Error), ".") + ". " + s
	}
	return s
}

func (d *Document) progress() string {
	n, rest := d.Planned.Resubmit, d.Planned.Total-d.Planned.Resubmit
	switch {
	case d.Planned.Total == 0:
		return "No failed order matches."
	case n == 0:
		return fmt.Sprintf("None of %s is to be resubmitted now.", text.Orders(rest))
	case d.State == StatePlanned:
		return fmt.Sprintf("%d of %s %s to be resubmitted. Nothing was sent yet.", n, text.Orders(d.Planned.Total), are(n))
	case d.allVerified():
		return d.verified() + d.others(rest)
	case d.State == StateRunning:
		return d.soFar()
	default:
		return fmt.Sprintf("%d of %s verified. %s.", d.Outcomes.Completed, text.Orders(n), d.left()) + d.others(rest)
	}
}

// soFar says how far a run is.
func (d *Document) soFar() string {
	s := fmt.Sprintf("%d of %s verified so far", d.Outcomes.Completed, text.Orders(d.Planned.Resubmit))
	for _, part := range []struct {
		n    int
		what string
	}{{d.Outcomes.FailedAgain, "failed again"}, {d.inFlight(), "in flight"}, {d.Open, "not done yet"}} {
		if part.n > 0 {
			s += fmt.Sprintf(", %d %s", part.n, part.what)
		}
	}
	return s + "."
}

// inFlight counts the orders that a run that is going on has sent and not verified yet.
func (d *Document) inFlight() int {
	if d.State != StateRunning {
		return 0
	}
	return d.Outcomes.Progressing + d.Outcomes.Unknown
}

// verified says that all are verified, where, and how long after the maintenance.
func (d *Document) verified() string {
	n, where := d.Outcomes.Completed, "in Commerce and Connect"
	switch {
	case !d.ConnectAsked:
		where = "in Commerce; Connect was not asked"
	case d.CommerceOnly > 0:
		where = fmt.Sprintf("in Commerce, and all but %d in Connect", d.CommerceOnly)
	}
	s := fmt.Sprintf("All %d orders are verified %s", n, where)
	if n == 1 {
		s = "The order is verified " + where
	}
	if d.Times.CloseToVerifiedSeconds <= 0 {
		return s + "."
	}
	return fmt.Sprintf("%s, %s after the maintenance ended (%s).", s, duration(d.Times.CloseToVerifiedSeconds),
		d.span(d.Times.WindowClosedAt, d.Times.LastVerifiedAt))
}

// left says what became of the orders to resubmit that are not verified.
func (d *Document) left() string {
	rest := d.Outcomes
	rest.Completed = 0
	s := rest.String()
	if d.Open > 0 {
		s += fmt.Sprintf(", %d not done yet", d.Open)
	}
	return s
}

// others says how many orders were not to be sent.
func (d *Document) others(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" %s %s not sent.", text.Count(n, "other order"), were(n))
}

func were(n int) string {
	if n == 1 {
		return "was"
	}
	return "were"
}

// who says who acts next, for how many orders.
func (a Actor) who() string {
	switch a {
	case ActorRun:
		return "a run of this plan"
	case ActorPlan:
		return "a later plan"
	case ActorVendor:
		return "the vendor, in Connect"
	case ActorPerson:
		return "a person"
	default:
		return "nobody"
	}
}
