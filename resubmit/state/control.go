package state

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// Action is what a command does.
type Action string

// The actions.
const (
	ActionPause  Action = "pause"  // sends nothing more until ActionResume, also after a restart
	ActionResume Action = "resume" // ends a pause
	ActionRate   Action = "rate"   // sets the rate limit
	ActionDrain  Action = "drain"  // sends nothing more, verifies what was sent, and ends the run
	ActionCancel Action = "cancel" // sends nothing more and ends the run
)

// Command is a command for a run, which may be applied by another process.
type Command struct {
	Kind    string    `json:"kind"`
	Version int       `json:"version"`
	Action  Action    `json:"action"`
	Run     string    `json:"run"` // the digest of the plan; "" in Control: the current run
	By      string    `json:"by"`  // who gives it, with role and address if known; "" in Control: the user of this process
	At      time.Time `json:"at"`  // set by Control
	Why     string    `json:"why,omitempty"`
	// Rate is the new rate limit in calls per second, up to Limits.MaxRate. For ActionRate only.
	Rate float64 `json:"rate,omitempty"`
}

var commandFormat = jsonfile.Format[Command]{
	Name: "state: command", MaxBytes: 64 << 10, Kind: "cloudblue-resubmit-command", Version: 1,
	Check: func(c *Command) error {
		switch {
		case !slices.Contains([]Action{ActionPause, ActionResume, ActionRate, ActionDrain, ActionCancel}, c.Action):
			return jsonfile.Errorf("action", "%q is unknown", text.Short(string(c.Action)))
		case c.Run == "" || c.By == "" || c.At.IsZero():
			return errors.New("run, by or at is missing")
		case (c.Action == ActionRate) != (c.Rate != 0):
			return jsonfile.Errorf("rate", "must be there for the action %q, and only then", ActionRate)
		}
		return nil
	},
}

// ErrNoRun means that there is no run that a command or an approval could be for: its plan was replaced, or it has
// ended.
var ErrNoRun = errors.New("no such run is unfinished")

// Control gives a command to the current run. A process that applies the run obeys within about a second, otherwise
// the next [Dir.Once] does. The error matches [ErrNoRun] if the run is not the current one or has ended.
//
// With Config.Journal the command is for all processes that apply the plan, on whatever machine, and the plan may be
// that of another directory. If the journal cannot record the command, Control returns why: then only the process that
// works with this directory obeys, and passes the command on as soon as it can.
func (d *Dir) Control(c Command) error {
	c.Kind, c.Version = commandFormat.Kind, commandFormat.Version
	c.By, c.Why, c.At = cmp.Or(text.Short(c.By), d.owner), text.Short(c.Why), now()
	if err := d.cfg.Limits.checkRate(&c); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	run, err := d.runs.unfinished(c.Run)
	switch {
	case err == nil:
		c.Run = run.Digest
		return d.give(&c, run)
	case d.cfg.Journal == nil || c.Run == "" || !errors.Is(err, ErrNoRun):
		return err
	}
	if _, known := d.Run(c.Run); !errors.Is(known, fs.ErrNotExist) { // it has ended here
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), controlTime)
	defer cancel()
	record, got := d.cfg.Journal.Get(ctx, protocol.RunKey(c.Run))
	if got != nil || record.Run == nil {
		return cmp.Or(failed("read the journal", got), err)
	}
	return tell(ctx, d.cfg.Journal, &c, nil)
}

// give gives a command for the unfinished run of this directory: to its own process with a file, and to all others
// through the journal. The file comes first, because the journal may not answer.
func (d *Dir) give(c *Command, run *Run) error {
	name, err := d.commands.write(*c)
	if err != nil || d.cfg.Journal == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), controlTime)
	defer cancel()
	if err := tell(ctx, d.cfg.Journal, c, run); err != nil {
		return err
	}
	return d.commands.markTold(name)
}

