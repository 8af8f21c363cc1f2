package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/commerce/billing"
	"github.com/cloudblue-go/cloudblue/examples/internal/page"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// readSelected reads the file of -ids; "-" is standard input.
func readSelected(path string, stdin io.Reader) (lines []billing.OrderRef, err error) {
	in := stdin
	if path != "-" {
		f, err := os.Open(path) //nolint:gosec // the user names the file
		if err != nil {
			return nil, fmt.Errorf("-ids: %w", err)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	if lines, err = billing.ReadOrderRefs(in); err != nil {
		return nil, fmt.Errorf("-ids: %w", err)
	}
	if len(lines) == 0 {
		return nil, fmt.Errorf("-ids %s: the file names no order: give one id per line, or an export of the failed orders",
			path)
	}
	return lines, nil
}

// warn prints warnings about flags that are probably mistaken.
func (s *settings) warn(stderr io.Writer) {
	for _, w := range filter.Warnings(s.filter, commerce.FailedOrdersView()) {
		fmt.Fprintf(stderr, "aftermaintenance: warning: -where: %s\n", w)
	}
	if len(s.targets) == 0 {
		return
	}
	for _, w := range filter.Warnings(filter.Statuses(s.targets...), commerce.View{}) {
		w, _, _ = strings.Cut(w, ", so it selects") // this part is about filters
		fmt.Fprintf(stderr, "aftermaintenance: warning: -targets: %s\n", w)
	}
}

// selectOrders reads the file of -ids and adds it to the filter.
func (s *settings) selectOrders() (err error) {
	if s.ids == "" {
		return nil
	}
	if s.selected, err = readSelected(s.ids, s.stdin); err != nil {
		return err
	}
	s.filter = filter.And(s.filter, among(s.selected))
	return filter.Validate(s.filter)
}

// names returns the ids of the lines, and the numbers of those without an id.
func names(lines []billing.OrderRef) (ids, numbers []string) {
	for _, l := range lines {
		if l.ID != "" {
			ids = append(ids, l.ID)
		} else {
			numbers = append(numbers, l.Number)
		}
	}
	return ids, numbers
}

// among returns a filter that selects the orders of the lines.
func among(lines []billing.OrderRef) filter.Filter {
	ids, numbers := names(lines)
	switch {
	case len(numbers) == 0:
		return filter.IDs(ids...)
	case len(ids) == 0:
		return filter.Numbers(numbers...)
	default:
		return filter.Or(filter.IDs(ids...), filter.Numbers(numbers...))
	}
}

// checkSelected returns an error if an id of -ids belongs to an order with another number, and prints the orders that
// are not in the plan, since an export may be old.
func checkSelected(out io.Writer, lines []billing.OrderRef, plan *plan.Plan) error {
	numbers, known := map[string]string{}, map[string]bool{}
	for e, err := range plan.Entries() {
		if err != nil {
			return err
		}
		numbers[e.OrderID], known[e.OrderID], known[e.Number] = e.Number, true, true
	}
	var missing []string
	for _, l := range lines {
		number, planned := numbers[l.ID]
		if planned && l.Number != "" && number != l.Number {
			return fmt.Errorf("-ids: %s: order %s has the number %q, not %q: are these the ids of orders?", l.Where, l.ID,
				number, l.Number)
		}
		if name := cmp.Or(l.ID, l.Number); !known[name] {
			known[name] = true // report it once
			missing = append(missing, cmp.Or(l.Number, l.ID))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	rest := ""
	if more := len(missing) - maxListed; more > 0 {
		missing, rest = missing[:maxListed], fmt.Sprintf(" and %d more", more)
	}
	fmt.Fprintln(out)
	page.Paragraph(out, "", "These orders of -ids are not in the plan, because they have not failed or other flags "+
		"exclude them: "+strings.Join(missing, " ")+rest)
	return nil
}

var errNoSelection = errors.New(
	"-via billing needs -ids: Billing cannot list orders, so export the failed ones from the panel or by SQL")
