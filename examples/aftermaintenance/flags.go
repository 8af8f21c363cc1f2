package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/examples/internal/cli"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// settings are what the flags and the environment say.
type settings struct {
	way                 way
	connect, connectKey string
	windows             string
	apply               bool

	from, to time.Time
	filter   resubmit.Filter // of -where, -from, -to and -order together
	selects  bool            // any of these was given
	numbers  []string
	ids      string         // the file of -ids
	selected []billing.Line // what it names
	targets  []commerce.Status
	// ignoreConnect lets the operator's word do where Connect cannot be asked.
	ignoreConnect bool
	plan          string
	unreviewed    bool // a plan that -apply makes is applied at once
	stdin         io.Reader
	json          bool
	detailed      bool // the exit status tells whether anything is left for a person
	timing        timing
	memory        memory

	sandbox bool // on the test systems
	orders  int
	seed    uint64
	faults  bool
}

func parseFlags(args []string, getenv func(string) string, stdout io.Writer) (*settings, error) {
	s := &settings{connectKey: getenv("CONNECT_API_KEY")}
	s.way.fromEnv(getenv)
	var where string
	flags := flag.NewFlagSet("aftermaintenance", flag.ContinueOnError)
	s.way.flags(flags)
	flags.StringVar(&s.connect, "connect", "", "base `URL` of Connect's public API")
	flags.StringVar(&s.windows, "windows", "", "`file` of maintenance windows")
	flags.BoolVar(&s.apply, "apply", false, "resubmit on real systems; without it they are only read (the test systems always apply)")
	flags.Func("from", "only orders placed at or after this `time` (RFC 3339, or a date in UTC)", timeFlag(&s.from))
	flags.Func("to", "only orders placed before this `time`", timeFlag(&s.to))
	flags.StringVar(&where, "where", "", "only orders for which this `RQL` holds, for instance 'in(type,(SO,CH))&channel=reseller'")
	flags.Func("order", "only the order of this `number` (repeatable); naming an order vouches for one whose reason nobody knows", func(number string) error {
		s.numbers = append(s.numbers, number)
		return nonEmpty(number)
	})
	flags.StringVar(&s.ids, "ids", "", "with -via billing and simpleapi: `file` of the failed orders to look at, - for standard input: ids, one a line, an export as CSV, or what psql prints; "+
		"it vouches for them as -order does, and a column SubscriptionID lets Billing's orders be looked up in Connect")
	flags.BoolVar(&s.ignoreConnect, "ignore-connect", false, "do not look in Connect before the plan, for orders that tell no subscription")
	flags.Func("targets", "`transitions` that resubmit an order, the best first (default PD,PR,I4,RB); where the way in does not tell what an order offers, they are tried one after the other", s.parseTargets)
	flags.StringVar(&s.plan, "plan", "", "`file` for the plan: without -apply it is written if there is none, else read and used as it stands; with -apply it must be there")
	flags.BoolVar(&s.unreviewed, "unreviewed", false, "with -plan and -apply: if there is no plan in the file, make one and apply it at once, though nobody has read it")
	flags.BoolVar(&s.json, "json", false, "print one JSON document on standard output, everything else on standard error")
	flags.BoolVar(&s.detailed, "detailed-exitcode", false, "exit with status 3 if all is done and something is left for a person")
	s.memory.flags(flags)
	s.timing.flags(flags)
	flags.IntVar(&s.orders, "orders", 300, "how many orders the test systems have")
	flags.Uint64Var(&s.seed, "seed", 1, "which story the test systems play")
	flags.BoolVar(&s.faults, "faults", false, "the test systems lose answers, ask for patience and break down")
	if err := cli.Parse(flags, args, stdout, environment+statuses); err != nil {
		return nil, err
	}
	s.sandbox = s.way.url == ""
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	s.selects = given["where"] || given["from"] || given["to"] || given["order"] || given["ids"]
	if err := s.check(given); err != nil {
		return nil, cli.Usage(err)
	}
	if s.sandbox {
		s.timing.forSandbox()
	}
	return s, cli.Usage(s.choose(where))
}

