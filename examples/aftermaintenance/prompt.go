package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/eta"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// sending is what applying a plan would send.
type sending struct {
	report.Tally
	vendors int
	groups  int // of the canary
	others  int // orders of the plan that stay as they are
}

// sendingOf reads what a plan would send.
func sendingOf(p *plan.Plan) (s sending, err error) {
	customers, vendors, groups := map[string]bool{}, map[string]bool{}, map[plan.ReportGroup]bool{}
	var totals []commerce.Money
	for e, err := range p.Entries() {
		if err != nil {
			return s, err
		}
		if e.Decision.Action != rules.Resubmit {
			s.others++
			continue
		}
		s.Orders++
		customers[cmp.Or(e.CustomerID, e.Customer)], vendors[e.VendorAccountID] = true, true
		groups[plan.ReportGroup{Class: e.Attribution.Class, VendorAccountID: e.VendorAccountID, Channel: e.Channel}] = true
		totals = add(totals, e.Total)
	}
	delete(customers, "")
	s.Customers, s.vendors, s.groups, s.Money = len(customers), len(vendors), len(groups), totals
	return s, nil
}

// add adds an amount to the totals, one per currency.
func add(totals []commerce.Money, m commerce.Money) []commerce.Money {
	if m.IsZero() {
		return totals
	}
	for i := range totals {
		if totals[i].Currency == m.Currency {
			totals[i].Amount = totals[i].Amount.Add(m.Amount)
			return totals
		}
	}
	return append(totals, m)
}

// question describes what would be sent.
func (s *site) question(n sending) string {
	rate := resubmit.Config{RateLimit: s.cfg.Run.Rate}.WithDefaults().RateLimit
	q := fmt.Sprintf("Commerce will send %s of %s to %s", number(n.Orders, "order"), number(n.Customers, "customer"),
		number(n.vendors, "vendor"))
	if m := money(n.Money); m != "" {
		q += ": " + m
	}
	q += ". Vendors may bill them. This cannot be undone."
	if steps := s.cfg.Run.Canary; steps == nil || len(steps) > 0 {
		q += " A few orders of each group are sent first; a group stops if they fail again."
	} else {
		q += " There is no canary."
	}
	if rate > 0 {
		q += fmt.Sprintf(" At most %s calls per second, at least %s.", rateText(rate),
			span(eta.AtLimit(n.Orders, rate)))
	}
	if n.others > 0 {
		q += fmt.Sprintf(" %s.", countOf(n.others, "other order stays as it is", "other orders stay as they are"))
	}
	return q
}

func rateText(r float64) string { return strconv.FormatFloat(r, 'g', 3, 64) }

// confirm asks a person whether to resubmit the orders of a plan.
func (s *site) confirm(ctx context.Context, run *state.Run, p *plan.Plan) error {
	n, err := sendingOf(p)
	if err != nil {
		return err
	}
	orders := number(n.Orders, "order")
	if !s.AsksPeople() {
		s.next = s.command("apply", short(run.Digest), "-yes")
		return usagef("apply asks whether to resubmit %s, and here is no terminal: pass -yes", orders)
	}
	out := s.notesAlways()
	fmt.Fprintf(out.Out, "Plan %s, made %s for %s.\n", short(run.Digest), s.clock(run.PlannedAt), s.systems.Name)
	out.Paragraph("", s.question(n))
	count := strconv.Itoa(n.Orders)
	accepted, ask := []string{"yes", count}, fmt.Sprintf("Resubmit %s? Type yes (or %s): ", orders, count)
	if n.Orders > s.options.confirm || n.Orders > 1 && n.vendors > 2 {
		accepted, ask = []string{count}, fmt.Sprintf("Resubmit %s? Type %s to confirm: ", orders, count)
	}
	answer, err := s.ask(ctx, ask)
	if err != nil {
		s.next = s.command("apply", short(run.Digest))
		return err
	}
	if slices.ContainsFunc(accepted, func(a string) bool { return strings.EqualFold(answer, a) }) {
		return nil
	}
	return s.refused(answer, "Nothing was sent.", s.command("apply", short(run.Digest)))
}

// refused says what follows from an answer that is no approval, and returns the error.
func (s *site) refused(answer, says, next string) error {
	s.said, s.next = true, next
	fmt.Fprintln(s.Stderr, says)
	return stoppedError{fmt.Errorf("the answer was %q", answer)}
}

// ask asks a question and reads the answer. It returns early if the context ends.
func (s *site) ask(ctx context.Context, question string) (string, error) {
	fmt.Fprint(s.Stderr, question)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(s.Stdin).ReadString('\n') // an incomplete line is no answer
		answer <- strings.TrimSpace(line)
	}()
	select {
	case a := <-answer:
		return a, nil
	case <-ctx.Done():
		fmt.Fprintln(s.Stderr)
		return "", ctx.Err()
	}
}
