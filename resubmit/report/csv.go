package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// column is one column of the CSV file. Plain columns have numbers that this package formats; all others have text.
type column struct {
	name  string
	plain bool
	value func(*Item) string
}

// columns returns the columns of the CSV file; the documentation of WriteCSV has the same list.
func columns() []column {
	return []column{
		{"number", false, func(i *Item) string { return i.Number }},
		{"id", false, func(i *Item) string { return i.ID }},
		{"customer", false, func(i *Item) string { return i.Customer }},
		{"customer id", false, func(i *Item) string { return i.CustomerID }},
		{"vendor", false, func(i *Item) string { return i.Vendor }},
		{"channel", false, func(i *Item) string { return string(i.Channel) }},
		{"type", false, func(i *Item) string { return string(i.Type) }},
		{"total", true, total},
		{"currency", false, func(i *Item) string { return i.Total.Currency }},
		{"failed at", true, func(i *Item) string { return text.Stamp(i.FailedAt) }},
		{"placed at", true, func(i *Item) string { return text.Stamp(i.PlacedAt) }},
		{"class", false, func(i *Item) string { return string(i.Class) }},
		{"reason", false, func(i *Item) string { return i.Reason }},
		{"cause", false, func(i *Item) string { return string(i.Cause) }},
		{"window", false, func(i *Item) string { return i.Window }},
		{"action", false, func(i *Item) string { return string(i.Action) }},
		{"rule", false, func(i *Item) string { return i.Rule }},
		{"decision", false, func(i *Item) string { return i.Decision }},
		{"please check", false, func(i *Item) string { return yes(i.Flagged) }},
		{"due", true, func(i *Item) string { return text.Stamp(i.Due) }},
		{"target", false, func(i *Item) string { return string(i.Target) }},
		{"outcome", false, func(i *Item) string { return string(i.Outcome) }},
		{"why", false, func(i *Item) string { return i.Why }},
		{"acts next", false, func(i *Item) string { return string(i.Actor) }},
		{"blocked by", false, func(i *Item) string { return i.BlockedBy }},
		{"attempts", true, func(i *Item) string { return fmt.Sprint(i.Attempts) }},
		{"pushed at", true, func(i *Item) string { return text.Stamp(i.PushedAt) }},
		{"done at", true, func(i *Item) string { return text.Stamp(i.DoneAt) }},
		{"commerce only", false, func(i *Item) string { return yes(i.CommerceOnly) }},
		{"class after", false, func(i *Item) string { return string(i.ClassAfter) }},
		{"reason after", false, func(i *Item) string { return i.ReasonAfter }},
		{"correlation id", false, func(i *Item) string { return i.CorrelationID }},
		{"evidence", false, evidence},
	}
}

// total returns the amount with the digits that the server sent; "" if it is unknown.
func total(i *Item) string {
	amount, _, _ := strings.Cut(i.Total.String(), " ")
	return amount
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func evidence(i *Item) string {
	parts := make([]string, len(i.Evidence))
	for n, e := range i.Evidence {
		parts[n] = e.Kind + ": " + e.Text
	}
	return strings.Join(parts, "; ")
}

// ErrNoItems means that a document has no items, see Input.OmitItems.
var ErrNoItems = errors.New("the document was made without its orders")

// WriteCSV writes one line per order of the plan, after a line with the names of the columns, as RFC 4180 has it:
// every field is in quotes, lines end with CR LF. Times are in UTC. The columns are
//
//   - number, id: of the order
//   - customer, customer id, vendor, channel (direct or reseller), type
//   - total (with a decimal point), currency
//   - failed at (empty if unknown), placed at
//   - class, reason: of the failure, and its text
//   - cause, window: whether a maintenance caused it, and which
//   - action, rule, decision, please check, due: what the plan says, by which rule and why, and when it can be planned
//     again
//   - target, outcome, why: the status that the order was pushed to, what became of it, and the reason
//   - acts next (run, plan, vendor, person or empty), blocked by: another order that must be solved first
//   - attempts, pushed at, done at: the pushes, the answer to the last one, and when the outcome was known
//   - commerce only: Connect was not asked about the completed order
//   - class after, reason after: of an order that failed again
//   - correlation id, evidence
//
// Text is on one line, without control characters, and of at most 8 KiB; the JSON has all of it. A text that a
// spreadsheet would take for a formula has a ' in front. WriteCSV returns [ErrNoItems] if the items were omitted.
func (d *Document) WriteCSV(w io.Writer) error {
	if d.Items == nil {
		return fmt.Errorf("report: write CSV: %w", ErrNoItems)
	}
	b := bufio.NewWriterSize(w, 64<<10)
	list := columns()
	fields := make([]string, len(list))
	for n, c := range list {
		fields[n] = c.name
	}
	_ = text.WriteCSV(b, fields...) // Flush returns the errors of b
	for i := range d.Items {
		for n, c := range list {
			if fields[n] = c.value(&d.Items[i]); !c.plain {
				fields[n] = text.NoFormula(text.Sentence(fields[n]))
			}
		}
		_ = text.WriteCSV(b, fields...)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("report: write CSV: %w", err)
	}
	return nil
}
