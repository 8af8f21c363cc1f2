// Command failedorders prints the orders of a failure view, and why they failed, as a table or as JSON lines. Below the
// table the failures are grouped by reasons that differ only in ids, times and numbers. It only reads.
//
// Without -commerce it prints the orders of a test system in its own process. The token for a real system comes from
// the environment variable COMMERCE_TOKEN.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/ordermanager"
	"github.com/cloudblue-go/cloudblue/examples/internal/cli"
	"github.com/cloudblue-go/cloudblue/examples/internal/page"
	"github.com/cloudblue-go/cloudblue/examples/internal/sandbox"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv("COMMERCE_TOKEN"), os.Stdout, os.Stderr)
	stop()
	os.Exit(cli.Status("failedorders", err, os.Stderr))
}

func run(ctx context.Context, args []string, token string, stdout, stderr io.Writer) (err error) {
	s, err := parseFlags(args, stdout)
	if err != nil {
		return err
	}
	for _, w := range filter.Warnings(s.filter, s.view) {
		fmt.Fprintf(stderr, "failedorders: warning: %s\n", w)
	}
	if s.commerce == "" {
		world, err := sandbox.New(ctx, "127.0.0.1:0", s.seed, nil)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, world.Close()) }()
		if err := world.Play(ctx, s.orders); err != nil {
			return err
		}
		s.commerce, token = world.CommerceURL, world.CommerceToken
	}
	if token == "" {
		return cli.Usage(errors.New("the environment variable COMMERCE_TOKEN is empty: set it to an APS token"))
	}
	client, err := ordermanager.New(s.commerce, ordermanager.Token(token),
		ordermanager.WithLogger(slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))))
	if err != nil {
		return fmt.Errorf("-commerce and COMMERCE_TOKEN: %w", err)
	}
	show := showTable
	if s.json {
		show = showJSON
	}
	return show(stdout, selected(ctx, client, s))
}

