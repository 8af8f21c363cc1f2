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
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

// settings are the values of the flags and the environment.
type settings struct {
	api                 commerceAPI
	connect, connectKey string
	windows             string
	apply               bool

	from, to      time.Time
	filter        filter.Filter // of -where, -from, -to and -order together
	selects       bool          // whether any of these was given
	causes        *failure.Attributor
	sort          bool
	numbers       []string
	ids           string             // the file of -ids
	selected      []billing.OrderRef // its content
	targets       []commerce.Status
	ignoreConnect bool
	plan          string
	unreviewed    bool // -apply may make the plan
	decided       bool // flags of the policy were given
	stdin         io.Reader
	json          bool
	detailed      bool // exitLeft if anything is left for a person
	timing        timing
	records       records
	state         stateDir

	sandbox bool // use the test systems
	orders  int
	seed    uint64
	faults  bool
}

func parseFlags(args []string, getenv func(string) string, stdout io.Writer) (*settings, error) {
	s := &settings{connectKey: getenv("CONNECT_API_KEY"), records: records{config: getenv("XDG_CONFIG_HOME")}}
	s.api.fromEnv(getenv)
	var where string
	flags := flag.NewFlagSet("aftermaintenance", flag.ContinueOnError)
	s.api.flags(flags)
	flags.StringVar(&s.connect, "connect", "", "base `URL` of Connect's public API")
	flags.StringVar(&s.windows, "windows", "", "`file` of maintenance windows")
	flags.BoolVar(&s.apply, "apply", false, "resubmit orders on real systems; without it they are only read "+
		"(on the test systems orders are always resubmitted)")
	flags.Func("from", "only orders placed at or after this `time` (RFC 3339, or a date in UTC)", timeFlag(&s.from))
	flags.Func("to", "only orders placed before this `time`", timeFlag(&s.to))
	flags.StringVar(&where, "where", "",
		"only orders that match this `RQL`, for instance 'in(type,(SO,CH))&channel=reseller', or "+
			"'in(verdict,(caused,likely))' for those whose failure a window explains")
	flags.Func("order",
		"only the order with this `number` (repeatable); it is resubmitted even if its reason is unclassified",
		func(number string) error {
			s.numbers = append(s.numbers, number)
			return nonEmpty(number)
		})
	flags.StringVar(&s.ids, "ids", "",
		"with -via billing or simpleapi: `file` of the failed orders, or - for standard input: one id per line, "+
			"an export as CSV, or the output of psql. The orders are treated as with -order. With a column "+
			"SubscriptionID, orders of Billing are looked up in Connect")
	flags.BoolVar(&s.ignoreConnect, "ignore-connect", false,
		"plan without looking up requests in Connect, for orders whose subscription is unknown")
	flags.Func("targets", "`transitions` that resubmit an order, in order of preference (default PD,PR,I4,RB); "+
		"with -via billing or simpleapi they are tried one after the other", s.parseTargets)
	flags.BoolVar(&s.sort, "sort", false,
		"hold all listed orders in memory and sort them, for a Commerce that does not sort them")
	flags.StringVar(&s.plan, "plan", "",
		"`file` of the plan. With -apply it must exist; without -apply it is read if it exists, "+
			"and written if not")
	flags.BoolVar(&s.unreviewed, "unreviewed", false,
		"with -plan and -apply: make the plan if it does not exist, and apply it without a review")
	flags.BoolVar(&s.json, "json", false,
		"print one JSON document to standard output, and everything else to standard error")
	flags.BoolVar(&s.detailed, "detailed-exitcode", false,
		"exit with status 3 instead of 0 if everything is done but orders are left for a person")
	s.records.flags(flags)
	s.timing.flags(flags)
	s.state.flags(flags)
	flags.IntVar(&s.orders, "orders", 300, "number of orders in the test systems")
	flags.Uint64Var(&s.seed, "seed", 1, "seed of the orders and events in the test systems")
	flags.BoolVar(&s.faults, "faults", false, "make the test systems lose answers, limit the rate and fail")
	var err error
	s.state.command, err = cli.ParseCommand(flags, args, stdout, " [command]", commands+environment+statuses)
	if err != nil {
		return nil, err
	}
	s.sandbox = s.api.url == ""
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	s.selects = given["where"] || given["from"] || given["to"] || given["order"] || given["ids"]
	s.decided = given["targets"] || given["settle-delay"] || given["attempts"] || given["spacing"]
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
  0  everything that the program should do is done; orders left for a person are
     printed
  1  error, the run ended early, all orders must still wait, or orders were not
     started or their outcome is unknown
  2  wrong flags; nothing was done
  3  with -detailed-exitcode: like 0, but orders are left for a person
  4  with -state and -apply: the plan needs an approval, and nothing was sent;
     the message has the command that approves it
With -state it is 0 (or 3) if all orders must still wait, as is usual for a
nightly job, and 1 if an operator has paused the run or another process works.
`

func (s *settings) parseTargets(list string) error {
	s.targets = nil
	for code := range strings.SplitSeq(list, ",") {
		s.targets = append(s.targets, commerce.Status(strings.TrimSpace(code)))
	}
	if slices.Contains(s.targets, "") || slices.Contains(s.targets, commerce.StatusCancelled) {
		return errors.New("give status codes such as PD,RB; CL would cancel the order")
	}
	return nil
}

// verdict returns whether a window of -windows explains a failure.
func (s *settings) verdict(o *commerce.Order) failure.Verdict { return s.causes.Attribute(o).Verdict }

// choose sets the filter, without the file of -ids.
func (s *settings) choose(where string) error {
	s.filter = filter.Everything()
	if where != "" {
		var err error
		if s.filter, err = filter.Parse(where, filter.WithVerdict(s.verdict)); err != nil {
			return fmt.Errorf("-where: %w", err)
		}
	}
	if !s.from.IsZero() || !s.to.IsZero() {
		s.filter = filter.And(s.filter, filter.PlacedBetween(s.from, s.to))
	}
	if len(s.numbers) > 0 {
		s.filter = filter.And(s.filter, filter.Numbers(s.numbers...))
	}
	return filter.Validate(s.filter)
}

// checkGiven rejects flags that have no effect on the systems of this run.
func (s *settings) checkGiven(given map[string]bool) error {
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
		if given[name] && s.api.via != via {
			return fmt.Errorf("-%s needs -via %s, but -via is %s", name, via, s.api.via)
		}
		if given[name] && s.sandbox {
			return fmt.Errorf("-%s is for real systems: give -commerce too", name)
		}
	}
	return nil
}

func (s *settings) check(given map[string]bool) error {
	if err := s.state.check(s, given); err != nil {
		return err
	}
	if s.state.command != nil {
		return s.checkCommand(given)
	}
	for _, check := range []func() error{
		func() error { return s.checkGiven(given) },
		s.checkWay, s.timing.check, func() error { return s.records.check(s) }, s.checkPlan,
	} {
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
		return errors.New("-commerce also needs -connect and -windows, which show why orders failed")
	}
	if err := s.api.check(); err != nil {
		return err
	}
	if err := s.checkPlainHTTP(); err != nil {
		return err
	}
	if s.connectKey == "" {
		return errors.New("the environment variable CONNECT_API_KEY is empty: set it to the API key of Connect (SU-…:…)")
	}
	return nil
}

func (s *settings) checkWay() error {
	switch s.api.via {
	case viaOrderManager:
		if s.ids != "" {
			return errors.New("-ids needs -via billing or -via simpleapi: Order Management lists the failed orders itself, " +
				"and -order selects single orders")
		}
	case viaBilling:
		if s.ids == "" && s.plan == "" && !s.sandbox {
			return errNoSelection
		}
	case viaSimpleAPI:
	default:
		return fmt.Errorf("-via %q: give ordermanager, billing or simpleapi", s.api.via)
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
