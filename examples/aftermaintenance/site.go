package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/internal/wait"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

const programName = "aftermaintenance"

// site is what a command works on: the configuration, the state directory and, for commands that call the systems, the
// clients and the selected orders.
type site struct {
	*program
	cfg *config
	dir *state.Dir

	windows   *windowSources
	commerce  commerceClient
	connect   *connect.Client
	outages   *outageLog
	systems   resubmit.Systems
	selection selection
	notifier  *notifier // nil: none
	temporary bool      // the directory is removed at the end
}

// openDir opens the state directory for a command that calls no system.
func (p *program) openDir(ctx context.Context) (*site, error) {
	s, err := p.begin()
	if err != nil {
		return nil, err
	}
	if s.systems, err = s.installation(); err != nil {
		return nil, err
	}
	s.selection.filter = filter.Everything()
	return s, s.openState(ctx)
}

// openState opens the state directory.
func (s *site) openState(ctx context.Context) error {
	cfg, err := s.stateConfig()
	if err == nil {
		s.dir, err = state.Open(ctx, s.options.state, cfg)
	}
	return err
}

// begin checks the flags of every command and reads the configuration.
func (p *program) begin() (*site, error) {
	if err := p.setUp(); err != nil {
		return nil, err
	}
	if p.options.state == "" {
		return nil, usageError{errNoState}
	}
	cfg, err := p.loadConfig()
	return p.newSite(cfg), err
}

func (p *program) newSite(cfg *config) *site {
	s := &site{program: p, cfg: cfg}
	s.outages = s.newOutageLog()
	return s
}

// installation returns the names of the installation: those in the journal of the directory, or else those of
// -commerce.
// It has no clients that commands would call.
func (s *site) installation() (resubmit.Systems, error) {
	used, err := journal.Check(filepath.Join(s.options.state, "journal"))
	if err == nil && used.System != "" {
		return resubmit.Systems{
			Name: used.System, BaseURL: used.BaseURL, Capabilities: commerce.Capabilities{IDSpace: used.IDSpace},
		}, nil
	}
	if s.cfg.Commerce.URL != "" {
		return s.reading()
	}
	if err == nil {
		err = errors.New("the journal was not used yet")
	}
	return resubmit.Systems{}, fmt.Errorf("-state %s has no journal that names the system, so give -via and -commerce "+
		"too, or configure them: %w", s.options.state, err)
}

// openSystems opens the state directory for a command that calls the systems, and that selects orders or not.
func (p *program) openSystems(ctx context.Context, selects bool) (*site, error) {
	s, err := p.begin()
	if err != nil {
		return nil, err
	}
	if err := s.checkURL(); err != nil {
		return nil, err
	}
	if err := s.openClients(ctx, selects); err != nil {
		return nil, err
	}
	return s, s.openState(ctx)
}

// checkURL returns an error if the address of Commerce is not known.
func (s *site) checkURL() error {
	if s.cfg.Commerce.URL != "" {
		return nil
	}
	return usagef("the address of Commerce is not known: give -commerce URL, or commerce.url in %s",
		filepath.Join(s.options.state, "config.json"))
}

// connectKey returns the API key of Connect.
func (s *site) connectKey() (string, error) {
	key, err := s.secret(s.cfg, "CONNECT_API_KEY")
	if err == nil && key == "" {
		err = usagef("the environment variable CONNECT_API_KEY is empty: set it to the API key of Connect (SU-…:…)")
	}
	return key, err
}

// openReading is openDir with a client that reads orders, if its address and credentials are known.
func (p *program) openReading(ctx context.Context) (*site, error) {
	s, err := p.openDir(ctx)
	if err != nil || s.cfg.Commerce.URL == "" {
		return s, err
	}
	if s.systems, err = s.reading(); err != nil {
		return nil, err
	}
	return s, s.openState(ctx)
}

// reading returns the systems with a client that reads orders.
func (s *site) reading() (resubmit.Systems, error) {
	api, err := s.api(s.cfg)
	if err != nil {
		return resubmit.Systems{}, err
	}
	client, err := api.open(nil)
	if err != nil {
		return resubmit.Systems{}, flagged("-commerce and its credentials", err)
	}
	return resubmit.SystemsOf(client, client), nil
}

