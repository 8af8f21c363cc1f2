// Command aftermaintenance resubmits the orders that failed during a maintenance of Connect. It shows why each order
// failed and what to do about it, resubmits those that this can help, and verifies the result in both systems.
//
// Without arguments it shows all of this on two test systems in its own process. With -state DIR it works on real
// systems, in steps: list, plan, apply, report. See -help.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // windows have time zones, and some machines have no data for them

	"github.com/urfave/cli/v3"
)

// commands are what the program can do, in the order of its help.
func commands(p *program) []*cli.Command {
	return []*cli.Command{
		listCommand(p), planCommand(p), showCommand(p), applyCommand(p), runCommand(p), reportCommand(p),
		consoleCommand(p), statusCommand(p), pauseCommand(p), resumeCommand(p), rateCommand(p), drainCommand(p),
		cancelCommand(p),
		signCommand(p), revokeCommand(p), resolveCommand(p), recoverCommand(p), auditCommand(p), journalCommand(p),
		doctorCommand(p),
	}
}

func main() {
	// A reader such as head may end first. That must not stop a run.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := withSignals(context.Background())
	p := &program{stdin: os.Stdin, stdout: output{os.Stdout}, stderr: newScreen(os.Stderr), getenv: os.Getenv}
	status := p.run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}
