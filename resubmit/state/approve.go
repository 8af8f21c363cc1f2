package state

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/audit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// ApprovalError means that a plan waits for approval. It matches [ErrApprovalRequired].
type ApprovalError struct {
	Run     *Run
	Reasons []string // why an approval is needed
	Command string   // approves the plan
	// Err is why there is no valid approval. It matches plan.ErrUnsigned or plan.ErrBadSignature.
	Err error
}

func (e *ApprovalError) Error() string {
	return text.Excerpt(fmt.Sprintf("state: %v: %s (%v); review runs/%s/%s and run: %s", ErrApprovalRequired,
		text.Sentence(strings.Join(e.Reasons, ", ")), e.Err, text.Short(e.Run.ID), planFile, e.Command), 8<<10)
}

func (e *ApprovalError) Unwrap() []error { return []error{ErrApprovalRequired, e.Err} }

// admit returns an *ApprovalError if a plan is beyond the limits, or must be reviewed, and was not approved. It is
// called whenever the plan is about to be applied, so that no word in the directory can stand for an approval beyond
// the limits. Within them, Run.Review is not protected: whoever can write to run.json can remove it.
func (s *session) admit(run *Run, p *plan.Plan) error {
	reasons, err := s.cfg.Limits.Exceeded(p)
	if err != nil {
		return err
	}
	if len(s.cfg.Runner.Require) > 0 {
		reasons = append(reasons, "every plan must be signed")
	}
	if run.Review {
		reasons = append(reasons, "a person must review it")
	}
	if len(reasons) == 0 {
		return nil
	}
	signature, err := s.approvals.of(p)
	if errors.Is(err, plan.ErrUnsigned) || errors.Is(err, plan.ErrBadSignature) {
		command := s.cfg.Command + " sign " + run.Digest
		if len(s.cfg.Approvers) > 0 {
			command += " -key FILE"
		}
		return &ApprovalError{Run: run, Reasons: reasons, Command: command, Err: err}
	}
	if err != nil {
		return err
	}
	s.log.Info("the plan is approved", "run", run.ID, "by", signature.Signer, "at", signature.SignedAt,
		"beyond", strings.Join(reasons, ", "))
	return nil
}

// Approve approves the plan with a digest, which must be the one that waits: it signs the plan file in the name of by,
// or of the user of this process if that is "". by may name a role and an address as well; the audit log of the run has
// it before the approval takes effect. The next [Dir.Once] applies the plan. Approving a plan again, or one that is
// being applied, changes nothing.
//
// key must be one of Config.Approvers; if there are none, it is nil, and a key of this user outside of the directory is
// used, which is made at the first approval. The error matches [ErrNoRun] if the plan was replaced or has ended.
func (d *Dir) Approve(digest, by string, key ed25519.PrivateKey) error {
	if digest == "" {
		return errors.New("state: the digest is empty; give that of the plan that was reviewed")
	}
	run, err := d.approvals.approvable(digest)
	if err != nil || d.approvals.given(run) {
		return err
	}
	s, err := d.takeLock()
	if err != nil {
		return err
	}
	defer s.release()
	if run, err = d.approvals.approvable(digest); err != nil || d.approvals.given(run) {
		return err
	}
	if key, err = d.approvals.key(key); err != nil {
		return err
	}
	return s.approve(run, cmp.Or(by, d.owner), key)
}

// approve signs the plan of a run.
func (s *session) approve(run *Run, by string, key ed25519.PrivateKey) error {
	p, err := s.OpenPlan(run) // compares the digest
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }() // only read
	signature, err := p.Sign(key, by)
	if err != nil {
		return failed("approve the plan", err)
	}
	if err := s.act(run, audit.Line{State: "approve", By: by, Plan: run.Digest}); err != nil {
		return err
	}
	if err = s.runs.step("write the approval"); err == nil {
		err = durable.Replace(s.runs.file(run, planFile)+".sig", signature.Line(), 0o600)
	}
	if err != nil {
		return failed("approve the plan", err)
	}
	s.log.Info("plan approved", "run", run.ID, "digest", run.Digest, "by", signature.Signer)
	return nil
}

// Revoke withdraws the approval of the plan with a digest, which has not begun: it is not applied until it is approved
// again by a person, even within Limits. by and why say who revokes it and why, for the audit log. The error matches
// [ErrUnfinished] if the plan has begun, [ErrNoRun] if it was replaced or has ended, and [plan.ErrUnsigned] if it was
// not approved.
func (d *Dir) Revoke(digest, by, why string) error {
	if _, err := d.approvals.revocable(digest); err != nil {
		return err
	}
	s, err := d.takeLock()
	if err != nil {
		return err
	}
	defer s.release()
	run, err := d.approvals.revocable(digest)
	if err != nil {
		return err
	}
	line := audit.Line{State: "revoke", By: cmp.Or(text.Short(by), d.owner), Why: text.Short(why), Plan: run.Digest}
	if err := s.act(run, line); err != nil {
		return err
	}
	run.Review = true
	if err := s.runs.save(run); err != nil {
		return err
	}
	if err := s.runs.step("remove the approval"); err != nil {
		return failed("revoke the approval", err)
	}
	d.log.Info("approval revoked", "run", run.ID, "digest", run.Digest, "by", line.By, "why", line.Why)
	path := d.runs.file(run, planFile) + ".sig"
	return failed("revoke the approval", cmp.Or(os.Remove(path), durable.SyncDir(filepath.Dir(path))))
}
