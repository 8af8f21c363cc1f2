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
// stdout, and returns [flag.ErrHelp]. Its other errors are marked with [Usage]. A flag with an empty value is an error:
// usually it comes from an unset variable of a shell, and must not mean the same as no flag.
func Parse(flags *flag.FlagSet, args []string, stdout io.Writer, notes string) error {
	operands, err := ParseCommand(flags, args, stdout, "", notes)
	if err == nil && len(operands) > 0 {
		err = Usage(fmt.Errorf("unexpected argument %q: this program takes flags only", operands[0]))
	}
	return err
}

// ParseCommand is Parse for a program that also takes a command. It returns the arguments that are not flags, which may
// stand before, between and behind the flags. usage describes them in -help.
func ParseCommand(flags *flag.FlagSet, args []string, stdout io.Writer, usage, notes string) ([]string, error) {
	flags.Usage = func() {}
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	var operands []string
	for err == nil && flags.NArg() > 0 {
		operands = append(operands, flags.Arg(0))
		err = flags.Parse(flags.Args()[1:])
	}
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(stdout)
		fmt.Fprintf(stdout, "usage: %s [flags]%s\n", flags.Name(), usage)
		printFlags(flags, stdout)
		fmt.Fprint(stdout, notes)
		return nil, err
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
	return operands, Usage(err)
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
