package main

import (
	"fmt"
	"io"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// planProgress shows the progress of planning: on a terminal by rewriting one line, otherwise by a line every 10 s.
type planProgress struct {
	out      io.Writer
	terminal bool
	shown    time.Time
	drawn    bool // the line on the terminal
}

const planLineInterval = 10 * time.Second

func newPlanProgress(out io.Writer) *planProgress {
	return &planProgress{out: out, terminal: isTerminal(out), shown: time.Now()}
}

func (p *planProgress) show(now resubmit.PlanProgress) {
	switch {
	case p.terminal:
		p.drawn = true
		fmt.Fprintf(p.out, "\r\x1b[KPlanning: %s", now)
	case time.Since(p.shown) >= planLineInterval:
		p.shown = time.Now()
		fmt.Fprintf(p.out, "Planning: %s\n", now)
	}
}

// end removes the line from the terminal.
func (p *planProgress) end() {
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
