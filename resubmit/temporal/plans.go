package temporal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/durable"
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

// Put copies the file of a plan to the directory, with its signature if it has one. It is an error if the plan has
// another digest.
func (d Dir) Put(digest, file string) error {
	path, err := d.path(digest)
	if err != nil {
		return err
	}
	p, err := plan.Open(file)
	if err != nil {
		return err
	}
	defer p.Close() //nolint:errcheck // it was only read
	if p.Digest() != digest {
		return fmt.Errorf("the plan in %s has the digest %s, not %s", file, p.Digest(), digest)
	}
	if err := copyFile(file+".sig", path+".sig"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return copyFile(file, path)
}

func copyFile(from, to string) error {
	content, err := os.ReadFile(from) //nolint:gosec // the caller names it
	if err != nil {
		return err
	}
	return durable.Replace(to, content, 0o600)
}

func (d Dir) path(digest string) (string, error) {
	name, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || strings.Trim(name, "0123456789abcdef") != "" || len(name) != 64 {
		return "", fmt.Errorf("%q is not the digest of a plan", digest)
	}
	return filepath.Join(string(d), name+".jsonl"), nil
}
