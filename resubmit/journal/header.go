package journal

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

const (
	kind    = "cloudblue-resubmit-journal"
	version = 2 // version 1 was a database of bbolt
	// maxHeader limits the size of a header.
	maxHeader = 64 << 10
)

// header is the first line of a file.
type header struct {
	Kind      string    `json:"kind"`
	Version   int       `json:"version"`
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"createdAt"`
	// CompactedAt is when the file was last written anew.
	CompactedAt time.Time `json:"compactedAt,omitzero"`
	// System, BaseURL and IDSpace are those of the first resubmit.JournalUse; empty before.
	System  string `json:"system,omitempty"`
	BaseURL string `json:"baseURL,omitempty"`
	IDSpace string `json:"idSpace,omitempty"`
	// ForgottenBefore is when records were lost.
	ForgottenBefore time.Time `json:"forgottenBefore,omitzero"`
	// Sequence and Hash are the position of the journal when the file was written. Without Hash it
	// is the hash of the header.
	Sequence uint64 `json:"sequence"`
	Hash     []byte `json:"hash,omitempty"`
}

func newHeader(now time.Time) header {
	return header{Kind: kind, Version: version, ID: rand.Text(), CreatedAt: now.UTC().Truncate(time.Second)}
}

// begun reports whether the journal belongs to a system.
func (h *header) begun() bool { return h.system() != [3]string{} }

func (h *header) system() [3]string { return [3]string{h.System, h.BaseURL, h.IDSpace} }

// encode returns the line and its hash.
func (h *header) encode() ([]byte, error) {
	line, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	line = append(text.EscapeJSON(line), '\n')
	if len(line) > maxHeader-hashSize {
		return nil, errors.New("the name or the URL of the system is too long")
	}
	hash := chain(line)
	return append(line, hash[:]...), nil
}

var errNotJournal = errors.New("this is not a journal; give another path")

// readHeader returns the header of a file, its size with the hash, and the hash.
func readHeader(r io.ReaderAt) (h header, size int64, hash digest, err error) {
	b := make([]byte, maxHeader)
	n, err := r.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return h, 0, hash, err
	}
	if n >= 20 && binary.NativeEndian.Uint32(b[16:]) == 0xED0CDAED { // as bbolt begins
		return h, 0, hash, fmt.Errorf("this is a journal of version 1, and this program reads version %d; finish its plan "+
			"with the release that wrote it, then use a new path", version)
	}
	line, rest, found := bytes.Cut(b[:n], []byte("\n"))
	if !found || number.Unmarshal(line, &h) != nil || h.Kind != kind {
		return h, 0, hash, errNotJournal
	}
	if h.Version != version {
		return h, 0, hash, fmt.Errorf("its format has version %d, and this program reads version %d; use the release "+
			"that wrote it, or a later one", h.Version, version)
	}
	size = int64(len(line)) + 1 + hashSize
	if copy(hash[:], rest) < hashSize || hash != chain(b[:len(line)+1]) {
		return h, 0, hash, &CorruptError{Why: "the header is incomplete or its hash is wrong"}
	}
	return h, size, hash, nil
}

// CorruptError is returned for a file that was damaged or changed by something else than a crash.
type CorruptError struct {
	Path   string
	Offset int64 // of the first frame that is wrong
	Why    string
}

// Error says what is wrong, and what to do.
func (e *CorruptError) Error() string {
	return fmt.Sprintf("resubmit/journal: %s: corrupt at byte %d: %s; nothing was changed: save a copy of the file, "+
		"see what is left with \"journal check\", and copy that with \"journal salvage\"",
		text.Excerpt(e.Path, 4<<10), e.Offset, text.Sentence(e.Why))
}
