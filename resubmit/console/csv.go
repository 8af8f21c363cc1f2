package console

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// errIncomplete means that a download ends early, and that the browser must notice.
var errIncomplete = errors.New("the download is incomplete")

// csvWriter writes rows that spreadsheets show as they are. The first error stays.
type csvWriter struct {
	w   *bufio.Writer
	err error
}

// newCSV begins a download.
func newCSV(v *visit, name string) *csvWriter {
	h := v.w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="`+name+`.csv"`)
	v.w.WriteHeader(http.StatusOK)
	return &csvWriter{w: bufio.NewWriterSize(v.w, 64<<10)}
}

// row writes fields, each in quotes.
func (c *csvWriter) row(fields ...string) {
	for i, field := range fields {
		if i > 0 {
			c.write(",")
		}
		c.write(`"` + strings.ReplaceAll(harmless(field), `"`, `""`) + `"`)
	}
	c.write("\r\n")
}

func (c *csvWriter) write(s string) {
	if c.err == nil {
		_, c.err = io.WriteString(c.w, s)
	}
}

// flush ends the rows. An error means that the browser is gone, and the file is incomplete.
func (c *csvWriter) flush() {
	if c.err == nil {
		c.err = c.w.Flush()
	}
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

// stamp is a time in a CSV file; "" if it is unknown.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
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
	c := newCSV(v, name)
	c.row("number", "id", "customer", "customer id", "vendor", "channel", "type", "amount", "currency", "placed", "failed",
		"class", "cause", "window", "decision", "rule", "why", "due", "reason")
	for i, offset := range p.offsets {
		if !found.has(i) || c.err != nil {
			continue
		}
		e, err := p.EntryAt(offset)
		if err != nil {
			return fmt.Errorf("%w: %w", errIncomplete, err)
		}
		c.entry(e)
	}
	c.flush()
	return nil
}

// entry writes an order of a plan.
func (c *csvWriter) entry(e *plan.Entry) {
	amount, _, _ := strings.Cut(e.Total.String(), " ") // with the digits that the server sent
	c.row(e.Number, e.OrderID, e.Customer, e.CustomerID, e.VendorAccountID, string(e.Channel), string(e.Type), amount,
		e.Total.Currency, stamp(e.Before.PlacedAt), stamp(e.Before.FailedAt), string(e.Attribution.Class),
		string(e.Attribution.Verdict), e.Attribution.WindowID, string(e.Decision.Action), e.Decision.RuleID,
		e.Decision.Why, stamp(e.Due), e.Before.Message)
}
