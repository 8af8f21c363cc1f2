package journal

import (
	"encoding/binary"
	"fmt"
	"os"
)

// log holds records until they are merged into the table. It is a part of the file that
// bbolt sees as one value. Records are appended as a frame, with one write and one sync,
// which is much cheaper than a transaction:
//
//	checksum (4 bytes) | size (4) | generation (8) | number (8) | records
//
// The size is that of the records; the checksum covers everything after it. Each merge
// begins a new generation, which overwrites the previous one.
//
// A frame is written only after the previous one is on disk, even if another process wrote
// that (see begin), so only the last frame can be torn. It starts at a block boundary, so
// that no write touches blocks that are on disk. Frames alternate between two halves:
// damage in one place either affects the last frame, or is noticed because the other half
// has later frames.
type log struct {
	f          *os.File
	start      int64 // in the file
	half       int   // of the log in bytes
	generation uint64
	number     uint64 // of the next frame
	ends       [2]int // of the frames in each half
	noSync     bool
}

const (
	logSize     = 1 << 20 // of a new log, with the header of bbolt
	logBlock    = 4 << 10 // of the disk
	frameHeader = 24
)

// newLog returns the log in a part of a file.
func newLog(f *os.File, start int64, size int, generation uint64) log {
	skip := int(-start & (logBlock - 1))
	return log{f: f, start: start + int64(skip), half: (size - skip) / 2 &^ (logBlock - 1), generation: generation}
}

// appendFrame appends an empty frame, to append records to.
func appendFrame(b []byte) []byte { return append(b, make([]byte, frameHeader)...) }

// appendEntry appends a record to a frame.
func appendEntry(b []byte, id string, body []byte) []byte {
	b = append(binary.AppendUvarint(b, uint64(len(id))), id...)
	return append(binary.AppendUvarint(b, uint64(len(body))), body...)
}

// empty reports whether no record was written in this generation.
func (l *log) empty() bool { return l.number == 0 }

// fits reports whether there is room for a frame.
func (l *log) fits(frame []byte) bool { return len(frame) <= l.half-l.ends[l.number%2] }

// write writes and syncs a frame.
func (l *log) write(frame []byte) error {
	binary.BigEndian.PutUint32(frame[4:], uint32(len(frame)-frameHeader)) //nolint:gosec // it fits the log
	binary.BigEndian.PutUint64(frame[8:], l.generation)
	binary.BigEndian.PutUint64(frame[16:], l.number)
	binary.BigEndian.PutUint32(frame, checksum(nil, frame[4:]))
	turn := l.number % 2
	if _, err := l.f.WriteAt(frame, l.start+int64(turn)*int64(l.half)+int64(l.ends[turn])); err != nil {
		return err
	}
	l.ends[turn] += blocks(frame)
	l.number++
	if l.noSync {
		return nil
	}
	return syncData(l.f)
}

// blocks returns the size of a frame in the log.
func blocks(frame []byte) int { return (len(frame) + logBlock - 1) &^ (logBlock - 1) }

// restart starts an empty log of the next generation.
func (l *log) restart() {
	*l = log{f: l.f, start: l.start, half: l.half, generation: l.generation + 1, noSync: l.noSync}
}

// replay reads the log from its start and yields its records.
func (l *log) replay(f func(id string, body []byte)) error {
	text := make([]byte, 2*l.half)
	if _, err := l.f.ReadAt(text, l.start); err != nil {
		return fmt.Errorf("%w: its log cannot be read: %w", ErrDamaged, err)
	}
	halves := [2][]byte{text[:l.half], text[l.half:]}
	for l.number, l.ends = 0, [2]int{}; ; l.number++ {
		turn := l.number % 2
		frame, generation, number := frameAt(halves[turn])
		if frame == nil || generation != l.generation || number != l.number {
			break
		}
		if err := eachEntry(frame[frameHeader:], f); err != nil {
			return err
		}
		l.ends[turn] += blocks(frame)
		halves[turn] = halves[turn][blocks(frame):]
	}
	for _, rest := range halves {
		for ; len(rest) > 0; rest = rest[logBlock:] {
			if frame, generation, _ := frameAt(rest); frame != nil && generation >= l.generation {
				return fmt.Errorf("%w: a part of its log was lost; restore a copy, or make a new plan with a new journal",
					ErrDamaged)
			}
		}
	}
	return nil
}

// frameAt returns the frame at the start of text, nil if there is none.
func frameAt(text []byte) (frame []byte, generation, number uint64) {
	if len(text) < frameHeader {
		return nil, 0, 0
	}
	size := uint64(binary.BigEndian.Uint32(text[4:]))
	if size == 0 || size+frameHeader > uint64(len(text)) {
		return nil, 0, 0
	}
	frame = text[:frameHeader+size]
	if binary.BigEndian.Uint32(frame) != checksum(nil, frame[4:]) {
		return nil, 0, 0
	}
	return frame, binary.BigEndian.Uint64(frame[8:]), binary.BigEndian.Uint64(frame[16:])
}

func eachEntry(b []byte, f func(id string, body []byte)) error {
	for len(b) > 0 {
		id, rest, ok := cutEntry(b)
		body, rest, fine := cutEntry(rest)
		if !ok || !fine {
			return fmt.Errorf("%w: its log is invalid; restore a copy, or make a new plan with a new journal", ErrDamaged)
		}
		f(string(id), body)
		b = rest
	}
	return nil
}

func cutEntry(b []byte) (text, rest []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if b = b[max(n, 0):]; n <= 0 || size > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:size], b[size:], true
}
