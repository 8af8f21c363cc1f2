// Command example applies one plan with three processes that share a journal in a database. One of them is killed, and
// the others complete its orders. Both systems are in process; nothing else is called.
//
//	go run ./example
//	go run ./example -postgres 'host=db.example.net user=billing dbname=billing'
//
// The journal is a SQLite file in a temporary directory, or in tables of PostgreSQL that begin with "example_".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

const (
	processes = 3
	orders    = 45
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "example:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	var s settings
	postgres := flag.String("postgres", "", "the connection string of PostgreSQL; empty: a SQLite file")
	process := flag.Int("process", 0, "for the processes that the program starts: the number of this one")
	flag.StringVar(&s.commerce, "commerce", "", "for these processes: the URL of Commerce")
	flag.StringVar(&s.connect, "connect", "", "for these processes: the URL of Connect")
	flag.StringVar(&s.dir, "dir", "", "for these processes: the directory of the plan and of the SQLite file")
	flag.Parse()
	s.postgres = *postgres
	if *process > 0 {
		return work(ctx, &s, *process, out)
	}
	return lead(ctx, &s, out)
}

// lead starts both systems, makes a plan, has it applied by processes, and checks the result.
func lead(ctx context.Context, s *settings, out io.Writer) (err error) {
	if s.dir, err = os.MkdirTemp("", "sqljournal-example"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	systems, err := startSystems(ctx, s)
	if err != nil {
		return err
	}
	defer systems.stop()
	fmt.Fprintf(out, "%d orders failed in a maintenance of Connect, which has ended.\n", orders)
	c, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.db.Close() }() // what was written is durable
	counts, err := resubmit.WritePlanFile(ctx, resubmit.PlanConfig{
		Systems: c.systems, Policy: c.policy, Journal: c.journal, Filter: filter.Everything(), RateLimit: rate,
		Calendar: c.calendar,
	}, s.planPath())
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "The plan: %s.\n", counts)
	if err := applyBySeveral(ctx, s, systems, out); err != nil {
		return err
	}
	p, err := plan.Open(s.planPath())
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }() // only read
	report, err := resubmit.RecordedReport(ctx, c.journal, p)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "All processes together, by the journal: %s.\n", report.Result)
	return systems.check(out)
}

// applyBySeveral applies the plan with several processes, and kills the first one.
func applyBySeveral(ctx context.Context, s *settings, systems *systems, out io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	errs := make([]error, processes)
	var all sync.WaitGroup
	for i := range processes {
		c := exec.CommandContext(ctx, self, //nolint:gosec // it is this program
			"-process", strconv.Itoa(i+1), "-postgres", s.postgres, "-dir", s.dir,
			"-commerce", s.commerce, "-connect", s.connect)
		c.Stdout, c.Stderr = out, os.Stderr
		if err := c.Start(); err != nil {
			return err
		}
		killed := make(chan struct{})
		if i == 0 {
			all.Go(func() {
				defer close(killed)
				if systems.waitForPushes(ctx, orders/4) && c.Process.Kill() == nil {
					fmt.Fprintln(out, "Process 1 is killed.")
				}
			})
		}
		all.Go(func() {
			if errs[i] = c.Wait(); i == 0 {
				<-killed
				errs[i] = nil // it was killed
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// work applies the plan in one of the processes.
func work(ctx context.Context, s *settings, process int, out io.Writer) error {
	c, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.db.Close() }() // what was written is durable
	p, err := plan.Open(s.planPath())
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }() // only read
	pushed := 0
	r, err := resubmit.NewRunner(resubmit.Config{
		Systems: c.systems, Policy: c.policy, Journal: c.journal, RateLimit: rate,
		Verify: resubmit.VerifyConfig{InitialInterval: time.Second},
		OnEvent: func(e resubmit.Event) {
			if _, ok := e.(resubmit.PushAccepted); ok {
				pushed++
			}
		},
	})
	if err != nil {
		return err
	}
	began := time.Now()
	report, err := r.Apply(ctx, p)
	if err != nil {
		return fmt.Errorf("process %d: %w", process, err)
	}
	fmt.Fprintf(out, "Process %d pushed %d orders in %v. Its report: %s.\n",
		process, pushed, time.Since(began).Round(time.Second), report.Result)
	return nil
}

func (s *settings) planPath() string { return filepath.Join(s.dir, "plan.jsonl") }
