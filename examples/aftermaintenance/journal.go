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
		return json.NewEncoder(p.stdout).Encode(summary)
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
		return write(p.stdout)
	}
	f, err := os.OpenFile(p.options.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return write(f)
}
