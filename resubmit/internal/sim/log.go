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

// errDiskFull is what a simulated disk says when it takes no more.
var errDiskFull = errors.New("no space left on device")

// Disk is what is left of a simulated process when it is killed: the bytes of
// its journal. A write that is going on then leaves any part of itself. Safe for
// concurrent use.
type Disk struct {
	mu   sync.Mutex
	data []byte
	// tear is asked before each write how many bytes of it arrive, and with which
	// error. nil: all, and none.
	tear func(p []byte) (int, error)
}

// Append writes p behind what is there. When it returns nil all of p is durable;
// else any part of it may be.
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

// Bytes are what is durable now.
func (d *Disk) Bytes() []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.data)
}

// since returns what is durable behind the first n bytes.
func (d *Disk) since(n int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.data[min(n, len(d.data)):])
}

// Log is a journal over the bytes of a [Disk]: a line for each record, with a sum
// over it, so that a torn one is known for what it is. It is the journal of the
// simulator when the [Config] names no other. Safe for concurrent use.
type Log struct {
	disk *Disk

	mu       sync.Mutex
	digest   string
	records  map[string]resubmit.Record
	patience resubmit.Patience
	broken   error // of a write: what is behind it would not be read again
}

var (
	_ resubmit.BulkJournal    = (*Log)(nil)
	_ resubmit.PatientJournal = (*Log)(nil)
)

// logLine is one line: the plan that the log belongs to, a record, or what a server
// asked for.
type logLine struct {
	Plan     string             `json:"plan,omitempty"`
	Record   *resubmit.Record   `json:"record,omitempty"`
	Patience *resubmit.Patience `json:"patience,omitempty"`
}

// OpenLog reads what a disk holds, and cuts off a last line that is torn.
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

// readLog passes on the whole lines of a log and returns where they end. Only the
// last line can be torn.
func readLog(data []byte, each func(logLine)) (read int, err error) {
	for read < len(data) {
		end := bytes.IndexByte(data[read:], '\n')
		if end < 0 {
			return read, nil
		}
		line, err := parseLine(data[read : read+end])
		if err != nil {
			return read, fmt.Errorf("sim: the log is damaged at byte %d: %w", read, err)
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
		return line, errors.New("the sum is not that of the line")
	}
	return line, json.Unmarshal(text[sum:], &line)
}

func (l *Log) write(line logLine) error {
	if l.broken != nil {
		return fmt.Errorf("sim: the log has to be opened again: %w", l.broken)
	}
	text, err := json.Marshal(line)
	if err != nil {
		return fmt.Errorf("sim: write the log: %w", err)
	}
	whole := fmt.Appendf(make([]byte, 0, len(text)+9), "%08x", crc32.ChecksumIEEE(text))
	whole = append(append(whole, text...), '\n')
	if err := l.disk.Append(whole); err != nil {
		l.broken = err
		return fmt.Errorf("sim: write the log: %w", err)
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
		return fmt.Errorf("%w: it is for %s, not for %s; use the plan it was made for, or a new journal",
			resubmit.ErrOtherPlan, l.digest, planDigest)
	}
	if err := l.write(logLine{Plan: planDigest}); err != nil {
		return err
	}
	l.digest = planDigest
	return nil
}

// Put replaces the record of an order. Begin must have been called.
func (l *Log) Put(r resubmit.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.digest == "" {
		return errors.New("sim: the log was not begun with a plan")
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

// PutPatience remembers what a server asked for. Begin must have been called.
func (l *Log) PutPatience(p resubmit.Patience) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.digest == "" {
		return errors.New("sim: the log was not begun with a plan")
	}
	if err := l.write(logLine{Patience: &p}); err != nil {
		return err
	}
	l.patience = p
	return nil
}

// Patience returns what was put last.
func (l *Log) Patience() (resubmit.Patience, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.patience, nil
}