// controlTime limits how long a command may take to be recorded.
const controlTime = 30 * time.Second

// followTime limits the time for the journal to say what was commanded elsewhere. Meanwhile commands in files wait.
const followTime = time.Second

func (l *Limits) checkRate(c *Command) error {
	if c.Action != ActionRate || c.Rate >= minRate && c.Rate <= l.MaxRate {
		return nil
	}
	return fmt.Errorf("the rate %v is not within the limits; give %v to %v calls per second", c.Rate, minRate,
		l.MaxRate)
}

// commandFiles is the directory of the commands that were not obeyed yet.
type commandFiles string

// names returns the names of the files, in the order of the commands.
func (f commandFiles) names() ([]string, error) {
	all, err := os.ReadDir(string(f))
	if err != nil {
		return nil, failed("read the commands", err)
	}
	names := make([]string, 0, len(all))
	for _, e := range all {
		if !strings.HasPrefix(e.Name(), hidden) { // else it is being written
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// read reads a command. It rejects a file that others than its owner may change or read.
func (f commandFiles) read(name string) (Command, error) {
	file, err := durable.OpenFile(filepath.Join(string(f), name), os.O_RDONLY, 0)
	if err != nil {
		return Command{}, err
	}
	defer func() { _ = file.Close() }() // only read
	info, err := file.Stat()
	if err == nil && info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		err = fmt.Errorf("its mode is %v, not 0600", info.Mode().Perm())
	}
	if err != nil {
		return Command{}, err
	}
	return commandFormat.Read(file)
}

const (
	commandTime = "20060102T150405.000000000Z" // starts the name of a command's file
	told        = ".told"                      // ends it if the journal has the command
)

// write writes a command behind all others, even if they were given at the same time or the clock was set back.
func (f commandFiles) write(c Command) (name string, err error) {
	names, err := f.names()
	if err != nil {
		return "", err
	}
	at := c.At
	if len(names) > 0 {
		start, _, _ := strings.Cut(names[len(names)-1], "-")
		if last, err := time.Parse(commandTime, start); err == nil && !at.After(last) {
			at = last.Add(1)
		}
	}
	name = fmt.Sprintf("%s-%s.json", at.Format(commandTime), rand.Text()[:8])
	return name, failed("write a command", commandFormat.WriteFile(filepath.Join(string(f), name), c, 0o600))
}

// markTold marks a command that the journal has, unless it was obeyed already.
func (f commandFiles) markTold(name string) error {
	path := filepath.Join(string(f), name)
	err := durable.Rename(path, path+told)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return failed("write a command", err)
}

// remove deletes a command, also if it is being marked.
func (f commandFiles) remove(name string) error {
	path := filepath.Join(string(f), name)
	return failed("delete a command", cmp.Or(os.RemoveAll(path), os.RemoveAll(path+told)))
}

// obey executes and deletes the commands, and then follows the journal, which may not answer. run is the unfinished
// run, or nil; r applies it, or is nil: then a run that was stopped ends. A command is deleted when the state that it
// leads to is on disk.
func (s *session) obey(ctx context.Context, run *Run, r runner) error {
	names, err := s.commands.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := s.obeyFile(ctx, name, run, r); err != nil {
			return err
		}
	}
	if err := s.follow(ctx, run, r); err != nil {
		return err
	}
	if run == nil || r != nil || run.Ended() || run.Stop == nil {
		return nil
	}
	return s.runs.end(run, run.Stop.End, run.Stop.String())
}

// obeyFile executes and deletes one command.
func (s *session) obeyFile(ctx context.Context, name string, run *Run, r runner) error {
	c, err := s.commands.read(name)
	_, later := errors.AsType[*jsonfile.VersionError](err)
	switch {
	case errors.Is(err, fs.ErrNotExist): // it has just been marked; the next time
		return nil
	case later: // it may be one to stop
		return failed("read the command "+name, fmt.Errorf("%w; use the release that wrote it, or delete it", err))
	case err != nil:
		s.log.Warn("a file in control is no command and is deleted", "file", name, "error", err)
	case run == nil || run.Ended() || c.Run != run.Digest:
		s.log.Warn("a command for another run is deleted", "action", c.Action, "run", text.Short(c.Run),
			"by", text.Short(c.By))
	default:
		s.log.Info("command", "action", c.Action, "run", run.ID, "by", text.Short(c.By), "why", text.Short(c.Why))
		if err := s.execute(ctx, &c, run, r, strings.HasSuffix(name, told)); err != nil {
			return err
		}
	}
	return s.commands.remove(name)
}

// follow executes what was commanded elsewhere for a run that other processes apply too.
func (s *session) follow(ctx context.Context, run *Run, r runner) error {
	if s.cfg.Journal == nil || run == nil || run.Ended() {
		return nil
	}
	want, at, err := s.wanted(ctx, run, r != nil)
	if err != nil || want == nil {
		return err
	}
	for _, c := range []struct {
		action Action
		due    bool
	}{
		{ActionPause, want.Paused && run.Paused == nil},
		{ActionResume, !want.Paused && run.Paused != nil},
		{ActionRate, want.Rate != 0 && want.Rate != run.Rate},
		{ActionDrain, want.Stop == protocol.StopDrain && run.Stop == nil},
		{ActionCancel, want.Stop == protocol.StopCancel && (run.Stop == nil || run.Stop.End != EndCancelled)},
	} {
		if !c.due {
			continue
		}
		command := Command{Action: c.action, Run: run.Digest, By: want.By, Why: want.Why, At: at}
		if c.action == ActionRate {
			command.Rate = want.Rate
			if err := s.cfg.Limits.checkRate(&command); err != nil {
				if err := s.rejectRate(want.Rate, err, run, r); err != nil {
					return err
				}
				continue
			}
		}
		if err := s.perform(&command, run, r); err != nil {
			return err
		}
	}
	return nil
}

// rejectRate keeps the Runner of this process, which obeys the journal too, at its rate.
func (s *session) rejectRate(rate float64, why error, run *Run, r runner) error {
	if rate != s.rejected {
		s.rejected = rate
		s.log.Warn("a command is rejected", "error", why)
	}
	if r == nil {
		return nil
	}
	return r.SetLimits(cmp.Or(run.Rate, s.cfg.Runner.RateLimit, s.cfg.Limits.MaxRate), 0)
}

// wanted returns what the journal says that operators want of a run, and since when; nil if it says nothing. A pause
// that it does not know is recorded, so that a later command does not end it. While the run is applied, an answer that
// is late is left for the next time: the Runner ends the run if there is none for too long.
func (s *session) wanted(ctx context.Context, run *Run, applied bool) (*protocol.Control, time.Time, error) {
	within, cancel := ctx, context.CancelFunc(func() {})
	if applied {
		within, cancel = context.WithTimeout(ctx, followTime)
	}
	defer cancel()
	record, err := s.journal.Get(within, protocol.RunKey(run.Digest))
	known := err == nil && record.Run != nil && record.Run.Control.By != ""
	if err == nil && !known && run.Paused != nil {
		p := run.Paused
		err = tell(within, s.journal, &Command{Action: ActionPause, Run: run.Digest, By: p.By, Why: p.Why}, run)
	}
	switch {
	case err != nil && ctx.Err() == nil && within.Err() != nil:
		return nil, time.Time{}, nil
	case err != nil || !known:
		return nil, time.Time{}, failed("read the journal", err)
	}
	return &record.Run.Control, record.At, nil
}

// tell records a command for all processes that share a journal. run is the run of this directory, or nil: if it is
// paused and the journal knows of no command, the pause is recorded in the journal too.
func tell(ctx context.Context, j resubmit.Journal, c *Command, run *Run) error {
	err := resubmit.ChangeControl(ctx, j, c.Run, func(want *protocol.Control) {
		if want.By == "" && run != nil && run.Paused != nil {
			want.Paused = true
		}
		want.By, want.Why = c.By, c.Why
		switch c.Action {
		case ActionPause, ActionResume:
			want.Paused = c.Action == ActionPause
		case ActionRate:
			want.Rate = c.Rate
		case ActionDrain:
			want.Stop = cmp.Or(want.Stop, protocol.StopDrain)
		case ActionCancel:
			want.Stop = protocol.StopCancel
		}
	})
	return failed("give a command", err)
}

// execute executes a command of this directory, and then tells the other processes unless the journal has it.
func (s *session) execute(ctx context.Context, c *Command, run *Run, r runner, isTold bool) error {
	if err := s.cfg.Limits.checkRate(c); err != nil {
		s.log.Warn("a command is rejected", "error", err)
		return nil
	}
	if err := s.perform(c, run, r); err != nil || isTold || s.cfg.Journal == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, controlTime)
	defer cancel()
	return tell(ctx, s.journal, c, run)
}

