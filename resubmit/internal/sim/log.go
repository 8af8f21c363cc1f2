package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/resubmit"
)

var errNotBegun = errors.New("write the log: call Begin first")

// errDiskFull is the error of a full simulated disk.
var errDiskFull = errors.New("no space left on device")

// Disk is a simulated file, which survives its process. A write in progress when the process is killed leaves any part
// of itself. Safe for concurrent use.
type Disk struct {
	mu   sync.Mutex
	data []byte
	// tear returns how many bytes of a write arrive, and its error. nil: all bytes, no error.
	tear func(p []byte) (int, error)
}

// Append writes p at the end. If it returns nil, all of p is durable; else any part of it may be.
func (d *Disk) Append(p []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := len(p), error(nil)
	if d.tear != nil {
		n, err = d.tear(p)
	}
	d.data = append(d.data, p[:n]...)
	return err
}

// Truncate keeps the first n bytes.
func (d *Disk) Truncate(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.data = d.data[:min(n, len(d.data))]
}

// Bytes returns the durable bytes.
func (d *Disk) Bytes() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.data)
}

// since returns the durable bytes after the first n.
func (d *Disk) since(n int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.data[min(n, len(d.data)):])
}

// Log is a journal on a [Disk]: a line with a checksum for each record, so that a torn line is recognized. It is the
// default journal of the simulator. Safe for concurrent use.
type Log struct {
	disk *Disk

	mu       sync.Mutex
	digest   string
	records  map[string]resubmit.Record
	patience resubmit.Patience
	broken   error // of a write: what follows it could not be read
}

var (
	_ resubmit.BulkJournal    = (*Log)(nil)
	_ resubmit.PatientJournal = (*Log)(nil)
)

// logLine is one line: the digest of the plan, a record, or a Retry-After.
type logLine struct {
	Plan     string             `json:"plan,omitempty"`
	Record   *resubmit.Record   `json:"record,omitempty"`
	Patience *resubmit.Patience `json:"patience,omitempty"`
}

// OpenLog opens the log on a disk, and removes a torn last line.
func OpenLog(d *Disk) (*Log, error) {
	l := &Log{disk: d, records: make(map[string]resubmit.Record)}
	data := d.Bytes()
	read, err := readLog(data, func(line logLine) {
		switch {
		case line.Record != nil:
			l.records[line.Record.OrderID] = *line.Record
		case line.Patience != nil:
			l.patience = *line.Patience
		default:
			l.digest = line.Plan
		}
	})
	if err != nil {
		return nil, err
	}
	if read < len(data) {
		d.Truncate(read)
	}
	return l, nil
}

// readLog calls each for the complete lines of a log and returns where they end. Only the last line can be torn.
func readLog(data []byte, each func(logLine)) (read int, err error) {
	for read < len(data) {
		end := bytes.IndexByte(data[read:], '\n')
		if end < 0 {
			return read, nil
		}
		line, err := parseLine(data[read : read+end])
		if err != nil {
			return read, fmt.Errorf("read the log: damaged at byte %d: %w", read, err)
		}
		each(line)
		read += end + 1
	}
	return read, nil
}

func parseLine(text []byte) (line logLine, err error) {
	const sum = 8
	if len(text) <= sum {
		return line, fmt.Errorf("a line of %d bytes is too short", len(text))
	}
	want, err := number.ParseUint(string(text[:sum]), 16, 32)
	if err != nil || uint32(want) != crc32.ChecksumIEEE(text[sum:]) {
		return line, errors.New("the checksum does not match")
	}
	return line, json.Unmarshal(text[sum:], &line)
}

func (l *Log) write(line logLine) error {
	if l.broken != nil {
		return fmt.Errorf("write the log: open it again after the error: %w", l.broken)
	}
	text, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	whole := fmt.Appendf(make([]byte, 0, len(text)+9), "%08x", crc32.ChecksumIEEE(text))
	whole = append(append(whole, text...), '\n')
	if err := l.disk.Append(whole); err != nil {
		l.broken = err
		return fmt.Errorf("write the log: %w", err)
	}
	return nil
}

// Begin binds the log to a plan.
func (l *Log) Begin(planDigest string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.digest == planDigest {
		return nil
	}
	if l.digest != "" {
		return fmt.Errorf("%w: it is for %s, not for %s; use that plan or a new journal",
			resubmit.ErrOtherPlan, l.digest, planDigest)
	}
	if err := l.write(logLine{Plan: planDigest}); err != nil {
		return err
	}
	l.digest = planDigest
	return nil
}

// Put replaces the record of an order, after Begin.
func (l *Log) Put(r resubmit.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.digest == "" {
		return errNotBegun
	}
	if err := l.records[r.OrderID].CheckNext(r); err != nil {
		return err
	}
	if err := l.write(logLine{Record: &r}); err != nil {
		return err
	}
	l.records[r.OrderID] = r
	return nil
}

// Get returns the last record of an order.
func (l *Log) Get(orderID string) (resubmit.Record, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.records[orderID]
	return r, ok, nil
}

// Heads yields the head of the last record of each order.
func (l *Log) Heads() iter.Seq2[resubmit.RecordHead, error] {
	return func(yield func(resubmit.RecordHead, error) bool) {
		l.mu.Lock()
		all := slices.Collect(maps.Values(l.records))
		l.mu.Unlock()
		for _, r := range all {
			if !yield(r.Head(), nil) {
				return
			}
		}
	}
}

// PutPatience stores a Retry-After, after Begin.
func (l *Log) PutPatience(p resubmit.Patience) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.digest == "" {
		return errNotBegun
	}
	if err := l.write(logLine{Patience: &p}); err != nil {
		return err
	}
	l.patience = p
	return nil
}

// Patience returns the stored Retry-After.
func (l *Log) Patience() (resubmit.Patience, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.patience, nil
}
