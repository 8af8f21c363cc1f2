package state

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// Anchor keeps the position of a journal in another place than the journal, so that a journal that is missing, was
// replaced or was restored from a backup is noticed. It must not be restored together with the journal. Methods are not
// called concurrently by one process.
type Anchor interface {
	// Load returns the position that was stored last; zero if there is none.
	Load(ctx context.Context) (plan.Position, error)
	// Store replaces the position. It is durable when Store returns.
	Store(ctx context.Context, p plan.Position) error
}

// FileAnchor returns an anchor in a file, which only its owner can read. Its directory must exist.
func FileAnchor(path string) Anchor { return fileAnchor(path) }

// AnchorPath returns the path of the default anchor of an installation. If the file exists, the installation has a
// state directory.
func AnchorPath(s *resubmit.Systems) (string, error) { return userFile(s, ".anchor.json") }

type fileAnchor string

type anchorFile struct {
	Kind    string        `json:"kind"`
	Version int           `json:"version"`
	Journal plan.Position `json:"journal"`
	At      time.Time     `json:"at"`
}

var anchorFormat = jsonfile.Format[anchorFile]{
	Name: "state: anchor", MaxBytes: 64 << 10, Kind: "cloudblue-resubmit-anchor", Version: 1,
	Check: func(a *anchorFile) error {
		if a.Journal.Journal == "" {
			return jsonfile.Errorf("journal.id", "is empty")
		}
		return nil
	},
}

func (a fileAnchor) Load(context.Context) (plan.Position, error) {
	file, err := anchorFormat.ReadFile(string(a))
	if errors.Is(err, fs.ErrNotExist) {
		return plan.Position{}, nil
	}
	return file.Journal, err
}

func (a fileAnchor) Store(_ context.Context, p plan.Position) error {
	return anchorFormat.WriteFile(string(a), anchorFile{
		Kind: anchorFormat.Kind, Version: anchorFormat.Version, Journal: p, At: time.Now().Round(0).UTC(),
	}, 0o600)
}

// userFile returns the path of a file in the user's configuration directory that belongs to an installation. Since it
// is named after the installation and not after a state directory, a second directory for the same one is noticed.
func userFile(s *resubmit.Systems, suffix string) (string, error) {
	base, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("the user's configuration directory is not known: %w; set HOME or XDG_CONFIG_HOME", err)
	}
	dir := filepath.Join(base, "cloudblue-resubmit")
	name := sha256.Sum256([]byte(s.Name + "\x00" + s.Capabilities.IDSpace))
	return filepath.Join(dir, hex.EncodeToString(name[:8])+suffix), os.MkdirAll(dir, 0o700)
}
