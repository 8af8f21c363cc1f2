package sqljournal

import (
	"context"
	"crypto/rand"
	"database/sql"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// Recover lets plans be made again after a loss of records, for example after the database was restored from a backup.
// It gives the journal a new identity and keeps its records. From then on every order that was placed before, and that
// the journal has no newer record of, is held until the operator names it. No other process may use the journal; those
// that do fail with [resubmit.ErrJournalMismatch]. A state directory must be recovered afterwards, with state.Recover.
func Recover(ctx context.Context, db *sql.DB, d Dialect, opts ...Option) error {
	j, err := Open(ctx, db, d, opts...)
	if err != nil {
		return err
	}
	if err := j.transact(ctx, recoverRecords); err != nil {
		return j.errorf(err)
	}
	return nil
}

// recoverRecords makes a new journal with the records of the old one.
func recoverRecords(ctx context.Context, t *transaction) error {
	if !t.begun() {
		return permanent{errNotBegun}
	}
	if err := t.keepRecords(ctx, time.UnixMicro(t.now)); err != nil {
		return err
	}
	if _, err := t.conn.ExecContext(ctx, t.sql("DELETE FROM {positions}")); err != nil {
		return err
	}
	t.next()
	t.id = rand.Text()
	t.at.Journal = t.id
	return t.exec(ctx, 1, "UPDATE {journal} SET id = ?, forgotten_before = ?", t.id, t.now)
}

// keepRecords writes those records anew that must not look as if they were written after the loss.
func (t *transaction) keepRecords(ctx context.Context, loss time.Time) error {
	changed, err := t.adjustForLoss(ctx, loss)
	if err != nil {
		return err
	}
	for _, r := range changed {
		b, err := encodeBody(&r)
		if err != nil {
			return permanent{err}
		}
		key := keyHash(r.Key)
		if err := t.exec(ctx, 1, "UPDATE {records} SET body = ? WHERE key_hash = ?", b, key[:]); err != nil {
			return err
		}
	}
	return nil
}

// adjustForLoss returns the records that change because of a loss.
func (t *transaction) adjustForLoss(ctx context.Context, loss time.Time) (changed []protocol.Record, err error) {
	err = t.eachRow(ctx, t.conn, "", nil, func(row row) error {
		r, err := row.decode()
		if err == nil && (r.At.After(loss) || r.Order != nil && r.Order.ClaimedAt.After(loss)) {
			changed = append(changed, r.AdjustForLoss(loss))
		}
		return err
	})
	return changed, err
}
