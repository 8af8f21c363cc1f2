package plan_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// testKey is a key for tests only.
func testKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func publicKey(n byte) ed25519.PublicKey { return testKey(n).Public().(ed25519.PublicKey) }

func goodPlan(t testing.TB) *plan.Plan {
	t.Helper()
	plan, err := readPlan(writePlan(t, planEntries()...))
	require.NoError(t, err)
	return plan
}

func TestSignAndReadSignature(t *testing.T) {
	t.Parallel()
	path := filepath.Join("testdata", "plan.golden.jsonl.sig")
	s, err := goodPlan(t).Sign(testKey(1), "Ünïcode \"Ann\" <ann@example.com>")
	require.NoError(t, err)
	require.WithinDuration(t, time.Now(), s.SignedAt, time.Minute)
	if *update {
		require.NoError(t, os.WriteFile(path, s.Line(), 0o600))
	}
	back, err := plan.ReadSignature(bytes.NewReader(s.Line()))
	require.NoError(t, err)
	require.Equal(t, s, back)

	plan, err := plan.Open(filepath.Join("testdata", "plan.golden.jsonl"))
	require.NoError(t, err)
	defer func() { require.NoError(t, plan.Close()) }()
	golden, err := plan.SignedBy(publicKey(2), publicKey(1))
	require.NoError(t, err)
	require.Equal(t, s.Signer, golden.Signer)
	require.Equal(t, plan.Digest(), golden.PlanDigest)
	line, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(line), string(golden.Line()))
}

func TestReadSignatureDetectsEveryChangedByte(t *testing.T) {
	t.Parallel()
	s, err := goodPlan(t).Sign(testKey(1), "Ann")
	require.NoError(t, err)
	line := s.Line()
	for i := range line {
		for _, flip := range []byte{1 << (i % 8), ' '} {
			edited := bytes.Clone(line)
			edited[i] ^= flip
			_, err := plan.ReadSignature(bytes.NewReader(edited))
			require.Error(t, err, "byte %d: %q", i, edited)
			require.NotContains(t, err.Error(), "\n")
		}
		_, err := plan.ReadSignature(bytes.NewReader(line[:i]))
		require.Error(t, err, "cut off at byte %d", i)
	}
	_, err = plan.ReadSignature(bytes.NewReader(append(bytes.Clone(line), line...)))
	require.Error(t, err)
}

// TestReadDetectsEveryChangedByte changes every byte.
func TestSignedByDetectsAChangedPlan(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "plan.jsonl")
	data := writePlan(t, planEntries()...)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	_, err := plan.SignFile(path, testKey(1), "Ann")
	require.NoError(t, err)
	for i := 0; i < len(data); i += 37 {
		edited := bytes.Clone(data)
		edited[i] ^= 1 << (i % 8)
		require.NoError(t, os.WriteFile(path, edited, 0o600))
		_, err := plan.Open(path)
		require.Error(t, err, "byte %d", i)
	}
	// A plan that is whole in itself, with a digest of its own.
	other := planEntries()
	other[0].Customer = "somebody else"
	require.NoError(t, os.WriteFile(path, writePlan(t, other...), 0o600))
	p, err := plan.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	_, err = p.SignedBy(publicKey(1))
	require.ErrorIs(t, err, plan.ErrBadSignature)
	require.ErrorContains(t, err, "it belongs to another plan")
}

func TestSignedByRejectsForgedSignatures(t *testing.T) {
	t.Parallel()
	p := goodPlan(t)
	good, err := p.Sign(testKey(1), "Ann")
	require.NoError(t, err)
	for name, forge := range map[string]func(s *plan.Signature){
		"another signer":     func(s *plan.Signature) { s.Signer = "Bob" },
		"another time":       func(s *plan.Signature) { s.SignedAt = s.SignedAt.Add(time.Hour) },
		"another key":        func(s *plan.Signature) { s.Key = publicKey(2) },
		"no key":             func(s *plan.Signature) { s.Key = nil },
		"a short key":        func(s *plan.Signature) { s.Key = s.Key[:31] },
		"no value":           func(s *plan.Signature) { s.Value = nil },
		"another plan":       func(s *plan.Signature) { s.PlanDigest = "sha256:" + strings.Repeat("0", 64) },
		"no plan":            func(s *plan.Signature) { s.PlanDigest = "" },
		"a signer with ends": func(s *plan.Signature) { s.Signer = "Ann\nBob" },
		"no signer":          func(s *plan.Signature) { s.Signer = " " },
	} {
		forged := *good
		forge(&forged)
		_, err := p.WithSignature(&forged).SignedBy(publicKey(1), publicKey(2))
		require.ErrorIs(t, err, plan.ErrBadSignature, name)
		require.NotContains(t, err.Error(), "\n")
	}
	_, err = p.WithSignature(good).SignedBy(publicKey(1))
	require.NoError(t, err)
	_, err = p.Signature()
	require.ErrorIs(t, err, plan.ErrUnsigned, "the plan itself stays as it was")
}

func TestSignRejectsUnprintableNames(t *testing.T) {
	t.Parallel()
	plan := goodPlan(t)
	for _, signer := range []string{"", " ", "a\nb", "a\x1b[2Jb", "a\xff", strings.Repeat("a", 201)} {
		_, err := plan.Sign(testKey(1), signer)
		require.ErrorContains(t, err, "the name of the signer")
	}
	_, err := plan.Sign(nil, "Ann")
	require.ErrorContains(t, err, "this is not an Ed25519 private key")
	torn := testKey(1)
	copy(torn[32:], publicKey(2))
	_, err = plan.Sign(torn, "Ann")
	require.ErrorContains(t, err, "do not match")
}

