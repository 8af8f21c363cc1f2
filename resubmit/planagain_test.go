package resubmit_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
)

func fileOf(t testing.TB, data []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "plan.jsonl")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func openAgain(t testing.TB, path, digest string) *resubmit.Plan {
	t.Helper()
	plan, err := resubmit.OpenPlanAgain(path, digest)
	require.NoError(t, err)
	t.Cleanup(func() { _ = plan.Close() })
	return plan
}

func TestAPlanThatIsOpenedAgainIsTheSame(t *testing.T) {
	t.Parallel()
	long := *planEntries()[0]
	long.Before.Reason = strings.Repeat("a long story. ", 40_000) // longer than a block
	long.Fingerprint = resubmit.Fingerprint(long.OrderID, long.Before)
	for name, entries := range map[string][]*resubmit.Entry{
		"nothing": nil, "two": planEntries(), "several blocks": {&long, planEntries()[1], planEntries()[1], &long},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := fileOf(t, writePlan(t, entries...))
			plan := openAgain(t, path, "")
			for _, digest := range []string{plan.Digest(), "sha256:" + strings.Repeat("0", 64), `"`} {
				again := openAgain(t, path, digest)
				require.Equal(t, plan.Digest(), again.Digest(), "that of the file, whatever was expected")
				require.Equal(t, plan.Header(), again.Header())
				require.Equal(t, plan.Counts(), again.Counts())
				require.Equal(t, entriesOf(t, plan), entriesOf(t, again))
			}
		})
	}
}

func TestAPlanThatWasVerifiedIsOnlyHashedAgain(t *testing.T) {
	t.Parallel()
	good := writePlan(t, planEntries()...)
	// Nobody could have verified this one, but if it has the digest, somebody has.
	odd := bytes.Replace(good, []byte(`"class":"transient"`), []byte(`"class":"transienz"`), 1)
	signed := odd[:bytes.LastIndex(odd, []byte("sha256:"))]
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(signed))
	odd = fmt.Appendf(signed, "%s\"}\n", digest)
	path := fileOf(t, odd)

	_, err := resubmit.OpenPlan(path)
	require.ErrorContains(t, err, "unknown class")
	require.Equal(t, digest, openAgain(t, path, digest).Digest())
	_, err = resubmit.OpenPlanAgain(path, "sha256:"+strings.Repeat("0", 64))
	require.ErrorContains(t, err, "unknown class", "with another digest it is verified")
}

// whyNotKnown is why a file is not the plan with a digest.
func whyNotKnown(t testing.TB, path, digest string) error {
	t.Helper()
	plan, err := resubmit.OpenPlanAgain(path, digest)
	if err != nil {
		return err
	}
	err = plan.Verified()
	for e, again := range plan.WithSignature(nil).Entries() {
		require.Nil(t, e)
		require.Equal(t, err, again)
	}
	require.NoError(t, plan.Close())
	return err
}

func TestEveryChangeOfAKnownPlanIsNoticed(t *testing.T) {
	t.Parallel()
	good := writePlan(t, planEntries()...)
	path := fileOf(t, good)
	digest := openAgain(t, path, "").Digest()
	refused := func(data []byte) {
		require.NoError(t, os.WriteFile(path, data, 0o600))
		_, err := resubmit.OpenPlan(path)
		require.Error(t, err)
		require.Equal(t, err, whyNotKnown(t, path, digest))
	}
	for i := range good {
		edited := bytes.Clone(good)
		edited[i] ^= 1 << (i % 8)
		refused(edited)
		refused(good[:i])
	}
	refused(append(bytes.Clone(good), '\n'))
	refused(append(bytes.Clone(good), good...))
}

func TestAKnownPlanThatIsEditedWhileItIsOpenYieldsNothingOfTheEditedPart(t *testing.T) {
	t.Parallel()
	good := writePlan(t, planEntries()...)
	path := fileOf(t, good)
	plan := openAgain(t, path, openAgain(t, path, "").Digest())
	require.NoError(t, plan.Verified())
	require.NoError(t, os.WriteFile(path, bytes.Replace(good, []byte(`"hold"`), []byte(`"wait"`), 1), 0o600))
	for e, err := range plan.Entries() {
		require.Nil(t, e)
		require.ErrorContains(t, err, "the file was changed after it was opened")
	}
}

func TestAKnownPlanThatIsNotWhatItSaysIsNotCarriedOut(t *testing.T) {
	t.Parallel()
	o := outageOrder(1, "a")
	s, e := newShop(o), entryFor(o)
	good := writePlan(t, e)
	path := fileOf(t, good)
	digest := openAgain(t, path, "").Digest()
	require.NoError(t, os.WriteFile(path, bytes.Replace(good, []byte(e.Number), []byte("SO999999"), 1), 0o600))
	plan, err := resubmit.OpenPlanAgain(path, digest)
	require.NoError(t, err, "it says that it is the plan")
	r := runnerFor(t, s, func(c *resubmit.Config) { c.MaxPlanAge = -1 })
	report, err := r.Apply(t.Context(), plan)
	require.ErrorContains(t, err, "the digest does not fit")
	require.Equal(t, resubmit.Result{Skipped: 1}, report.Result)
	require.Empty(t, s.calls)
	require.NoError(t, plan.Close())
}

func TestAKnownPlanCanBeClosedAtOnce(t *testing.T) {
	t.Parallel()
	long := *planEntries()[0]
	long.Before.Reason = strings.Repeat("a long story. ", 1_000_000)
	long.Fingerprint = resubmit.Fingerprint(long.OrderID, long.Before)
	path := fileOf(t, writePlan(t, &long))
	digest := openAgain(t, path, "").Digest()
	for range 20 {
		plan, err := resubmit.OpenPlanAgain(path, digest)
		require.NoError(t, err)
		signed := plan.WithSignature(nil)
		require.NoError(t, plan.Close())
		if err := signed.Verified(); err != nil {
			require.ErrorContains(t, err, "file already closed")
		}
	}
}
