package journal

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

// chunkSize is the number of records read at once. A merge waits for each chunk.
const chunkSize = 1000

// Summary describes the content of a journal.
type Summary struct {
	Path      string
	Version   int
	CreatedAt time.Time
	// Plan is the digest of the plan; "" before Begin.
	Plan string
	// Records is the number of orders with a record, States the number by state.
	Records int
	States  map[resubmit.RecordState]int
	// Newest is the time of the latest record; zero if there is none.
	Newest time.Time
	// FileBytes is the size of the file, DataBytes that of its records.
	FileBytes, DataBytes int64
	// Holder is the process that writes the journal; nil if none does.
	Holder *Holder
}

// String returns the summary on one line.
func (s Summary) String() string {
	states := make([]string, 0, len(s.States))
	for _, state := range slices.Sorted(maps.Keys(s.States)) {
		states = append(states, fmt.Sprintf("%d %s", s.States[state], state))
	}
	plan := s.Plan
	if plan == "" {
		plan = "no plan yet"
	}
	return fmt.Sprintf("%s: %s, %d records (%s), %d bytes", s.Path, plan, s.Records, strings.Join(states, ", "),
		s.FileBytes)
}

// Summary reads and checks all records, which takes about a second for a million. During a
// run, the result mixes states of different times.
func (j *Journal) Summary() (Summary, error) {
	j.mu.Lock()
	s := Summary{
		Path: j.path, Version: j.format.Version, CreatedAt: j.format.CreatedAt, Plan: j.plan,
		States: make(map[resubmit.RecordState]int),
	}
	j.mu.Unlock()
	info, err := os.Stat(j.path)
	if err != nil {
		return Summary{}, j.errorf("%w", err)
	}
	s.FileBytes = info.Size()
	if !j.readOnly {
		s.Holder = readHolder(j.path)
	}
	err = j.each(func(key, body []byte) error {
		r, err := decode(string(key[1:]), body)
		if err != nil {
			return err
		}
		s.Records++
		s.States[r.State]++
		s.DataBytes += int64(len(key) + sealSize + len(body))
		if r.At.After(s.Newest) {
			s.Newest = r.At
		}
		return nil
	})
	if err != nil {
		return Summary{}, err
	}
	return s, nil
}

// Inspect opens the journal at path for reading and returns its summary. If a run uses it,
// the error is a [*HeldError].
func Inspect(path string) (Summary, error) {
	j, err := Open(path, ReadOnly(), Wait(0))
	if err != nil {
		return Summary{}, err
	}
	s, err := j.Summary()
	if closed := j.Close(); err == nil {
		err = closed
	}
	return s, err
}

// Check checks the whole journal: that no record is wrong or missing, and the pages of the
// file. Writers wait until it ends.
func (j *Journal) Check() error {
	j.disk <- struct{}{}
	defer func() { <-j.disk }()
	if err := j.settle(); err != nil {
		return err
	}
	m, err := readMeta(j.file)
	if err == nil {
		err = checkAll(j.file, m, j.log)
	}
	if err != nil {
		return j.errorf("%w", err)
	}
	return nil
}

// settle merges all records into the table, unless the journal is read-only. The caller
// holds the disk.
func (j *Journal) settle() error {
	if !j.readOnly {
		j.commit(intoTable)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.usable()
}

// each calls f for all records in the order of their keys, and checks that none is missing.
// The slices are valid until f returns.
func (j *Journal) each(f func(key, body []byte) error) error {
	j.disk <- struct{}{}
	err := j.settle()
	<-j.disk
	if err != nil {
		return err
	}
	if j.readOnly {
		f = j.withLog(f)
	}
	var some chunk
	for at := headKey; at != nil; {
		if at, err = j.read(at, &some); err == nil {
			err = some.each(f)
		}
		if err != nil {
			return j.errorf("%w", err)
		}
	}
	if j.readOnly {
		if err := f(nil, nil); err != nil {
			return j.errorf("%w", err)
		}
	}
	return nil
}

// withLog returns a function that also yields the records of the log, in order. A nil key
// yields the rest of them.
func (j *Journal) withLog(f func(key, body []byte) error) func(key, body []byte) error {
	ids := slices.Sorted(maps.Keys(j.recent.slots))
	return func(key, body []byte) error {
		for len(ids) > 0 && (key == nil || ids[0] <= string(key[1:])) {
			id := ids[0]
			ids = ids[1:]
			if err := f(recordKey(id), j.recent.body(j.recent.slots[id])); err != nil {
				return err
			}
			if key != nil && id == string(key[1:]) {
				return nil
			}
		}
		if key == nil {
			return nil
		}
		return f(key, body)
	}
}

// read reads records of the table after a key, and returns the last key, or nil at the
// end.
func (j *Journal) read(from []byte, some *chunk) ([]byte, error) {
	j.reading.RLock()
	defer j.reading.RUnlock()
	some.text, some.ends = some.text[:0], some.ends[:0]
	return eachFrom(newCursor(j.buckets.records), from, chunkSize, some.add)
}

// chunk is a copy of records, so that a run can write while they are processed.
type chunk struct {
	text []byte
	ends []int
}

func (c *chunk) add(key, body []byte) error {
	c.text = append(c.text, key...)
	c.ends = append(c.ends, len(c.text))
	c.text = append(c.text, body...)
	c.ends = append(c.ends, len(c.text))
	return nil
}

func (c *chunk) each(f func(key, body []byte) error) error {
	at := 0
	for i := 0; i < len(c.ends); i += 2 {
		middle, end := c.ends[i], c.ends[i+1]
		if err := f(c.text[at:middle:middle], c.text[middle:end:end]); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// eachFrom yields up to n records after a key, and returns the last key, or nil at the end.
func eachFrom(c *cursor, from []byte, n int, f func(key, body []byte) error) ([]byte, error) {
	if err := c.seek(from); err != nil {
		return nil, err
	}
	key, value, err := c.next()
	if err == nil && !bytes.Equal(key, from) {
		err = fmt.Errorf("%w: the record of %q is missing", ErrDamaged, text.Clip(string(from), 80))
	}
	if err != nil {
		return nil, err
	}
	next, _, err := unsealRecord(key, value)
	for range n {
		if err != nil {
			return nil, err
		}
		if key, value, err = c.next(); err != nil {
			return nil, err
		}
		if next != link(key) {
			return nil, fmt.Errorf("%w: records are missing before %q", ErrDamaged, text.Clip(string(key), 80))
		}
		if key == nil {
			return nil, nil
		}
		var body []byte
		if next, body, err = unsealRecord(key, value); err == nil {
			err = f(key, body)
		}
	}
	return bytes.Clone(key), err
}