// selected lists the orders of the view that the filter matches.
func selected(ctx context.Context, client *ordermanager.Client, s *settings) iter.Seq2[*commerce.Order, error] {
	return func(yield func(*commerce.Order, error) bool) {
		for o, err := range client.Orders(ctx, s.view.Query()) {
			unreadable := o != nil && len(o.Problems) > 0
			if err == nil && !unreadable && !o.HasTransitions() { // the list has no reason
				o, err = client.Order(ctx, o.ID)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if s.view.Match(o) && (unreadable || s.filter.Match(o)) && !yield(o, nil) {
				return
			}
		}
	}
}

type settings struct {
	commerce string
	view     commerce.View
	filter   filter.Filter
	json     bool
	orders   int
	seed     uint64
}

func parseFlags(args []string, stdout io.Writer) (*settings, error) {
	s := &settings{view: commerce.FailedOrdersView()}
	var views, view, types, channel, text string
	flags := flag.NewFlagSet("failedorders", flag.ContinueOnError)
	flags.StringVar(&s.commerce, "commerce", "",
		"base `URL` of Commerce; without it the program uses a test system in its own process")
	flags.StringVar(&views, "views", "", "`file` of failure views; without it there is only the built-in view")
	flags.StringVar(&view, "view", s.view.Name, "`name` of the view")
	flags.Func("from", "only orders placed at or after this `time` (RFC 3339, or a date in UTC)",
		timeFlag(&s.view.PlacedFrom))
	flags.Func("to", "only orders placed before this `time`", timeFlag(&s.view.PlacedTo))
	flags.StringVar(&types, "type", "", "only these order `types`, for instance SO,CH")
	flags.StringVar(&channel, "via", "", "only orders of this `channel`: direct or reseller")
	flags.StringVar(&text, "text", "", "only orders whose reason contains this `text`")
	flags.BoolVar(&s.json, "json", false, "print one JSON document per order and line")
	flags.IntVar(&s.orders, "orders", 100, "number of orders in the test system")
	flags.Uint64Var(&s.seed, "seed", 1, "seed of the orders and events in the test system")
	if err := cli.Parse(flags, args, stdout, environment); err != nil {
		return nil, err
	}
	if s.orders < 1 || s.orders > 100_000 {
		return nil, cli.Usage(fmt.Errorf("-orders %d: give a number from 1 to 100000", s.orders))
	}
	var unused error
	flags.Visit(func(f *flag.Flag) {
		if s.commerce != "" && (f.Name == "orders" || f.Name == "seed") {
			unused = fmt.Errorf("-%s is for the test system, and -commerce names a real one: give one or the other", f.Name)
		}
	})
	if unused != nil {
		return nil, cli.Usage(unused)
	}
	if err := s.chooseView(views, view); err != nil {
		return nil, err
	}
	return s, cli.Usage(s.chooseFilter(types, channel, text))
}

const environment = `
The environment variable COMMERCE_TOKEN holds the APS token for -commerce.
`

// chooseView sets the view of that name; -from and -to override its bounds.
func (s *settings) chooseView(file, name string) error {
	views := []commerce.View{commerce.FailedOrdersView()}
	if file != "" {
		loaded, err := commerce.LoadViewsFile(file)
		if err != nil {
			return fmt.Errorf("-views: %w", err)
		}
		views = append(loaded, views...)
	}
	var names []string
	for _, v := range views {
		if v.Name == name {
			from, to := s.view.PlacedFrom, s.view.PlacedTo
			s.view = v
			if !from.IsZero() {
				s.view.PlacedFrom = from
			}
			if !to.IsZero() {
				s.view.PlacedTo = to
			}
			return nil
		}
		names = append(names, fmt.Sprintf("%q", v.Name))
	}
	return cli.Usage(fmt.Errorf("-view: there is no view %q, only %s", name, strings.Join(names, ", ")))
}

func (s *settings) chooseFilter(types, channel, text string) error {
	terms := []filter.Filter{filter.Everything()}
	if types != "" {
		var codes []commerce.OrderType
		for code := range strings.SplitSeq(types, ",") {
			codes = append(codes, commerce.OrderType(strings.TrimSpace(code)))
		}
		terms = append(terms, filter.Types(codes...))
	}
	switch c := commerce.Channel(channel); c {
	case commerce.ChannelUnknown:
	case commerce.ChannelDirect, commerce.ChannelReseller:
		terms = append(terms, filter.Channel(c))
	default:
		return fmt.Errorf("-via %q: give direct or reseller", channel)
	}
	if text != "" {
		terms = append(terms, filter.MessageLike("*"+strings.NewReplacer(`\`, `\\`, `*`, `\*`).Replace(text)+"*"))
	}
	s.filter = filter.And(terms...)
	return filter.Validate(s.filter)
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

// row is one failed order as it is printed.
type row struct {
	Number   string             `json:"number"`
	Type     commerce.OrderType `json:"type"`
	Status   commerce.Status    `json:"status"`
	PlacedAt time.Time          `json:"placedAt"`
	Channel  commerce.Channel   `json:"channel"`
	Vendor   string             `json:"vendor"`
	Customer string             `json:"customer"`
	Total    string             `json:"total"`
	Class    failure.Class      `json:"class"`
	Reason   string             `json:"reason"`
}

func rowOf(o *commerce.Order) row {
	class, _ := failure.DefaultClassifier().Classify(o.Failure.Message())
	reason := o.Failure.Reason()
	if len(o.Problems) > 0 {
		reason = "parts of the order cannot be read: " + strings.Join(o.Problems, "; ")
	}
	return row{
		Number: cmp.Or(o.Number, o.ID), Type: o.Type, Status: o.Status, PlacedAt: o.PlacedAt, Channel: o.Channel,
		Vendor: o.VendorAccountID, Customer: o.CustomerName, Total: o.Total.String(), Class: class, Reason: reason,
	}
}

func showJSON(out io.Writer, orders iter.Seq2[*commerce.Order, error]) error {
	enc := text.JSONEncoder(out)
	for o, err := range orders {
		if err != nil {
			return err
		}
		if err := enc.Encode(rowOf(o)); err != nil {
			return err
		}
	}
	return nil
}

func showTable(out io.Writer, orders iter.Seq2[*commerce.Order, error]) error {
	t := page.Table{Head: []string{"NUMBER", "PLACED (UTC)", "VIA", "CUSTOMER", "TOTAL", "CLASS", "REASON"}, Below: true}
	groups, err := failure.GroupOrders(func(yield func(*commerce.Order, error) bool) {
		for o, err := range orders {
			if err == nil {
				r := rowOf(o)
				t.Add(r.Number, clock(r.PlacedAt), r.Channel, r.Customer, r.Total, r.Class, r.Reason)
			}
			if !yield(o, err) {
				return
			}
		}
	}, nil, 0)
	if err != nil {
		return err
	}
	page.Page{Out: out}.Print(&t)
	showGroups(out, groups)
	_, err = fmt.Fprintf(out, "\n%d orders\n", len(t.Rows))
	return err
}

func showGroups(out io.Writer, groups *failure.Grouping) {
	if len(groups.Groups) == 0 {
		return
	}
	fmt.Fprint(out, "\nBy reason, where only ids, times and numbers differ:\n\n")
	t := page.Table{Head: []string{"ORDERS", "CLASS", "FIRST (UTC)", "LAST (UTC)", "EXAMPLE", "REASON"}, Below: true}
	for _, g := range groups.Groups {
		reason := g.Template
		if reason == "" {
			reason = "(none reported)"
		}
		t.Add(g.Count, g.Class, clock(g.First), clock(g.Last), g.Example, reason)
	}
	page.Page{Out: out}.Print(&t)
	if groups.Ungrouped > 0 {
		fmt.Fprintf(out, "%d more orders have other reasons\n", groups.Ungrouped)
	}
}

func clock(t time.Time) string { return t.UTC().Format(time.DateTime) }
