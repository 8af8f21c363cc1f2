package killtest

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce/commercetest"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// program are the settings of the program. As JSON in the environment they make a copy of the test binary the program.
type program struct {
	Dir               string
	Commerce, Connect string // URLs
	Window            maintenance.Window
	Quick             bool     // the delays are short
	Named             []string // orders that the operator names
}

const programVariable = "KILLTEST_PROGRAM"

// runProgram is the main function of the program.
func runProgram(settings string) int {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends
		os.Exit(1)
	}()
	var p program
	err := json.Unmarshal([]byte(settings), &p)
	if err == nil {
		err = p.run(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (p *program) run(ctx context.Context) error {
	d, cfg, err := p.open(ctx)
	if err != nil {
		return err
	}
	options := state.OnceOptions{}
	if len(p.Named) > 0 {
		cfg.Plan.OverrideIfFound = p.Named // they may be completed
		options.Plan = &cfg.Plan
	}
	_, err = d.Once(ctx, options)
	return err
}

// open opens the state directory, with the default settings unless the delays are short.
func (p *program) open(ctx context.Context) (*state.Dir, *state.Config, error) {
	orders, err1 := ordermanager.New(p.Commerce, ordermanager.Token(commercetest.DefaultToken))
	requests, err2 := connect.New(p.Connect, connect.APIKey(connecttest.DefaultKey))
	calendar, err3 := maintenance.NewCalendar([]maintenance.Window{p.Window})
	if err := cmp.Or(err1, err2, err3); err != nil {
		return nil, nil, err
	}
	systems := resubmit.SystemsOf(orders, orders)
	systems.Requests, systems.Prober = requests, requests
	cfg := &state.Config{
		Systems: systems, Plan: resubmit.PlanConfig{Filter: filter.Everything()},
		Calendar: func() *maintenance.Calendar { return calendar },
		Anchor:   state.FileAnchor(filepath.Join(p.Dir, "anchor.json")),
		Program:  "killtest",
	}
	if p.Quick {
		cfg.Policy = resubmit.Policy{SettleDelay: quickSettle, Retry: resubmit.Policy{}.Retry}
		cfg.Policy.Retry.Spacing = -1
		cfg.Plan.RateLimit, cfg.Runner.RateLimit = 100, 100
		cfg.Runner.Verify.InitialInterval = 100 * time.Millisecond
	}
	d, err := state.Open(ctx, filepath.Join(p.Dir, "state"), *cfg)
	return d, cfg, err
}

// quickSettle is the settle delay if the delays are short.
const quickSettle = time.Second
