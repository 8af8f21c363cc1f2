package journal

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/durable"
)

const (
	// compactSize is the size of a file that is worth compacting, in bytes.
	compactSize = 1 << 20
	// compactAge is how long ago a file was compacted at most, so that the retention takes effect.
	compactAge = 30 * 24 * time.Hour
	// maxMarks is how many positions that Flush returned a compacted file remembers: the last ones.
	maxMarks = 16 << 10
)

// compactable reports whether the file should be compacted. The caller holds mu.
func (f *File) compactable() bool {
	c := f.log.contents
	if f.options.readOnly || c.file == nil {
		return false
	}
	since := c.header.CompactedAt
	if since.IsZero() {
		since = c.header.CreatedAt
	}
	return c.end > compactSize && c.total > 2*c.live || f.opened.Sub(since) > compactAge
}

// Compact writes the journal at path anew, without garbage and without the records that may be
// removed, see [WithRetention]. It returns the sizes before and after in bytes. The journal must
// not be in use. A crash leaves it as it was.
func Compact(path string, opts ...Option) (before, after int64, err error) {
	f, err := Open(path, opts...)
	if err != nil {
		return 0, 0, err
	}
	if f.log.contents.file == nil || f.options.readOnly {
		return 0, 0, errors.Join(f.log.errorf(errors.New("there is nothing to compact")), f.Close())
	}
	f.log.mu.Lock()
	before = f.log.contents.end
	if err = f.compact(); err != nil {
		err = f.log.errorf(fmt.Errorf("compact: %w", err))
	}
	after = f.log.contents.end
	f.log.mu.Unlock()
	return before, after, errors.Join(err, f.Close())
}

// compact replaces the file by one without garbage. Nothing waits to be written.
func (f *File) compact() error {
	now := time.Now().UTC().Truncate(time.Second)
	h := f.log.contents.header
	h.CompactedAt = now
	limit := time.Time{}
	if f.options.retention > 0 {
		limit = now.Add(-f.options.retention)
	}
	return f.rewrite(h, limit)
}

// rewrite replaces the file by one with another header and the live records, apart from those
// before a limit that may be removed.
func (f *File) rewrite(h header, limit time.Time) error {
	c := f.log.contents
	if err := f.log.unchanged(); err != nil {
		return err
	}
	if h.Sequence = c.sequence; c.file != nil {
		h.Hash = c.hash[:]
	}
	err := createFile(f.log.path, &h, func(out *output) error {
		if c.file == nil {
			return nil
		}
		if err := out.addMarks(c.marks); err != nil {
			return err
		}
		if err := c.copyTo(out, limit, nil); err != nil {
			return err
		}
		return c.file.Close() // before it is replaced
	})
	if err == nil {
		_, err = f.load()
	}
	return err
}

// addMarks writes the positions that Begin returned, since plans name them, and the last others.
func (o *output) addMarks(marks map[uint64]mark) error {
	sequences := slices.Sorted(maps.Keys(marks))
	for i, sequence := range sequences {
		if i < len(sequences)-maxMarks && !marks[sequence].begin {
			continue
		}
		if err := o.add(markOf(sequence, marks[sequence])); err != nil {
			return err
		}
	}
	return nil
}

// copyTo writes the live records to another file. loss, if not nil, is when others were lost.
func (c *contents) copyTo(out *output, limit time.Time, loss *time.Time) error {
	return c.frames(func(fr frame, _ int64) error {
		return eachRecord(fr.records, fr.at, func(r record, at int64) error {
			if !c.index.has(c.index.hash(r.kind, r.id), at) {
				return nil
			}
			p, ok := r.decode()
			if !ok {
				return &CorruptError{Offset: at, Why: "a record is malformed"}
			}
			if p.At.Before(limit) && p.AtRest() {
				return nil
			}
			if loss != nil {
				p = p.AdjustForLoss(*loss)
				r.fields = encode(nil, func(c *coder) { fields(c, &p) })
			}
			return out.add(r)
		})
	})
}

// createFile writes a new file and calls fill to write its records. It replaces the file at path.
func createFile(path string, h *header, fill func(*output) error) error {
	line, err := h.encode()
	if err != nil {
		return err
	}
	file, err := durable.Create(path, 0o600)
	if err != nil {
		return err
	}
	defer file.Abort()
	if _, err := file.Write(line); err != nil {
		return err
	}
	out := output{file: file, sequence: h.Sequence, buf: make([]byte, framePrefix, 2*outputFrame)}
	out.chain = digest(line[len(line)-hashSize:])
	if err := fill(&out); err != nil {
		return err
	}
	if err := out.flush(); err != nil {
		return err
	}
	return file.Commit()
}

// outputFrame is the size of the frames of a new file.
const outputFrame = 64 << 10

// output writes records to a new file.
type output struct {
	file     *durable.File
	buf      []byte
	chain    digest
	sequence uint64
}

func (o *output) add(r record) error {
	r.back = 0
	o.buf = appendRecord(o.buf, r, nil)
	if len(o.buf) < outputFrame {
		return nil
	}
	return o.flush()
}

func (o *output) flush() error {
	if len(o.buf) == framePrefix {
		return nil
	}
	b := seal(o.buf, o.chain, o.sequence)
	o.chain = digest(b[len(b)-hashSize:])
	_, err := o.file.Write(b[hashSize:])
	o.buf = b[:framePrefix]
	return err
}
