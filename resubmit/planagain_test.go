package resubmit_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

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

// edited is a plan of one order that says that it is another, the way to its file, and
// what is right in that.
func edited(t *testing.T, was, is string) (s *shop, plan *resubmit.Plan, path string, good []byte) {
	t.Helper()
	o := outageOrder(1, "a")
	good = writePlan(t, entryFor(o))
	path = fileOf(t, good)
	digest := openAgain(t, path, "").Digest()
	require.Contains(t, string(good), was)
	require.NoError(t, os.WriteFile(path, bytes.Replace(good, []byte(was), []byte(is), 1), 0o600))
	plan = openAgain(t, path, digest)
	require.Equal(t, digest, plan.Digest(), "it says so")
	return newShop(o), plan, path, good
}

func TestAKnownPlanThatIsNotWhatItSaysIsNotCarriedOut(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]string{
		"an order":  {`"SO000001"`, `"SO999999"`},
		"the count": {`"resubmit":1`, `"resubmit":7`},
		"its age":   {`"createdAt":"2026-11-22`, `"createdAt":"2126-11-22`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, plan, _, _ := edited(t, change[0], change[1])
			for _, begun := range []bool{true, false} {
				j, seen := new(resubmit.MemoryJournal), new(diary)
				if begun {
					require.NoError(t, j.Begin(plan.Digest()))
				}
				r := runnerFor(t, s, func(c *resubmit.Config) { c.System, c.Journal, c.Observer = planHeader().System, j, seen })
				report, err := r.Apply(t.Context(), plan)
				require.ErrorContains(t, err, "make the plan anew")
				require.Equal(t, plan.Verified(), err)
				require.Nil(t, report)
				require.Empty(t, s.calls)
				require.NotContains(t, strings.Join(seen.lines, " "), "plan", "nobody is told of it")
				require.Equal(t, begun, j.Plan() != "", "it binds no journal")
			}
			_, key, err := ed25519.GenerateKey(nil)
			require.NoError(t, err)
			_, err = plan.Sign(key, "Ada")
			require.ErrorIs(t, err, plan.Verified())
			_, err = plan.Signature()
			require.Equal(t, plan.Verified(), err)
			_, err = plan.SignedBy()
			require.Equal(t, plan.Verified(), err)
		})
	}
}

// reader is what a plan is read from, and may do something before each reading.
type reader struct {
	*bytes.Reader
	before func()
}

func (r *reader) ReadAt(b []byte, at int64) (int, error) {
	r.before()
	return r.Reader.ReadAt(b, at)
}

func TestAPlanThatChangesWhileItIsOpenedAgainIsFoundOut(t *testing.T) {
	t.Parallel()
	good := writePlan(t, planEntries()...)
	known, err := readPlan(good)
	require.NoError(t, err)
	for first, change := range map[int][2]string{ // what is read first is its end, then its start
		1: {`"total":2`, `"total":3`},
		2: {`"view":"`, `"view":" `},
	} {
		r, n := &reader{Reader: bytes.NewReader(good)}, 0
		r.before = func() {
			text := string(good)
			if n++; n == first {
				text = strings.Replace(text, change[0], change[1], 1)
			}
			r.Reset([]byte(text))
		}
		plan, err := resubmit.ReadPlanAgain(r, int64(len(good)), "", known.Digest())
		require.NoError(t, err)
		require.ErrorContains(t, plan.Verified(), "the digest does not fit", first)
	}
}

func TestARunEndsWhileItsPlanIsRead(t *testing.T) {
	t.Parallel()
	o := outageOrder(1, "a")
	synctest.Test(t, func(t *testing.T) {
		good := writePlan(t, entryFor(o))
		known, err := readPlan(good)
		require.NoError(t, err)
		n, gate := 0, make(chan struct{})
		slow := &reader{bytes.NewReader(good), func() {
			if n++; n > 2 {
				<-gate
			}
		}}
		plan, err := resubmit.ReadPlanAgain(slow, int64(len(good)), "", known.Digest())
		require.NoError(t, err)
		for _, begun := range []bool{true, false} {
			s, j := newShop(o), new(resubmit.MemoryJournal)
			if begun {
				require.NoError(t, j.Begin(plan.Digest()))
			}
			r := runnerFor(t, s, func(c *resubmit.Config) { c.System, c.Journal, c.MaxPlanAge = planHeader().System, j, -1 })
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			report, err := r.Apply(ctx, plan)
			cancel()
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Nil(t, report)
			require.Empty(t, s.calls)
		}
		close(gate)
		require.NoError(t, plan.Verified())
	})
}

func TestAKnownPlanCanBeClosedAtOnce(t *testing.T) {
	long := *planEntries()[0]
	long.Before.Reason = strings.Repeat("a long story. ", 300_000)
	long.Fingerprint = resubmit.Fingerprint(long.OrderID, long.Before)
	path := fileOf(t, writePlan(t, &long))
	digest := openAgain(t, path, "").Digest()
	for range 5 {
		plan, err := resubmit.OpenPlanAgain(path, digest)
		require.NoError(t, err)
		signed := plan.WithSignature(nil)
		require.NoError(t, plan.Close())
		stacks := make([]byte, 1<<20)
		require.NotContains(t, string(stacks[:runtime.Stack(stacks, true)]), "(*Plan).hash", "nobody reads it any more")
		if err := signed.Verified(); err != nil {
			require.ErrorContains(t, err, "file already closed")
		}
	}
}
