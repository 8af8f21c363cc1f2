package journal

import (
	"errors"
	"io"
	"os"
)

// source is a file that is read.
type source struct {
	file   *os.File
	header header
	start  int64  // of the first frame
	first  digest // before it
	end    int64  // of the last frame
	// loose skips what is damaged. checked means that the hashes were checked before.
	// partial means that the last frame may be incomplete: a crash cut it off, or it is being written.
	loose, checked, partial bool
	skipped                 int64 // bytes that are damaged
}

// frames calls f with each frame and the offset behind it.
func (s *source) frames(f func(frame, int64) error) error {
	in := newFrames(s.file, s.start, s.end, s.first, s.header.Sequence)
	in.checked = s.checked
	for {
		fr, err := in.next()
		if errors.Is(err, errInvalid) {
			fr, err = s.skip(in)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = f(fr, in.at)
		}
		if err != nil {
			return err
		}
	}
}

// skip returns the next valid frame behind an invalid one, or [io.EOF]. Unless the contents are loose, a frame
// behind an invalid one is an error: it was written when the invalid one was on disk.
func (s *source) skip(in *frames) (frame, error) {
	at, previous := in.at, digest(in.text)
	found, err := in.resync()
	switch {
	case err != nil:
		return frame{}, err
	case !found && s.partial:
		s.skipped += in.end - at
		return frame{}, io.EOF
	case found && s.loose:
		s.skipped += in.at - at
		return in.next()
	}
	// Another process may have written both since in.buf was filled.
	in.loose = false
	in.seek(at, previous)
	fr, err := in.next()
	if errors.Is(err, errInvalid) {
		err = &CorruptError{Offset: at, Why: err.Error()}
	}
	return fr, err
}
