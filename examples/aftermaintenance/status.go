package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func statusCommand(p *program) *cli.Command {
	return &cli.Command{
		Name: "status", Usage: "show the newest run, and who works on it",
		Flags: []cli.Flag{&cli.BoolFlag{Name: "watch", Destination: &p.options.watch,
			Usage: "show the progress until the run ends or nobody works on it"}},
		Action: func(ctx context.Context, _ *cli.Command) error { return p.status(ctx) },
	}
}

func (p *program) status(ctx context.Context) error {
	s, err := p.openDir(ctx)
	if err != nil {
		return err
	}
	if p.options.watch {
		s.watch(ctx, func(*state.Run) bool {
			now, err := s.dir.Status()
			return err != nil || !now.Busy || now.Run == nil || now.Run.Ended()
		})
		p.Stderr.Clear()
	}
	return s.showStatus()
}

// statusDocument is what -json prints.
type statusDocument struct {
	Run      *state.Run      `json:"run"`                // the newest one; null if there is none
	Previous *state.Run      `json:"previous,omitempty"` // the newest one before it that was applied
	Busy     bool            `json:"busy"`               // a process plans or applies
	Holder   string          `json:"holder,omitempty"`   // that process
	Commands []state.Command `json:"commands,omitempty"` // not obeyed yet
}

// showStatus shows the status of the directory, and says what can be done.
func (s *site) showStatus() error {
	now, err := s.dir.Status()
	if err != nil {
		return err
	}
	doc := statusDocument{Run: now.Run, Previous: now.Previous, Busy: now.Busy, Commands: now.Commands}
	if now.Holder != nil {
		doc.Holder = now.Holder.String()
	}
	s.nextOf(now)
	if s.options.format == formatJSON {
		return json.NewEncoder(s.Stdout).Encode(doc)
	}
	out := s.page()
	if now.Run == nil {
		fmt.Fprintln(out.Out, "There is no run yet.")
		return nil
	}
	s.describe(now.Run)
	if now.Busy {
		out.Paragraph("", "A process plans or applies: "+doc.Holder)
	}
	for _, c := range now.Commands {
		out.Paragraph("", fmt.Sprintf("Not obeyed yet: %s by %s", c.Action, c.By))
	}
	if now.Previous != nil {
		out.Paragraph("", "Before: "+now.Previous.String())
	}
	return nil
}

// describe shows a run in a few lines.
func (s *site) describe(run *state.Run) {
	out := s.page()
	fmt.Fprintf(out.Out, "Run %s, planned %s", short(run.Digest), s.clock(run.PlannedAt))
	if run.PlannedBy != "" {
		fmt.Fprintf(out.Out, " by %s", run.PlannedBy)
	}
	fmt.Fprintf(out.Out, "\n  Plan: %s\n", run.Counts)
	switch {
	case run.Ended():
		why := ""
		if run.Why != "" {
			why = " (" + run.Why + ")"
		}
		out.Paragraph("  ", fmt.Sprintf("It ended %s: %s%s.", s.clock(run.EndedAt),
			cmp.Or(endTexts[run.End], string(run.End)), why))
	case run.Paused != nil:
		why := ""
		if run.Paused.Why != "" {
			why = " (" + run.Paused.Why + ")"
		}
		out.Paragraph("  ", fmt.Sprintf("It is paused by %s since %s%s. Nothing is sent until resume.", run.Paused.By,
			s.clock(run.Paused.At), why))
	case run.StartedAt.IsZero():
		fmt.Fprintln(out.Out, "  It was not applied yet.")
	default:
		out.Paragraph("  ", "It is not finished. "+run.Why)
	}
	if !run.StartedAt.IsZero() && run.Live == nil {
		out.Paragraph("  ", "Result: "+run.Result.String())
	}
	if run.Live != nil {
		v := progressView{site: s}
		end := cmp.Or(v.waits(run.Live), v.estimate(run.Live, time.Now()))
		fmt.Fprintln(out.Out, "  "+progressLine(run.Live, end, out.Width-2))
	}
	if run.Rate > 0 {
		fmt.Fprintf(out.Out, "  The rate limit was set to %s calls per second.\n", rateText(run.Rate))
	}
}

// endTexts are how runs end, in words.
var endTexts = map[state.End]string{
	state.EndFinished:  "it is finished",
	state.EndNothing:   "there was nothing to resubmit",
	state.EndTooEarly:  "it was too early, all orders must wait",
	state.EndDrained:   "it was drained",
	state.EndCancelled: "it was cancelled",
	state.EndStale:     "it was too old, or was replaced",
}

// nextOf says what can be done with the newest run.
func (s *site) nextOf(now state.Status) {
	run := now.Run
	switch {
	case run == nil, run.End == state.EndStale, run.End == state.EndTooEarly, run.End == state.EndCancelled:
		s.next = s.command("plan")
	case run.Ended():
		s.next = s.command("show", short(run.Digest))
	case run.Paused != nil:
		s.next = s.command("resume")
	case now.Busy:
		s.next = s.command("status", "-watch")
	default:
		s.next = s.command("apply", short(run.Digest))
	}
}
