package cli_test

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/examples/internal/cli"
)

func TestStatus(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args                   []string
		status                 int
		stdout, stderr, failed string
	}{
		"no flags": {nil, cli.ExitDone, "", "", ""},
		"a flag":   {[]string{"-plan", "p"}, cli.ExitDone, "", "", ""},
		"-help": {[]string{"-help"}, cli.ExitDone, "usage: prog [flags]\n  -plan file\n        the file\nNotes.\n",
			"", ""},
		"-h": {[]string{"-h"}, cli.ExitDone, "Notes.", "", ""},
		"an unknown flag": {[]string{"-paln", "p"}, cli.ExitUsage, "",
			"prog: flag provided but not defined: -paln\nRun with -help to see the flags.\n", ""},
		"an argument":    {[]string{"p"}, cli.ExitUsage, "", `unexpected argument "p"`, ""},
		"an empty value": {[]string{"-plan", ""}, cli.ExitUsage, "", "-plan is empty", ""},
		"a blank value":  {[]string{"-plan", " \t"}, cli.ExitUsage, "", "-plan is empty", ""},
		"a failure":      {nil, cli.ExitError, "", "prog: the disk is full\n", "the disk is full"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr strings.Builder
			flags := flag.NewFlagSet("prog", flag.ContinueOnError)
			flags.String("plan", "", "the `file`")
			err := cli.Parse(flags, c.args, &stdout, "Notes.\n")
			if c.failed != "" {
				require.NoError(t, err)
				err = errors.New(c.failed)
			}
			require.Equal(t, c.status, cli.Status("prog", err, &stderr))
			require.Contains(t, stdout.String(), c.stdout)
			require.Contains(t, stderr.String(), c.stderr)
			require.Equal(t, c.stdout == "", stdout.String() == "")
			require.Equal(t, c.stderr == "", stderr.String() == "")
		})
	}
	require.NoError(t, cli.Usage(nil))
	require.Equal(t, cli.ExitUsage,
		cli.Status("prog", fmt.Errorf("wrapped: %w", cli.Usage(errors.New("wrong"))), &strings.Builder{}))
}

func TestStatusShowsNoControlCharacters(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	cli.Status("program", errors.New("first\x1b[2J\u009b\u202e\nsecond"), &out)
	require.Equal(t, "program: first\ufffd[2J\ufffd\ufffd\nsecond\n", out.String())
}
