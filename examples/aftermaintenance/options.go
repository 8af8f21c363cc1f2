package main

import (
	"time"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/examples/aftermaintenance/internal/input"
)

// options are the values of all flags. Those of a command that was not called are zero.
type options struct {
	// of every command
	state, config               string
	via, commerceURL, connect   string
	windows                     []string
	output, zone                string
	json, quiet, verbose, plain bool
	detailed                    bool
	format                      format // of output and json

	// which orders
	where, from, to, window string
	caused, ignoreConnect   bool
	orders                  []string
	ids                     string

	group      int
	diff       bool
	rate       string
	canary     string
	yes        bool
	confirm    int
	maxOrders  int
	maxMoney   []string
	waitAtMost time.Duration
	notify     string
	notifyAll  bool
	health     string
	watch      bool
	why, by    string
	key        string
	outcome    string
	listen     string
	file       string
	kind       string

	// of the demo
	count  int
	seed   uint64
	faults bool
}

// format is the form of results.
type format string

const (
	formatText format = ""
	formatWide format = "wide"
	formatCSV  format = "csv"
	formatJSON format = "json"
	formatName format = "name"
)

// rootFlags are the flags of every command, and those of the demo.
func rootFlags(p *program) []cli.Flag {
	o := &p.options
	return []cli.Flag{
		&cli.StringFlag{Name: "state", Destination: &o.state,
			Usage: "`directory` with everything about this Commerce: journal, plans, audit logs and reports"},
		&cli.StringFlag{Name: "config", Destination: &o.config,
			Usage: "configuration `file` (default: config.json in the directory of -state, if it exists)"},
		&cli.StringFlag{Name: "via", Destination: &o.via,
			Usage: "`API` of Commerce: ordermanager (the default), billing or simpleapi"},
		&cli.StringFlag{Name: "commerce", Destination: &o.commerceURL, Usage: "base `URL` of that API"},
		&cli.StringFlag{Name: "connect", Destination: &o.connect,
			Usage: "base `URL` of the public API of Connect (default: the public Connect)"},
		&cli.StringSliceFlag{Name: "windows", Destination: &o.windows, Usage: "`file` of maintenance windows (repeatable)"},
		&cli.BoolFlag{Name: "plain-http", Destination: &o.plain,
			Usage: "allow http:// to other hosts, although others on the network can read the credentials"},
		&cli.StringFlag{Name: "o", Destination: &o.output,
			Usage: "`form` of the results: wide, csv, json, or name: only the numbers of orders, one per line"},
		&cli.BoolFlag{Name: "json", Destination: &o.json, Usage: "the same as -o json"},
		&cli.StringFlag{Name: "color", Destination: &p.Color,
			Usage: "`when` to use color: auto (the default; not with NO_COLOR), always or never"},
		&cli.StringFlag{Name: "tz", Destination: &o.zone,
			Usage: "`time zone` of times, such as Europe/Berlin (default: that of this machine)"},
		&cli.BoolFlag{Name: "quiet", Destination: &o.quiet, Usage: "print only results and errors"},
		&cli.BoolFlag{Name: "v", Destination: &o.verbose, Usage: "print what is done"},
		&cli.BoolFlag{Name: "detailed-exitcode", Destination: &o.detailed,
			Usage: "exit with status 3 if something needs a person, and plan with 6 if there are orders to resubmit"},
		&cli.IntFlag{Name: "orders", Local: true, Value: 300, Destination: &o.count, Usage: "demo: `number` of orders"},
		&cli.Uint64Flag{Name: "seed", Local: true, Value: 1, Destination: &o.seed,
			Usage: "demo: `seed` of orders and events"},
		&cli.BoolFlag{Name: "faults", Local: true, Destination: &o.faults,
			Usage: "demo: lose answers, limit the rate and fail"},
	}
}

// selectionFlags say which orders a plan or a list is about.
func selectionFlags(o *options) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "where", Destination: &o.where, Usage: "only orders that match this `RQL`, such as " +
			"'in(type,(SO,CH))&channel=reseller' or verdict=caused"},
		&cli.StringFlag{Name: "from", Destination: &o.from, Usage: "only orders placed at or after this `time`: a date, " +
			"a time such as \"2026-11-21 02:00\", \"2h ago\", or window:ID for the beginning of a maintenance"},
		&cli.StringFlag{Name: "to", Destination: &o.to, Usage: "only orders placed before this `time`; window:ID is its end"},
		&cli.StringFlag{Name: "window", Destination: &o.window,
			Usage: "only orders placed during the maintenance with this `id`"},
		&cli.BoolFlag{Name: "caused", Destination: &o.caused,
			Usage: "only orders whose failure was caused by a maintenance, certainly or probably"},
		&cli.StringSliceFlag{Name: "order", Destination: &o.orders, Usage: "only the orders with these `numbers` (A,B or " +
			"repeated; - reads them from standard input); they are resubmitted even if their reason is unclassified"},
		&cli.StringFlag{Name: "ids", Destination: &o.ids, Usage: "`file` of failed orders, or - for standard input: one id " +
			"per line, an export as CSV, or the output of psql; for -via billing, which cannot list orders, and simpleapi"},
		&cli.BoolFlag{Name: "ignore-connect", Destination: &o.ignoreConnect,
			Usage: "plan without looking up requests in Connect, for orders whose subscription is unknown"},
		rateFlag(o),
	}
}

func rateFlag(o *options) cli.Flag {
	return &cli.StringFlag{Name: "rate", Destination: &o.rate,
		Usage: "limit of calls to both systems together, such as 4/s (default 5/s)"}
}

// applyFlags say how a plan is applied.
func applyFlags(o *options) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "canary", Destination: &o.canary,
			Usage: "orders of each group that are sent first, in `steps` such as 1,2,5 (default 1,2,5,20,50), or off"},
		&cli.StringFlag{Name: "notify", Destination: &o.notify,
			Usage: "https `URL` to which the result is sent, signed with the secret in NOTIFY_SECRET"},
		&cli.BoolFlag{Name: "notify-orders", Destination: &o.notifyAll, Usage: "with -notify: send the single orders too"},
		&cli.StringFlag{Name: "health", Destination: &o.health,
			Usage: "`address` such as 127.0.0.1:8081 that answers 200 on /livez while the program works"},
	}
}

// joined returns all flags of a command.
func joined(groups ...[]cli.Flag) (all []cli.Flag) {
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

// setUp checks the flags of every command.
func (p *program) setUp() error {
	o := &p.options
	if o.json {
		if o.output != "" && o.output != string(formatJSON) {
			return usagef("-json and -o %s contradict each other", o.output)
		}
		o.output = string(formatJSON)
	}
	switch o.format = format(o.output); o.format {
	case formatText, formatWide, formatCSV, formatJSON, formatName:
	default:
		return usagef("-o %q: give wide, csv, json or name", o.output)
	}
	switch p.Color {
	case "", "auto", "always", "never":
	default:
		return usagef("-color %q: give auto, always or never", p.Color)
	}
	var err error
	if p.location, err = input.Location(o.zone, p.Getenv); err != nil {
		return usageError{err}
	}
	return nil
}
