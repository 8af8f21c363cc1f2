package journal

import (
	"cmp"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"github.com/cloudblue-go/cloudblue/internal/durable"
)

// create creates a journal atomically: path is a journal or does not exist, so an empty file
// is known to be damaged. If another process is faster, its journal is kept.
func create(path string) (err error) {
	name, err := temporary(path)
	if err != nil {
		return err
	}
	defer func() {
		if removed := os.Remove(name); err == nil {
			err = removed
		}
	}()
	db, err := bbolt.Open(name, 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	if err := cmp.Or(db.Update(initialize), db.Close()); err != nil {
		return err
	}
	if err := os.Link(name, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

// temporary creates an empty file with the mode 0600 beside path.
func temporary(path string) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*.new")
	if err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

func initialize(tx *bbolt.Tx) error {
	records, err := tx.CreateBucket(bucketRecords)
	if err != nil {
		return err
	}
	head := make([]byte, sealSize)
	sealRecord(headKey, link(nil), head)
	if err := records.Put(headKey, head); err != nil {
		return err
	}
	b, err := tx.CreateBucket(bucketJournal)
	if err != nil {
		return err
	}
	text, err := json.Marshal(format{Kind: Kind, Version: Version, CreatedAt: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	if err := b.Put(keyFormat, seal(keyFormat, text)); err != nil {
		return err
	}
	if err := b.Put(keyLast, seal(keyLast, []byte{0, 0})); err != nil { // no merge, no records
		return err
	}
	l, err := tx.CreateBucket(bucketLog)
	if err != nil {
		return err
	}
	return l.Put(keyLog, make([]byte, logSize-pageHeader-pageEntry-len(keyLog)))
}
