package resubmit_test

import (
	"bytes"
	"crypto/ed25519"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// testKey is a key for tests only.
func testKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func publicKey(n byte) ed25519.PublicKey { return testKey(n).Public().(ed25519.PublicKey) }

func TestApplyRejectsPlansWithoutARequiredSignature(t *testing.T) {
	t.Parallel()
	sign := func(key byte) func(*testing.T, *plan.Plan) *plan.Plan {
		return func(t *testing.T, p *plan.Plan) *plan.Plan {
			s, err := p.Sign(testKey(key), "Ann")
			require.NoError(t, err)
			return p.WithSignature(s)
		}
	}
	for name, test := range map[string]struct {
		sign func(*testing.T, *plan.Plan) *plan.Plan
		is   error
		says string
	}{
		"not signed":        {func(_ *testing.T, p *plan.Plan) *plan.Plan { return p }, plan.ErrUnsigned, "pass its signature"},
		"signed by another": {sign(9), plan.ErrBadSignature, `signed by "Ann" with the key ed25519:`},
		"signed was another": {func(t *testing.T, p *plan.Plan) *plan.Plan {
			other, err := planFor(t, outageOrder(2, "s2")).Sign(testKey(1), "Ann")
			require.NoError(t, err)
			return p.WithSignature(other)
		}, plan.ErrBadSignature, "belongs to another plan"},
		"signed by one of two": {sign(2), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := outageOrder(1, "s1")
			s, p := newShop(o), planFor(t, o)
			var log bytes.Buffer
			r := runnerFor(t, s, func(c *resubmit.Config) {
				c.Require = []ed25519.PublicKey{publicKey(1), publicKey(2)}
				c.Logger, c.Verify.InitialInterval, c.Verify.Timeout = slog.New(slog.NewTextHandler(&log, nil)), -1, -1
			})
			_, err := r.Apply(t.Context(), test.sign(t, p))
			if test.is == nil {
				require.NoError(t, err)
				require.Len(t, s.ledger, 1)
				require.Contains(t, log.String(), "signer=Ann")
				return
			}
			require.ErrorIs(t, err, test.is)
			require.ErrorContains(t, err, test.says)
			require.NotContains(t, err.Error(), "\n")
			require.Empty(t, s.calls)
			require.Nil(t, runOf(t, p), "the journal was not begun")
		})
	}
}