const statuses = `
Exit status:
  0  everything that the program should do is done, and what is left for a person
     was printed; 3 instead if -detailed-exitcode is set and something is left
  1  an error, a run that ended early, or orders for which the result is unknown
  2  a wrong call: nothing was done
`

func (s *settings) parseTargets(list string) error {
	s.targets = nil
	for code := range strings.SplitSeq(list, ",") {
		s.targets = append(s.targets, commerce.Status(strings.TrimSpace(code)))
	}
	if slices.Contains(s.targets, "") || slices.Contains(s.targets, commerce.StatusCancelled) {
		return errors.New("give the codes of statuses as PD,RB; CL does not resubmit an order")
	}
	return nil
}

// choose makes the filter, but for the file of -ids.
func (s *settings) choose(where string) error {
	s.filter = resubmit.Everything()
	if where != "" {
		var err error
		if s.filter, err = resubmit.ParseFilter(where); err != nil {
			return fmt.Errorf("-where: %w", err)
		}
	}
	if !s.from.IsZero() || !s.to.IsZero() {
		s.filter = resubmit.All(s.filter, resubmit.PlacedBetween(s.from, s.to))
	}
	if len(s.numbers) > 0 {
		s.filter = resubmit.All(s.filter, resubmit.Number(s.numbers...))
	}
	return resubmit.Check(s.filter)
}

func (s *settings) check(given map[string]bool) error {
	for _, name := range []string{"orders", "seed", "faults"} {
		if given[name] && !s.sandbox {
			return fmt.Errorf("-%s is for the test systems, and -commerce names a real one: give one or the other", name)
		}
	}
	for _, name := range []string{"connect", "windows", "apply", "unreviewed", "ca", "plain-http"} {
		if given[name] && s.sandbox {
			return fmt.Errorf("-%s is for real systems: give -commerce too", name)
		}
	}
	for name, via := range flagOf {
		if given[name] && s.way.via != via {
			return fmt.Errorf("-%s is for -via %s, and this is -via %s", name, via, s.way.via)
		}
		if given[name] && s.sandbox {
			return fmt.Errorf("-%s is for real systems: give -commerce too", name)
		}
	}
	for _, check := range []func() error{s.checkWay, s.timing.check, func() error { return s.memory.check(s) }, s.checkPlan} {
		if err := check(); err != nil {
			return err
		}
	}
	switch {
	case !s.from.IsZero() && !s.to.IsZero() && !s.from.Before(s.to):
		return fmt.Errorf("-from %s is not before -to %s", s.from.Format(time.RFC3339), s.to.Format(time.RFC3339))
	case s.sandbox && (s.orders < 1 || s.orders > 100_000):
		return fmt.Errorf("-orders %d: give a number from 1 to 100000", s.orders)
	case s.sandbox:
		return nil
	case s.connect == "" || s.windows == "":
		return errors.New("-commerce needs -connect and -windows too: without them nobody can say why an order failed")
	}
	if err := s.way.check(); err != nil {
		return err
	}
	if err := s.checkPlainHTTP(); err != nil {
		return err
	}
	if s.connectKey == "" {
		return errors.New("the environment variable CONNECT_API_KEY is empty: put the key for Connect there (SU-…:…)")
	}
	return nil
}

func (s *settings) checkWay() error {
	switch s.way.via {
	case viaOrderManager:
		if s.ids != "" {
			return errors.New("-ids is for -via billing and -via simpleapi: the Order Management lists the failed orders itself, and -order names single ones")
		}
	case viaBilling:
		if s.ids == "" && s.plan == "" && !s.sandbox {
			return errNoSelection
		}
	case viaSimpleAPI:
	default:
		return fmt.Errorf("-via %q: give ordermanager, billing or simpleapi", s.way.via)
	}
	return nil
}

func timeFlag(to *time.Time) func(string) error {
	return func(s string) error {
		for _, layout := range []string{time.RFC3339, time.DateOnly} {
			if t, err := time.Parse(layout, s); err == nil {
				*to = t.UTC()
				return nil
			}
		}
		return errors.New("give a time as 2026-11-21T02:00:00Z, or a date as 2026-11-21")
	}
}

func nonEmpty(s string) error {
	if strings.TrimSpace(s) == "" {
		return errors.New("give an order number, for instance SO000027")
	}
	return nil
}
