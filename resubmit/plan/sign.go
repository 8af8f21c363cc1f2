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

// What a signature says it is.
const (
	signatureKind    = "cloudblue-resubmit-signature"
	signatureVersion = 1
	// signatureSuffix ends the name of the file that holds the signature of a plan,
	// beside the plan.
	signatureSuffix = ".sig"
)

const (
	maxSigner    = 200
	maxSignature = 4 << 10 // bytes of a signature file
	valueStart   = `,"signature":"`
)

var (
	// ErrUnsigned says that a plan has no signature.
	ErrUnsigned = errors.New("the plan is not signed")
	// ErrSignature says that a signature is not good: it was edited, it is that of
	// another plan, or its key is not one of those that may sign.
	ErrSignature = errors.New("the signature is not good")
)

// Signature is somebody's word for a plan, as one line of JSON:
//
//	{"kind":"cloudblue-resubmit-signature","version":1,"plan":"sha256:…",
//	"signer":"…","signedAt":"…","key":"…","signature":"…"}
//
// The signature is that of Ed25519, over all bytes of the line up to and including
// the quote that opens its value: over the plan's digest, the signer, the time and
// the key. Key and signature are in base64. It stands apart from the plan, which
// stays as it is byte for byte, so that who makes a plan and who answers for it can
// be two. Whoever signs vouches for name and time too; neither is proved otherwise.
type Signature struct {
	Plan     string // digest
	Signer   string // up to 200 bytes on one line
	SignedAt time.Time
	Key      ed25519.PublicKey
	Value    []byte
}

// Sign signs the plan in the name of signer, now.
func (p *Plan) Sign(key ed25519.PrivateKey, signer string) (*Signature, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, errors.New("resubmit: sign plan: this is no Ed25519 private key; load one with LoadSigningKey")
	}
	if err := checkSigner(signer); err != nil {
		return nil, fmt.Errorf("resubmit: sign plan: %w", err)
	}
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok || !bytes.Equal(public, ed25519.NewKeyFromSeed(key.Seed())[ed25519.SeedSize:]) {
		return nil,
			errors.New("resubmit: sign plan: the two halves of the key do not belong together; load it with LoadSigningKey")
	}
	s := &Signature{Plan: p.digest, Signer: signer, SignedAt: time.Now().UTC().Truncate(time.Second), Key: public}
	s.Value = ed25519.Sign(key, s.message())
	return s, nil
}

// SignFile verifies the plan at path, signs it, and writes the signature beside
// it, to path and signatureSuffix with the mode 0600, in place of one that is there.
func SignFile(path string, key ed25519.PrivateKey, signer string) (*Signature, error) {
	plan, err := Open(path)
	if err != nil {
		return nil, err
	}
	s, err := plan.Sign(key, signer)
	if closed := plan.Close(); err == nil && closed != nil {
		err = fmt.Errorf("resubmit: sign plan: %w", closed)
	}
	if err != nil {
		return nil, err
	}
	if err := durable.Replace(path+signatureSuffix, s.Line(), 0o600); err != nil {
		return nil, fmt.Errorf("resubmit: sign plan: %w", err)
	}
	return s, nil
}

// WithSignature is the plan with a signature that is not in a file beside it, or
// instead of that one. Both share what they read from: close one of them.
func (p *Plan) WithSignature(s *Signature) *Plan {
	signed := *p
	signed.signature = s
	return &signed
}

// Signature returns the signature of the plan: the one of WithSignature, or else what
// is in the file beside the plan now. That it is good says nothing about whose key it
// is; SignedBy does. The error matches [ErrUnsigned] or [ErrSignature] or is that of
// reading the file.
func (p *Plan) Signature() (*Signature, error) {
	s, err := p.signed()
	if err == nil {
		err = s.check(p.digest)
	}
	if err != nil {
		name := "the plan"
		if p.name != "" {
			name = "plan " + p.name
		}
		return nil, fmt.Errorf("resubmit: %s: %w", name, err)
	}
	return s, nil
}

func (p *Plan) signed() (*Signature, error) {
	if p.signature != nil {
		return p.signature, nil
	}
	if p.name == "" {
		return nil, fmt.Errorf("%w; give its signature with WithSignature", ErrUnsigned)
	}
	f, err := os.Open(p.name + signatureSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no %s; let somebody who may sign look at it and sign it", ErrUnsigned,
			p.name+signatureSuffix)
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

// SignedBy returns the signature of the plan if its key is one of keys. The error
// matches [ErrUnsigned] or [ErrSignature].
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
	return nil,
		fmt.Errorf(
			"resubmit: %w: the plan was signed by %q with the key %s, which is not one of those that are asked for; let "+
				"somebody sign it who may",
			ErrSignature, s.Signer, KeyName(s.Key))
}

