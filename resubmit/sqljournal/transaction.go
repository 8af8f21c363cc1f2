package sqljournal

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// attemptTimeout limits one attempt at a transaction.
const attemptTimeout = 10 * time.Second

// errOutcome means that the connection was lost during a commit, and that the database could not be asked since.
var errOutcome = errors.New("the commit got no answer, so it is not known whether it was written")

// transaction is a transaction that writes. It has the lock of the journal, so there is no other one.
type transaction struct {
	*tables
	header

	conn  *sql.Conn
	lease time.Duration
	now   int64 // by the clock of the database, when it had the lock
}

// retry repeats an attempt until it succeeds, after any error but a final one, for three quarters of a lease.
func (j *Journal) retry(ctx context.Context, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, j.lease*3/4)
	defer cancel()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := attempt(ctx)
		if err == nil {
			return nil
		}
		if p, ok := errors.AsType[permanent](err); ok {
			return p.error
		}
		if j.tables.final.MatchString(err.Error()) || !sleep(ctx, pause/2+mathrand.N(pause)) {
			return err
		}
	}
}

// transact calls work in a transaction, until it succeeds. It may be repeated after any error: until the commit,
// nothing is written. After a commit without an answer, the next attempt finds out whether it was written; it has the
// lock, so the commit is over. Each attempt calls work anew.
func (j *Journal) transact(ctx context.Context, work func(context.Context, *transaction) error) error {
	var unanswered plan.Position // of the last commit, if it got no answer
	err := j.retry(ctx, func(ctx context.Context) error { return j.attempt(ctx, &unanswered, work) })
	if err != nil && unanswered != (plan.Position{}) {
		err = fmt.Errorf("%w: %w", errOutcome, err)
	}
	return err
}

// sleep reports whether ctx lasted so long.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// attempt tries a transaction once.
func (j *Journal) attempt(
	ctx context.Context, unanswered *plan.Position, work func(context.Context, *transaction) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	conn, err := j.db.Conn(ctx)
	if err != nil {
		return err
	}
	t := &transaction{tables: &j.tables, conn: conn, lease: j.lease}
	err = j.attemptWith(ctx, t, unanswered, work)
	if err != nil || *unanswered != (plan.Position{}) {
		discard(conn) // the server ends the transaction
	}
	_ = conn.Close() // returns it to the pool
	return err
}

func (j *Journal) attemptWith(
	ctx context.Context, t *transaction, unanswered *plan.Position, work func(context.Context, *transaction) error,
) error {
	written, err := t.begin(ctx, j.lastSeen(), *unanswered)
	if err != nil || written {
		return err
	}
	*unanswered = plan.Position{}
	before := t.at
	if err := work(ctx, t); err != nil {
		return err
	}
	if t.at.Sequence == before.Sequence {
		_, err := t.conn.ExecContext(ctx, "ROLLBACK")
		return err
	}
	if err := t.writePosition(ctx); err != nil {
		return err
	}
	*unanswered = t.at
	if _, err := t.conn.ExecContext(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	*unanswered = plan.Position{}
	j.see(t.at)
	return nil
}

// begin begins the transaction and waits for the lock. It reports whether the commit that got no answer was written.
func (t *transaction) begin(ctx context.Context, seen, unanswered plan.Position) (written bool, err error) {
	for _, statement := range t.dialect.begin {
		if _, err := t.conn.ExecContext(ctx, statement); err != nil {
			return false, fmt.Errorf("begin a transaction: %w", err)
		}
	}
	t.header, err = scanHeader(t.conn.QueryRowContext(ctx, t.sql(selectHeader+t.lock)))
	if err != nil {
		return false, err
	}
	// Not in the statement that waits for the lock, which may see what was there before it had it.
	var unsafe string
	var seenHash, unansweredHash sql.NullString
	err = t.conn.QueryRowContext(ctx, t.sql("SELECT {now}, {unsafe}, "+hashOf+", "+hashOf), seen.Sequence,
		unanswered.Sequence).Scan(&t.now, &unsafe, &seenHash, &unansweredHash)
	if err != nil {
		return false, err
	}
	if err := cmp.Or(checkSafe(unsafe), t.recognize(seen, seenHash.String)); err != nil {
		return false, err
	}
	return unanswered.Hash != "" && unansweredHash.String == unanswered.Hash, nil
}

// next returns the sequence of a new write. The new hash distinguishes it from a write with the same sequence after a
// restore, or in another attempt.
func (t *transaction) next() uint64 {
	t.at.Sequence++
	t.at.Hash = rand.Text()
	return t.at.Sequence
}

// writePosition stores the position.
func (t *transaction) writePosition(ctx context.Context) error {
	err := t.exec(ctx, 1, "UPDATE {journal} SET sequence = ?, hash = ?", t.at.Sequence, t.at.Hash)
	if err != nil {
		return err
	}
	return t.exec(ctx, 1, "INSERT INTO {positions} (sequence, hash, written_at) VALUES (?, ?, ?)",
		t.at.Sequence, t.at.Hash, t.now)
}

// exec executes a statement that must write so many rows.
func (t *transaction) exec(ctx context.Context, rows int64, statement string, args ...any) error {
	result, err := t.conn.ExecContext(ctx, t.sql(statement), args...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != rows {
		return cmp.Or(err, fmt.Errorf("%d rows were written instead of %d; do not change the tables by hand", n, rows))
	}
	return nil
}

// discard closes a connection instead of returning it to the pool, which ends what it began.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // reports the same error
}
