//go:build unix

package sqljournal_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/sqljournal"
)

// fault is what happens instead of a statement; execute executes it. The connection is not closed before late is over.
type fault func(execute func() error, late *sync.WaitGroup) error

// faulty returns a database whose driver consults intercept before each statement without rows.
func faulty(t *testing.T, p place, intercept func(query string) fault) *sql.DB {
	t.Helper()
	db := sql.OpenDB(faultyConnector{connectorOf(p), intercept})
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// connector connects to a place.
type connector struct{ place }

func connectorOf(p place) driver.Connector { return connector{p} }

func (c connector) Driver() driver.Driver {
	db, err := sql.Open(c.place.Driver, c.DSN)
	if err != nil {
		return nil
	}
	defer db.Close()
	return db.Driver()
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.Driver().Open(c.DSN) }

type faultyConnector struct {
	driver.Connector

	intercept func(query string) fault
}

func (c faultyConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	return faultyConn{conn, c.intercept, new(sync.WaitGroup)}, err
}

type faultyConn struct {
	driver.Conn

	intercept func(query string) fault
	late      *sync.WaitGroup // statements that are executed after an error was returned
}

// Close closes the connection when what was sent has arrived.
func (c faultyConn) Close() error {
	go func() {
		c.late.Wait()
		_ = c.Conn.Close()
	}()
	return nil
}

func (c faultyConn) CheckNamedValue(v *driver.NamedValue) error {
	if n, ok := c.Conn.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c faultyConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

func (c faultyConn) ExecContext(
	ctx context.Context, query string, args []driver.NamedValue,
) (result driver.Result, err error) {
	execute := func() (err error) {
		result, err = c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
		return err
	}
	if f := c.intercept(query); f != nil {
		return result, f(execute, c.late)
	}
	return result, execute()
}

var errLost = errors.New("the connection was lost")

// times returns a function that injects a fault into the first n statements that are equal to one.
func times(n int, statement string, f fault) func(query string) fault {
	var mu sync.Mutex
	return func(query string) fault {
		mu.Lock()
		defer mu.Unlock()
		if query != statement || n == 0 {
			return nil
		}
		n--
		return f
	}
}

// faultyJournal returns a journal with faults, and another one at the same place.
func faultyJournal(t *testing.T, p place, intercept func(query string) fault) (j, other *sqljournal.Journal) {
	t.Helper()
	other = p.journal(t)
	begin(t, other, "")
	return p.opened(t, faulty(t, p, intercept)), other
}

// TestLostCommit checks that it is found out whether a commit without an answer was written.
func TestLostCommit(t *testing.T) {
	t.Parallel()
	for what, lost := range map[string]fault{
		"written":     func(execute func() error, _ *sync.WaitGroup) error { return errors.Join(errLost, execute()) },
		"not written": func(func() error, *sync.WaitGroup) error { return errLost },
		"written later": func(execute func() error, late *sync.WaitGroup) error {
			late.Go(func() {
				time.Sleep(300 * time.Millisecond)
				_ = execute()
			})
			return errLost
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			everyDialect(t, func(t *testing.T, p place) {
				j, other := faultyJournal(t, p, times(2, "COMMIT", lost))
				first := put(t, j, order("1", 0), order("2", 0))
				got, err := other.Get(t.Context(), protocol.OrderKey("1"))
				require.NoError(t, err)
				require.Equal(t, first, got.Version)
				put(t, j, order("1", first), protocol.Record{Key: protocol.OrderKey("2"), Version: first})
				n := 0
				for _, err := range other.Records(t.Context()) {
					require.NoError(t, err)
					n++
				}
				require.Equal(t, 1, n)
				begin(t, j, "plan")
			})
		})
	}
}

// TestUnknownCommit checks that an outcome that cannot be found out is an error that says so.
func TestUnknownCommit(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		var db *sql.DB
		lost := func(execute func() error, _ *sync.WaitGroup) error {
			_ = db.Close() // there is no further connection
			return errors.Join(errLost, execute())
		}
		db = faulty(t, p, times(1, "COMMIT", lost))
		begin(t, p.journal(t), "")
		_, err := p.opened(t, db).Put(t.Context(), resubmit.Durable, order("1", 0))
		require.ErrorContains(t, err, "the commit got no answer, so it is not known whether it was written")
	})
}

// TestErrorBeforeCommit checks that a transaction is repeated after an error before its commit.
func TestErrorBeforeCommit(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		n := 0
		j, other := faultyJournal(t, p, func(query string) fault {
			if n++; n > 9 {
				return nil
			}
			return func(func() error, *sync.WaitGroup) error { return fmt.Errorf("deadlock %d", n) }
		})
		seq := put(t, j, order("1", 0), order("2", 0))
		got, err := other.Get(t.Context(), protocol.OrderKey("2"))
		require.NoError(t, err)
		require.Equal(t, seq, got.Version)
		require.Greater(t, n, 9)
	})
}

// TestSuspendedTransaction checks that a process that is suspended during a transaction does not hold up the others.
func TestSuspendedTransaction(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		if p.Dialect == sqljournal.SQLite {
			return // see doc.go
		}
		suspended, resume := make(chan struct{}), make(chan struct{})
		j, other := faultyJournal(t, p, times(1, "COMMIT", func(execute func() error, _ *sync.WaitGroup) error {
			close(suspended)
			<-resume
			return execute()
		}))
		errs := make(chan error)
		go func() {
			_, err := j.Put(context.WithoutCancel(t.Context()), resubmit.Durable, order("1", 0))
			errs <- err
		}()
		<-suspended
		put(t, other, order("2", 0)) // after ten seconds
		put(t, other, order("1", 0))
		close(resume)
		_, isConflict := errors.AsType[*resubmit.ConflictError](<-errs)
		require.True(t, isConflict, "it must see what the other one has written")
	})
}

// TestRestoredDatabase checks that a process which uses the journal notices that the database is an older copy.
func TestRestoredDatabase(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		db := p.open(t)
		j := p.journalOf(t, db)
		at := begin(t, j, "plan").Position
		seq := put(t, j, order("1", 0))
		for _, statement := range []string{
			fmt.Sprintf("DELETE FROM %spositions WHERE sequence > %d", p.Prefix, at.Sequence),
			fmt.Sprintf("UPDATE %sjournal SET sequence = %d, hash = '%s'", p.Prefix, at.Sequence, at.Hash),
			fmt.Sprintf("DELETE FROM %srecords", p.Prefix),
		} {
			_, err := db.ExecContext(t.Context(), statement)
			require.NoError(t, err)
		}
		mismatch := func() {
			t.Helper()
			_, err := j.Put(t.Context(), resubmit.Durable, order("2", 0))
			require.ErrorIs(t, err, resubmit.ErrJournalMismatch)
			_, err = j.Flush(t.Context())
			require.ErrorIs(t, err, resubmit.ErrJournalMismatch)
		}
		mismatch()
		other := p.journalOf(t, db)
		require.Equal(t, seq, put(t, other, order("1", 0)), "it has the same sequence as the lost write")
		mismatch()
		put(t, other, order("2", 0))
		mismatch()
	})
}
