package journal

import "github.com/cloudblue-go/cloudblue/resubmit"

// MaxSize makes a disk of so many bytes.
func MaxSize(n int) Option {
	return func(o *options) error { o.maxSize = n; return nil }
}

// NoSync leaves out the syncs, for tests that write many files.
func NoSync() Option {
	return func(o *options) error { o.noSync = true; return nil }
}

// File is the file of a journal.
func (j *Journal) File() interface{ Close() error } { return j.file }

// Commits is how often the journal was written since its log began anew.
func (j *Journal) Commits() (n int) {
	j.disk <- struct{}{}
	defer func() { <-j.disk }()
	return int(j.log.number)
}

// AppendRecord is appendRecord.
var AppendRecord = appendRecord

// ReadRecord is readRecord, and whether the record is one that is read by hand.
func ReadRecord(body []byte) (r resubmit.Record, byHand bool, err error) {
	p := plainRecord{rest: string(body)}
	byHand = isPlain(body) && p.read(&r)
	r, err = readRecord(body)
	return r, byHand, err
}

// ReadHead is readHead.
var ReadHead = readHead

// Failed reports whether a write failed, and tells nobody.
func (j *Journal) Failed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failed != nil
}

// Held is how many bytes of records are in memory.
func (j *Journal) Held() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.recent.arena)
}
