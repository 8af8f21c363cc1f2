package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v3"

	"github.com/cloudblue-go/cloudblue/examples/internal/page"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

func listCommand(p *program) *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "show the failed orders in groups, and the maintenance windows",
		Description: "It only reads. Orders whose reasons differ only in ids, times and numbers are a group.",
		Flags: joined([]cli.Flag{&cli.IntFlag{Name: "group", Destination: &p.options.group,
			Validator: checkGroup, Usage: "show the orders of the group with this `number`"}}, selectionFlags(&p.options)),
		Action: func(ctx context.Context, _ *cli.Command) error { return p.list(ctx) },
	}
}

func checkGroup(n int) error {
	if n < 1 {
		return errors.New("groups have the numbers that list shows, from 1")
	}
	return nil
}

// list shows the failed orders.
func (p *program) list(ctx context.Context) error {
	s, err := p.openSystems(ctx, true)
	if err != nil {
		return err
	}
	snapshot, err := s.snapshot(ctx)
	s.Stderr.Clear()
	if err != nil {
		return s.planningFailed(err)
	}
	defer func() { _ = snapshot.Close() }() // only read
	d, err := s.document(snapshot)
	if err != nil {
		return err
	}
	if d.All.Orders > 0 {
		p.next = p.command(append([]string{"plan"}, p.selectionWords()...)...)
	}
	return s.showList(d)
}

// snapshot lists the failed orders. Those of a group are taken from the last list, so that its number means the same.
func (s *site) snapshot(ctx context.Context) (*plan.Plan, error) {
	if s.selects() {
		return s.dir.Preview(ctx, nil)
	}
	if s.options.group != 0 {
		if last, err := s.dir.Overview(); last != nil || err != nil {
			return last, err
		}
	}
	err := s.dir.Read(ctx)
	if locked, ok := errors.AsType[*state.LockedError](err); ok {
		if last, opened := s.dir.Overview(); last != nil && opened == nil {
			s.notes().Paragraph("", fmt.Sprintf("This was read %s, because %s.", s.clock(last.Header().CreatedAt), locked))
			return last, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return s.dir.Overview()
}

// selectionWords are the flags that select orders, for the next command.
func (p *program) selectionWords() (words []string) {
	o := &p.options
	for _, f := range []struct{ flag, value string }{
		{"-where", o.where}, {"-from", o.from}, {"-to", o.to}, {"-window", o.window}, {"-ids", o.ids},
		{"-order", strings.Join(o.orders, ",")},
	} {
		if f.value != "" {
			words = append(words, f.flag, shellWord(f.value))
		}
	}
	if o.caused {
		words = append(words, "-caused")
	}
	return words
}

// selects reports whether flags select orders.
func (p *program) selects() bool { return len(p.selectionWords()) > 0 }

// showList shows the groups, or the orders of one, in the form of -o.
func (s *site) showList(d *report.Document) error {
	items := d.Items
	if n := s.options.group; n != 0 {
		if n < 1 || n > len(d.Reasons) {
			return usagef("-group %d: there are groups 1 to %d", n, len(d.Reasons))
		}
		items = inGroup(d, d.Reasons[n-1])
	}
	out := s.page()
	switch s.options.format {
	case formatJSON, formatCSV, formatName:
		part := *d
		part.Items = items
		return s.writeDocument(&part)
	case formatText:
		if s.options.group != 0 {
			break
		}
		if d.All.Orders == 0 {
			fmt.Fprintln(out.Out, "No failed orders.")
			return nil
		}
		out.Paragraph("", fmt.Sprintf("%s have failed. The oldest is of %s.", tally(d.All), s.clock(d.Timeline.First)))
		s.showReasons(out, d)
		s.showWindows(out, d)
		s.showChart(out, d)
		return nil
	}
	s.showItems(out, items)
	return nil
}

// inGroup returns the orders of a group.
func inGroup(d *report.Document, g report.Group) (items []report.Item) {
	for _, i := range d.Items {
		if i.Class == g.Class && failure.Template(i.Reason) == g.Template {
			items = append(items, i)
		}
	}
	return items
}

// writeDocument writes a document for a machine, in the form of -o.
func (s *site) writeDocument(d *report.Document) error {
	switch s.options.format {
	case formatCSV:
		return d.WriteCSV(s.Stdout)
	case formatName:
		for _, i := range d.Items {
			if _, err := fmt.Fprintln(s.Stdout, text.Clean(i.Number)); err != nil {
				return err
			}
		}
		return nil
	default:
		return d.WriteJSON(s.Stdout)
	}
}

// showChart prints the failures over time on one line.
func (s *site) showChart(out page.Page, d *report.Document) {
	if line := d.Chart().Line(min(out.Width, 120), !s.Unicode()); line != "" {
		fmt.Fprintf(out.Out, "\n%s\n", line)
	}
}
