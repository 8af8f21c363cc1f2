package plan

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

const (
	pemPrivate = "PRIVATE KEY" // PKCS#8
	pemPublic  = "PUBLIC KEY"  // PKIX
	maxKeyFile = 1 << 20
)

// NewSigningKey generates an Ed25519 key and writes it to path (PKCS#8 in PEM, mode 0600), and its public key to path
// with ".pub" appended. It never overwrites a file: the error then matches [os.ErrExist].
func NewSigningKey(path string) (ed25519.PrivateKey, error) {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("plan: new signing key: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("plan: new signing key: %w", err)
	}
	pub, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("plan: new signing key: %w", err)
	}
	if err := writeNew(path, pemPrivate, private, 0o600); err != nil {
		return nil, fmt.Errorf("plan: new signing key: %w", err)
	}
	if err := writeNew(path+".pub", pemPublic, pub, 0o644); err != nil {
		return nil, fmt.Errorf("plan: new signing key: %w", errors.Join(err, os.Remove(path)))
	}
	return key, nil
}

// writeNew writes a file that must not exist.
func writeNew(path, kind string, der []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode) //nolint:gosec // the caller's path
	if err != nil {
		return err
	}
	err = pem.Encode(f, &pem.Block{Type: kind, Bytes: der})
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = durable.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		_ = os.Remove(path) // err says more
	}
	return err
}

// LoadSigningKey loads a key written by [NewSigningKey] or "openssl genpkey -algorithm ed25519". It rejects a file that
// others than its owner may read, except on Windows. Errors do not contain any of the content.
func LoadSigningKey(path string) (ed25519.PrivateKey, error) {
	data, mode, err := readKeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("plan: load signing key: %w", err)
	}
	if mode.Perm()&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("plan: load signing key: others may read %s, its mode is %v; make a new key, or chmod 600 it "+
			"if nobody has read it", path, mode.Perm())
	}
	block, rest := pem.Decode(data)
	if block == nil || block.Type != pemPrivate || len(rest) > 0 {
		return nil, fmt.Errorf("plan: load signing key: %s is not one PEM block %q; use a file of NewSigningKey", path,
			pemPrivate)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("plan: load signing key: %s has no Ed25519 key in PKCS#8; use a file of NewSigningKey",
			path)
	}
	return key, nil
}

// ApprovalKey loads the key at path, or generates it with [NewSigningKey] at the first use. It is the key of a service
// that records approvals: the service signs a plan with [SignFile] when it is approved, and applies it only if
// [Plan.SignedBy] accepts the public half. Keep the file outside the directory of the plans, so that writing there is
// not enough to approve a plan. It makes the folder of path, mode 0700. Only one process
// may call it for a path at a time.
func ApprovalKey(path string) (ed25519.PrivateKey, error) {
	key, err := LoadSigningKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("plan: new approval key: %w", err)
	}
	return NewSigningKey(path)
}

// LoadPublicKeys loads one or more public keys, each in a PEM block as in the ".pub" files of [NewSigningKey]. Pass
// them to [Plan.SignedBy] or resubmit.Config.Require.
func LoadPublicKeys(path string) ([]ed25519.PublicKey, error) {
	data, _, err := readKeyFile(path)
	if err != nil {
		return nil, fmt.Errorf("plan: load public keys: %w", err)
	}
	var keys []ed25519.PublicKey
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		if block.Type != pemPublic {
			return nil, fmt.Errorf("plan: load public keys: %s has a PEM block %q; use public keys only", path,
				text.Short(block.Type))
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		key, ok := parsed.(ed25519.PublicKey)
		if err != nil || !ok {
			return nil, fmt.Errorf("plan: load public keys: block %d of %s is not an Ed25519 key; use .pub files of "+
				"NewSigningKey", len(keys)+1, path)
		}
		keys, data = append(keys, key), rest
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("plan: load public keys: %s has no PEM block %q; use a .pub file of NewSigningKey", path,
			pemPublic)
	}
	return keys, nil
}

func readKeyFile(path string) ([]byte, os.FileMode, error) {
	f, err := os.Open(path) //nolint:gosec // the caller's path
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	return data, info.Mode(), err
}
