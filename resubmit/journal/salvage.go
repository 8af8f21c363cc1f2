package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/durable"
)

// Salvage copies what can be read of a damaged journal to a new one, with another identity. Records
// may be missing in it, so that it holds all orders that were placed before now and have no newer
// record, until the operator names them. The journal must not be in use.
func Salvage(from, to string) (Summary, error) {
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return Summary{}, fmt.Errorf("resubmit/journal: %s: it exists; give the path of a new file", to)
	}
	if holder, locked := durable.LockHolder(lockPath(from)); locked {
		return Summary{}, &LockedError{Path: lockPath(from), Holder: holder}
	}
	return salvage(from, to, "")
}

// Recover makes a new journal at path after a loss, with another identity and what can be read of
// the old one, which is kept at the path that it returns; "" if there is none. As after [Salvage], all
// orders that were placed before now and have no newer record are held. The journal must not be in use.
func Recover(path string) (kept string, s Summary, err error) {
	kept = path + ".before-" + time.Now().UTC().Format("20060102T150405Z")
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		kept = ""
	}
	s, err = salvage(path, path, kept)
	return kept, s, err
}

// salvage makes a new journal of an old one, and links that to another path if it is given.
func salvage(from, to, kept string) (Summary, error) {
	l := newLog(from) // for errors
	lock, err := durable.AcquireLock(lockPath(to), "", time.Second)
	if err != nil {
		return Summary{}, l.errorf(err)
	}
	defer func() { _ = lock.Release() }()
	h := newHeader(time.Now())
	h.ForgottenBefore = h.CreatedAt
	file, err := durable.OpenFile(from, os.O_RDONLY, 0)
	var skipped int64
	if errors.Is(err, fs.ErrNotExist) && from == to {
		err = createFile(to, &h, func(*output) error { return nil })
	} else if err == nil {
		skipped, err = salvageFile(file, to, kept, h)
		_ = file.Close() // only read
	}
	if err != nil {
		return Summary{}, l.errorf(err)
	}
	s, err := Check(to)
	s.Skipped = skipped
	return s, err
}

func salvageFile(file *os.File, to, kept string, h header) (skipped int64, err error) {
	old, start, first, err := readHeader(file)
	if _, damaged := errors.AsType[*CorruptError](err); err != nil && !damaged && !errors.Is(err, errNotJournal) {
		return 0, err
	}
	if err != nil {
		old, start = header{}, 0
	}
	h.System, h.BaseURL, h.IDSpace = old.System, old.BaseURL, old.IDSpace
	c := newContents(file, old, start, first)
	c.loose = true
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if _, err := c.load(info.Size()); err != nil {
		return 0, err
	}
	if kept != "" {
		if err := os.Link(file.Name(), kept); err != nil {
			return 0, fmt.Errorf("keep the old journal: %w", err)
		}
	}
	h.Sequence, skipped = c.sequence, c.skipped
	return skipped, createFile(to, &h, func(out *output) error { return c.copyTo(out, time.Time{}, &h.ForgottenBefore) })
}
