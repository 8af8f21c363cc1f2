// Command aftermaintenance does the main job: after a maintenance of Connect it
// finds the orders that failed, says why each did and what to do about it,
// resubmits those that this can help, and proves in both systems that it did.
//
// Without flags it plays the whole story on two test systems in its own process.
// With -commerce, -connect and -windows it works on real systems; the secrets
// come from the environment (see -help), and nothing is changed unless -apply is
// given. The way into Commerce is -via ordermanager, billing or simpleapi.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // windows are told in zones, and not every machine knows them
)

// The exit statuses.
const (
	exitDone   = 0
	exitError  = 1
	exitUsage  = 2
	exitPerson = 3 // done, but something needs a person
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the program, with its surroundings as arguments.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	s, err := parseFlags(args, getenv, stderr)
	if err != nil {
		if !errors.Is(err, errHelp) {
			fmt.Fprintf(stderr, "aftermaintenance: %v\n", err)
			fmt.Fprintln(stderr, "Run with -help to see the flags.")
		}
		return usageStatus(err)
	}
	s.stdin = stdin
	status, err := job(ctx, s, stdout, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "aftermaintenance: %v\n", err)
		return exitError
	}
	return status
}

func usageStatus(err error) int {
	if errors.Is(err, errHelp) {
		return exitDone
	}
	return exitUsage
}
