package console

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// errIncomplete means that a download ends early, and that the browser must notice.
var errIncomplete = errors.New("the download is incomplete")

// newCSV begins a download.
func newCSV(v *visit, name string) *bufio.Writer {
	h := v.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+name+`.csv"`)
	v.w.WriteHeader(http.StatusOK)
	return bufio.NewWriterSize(v.w, 64<<10)
}

// csvRow writes a row that spreadsheets show as it is. An error means that the browser is gone; the first one stays.
func csvRow(w *bufio.Writer, fields ...string) error {
	for i := range fields {
		fields[i] = harmless(fields[i])
	}
	return text.WriteCSV(w, fields...)
}

// harmless returns a text that no spreadsheet takes for a formula.
func harmless(s string) string {
	s = text.Lines(s)
	if s != "" && strings.Trim(s, "-.0123456789") == "" {
		return s // a number
	}
	if strings.HasPrefix(s, "\uFFFD") { // it was a control character
		return "'" + s
	}
	return text.NoFormula(s)
}

// planCSV downloads the orders of a plan that a filter selects.
func planCSV(v *visit) error {
	run, err := v.run()
	if err != nil {
		return err
	}
	p, leave, err := v.site.open(run)
	if err != nil {
		return err
	}
	defer leave()
	return listCSV(v, "plan-"+runName(run), p)
}

// ordersCSV downloads the orders that were read last and that a filter selects.
func ordersCSV(v *visit) error {
	p, leave, err := v.site.snapshot()
	if err != nil {
		return err
	}
	if p == nil {
		return notFound("the failed orders were never read; read them on the page Overview")
	}
	defer leave()
	return listCSV(v, "failed-orders", p)
}

func listCSV(v *visit, name string, p *shared) error {
	sel, err := v.selection(new(selectionForm))
	if err != nil {
		return err
	}
	found, err := v.search(p, sel)
	if err != nil {
		return err
	}
	w := newCSV(v, name)
	_ = csvRow(w, "number", "id", "customer", "customer id", "vendor", "channel", "type", "amount", "currency", "placed",
		"failed", "class", "cause", "window", "decision", "rule", "why", "due", "reason")
	for i, offset := range p.offsets {
		if !found.has(i) {
			continue
		}
		e, err := p.EntryAt(offset)
		if err != nil {
			return fmt.Errorf("%w: %w", errIncomplete, err)
		}
		if err := csvRow(w, entryFields(e)...); err != nil {
			return nil //nolint:nilerr // the browser is gone
		}
	}
	_ = w.Flush() // an error means that the browser is gone
	return nil
}

// entryFields returns the row of an order of a plan.
func entryFields(e *plan.Entry) []string {
	amount, _, _ := strings.Cut(e.Total.String(), " ") // with the digits that the server sent
	return []string{
		e.Number, e.OrderID, e.Customer, e.CustomerID, e.VendorAccountID, string(e.Channel), string(e.Type), amount,
		e.Total.Currency, text.Stamp(e.Before.PlacedAt), text.Stamp(e.Before.FailedAt), string(e.Attribution.Class),
		string(e.Attribution.Verdict), e.Attribution.WindowID, string(e.Decision.Action), e.Decision.RuleID,
		e.Decision.Why, text.Stamp(e.Due), e.Before.Message,
	}
}
