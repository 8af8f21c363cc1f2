package main

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

func auditCommand(p *program) *cli.Command {
	return &cli.Command{
		Name: "audit", Usage: "verify the audit logs",
		Commands: []*cli.Command{{
			Name: "verify", Usage: "check that no line of the audit logs was edited, moved or removed",
			Flags: []cli.Flag{&cli.StringFlag{Name: "key", Destination: &p.options.key,
				Usage: "`file` of public keys, of which one must have signed each log"}},
			Action: func(ctx context.Context, _ *cli.Command) error { return p.verifyAudit(ctx) },
		}},
	}
}

func (p *program) verifyAudit(ctx context.Context) error {
	s, err := p.openDir(ctx)
	if err != nil {
		return err
	}
	var keys []ed25519.PublicKey
	if p.options.key != "" {
		if keys, err = plan.LoadPublicKeys(p.options.key); err != nil {
			return flagged("-key", err)
		}
	}
	head, err := s.dir.VerifyAudit(keys...)
	if err != nil {
		return err
	}
	if p.options.format == formatJSON {
		return json.NewEncoder(p.Stdout).Encode(head)
	}
	out := s.page()
	if head.Lines == 0 {
		fmt.Fprintln(out.Out, "There is no audit log yet.")
		return nil
	}
	fmt.Fprintln(out.Out, "The audit logs are complete. The newest ends with")
	out.Paragraph("    ", head.String())
	out.Paragraph("", "Keep this where nobody who can write to the directory can change it: it shows whether lines were "+
		"edited or cut off later.")
	return nil
}