// openClients reads the windows and opens the clients. It calls no system.
func (s *site) openClients(ctx context.Context, selects bool) error {
	api, err := s.api(s.cfg)
	if err != nil {
		return err
	}
	key, err := s.connectKey()
	if err != nil {
		return err
	}
	if s.windows, err = s.openWindows(s.cfg); err != nil {
		return err
	}
	if err := s.windows.load(ctx); err != nil {
		return err
	}
	s.selection.filter = filter.Everything()
	if selects {
		if s.selection, err = s.selected(); err != nil {
			return err
		}
	}
	if s.commerce, err = api.open(s.selection.refs); err != nil {
		return flagged("-commerce and its credentials", err)
	}
	if err := s.openConnect(key); err != nil {
		return err
	}
	s.systems = resubmit.SystemsOf(s.commerce, s.commerce)
	s.systems.Requests, s.systems.Prober = s.connect, s.outages
	if s.cfg.SortLists {
		s.systems.Lister = resubmit.Sorted(s.systems.Lister)
	}
	return nil
}

// selected returns what the flags and the configuration select.
func (s *site) selected() (selection, error) {
	classifier, err := s.cfg.classifier()
	if err != nil {
		return selection{}, err
	}
	calendar := s.windows.calendar()
	return s.program.selection(s.cfg, calendar, s.cfg.attributor(calendar, classifier))
}

func (s *site) openConnect(key string, opts ...connect.Option) (err error) {
	c := s.cfg.Connect
	opts = append(opts, connect.WithLogger(s.logger()))
	if c.PlainHTTP {
		opts = append(opts, connect.WithPlainHTTP())
	}
	if c.TLS != (tlsConfig{}) {
		opts = append(opts, connect.WithTLSFiles(s.cfg.path(c.TLS.Certificate), s.cfg.path(c.TLS.Key),
			s.cfg.path(c.TLS.Authorities)))
	}
	s.connect, err = connect.New(c.URL, connect.APIKey(key), opts...)
	s.outages.prober = s.connect
	return flagged("-connect and CONNECT_API_KEY", err)
}

// flagged adds the flags that an error is about.
func flagged(flags string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", flags, err)
}

// probing limits how long Connect may take to answer at the start.
const probing = 5 * time.Second

// checkConnect returns an error if Connect is not up, or rejects the key. It waits until a deadline, or a few seconds.
func (s *site) checkConnect(ctx context.Context, deadline time.Time) error {
	longest := max(time.Until(deadline), probing)
	// Before the key is sent. A single probe would not survive one lost packet.
	_, err := availability.WaitUntilUp(ctx, s.outages, availability.WaitConfig{
		Threshold: 1, MaintenanceTimeout: longest, OtherTimeout: longest, MaxDelay: time.Minute,
		Progress: s.connectProgress(),
	})
	s.Stderr.Clear()
	if err != nil {
		return fmt.Errorf("connect is not up, or -connect is wrong: %w", err)
	}
	if err := s.connect.CheckAccess(ctx); err != nil {
		return flagged("-connect and CONNECT_API_KEY", err)
	}
	return s.pause(ctx)
}

// pause waits between calls that have rate limits of their own, so that together they keep the rate.
func (s *site) pause(ctx context.Context) error {
	const calls = 4 // one more than the first check of Connect makes
	rate := resubmit.Config{RateLimit: s.cfg.Run.Rate}.WithDefaults().RateLimit
	if rate < 0 {
		return nil
	}
	return wait.For(ctx, time.Duration(calls/rate*float64(time.Second)), nil)
}

// stateConfig returns the configuration of the state directory.
func (s *site) stateConfig() (state.Config, error) {
	classifier, err1 := s.cfg.classifier()
	own, err2 := s.cfg.rules()
	view, err3 := s.cfg.view()
	limits, err4 := s.cfg.limits()
	approvers, err5 := s.cfg.approvers()
	if err := cmp.Or(err1, err2, err3, err4, err5); err != nil {
		return state.Config{}, err
	}
	ids, numbers := names(s.selection.refs)
	c := state.Config{
		Systems: s.systems, Policy: s.cfg.policy(classifier), Runner: s.cfg.runner(), Limits: limits,
		Plan: resubmit.PlanConfig{
			IgnoreConnect: s.cfg.IgnoreConnect, View: view, Filter: s.selection.filter, Margins: s.cfg.margins(), Rules: own,
			Override: s.selection.numbers, OverrideIfFound: slices.Concat(ids, numbers), RateLimit: s.cfg.Run.Rate,
			Progress: s.planProgress(),
		},
		Approvers: approvers, Retention: time.Duration(s.cfg.Retention), Program: programName, Command: s.command(),
		Logger: s.logger(), Location: s.location, Observed: s.outages.windows,
	}
	if s.cfg.Require {
		c.Runner.Require = approvers
	}
	if s.windows != nil {
		c.Plan.Calendar, c.Calendar = s.windows.calendar(), s.windows.calendar
		s.selection.warn(s.program, view, s.cfg.Policy.Targets)
	}
	return c, nil
}
