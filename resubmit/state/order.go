package state

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// OrderHistory is what a state directory knows about an order.
type OrderHistory struct {
	ID     string
	Number string
	// Record is that of the journal; nil if nothing was done to the order.
	Record *protocol.Record
	// Listed is the order as [Dir.Read] has listed it last; nil if that has not.
	Listed *plan.Entry
	// Runs are those whose plans or audit logs have the order, the oldest first.
	Runs []OrderRun
}

// OrderRun is what one run knows about an order.
type OrderRun struct {
	Run Run
	// Entry is that of the plan; nil if the plan does not have the order.
	Entry *plan.Entry
	// Events are the last lines about the order in the audit log, at most 200. Omitted counts those before them.
	Events  []audit.Line
	Omitted int
	// Problem is why plan or audit log could not be read completely; "" if they could.
	Problem string
}

// maxEvents is how many lines of an audit log OrderRun.Events has.
const maxEvents = 200

// Order returns what the directory knows about an order, by its id or number. It calls no system. It searches the plans
// and audit logs of all runs, which takes about a second per gigabyte. The error matches [fs.ErrNotExist] if the order
// is in none of them, nor in the journal or the last overview.
func (d *Dir) Order(ctx context.Context, idOrNumber string) (*OrderHistory, error) {
	h := &OrderHistory{ID: idOrNumber, Number: idOrNumber}
	record, err := d.recordOf(ctx, idOrNumber)
	switch {
	case err == nil:
		h.Record, h.ID, h.Number = &record, record.ID, record.Order.Number
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if h.Listed, err = h.entry(filepath.Join(d.path, overviewFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("the overview could not be read", "error", err)
	}
	runs, err := d.Runs()
	if err != nil {
		return nil, err
	}
	for i := range runs {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("state: order %s: %w", text.Short(idOrNumber), err)
		}
		if r := h.in(d, &runs[i]); r.Entry != nil || len(r.Events) > 0 || r.Problem != "" {
			h.Runs = append(h.Runs, r)
		}
	}
	if h.Record == nil && h.Listed == nil && len(h.Runs) == 0 {
		return nil, fmt.Errorf("state: order %s: %w in %s", text.Short(idOrNumber), fs.ErrNotExist, d.path)
	}
	return h, nil
}

// recordOf reads the record of an order in the journal.
func (d *Dir) recordOf(ctx context.Context, idOrNumber string) (r protocol.Record, err error) {
	err = d.journals.read(ctx, func(j resubmit.Journal) (err error) {
		r, err = findOrder(ctx, j, idOrNumber)
		return err
	})
	return r, err
}

// in returns what a run knows about the order.
func (h *OrderHistory) in(d *Dir, run *Run) OrderRun {
	r := OrderRun{Run: *run}
	var planned, logged error
	r.Entry, planned = h.entry(d.runs.file(run, planFile))
	logged = linesWith(d.runs.file(run, auditFile), h.ID, func(text []byte) error {
		var line audit.Line
		if err := json.Unmarshal(text, &line); err != nil {
			return err
		}
		if line.Order != h.ID {
			return nil
		}
		if r.Events = append(r.Events, line); len(r.Events) > maxEvents {
			r.Events, r.Omitted = r.Events[1:], r.Omitted+1
		}
		return nil
	})
	for _, err := range []error{planned, logged} {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.Problem = text.Sentence(err.Error())
		}
	}
	return r
}

// entry returns the entry of the order in a plan file; nil if there is none.
func (h *OrderHistory) entry(path string) (found *plan.Entry, err error) {
	has := false
	for _, name := range []string{h.ID, h.Number} {
		if err := linesWith(path, name, func([]byte) error { has = true; return nil }); err != nil {
			return nil, err
		}
		if has {
			break
		}
	}
	if !has {
		return nil, nil //nolint:nilnil // documented
	}
	at := int64(-1)
	p, err := plan.OpenEach(path, func(e *plan.Entry, offset int64) {
		if e.OrderID == h.ID || e.Number == h.Number {
			at = offset
		}
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = p.Close() }() // only read
	if at < 0 {
		return nil, nil //nolint:nilnil // documented
	}
	if found, err = p.EntryAt(at); err == nil {
		h.ID, h.Number = found.OrderID, found.Number
	}
	return found, err
}

// maxLine is the longest line that a plan or an audit log may have.
const maxLine = 16 << 20

// linesWith calls a function for the lines of a file that may have a name as a JSON text.
func linesWith(path, name string, each func([]byte) error) error {
	f, err := durable.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	quoted, err := json.Marshal(name)
	if err != nil {
		return err
	}
	quoted = text.EscapeJSON(quoted)
	s := bufio.NewScanner(f)
	s.Buffer(make([]byte, 0, 256<<10), maxLine)
	for s.Scan() {
		if bytes.Contains(s.Bytes(), quoted) {
			if err := each(s.Bytes()); err != nil {
				return err
			}
		}
	}
	return s.Err()
}
