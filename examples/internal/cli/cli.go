// Package cli has what the command lines of the examples share: flags, -help and exit statuses.
package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/cloudblue-go/cloudblue/examples/internal/page"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Exit statuses.
const (
	ExitDone  = 0
	ExitError = 1
	ExitUsage = 2 // wrong flags, nothing was done
)

type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usage marks err as a mistake in the flags, for which the exit status is ExitUsage. It returns nil if err is nil.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// Parse parses the arguments of a program that takes flags only. For -help it prints the flags and then notes to
// stdout,
// and returns [flag.ErrHelp]. Its other errors are marked with [Usage]. A flag with an empty value is an error: usually
// it comes from an unset variable of a shell, and must not mean the same as no flag.
func Parse(flags *flag.FlagSet, args []string, stdout io.Writer, notes string) error {
	flags.Usage = func() {}
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(stdout)
		fmt.Fprintf(stdout, "usage: %s [flags]\n", flags.Name())
		printFlags(flags, stdout)
		fmt.Fprint(stdout, notes)
		return err
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q: this program takes flags only", flags.Arg(0))
	}
	flags.Visit(func(f *flag.Flag) {
		g, ok := f.Value.(flag.Getter)
		if !ok || err != nil {
			return
		}
		if text, ok := g.Get().(string); ok && strings.TrimSpace(text) == "" {
			err = fmt.Errorf("-%s is empty: give a value or leave out the flag", f.Name)
		}
	})
	return Usage(err)
}

// printFlags is [flag.FlagSet.PrintDefaults] with lines of at most 80 characters.
func printFlags(flags *flag.FlagSet, out io.Writer) {
	flags.VisitAll(func(f *flag.Flag) {
		kind, usage := flag.UnquoteUsage(f)
		if f.DefValue != "" && f.DefValue != "0" && f.DefValue != "0s" && f.DefValue != "false" {
			usage += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		fmt.Fprintln(out, strings.TrimRight("  -"+f.Name+" "+kind, " "))
		for _, line := range page.Wrap(usage, 80-8) {
			fmt.Fprintln(out, "        "+line)
		}
	})
}

// Status returns the exit status for err, and prints err to stderr if it is a failure.
func Status(program string, err error, stderr io.Writer) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return ExitDone
	}
	fmt.Fprintf(stderr, "%s: %s\n", program, text.Lines(err.Error()))
	if _, wrongUsage := errors.AsType[usageError](err); wrongUsage {
		fmt.Fprintln(stderr, "Run with -help to see the flags.")
		return ExitUsage
	}
	return ExitError
}
