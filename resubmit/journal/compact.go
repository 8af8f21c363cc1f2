package journal

import (
	"cmp"
	"os"
	"time"

	"go.etcd.io/bbolt"

	"github.com/cloudblue-go/cloudblue/internal/durable"
)

// compactStep limits the memory of a compaction, in bytes.
const compactStep = 16 << 20

// Compact checks the journal at path and rewrites it without unused space. It returns the
// sizes before and after in bytes. The journal must not be in use. A crash leaves it
// intact.
func Compact(path string, opts ...Option) (before, after int64, err error) {
	j, err := Open(path, opts...)
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		if closed := j.Close(); err == nil {
			err = closed
		}
	}()
	if j.readOnly {
		return 0, 0, j.errorf("Compact writes to the journal; remove ReadOnly")
	}
	if err := j.Check(); err != nil {
		return 0, 0, err
	}
	info, err := j.file.Stat()
	if err != nil {
		return 0, 0, j.errorf("%w", err)
	}
	if after, err = j.compact(); err != nil {
		return 0, 0, j.errorf("compact: %w", err)
	}
	return info.Size(), after, nil
}

func (j *Journal) compact() (size int64, err error) {
	name, err := temporary(j.path)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(name) // err matters more
		}
	}()
	db, err := bbolt.Open(name, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return 0, err
	}
	err = guarded(func() error { return bbolt.Compact(db, j.db, compactStep) })
	if err = cmp.Or(err, db.Close()); err != nil {
		return 0, err
	}
	info, err := os.Stat(name)
	if err != nil {
		return 0, err
	}
	// The lock is on the replaced file: a waiting process notices that.
	return info.Size(), durable.Rename(name, j.path)
}
