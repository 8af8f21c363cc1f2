package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func journalCommand(p *program) *cli.Command {
	file := func(usage string) []cli.Flag {
		return []cli.Flag{&cli.StringFlag{Name: "file", Destination: &p.options.file, Usage: usage}}
	}
	return &cli.Command{
		Name: "journal", Usage: "check, salvage or export the journal: what was done to each order",
		Commands: []*cli.Command{
			{
				Name: "check", Usage: "read the whole journal and describe it",
				Action: func(context.Context, *cli.Command) error { return p.journalCheck() },
			},
			{
				Name: "salvage", Usage: "copy what can be read of a damaged journal to a new file",
				Flags:  file("new `file`"),
				Action: func(context.Context, *cli.Command) error { return p.journalSalvage() },
			},
			{
				Name: "export", Usage: "write the journal as JSON lines",
				Flags:  file("new `file` (default: standard output)"),
				Action: func(ctx context.Context, _ *cli.Command) error { return p.journalExport(ctx) },
			},
		},
	}
}

// journalPath returns the path of the journal.
func (p *program) journalPath() (string, error) {
	if err := p.setUp(); err != nil {
		return "", err
	}
	if p.options.state == "" {
		return "", usageError{errNoState}
	}
	return filepath.Join(p.options.state, "journal"), nil
}

func (p *program) journalCheck() error {
	path, err := p.journalPath()
	if err != nil {
		return err
	}
	summary, err := journal.Check(path)
	if is[*journal.CorruptError](err) {
		p.next = p.command("journal", "salvage", "-file", "NEW")
	}
	if err != nil {
		return err
	}
	if p.options.format == formatJSON {
		return json.NewEncoder(p.Stdout).Encode(summary)
	}
	fmt.Fprintln(p.page().Out, summary)
	return nil
}

func (p *program) journalSalvage() error {
	path, err := p.journalPath()
	if err != nil {
		return err
	}
	if p.options.file == "" {
		return usagef("salvage needs -file: the new journal")
	}
	summary, err := journal.Salvage(path, p.options.file)
	if err != nil {
		return err
	}
	fmt.Fprintln(p.page().Out, summary)
	p.notes().Paragraph("", "To continue with it, put it in the place of "+path+" and run recover: orders that were "+
		"placed before are held until they are named with -order.")
	p.next = p.command("recover", "-reason", "TEXT")
	return nil
}

func (p *program) journalExport(ctx context.Context) (err error) {
	path, err := p.journalPath()
	if err != nil {
		return err
	}
	j, err := journal.Open(path, journal.WithReadOnly())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	return p.toFile(func(w io.Writer) error { return j.Export(ctx, w) })
}

// toFile writes to the file of -file or -out, which must not exist, or to standard output.
func (p *program) toFile(write func(io.Writer) error) (err error) {
	if p.options.file == "" || p.options.file == "-" {
		return write(p.Stdout)
	}
	f, err := os.OpenFile(p.options.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return write(f)
}

func recoverCommand(p *program) *cli.Command {
	return &cli.Command{
		Name: "recover", Usage: "continue after a loss of the journal",
		Description: "Orders that were placed before are held until they are named with -order, because they may have been " +
			"sent.",
		Flags:  []cli.Flag{reasonFlag(p)},
		Action: func(ctx context.Context, _ *cli.Command) error { return p.recover(ctx) },
	}
}

func (p *program) recover(ctx context.Context) error {
	if p.options.why == "" {
		return usagef("recover needs -reason: how the journal was lost")
	}
	s, err := p.begin()
	if err != nil {
		return err
	}
	if s.systems, err = s.installation(); err != nil {
		return err
	}
	cfg, err := s.stateConfig()
	if err == nil {
		err = state.Recover(ctx, p.options.state, cfg, p.options.why)
	}
	if err == nil {
		s.dir, err = state.Open(ctx, p.options.state, cfg)
	}
	if err != nil {
		return err
	}
	s.notes().Paragraph("", "The journal was recovered. Orders that were placed before are held until they are named "+
		"with -order.")
	return s.showStatus()
}
