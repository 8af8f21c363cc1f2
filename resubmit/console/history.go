package console

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// historyBody is the page of all runs.
type historyBody struct {
	Rows        []historyRow
	First, Last string // the days on which they were planned; "" for any
	Before      string
	CSV         string
}

// historyRow is a run.
type historyRow struct {
	*state.Run
	Name     string
	Approved string // who approved it; "" if nobody did, or had to
	Result   string
	Outcomes resubmit.OutcomeCounts
	Waiting  *report.Tally // nil if there is no report
	Took     time.Duration // from the end of the maintenance until all were verified; 0 if unknown
	Reports  bool          // they can be downloaded
}

// historyRows is how many runs a page has.
const historyRows = 50

// historyPage shows all runs, the newest first.
func historyPage(v *visit) error {
	from, err := v.int("from", 0)
	if err != nil {
		return err
	}
	first, last, err := days(v)
	if err != nil {
		return err
	}
	runs, err := v.site.history(first, last)
	if err != nil {
		return err
	}
	body := &historyBody{First: first, Last: last, CSV: query("history.csv", "first", first, "last", last)}
	from = min(max(from, 0), len(runs))
	to := min(from+historyRows, len(runs))
	for i := range runs[from:to] {
		body.Rows = append(body.Rows, v.site.historyRow(&runs[from+i]))
	}
	if to < len(runs) {
		body.Before = query("history", "first", first, "last", last, "from", to)
	}
	return v.show("history", head{Title: "History", Page: "history", Body: body}, nil)
}

// days returns the first and the last day of the filter of a visit, such as 2026-11-30; "" for none.
func days(v *visit) (first, last string, err error) {
	first, last = v.field("first"), v.field("last")
	for name, day := range map[string]string{"first": first, "last": last} {
		if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
			return "", "", wrongField(name, "the %s day is %q; give it as 2026-11-30", name, text.Short(day))
		}
	}
	return first, last, nil
}

// history returns the runs that were planned from the first to the last day, the newest first.
func (s *site) history(first, last string) ([]state.Run, error) {
	runs, err := s.dir.Runs()
	slices.Reverse(runs)
	return slices.DeleteFunc(runs, func(run state.Run) bool {
		day := run.PlannedAt.In(s.cfg.Location).Format(time.DateOnly)
		return day < first || last != "" && day > last
	}), err
}

func (s *site) historyRow(run *state.Run) historyRow {
	row := historyRow{Run: run, Name: runName(run), Approved: s.approver(run)}
	row.Result = "not applied"
	switch {
	case run.Ended():
		row.Result = endWords(run)
	case !run.StartedAt.IsZero():
		row.Result = "not finished"
	}
	row.Outcomes = run.Result
	if run.StartedAt.IsZero() {
		return row
	}
	row.Reports = true
	if sum := s.summaryOf(run); sum != nil {
		row.Outcomes, row.Waiting, row.Took = sum.outcomes, sum.waiting, sum.took
	}
	return row
}

var errEnough = errors.New("enough was read")

// summary is the start of a report.
type summary struct {
	madeAt   time.Time
	outcomes resubmit.OutcomeCounts
	waiting  *report.Tally
	took     time.Duration
}

// summaryOf returns the summary of a run; nil if there is none. The report of a run that was killed later is out of
// date: when such a run has ended, the journal knows what became of it.
func (s *site) summaryOf(run *state.Run) *summary {
	if sum := reportHead(s.dir.Path(run, reportFile)); !sum.madeAt.Before(run.AppliedAt) {
		return sum
	}
	if !run.Ended() {
		return nil
	}
	doc, err := s.documentOf(run)
	if err != nil {
		s.cfg.Logger.Warn("the report of a run cannot be made", "run", run.ID, "error", err)
		return nil
	}
	return &summary{madeAt: doc.MadeAt, outcomes: doc.Outcomes, waiting: &doc.Waiting, took: tookOf(&doc.Times)}
}

// resultOf returns the outcomes of a run.
func (s *site) resultOf(run *state.Run) resubmit.OutcomeCounts {
	if run.Ended() && !run.AppliedAt.IsZero() {
		if sum := s.summaryOf(run); sum != nil {
			return sum.outcomes
		}
	}
	return run.Result
}

func tookOf(t *report.Times) time.Duration {
	return time.Duration(t.CloseToVerifiedSeconds * float64(time.Second))
}

// reportHead returns what a report says before its list of orders.
func reportHead(path string) *summary {
	sum := new(summary)
	f, err := os.Open(path) //nolint:gosec // a file of the state directory
	if err != nil {
		return sum
	}
	defer func() { _ = f.Close() }() // only read
	dec := json.NewDecoder(f)
	_ = eachField(dec, func(name string) error {
		switch name {
		case "madeAt":
			return dec.Decode(&sum.madeAt)
		case "outcomes":
			return dec.Decode(&sum.outcomes)
		case "waiting":
			sum.waiting = new(report.Tally)
			return dec.Decode(sum.waiting)
		case "times":
			var times report.Times
			err := dec.Decode(&times)
			sum.took = tookOf(&times)
			return err
		case "people", "items":
			return errEnough
		default:
			return dec.Decode(new(json.RawMessage))
		}
	})
	return sum
}

// eachField calls f for each field of an object, which must decode its value.
func eachField(dec *json.Decoder, f func(name string) error) error {
	if _, err := dec.Token(); err != nil { // {
		return err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		s, ok := name.(string)
		if !ok {
			return errEnough
		}
		if err := f(s); err != nil {
			return err
		}
	}
	return nil
}

// historyCSV downloads the list of runs.
func historyCSV(v *visit) error {
	first, last, err := days(v)
	if err != nil {
		return err
	}
	runs, err := v.site.history(first, last)
	if err != nil {
		return err
	}
	w := newCSV(v, "runs")
	_ = csvRow(w, "run", "for", "planned", "planned by", "approved by", "started", "ended", "orders", "verified",
		"failed again", "unknown", "result")
	for i := range runs {
		row := v.site.historyRow(&runs[i])
		n := &row.Outcomes
		_ = csvRow(w, row.ID, row.For, text.Stamp(row.PlannedAt), row.PlannedBy, row.Approved, text.Stamp(row.StartedAt),
			text.Stamp(row.EndedAt), strconv.Itoa(row.Counts.Resubmit), strconv.Itoa(n.Completed),
			strconv.Itoa(n.FailedAgain), strconv.Itoa(n.Unknown), row.Result)
	}
	_ = w.Flush() // an error means that the browser is gone
	return nil
}
