package main

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/examples/internal/page"
)

func init() { //nolint:gochecknoinits // the library has no other place for it
	cli.HelpPrinter = func(out io.Writer, _ string, data any) {
		if cmd, ok := data.(*cli.Command); ok {
			printHelp(out, cmd)
		}
	}
}

const helpWidth = 80

// printHelp prints the help of a command.
func printHelp(out io.Writer, cmd *cli.Command) {
	text := page.Page{Out: out, Width: helpWidth}
	root := cmd.Root() == cmd
	words := []string{"usage:", cmd.FullName(), "[flags]"}
	if cmd.ArgsUsage != "" {
		words = append(words, cmd.ArgsUsage)
	}
	fmt.Fprintln(out, strings.Join(words, " "))
	fmt.Fprintln(out)
	text.Paragraph("", strings.ToUpper(cmd.Usage[:1])+cmd.Usage[1:]+".")
	if cmd.Description != "" {
		fmt.Fprintln(out)
		for part := range strings.SplitSeq(cmd.Description, "\n\n") {
			text.Paragraph("", part)
		}
	}
	if commands := cmd.VisibleCommands(); len(commands) > 0 {
		fmt.Fprintln(out, "\nCommands:")
		t := page.Table{}
		for _, c := range commands {
			t.Add("  "+c.Name, c.Usage)
		}
		text.Print(&t)
	}
	printFlags(text, "Flags:", cmd.Flags)
	if root {
		fmt.Fprint(out, "\n"+environmentHelp+"\n"+statusesHelp)
		return
	}
	fmt.Fprintln(out, "\nThe flags of every command are in the output of aftermaintenance -help.")
}

// printFlags prints flags, those of urfave/cli left out.
func printFlags(text page.Page, title string, flags []cli.Flag) {
	n := 0
	for _, f := range flags {
		described, ok := f.(cli.DocGenerationFlag)
		if !ok || f.Names()[0] == "help" {
			continue
		}
		if n++; n == 1 {
			fmt.Fprintln(text.Out, "\n"+title)
		}
		kind, usage := flag.UnquoteUsage(&flag.Flag{Usage: described.GetUsage()})
		if value := described.GetValue(); described.TakesValue() && value != "" && value != "0" && value != "0s" {
			usage += " (default " + value + ")"
		}
		if !described.TakesValue() {
			kind = ""
		} else if kind == "" || kind == "value" {
			kind = "value"
		}
		fmt.Fprintln(text.Out, strings.TrimRight("  -"+f.Names()[0]+" "+kind, " "))
		text.Paragraph("        ", usage)
	}
}
