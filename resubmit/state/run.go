package state

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// Run is a plan and what was done with it: the content of run.json.
type Run struct {
	Kind    string `json:"kind"`
	Version int    `json:"version"`
	// ID is the name of the run's directory in runs/: the time of the plan and the start of its digest.
	ID string `json:"id"`
	// Digest is that of the plan, and the name of the run in the journal.
	Digest    string            `json:"digest"`
	Counts    plan.ActionCounts `json:"counts"`
	PlannedAt time.Time         `json:"plannedAt"`
	// PlannedBy is who made the plan: a person, or a process.
	PlannedBy string `json:"plannedBy,omitempty"`
	// Review reports that the plan needs an approval by a person even within Limits: it was made by [Dir.Plan], or its
	// approval was revoked.
	Review bool `json:"review,omitempty"`
	// For says what the plan is for, such as the maintenance that a watcher handles; "" if nobody said so.
	For string `json:"for,omitempty"`
	// Due is when the first order that waits is due; zero if that is not known, or if none waits.
	Due time.Time `json:"due,omitzero"`
	// StartedAt is when the plan was first applied; zero if it was not.
	StartedAt time.Time `json:"startedAt,omitzero"`
	// AppliedAt is when a process began to apply the plan the last time; zero if it was not applied.
	AppliedAt time.Time `json:"appliedAt,omitzero"`
	// Owner names the last process that worked on the run.
	Owner string `json:"owner"`
	// EndedAt is when the run ended, and End how; zero while it is to be continued. Why is the reason, for people.
	EndedAt time.Time `json:"endedAt,omitzero"`
	End     End       `json:"end,omitempty"`
	Why     string    `json:"why,omitempty"`
	// Paused says who paused the run. It is continued after a resume.
	Paused *Pause `json:"paused,omitempty"`
	// Stop says who drained or cancelled the run. If it has not ended, the next Once ends it and sends nothing.
	Stop *Stop `json:"stop,omitempty"`
	// Rate is the rate limit that a command has set, in calls per second; 0 if none has.
	Rate float64 `json:"rate,omitempty"`
	// Result counts the outcomes, as of the last time that the plan was applied.
	Result resubmit.OutcomeCounts `json:"result"`
	// Live is the status of a run that is being applied, at most a few seconds old; nil otherwise.
	Live *resubmit.Status `json:"live,omitempty"`

	// Report is set in a [Result] if the call applied the plan.
	Report *resubmit.Report `json:"-"`
}

// Pause records who paused a run, when and why.
type Pause struct {
	By  string    `json:"by"`
	At  time.Time `json:"at"`
	Why string    `json:"why,omitempty"`
}

// Stop records who stopped a run, how, when and why.
type Stop struct {
	End End       `json:"end"` // EndDrained or EndCancelled
	By  string    `json:"by"`
	At  time.Time `json:"at"`
	Why string    `json:"why,omitempty"`
}

func (s *Stop) String() string {
	if s.Why == "" {
		return "by " + s.By
	}
	return "by " + s.By + ": " + s.Why
}

// stopped returns the error of a run that has a Stop.
func (r *Run) stopped() error {
	err := resubmit.ErrCancelled
	if r.Stop.End == EndDrained {
		err = resubmit.ErrDrained
	}
	return fmt.Errorf("state: run %s: %w %s", r.ID, err, r.Stop)
}

// End is how a run ended.
type End string

// The ends of a run.
const (
	EndFinished  End = "finished"
	EndNothing   End = "nothing"   // no order is to be resubmitted
	EndTooEarly  End = "tooEarly"  // no order is to be resubmitted yet
	EndDrained   End = "drained"   // by a command
	EndCancelled End = "cancelled" // by a command
	EndStale     End = "stale"     // too old to be applied, or the maintenance windows have changed since
	EndLost      End = "lost"      // the journal was lost
)

const (
	planFile  = "plan.jsonl"
	runFile   = "run.json"
	auditFile = "audit.jsonl"

	hidden = "." // starts the names of directories in runs/ that are not complete
)

