// Package cli is the part of a command line that the example programs share: flags,
// -help, exit statuses.
package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Exit statuses.
const (
	ExitDone  = 0
	ExitError = 1
	ExitUsage = 2 // the call is wrong, and nothing was done
)

type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usage marks err as a mistake in the call, which ends the program with ExitUsage.
// It returns nil if err is nil.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// Parse parses the arguments of a program that takes flags only. For -help it prints
// the flags and then notes to stdout, and returns [flag.ErrHelp]. Its other errors are
// marked with [Usage]. A flag with an empty value is an error: it is usually an unset
// variable of a shell, and must not mean the same as no flag.
func Parse(flags *flag.FlagSet, args []string, stdout io.Writer, notes string) error {
	flags.Usage = func() {}
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(stdout)
		fmt.Fprintf(stdout, "usage: %s [flags]\n", flags.Name())
		flags.PrintDefaults()
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
			err = fmt.Errorf("-%s is empty: give a value, or leave the flag out", f.Name)
		}
	})
	return Usage(err)
}

// Status returns the exit status for err, and prints err to stderr if it is a failure.
func Status(program string, err error, stderr io.Writer) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return ExitDone
	}
	fmt.Fprintf(stderr, "%s: %s\n", program, text.Lines(err.Error()))
	if _, wrongCall := errors.AsType[usageError](err); wrongCall {
		fmt.Fprintln(stderr, "Run with -help to see the flags.")
		return ExitUsage
	}
	return ExitError
}
