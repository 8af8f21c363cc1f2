package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/examples/aftermaintenance/internal/input"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// selection says which orders a plan is about.
type selection struct {
	filter  filter.Filter
	numbers []string           // of -order
	refs    []billing.OrderRef // of -ids
}

// selection returns what the flags and the configuration select.
func (p *program) selection(c *config, calendar *maintenance.Calendar, causes *failure.Attributor) (selection, error) {
	o := &p.options
	var s selection
	terms := []filter.Filter{filter.Everything()}
	verdict := func(order *commerce.Order) failure.Verdict {
		found := causes.Attribute(order)
		return found.Verdict
	}
	window := func(order *commerce.Order) string {
		found := causes.Attribute(order)
		return found.WindowID
	}
	var ids []string
	for _, w := range calendar.Windows() {
		ids = append(ids, w.ID)
	}
	for _, rql := range []struct{ name, text string }{{"where of the configuration", c.Where}, {"-where", o.where}} {
		if rql.text == "" {
			continue
		}
		f, err := filter.Parse(rql.text, filter.WithVerdict(verdict), filter.WithWindow(window, ids...))
		if err != nil {
			return s, usagef("%s: %w", rql.name, err)
		}
		terms = append(terms, f)
	}
	if o.caused {
		terms = append(terms, filter.Verdicts(verdict, failure.Caused, failure.Likely))
	}
	times, err := p.times(calendar)
	if err != nil {
		return s, err
	}
	terms = append(terms, times...)
	if s.numbers, err = p.numbers(); err != nil {
		return s, err
	}
	if len(s.numbers) > 0 {
		terms = append(terms, filter.Numbers(s.numbers...))
	}
	if s.refs, err = p.refs(c.Commerce.Via); err != nil {
		return s, err
	}
	if len(s.refs) > 0 {
		terms = append(terms, among(s.refs))
	}
	if s.filter = terms[0]; len(terms) > 1 {
		s.filter = filter.And(terms[1:]...)
	}
	return s, filter.Validate(s.filter)
}

// times returns the filters of -from, -to and -window.
func (p *program) times(calendar *maintenance.Calendar) (terms []filter.Filter, err error) {
	o := &p.options
	r := input.Times{Now: time.Now(), Location: p.location, Windows: calendar}
	var from, to time.Time
	if o.from != "" {
		if from, err = r.Read(o.from, false); err != nil {
			return nil, usagef("-from: %w", err)
		}
	}
	if o.to != "" {
		if to, err = r.Read(o.to, true); err != nil {
			return nil, usagef("-to: %w", err)
		}
	}
	if o.from != "" && o.to != "" && !from.Before(to) {
		return nil, usagef("-from %s is not before -to %s", p.clock(from), p.clock(to))
	}
	if o.from != "" || o.to != "" {
		terms = append(terms, filter.PlacedBetween(from, to))
	}
	if o.window != "" {
		w, err := input.FindWindow(calendar, o.window, r.Now)
		if err != nil {
			return nil, usagef("-window: %w", err)
		}
		terms = append(terms, filter.FailedDuring(w))
	}
	return terms, nil
}

// numbers returns the orders of -order; those of "-" are read from standard input.
func (p *program) numbers() (all []string, err error) {
	for _, n := range input.List(p.options.orders) {
		if n != "-" {
			all = append(all, n)
			continue
		}
		if p.options.ids == "-" {
			return nil, usagef("-order - and -ids - both read standard input: give a file for -ids")
		}
		lines := bufio.NewScanner(p.Stdin)
		before := len(all)
		for lines.Scan() {
			all = append(all, strings.Fields(lines.Text())...)
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("-order -: %w", err)
		}
		if len(all) == before {
			return nil, usagef("-order -: standard input has no number of an order")
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// refs reads the file of -ids.
func (p *program) refs(via string) ([]billing.OrderRef, error) {
	path := p.options.ids
	switch {
	case path == "" && via == viaBilling:
		return nil, usagef("-via billing needs -ids: Billing cannot list orders, so export the failed ones from the " +
			"panel or by SQL")
	case path == "":
		return nil, nil
	case via == viaOrderManager:
		return nil, usagef("-ids needs -via billing or -via simpleapi: Order Management lists the failed orders itself, " +
			"and -order selects single orders")
	}
	in := p.Stdin
	if path != "-" {
		f, err := os.Open(path) //nolint:gosec // the user names the file
		if err != nil {
			return nil, fmt.Errorf("-ids: %w", err)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = io.Reader(f)
	}
	refs, err := billing.ReadOrderRefs(in)
	if err != nil {
		return nil, fmt.Errorf("-ids: %w", err)
	}
	if len(refs) == 0 {
		return nil, fmt.Errorf("-ids %s: the file names no order: give one id per line, or an export of the failed orders",
			path)
	}
	return refs, nil
}

// names returns the ids of the orders of -ids, and the numbers of those without an id.
func names(refs []billing.OrderRef) (ids, numbers []string) {
	for _, l := range refs {
		if l.ID != "" {
			ids = append(ids, l.ID)
		} else {
			numbers = append(numbers, l.Number)
		}
	}
	return ids, numbers
}

// among returns a filter that selects the orders of -ids.
func among(refs []billing.OrderRef) filter.Filter {
	ids, numbers := names(refs)
	switch {
	case len(numbers) == 0:
		return filter.IDs(ids...)
	case len(ids) == 0:
		return filter.Numbers(numbers...)
	default:
		return filter.Or(filter.IDs(ids...), filter.Numbers(numbers...))
	}
}

// warn prints what in the selection is probably mistaken.
func (s *selection) warn(p *program, view commerce.View, targets []commerce.Status) {
	for _, w := range filter.Warnings(s.filter, view) {
		fmt.Fprintf(p.Stderr, "aftermaintenance: warning: -where: %s\n", w)
	}
	if len(targets) == 0 {
		return
	}
	for _, w := range filter.Warnings(filter.Statuses(targets...), commerce.View{}) {
		w, _, _ = strings.Cut(w, ", so it selects") // this part is about filters
		fmt.Fprintf(p.Stderr, "aftermaintenance: warning: policy.targets: %s\n", w)
	}
}

const maxListed = 40 // numbers of orders in a sentence

// missing returns an error if an id of -ids belongs to an order with another number, and names the orders that are not
// in the plan, since an export may be old.
func (s *selection) missing(p *plan.Plan) (sentence string, err error) {
	numbers, known := map[string]string{}, map[string]bool{}
	for e, err := range p.Entries() {
		if err != nil {
			return "", err
		}
		numbers[e.OrderID], known[e.OrderID], known[e.Number] = e.Number, true, true
	}
	var missing []string
	for _, l := range s.refs {
		number, planned := numbers[l.ID]
		if planned && l.Number != "" && number != l.Number {
			return "", fmt.Errorf("-ids: %s: order %s has the number %q, not %q: are these the ids of orders?", l.Where, l.ID,
				text.Short(number), text.Short(l.Number))
		}
		if name := cmp.Or(l.ID, l.Number); !known[name] {
			known[name] = true // report it once
			missing = append(missing, cmp.Or(l.Number, l.ID))
		}
	}
	if len(missing) == 0 {
		return "", nil
	}
	rest := ""
	if more := len(missing) - maxListed; more > 0 {
		missing, rest = missing[:maxListed], fmt.Sprintf(" and %d more", more)
	}
	return "These orders of -ids are not in the plan, because they have not failed or other flags exclude them: " +
		strings.Join(missing, " ") + rest, nil
}