var runFormat = jsonfile.Format[Run]{
	Name: "state: run", MaxBytes: 16 << 20, Kind: "cloudblue-resubmit-run", Version: 1, AllowNull: true,
	Check: func(r *Run) error {
		switch {
		case r.ID == "" || strings.ContainsAny(r.ID, `/\`):
			return jsonfile.Errorf("id", "is not the name of a run")
		case !strings.HasPrefix(r.Digest, "sha256:"):
			return jsonfile.Errorf("digest", "is not the digest of a plan")
		case r.EndedAt.IsZero() != (r.End == ""):
			return jsonfile.Errorf("end", "must be there if endedAt is, and only then")
		case r.Stop != nil && r.Stop.End != EndDrained && r.Stop.End != EndCancelled:
			return jsonfile.Errorf("stop.end", "%q is unknown", text.Short(string(r.Stop.End)))
		}
		return nil
	},
}

// Ended reports whether the run is over.
func (r *Run) Ended() bool { return r.End != "" }

// applied reports whether the plan was applied, at least in part.
func (r *Run) applied() bool { return r != nil && !r.StartedAt.IsZero() && r.End != EndStale }

// nothing returns how a run ends at once, because no order can be resubmitted; "" if one can.
func (r *Run) nothing() End {
	switch {
	case r.Counts.Resubmit > 0:
		return ""
	case r.Counts.Wait > 0:
		return EndTooEarly
	default:
		return EndNothing
	}
}

// String describes the run on one line, without its report.
func (r *Run) String() string {
	line := fmt.Sprintf("run %s: %s", r.ID, r.Counts)
	if r.For != "" {
		line = fmt.Sprintf("run %s for %s: %s", r.ID, r.For, r.Counts)
	}
	switch {
	case r.End == EndTooEarly:
		line += "; too early, the first order is due " + clock(r.Due)
	case r.End == EndNothing:
		line += "; nothing to do"
	case r.Ended():
		line += fmt.Sprintf("; %s %s: %s", r.End, clock(r.EndedAt), r.Result)
	case r.Stop != nil:
		line += fmt.Sprintf("; to end as %s, %s", r.Stop.End, r.Stop)
	case r.Paused != nil:
		line += fmt.Sprintf("; paused by %s %s", r.Paused.By, clock(r.Paused.At))
	case r.StartedAt.IsZero():
		line += "; not applied yet"
	case r.Live != nil:
		line += "; " + r.Live.String()
	default:
		line += "; not finished"
	}
	if r.Why != "" {
		line += ": " + r.Why
	}
	return text.OneLine(line)
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "at an unknown time"
	}
	return t.UTC().Format(time.RFC3339)
}

// runStore keeps the runs of a state directory, each in a directory of its own.
type runStore struct {
	path    string
	owner   string                  // is recorded in the runs
	command string                  // see Config.Command
	step    func(name string) error // is called before a file is changed; replaced by tests
}

// Runs returns all runs, the oldest first.
func (d *Dir) Runs() ([]Run, error) {
	names, err := d.runs.names()
	if err != nil {
		return nil, err
	}
	runs := make([]Run, 0, len(names))
	for _, name := range names {
		run, err := d.runs.read(name)
		if err != nil {
			return nil, err
		}
		runs = append(runs, *run)
	}
	return runs, nil
}

// Run returns a run by its ID, by the digest of its plan, or by at least four characters with which the digest begins.
// The error matches [fs.ErrNotExist] if there is none.
func (d *Dir) Run(name string) (*Run, error) {
	names, err := d.runs.names()
	if err != nil {
		return nil, err
	}
	short := strings.TrimPrefix(name, "sha256:")
	var found []*Run
	for _, id := range names {
		_, digest, _ := strings.Cut(id, "-")
		if id != name && (len(short) < 4 || !strings.HasPrefix(digest, short[:min(len(short), len(digest))])) {
			continue
		}
		run, err := d.runs.read(id)
		if err != nil {
			return nil, err
		}
		if id == name || strings.HasPrefix(run.Digest, "sha256:"+short) {
			found = append(found, run)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("state: run %s: %w; give its name, or the digest of its plan", text.Short(name),
			fs.ErrNotExist)
	default:
		return nil, fmt.Errorf("state: %s may be run %s or %s; give the whole name", text.Short(name), found[0].ID,
			found[1].ID)
	}
}

// Path returns the path of a file of a run, such as "plan.jsonl" or "report.json". The file may not exist.
func (d *Dir) Path(run *Run, file string) string { return d.runs.file(run, file) }

func (s *runStore) file(run *Run, name string) string { return filepath.Join(s.path, run.ID, name) }

// names returns the names of all runs, the oldest first.
func (s *runStore) names() ([]string, error) {
	all, err := os.ReadDir(s.path)
	if err != nil {
		return nil, failed("list the runs", err)
	}
	var names []string
	for _, e := range all {
		if _, ok := plannedAt(e.Name()); ok && e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

const timeForm = "20060102T150405.000Z" // in the names of runs

// plannedAt returns the time in the name of a run.
func plannedAt(name string) (time.Time, bool) {
	start, _, _ := strings.Cut(name, "-")
	t, err := time.Parse(timeForm, start)
	return t, err == nil
}

// newID returns the name of a new run, which is sorted behind all others even if the clock was set back.
func (s *runStore) newID(run *Run) (string, error) {
	names, err := s.names()
	if err != nil {
		return "", err
	}
	at := run.PlannedAt
	if len(names) > 0 {
		if last, _ := plannedAt(names[len(names)-1]); at.Truncate(time.Millisecond).Compare(last) <= 0 {
			at = last.Add(time.Millisecond)
		}
	}
	return at.UTC().Format(timeForm) + "-" + strings.TrimPrefix(run.Digest, "sha256:")[:12], nil
}

func (s *runStore) read(name string) (*Run, error) {
	path := filepath.Join(s.path, name, runFile)
	run, err := runFormat.ReadFile(path)
	if err == nil && run.ID != name {
		err = fmt.Errorf("%s is the file of the run %s; move it back", path, run.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("%w; or move the directory of the run away", err)
	}
	return &run, nil
}

// newest returns the newest run, and the newest one before it that was applied; nil if there is none.
func (s *runStore) newest() (run, applied *Run, err error) {
	names, err := s.names()
	if err != nil {
		return nil, nil, err
	}
	for i, name := range slices.Backward(names) {
		r, err := s.read(name)
		switch {
		case err != nil:
			return nil, nil, err
		case i == len(names)-1:
			run = r
		case r.applied():
			return run, r, nil
		}
	}
	return run, nil, nil
}

// unfinished returns the run that is to be continued. digest is that of its plan, or "".
func (s *runStore) unfinished(digest string) (*Run, error) {
	run, _, err := s.newest()
	if err == nil && (run == nil || run.Ended() || digest != "" && run.Digest != digest) {
		err = fmt.Errorf("state: %w: %s; see the status for the current one", ErrNoRun, cmp.Or(text.Short(digest), s.path))
	}
	return run, err
}

// openPlan opens the plan of a run, and rejects one that was edited or replaced.
func (s *runStore) openPlan(run *Run) (*plan.Plan, error) {
	p, err := plan.Open(s.file(run, planFile))
	if err == nil && p.Digest() != run.Digest {
		_ = p.Close() // only read
		err = fmt.Errorf("the plan was replaced: its digest is %s, and was %s", p.Digest(), run.Digest)
	}
	if err != nil {
		return nil, fmt.Errorf("state: run %s: %w; put the file back, or end the run: %s cancel", run.ID, err, s.command)
	}
	return p, nil
}

// save writes run.json.
func (s *runStore) save(run *Run) error {
	if err := s.step("write " + runFile); err != nil {
		return failed("write "+runFile, err)
	}
	run.Owner = s.owner
	return failed("write "+runFile, runFormat.WriteFile(s.file(run, runFile), *run, 0o600))
}

// end ends a run.
func (s *runStore) end(run *Run, how End, why string) error {
	run.End, run.EndedAt, run.Why, run.Live = how, now(), text.Sentence(why), nil
	return s.save(run)
}

func now() time.Time { return time.Now().Round(0).UTC() }

// sweep removes what a crash has left, and runs that ended longer ago than retention, if that is not -1. A run is first
// hidden, so that it is never seen incomplete. The newest one is kept, and the only one that may be unfinished.
func (s *runStore) sweep(retention time.Duration) error {
	names, err := s.names()
	if err != nil {
		return err
	}
	for _, name := range names[:max(0, len(names)-1)] {
		run, err := s.read(name)
		if err == nil && !run.Ended() {
			err = s.end(run, EndStale, "it was replaced by a newer plan")
		}
		if err != nil || retention == -1 || time.Since(run.EndedAt) < retention {
			continue
		}
		if err := durable.Rename(filepath.Join(s.path, name), filepath.Join(s.path, hidden+name)); err != nil {
			return failed("remove an old run", err)
		}
	}
	left, err := filepath.Glob(filepath.Join(s.path, hidden+"*"))
	for _, path := range left {
		err = cmp.Or(err, os.RemoveAll(path))
	}
	return failed("remove an old run", err)
}
