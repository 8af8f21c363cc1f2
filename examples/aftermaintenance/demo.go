package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// demo works on two test systems in this process. It keeps nothing but the report.
func (p *program) demo(ctx context.Context, cmd *cli.Command) (err error) {
	if err := p.setUp(); err != nil {
		return err
	}
	if err := checkDemo(&p.options, cmd); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "aftermaintenance-demo-")
	if err != nil {
		return err
	}
	p.options.state = filepath.Join(dir, "state")
	defer func() { err = errors.Join(err, os.RemoveAll(p.options.state)) }()
	world, err := p.startSandbox(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	s, err := p.demoSite(ctx, world, dir)
	if err != nil {
		return err
	}
	return s.playDemo(ctx, world, dir)
}

// checkDemo rejects flags that have no effect on the demo.
func checkDemo(o *options, cmd *cli.Command) error {
	if o.state != "" {
		return usagef("-state %s is for a command: give list, plan, apply, run, report, status or another one", o.state)
	}
	for _, name := range []string{"config", "commerce", "connect", "windows", "plain-http"} {
		if cmd.IsSet(name) {
			return usagef("-%s is for a command on your systems, which also needs -state DIR; this would be the demo", name)
		}
	}
	if o.count < 1 || o.count > 100_000 {
		return usagef("-orders %d: give a number from 1 to 100000", o.count)
	}
	return nil
}

// startSandbox starts the test systems and simulates their history.
func (p *program) startSandbox(ctx context.Context) (*sandbox.World, error) {
	o := &p.options
	world, err := sandbox.New(ctx, "127.0.0.1:0", o.seed, nil)
	if err != nil {
		return nil, err
	}
	out := p.out()
	out.Paragraph("", fmt.Sprintf("Simulating three days with %s on two test systems (seed %d) …", number(o.count,
		"order"),
		o.seed))
	if err := world.Play(ctx, o.count); err != nil {
		return nil, errors.Join(err, world.Close())
	}
	if err := world.Live(); err != nil {
		return nil, errors.Join(err, world.Close())
	}
	out.Paragraph("", fmt.Sprintf("Connect was down for %s. It is up again.", world.Window))
	return world, nil
}

// demoSite returns the site of the test systems, which answer at once.
func (p *program) demoSite(ctx context.Context, world *sandbox.World, dir string) (*site, error) {
	o := &p.options
	calendar, err := maintenance.NewCalendar([]maintenance.Window{world.Window})
	if err != nil {
		return nil, err
	}
	windows := &windowSources{warn: func(error) {}}
	windows.now.Store(calendar)
	cfg := &config{dir: dir, Policy: policyConfig{SettleDelay: duration(4 * time.Second)}, Run: runConfig{
		Rate: -1, Concurrency: 8, VerifyAfter: duration(150 * time.Millisecond), VerifyEvery: duration(time.Second),
		VerifyTimeout: duration(time.Minute),
	}, Limits: limitsConfig{MaxOrders: new(-1), Verdicts: failure.Verdicts()}}
	cfg.Commerce.Via, cfg.Connect.URL = viaOrderManager, world.ConnectURL
	if o.via != "" {
		cfg.Commerce.Via = o.via
	}
	s := p.newSite(cfg)
	s.windows, s.temporary = windows, true
	if err := s.openDemoClients(world, dir); err != nil {
		return nil, err
	}
	if err := s.checkConnect(ctx, time.Time{}); err != nil {
		return nil, err
	}
	if o.faults {
		if err := world.AddFaults(); err != nil {
			return nil, err
		}
	}
	sc, err := s.stateConfig()
	if err != nil {
		return nil, err
	}
	sc.Anchor = state.FileAnchor(filepath.Join(o.state, "anchor.json")) // nothing of the demo is the user's
	if err := os.MkdirAll(o.state, 0o700); err != nil {
		return nil, err
	}
	s.dir, err = state.Open(ctx, o.state, sc)
	return s, err
}

