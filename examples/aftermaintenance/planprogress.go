package main

import (
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// progressInterval is the least time between two lines of progress without a terminal.
const progressInterval = 10 * time.Second

// planProgress shows the progress of planning: on a terminal by redrawing one line, otherwise by a line every 10 s.
type planProgress struct{ shown time.Time }

// to returns the function that shows the progress.
func (s *planProgress) to(p *program) func(resubmit.PlanProgress) {
	s.shown = time.Now()
	return func(now resubmit.PlanProgress) {
		switch {
		case p.options.quiet:
		case p.stderr.terminal:
			p.stderr.show("Planning: " + now.String())
		case time.Since(s.shown) >= progressInterval:
			s.shown = time.Now()
			fmt.Fprintf(p.stderr, "Planning: %s\n", now)
		}
	}
}

// connectProgress returns a function that shows that Connect is awaited.
func (p *program) connectProgress() func(availability.WaitResult) {
	began, shown := time.Now(), time.Now()
	return func(availability.WaitResult) {
		switch {
		case p.options.quiet, time.Since(began) < time.Second: // it usually answers at once
		case p.stderr.terminal:
			p.stderr.show("Waiting for Connect since " + p.clock(began))
		case time.Since(shown) >= progressInterval:
			shown = time.Now()
			fmt.Fprintf(p.stderr, "Waiting for Connect since %s\n", p.clock(began))
		}
	}
}