// Line is the signature as it is kept in a file, its line end included.
func (s *Signature) Line() []byte {
	b := base64.StdEncoding.AppendEncode(s.message(), s.Value)
	return append(b, "\"}\n"...)
}

// message is what is signed.
func (s *Signature) message() []byte {
	b := fmt.Appendf(nil, `{"kind":%q,"version":%d,"plan":`, signatureKind, signatureVersion)
	b = text.AppendJSON(b, s.Plan)
	b = text.AppendJSON(append(b, `,"signer":`...), s.Signer)
	b = text.AppendJSON(append(b, `,"signedAt":`...), s.SignedAt.UTC().Format(time.RFC3339))
	b = text.AppendJSON(append(b, `,"key":`...), base64.StdEncoding.EncodeToString(s.Key))
	return append(b, valueStart...)
}

// ReadSignature reads a signature and checks that it is good in itself: that who has
// the key has signed just this. Whether it is that of a plan, [Plan.Signature] tells.
func ReadSignature(r io.Reader) (*Signature, error) {
	line, err := io.ReadAll(io.LimitReader(r, maxSignature+1))
	if err != nil {
		return nil, fmt.Errorf("resubmit: read signature: %w", err)
	}
	s, err := parseSignature(line)
	if err != nil {
		return nil, fmt.Errorf("resubmit: read signature: %w", err)
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
		return nil, fmt.Errorf("this is no signature: it has more than %d bytes", maxSignature)
	}
	if err := number.Unmarshal(line, &text); err != nil || text.Kind != signatureKind {
		return nil, fmt.Errorf("this is no signature of a plan: it is not one line of JSON with \"kind\":%q", signatureKind)
	}
	if text.Version != signatureVersion {
		return nil, fmt.Errorf("the signature has version %d, this library reads version %d; sign the plan anew",
			text.Version, signatureVersion)
	}
	s := &Signature{Plan: text.Plan, Signer: text.Signer, SignedAt: text.SignedAt.UTC(), Key: text.Key,
		Value: text.Signature}
	if err := s.verify(); err != nil {
		return nil, err
	}
	if !bytes.Equal(line, s.Line()) {
		return nil, fmt.Errorf("%w: it is not written as it was signed; sign the plan anew", ErrSignature)
	}
	return s, nil
}

// check says why a signature is not a good one of a plan.
func (s *Signature) check(digest string) error {
	if err := s.verify(); err != nil {
		return err
	}
	if s.Plan != digest {
		return fmt.Errorf("%w: it is that of another plan, %s, and this is %s; sign this one", ErrSignature, s.Plan, digest)
	}
	return nil
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// verify says why a signature is not good in itself.
func (s *Signature) verify() error {
	if err := checkSigner(s.Signer); err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	switch {
	case !digestForm.MatchString(s.Plan):
		return fmt.Errorf("%w: %q is no digest of a plan", ErrSignature, text.Short(s.Plan))
	case checkYear(s.SignedAt) != nil:
		return fmt.Errorf("%w: it has no time that can be right", ErrSignature)
	case len(s.Key) != ed25519.PublicKeySize:
		return fmt.Errorf("%w: its key has %d bytes, an Ed25519 key has %d", ErrSignature, len(s.Key), ed25519.PublicKeySize)
	case !ed25519.Verify(s.Key, s.message(), s.Value):
		return fmt.Errorf("%w: it was edited, or was not made with its key; sign the plan anew", ErrSignature)
	default:
		return nil
	}
}

func checkSigner(name string) error {
	switch {
	case strings.TrimSpace(name) == "" || len(name) > maxSigner:
		return fmt.Errorf("the name of the signer has %d bytes; give up to %d, and not none", len(name), maxSigner)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("the name of the signer, %q, has characters that do not print; leave them out", name)
	default:
		return nil
	}
}

// KeyName is a short name of a public key for people: "ed25519:" and the first 16
// hexadecimal digits of its SHA-256.
func KeyName(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return "ed25519:" + hex.EncodeToString(sum[:8])
}
