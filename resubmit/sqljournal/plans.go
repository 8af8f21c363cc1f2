package sqljournal

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// pieceSize is how many bytes of a plan are in one row.
const pieceSize = 1 << 20

// incomplete is the size of a plan whose pieces are not all there.
const incomplete = -1

// Plans is a [plan.Store] in the database of a journal. Plans are streamed piece by piece, and open ones are temporary
// files. Put removes those that were stored longer ago than the retention of the journal, see [WithRetention].
type Plans struct{ journal *Journal }

var _ plan.Store = Plans{}

// Plans returns the store of plans in the same database. It needs privileges of its own, see the package.
func (j *Journal) Plans() Plans { return Plans{j} }

// planHash returns the digest of a plan as a key.
func planHash(digest string) (hash, error) {
	if err := plan.CheckDigest(digest); err != nil {
		return hash{}, err
	}
	b, err := hex.DecodeString(strings.TrimPrefix(digest, "sha256:"))
	return hash(b), err
}

// Open implements [plan.Store].
func (s Plans) Open(ctx context.Context, digest string) (*plan.Plan, error) {
	p, err := s.open(ctx, digest)
	if err != nil {
		return nil, s.journal.errorf(err)
	}
	return p, nil
}

func (s Plans) open(ctx context.Context, digest string) (*plan.Plan, error) {
	key, err := planHash(digest)
	if err != nil {
		return nil, err
	}
	var size int64
	var signature []byte
	err = s.row(ctx, "SELECT size, signature FROM {plans} WHERE digest = ?", []any{key[:]}, &size, &signature)
	if errors.Is(err, sql.ErrNoRows) || err == nil && size == incomplete {
		return nil, fmt.Errorf("there is no plan %s: %w", digest, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	return plan.Download(&pieces{ctx: ctx, plans: s, key: key, left: size}, digest, signature)
}

// row reads one row. If there is none, the error matches [sql.ErrNoRows].
func (s Plans) row(ctx context.Context, query string, args []any, to ...any) error {
	query = s.journal.tables.sql(query)
	return s.journal.retry(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
		err := s.journal.db.QueryRowContext(ctx, query, args...).Scan(to...)
		if errors.Is(err, sql.ErrNoRows) {
			return permanent{err}
		}
		return err
	})
}

// pieces reads a plan.
type pieces struct {
	ctx   context.Context //nolint:containedctx // of the one call that reads it
	plans Plans
	key   hash
	next  int
	left  int64 // bytes
	piece bytes.Reader
}

// Read implements [io.Reader].
func (p *pieces) Read(b []byte) (int, error) {
	if p.piece.Len() > 0 {
		return p.piece.Read(b)
	}
	if p.left <= 0 {
		return 0, io.EOF
	}
	var body []byte
	const query = "SELECT body FROM {plan_pieces} WHERE digest = ? AND number = ?"
	err := p.plans.row(p.ctx, query, []any{p.key[:], p.next}, &body)
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && len(body) == 0:
		return 0, fmt.Errorf("piece %d is missing; put the plan again", p.next)
	case err != nil:
		return 0, err
	}
	p.next++
	p.left -= int64(len(body))
	p.piece.Reset(body)
	return p.piece.Read(b)
}

// Put implements [plan.Store].
func (s Plans) Put(ctx context.Context, p *plan.Plan) error {
	if err := s.put(ctx, p); err != nil {
		return s.journal.errorf(fmt.Errorf("put the plan %s: %w", p.Digest(), err))
	}
	return nil
}

// put writes the pieces, which are the same whoever writes them, and then that they are complete.
func (s Plans) put(ctx context.Context, p *plan.Plan) error {
	key, err := planHash(p.Digest())
	if err != nil {
		return err
	}
	signature, err := p.SignatureLine()
	if err != nil {
		return err
	}
	if err := s.removeOld(ctx); err != nil {
		return err
	}
	const row = "INSERT INTO {plans} (digest, size, stored_at, signature) VALUES (?, ?, {now}, ?) "
	err = s.exec(ctx, row+s.journal.tables.upsert("digest", "digest"), key[:], incomplete, nil)
	if err != nil {
		return err
	}
	content, piece := p.Content(), make([]byte, pieceSize)
	for number := 0; ; number++ {
		n, err := io.ReadFull(content, piece)
		if n == 0 && errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		err = s.exec(ctx, "INSERT INTO {plan_pieces} (digest, number, body) VALUES (?, ?, ?) "+
			s.journal.tables.upsert("digest, number", "body"), key[:], number, piece[:n])
		if err != nil {
			return err
		}
	}
	change := []string{"size", "stored_at"}
	if signature != nil {
		change = append(change, "signature")
	}
	return s.exec(ctx, row+s.journal.tables.upsert("digest", change...), key[:], content.Size(), signature)
}

// removeOld removes plans whose retention is over.
func (s Plans) removeOld(ctx context.Context) error {
	if s.journal.retention == 0 {
		return nil
	}
	age := s.journal.retention.Microseconds()
	const old = "FROM {plans} WHERE stored_at < {now} - ?"
	return errors.Join(
		s.exec(ctx, "DELETE FROM {plan_pieces} WHERE digest IN (SELECT digest "+old+")", age),
		s.exec(ctx, "DELETE "+old, age))
}

// exec executes a statement that may be repeated.
func (s Plans) exec(ctx context.Context, statement string, args ...any) error {
	statement = s.journal.tables.sql(statement)
	return s.journal.retry(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
		defer cancel()
		_, err := s.journal.db.ExecContext(ctx, statement, args...)
		return err
	})
}

// upsert ends an INSERT that replaces some columns of a row with the same key.
func (t *tables) upsert(key string, columns ...string) string {
	start, value := "ON CONFLICT ("+key+") DO UPDATE SET ", "excluded.%[1]s"
	if t.insertID != "" { // MySQL and MariaDB
		start, value = "ON DUPLICATE KEY UPDATE ", "VALUES(%[1]s)"
	}
	var changes []string
	for _, c := range columns {
		changes = append(changes, fmt.Sprintf("%[1]s = "+value, c))
	}
	return start + strings.Join(changes, ", ")
}