// perform executes a command in this directory, and for the Runner of this process.
func (s *session) perform(c *Command, run *Run, r runner) error {
	line := audit.Line{State: string(c.Action), By: text.Short(c.By), Why: text.Short(c.Why), Rate: c.Rate, Plan: c.Run}
	if err := s.act(run, line); err != nil {
		return err
	}
	run.follow(c)
	if err := s.runs.save(run); err != nil || r == nil {
		return err
	}
	switch c.Action {
	case ActionPause:
		r.Pause()
	case ActionResume:
		r.Resume()
	case ActionRate:
		return r.SetLimits(c.Rate, 0)
	case ActionDrain:
		r.Drain()
	case ActionCancel:
		r.Cancel()
	}
	return nil
}

// follow notes what a command says that the run is to do.
func (r *Run) follow(c *Command) {
	by, why := text.Short(c.By), text.Short(c.Why)
	switch c.Action {
	case ActionPause:
		r.Paused = &Pause{By: by, At: c.At, Why: why}
	case ActionResume:
		r.Paused = nil
	case ActionRate:
		r.Rate = c.Rate
	case ActionDrain:
		r.Stop = cmp.Or(r.Stop, &Stop{End: EndDrained, By: by, At: c.At, Why: why})
	case ActionCancel:
		r.Stop = &Stop{End: EndCancelled, By: by, At: c.At, Why: why}
	}
}

