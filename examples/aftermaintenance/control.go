package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/examples/aftermaintenance/internal/input"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func pauseCommand(p *program) *cli.Command {
	return control(p, "pause", "send nothing more until resume, also after a restart", state.ActionPause)
}

func resumeCommand(p *program) *cli.Command {
	return control(p, "resume", "end a pause", state.ActionResume)
}

func drainCommand(p *program) *cli.Command {
	return control(p, "drain", "send nothing more, verify what was sent, and end the run", state.ActionDrain)
}

func rateCommand(p *program) *cli.Command {
	c := control(p, "rate", "change the limit of calls of the run, such as 2/s", state.ActionRate)
	c.ArgsUsage = "RATE"
	return c
}

func cancelCommand(p *program) *cli.Command {
	c := control(p, "cancel", "send nothing more and end the run", state.ActionCancel)
	c.Description = "It asks first. Sent orders cannot be called back; a later plan can send the others."
	c.Flags = append(c.Flags, &cli.BoolFlag{Name: "yes", Destination: &p.options.yes, Usage: "do not ask"})
	return c
}

// control is a command for the unfinished run, which another process may apply.
func control(p *program, name, usage string, action state.Action) *cli.Command {
	return &cli.Command{
		Name: name, Usage: usage,
		Flags: []cli.Flag{reasonFlag(p)},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			return p.control(ctx, action, cmd.Args().First())
		},
	}
}

func reasonFlag(p *program) cli.Flag {
	return &cli.StringFlag{Name: "reason", Destination: &p.options.why, Usage: "why, as `text` for the record"}
}

// control gives a command to the unfinished run.
func (p *program) control(ctx context.Context, action state.Action, rate string) error {
	c := state.Command{Action: action, Why: p.options.why}
	if action == state.ActionRate {
		var err error
		if c.Rate, err = input.Rate(rate); err != nil {
			return usageError{err}
		}
	}
	s, err := p.openDir(ctx)
	if err != nil {
		return err
	}
	if action == state.ActionCancel && !p.options.yes {
		if err := s.confirmCancel(ctx); err != nil {
			return err
		}
	}
	if err := s.dir.Control(c); err != nil {
		p.next = p.command("status")
		return err
	}
	s.notes().Paragraph("", "The command is given. The process that applies the run obeys within about a second; if "+
		"there is none, the next apply or run does.")
	return s.showStatus()
}

// confirmCancel asks whether to end the run.
func (s *site) confirmCancel(ctx context.Context) error {
	now, err := s.dir.Status()
	if err != nil {
		return err
	}
	if now.Run == nil || now.Run.Ended() {
		return nil // the error of the command says so
	}
	if !s.AsksPeople() {
		s.next = s.command("cancel", "-yes")
		return usagef("cancel asks first, and here is no terminal: pass -yes")
	}
	verified, open, rest := 0, 0, now.Run.Counts.Resubmit
	if live := now.Run.Live; live != nil {
		verified, open, rest = live.Result.Completed, live.Open, live.Total-live.Done-live.Open
	}
	out := s.notesAlways()
	out.Paragraph("", fmt.Sprintf("Cancel the run %s? %s verified. %s sent and will not be verified by this run. %s "+
		"failed; a later plan can send them. Sent orders cannot be called back.", short(now.Run.Digest),
		countOf(verified, "order is", "orders are"), countOf(open, "was", "were"), countOf(rest, "stays", "stay")))
	answer, err := s.ask(ctx, "Type yes to cancel the run: ")
	if err != nil || answer == "yes" {
		return err
	}
	return s.refused(answer, "The run was not cancelled.", s.command("status"))
}
