package plan

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

const (
	signatureKind    = "cloudblue-resubmit-signature"
	signatureVersion = 1
	signatureSuffix  = ".sig" // of the file beside the plan
)

const (
	maxSigner    = 200
	maxSignature = 4 << 10 // bytes of a signature file
	valueStart   = `,"signature":"`
)

var (
	// ErrUnsigned means that a plan has no signature.
	ErrUnsigned = errors.New("the plan is not signed")
	// ErrBadSignature means that a signature does not belong to the plan, or was made with a key that is not accepted.
	ErrBadSignature = errors.New("the signature is invalid")
)

// Signature is the signature of a plan. Its file format is one line of JSON:
//
//	{"kind":"cloudblue-resubmit-signature","version":1,"plan":"sha256:…",
//	"signer":"…","signedAt":"…","key":"…","signature":"…"}
//
// The signature is an Ed25519 signature of all bytes of the line up to and including the quote that opens its value,
// so it covers the plan's digest, the signer, the time and the key. Key and signature are in base64. It is a separate
// file, so that one person can make a plan and another one approve it. Name and time are statements of the signer.
type Signature struct {
	// PlanDigest is the digest of the plan.
	PlanDigest string
	// Signer is the name of the signer: up to 200 bytes on one line.
	Signer   string
	SignedAt time.Time
	Key      ed25519.PublicKey
	// Value is the Ed25519 signature.
	Value []byte
}

// Sign signs the plan with the name of the signer and the current time.
func (p *Plan) Sign(key ed25519.PrivateKey, signer string) (*Signature, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, errors.New("plan: sign: this is not an Ed25519 private key; load one with LoadSigningKey")
	}
	if err := checkSigner(signer); err != nil {
		return nil, fmt.Errorf("plan: sign: %w", err)
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok || !bytes.Equal(public, ed25519.NewKeyFromSeed(key.Seed())[ed25519.SeedSize:]) {
		return nil, errors.New("plan: sign: the private and public key do not match; load the key with LoadSigningKey")
	}
	s := &Signature{PlanDigest: p.digest, Signer: signer, SignedAt: time.Now().UTC().Truncate(time.Second), Key: public}
	s.Value = ed25519.Sign(key, s.message())
	return s, nil
}

// SignFile verifies and signs the plan file at path. It writes the signature to path with ".sig" appended, mode 0600,
// and replaces an existing one.
func SignFile(path string, key ed25519.PrivateKey, signer string) (*Signature, error) {
	plan, err := Open(path)
	if err != nil {
		return nil, err
	}
	s, err := plan.Sign(key, signer)
	if closed := plan.Close(); err == nil && closed != nil {
		err = fmt.Errorf("plan: sign: %w", closed)
	}
	if err != nil {
		return nil, err
	}
	if err := durable.Replace(path+signatureSuffix, s.Line(), 0o600); err != nil {
		return nil, fmt.Errorf("plan: sign: %w", err)
	}
	return s, nil
}

// WithSignature returns the plan with a signature from elsewhere than the file beside it. Both plans share the open
// file: close one of them.
func (p *Plan) WithSignature(s *Signature) *Plan {
	signed := *p
	signed.signature = s
	return &signed
}

// Signature returns the valid signature of the plan: the one of [Plan.WithSignature], otherwise the one in the file
// beside the plan. It may be made with any key; use [Plan.SignedBy] to check whose it is. The error matches
// [ErrUnsigned] or [ErrBadSignature], or is that of reading the file.
func (p *Plan) Signature() (*Signature, error) {
	s, err := p.signed()
	if err == nil {
		err = s.check(p.digest)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.prefix(), err)
	}
	return s, nil
}

func (p *Plan) signed() (*Signature, error) {
	if p.signature != nil {
		return p.signature, nil
	}
	if p.name == "" {
		return nil, fmt.Errorf("%w; pass its signature to WithSignature", ErrUnsigned)
	}
	f, err := os.Open(p.name + signatureSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no %s; have it reviewed and signed", ErrUnsigned, p.name+signatureSuffix)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	s, err := ReadSignature(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.name+signatureSuffix, err)
	}
	return s, nil
}

