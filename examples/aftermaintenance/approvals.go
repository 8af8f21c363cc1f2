package main

import (
	"context"
	"crypto/ed25519"
	"fmt"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func signCommand(p *program) *cli.Command {
	return &cli.Command{
		Name: "sign", Aliases: []string{"approve"}, Usage: "approve a plan, which another process then applies",
		ArgsUsage: "DIGEST",
		Description: "The next run, or a watcher, applies the plan. With \"approvers\" in the configuration, -key is the " +
			"private key of one of them.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "key", Destination: &p.options.key, Usage: "`file` of the private key"},
			byFlag(p),
		},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			return p.onRun(ctx, cmd.Args().First(), (*site).sign, "The plan %s is approved. The next apply or run applies it.")
		},
	}
}

// sign approves a plan.
func (s *site) sign(run *state.Run) (err error) {
	var key ed25519.PrivateKey
	if s.options.key != "" {
		if key, err = plan.LoadSigningKey(s.options.key); err != nil {
			return flagged("-key", err)
		}
	}
	return s.dir.Approve(run.Digest, s.options.by, key)
}

func revokeCommand(p *program) *cli.Command {
	return &cli.Command{
		Name: "revoke", Usage: "withdraw the approval of a plan that has not begun", ArgsUsage: "DIGEST",
		Flags: []cli.Flag{reasonFlag(p), byFlag(p)},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			return p.onRun(ctx, cmd.Args().First(), func(s *site, run *state.Run) error {
				return s.dir.Revoke(run.Digest, p.options.by, p.options.why)
			}, "The approval of the plan %s is withdrawn. It is not applied until it is approved again.")
		},
	}
}

func byFlag(p *program) cli.Flag {
	return &cli.StringFlag{Name: "by", Destination: &p.options.by, Usage: "`name` of the person (default: this user)"}
}

// onRun does something with a run, and shows the status.
func (p *program) onRun(ctx context.Context, name string, do func(*site, *state.Run) error, done string) error {
	s, err := p.openDir(ctx)
	if err != nil {
		return err
	}
	run, err := s.findRun(name)
	if err == nil {
		err = do(s, run)
	}
	if err != nil {
		p.next = p.command("status")
		return err
	}
	s.notes().Paragraph("", fmt.Sprintf(done, short(run.Digest)))
	return s.showStatus()
}
