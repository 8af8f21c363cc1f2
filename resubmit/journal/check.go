package journal

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// Summary describes a journal.
type Summary struct {
	Path                   string
	Version                int // of the format
	CreatedAt, CompactedAt time.Time
	// System, BaseURL and IDSpace are those of the installation; empty before Begin.
	System, BaseURL, IDSpace string
	Position                 plan.Position
	// ForgottenBefore is when the journal lost records; zero if it lost none.
	ForgottenBefore time.Time
	// Records counts the records by kind, Orders those of orders by outcome, or by phase if they
	// have not ended.
	Records map[protocol.Kind]int
	Orders  map[string]int
	// Newest is the time of the latest record; zero if there is none.
	Newest time.Time
	// Size is the size of the file in bytes. Garbage is the number of records in it that others
	// have replaced. Torn is the size of an incomplete write at the end, and Skipped that of what
	// Salvage or Recover could not read.
	Size, Torn, Skipped int64
	Garbage             int
	// Writer is the process that writes the journal; nil if none does, or if it is not known.
	Writer *LockInfo
}

// String returns the summary on one line.
func (s Summary) String() string {
	var orders []string
	for _, o := range slices.Sorted(maps.Keys(s.Orders)) {
		orders = append(orders, fmt.Sprintf("%d %s", s.Orders[o], o))
	}
	return text.OneLine(fmt.Sprintf("%s: journal %s of %s %s, %s (%s), %d writes, %d bytes", s.Path, s.Position.Journal,
		s.System, s.BaseURL, text.Orders(s.Records[protocol.KindOrder]), strings.Join(orders, ", "),
		s.Position.Sequence, s.Size))
}

// Check reads the whole journal at path and returns its summary. Another process may write it. If
// it is damaged, the error is a *[CorruptError].
func Check(path string) (Summary, error) {
	f, err := Open(path, WithReadOnly())
	if err != nil {
		return Summary{}, err
	}
	defer func() { _ = f.Close() }() // only read
	return f.Summary(context.Background())
}

// Summary reads all records and returns the summary of the journal.
func (f *File) Summary(ctx context.Context) (Summary, error) {
	f.log.mu.Lock()
	h, c := f.log.contents.header, f.log.contents
	s := Summary{
		Path: f.log.path, Version: h.Version, CreatedAt: h.CreatedAt, CompactedAt: h.CompactedAt, System: h.System,
		BaseURL: h.BaseURL, IDSpace: h.IDSpace, Position: f.log.position(), ForgottenBefore: h.ForgottenBefore,
		Size: c.end, Torn: f.recovered, Garbage: c.total - c.live,
		Records: make(map[protocol.Kind]int), Orders: make(map[string]int),
	}
	f.log.mu.Unlock()
	s.Writer, _ = durable.LockHolder(lockPath(f.log.path))
	for r, err := range f.Records(ctx) {
		if err != nil {
			return Summary{}, err
		}
		s.Records[r.Kind]++
		if r.At.After(s.Newest) {
			s.Newest = r.At
		}
		if r.Order != nil {
			s.Orders[cmp.Or(string(r.Order.Outcome), string(r.Order.Phase))]++
		}
	}
	return s, nil
}

// Export writes the journal as JSON lines: first the header,
//
//	{"kind":"cloudblue-resubmit-journal","version":2,"id":"…","createdAt":"…","system":"…","position":{…}}
//
// then one [protocol.Record] per line.
func (f *File) Export(ctx context.Context, w io.Writer) error {
	f.log.mu.Lock()
	h, at := f.log.contents.header, f.log.position()
	f.log.mu.Unlock()
	head := struct {
		header
		Position plan.Position `json:"position"`
	}{h, at}
	out := bufio.NewWriterSize(w, 64<<10)
	line := text.JSONEncoder(out)
	if err := line.Encode(head); err != nil {
		return f.log.errorf(fmt.Errorf("export: %w", err))
	}
	for r, err := range f.Records(ctx) {
		if err != nil {
			return err
		}
		if err := line.Encode(r); err != nil {
			return f.log.errorf(fmt.Errorf("export: %w", err))
		}
	}
	if err := out.Flush(); err != nil {
		return f.log.errorf(fmt.Errorf("export: %w", err))
	}
	return nil
}
