package state

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// approvals are the approvals of the plans of a state directory.
type approvals struct {
	cfg  *Config
	runs *runStore
}

// of returns the approval of a plan: its signature by one of the approvers.
func (a *approvals) of(p *plan.Plan) (*plan.Signature, error) {
	keys := a.cfg.Approvers
	if len(keys) == 0 {
		path, err := userFile(&a.cfg.Systems, keySuffix)
		if err != nil {
			return nil, err
		}
		key, err := plan.LoadSigningKey(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil {
			keys = []ed25519.PublicKey{publicOf(key)}
		}
	}
	return p.SignedBy(keys...)
}

const keySuffix = ".approval.key"

func publicOf(key ed25519.PrivateKey) ed25519.PublicKey {
	return ed25519.PublicKey(key[ed25519.SeedSize:])
}

// approvable returns the run of the plan with a digest: the unfinished one, or the newest one if it was approved and
// has been applied since.
func (a *approvals) approvable(digest string) (*Run, error) {
	run, err := a.runs.unfinished(digest)
	if last, _, read := a.runs.newest(); read == nil && last.applied() && last.Digest == digest && a.given(last) {
		return last, nil
	}
	return run, err
}

// given reports whether there is a valid approval of the plan of a run.
func (a *approvals) given(run *Run) bool {
	p, err := a.runs.openPlan(run)
	if err != nil {
		return false
	}
	defer func() { _ = p.Close() }() // only read
	_, err = a.of(p)
	return err == nil
}

// key returns the key that signs an approval: the given one, or that of this user.
func (a *approvals) key(key ed25519.PrivateKey) (ed25519.PrivateKey, error) {
	switch {
	case key == nil && len(a.cfg.Approvers) > 0:
		return nil, errors.New("state: Config.Approvers says who approves plans; give the key of one of them")
	case key == nil:
		path, err := userFile(&a.cfg.Systems, keySuffix)
		if err == nil {
			key, err = plan.ApprovalKey(path)
		}
		return key, failed("load the key for approvals", err)
	case len(key) != ed25519.PrivateKeySize ||
		!slices.ContainsFunc(a.cfg.Approvers, func(k ed25519.PublicKey) bool { return k.Equal(publicOf(key)) }):
		return nil, errors.New("state: the key is none of Config.Approvers; give the key of one of them")
	}
	return key, nil
}

// revocable returns the run whose approval can be withdrawn.
func (a *approvals) revocable(digest string) (*Run, error) {
	run, err := a.runs.unfinished(digest)
	switch {
	case digest == "":
		return nil, errors.New("state: the digest is empty; give that of the plan that was approved")
	case err != nil:
		return nil, err
	case !run.StartedAt.IsZero():
		return nil, fmt.Errorf("state: %w: %s was begun %s, too late to revoke its approval; run: %s drain, or: %s cancel",
			ErrUnfinished, run.ID, clock(run.StartedAt), a.cfg.Command, a.cfg.Command)
	case !a.given(run):
		return nil, fmt.Errorf("state: run %s: %w", run.ID, plan.ErrUnsigned)
	}
	return run, nil
}
