package audit

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

// Verify checks the hash chain of a log and returns its head. The error names the first line that was
// edited, removed, inserted or moved. The log must contain each of the known heads, which
// shows lines that were cut off at the end.
func Verify(r io.Reader, known ...Head) (Head, error) {
	s := &scan{known: known}
	if err := s.verify(r); err != nil {
		return s.head(), fmt.Errorf("resubmit/audit: %w", err)
	}
	return s.head(), nil
}

// VerifyFile is [Verify] for a file. It also checks the head file, if there is one. No
// process may write to the log meanwhile.
func VerifyFile(path string, known ...Head) (Head, error) {
	h, _, err := verifyFile(path, known, nil)
	return h, err
}

// VerifyFiles is [VerifyFile] for logs of which each follows the one before, see [WithPrevious]. It returns the head of
// the last one. Whether a log is missing before the first one is not known.
func VerifyFiles(paths ...string) (Head, error) { return VerifySigned(nil, paths...) }

// VerifySigned is [VerifyFiles] for logs whose heads are signed, see [WithKey]: the head file of each must have the
// last line, and a signature by one of keys. Without keys, heads need no signature.
func VerifySigned(keys []ed25519.PublicKey, paths ...string) (Head, error) {
	var last Head
	for i, path := range paths {
		h, first, err := verifyFile(path, nil, keys)
		if err != nil {
			return h, err
		}
		if p := first.Previous; i > 0 && (p == nil || p.Lines != last.Lines || p.Hash != last.Hash) {
			return h, fmt.Errorf("resubmit/audit: %s does not begin with the head of %s: a log between them is missing, or "+
				"one of them was replaced", path, paths[i-1])
		}
		last = h
	}
	return last, nil
}

// verifyFile verifies a file and returns its head and its first line.
func verifyFile(path string, known []Head, keys []ed25519.PublicKey) (h Head, first Line, err error) {
	f, err := os.Open(path) //nolint:gosec // the user's own path
	if err != nil {
		return h, first, fmt.Errorf("resubmit/audit: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	kept, err := readHead(path)
	if err != nil {
		return h, first, fmt.Errorf("resubmit/audit: %w", err)
	}
	if len(keys) > 0 {
		if err := kept.CheckSignature(keys...); err != nil {
			return h, first, fmt.Errorf("resubmit/audit: %s: %w", headPath(path), err)
		}
	}
	if kept.Lines > 0 {
		known = append(known[:len(known):len(known)], kept)
	}
	s := &scan{known: known}
	s.each = func(line []byte) error {
		s.each = nil
		return number.Unmarshal(line, &first)
	}
	if err := s.verify(f); err != nil {
		return s.head(), first, fmt.Errorf("resubmit/audit: %s: %w", path, err)
	}
	if len(keys) > 0 && s.chain.n > kept.Lines {
		return s.head(), first, fmt.Errorf("resubmit/audit: %s: lines %d to %d are not covered by the signed head: the "+
			"writer is running or crashed, or somebody else wrote them; opening the log records that", path, kept.Lines+1,
			s.chain.n)
	}
	h = s.head()
	h.Signature = kept.Signature
	return h, first, nil
}

// scan is the state of reading a log.
type scan struct {
	chain  chain
	known  []Head
	each   func(line []byte) error
	size   int64  // of the complete lines
	torn   []byte // the incomplete line after them
	closed bool
}

func (s *scan) head() Head {
	return Head{Lines: s.chain.n, Hash: hex.EncodeToString(s.chain.hash[:]), Closed: s.closed}
}

func (s *scan) verify(r io.Reader) error {
	if err := s.read(r); err != nil {
		return err
	}
	if s.torn != nil {
		return fmt.Errorf("line %d is torn: the writer crashed or the log was cut off; open the log to repair it",
			s.chain.n+1)
	}
	return s.missing()
}

func (s *scan) read(r io.Reader) error {
	in := bufio.NewReaderSize(r, 256<<10)
	var long []byte
	for {
		part, err := in.ReadSlice('\n')
		switch {
		case len(long)+len(part) > maxLine:
			return fmt.Errorf("line %d is too long", s.chain.n+1)
		case errors.Is(err, bufio.ErrBufferFull):
			long = append(long, part...)
			continue
		case errors.Is(err, io.EOF):
			if rest := append(long, part...); len(rest) > 0 {
				s.torn = rest
			}
			return nil
		case err != nil:
			return err
		}
		line := part
		if len(long) > 0 {
			long = append(long, part...)
			line = long
		}
		if err := s.line(line[:len(line)-1]); err != nil {
			return err
		}
		s.size += int64(len(line))
		long = long[:0]
	}
}

func (s *scan) line(line []byte) error {
	if s.chain.n == 0 {
		if err := checkFirst(line); err != nil {
			return err
		}
	}
	if err := s.chain.follow(line); err != nil {
		return err
	}
	s.closed = bytes.Contains(line, []byte(`"event":"`+EventLogClosed+`"`))
	for _, k := range s.known {
		if k.Lines == s.chain.n && k.Hash != hex.EncodeToString(s.chain.hash[:]) {
			return fmt.Errorf("line %d does not match the head: the log was replaced, or the head is of another log", s.chain.n)
		}
	}
	if s.each != nil {
		return s.each(line)
	}
	return nil
}

// missing returns an error if a known head is beyond the end of the log.
func (s *scan) missing() error {
	for _, k := range s.known {
		if k.Lines > s.chain.n {
			return fmt.Errorf("has %d lines, want at least %d: lines were cut off at the end; restore a copy", s.chain.n,
				k.Lines)
		}
	}
	return nil
}

func checkFirst(line []byte) error {
	var first Line
	if err := number.Unmarshal(line, &first); err != nil || first.Kind != kind {
		return fmt.Errorf("line 1 has no \"kind\":%q: not an audit log, or its first lines were removed", kind)
	}
	if first.Version != version {
		return fmt.Errorf("line 1 has version %d, want %d; use the release that wrote it",
			first.Version, version)
	}
	return nil
}
