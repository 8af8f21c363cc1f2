package state

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// requireApproval returns the error of a plan that waits for approval.
func requireApproval(t *testing.T, err error) *ApprovalError {
	t.Helper()
	oneLine(t, err)
	require.ErrorIs(t, err, ErrApprovalRequired)
	need, ok := errors.AsType[*ApprovalError](err)
	require.True(t, ok)
	require.ErrorContains(t, err, "run: am -state DIR sign "+need.Run.Digest)
	return need
}

func TestLimits(t *testing.T) {
	t.Parallel()
	euro := func(n int, amount, currency string) *plan.Entry {
		e := order(n)
		e.Total = commerce.Money{Currency: currency}
		if amount != "" {
			e.Total.Amount = decimal.RequireFromString(amount)
		}
		return e
	}
	with := func(n int, v failure.Verdict, named bool) *plan.Entry {
		e := order(n)
		e.Attribution.Verdict, e.Named = v, named
		return e
	}
	held := func(n int) *plan.Entry {
		e := order(n)
		e.Decision.Action = rules.Hold
		return e
	}
	eur100 := Limits{MaxAmount: map[string]decimal.Decimal{"EUR": decimal.NewFromInt(100)}}
	for name, c := range map[string]struct {
		limits Limits
		orders []*plan.Entry
		want   string // "": within
	}{
		"500 orders":               {Limits{}, someOrders(500), ""},
		"501 orders":               {Limits{}, someOrders(501), "it resubmits 501 orders, more than 500"},
		"any number":               {Limits{MaxOrders: -1}, someOrders(501), ""},
		"two of one":               {Limits{MaxOrders: 1}, someOrders(2), "more than 1"},
		"likely":                   {Limits{}, []*plan.Entry{with(1, failure.Likely, false)}, ""},
		"unknown cause":            {Limits{}, []*plan.Entry{with(1, failure.UnknownCause, false)}, `1 order with the verdict "unknown"`},
		"unknown cause, but named": {Limits{}, []*plan.Entry{with(1, failure.UnknownCause, true)}, ""},
		"caused only": {
			Limits{Verdicts: []failure.Verdict{failure.Caused}},
			[]*plan.Entry{order(1), with(2, failure.Likely, false)}, `"likely"`,
		},
		"amount":           {eur100, []*plan.Entry{euro(1, "60", "EUR"), euro(2, "40", "EUR")}, ""},
		"amount above":     {eur100, []*plan.Entry{euro(1, "60", "EUR"), euro(2, "40.01", "EUR")}, "100.01 EUR, more than 100"},
		"refunds":          {eur100, []*plan.Entry{euro(1, "60", "EUR"), euro(2, "-60", "EUR")}, "120 EUR, more than 100"},
		"other currency":   {eur100, []*plan.Entry{euro(1, "1", "USD")}, "orders in USD, for which there is no limit"},
		"unknown currency": {eur100, []*plan.Entry{euro(1, "", "")}, "orders in an unknown currency"},
		"half of the view": {Limits{MaxShareOfView: 0.5}, append(someOrders(10), held(11)), "91 % of the listed orders, more than 50 %"},
		"all of few":       {Limits{MaxShareOfView: 0.5}, someOrders(9), ""},
		"all of many":      {Limits{MaxShareOfView: 1}, someOrders(10), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.orders...)
			w.cfg.Limits = c.limits
			_, err := w.once()
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			require.Contains(t, strings.Join(requireApproval(t, err).Reasons, ", "), c.want)
			require.Empty(t, w.applied)
			_, err = w.once()
			requireApproval(t, err)
			require.Empty(t, w.applied)
			runs, err := w.open().Runs()
			require.NoError(t, err)
			require.Len(t, runs, 1, "the plan is kept until it is approved")
		})
	}
	for name, bad := range map[string]Limits{
		"orders": {MaxOrders: -2}, "share": {MaxShareOfView: 1.1}, "rate": {MaxRate: -1}, "high rate": {MaxRate: 1e6}, "time": {ApprovalTime: -1},
		"verdict": {Verdicts: []failure.Verdict{"sure"}},
	} {
		t.Run("rejects a bad "+name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.cfg.Limits = bad
			_, err := w.tryOpen()
			oneLine(t, err)
			require.ErrorContains(t, err, "Limits.")
		})
	}
}

// newKey returns a key for approvals.
func newKey(t *testing.T) (ed25519.PrivateKey, ed25519.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	return private, public
}

