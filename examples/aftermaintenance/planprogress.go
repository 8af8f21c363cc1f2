package main

import (
	"fmt"
	"io"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

// planProgress shows how far planning is: on a terminal on one line that is
// rewritten, else on a line every ten seconds.
type planProgress struct {
	out      io.Writer
	terminal bool
	shown    time.Time
	begun    bool // the line on the terminal
}

const planLineEach = 10 * time.Second

func newPlanProgress(out io.Writer) *planProgress {
	return &planProgress{out: out, terminal: isTerminal(out), shown: time.Now()}
}

func (p *planProgress) show(now resubmit.PlanProgress) {
	switch {
	case p.terminal:
		p.begun = true
		fmt.Fprintf(p.out, "\r\x1b[KPlanning: %s", now)
	case time.Since(p.shown) >= planLineEach:
		p.shown = time.Now()
		fmt.Fprintf(p.out, "Planning: %s\n", now)
	}
}

// end removes the line from the terminal.
func (p *planProgress) end() {
	if p.begun {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
