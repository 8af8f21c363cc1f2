package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/examples/aftermaintenance/internal/terminal"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/doctor"
)

func doctorCommand(p *program) *cli.Command {
	return &cli.Command{
		Name: "doctor", Usage: "check addresses, credentials, clocks, fields, sorting and paging of both systems",
		Description: "It only reads, pushes nothing and needs no state directory to exist. What differs from the facts is " +
			"printed with their section and what to configure: status 3 with -detailed-exitcode. Status 1 means that a " +
			"system cannot be used like this.",
		Flags: []cli.Flag{&cli.StringFlag{Name: "ids", Destination: &p.options.ids,
			Usage: "`file` of orders to look at, or - for standard input, for -via billing, which cannot list orders"}},
		Action: func(ctx context.Context, _ *cli.Command) error { return p.doctor(ctx) },
	}
}

// doctorRows is how many rows of a page the doctor asks for, so that a sample has several pages.
const doctorRows = 20

// doctor checks both systems.
func (p *program) doctor(ctx context.Context) error {
	s, err := p.begin()
	if err != nil {
		return err
	}
	if err := s.checkURL(); err != nil {
		return err
	}
	cfg := doctor.Config{Wire: new(doctor.Wire), ConnectWire: new(doctor.Wire), Targets: s.cfg.Policy.Targets}
	if err := s.openDoctor(&cfg); err != nil {
		return err
	}
	findings, err := doctor.Check(ctx, cfg)
	if err != nil {
		return err
	}
	if err := s.showFindings(findings); err != nil {
		return err
	}
	broken := 0
	for _, f := range findings {
		s.left = s.left || f.State == doctor.Differs
		if f.State == doctor.Broken {
			broken++
		}
	}
	if broken > 0 {
		return fmt.Errorf("%s cannot be used like this, and nothing was changed: see above",
			countOf(broken, "part of the installation", "parts of the installation"))
	}
	s.next = s.command("plan")
	return nil
}

// openDoctor opens clients that only read.
func (s *site) openDoctor(cfg *doctor.Config) error {
	api, err := s.api(s.cfg)
	if err != nil {
		return err
	}
	key, err := s.connectKey()
	if err != nil {
		return err
	}
	refs, err := s.refs(s.cfg.Commerce.Via)
	if err != nil {
		return err
	}
	api.wrap, api.rows = cfg.Wire.Wrap, doctorRows
	client, err := api.open(refs)
	if err != nil {
		return flagged("-commerce and its credentials", err)
	}
	cfg.Systems = resubmit.SystemsOf(client, client)
	cfg.Systems.Pusher = nil
	err = s.openConnect(key, connect.WithMiddleware(cfg.ConnectWire.Wrap), connect.WithPageSize(doctorRows))
	cfg.Connect = s.connect
	return err
}

// showFindings prints findings, the bad ones last.
func (s *site) showFindings(findings []doctor.Finding) error {
	if s.options.format == formatJSON {
		return json.NewEncoder(s.Stdout).Encode(struct {
			Findings []doctor.Finding `json:"findings"`
		}{findings})
	}
	out := s.page()
	for _, state := range []doctor.State{doctor.OK, doctor.Note, doctor.Differs, doctor.Broken} {
		for _, f := range slices.DeleteFunc(slices.Clone(findings), func(f doctor.Finding) bool { return f.State != state }) {
			fmt.Fprintf(out.Out, "%-8s %s\n", state, s.Paint(s.Stdout, terminal.Bold, f.System+", "+f.Check))
			out.Paragraph("         ", f.Text)
			if f.Do != "" {
				out.Paragraph("         ", "Do: "+f.Do+".")
			}
			if f.Fact != "" {
				out.Paragraph("         ", "Fact: "+f.Fact)
			}
		}
	}
	return nil
}
