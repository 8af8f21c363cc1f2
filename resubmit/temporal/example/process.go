package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"log/slog"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
	"github.com/cloudblue-go/cloudblue/resubmit/temporal"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// programVariable has the settings of a worker, which is this program again.
const programVariable = "RESUBMIT_TEMPORAL_WORKER"

// runWorker is the main function of a worker.
func runWorker(from string) int {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the program that started this one has ended
		os.Exit(1)
	}()
	var s settings
	err := json.Unmarshal([]byte(from), &s)
	if err == nil {
		err = s.work(context.Background())
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func (s *settings) work(ctx context.Context) error {
	c, err := dial(ctx, s.Temporal)
	if err != nil {
		return err
	}
	defer c.Close()
	journal, closeJournal, err := s.journal(ctx)
	if err != nil {
		return err
	}
	defer closeJournal()
	systems, err := s.systems(journal)
	if err != nil {
		return err
	}
	calendar, err := s.calendar()
	if err != nil {
		return err
	}
	o := temporal.Options{Plans: temporal.Dir(s.Dir), Runner: s.runner(calendar)}
	if s.Watch {
		o.Plans, o.Runner.Calendar, o.Watch = journal.Plans(), nil, s.watch()
	}
	w, err := temporal.NewWorkers(c, systems, journal, o)
	if err != nil {
		return err
	}
	return w.Run(ctx)
}

// runner returns the configuration of the Runner, with and without Temporal.
func (s *settings) runner(calendar *maintenance.Calendar) resubmit.Config {
	return resubmit.Config{
		Policy: policy(), RateLimit: s.Rate, MinRateFraction: -1, Concurrency: 4, Logger: slog.Default(),
		Calendar: func() *maintenance.Calendar { return calendar },
		Verify:   resubmit.VerifyConfig{InitialInterval: settle/4 + time.Second},
		Canary:   resubmit.CanaryConfig{Steps: s.Canary},
	}
}

// watch is the configuration of workers that watch. Few orders are resubmitted without an approval.
func (s *settings) watch() *watch.Config {
	requests, _ := connect.New(s.Connect, connect.APIKey(connecttest.DefaultKey)) // has worked before
	return &watch.Config{
		State: state.Config{
			Plan: resubmit.PlanConfig{Filter: filter.Everything(), RateLimit: -1}, Limits: state.Limits{MaxOrders: 5},
		},
		Windows: maintenance.NewFileSource(s.windowsFile()), Refresh: 2 * time.Second, Logger: slog.Default(),
		Ready: func(ctx context.Context, since time.Time) availability.Readiness {
			return availability.CheckReadiness(ctx, requests, availability.ReadinessConfig{Since: since})
		},
	}
}

// process is a program that is killed when this one ends.
type process struct {
	cmd   *exec.Cmd
	stdin io.Closer
	once  sync.Once
}

// startProcess starts a worker.
func startProcess(ctx context.Context, s settings) (*process, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.CommandContext(ctx, self) //nolint:gosec // it is this program
	c.Env = append(os.Environ(), programVariable+"="+string(b))
	return begin(c)
}

func begin(c *exec.Cmd) (*process, error) {
	stdin, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	if c.Stderr == nil && os.Getenv("RESUBMIT_TEMPORAL_LOG") != "" {
		c.Stderr = os.Stderr
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	return &process{cmd: c, stdin: stdin}, nil
}

// kill kills the process, and waits for its end.
func (p *process) kill() {
	p.once.Do(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		_ = p.cmd.Wait()         // it was killed
	})
}

// server is a Temporal server in a process of its own.
type server struct {
	program, file string
	port          int
	process       *process
}

func (s *server) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// start starts the server, again with the same file after a kill.
func (s *server) start(ctx context.Context) (err error) {
	if s.port == 0 {
		if s.port, err = freePort(ctx); err != nil {
			return err
		}
	}
	port := strconv.Itoa(s.port)
	c := exec.CommandContext(ctx, s.program, "-db", s.file, "-port", port) //nolint:gosec // a flag names it
	c.Stderr = os.Stderr
	s.process, err = begin(c)
	return err
}

// dial waits until the server answers.
func (s *server) dial(ctx context.Context) (client.Client, error) { return dial(ctx, s.address()) }

func dial(ctx context.Context, address string) (c client.Client, err error) {
	for range 240 { // two minutes
		c, err = client.DialContext(ctx, client.Options{
			HostPort: address, Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler)),
		})
		if err == nil || rest(ctx, 500*time.Millisecond) != nil {
			return c, err
		}
	}
	return nil, err
}
