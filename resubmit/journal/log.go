package journal

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

const (
	// deferDelay is how long a Deferred record waits for a Durable one.
	deferDelay = 50 * time.Millisecond
	// maxPending is how many bytes may wait: then a Deferred Put waits for the disk, too.
	maxPending = 1 << 20
	// minRoom and maxRoom are how many zeros are written ahead: as many as the file has bytes, between them. A sync is
	// much faster if the file does not become longer (ext4 then commits no metadata).
	minRoom, maxRoom = 16 << 10, 1 << 20
)

// log writes the records that wait together, with one sync for all callers (group commit). Its
// methods are called with mu, apart from run, write and unchanged.
type log struct {
	path string
	sync func(*os.File) error

	mu       sync.Mutex
	contents *contents
	wake     *sync.Cond
	due      bool   // to be written now
	timed    bool   // a timer will set due
	sequence uint64 // of the last Put
	mark     bool   // the next frame records that the position before it was returned
	next     *batch // of the records that wait
	writing  *batch // nil if none
	spare    []byte
	size     int64 // of the file: what is written, and zeros
	closing  bool
	stopped  chan struct{} // closed when run has returned
	err      error         // why nothing can be done any more
}

// batch is a number of records that are written together.
type batch struct {
	done   chan struct{}
	err    error // once it is done
	marked bool  // its position will be returned
	begin  bool  // by Begin
	at     plan.Position
}

