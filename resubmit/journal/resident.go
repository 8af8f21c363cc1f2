package journal

import "go.etcd.io/bbolt"

// residentEvery is after how many records the memory of the mapping is given back. A
// look of bbolt at one brings in up to 64 KiB around it, so no more than that many of
// these stay: the memory of a run does not grow with the journal.
const residentEvery = 1024

// looked counts records that were written. The caller has the disk.
func (j *Journal) looked(n int) {
	before := j.looks
	j.looks += n
	if before/residentEvery == j.looks/residentEvery {
		return
	}
	_ = j.db.View(func(tx *bbolt.Tx) error {
		giveBack(tx)
		return nil
	})
}
