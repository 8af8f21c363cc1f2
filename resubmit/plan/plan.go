package plan

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Plan is a plan file that was found complete and unchanged when it was opened. Its entries are read from the file each
// time they are ranged over, so its size does not matter. It is immutable and safe for concurrent use until it
// is closed.
type Plan struct {
	r          io.ReaderAt
	size       int64
	name       string // of the file; may be empty
	close      func() error
	header     Header
	counts     ActionCounts
	due        time.Time // the earliest Entry.Due
	mismatched []string
	digest     string
	trailer    int64 // offset of the last line
	sums       *blockSums
	index      *Index
	signature  *Signature // set by WithSignature
}

// Open opens a plan file and checks that it is complete and unchanged; it does not check a signature, see
// [Plan.SignedBy]. It rejects a file that was edited, truncated or joined with another, that has
// another version or is not a plan; the error names the path, the line, and what to do. Close the plan after use.
func Open(path string) (*Plan, error) { return OpenEach(path, nil) }

// OpenEach opens a plan file as [Open] does, and calls each, if not nil, for every entry in the order of the plan while
// the file is checked, so that one pass is enough. The entry is valid during the call: copy what is kept, also its
// texts (see [strings.Clone]). offset is where the entry begins, for [Plan.EntryAt]. Do not use what was collected if
// OpenEach returns an error: the file may be damaged.
func OpenEach(path string, each func(e *Entry, offset int64)) (*Plan, error) {
	f, err := os.Open(path) //nolint:gosec // which file to open is the caller's choice
	if err != nil {
		return nil, fmt.Errorf("plan: open: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("plan: open: %w", err), f.Close())
	}
	p, err := read(f, info.Size(), path, each)
	if err != nil {
		_ = f.Close() // nothing was written, and err says more
		return nil, err
	}
	p.close = f.Close
	return p, nil
}

// Read reads a plan of size bytes from r, with the checks of [Open]. The content must not change while the plan
// is used, and r must be safe for concurrent use if the plan is used concurrently.
func Read(r io.ReaderAt, size int64) (*Plan, error) { return read(r, size, "", nil) }

func read(r io.ReaderAt, size int64, name string, each func(*Entry, int64)) (*Plan, error) {
	p := &Plan{r: r, size: size, name: name, sums: &blockSums{seed: maphash.MakeSeed()}}
	if each == nil {
		each = func(*Entry, int64) {}
	}
	if err := p.verify(each); err != nil {
		return nil, err
	}
	return p, nil
}

// Header returns the conditions under which the plan was made.
func (p *Plan) Header() Header { return p.header }

// Counts returns the number of orders by action.
func (p *Plan) Counts() ActionCounts { return p.counts }

// Due returns when the first of the orders that wait is due, so that a new plan can decide about it again; zero if that
// is not known of any.
func (p *Plan) Due() time.Time { return p.due }

// Mismatched describes the first few of the rows in ActionCounts.Mismatched, such as `SO000001 (status "CP")`.
func (p *Plan) Mismatched() []string { return slices.Clone(p.mismatched) }

// Digest returns "sha256:" and 64 hexadecimal digits, which identify the content of the plan.
func (p *Plan) Digest() string { return p.digest }

// Index returns the orders to resubmit.
func (p *Plan) Index() *Index { return p.index }

// Entries yields the entries from the oldest order to the newest. It can be ranged over any number of times. If the
// file cannot be read or has changed since it was opened, it yields a nil entry with the error and ends. The caller
// may keep and modify the entries.
func (p *Plan) Entries() iter.Seq2[*Entry, error] {
	return func(yield func(*Entry, error) bool) {
		r := &lineReader{plan: p}
		var dec decoder
		for r.offset != p.trailer {
			e := new(Entry)
			line, err := r.next()
			switch {
			case err != nil:
				err = p.errorf(r.number+1, "%w; make a new plan", err)
			case r.number == 1:
				continue // the header
			default:
				if err = dec.decode(line, e); err != nil {
					err = p.errorf(r.number, "%w; make a new plan", err)
				}
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// EntryAt reads the entry at an offset that [OpenEach] has reported. It returns an error if the file cannot be read or
// has changed since it was opened. The caller may keep and modify the entry.
func (p *Plan) EntryAt(offset int64) (*Entry, error) {
	if offset < 0 || offset >= p.trailer {
		return nil, fmt.Errorf("%s: no entry begins at byte %d", p.prefix(), offset)
	}
	return p.index.entryAt(offset)
}

// Close closes the file of [Open]. Entries fails afterwards.
func (p *Plan) Close() error {
	if p.close == nil {
		return nil
	}
	return p.close()
}

func (p *Plan) errorf(line int, format string, args ...any) error {
	return fmt.Errorf("%s: line %d: %w", p.prefix(), line, fmt.Errorf(format, args...))
}

// prefix starts the errors about the plan.
func (p *Plan) prefix() string {
	if p.name == "" {
		return "plan"
	}
	return "plan: " + p.name
}

// ErrSystemMismatch means that a plan was made for another system than the one it is used with, or that one of the two
// is not named. Nothing was sent. Order ids are meaningful only in their own system.
var ErrSystemMismatch = errors.New("the plan is for another system")

// CheckSystem returns an error that matches [ErrSystemMismatch] unless the plan was made for the given system, see
// [Header].
func (p *Plan) CheckSystem(system string) error {
	made := p.header.System
	switch made {
	case system:
		return nil
	case "":
		return fmt.Errorf("plan: %w: it names no system, as plans of older versions do not, and this is %s; make a new plan",
			ErrSystemMismatch, system)
	default:
		return fmt.Errorf("plan: %w: it was made for %s, and this is %s; use the clients of that system, or make a new plan",
			ErrSystemMismatch, text.Short(made), system)
	}
}

// ErrNoJournal means that a plan does not say on which state of the journal it is based. Plans of versions 1 and 2
// do not. Nothing was sent.
var ErrNoJournal = errors.New("the plan names no journal")

// CheckJournal returns an error that matches [ErrNoJournal] if the plan has no position of a journal, so that it cannot
// be applied. Whether a journal is the right one and has reached the position is checked by the journal, see
// [Header].Journal.
func (p *Plan) CheckJournal() error {
	if p.header.Journal.Journal != "" {
		return nil
	}
	return fmt.Errorf("%s: %w on which it is based, as plans of older versions of this library do not; make a new plan",
		p.prefix(), ErrNoJournal)
}