func TestNewSigningKeyNeverOverwrites(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ann.key")
	key, err := plan.NewSigningKey(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	loaded, err := plan.LoadSigningKey(path)
	require.NoError(t, err)
	require.Equal(t, key, loaded)
	public, err := plan.LoadPublicKeys(path + ".pub")
	require.NoError(t, err)
	require.Equal(t, []ed25519.PublicKey{key.Public().(ed25519.PublicKey)}, public)

	_, err = plan.NewSigningKey(path)
	require.ErrorIs(t, err, os.ErrExist)
	require.NoError(t, os.Remove(path))
	_, err = plan.NewSigningKey(path)
	require.ErrorIs(t, err, os.ErrExist, "its public half is still there")
	_, err = os.Stat(path)
	require.ErrorIs(t, err, os.ErrNotExist, "no half of a pair is left behind")
}

func TestApprovalKeyIsGeneratedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plans, path := t.TempDir(), filepath.Join(dir, "new", "approval.key")
	key, err := plan.ApprovalKey(path)
	require.NoError(t, err)
	again, err := plan.ApprovalKey(path)
	require.NoError(t, err)
	require.Equal(t, key, again)
	info, err := os.Stat(filepath.Dir(path))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	// An approval is bound to the plan and to the key.
	file := filepath.Join(plans, "plan.jsonl")
	require.NoError(t, os.WriteFile(file, writePlan(t, planEntries()...), 0o600))
	_, err = plan.SignFile(file, key, "Ann on host1")
	require.NoError(t, err)
	p, err := plan.Open(file)
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close()) }()
	s, err := p.SignedBy(key.Public().(ed25519.PublicKey))
	require.NoError(t, err)
	require.Equal(t, "Ann on host1", s.Signer)
	_, err = p.SignedBy(publicKey(1))
	require.ErrorIs(t, err, plan.ErrBadSignature)

	require.NoError(t, os.WriteFile(path, []byte("half a key"), 0o600))
	_, err = plan.ApprovalKey(path)
	require.ErrorContains(t, err, "plan: load signing key: ")
	require.NoError(t, os.Remove(path))
	_, err = plan.ApprovalKey(path)
	require.ErrorIs(t, err, os.ErrExist, "a lost key is not replaced while its public half is there")
}

func TestLoadSigningKeyRejectsOtherFilesWithoutRevealingThem(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "key")
	key, err := plan.NewSigningKey(path)
	require.NoError(t, err)
	private, err := os.ReadFile(path)
	require.NoError(t, err)
	public, err := os.ReadFile(path + ".pub")
	require.NoError(t, err)
	write := func(name string, data []byte, mode os.FileMode) string {
		p := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(p, data, mode))
		require.NoError(t, os.Chmod(p, mode))
		return p
	}
	for _, p := range []string{
		write("open", private, 0o640), write("twice", bytes.Repeat(private, 2), 0o600), write("pub", public, 0o600),
		write("empty", nil, 0o600), write("cut", private[:len(private)/2], 0o600), write("text", private[28:], 0o600), folder,
		filepath.Join(folder, "none"),
	} {
		_, err := plan.LoadSigningKey(p)
		require.ErrorContains(t, err, "plan: load signing key: ", p)
		requireNoSecret(t, err, key, private)
	}
	for _, p := range []string{path, write("both", append(bytes.Clone(public), private...), 0o600),
		filepath.Join(folder, "empty"), folder} {
		_, err := plan.LoadPublicKeys(p)
		require.ErrorContains(t, err, "plan: load public keys: ", p)
		requireNoSecret(t, err, key, private)
	}
	two, err := plan.LoadPublicKeys(write("two", bytes.Repeat(public, 2), 0o644))
	require.NoError(t, err)
	require.Len(t, two, 2)
}

func requireNoSecret(t testing.TB, err error, key ed25519.PrivateKey, file []byte) {
	t.Helper()
	require.NotContains(t, err.Error(), "\n")
	require.NotContains(t, err.Error(), strings.Split(string(file), "\n")[1])
	require.NotContains(t, err.Error(), hex.EncodeToString(key.Seed()))
	require.NotContains(t, err.Error(), fmt.Sprintf("%d", key.Seed()))
}

func FuzzReadSignature(f *testing.F) {
	s, err := goodPlan(f).Sign(testKey(1), "Ann")
	require.NoError(f, err)
	f.Add(s.Line())
	f.Add([]byte(`{"kind":"cloudblue-resubmit-signature","version":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := plan.ReadSignature(bytes.NewReader(data))
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		require.Equal(t, string(data), string(s.Line()))
	})
}

func Example_signature() {
	folder, err := os.MkdirTemp("", "plan")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(folder) }()
	path, keyPath := filepath.Join(folder, "plan.jsonl"), filepath.Join(folder, "ann.key")
	if err := os.WriteFile(path, examplePlan(), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	key, err := plan.NewSigningKey(keyPath) // once; the public half goes to who applies plans
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := plan.SignFile(path, key, "Ann, night shift"); err != nil {
		fmt.Println(err)
		return
	}
	// Whoever applies plans gives these keys in Config.Require.
	trusted, err := plan.LoadPublicKeys(keyPath + ".pub")
	if err != nil {
		fmt.Println(err)
		return
	}
	plan, err := plan.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = plan.Close() }()
	signature, err := plan.SignedBy(trusted...)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("signed by", signature.Signer)
	// Output: signed by Ann, night shift
}

func examplePlan() []byte {
	var b bytes.Buffer
	w, err := plan.NewWriter(&b, planHeader())
	if err == nil {
		_, _, err = w.Close()
	}
	if err != nil {
		fmt.Println(err)
	}
	return b.Bytes()
}
