package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/examples/internal/page"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// systems are the clients of the two systems, and the test systems if there are any.
type systems struct {
	commerce commerceClient
	connect  *connect.Client
	calendar *maintenance.Calendar
	world    *sandbox.World // nil for real systems
	name     string         // of world, whose addresses change from run to run
	sort     bool           // the orders of a list in memory
	closers  []func() error
}

// probing limits how long Connect may take to answer at the start.
const probing = 5 * time.Second

func open(ctx context.Context, s *settings, out io.Writer) (*systems, error) {
	sys := &systems{}
	if err := sys.open(ctx, s, out); err != nil {
		return nil, errors.Join(err, sys.close())
	}
	return sys, nil
}

func (sys *systems) open(ctx context.Context, s *settings, out io.Writer) (err error) {
	if s.sandbox {
		err = sys.startSandbox(ctx, s, out)
	} else {
		sys.calendar, err = maintenance.LoadCalendarFile(s.windows)
		err = flagged("-windows", err)
	}
	if err != nil {
		return err
	}
	s.causes = failure.NewAttributor(failure.AttributorConfig{
		Calendar: sys.calendar, Margins: failure.Margins{Now: time.Now().UTC()},
	})
	sys.sort = s.sort
	if err := s.selectOrders(); err != nil {
		return err
	}
	if sys.commerce, err = s.api.open(s.selected); err != nil {
		return flagged("-commerce and its credentials", err)
	}
	if sys.name != "" {
		sys.commerce = namedClient{sys.commerce, sys.name}
	}
	if s.state.path == "" && (s.plans() || s.applies()) {
		if err := s.records.open(s, sys.clients(), out, sys.onClose); err != nil {
			return err
		}
	}
	sys.connect, err = connect.New(s.connect, connect.APIKey(s.connectKey),
		allowing(s.api.plainHTTP, connect.WithPlainHTTP)...)
	if err != nil {
		return flagged("-connect and CONNECT_API_KEY", err)
	}
	// Before the key is sent. A single probe would not survive one lost packet.
	_, err = availability.WaitUntilUp(ctx, sys.connect,
		availability.WaitConfig{Threshold: 1, MaintenanceTimeout: probing, OtherTimeout: probing})
	if err != nil {
		return fmt.Errorf("connect is not up, or -connect is wrong: %w", err)
	}
	if s.faults && sys.world != nil {
		defer func() { err = errors.Join(err, sys.world.AddFaults()) }()
	}
	if err := sys.connect.CheckAccess(ctx); err != nil {
		return flagged("-connect and CONNECT_API_KEY", err)
	}
	return s.timing.pause(ctx)
}

// flagged adds the flags that an error is about.
func flagged(flags string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", flags, err)
}

// startSandbox starts the test systems, simulates their history, and points the settings at them.
func (sys *systems) startSandbox(ctx context.Context, s *settings, out io.Writer) error {
	world, err := sandbox.New(ctx, "127.0.0.1:0", s.seed, nil)
	if err != nil {
		return err
	}
	sys.world = world
	sys.name = fmt.Sprintf("test systems with %d orders, seed %d, by %s", s.orders, s.seed, s.api.via)
	sys.onClose(world.Close)
	fmt.Fprintf(out, "Simulating three days with %d orders on two test systems (seed %d) …\n", s.orders, s.seed)
	if err := world.Play(ctx, s.orders); err != nil {
		return err
	}
	if err := world.Live(); err != nil {
		return err
	}
	page.Paragraph(out, "", fmt.Sprintf("Connect was down for %s. It is up again.", world.Window))
	if sys.calendar, err = maintenance.NewCalendar([]maintenance.Window{world.Window}); err != nil {
		return err
	}
	s.api.useSandbox(world)
	s.connect, s.connectKey = world.ConnectURL, world.ConnectKey
	if s.api.via != viaOrderManager && s.ids == "" {
		return sys.export(s, out)
	}
	return nil
}

// export writes the file of -ids for an API that does not report why orders failed: the orders that failed because
// Connect did not answer, as an operator would export them from the panel.
func (sys *systems) export(s *settings, out io.Writer) error {
	dir, err := os.MkdirTemp("", "aftermaintenance")
	if err != nil {
		return err
	}
	sys.onClose(func() error { return os.RemoveAll(dir) })
	s.ids = filepath.Join(dir, "failed-orders.csv")
	n, err := sys.world.Export(s.ids)
	if err != nil {
		return err
	}
	page.Paragraph(out, "",
		fmt.Sprintf("-ids is an export from the panel: the %d orders that failed because Connect did not answer.", n))
	return nil
}

// namedClient is a client for the test systems, whose name in plans and journals contains no address.
type namedClient struct {
	commerceClient
	name string
}

// System returns the name, since the address differs from run to run.
func (s namedClient) System() string { return s.name }

// BaseURL returns the name too.
func (s namedClient) BaseURL() string { return s.name }

// clients returns the systems for the planner and the runner.
func (sys *systems) clients() resubmit.Systems {
	clients := resubmit.SystemsOf(sys.commerce, sys.commerce)
	clients.Requests, clients.Prober = sys.connect, sys.connect
	if sys.sort {
		clients.Lister = resubmit.Sorted(clients.Lister)
	}
	return clients
}

// violations returns what the test systems detected that must never happen.
func (sys *systems) violations() []string {
	if sys.world == nil {
		return nil
	}
	return sys.world.Violations()
}

func (sys *systems) onClose(f func() error) { sys.closers = append(sys.closers, f) }

func (sys *systems) close() error {
	var err error
	for _, f := range slices.Backward(sys.closers) {
		err = errors.Join(err, f())
	}
	sys.closers = nil
	return err
}
