//go:build unix

package sqljournal_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
	"github.com/cloudblue-go/cloudblue/resubmit/resubmittest"
	"github.com/cloudblue-go/cloudblue/resubmit/sqljournal"
)

// closing is a journal that closes its database.
type closing struct {
	*sqljournal.Journal

	db *sql.DB
}

func (c closing) Close() error { return c.db.Close() }

func TestJournal(t *testing.T) {
	t.Parallel()
	for _, d := range dialects() {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			resubmittest.TestJournal(t, func(dir string) (resubmit.Journal, error) {
				p := placeFor(t, d, dir)
				db, err := sql.Open(p.Driver, p.DSN)
				require.NoError(t, err)
				ctx := context.Background()
				if err := sqljournal.Migrate(ctx, db, d, sqljournal.WithPrefix(p.Prefix)); err != nil {
					return nil, err
				}
				j, err := sqljournal.Open(ctx, db, d, sqljournal.WithPrefix(p.Prefix))
				return closing{j, db}, err
			})
		})
	}
}

func use(plan string) resubmit.JournalUse {
	return resubmit.JournalUse{System: "test", BaseURL: "https://mn.example.net", IDSpace: "aps", Plan: plan}
}

// order returns the record of an order that replaces a version.
func order(id string, version uint64) protocol.Record {
	return protocol.Record{
		Key: protocol.OrderKey(id), Version: version, At: time.Now(),
		Order: &protocol.Order{Number: "SO-" + id, Phase: protocol.Claimed},
	}
}

func put(t testing.TB, j *sqljournal.Journal, records ...protocol.Record) uint64 {
	t.Helper()
	seq, err := j.Put(t.Context(), resubmit.Durable, records...)
	require.NoError(t, err)
	return seq
}

func begin(t testing.TB, j *sqljournal.Journal, plan string) resubmit.Lease {
	t.Helper()
	l, err := j.Begin(t.Context(), use(plan))
	require.NoError(t, err)
	return l
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		if p.Dialect == sqljournal.PostgreSQL { // as the administrator may have set it
			p.DSN += " default_transaction_isolation=serializable"
		}
		t.Run("many at once", func(t *testing.T) {
			const processes = 8
			errs := make(chan error, processes)
			for range processes {
				db := p.open(t)
				go func() { errs <- sqljournal.Migrate(t.Context(), db, p.Dialect, sqljournal.WithPrefix(p.Prefix)) }()
			}
			for range processes {
				require.NoError(t, <-errs)
			}
		})
		db := p.open(t)
		t.Run("again, it changes nothing", func(t *testing.T) {
			at := begin(t, p.journalOf(t, db), "plan").Position
			j := p.journalOf(t, db)
			_, err := j.Begin(t.Context(), resubmit.JournalUse{
				System: "test", BaseURL: "https://mn.example.net", IDSpace: "aps", After: at,
			})
			require.NoError(t, err)
		})
		t.Run("a later version only adds", func(t *testing.T) {
			_, err := db.ExecContext(t.Context(), "INSERT INTO "+p.Prefix+"migrations (version, applied_at) VALUES (99, 0)")
			require.NoError(t, err)
			put(t, p.journalOf(t, db), order("1", 0))
		})
		t.Run("another format is rejected", func(t *testing.T) {
			j := p.journalOf(t, db)
			_, err := db.ExecContext(t.Context(), "UPDATE "+p.Prefix+"journal SET format = 2")
			require.NoError(t, err)
			const want = "the journal has the format 2, and this program reads the format 1"
			_, err = j.Put(t.Context(), resubmit.Durable, order("2", 0))
			require.ErrorContains(t, err, want)
			_, err = sqljournal.Open(t.Context(), db, p.Dialect, sqljournal.WithPrefix(p.Prefix))
			require.ErrorContains(t, err, want)
		})
		t.Run("an older version is rejected", func(t *testing.T) {
			_, err := db.ExecContext(t.Context(), "DELETE FROM "+p.Prefix+"migrations WHERE version > 2")
			require.NoError(t, err)
			_, err = sqljournal.Open(t.Context(), db, p.Dialect, sqljournal.WithPrefix(p.Prefix))
			require.ErrorContains(t, err, "the tables have the version 2, and this program needs 7; call Migrate")
		})
	})
}

func TestOpen(t *testing.T) {
	t.Parallel()
	p := placeFor(t, sqljournal.SQLite, t.TempDir())
	db := p.open(t)
	open := func(opts ...sqljournal.Option) error {
		_, err := sqljournal.Open(t.Context(), db, p.Dialect, opts...)
		return err
	}
	require.ErrorContains(t, open(), "call Migrate")
	require.ErrorContains(t, open(sqljournal.WithPrefix("Orders; DROP")), `"Orders; DROP" is not a prefix`)
	require.ErrorContains(t, open(sqljournal.WithPrefix("")), `"" is not a prefix`)
	require.ErrorContains(t, open(sqljournal.WithLease(time.Second)), "1s is not between 10 s and 1 h")
	require.ErrorContains(t, open(sqljournal.WithRetention(time.Hour)), "1h0m0s is less than a day")
	require.NoError(t, sqljournal.Migrate(t.Context(), db, p.Dialect))
	require.NoError(t, open())
	_, err := sqljournal.Open(t.Context(), db, "oracle")
	require.ErrorContains(t, err, `the dialect "oracle" is none of ["mariadb" "mysql" "postgresql" "sqlite"]`)
	_, err = sqljournal.Open(t.Context(), nil, p.Dialect)
	require.ErrorContains(t, err, "the database is nil")
	db.SetMaxOpenConns(1)
	require.ErrorContains(t, open(), "limited to one connection")
}

func TestUnsafeDatabase(t *testing.T) {
	t.Parallel()
	everyDialect(t, func(t *testing.T, p place) {
		p.journal(t)
		var want string
		unsafe := p
		switch p.Dialect {
		case sqljournal.PostgreSQL:
			unsafe.DSN, want = p.DSN+" synchronous_commit=off", "synchronous_commit is off"
		case sqljournal.MariaDB:
			return // a setting of the whole server
		default:
			unsafe.DSN, want = strings.Replace(p.DSN, "full", "normal", 1), "the pragma synchronous is not full"
		}
		_, err := sqljournal.Open(t.Context(), unsafe.open(t), p.Dialect, sqljournal.WithPrefix(p.Prefix))
		require.ErrorContains(t, err, want)
	})
}

func TestSchema(t *testing.T) {
	t.Parallel()
	for _, d := range dialects() {
		if d == sqljournal.SQLite {
			continue // has only attached databases
		}
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			p := placeFor(t, d, t.TempDir())
			_, err := p.open(t).ExecContext(t.Context(), "CREATE SCHEMA IF NOT EXISTS billing")
			require.NoError(t, err)
			p.Prefix = "billing." + p.Prefix
			j := p.journal(t)
			begin(t, j, "plan")
			put(t, j, order("1", 0))
		})
	}
}