// SignedBy returns the valid signature of the plan if it was made with one of keys. Otherwise the error matches
// [ErrUnsigned] or [ErrBadSignature].
func (p *Plan) SignedBy(keys ...ed25519.PublicKey) (*Signature, error) {
	s, err := p.Signature()
	if err != nil {
		return nil, err
	}
	for _, k := range keys {
		if k.Equal(s.Key) {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%s: %w: it was signed by %q with the key %s, which is not one of the required keys; have it "+
		"signed with one of them", p.prefix(), ErrBadSignature, s.Signer, KeyName(s.Key))
}

// Line returns the signature as the content of a signature file: one line with its end.
func (s *Signature) Line() []byte {
	b := base64.StdEncoding.AppendEncode(s.message(), s.Value)
	return append(b, "\"}\n"...)
}

// message returns the bytes that are signed.
func (s *Signature) message() []byte {
	b := fmt.Appendf(nil, `{"kind":%q,"version":%d,"plan":`, signatureKind, signatureVersion)
	b = text.AppendJSON(b, s.PlanDigest)
	b = text.AppendJSON(append(b, `,"signer":`...), s.Signer)
	b = text.AppendJSON(append(b, `,"signedAt":`...), s.SignedAt.UTC().Format(time.RFC3339))
	b = text.AppendJSON(append(b, `,"key":`...), base64.StdEncoding.EncodeToString(s.Key))
	return append(b, valueStart...)
}

// ReadSignature reads a signature and verifies it with its own key. It does not check to which plan it belongs; use
// [Plan.WithSignature] and [Plan.SignedBy].
func ReadSignature(r io.Reader) (*Signature, error) {
	line, err := io.ReadAll(io.LimitReader(r, maxSignature+1))
	if err != nil {
		return nil, fmt.Errorf("plan: read signature: %w", err)
	}
	s, err := parseSignature(line)
	if err != nil {
		return nil, fmt.Errorf("plan: read signature: %w", err)
	}
	return s, nil
}

func parseSignature(line []byte) (*Signature, error) {
	var text struct {
		Kind      string    `json:"kind"`
		Version   int       `json:"version"`
		Plan      string    `json:"plan"`
		Signer    string    `json:"signer"`
		SignedAt  time.Time `json:"signedAt"`
		Key       []byte    `json:"key"`
		Signature []byte    `json:"signature"`
	}
	if len(line) > maxSignature {
		return nil, fmt.Errorf("this is not a signature: it has more than %d bytes", maxSignature)
	}
	if err := number.Unmarshal(line, &text); err != nil || text.Kind != signatureKind {
		return nil, fmt.Errorf("this is not the signature of a plan: it is not one line of JSON with \"kind\":%q",
			signatureKind)
	}
	if text.Version != signatureVersion {
		return nil, fmt.Errorf("the signature has version %d, this library reads version %d; sign the plan again",
			text.Version, signatureVersion)
	}
	s := &Signature{PlanDigest: text.Plan, Signer: text.Signer, SignedAt: text.SignedAt.UTC(), Key: text.Key,
		Value: text.Signature}
	if err := s.verify(); err != nil {
		return nil, err
	}
	if !bytes.Equal(line, s.Line()) {
		return nil, fmt.Errorf("%w: it is not written as it was signed; sign the plan again", ErrBadSignature)
	}
	return s, nil
}

// check verifies the signature of the plan with the given digest.
func (s *Signature) check(digest string) error {
	if err := s.verify(); err != nil {
		return err
	}
	if s.PlanDigest != digest {
		return fmt.Errorf("%w: it belongs to another plan, %s, and this is %s; sign this one", ErrBadSignature, s.PlanDigest,
			digest)
	}
	return nil
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// verify verifies the signature with its own key.
func (s *Signature) verify() error {
	if err := checkSigner(s.Signer); err != nil {
		return fmt.Errorf("%w: %w", ErrBadSignature, err)
	}
	switch {
	case !digestForm.MatchString(s.PlanDigest):
		return fmt.Errorf("%w: %q is not the digest of a plan", ErrBadSignature, text.Short(s.PlanDigest))
	case checkYear(s.SignedAt) != nil:
		return fmt.Errorf("%w: its time is invalid", ErrBadSignature)
	case len(s.Key) != ed25519.PublicKeySize:
		return fmt.Errorf("%w: its key has %d bytes, an Ed25519 key has %d", ErrBadSignature, len(s.Key),
			ed25519.PublicKeySize)
	case !ed25519.Verify(s.Key, s.message(), s.Value):
		return fmt.Errorf("%w: it was edited, or was not made with its key; sign the plan again", ErrBadSignature)
	default:
		return nil
	}
}

func checkSigner(name string) error {
	switch {
	case strings.TrimSpace(name) == "" || len(name) > maxSigner:
		return fmt.Errorf("the name of the signer has %d bytes; use 1 to %d", len(name), maxSigner)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("the name of the signer, %q, has unprintable characters; remove them", name)
	default:
		return nil
	}
}

// KeyName returns a short name for a public key: "ed25519:" and the first 16 hexadecimal digits of its SHA-256.
func KeyName(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return "ed25519:" + hex.EncodeToString(sum[:8])
}
