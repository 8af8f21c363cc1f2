package audit

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/number"
)

// Head identifies the newest line of a log by its number and hash, like the head of a branch. Kept apart from the log,
// it proves that no line up to it was changed or cut off.
type Head struct {
	Lines int    `json:"lines"`
	Hash  string `json:"hash"`
	// Signature is an Ed25519 signature of Lines and Hash in base64; "" without [WithKey].
	Signature string `json:"signature,omitempty"`
	// Closed is whether the log was closed. Verify sets it and does not compare it.
	Closed bool `json:"-"`
}

// String returns "line 7, sha256:…".
func (h Head) String() string { return fmt.Sprintf("line %d, sha256:%s", h.Lines, h.Hash) }

// message returns the bytes that are signed.
func (h Head) message() []byte { return fmt.Appendf(nil, "%s head\n%d\n%s\n", kind, h.Lines, h.Hash) }

// sign returns the head with a signature.
func (h Head) sign(key ed25519.PrivateKey) Head {
	h.Signature = base64.StdEncoding.EncodeToString(ed25519.Sign(key, h.message()))
	return h
}

// CheckSignature returns an error unless the head was signed with the private key of one of keys.
func (h Head) CheckSignature(keys ...ed25519.PublicKey) error {
	if h.Signature == "" {
		return errors.New("the head is missing or not signed: the log was written without a key, or somebody replaced it")
	}
	signature, err := base64.StdEncoding.DecodeString(h.Signature)
	for _, k := range keys {
		if err == nil && len(k) == ed25519.PublicKeySize && ed25519.Verify(k, h.message(), signature) {
			return nil
		}
	}
	return errors.New("the signature of the head is invalid: it was made with another key, or somebody edited the head")
}

func headPath(path string) string { return path + ".head" }

const (
	headStart = `{"lines":`
	maxHead   = 4 << 10
)

// errTornHead is an incomplete head file.
var errTornHead = errors.New("the head is empty or torn, probably by a crash; open the log to repair it")

// isTornHead reports whether text is the start of a head, followed by zeros or nothing.
func isTornHead(text []byte) bool {
	text = bytes.TrimRight(text, "\x00\n")
	n := min(len(text), len(headStart))
	return string(text[:n]) == headStart[:n] && !bytes.HasSuffix(text, []byte("}"))
}

// readHead reads the head file of a log; zero if there is none.
func readHead(path string) (Head, error) {
	f, err := durable.OpenFile(headPath(path), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return Head{}, nil
	}
	if err != nil {
		return Head{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxHead+1))
	if err != nil {
		return Head{}, err
	}
	if len(text) > maxHead {
		return Head{}, notHead(path)
	}
	if isTornHead(text) {
		return Head{}, fmt.Errorf("%s: %w", headPath(path), errTornHead)
	}
	var h Head
	if err := number.Unmarshal(text, &h); err != nil || h.Lines < 1 {
		return Head{}, notHead(path)
	}
	return h, nil
}

func notHead(path string) error {
	return fmt.Errorf("%s is not a head file; remove it if you know that the log is complete", headPath(path))
}
