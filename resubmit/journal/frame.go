package journal

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
)

const (
	hashSize = 16
	// frameHead is the size of what precedes the records of a frame: size and sequence.
	frameHead = 12
	// framePrefix is the hash of the previous frame and the head: what the hash covers is one piece
	// of the file.
	framePrefix = hashSize + frameHead
	// maxFrame limits the records of a frame, in bytes; maxRecord limits one of them.
	maxFrame  = 64 << 20
	maxRecord = 1 << 20
	// maxSequence is more than a journal ever has.
	maxSequence = 1 << 48
)

type digest [hashSize]byte

// chain returns the hash of a piece of the file that begins with the previous hash.
func chain(b []byte) digest {
	sum := sha256.Sum256(b)
	return digest(sum[:hashSize])
}

// frame is what was written at once.
type frame struct {
	at       int64 // of its first record in the file
	sequence uint64
	records  []byte
	hash     digest
}

// seal completes a buffer that has records behind the prefix.
func seal(b []byte, previous digest, sequence uint64) []byte {
	copy(b, previous[:])
	binary.LittleEndian.PutUint32(b[hashSize:], uint32(len(b)-framePrefix)) //nolint:gosec // at most maxFrame
	binary.LittleEndian.PutUint64(b[hashSize+4:], sequence)
	hash := chain(b)
	return append(b, hash[:]...)
}

// errInvalid means that a frame is incomplete or wrong.
var errInvalid = errors.New("the frame is incomplete or its hash is wrong")

// frames reads the frames of a file up to its end at that time.
type frames struct {
	src  io.ReaderAt
	buf  *bufio.Reader
	at   int64 // of the next frame
	end  int64
	text []byte // of the current frame, and the hash before it
	seq  uint64
	// loose accepts the next frame even if the hash before it is damaged. checked means that the
	// hashes were checked before.
	loose, checked bool
}

// newFrames reads from the frame at an offset, behind the previous hash.
func newFrames(src io.ReaderAt, at, end int64, previous digest, sequence uint64) *frames {
	f := &frames{src: src, end: end, seq: sequence}
	f.seek(at, previous)
	return f
}

func (f *frames) seek(at int64, previous digest) {
	f.at = at
	f.buf = bufio.NewReaderSize(io.NewSectionReader(f.src, at, f.end-at), 256<<10)
	f.text = append(f.text[:0], previous[:]...)
}

// next returns the next frame, which is valid until the next call; io.EOF at the end, and
// errInvalid if there is no valid one at f.at.
func (f *frames) next() (frame, error) {
	if f.at == f.end {
		return frame{}, io.EOF
	}
	rest := f.end - f.at
	if rest < frameHead+hashSize {
		return frame{}, errInvalid
	}
	f.text = append(f.text[:hashSize], make([]byte, frameHead)...)
	if err := f.read(f.text[hashSize:]); err != nil {
		return frame{}, err
	}
	size := int64(binary.LittleEndian.Uint32(f.text[hashSize:]))
	sequence := binary.LittleEndian.Uint64(f.text[hashSize+4:])
	if size == 0 || size > maxFrame || size > rest-frameHead-hashSize {
		return frame{}, errInvalid
	}
	f.text = append(f.text, make([]byte, size+hashSize)...)
	if err := f.read(f.text[framePrefix:]); err != nil {
		return frame{}, err
	}
	sealed := len(f.text) - hashSize
	hash := digest(f.text[sealed:])
	if !f.checked && chain(f.text[:sealed]) != hash && (!f.loose || !intact(f.text[framePrefix:sealed])) {
		return frame{}, errInvalid
	}
	f.loose = false
	fr := frame{at: f.at + frameHead, sequence: sequence, records: f.text[framePrefix:sealed], hash: hash}
	f.at += int64(len(f.text)) - hashSize
	f.seq = sequence
	copy(f.text, hash[:])
	return fr, nil
}

// read reads all of b. Another process may have cut the file off before its end at that time.
func (f *frames) read(b []byte) error {
	_, err := io.ReadFull(f.buf, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errInvalid
	}
	return err
}

// resync moves from an invalid frame to the next one with intact records, and reports whether there is one.
func (f *frames) resync() (bool, error) {
	window := make([]byte, min(1<<20, f.end-f.at))
	for at := f.at + 1; at < f.end-frameHead-hashSize; at += int64(len(window)) - frameHead + 1 {
		n, err := f.src.ReadAt(window[:min(int64(len(window)), f.end-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err
		}
		for i := range max(n-frameHead+1, 0) {
			if found, err := f.frameAt(at+int64(i), window[i:]); found || err != nil {
				return found, err
			}
		}
	}
	return false, nil
}

// frameAt reports whether a frame with intact records begins at an offset, and moves there.
func (f *frames) frameAt(at int64, head []byte) (bool, error) {
	size := int64(binary.LittleEndian.Uint32(head))
	sequence, rest := binary.LittleEndian.Uint64(head[4:]), f.end-at-frameHead-hashSize
	if size == 0 || size > min(maxFrame, rest) || sequence < f.seq || sequence > maxSequence {
		return false, nil
	}
	b := make([]byte, size)
	n, err := f.src.ReadAt(b, at+frameHead)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if n < len(b) || !intact(b) {
		return false, nil
	}
	var previous digest
	_, err = f.src.ReadAt(previous[:], at-hashSize)
	f.seek(at, previous)
	f.loose = true
	return true, err
}
