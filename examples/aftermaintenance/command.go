package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/journal"
	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// command executes the command for a state directory and shows its status. Nothing is left for a person.
func command(ctx context.Context, s *settings, stdout, stderr io.Writer) (left bool, err error) {
	systems, err := s.installation()
	if err != nil {
		return false, err
	}
	cfg := state.Config{
		Systems: systems, Plan: resubmit.PlanConfig{Filter: filter.Everything()}, Program: program,
		Logger: slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	name := s.state.command[0]
	if name == "recover" {
		if err := state.Recover(ctx, s.state.path, cfg, s.state.why); err != nil {
			return false, err
		}
	}
	dir, err := state.Open(ctx, s.state.path, cfg)
	if err != nil {
		return false, err
	}
	done := ""
	switch name {
	case "status":
	case "recover":
		done = "The journal was recovered. Orders that were placed before are held until they are named with -order."
	case "approve":
		err = dir.Approve(s.state.command[1], "", nil)
		done = "The plan is approved. The next run with -apply applies it."
	default:
		err = dir.Control(state.Command{Action: state.Action(name), Why: s.state.why})
		done = "The command is given. The process that applies the run obeys within a second, or else the next one does."
	}
	if err != nil {
		return false, err
	}
	if done != "" && !s.json {
		fmt.Fprintln(stdout, done)
	}
	return false, showStatus(dir, s.json, stdout)
}

// installation returns the names of the installation: those of -commerce, or else those in the journal of the
// directory. It has no clients that commands would call.
func (s *settings) installation() (resubmit.Systems, error) {
	if !s.sandbox {
		client, err := s.api.open(nil)
		if err != nil {
			return resubmit.Systems{}, flagged("-commerce and its credentials", err)
		}
		return resubmit.SystemsOf(client, client), nil
	}
	used, err := journal.Check(filepath.Join(s.state.path, "journal"))
	if err == nil && used.System == "" {
		err = errors.New("the journal was not used yet")
	}
	if err != nil {
		return resubmit.Systems{}, fmt.Errorf("-state %s has no journal that names the system, so give -via and -commerce "+
			"too: %w", s.state.path, err)
	}
	return resubmit.Systems{
		Name: used.System, BaseURL: used.BaseURL, Capabilities: commerce.Capabilities{IDSpace: used.IDSpace},
	}, nil
}

// statusDocument is what -json prints for a command.
type statusDocument struct {
	Run      *state.Run      `json:"run"`                // the newest one; null if there is none
	Previous *state.Run      `json:"previous,omitempty"` // the newest one before it that was applied
	Busy     bool            `json:"busy"`               // a process plans or applies
	Holder   string          `json:"holder,omitempty"`   // that process
	Commands []state.Command `json:"commands,omitempty"` // not obeyed yet
}

// showStatus shows the status of a directory.
func showStatus(dir *state.Dir, asJSON bool, out io.Writer) error {
	now, err := dir.Status()
	if err != nil {
		return err
	}
	doc := statusDocument{Run: now.Run, Previous: now.Previous, Busy: now.Busy, Commands: now.Commands}
	if now.Holder != nil {
		doc.Holder = now.Holder.String()
	}
	if asJSON {
		return json.NewEncoder(out).Encode(doc)
	}
	if now.Run == nil {
		fmt.Fprintln(out, "There is no run yet.")
	} else {
		fmt.Fprintln(out, now.Run)
	}
	if now.Previous != nil {
		fmt.Fprintf(out, "Before: %s\n", now.Previous)
	}
	if now.Busy {
		fmt.Fprintf(out, "A process plans or applies: %s\n", doc.Holder)
	}
	for _, c := range now.Commands {
		fmt.Fprintf(out, "Not obeyed yet: %s by %s\n", c.Action, c.By)
	}
	return nil
}