// Status is what is known about a directory without its lock.
type Status struct {
	// Run is the newest run, as it is when Commands are obeyed; nil if there is none. If it has not ended, the next Once
	// continues it.
	Run *Run
	// Previous is the newest run before it that was applied; nil if there is none.
	Previous *Run
	// Busy reports whether a process plans or applies. Holder is that process, a *journal.LockInfo; nil if it is not
	// known.
	Busy   bool
	Holder *durable.LockInfo
	// Commands are those that were not obeyed yet.
	Commands []Command
	// Reading is the last one of [Dir.Read]; nil if there is none.
	Reading *Reading
}

// Status returns the state of the directory. It takes no lock, and calls no system.
func (d *Dir) Status() (Status, error) {
	var s Status
	var err error
	s.Holder, s.Busy = durable.LockHolder(d.lockPath())
	names, err := d.commands.names()
	if err != nil {
		return s, err
	}
	for _, name := range names {
		if c, err := d.commands.read(name); err == nil { // else it is deleted soon
			s.Commands = append(s.Commands, c)
		}
	}
	if s.Reading, err = lastReading(d.path); err != nil {
		return s, err
	}
	s.Run, s.Previous, err = d.runs.newest()
	for _, c := range s.Commands {
		if s.Run != nil && !s.Run.Ended() && c.Run == s.Run.Digest && d.cfg.Limits.checkRate(&c) == nil {
			s.Run.follow(&c)
		}
	}
	return s, err
}
