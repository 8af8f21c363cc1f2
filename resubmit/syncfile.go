package resubmit

import (
	"errors"
	"os"
)

// syncEvery is how much is written to a file before the disk is made to begin.
const syncEvery = 16 << 20

// syncFile is a file that is brought to disk while it is still being written, so
// that the disk works at the same time as whoever fills the file, and not after.
type syncFile struct {
	*os.File
	fresh int        // bytes since the disk was last told to begin
	begun chan error // of the sync that is under way; nil when there is none
}

func (f *syncFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	if f.fresh += n; err != nil || f.fresh < syncEvery {
		return n, err
	}
	select {
	case err = <-f.begun: // the one before is done
	default:
		if f.begun != nil {
			return n, nil
		}
	}
	f.fresh = 0
	begun := make(chan error, 1)
	f.begun = begun
	go func() { begun <- f.File.Sync() }()
	return n, err
}

// Sync waits for what is under way, since the error of a disk is told only once.
func (f *syncFile) Sync() error {
	var before error
	if f.begun != nil {
		before = <-f.begun
		f.begun = nil
	}
	return errors.Join(before, f.File.Sync())
}
