package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/resubmit/console"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func consoleCommand(p *program) *cli.Command {
	return &cli.Command{
		Name: "console", Usage: "serve web pages to list, plan, approve, apply and watch, for this user",
		Description: "It prints an address that opens once, within five minutes, and listens on this machine only. A plan " +
			"that is approved in the pages is applied by this process.",
		Flags: joined([]cli.Flag{
			&cli.StringFlag{Name: "listen", Value: "127.0.0.1:0", Destination: &p.options.listen,
				Usage: "loopback `address` to listen on"},
			&cli.StringFlag{Name: "key", Destination: &p.options.key,
				Usage: "`file` of the private key that signs approvals, with \"approvers\" in the configuration"},
		}, selectionFlags(&p.options)),
		Action: func(ctx context.Context, _ *cli.Command) error { return p.console(ctx) },
	}
}

// console serves the console until it is interrupted.
func (p *program) console(ctx context.Context) error {
	s, err := p.openSystems(ctx, true)
	if err != nil {
		return err
	}
	cfg := console.Config{State: s.dir, Location: s.location, Logger: s.logger(), Apply: func(ctx context.Context) error {
		_, err := s.dir.Once(ctx, state.OnceOptions{Continue: true})
		return err
	}}
	if p.options.key != "" {
		if cfg.ApprovalKey, err = plan.LoadSigningKey(p.options.key); err != nil {
			return flagged("-key", err)
		}
	}
	server, err := console.Listen(ctx, p.options.listen, cfg)
	if err != nil {
		return err
	}
	go s.windows.refresh(ctx)
	fmt.Fprintf(p.Stderr, "Open this address within five minutes; it works once. Ctrl-C ends the console.\n\n  %s\n\n",
		server.URL())
	err = server.Serve(ctx)
	p.next = p.command("status")
	return err
}
