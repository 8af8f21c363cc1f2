package console

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// runBody is the page of a run.
type runBody struct {
	Run      *state.Run
	Did      string // the command that was just given
	Progress *progress
	Holder   string // the process that works on it; "" if none does
	Here     bool   // this process can continue it
	Failed   string // why applying failed last
	Controls controlButtons
	Pending  []state.Command
	Canary   []resubmit.CanaryStatus
	Doc      *report.Document // of a run that has begun; nil otherwise
	Chart    any              // template.HTML; nil until the run has ended
	Events   []audit.Line     // the newest ones first
	Last     int              // the number of the newest one
	Denied   string           // why the user may not control the run
}

// controlButtons says which controls a run has now.
type controlButtons struct {
	Pause, Resume, Limit, Drain, Cancel, Continue, Approve bool
	Rate                                                   float64
	MaxRate                                                float64
}

// runPage shows a run.
func runPage(v *visit) error {
	run, err := v.run()
	if err != nil {
		return err
	}
	return v.showRun(run, nil)
}

// showRun shows a run, with the problem of a command.
func (v *visit) showRun(run *state.Run, failed error) error {
	s := v.site
	status, err := s.dir.Status()
	if err != nil {
		return err
	}
	body := &runBody{
		Run: run, Did: v.field("did"), Progress: s.progressOf(run, &status), Here: s.cfg.Apply != nil,
		Denied: v.denied(Control, "control", run),
	}
	current := status.Run != nil && status.Run.ID == run.ID
	if current {
		body.Pending, body.Failed = status.Commands, s.applyError()
	}
	if current && status.Busy && status.Holder != nil {
		body.Holder = fmt.Sprintf("%s, process %d on %s", shown(status.Holder.Program), status.Holder.PID,
			shown(status.Holder.Host))
	}
	body.Controls = s.controlsOf(run, current, status.Busy, s.approver(run))
	if v.allowBegin("continue", run) != nil {
		body.Controls.Continue, body.Controls.Resume = false, false
	}
	if run.Live != nil {
		body.Canary = run.Live.Canary
	}
	if err := s.fillRun(body); err != nil {
		return err
	}
	h := head{Title: "Run " + runName(run), Page: "run", Body: body}
	if current && !run.Ended() {
		h.Events = query("events", "run", run.ID, "after", body.Last)
	}
	return v.show("run", h, failed)
}

// controlsOf returns the controls of a run.
func (s *site) controlsOf(run *state.Run, current, busy bool, approver string) controlButtons {
	cfg := s.dir.Config()
	open := current && !run.Ended()
	begun := open && !run.StartedAt.IsZero()
	obeys := open && (!begun || busy) // else nothing is sent or verified until it is continued
	b := controlButtons{
		Pause: obeys && run.Paused == nil, Resume: open && run.Paused != nil, Limit: obeys,
		Drain: begun && busy, Cancel: begun,
		Approve: open && !begun && approver == "",
		Rate:    run.Rate, MaxRate: cfg.Limits.MaxRate,
	}
	b.Continue = open && !busy && !b.Approve && run.Paused == nil && s.cfg.Apply != nil
	if b.Rate == 0 {
		b.Rate = resubmit.Config{RateLimit: cfg.Runner.RateLimit}.WithDefaults().RateLimit
	}
	return b
}

// fillRun adds the report and the last events.
func (s *site) fillRun(body *runBody) error {
	path := s.dir.Path(body.Run, auditFile)
	last, err := lastNumber(path)
	if err == nil {
		body.Last = last
		body.Events, err = lastEvents(path, maxEvents)
	}
	if err != nil {
		return err
	}
	if body.Run.StartedAt.IsZero() {
		return nil
	}
	doc, err := s.documentOf(body.Run)
	if err != nil {
		return err
	}
	if body.Doc = doc.Document; body.Run.Ended() {
		body.Chart = doc.Chart().SVG(report.ChartOptions{})
	}
	return nil
}

// How many events a page shows, and how many bytes of the log are read for them.
const (
	maxEvents     = 50
	maxEventBytes = 256 << 10
	lastBytes     = 32 << 10
)

// shownEvents are the lines of the log that say something to people.
var shownEvents = []string{
	audit.EventRecovered, audit.EventAct, audit.EventPlanStarted, audit.EventPaused, audit.EventResumed,
	audit.EventRateLimit, audit.EventControl, audit.EventBreaker, audit.EventCanary, audit.EventOutcome,
	audit.EventRunFinished,
}

// lastEvents returns the newest n events of an audit log, the newest first.
func lastEvents(path string, n int) (events []audit.Line, err error) {
	lines, err := lastLines(path, maxEventBytes)
	for _, line := range slices.Backward(lines) {
		var e audit.Line
		if len(events) < n && number.Unmarshal(line, &e) == nil &&
			(e.Error != "" || slices.Contains(shownEvents, e.Event)) {
			events = append(events, e)
		}
	}
	return events, err
}

// lastNumber returns the number of the last line of an audit log; 0 if it has none.
func lastNumber(path string) (int, error) {
	lines, err := lastLines(path, lastBytes)
	for _, line := range slices.Backward(lines) {
		var e audit.Line
		if number.Unmarshal(line, &e) == nil {
			return e.N, err
		}
	}
	return 0, err
}

// lastLines returns the whole lines in the last bytes of a file, which need not exist.
func lastLines(path string, n int64) ([][]byte, error) {
	f, err := os.Open(path) //nolint:gosec // a file of the state directory
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	start := max(0, info.Size()-n)
	text, err := io.ReadAll(io.NewSectionReader(f, start, n))
	lines := bytes.Split(text, []byte{'\n'})
	if start > 0 {
		lines = lines[1:] // cut off
	}
	return lines, err
}

// taskWait is how long a POST waits for its task, so that a short one needs no page of its own.
const taskWait = 1500 * time.Millisecond

// taskBody is the page of work in the background.
type taskBody struct {
	Task     *task
	Progress string
	Failed   string
}

// taskPage shows work in the background.
func taskPage(v *visit) error {
	id, err := v.int("id", 0)
	if err != nil {
		return err
	}
	k := cmp.Or(v.site.tasks.find(id), v.site.tasks.newest())
	if k == nil {
		return notFound("nothing was started in this process")
	}
	h := head{Title: k.Name}
	if !k.Done() {
		h.Events, h.Body = query("events", "task", k.ID), &taskBody{Task: k, Progress: k.Progress()}
		return v.show("task", h, nil)
	}
	page, err := k.outcome()
	if err == nil {
		return v.see(page)
	}
	h.Body = &taskBody{Failed: shown(err.Error())}
	return v.show("task", h, nil)
}

// started answers a POST that started a task.
func (v *visit) started(k *task, err error) error {
	if err != nil {
		return err
	}
	k.wait(v.r.Context(), taskWait)
	if k.Done() {
		if page, err := k.outcome(); err == nil {
			return v.see(page)
		}
	}
	return v.see(query("task", "id", k.ID))
}
