package watch_test

import (
	"crypto/ed25519"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

// The status must say what is missing even if the path of the plan is long.
func TestApprovedPlanWithoutSignatureIsNotApplied(t *testing.T) {
	in(t, func(t *testing.T) {
		key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
		s, _ := announced(3)
		p := &process{site: s, dir: filepath.Join(t.TempDir(), strings.Repeat("state", 30)), ended: make(chan struct{})}
		s.run(t, p, nil, func(c *watch.Config) { c.Runner.Require = []ed25519.PublicKey{publicKey(key)} })
		pass(5 * time.Hour)
		status := p.watcher.Status()
		require.Equal(t, watch.PhaseError, status.Phase)
		require.ErrorIs(t, status.Err, plan.ErrUnsigned)
		const missing = "is approved but has no valid signature, so nothing is sent; sign it with a required key"
		require.Contains(t, status.Text, missing)
		require.Equal(t, 1, strings.Count(s.log(), missing), "the reason is logged once")
		require.Len(t, s.asked, 1, "Approve must not be called again")
		require.Zero(t, s.pushes())

		files, err := filepath.Glob(filepath.Join(p.dir, "*.plan.jsonl"))
		require.NoError(t, err)
		require.Len(t, files, 1)
		_, err = plan.SignFile(files[0], key, "An Operator")
		require.NoError(t, err)
		pass(time.Hour)
		p.stop(t)
		require.Equal(t, 3, s.pushes())
	})
}

func publicKey(key ed25519.PrivateKey) ed25519.PublicKey {
	public, _ := key.Public().(ed25519.PublicKey)
	return public
}