func TestApprove(t *testing.T) {
	t.Parallel()
	limited := func(t *testing.T, n int) (w *world, key ed25519.PrivateKey, digest string) {
		w = newWorld(t, someOrders(n)...)
		key, public := newKey(t)
		w.cfg.Limits.MaxOrders, w.cfg.Approvers = 1, []ed25519.PublicKey{public}
		_, err := w.once()
		need := requireApproval(t, err)
		require.Contains(t, need.Command, "sign "+need.Run.Digest+" -key FILE")
		return w, key, need.Run.Digest
	}
	t.Run("lets the plan be applied", func(t *testing.T) {
		t.Parallel()
		w, key, digest := limited(t, 3)
		w.fail(someOrders(9)...)
		require.NoError(t, w.open().Approve(digest, "ben", key))
		r, err := w.once()
		require.NoError(t, err)
		require.Equal(t, digest, r.Runs[0].Digest)
		require.Len(t, w.sends(), 3, "it was the plan that was approved")
		require.Contains(t, w.log.String(), `msg="the plan is approved"`)
		require.Contains(t, w.log.String(), "by=ben")
		_, err = w.once()
		require.NotEqual(t, digest, requireApproval(t, err).Run.Digest, "an approval is for one plan")
		require.ErrorIs(t, w.open().Approve(digest, "ben", key), ErrNoRun)
	})
	t.Run("needs the digest and an accepted key", func(t *testing.T) {
		t.Parallel()
		w, key, digest := limited(t, 3)
		other, _ := newKey(t)
		d := w.open()
		require.ErrorIs(t, d.Approve("sha256:"+strings.Repeat("0", 64), "ben", key), ErrNoRun)
		require.ErrorContains(t, d.Approve("", "ben", key), "the digest is empty")
		require.ErrorContains(t, d.Approve(digest, "ben", other), "none of Config.Approvers")
		require.ErrorContains(t, d.Approve(digest, "ben", nil), "give the key of one of them")
		require.ErrorContains(t, d.Approve(digest, "ben", key[:10]), "none of Config.Approvers")
		require.ErrorContains(t, d.Approve(digest, "b\nen", key), "unprintable")
		_, err := w.once()
		requireApproval(t, err)
	})
	t.Run("cannot be forged in the directory", func(t *testing.T) {
		t.Parallel()
		w, key, digest := limited(t, 3)
		d := w.open()
		runs, err := d.Runs()
		require.NoError(t, err)
		run := &runs[0]
		signature := d.Path(run, planFile) + ".sig"
		p := mustPlan(t, d, run)
		forger, _ := newKey(t)
		forged, err := p.Sign(forger, "ben")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(signature, forged.Line(), 0o600))
		_, err = w.once()
		require.ErrorIs(t, requireApproval(t, err), plan.ErrBadSignature)

		require.NoError(t, d.Approve(digest, "ben", key))
		good, err := os.ReadFile(signature)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(signature, []byte(strings.Replace(string(good), "ben", "eve", 1)), 0o600))
		_, err = w.once()
		require.ErrorIs(t, requireApproval(t, err), plan.ErrBadSignature)

		// The approval of one plan is no approval of another, even if run.json says that it was begun.
		require.NoError(t, d.Control(Command{Action: ActionCancel}))
		w.fail(someOrders(5)...)
		_, err = w.once()
		second := requireApproval(t, err).Run
		require.NoError(t, os.WriteFile(d.Path(second, planFile)+".sig", good, 0o600))
		path := d.Path(second, runFile)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		content = []byte(strings.Replace(string(content), `"plannedAt"`,
			`"startedAt": "2026-11-01T00:00:00Z", "plannedAt"`, 1))
		require.NoError(t, os.WriteFile(path, content, 0o600))
		_, err = w.once()
		require.ErrorIs(t, requireApproval(t, err), plan.ErrBadSignature)
		require.Empty(t, w.applied)
	})
	t.Run("is not possible for a plan that was replaced", func(t *testing.T) {
		t.Parallel()
		w, key, digest := limited(t, 3)
		d := w.open()
		runs, err := d.Runs()
		require.NoError(t, err)
		other, _, _ := limited(t, 9)
		found, err := filepath.Glob(filepath.Join(other.dir, "runs", "*", planFile))
		require.NoError(t, err)
		content, err := os.ReadFile(found[0])
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(d.Path(&runs[0], planFile), content, 0o600))
		require.ErrorContains(t, d.Approve(digest, "ben", key), "the plan was replaced")
		require.NoFileExists(t, d.Path(&runs[0], planFile)+".sig")
	})
	t.Run("is needed for every plan if the Runner requires signatures", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, someOrders(1)...)
		key, public := newKey(t)
		w.cfg.Runner.Require = []ed25519.PublicKey{public}
		_, err := w.once()
		need := requireApproval(t, err)
		require.Equal(t, []string{"every plan must be signed"}, need.Reasons)
		require.NoError(t, w.open().Approve(need.Run.Digest, "ben", key))
		_, err = w.once()
		require.NoError(t, err)
		require.Len(t, w.sends(), 1)
	})
	t.Run("is waited for up to a limit", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			w, key, digest := limited(t, 3)
			time.Sleep(11 * time.Hour)
			_, err := w.once()
			require.Equal(t, digest, requireApproval(t, err).Run.Digest)
			time.Sleep(2 * time.Hour)
			w.fail(someOrders(4)...)
			r, err := w.once()
			second := requireApproval(t, err).Run
			require.Equal(t, 4, second.Counts.Resubmit)
			require.Equal(t, second.ID, r.Runs[0].ID)
			require.ErrorIs(t, w.open().Approve(digest, "ben", key), ErrNoRun)

			require.NoError(t, w.open().Approve(second.Digest, "ben", key))
			time.Sleep(20 * time.Hour)
			_, err = w.once()
			require.NoError(t, err, "an approved plan is not replaced; the Runner judges its age")
			require.Len(t, w.sends(), 4)
		})
	})
}
