package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/examples/aftermaintenance/internal/terminal"
	"github.com/cloudblue-go/cloudblue/examples/internal/page"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
)

func reportCommand(p *program) *cli.Command {
	o := &p.options
	return &cli.Command{
		Name: "report", Usage: "write the report of a run: text, html with a chart, csv or json", ArgsUsage: "[RUN]",
		Description: "RUN is the start of a digest; the default is the newest run. It calls no system.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "format", Destination: &o.kind, Usage: "`form`: text (the default), html, csv or json"},
			&cli.StringFlag{Name: "out", Destination: &o.file, Usage: "new `file` (default: standard output)"},
		},
		Action: func(ctx context.Context, cmd *cli.Command) error { return p.report(ctx, cmd.Args().First()) },
	}
}

func (p *program) report(ctx context.Context, name string) error {
	s, err := p.openDir(ctx)
	if err != nil {
		return err
	}
	kind := p.options.kind
	if kind == "" {
		kind = string(p.options.format)
	}
	write, ok := map[string]func(*report.Document, io.Writer) error{
		"html": (*report.Document).WriteHTML, "csv": (*report.Document).WriteCSV, "json": (*report.Document).WriteJSON,
		"text": p.writeText, "": p.writeText,
	}[kind]
	if !ok {
		return usagef("-format %q: give text, html, csv or json", kind)
	}
	run, err := s.findRun(name)
	if err != nil {
		return err
	}
	d, err := s.dir.Document(run)
	if err != nil {
		return err
	}
	if err := p.toFile(func(w io.Writer) error { return write(d, w) }); err != nil {
		return err
	}
	if p.options.file != "" && p.options.file != "-" {
		fmt.Fprintf(s.notes().Out, "The report is in %s.\n", p.options.file)
	}
	return nil
}

// writeText writes the text of a document, wrapped to the width of the terminal.
func (p *program) writeText(d *report.Document, w io.Writer) error {
	out := page.Page{Out: terminal.Plain{To: w}, Width: p.Width()}
	for line := range strings.Lines(d.Text()) {
		rest := strings.TrimLeft(line, " ")
		indent := line[:len(line)-len(rest)]
		if utf8.RuneCountInString(line) <= out.Width || strings.HasPrefix(rest, programName+" ") {
			fmt.Fprint(out.Out, line)
			continue
		}
		out.Paragraph(indent, rest)
	}
	return nil
}
