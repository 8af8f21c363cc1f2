package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/cloudblue-go/cloudblue/examples/aftermaintenance/internal/terminal"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// The exit statuses.
const (
	exitDone    = 0 // all that was to be done is verified, or there is nothing to do
	exitError   = 1
	exitUsage   = 2 // a wrong call: nothing was done
	exitLeft    = 3 // like exitDone, but something needs a person; only with -detailed-exitcode
	exitWait    = 4 // too early, paused, or needs an approval
	exitStopped = 5 // stopped before the end
	exitWork    = 6 // plan: there are orders to resubmit; only with -detailed-exitcode
	exitSignal  = 128
)

const statusesHelp = `Exit status:
  0  all that was to be done is verified, or there is nothing to do
  1  error
  2  wrong call; nothing was done
  3  like 0, but something needs a person; only with -detailed-exitcode
  4  too early, paused, or needs an approval
  5  stopped before the end: by the canary, the circuit breaker or a person
  6  plan: there are orders to resubmit; only with -detailed-exitcode
  130, 143  interrupted; the next command continues
`

// usageError is a mistake in the call.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usagef returns a usage error.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// stoppedError means that something was stopped before its end.
type stoppedError struct{ error }

func (e stoppedError) Unwrap() error { return e.error }

// waitError means that something cannot begin yet.
type waitError struct{ error }

func (e waitError) Unwrap() error { return e.error }

// signalError is the cause of a context that a signal ended.
type signalError struct{ syscall.Signal }

func (e signalError) Error() string { return e.String() + " signal received" }

// withSignals returns a context that ends with SIGINT or SIGTERM. A second signal ends the process.
func withSignals(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		if s, ok := (<-signals).(syscall.Signal); ok {
			signal.Stop(signals)
			cancel(signalError{s})
		}
	}()
	return ctx, func() { cancel(nil) }
}

// statusOf returns the exit status of an error.
func statusOf(ctx context.Context, err error) int {
	if cause, ok := errors.AsType[signalError](context.Cause(ctx)); ok && interrupted(ctx, err) {
		return exitSignal + int(cause.Signal)
	}
	switch {
	case err == nil:
		return exitDone
	case is[usageError](err):
		return exitUsage
	case is[stoppedError](err), errors.Is(err, resubmit.ErrDrained), errors.Is(err, resubmit.ErrCancelled),
		errors.Is(err, resubmit.ErrCircuitOpen):
		return exitStopped
	case is[waitError](err), is[*resubmit.TooEarlyError](err), errors.Is(err, state.ErrPaused),
		errors.Is(err, state.ErrApprovalRequired):
		return exitWait
	default:
		return exitError
	}
}

// interrupted reports whether an error is that a signal has ended the context.
func interrupted(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, context.Canceled) || is[signalError](err))
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// exitStatus is statusOf, with -detailed-exitcode.
func (p *program) exitStatus(ctx context.Context, err error) int {
	switch {
	case err == nil && p.options.detailed && p.work:
		return exitWork
	case err == nil && p.options.detailed && p.left:
		return exitLeft
	default:
		return statusOf(ctx, err)
	}
}

// printError prints an error.
func (p *program) printError(err error) {
	p.Stderr.Clear()
	fmt.Fprintln(p.Stderr, p.Paint(p.Stderr.Out, terminal.Red, "aftermaintenance:")+" "+text.Lines(err.Error()))
}

// warn prints a warning.
func (p *program) warn(err error) { fmt.Fprintf(p.Stderr, "aftermaintenance: warning: %v\n", err) }

// finish prints what ended the program and the next command, and returns the exit status.
func (p *program) finish(ctx context.Context, err error) int {
	status := p.exitStatus(ctx, err)
	p.Stderr.Clear()
	switch {
	case err == nil, p.said:
	case status >= exitSignal:
		fmt.Fprintln(p.Stderr, "Interrupted before anything was sent: "+context.Cause(ctx).Error()+".")
	default:
		p.printError(err)
	}
	if p.next != "" && !p.options.quiet {
		fmt.Fprintln(p.Stderr, p.Paint(p.Stderr.Out, terminal.Bold, "Next:")+" "+text.Clean(p.next))
	}
	return status
}
