// Command aftermaintenance resubmits the orders that failed during a maintenance of Connect. It shows why each order
// failed and what to do about it, resubmits those that this can help, and verifies the result in both systems.
//
// Without arguments it shows all of this on two test systems in its own process. With -state DIR it works on real
// systems, in steps: list, plan, apply, report. See -help.
//
// Each command is in the file with its name; pause, resume, rate, drain and cancel are in control.go, sign and revoke
// in approvals.go, and recover in journal.go. They share:
//
//   - program.go, options.go, help.go, exit.go: the call, its flags, its help and its exit status
//   - config.go, secrets.go, commerceapi.go, windows.go, outages.go: the installation
//   - site.go, selection.go: the state directory, the clients and the selected orders
//   - work.go, progress.go, result.go, notify.go, health.go: a run, what it shows and whom it notifies
//   - prompt.go, view.go, order.go: questions, tables, and the history of an order
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // windows have time zones, and some machines have no data for them

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/examples/aftermaintenance/internal/terminal"
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
	p := &program{Terminal: terminal.Terminal{
		Stdin: os.Stdin, Stdout: terminal.Output{File: os.Stdout}, Stderr: terminal.NewScreen(os.Stderr), Getenv: os.Getenv,
	}}
	status := p.run(ctx, os.Args[1:])
	stop()
	os.Exit(status)
}
