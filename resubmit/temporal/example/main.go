// Command example resubmits the failed orders of a simulated Commerce in Temporal workflows: it starts a Temporal
// server and two workers as processes, starts a plan, kills one of the workers, and prints the report.
//
//	cd resubmit/temporal/testserver && go build -o /somewhere/testserver .
//	cd resubmit/temporal/example && go run . -server /somewhere/testserver
//
// The first build of the server takes about eleven minutes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/temporal"
)

func main() {
	if settings := os.Getenv(programVariable); settings != "" {
		os.Exit(runWorker(settings))
	}
	server := flag.String("server", "", "the `PROGRAM` of resubmit/temporal/testserver")
	count := flag.Int("orders", 40, "how many orders have failed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *server, *count); err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, program string, count int) (err error) {
	if program == "" {
		return errors.New("give -server PROGRAM; see the comment of this program")
	}
	dir, err := os.MkdirTemp("", "resubmit-temporal-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // only the system's temporary directory
	w, err := newWorld(ctx, dir, count, 1)
	if err != nil {
		return err
	}
	defer w.close()
	s := &server{program: program, file: filepath.Join(dir, "temporal.db")}
	if err := s.start(ctx); err != nil {
		return err
	}
	defer s.process.kill()
	w.settings.Temporal = s.address()
	first, err1 := startProcess(ctx, w.settings)
	second, err2 := startProcess(ctx, w.settings)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	defer first.kill()
	defer second.kill()

	c, err := s.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	journal, closeJournal, err := w.settings.journal(ctx)
	if err != nil {
		return err
	}
	defer closeJournal()
	p, err := w.plan(ctx, journal)
	if err != nil {
		return err
	}
	defer p.Close() //nolint:errcheck // it is only read
	if err := temporal.Start(ctx, c, p, temporal.StartOptions{}); err != nil {
		return err
	}
	for status := (temporal.Status{}); status.Outcomes[protocol.Completed] < count/4; {
		if err := rest(ctx, time.Second); err != nil {
			return err
		}
		if status, err = temporal.GetStatus(ctx, c, p.Digest()); err == nil {
			fmt.Println(status.State, status.Outcomes)
		}
	}
	first.kill()
	fmt.Println("one worker was killed")
	if _, err := temporal.Wait(ctx, c, p.Digest()); err != nil {
		return err
	}
	report, err := temporal.Report(ctx, c, journal, p)
	if err != nil {
		return err
	}
	fmt.Println(report.Result.String())
	return w.check()
}

func rest(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