func newLog(path string) *log {
	l := &log{path: path, sync: durable.SyncData, next: newBatch(), stopped: make(chan struct{})}
	l.wake = sync.NewCond(&l.mu)
	return l
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

func (b *batch) end(err error) {
	b.err = err
	close(b.done)
}

// wait waits until the batch is on disk.
func (b *batch) wait(ctx context.Context) error {
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// schedule has the records written that wait: now, or soon.
func (l *log) schedule(now bool) {
	if now || l.due {
		l.due = true
		l.wake.Signal()
		return
	}
	if l.timed {
		return
	}
	l.timed = true
	time.AfterFunc(deferDelay, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.schedule(true)
	})
}

// waiting reports whether records wait to be written.
func (l *log) waiting() bool { return len(l.contents.pending.text) > framePrefix }

// run writes what is due, until the journal is closed or a write fails.
func (l *log) run() {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer close(l.stopped)
	for l.err == nil {
		switch {
		case l.waiting() && (l.due || l.closing):
			l.mu.Unlock()
			runtime.Gosched() // callers that the last commit released may join
			l.mu.Lock()
			l.commit()
		case l.closing:
			return
		default:
			l.due = false
			l.wake.Wait()
		}
	}
}

// commit writes the records that wait. It releases mu meanwhile.
func (l *log) commit() {
	c, done := l.contents, l.next
	if l.mark {
		c.pending.text = appendRecord(c.pending.text, markOf(c.sequence, c.marks[c.sequence]), nil)
	}
	c.writing = c.pending
	b, at, sequence := c.writing.text, c.writing.at, l.sequence
	c.pending = piece{at + int64(len(b)), append(l.spare[:0], make([]byte, framePrefix)...)}
	l.next, l.writing = newBatch(), done
	l.due, l.timed, l.mark = false, false, false
	l.mu.Unlock()
	b = seal(b, c.chain, sequence)
	err := l.write(b[hashSize:], at+hashSize)
	l.mu.Lock()
	c.writing, l.writing = piece{}, nil
	if err != nil {
		l.fail(err)
		done.end(l.err)
		return
	}
	if l.spare = c.keep(piece{at, b}); cap(l.spare) > maxPending {
		l.spare = nil
	}
	c.hash = digest(b[len(b)-hashSize:])
	c.chain, c.sequence, c.end = c.hash, sequence, c.pending.at+hashSize
	if done.at = l.position(); done.marked {
		l.remember(done.begin)
	}
	done.end(nil)
}

// write writes and syncs a frame. If that fails, the frame is removed, because nobody may believe it.
func (l *log) write(frame []byte, at int64) error {
	file := l.contents.file
	err := l.unchanged()
	if err != nil {
		return err
	}
	if _, err = file.WriteAt(frame, at); err == nil {
		if end := at + int64(len(frame)); end > l.size {
			l.size = l.grow(file, end)
		}
		err = l.sync(file)
	}
	if err != nil {
		_ = file.Truncate(at) // otherwise it is cut off, or was written
	}
	return err
}

var zeros [maxRoom]byte

// grow writes zeros behind a frame that ends at an offset, and returns the size of the file. Without space on the disk
// there are none. They are written after the frame, which may need the last space.
func (l *log) grow(file *os.File, end int64) int64 {
	room := zeros[:min(max(end, minRoom), maxRoom)]
	if _, err := file.WriteAt(room, end); err != nil {
		_ = file.Truncate(end)
		return end
	}
	return end + int64(len(room))
}

// trim cuts off the zeros behind the last frame.
func (l *log) trim() error {
	end := l.contents.end
	if end < l.size && l.unchanged() == nil {
		l.size = end
		return l.contents.file.Truncate(end)
	}
	return nil
}

// unchanged returns an error if the file has been replaced, or is not as long as it was left.
func (l *log) unchanged() error {
	there, err := os.Lstat(l.path)
	if errors.Is(err, fs.ErrNotExist) && l.contents.file == nil {
		return nil // it is new
	}
	if err != nil {
		return err
	}
	mine, err := l.contents.file.Stat()
	if err == nil && (mine.Size() != l.size || !os.SameFile(there, mine)) {
		err = errors.New("the file was changed or replaced while it was open")
	}
	return err
}

// fail ends all later calls with an error: nobody knows what is on disk.
func (l *log) fail(err error) {
	if l.err != nil {
		return
	}
	l.err = l.errorf(fmt.Errorf("write: %w; check the file and the space on its disk, then open the journal again", err))
	l.next.end(l.err)
	l.wake.Signal()
}

// flush returns the batch whose position is returned, by Begin or not: the one with all records so far.
func (l *log) flush(begin bool) *batch {
	b := l.writing
	if l.waiting() {
		l.schedule(true)
		b = l.next
	}
	if b != nil {
		b.marked, b.begin = true, b.begin || begin
		return b
	}
	l.remember(begin)
	b = newBatch()
	b.at = l.position()
	b.end(nil)
	return b
}

// position returns the position behind the last frame.
func (l *log) position() plan.Position {
	c := l.contents
	return plan.Position{Journal: c.header.ID, Sequence: c.sequence, Hash: hex.EncodeToString(c.hash[:])}
}

// mark is a position that was returned. A plan may name one that Begin returned.
type mark struct {
	hash  digest
	begin bool
}

// remember keeps the position behind the last frame.
func (l *log) remember(begin bool) {
	c := l.contents
	if m, found := c.marks[c.sequence]; !found || begin && !m.begin {
		c.marks[c.sequence], l.mark = mark{c.hash, begin}, true
	}
}

// recognize returns an error if the journal was never at a position.
func (l *log) recognize(p plan.Position) error {
	if p == (plan.Position{}) {
		return nil
	}
	here := l.position()
	was, found := l.contents.marks[p.Sequence]
	switch {
	case p.Journal != here.Journal:
		return fmt.Errorf("%w: this is the journal %s, not %s",
			resubmit.ErrJournalMismatch, here.Journal, text.Short(p.Journal))
	case p.Sequence > here.Sequence:
		return fmt.Errorf("%w: it has %d writes, but had %d", resubmit.ErrJournalMismatch, here.Sequence, p.Sequence)
	case p != here && (!found || hex.EncodeToString(was.hash[:]) != p.Hash):
		return fmt.Errorf("%w: its write %d is another one, or was returned to nobody",
			resubmit.ErrJournalMismatch, p.Sequence)
	}
	return nil
}

// markOf returns the record of a position that was returned.
func markOf(sequence uint64, m mark) record {
	r := record{kind: kindMark, version: sequence, fields: m.hash[:]}
	if m.begin {
		r.id = []byte("begin")
	}
	return r
}

// errorf adds the path to an error that lacks it.
func (l *log) errorf(err error) error {
	if c, ok := errors.AsType[*CorruptError](err); ok {
		c.Path = l.path
		return c
	}
	return fmt.Errorf("resubmit/journal: %s: %w", text.Excerpt(l.path, 4<<10), err)
}