// openDemoClients opens the clients of the test systems.
func (s *site) openDemoClients(world *sandbox.World, dir string) (err error) {
	urls := commercetest.URLsAt(world.CommerceURL)
	a := &commerceAPI{commerceConfig: s.cfg.Commerce, logger: s.logger()}
	switch a.Via {
	case viaOrderManager:
		a.URL, a.token = urls.OrderManager, world.CommerceToken
	case viaBilling:
		a.URL = urls.Billing
	case viaSimpleAPI:
		a.URL, a.key = urls.SimpleAPI, commercetest.DefaultSimpleKey
		a.user, a.password = commercetest.DefaultSimpleUser, commercetest.DefaultSimplePassword
	default:
		return usageError{a.checkVia()}
	}
	if a.Via != viaOrderManager && s.options.ids == "" {
		s.options.ids = filepath.Join(dir, "failed-orders.csv")
		n, err := world.Export(s.options.ids)
		if err != nil {
			return err
		}
		defer func() { _ = os.Remove(s.options.ids) }() // it was read
		s.out().Paragraph("", fmt.Sprintf("-ids is an export from the panel: the %s that failed because Connect did not "+
			"answer.",
			number(n, "order")))
	}
	if s.selection, err = s.program.selection(s.cfg, s.windows.calendar(), nil); err != nil {
		return err
	}
	if s.commerce, err = a.open(s.selection.refs); err != nil {
		return err
	}
	s.commerce = namedClient{s.commerce, fmt.Sprintf("test systems with %s, seed %d, by %s", number(s.options.count,
		"order"),
		s.options.seed, a.Via)}
	if err := s.openConnect(world.ConnectKey); err != nil {
		return err
	}
	s.systems = resubmit.SystemsOf(s.commerce, s.commerce)
	s.systems.Requests, s.systems.Prober = s.connect, s.connect
	return nil
}

// namedClient is a client for the test systems, whose name in plans and journals has no address: that differs from run
// to run.
type namedClient struct {
	commerceClient
	name string
}

// System returns the name.
func (c namedClient) System() string { return c.name }

// BaseURL returns the name too.
func (c namedClient) BaseURL() string { return c.name }

// demoDocument is what -json prints.
type demoDocument struct {
	Plan       any                    `json:"plan"`
	Result     resubmit.OutcomeCounts `json:"result"`
	Violations []string               `json:"violations"`
	Report     string                 `json:"report"`
}

// playDemo plans and applies, and shows both.
func (s *site) playDemo(ctx context.Context, world *sandbox.World, dir string) error {
	o := state.OnceOptions{}
	var planned error
	shown := false
	stop := s.follow(ctx, &o)
	applying := o.Applying
	o.Applying = func(run *state.Run) {
		planned, shown = s.showDemoPlan(world, run), true
		if applying != nil {
			applying(run)
		}
	}
	result, err := s.dir.Once(ctx, o)
	stop()
	docs, failed := s.documents(result)
	if failed = errors.Join(planned, failed); failed != nil || len(docs) == 0 {
		return errors.Join(err, failed)
	}
	run, d := result.Runs[len(result.Runs)-1], docs[len(docs)-1]
	if !shown {
		if err := s.showDemoPlan(world, run); err != nil {
			return err
		}
	}
	return s.endDemo(ctx, world, dir, run, d, err)
}

// showDemoPlan shows the plan of the demo.
func (s *site) showDemoPlan(world *sandbox.World, run *state.Run) error {
	p, err := s.dir.OpenPlan(run)
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }() // only read
	if s.observer != nil {
		d, err := s.document(p)
		if err != nil {
			return err
		}
		s.observer.planned(world, d)
	}
	out := s.out()
	fmt.Fprintln(out.Out)
	if err := s.showPlan(out, p); err != nil {
		return err
	}
	s.showLimits(out)
	fmt.Fprintln(out.Out)
	return nil
}

// endDemo shows the result, and keeps the report.
func (s *site) endDemo(ctx context.Context, world *sandbox.World, dir string, run *state.Run, d *report.Document,
	err error) error {
	path := filepath.Join(dir, "report.html")
	if run.Report != nil {
		if s.observer != nil {
			s.observer.applied(world, run.Report)
		}
		s.left = needsPerson(run.Counts) || run.Result.Completed < run.Result.Total()
		if err = s.showResult(ctx, run, d, err); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // a directory of this process
	if err != nil {
		return err
	}
	if err := errors.Join(d.WriteHTML(f), f.Close()); err != nil {
		return err
	}
	violations := append([]string{}, world.Violations()...)
	for _, v := range violations {
		fmt.Fprintln(s.out().Out, "VIOLATION", v)
	}
	if s.options.format == formatJSON {
		doc := demoDocument{Plan: d.Planned, Result: d.Outcomes, Violations: violations, Report: path}
		if err := json.NewEncoder(s.Stdout).Encode(doc); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(s.out().Out, "\nReport: %s\n", path)
	}
	s.next = "aftermaintenance -help   # for your systems: -state DIR, then list, plan, apply"
	if len(violations) > 0 {
		return fmt.Errorf("the test systems detected %s", number(len(violations), "violation"))
	}
	return nil
}

// observer sees what the demo does.
type observer struct {
	planned func(*sandbox.World, *report.Document)
	applied func(*sandbox.World, *resubmit.Report)
}
