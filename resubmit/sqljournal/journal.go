package sqljournal

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// Option is an option of [Open], [Migrate] and [Recover]. Give all three the same prefix.
type Option func(*options) error

type options struct {
	tables    tables
	prefix    string
	lease     time.Duration
	retention time.Duration
}

func newOptions(d Dialect, opts []Option) (o options, err error) {
	o = options{prefix: "cloudblue_", lease: time.Minute, retention: 400 * 24 * time.Hour}
	for _, opt := range opts {
		if err := opt(&o); err != nil {
			return o, err
		}
	}
	o.tables, err = newTables(d, o.prefix)
	return o, err
}

// WithPrefix sets how the names of the tables begin, after the name of a schema and a dot if it is not the default one:
// "billing.resubmit_". Default "cloudblue_". Each installation of Commerce needs its own.
func WithPrefix(prefix string) Option {
	return func(o *options) error {
		o.prefix = prefix
		return nil
	}
}

// WithLease sets how long the lease of a run lasts. Default 60 s. It is renewed four times in that time, and not
// trusted in the last five seconds. All processes must use the same.
func WithLease(d time.Duration) Option {
	return func(o *options) error {
		if o.lease = d; d < 10*time.Second || d > time.Hour {
			return fmt.Errorf("WithLease: %v is not between 10 s and 1 h", d)
		}
		return nil
	}
}

// WithRetention sets how long records are kept that no decision needs any more: of completed and cancelled orders, of
// subscriptions that no order has, and of leases that have ended.
// Default 400 days; 0 keeps them forever. It happens when a run begins. Positions, by which a journal is recognized,
// are kept for at least 400 days.
func WithRetention(d time.Duration) Option {
	return func(o *options) error {
		if o.retention = d; d != 0 && d < 24*time.Hour {
			return fmt.Errorf("WithRetention: %v is less than a day; use 0 to keep all records", d)
		}
		return nil
	}
}

// Journal is a journal in a database. Create it with [Open]. It is safe for concurrent use, and so are any number of
// them in other processes. It keeps nothing open: close the database when it is not used any more.
type Journal struct {
	options

	db *sql.DB

	mu      sync.Mutex
	seen    plan.Position // a position that the journal was at; zero before the first
	queue   []*write      // that wait for the next transaction
	writing bool          // a goroutine writes what is in the queue
}

var (
	_ resubmit.Journal    = (*Journal)(nil)
	_ resubmit.SharedRate = (*Journal)(nil)
)

// Open opens the journal whose tables [Migrate] has made. The database must allow two connections at once, since
// records are read while others are written.
func Open(ctx context.Context, db *sql.DB, d Dialect, opts ...Option) (*Journal, error) {
	o, err := newOptions(d, opts)
	j := &Journal{options: o, db: db}
	if err == nil {
		err = j.check(ctx)
	}
	if err != nil {
		return nil, j.errorf(err)
	}
	return j, nil
}

// check returns an error if the tables cannot be used.
func (j *Journal) check(ctx context.Context) error {
	if j.db == nil {
		return errors.New("the database is nil")
	}
	if j.db.Stats().MaxOpenConnections == 1 {
		return errors.New("the database is limited to one connection; allow two or more with SetMaxOpenConns")
	}
	version, err := j.tables.version(ctx, j.db)
	if err != nil {
		return fmt.Errorf("read the version of the tables: %w; if they are missing, call Migrate", err)
	}
	if version < len(migrations) {
		return fmt.Errorf("the tables have the version %d, and this program needs %d; call Migrate", version, len(migrations))
	}
	_, err = j.read(ctx, plan.Position{})
	return err
}

// header is the row of the journal.
type header struct {
	id        string
	commerce  [3]string // of resubmit.JournalUse; empty before the first Begin
	at        plan.Position
	forgotten int64 // microseconds since 1970; 0 if nothing was lost
}

func (h *header) begun() bool { return h.commerce != [3]string{} }

const selectHeader = "SELECT format, id, commerce, base_url, id_space, sequence, hash, forgotten_before FROM {journal}"

// scanHeader reads a row of selectHeader, with further columns.
func scanHeader(row *sql.Row, more ...any) (h header, err error) {
	var version int
	var system [3][]byte
	columns := []any{
		&version, &h.id, &system[0], &system[1], &system[2], &h.at.Sequence, &h.at.Hash, &h.forgotten,
	}
	err = row.Scan(append(columns, more...)...)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return h, errors.New("the row of the journal is missing; call Migrate, and Recover if records are lost")
	case err != nil:
		return h, err
	case version != format:
		return h, permanent{fmt.Errorf("the journal has the format %d, and this program reads the format %d; use the "+
			"release that wrote it, or a later one", version, format)}
	}
	for i, b := range system {
		h.commerce[i] = string(b)
	}
	h.at.Journal = h.id
	return h, nil
}

// hashOf is the hash that was stored at a sequence, NULL for none.
const hashOf = "(SELECT hash FROM {positions} WHERE sequence = ?)"

// read returns the header, after checks that the database is safe and that the journal was at a position.
func (j *Journal) read(ctx context.Context, after plan.Position) (h header, err error) {
	seen := j.lastSeen()
	query := j.tables.sql("SELECT j.*, {unsafe}, " + hashOf + ", " + hashOf + " FROM (" + selectHeader + ") j")
	err = j.retry(ctx, func(ctx context.Context) (err error) {
		var unsafe string
		var hash, afterHash sql.NullString
		row := j.db.QueryRowContext(ctx, query, seen.Sequence, after.Sequence)
		if h, err = scanHeader(row, &unsafe, &hash, &afterHash); err != nil {
			return err
		}
		return cmp.Or(checkSafe(unsafe), h.recognize(seen, hash.String), h.recognize(after, afterHash.String))
	})
	if err == nil {
		j.see(h.at)
	}
	return h, err
}

func checkSafe(why string) error {
	if why == "" {
		return nil
	}
	return permanent{fmt.Errorf("the database is not safe for a journal: %s", why)}
}

// recognize returns an error if the journal was never at a position, whose sequence has the given hash.
func (h *header) recognize(p plan.Position, hash string) error {
	switch {
	case p == (plan.Position{}):
		return nil
	case p.Journal != h.id:
		return permanent{fmt.Errorf("%w: this is the journal %s, not %s",
			resubmit.ErrJournalMismatch, h.id, text.Short(p.Journal))}
	case p.Sequence > h.at.Sequence:
		return permanent{fmt.Errorf("%w: it has %d writes, but had %d",
			resubmit.ErrJournalMismatch, h.at.Sequence, p.Sequence)}
	case hash == "" || hash != p.Hash:
		return permanent{fmt.Errorf("%w: its write %d is another one, or too old to be known",
			resubmit.ErrJournalMismatch, p.Sequence)}
	}
	return nil
}

func (j *Journal) lastSeen() plan.Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.seen
}

func (j *Journal) see(p plan.Position) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if p.Sequence > j.seen.Sequence {
		j.seen = p
	}
}

// permanent is an error that another attempt does not change.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// errorf adds the name of the tables to an error.
func (j *Journal) errorf(err error) error {
	return fmt.Errorf("sqljournal: the tables %s: %w", cmp.Or(j.tables.prefix, text.Short(j.prefix)), err)
}
