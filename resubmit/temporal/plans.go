package temporal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// PlanStore gives workers the plans, which are too large for the payloads of workflows. The digest says whether it is
// the right one.
type PlanStore interface {
	// Open opens the plan with a digest. The worker closes it.
	Open(ctx context.Context, digest string) (*plan.Plan, error)
}

// Dir is a PlanStore in a directory that all workers see, with one file for each plan.
type Dir string

// Open implements PlanStore.
func (d Dir) Open(_ context.Context, digest string) (*plan.Plan, error) {
	path, err := d.path(digest)
	if err != nil {
		return nil, err
	}
	return plan.Open(path)
}

// Put copies the file of a plan to the directory. It does nothing if it is there.
func (d Dir) Put(digest, file string) (err error) {
	path, err := d.path(digest)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	from, err := os.Open(file) //nolint:gosec // the caller names it
	if err != nil {
		return err
	}
	defer from.Close()                             //nolint:errcheck // it was only read
	to, err := os.CreateTemp(string(d), ".plan-*") // of mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(to.Name()) //nolint:errcheck // it is renamed, unless something failed
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Sync(), to.Close()); err != nil {
		return err
	}
	return os.Rename(to.Name(), path)
}

func (d Dir) path(digest string) (string, error) {
	name, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || strings.Trim(name, "0123456789abcdef") != "" || len(name) != 64 {
		return "", fmt.Errorf("%q is not the digest of a plan", digest)
	}
	return filepath.Join(string(d), name+".jsonl"), nil
}
