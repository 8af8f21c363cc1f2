package state

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/callback"
	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
)

// The files of a report.
const (
	reportFile = "report.json"
	csvFile    = "report.csv"
	htmlFile   = "report.html"
)

// Document returns the report of a run, and calls no system. Whenever its plan was applied, also in part, it is the one
// in the files report.json, report.csv and report.html of the run; there is no CSV with Config.Runner.OmitItems. While
// the plan is being applied, or if they could not be written, it is made of what the journal says. A plan that was not
// applied has a report too.
func (d *Dir) Document(run *Run) (*report.Document, error) {
	applied := cmp.Or(run.AppliedAt, run.StartedAt) // older files have no appliedAt
	if !applied.IsZero() {
		if doc, err := readDocument(d.runs.file(run, reportFile)); err == nil && !doc.MadeAt.Before(applied) {
			return doc, nil
		}
	}
	p, err := d.OpenPlan(run)
	if err != nil {
		return nil, err
	}
	defer func() { _ = p.Close() }() // only read
	in, err := d.reportInput(p)
	if err != nil {
		return nil, err
	}
	if !applied.IsZero() {
		if in.Report, err = d.recall(p); err != nil {
			return nil, err
		}
	}
	return report.New(in)
}

func readDocument(path string) (*report.Document, error) {
	f, err := durable.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	return report.Read(f)
}

// recall returns what the journal says about a plan.
func (d *Dir) recall(p *plan.Plan) (r *resubmit.Report, err error) {
	ctx := context.Background()
	err = d.journals.read(ctx, func(j resubmit.Journal) (err error) {
		if r, err = resubmit.RecordedReport(ctx, j, p); err != nil {
			err = fmt.Errorf("state: %w", err)
		}
		return err
	})
	return r, err
}

// reportInput returns what all reports have in common.
func (d *Dir) reportInput(p *plan.Plan) (in report.Input, err error) {
	in = report.Input{
		Plan: p, Location: d.cfg.Location, Command: d.cfg.Command, OmitItems: d.cfg.Runner.OmitItems, Now: now(),
	}
	if d.cfg.Observed != nil {
		in.Observed, err = callback.Call(func() ([]maintenance.Window, error) { return d.cfg.Observed(), nil })
	}
	return in, failed("write the report: Config.Observed", err)
}

// report writes the report of a run whose plan was applied.
func (s *session) report(run *Run, p *plan.Plan, marks []report.Mark, head audit.Head) error {
	if run.Report == nil {
		return nil
	}
	run.Result = run.Report.Result
	in, err := s.reportInput(p)
	if err != nil {
		return err
	}
	in.Report, in.Marks, in.Audit = run.Report, marks, head.String()
	doc, err := report.New(in)
	if err != nil {
		return failed("write the report", err)
	}
	files := map[string]func(io.Writer) error{reportFile: doc.WriteJSON, csvFile: doc.WriteCSV, htmlFile: doc.WriteHTML}
	if in.OmitItems {
		delete(files, csvFile)
	}
	for _, name := range []string{htmlFile, csvFile, reportFile} { // the last one shows that all are complete
		if write := files[name]; write != nil {
			if err := s.writeFile(run, name, write); err != nil {
				return failed("write "+name, err)
			}
		}
	}
	return nil
}

func (s *session) writeFile(run *Run, name string, write func(io.Writer) error) error {
	if err := s.runs.step("write " + name); err != nil {
		return err
	}
	f, err := durable.Create(s.runs.file(run, name), 0o600)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := write(f); err != nil {
		return err
	}
	return f.Commit()
}

// marks collects what the chart of a report shows besides orders.
type marks struct {
	mu  sync.Mutex
	all []report.Mark
}

// record passes on the events of a run to a function, which may be nil.
func (m *marks) record(to func(resubmit.Event) error) func(resubmit.Event) error {
	return func(e resubmit.Event) error {
		switch e := e.(type) {
		case resubmit.CanaryChange:
			what := fmt.Sprintf("canary of %s: %d of %d verified orders succeeded", e.Group, e.Good, e.Good+e.Bad)
			if e.Stopped != "" {
				what = "canary of " + e.Group + " stopped: " + e.Stopped
			}
			m.add(e.Stopped != "", what)
		case resubmit.BreakerChange:
			m.add(e.State == resubmit.BreakerOpen, "circuit breaker "+string(e.State)+": "+e.Why)
		}
		if to == nil {
			return nil
		}
		return to(e)
	}
}

func (m *marks) add(stopped bool, what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, report.Mark{At: now(), Stopped: stopped, Text: text.Sentence(what)})
}

// since returns all marks, after those of the report of an earlier process that has applied the plan.
func (m *marks) since(earlier string) []report.Mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	doc, err := readDocument(earlier)
	if err != nil { // there is none, or it is made again
		return m.all
	}
	return append(doc.Marks, m.all...)
}
