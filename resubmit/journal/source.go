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
	loose, checked bool
	skipped        int64 // bytes that are damaged
}

// frames calls f with each frame and the offset behind it.
func (s *source) frames(f func(frame, int64) error) error {
	in := newFrames(s.file, s.start, s.end, s.first, s.header.Sequence)
	in.checked = s.checked
	for {
		fr, err := in.next()
		switch {
		case err == nil:
			err = f(fr, in.at)
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errInvalid):
			if err = s.skip(in); errors.Is(err, io.EOF) {
				return nil // a crash cut the last frame off
			}
		}
		if err != nil {
			return err
		}
	}
}

// skip moves to the next valid frame, or returns [io.EOF]. Unless the contents are loose, a frame
// behind an invalid one is an error: it was written when the invalid one was on disk.
func (s *source) skip(in *frames) error {
	at := in.at
	found, err := in.resync()
	switch {
	case err != nil:
		return err
	case !found:
		s.skipped += in.end - at
		return io.EOF
	case !s.loose:
		return &CorruptError{Offset: at, Why: errInvalid.Error()}
	}
	s.skipped += in.at - at
	return nil
}
