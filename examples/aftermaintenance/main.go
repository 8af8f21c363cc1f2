// Command aftermaintenance resubmits the orders that failed during a maintenance of Connect. It shows why each order
// failed and what to do about it, resubmits those that this can help, and verifies the result in both systems.
//
// Without flags it works on two test systems in its own process. With -commerce, -connect and -windows it works on real
// systems; credentials come from the environment (see -help), and nothing is changed unless -apply is given.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // windows have time zones, and some machines have no data for them

	"github.com/cloudblue-go/cloudblue/examples/internal/cli"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// The exit statuses.
const (
	exitDone  = cli.ExitDone  // everything that the program should do is done
	exitError = cli.ExitError // something is not done, or the run ended early
	exitUsage = cli.ExitUsage
	exitLeft  = 3 // done, and something is left for a person; only with -detailed-exitcode
	// exitApproval means that the plan needs an approval; only with -state.
	exitApproval = 4
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the program; its environment is passed as arguments.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout,
	stderr io.Writer) int {
	stdout, stderr = flagWriter{stdout}, flagWriter{stderr}
	s, err := parseFlags(args, getenv, stdout)
	var left bool
	if err == nil {
		s.stdin = stdin
		left, err = s.job()(ctx, s, stdout, stderr)
	}
	if err == nil && left && s.detailed {
		return exitLeft
	}
	status := cli.Status("aftermaintenance", err, stderr)
	if errors.Is(err, state.ErrApprovalRequired) {
		return exitApproval
	}
	return status
}

// job returns what the flags ask for. It reports whether anything is left for a person.
func (s *settings) job() func(context.Context, *settings, io.Writer, io.Writer) (bool, error) {
	switch {
	case s.state.command != nil:
		return command
	case s.state.path != "":
		return nightly
	default:
		return job
	}
}
