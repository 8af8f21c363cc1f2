package state

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
)

// VerifyAudit verifies the audit logs of all runs: that no line was edited, moved or removed, and that no log is
// missing. It returns the head of the newest one; keep it where nobody who can write to the directory can change it.
// The log of a run that is being applied is left out. With keys, each head must be signed by one of them, see
// [audit.WithKey].
func (d *Dir) VerifyAudit(keys ...ed25519.PublicKey) (audit.Head, error) {
	logs, err := d.runs.audits()
	if err != nil {
		return audit.Head{}, err
	}
	if run, _, err := d.runs.newest(); err == nil && run != nil && len(logs) > 0 {
		if _, busy := durable.LockHolder(d.lockPath()); busy && logs[len(logs)-1] == d.runs.file(run, auditFile) {
			logs = logs[:len(logs)-1]
		}
	}
	head, err := audit.VerifySigned(keys, logs...)
	if err != nil {
		return head, fmt.Errorf("state: %w", err)
	}
	return head, nil
}

// audits returns the paths of the audit logs, the oldest first.
func (s *runStore) audits() (paths []string, err error) {
	names, err := s.names()
	for _, name := range names {
		path := s.file(&Run{ID: name}, auditFile)
		if _, err := os.Lstat(path); err == nil {
			paths = append(paths, path)
		}
	}
	return paths, err
}

// openAudit opens the audit log of a run. A new one begins with the head of the log before it.
func (s *session) openAudit(run *Run) (*audit.Log, error) {
	logs, err := s.runs.audits()
	if err != nil {
		return nil, err
	}
	path := s.runs.file(run, auditFile)
	who := audit.Who{Program: s.cfg.Program}
	var previous audit.Head
	if n := len(logs); n > 0 && !slices.Contains(logs, path) {
		if previous, err = s.auditHead(logs[n-1], who); err != nil {
			return nil, fmt.Errorf("state: the audit log of the run before was changed; verify all logs, and move that run "+
				"away: %w", err)
		}
	}
	log, err := audit.Open(path, who, append(slices.Clone(s.cfg.Audit), audit.WithPrevious(previous))...)
	return log, failed("open the audit log", err)
}

// auditHead returns the head of the log of a run that has ended. If its process was killed, it is repaired.
func (s *session) auditHead(path string, who audit.Who) (audit.Head, error) {
	head, err := audit.VerifyFile(path)
	if err == nil && head.Closed {
		return head, nil
	}
	log, opened := audit.Open(path, who, s.cfg.Audit...)
	if opened != nil {
		return head, cmp.Or(err, opened)
	}
	problem := cmp.Or(err, errors.New("its process was killed"))
	s.log.Warn("the audit log of an earlier run was repaired", "log", path, "problem", text.Short(problem.Error()))
	err = log.Close() // adds a line
	return log.Head(), err
}

// act records what a person is about to do to a run, in its audit log and on disk. Without the record, it is not done.
func (s *session) act(run *Run, line audit.Line) error {
	if err := s.runs.step("write " + auditFile); err != nil {
		return failed("write "+auditFile, err)
	}
	if s.auditLog != nil {
		return s.auditLog.Act(line)
	}
	log, err := s.openAudit(run)
	if err != nil {
		return err
	}
	return failed("write the audit log", cmp.Or(log.Act(line), log.Close()))
}
