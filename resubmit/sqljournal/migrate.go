package sqljournal

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
)

// format is the version of what the tables mean. A program rejects another one.
const format = 1

// migrations are the versions of the tables, each one statement. A change only adds something that programs of the
// version before ignore, so that they go on working. A released migration is never changed.
//
// Databases that commit such a statement at once run it again after a crash, so it must do no harm then.
var migrations = []string{
	// The one row is locked by whoever writes.
	`CREATE TABLE IF NOT EXISTS {journal} (
		only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
		format INTEGER NOT NULL,
		id VARCHAR(40) NOT NULL,
		commerce BYTES NOT NULL,
		base_url BYTES NOT NULL,
		id_space BYTES NOT NULL,
		sequence BIGINT NOT NULL,
		hash VARCHAR(40) NOT NULL,
		forgotten_before BIGINT NOT NULL
	)`,
	// Times are in microseconds since 1970. The body is JSON.
	`CREATE TABLE IF NOT EXISTS {records} (
		key_hash HASH PRIMARY KEY,
		kind VARCHAR(10) NOT NULL,
		id BYTES NOT NULL,
		version BIGINT NOT NULL,
		number_hash HASH UNIQUE,
		lease_end BIGINT,
		rest_at BIGINT,
		body BYTES NOT NULL
	)`,
	`CREATE TABLE IF NOT EXISTS {positions} (
		sequence BIGINT PRIMARY KEY,
		hash VARCHAR(40) NOT NULL,
		written_at BIGINT NOT NULL
	)`,
	// The one row is when the last call is made that any process has reserved.
	`CREATE TABLE IF NOT EXISTS {calls} (
		only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
		last_at BIGINT NOT NULL,
		reserved_at BIGINT NOT NULL
	)`,
	`INSERT INTO {calls} (only_one, last_at, reserved_at) SELECT 1, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM {calls})`,
	// The row of a plan is written after its pieces.
	`CREATE TABLE IF NOT EXISTS {plans} (
		digest HASH PRIMARY KEY,
		size BIGINT NOT NULL,
		stored_at BIGINT NOT NULL,
		signature BYTES
	)`,
	`CREATE TABLE IF NOT EXISTS {plan_pieces} (
		digest HASH NOT NULL,
		number INTEGER NOT NULL,
		body BYTES NOT NULL,
		PRIMARY KEY (digest, number)
	)`,
}

// Migrate creates the tables of a journal, or adds what this version needs. It does nothing if they are up to date. The
// user must be allowed to create tables, but not the schema. Any number of processes may call it at once; programs of
// an older version may use the journal meanwhile and afterwards.
func Migrate(ctx context.Context, db *sql.DB, d Dialect, opts ...Option) error {
	o, err := newOptions(d, opts)
	if err == nil {
		err = o.migrate(ctx, db)
	}
	if err != nil {
		return fmt.Errorf("sqljournal: migrate the tables %s: %w", o.tables.prefix, err)
	}
	return nil
}

func (o *options) migrate(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	err = o.migrateWith(ctx, conn)
	if err != nil {
		discard(conn) // ends the transaction and releases the lock
	}
	_ = conn.Close() // returns it to the pool
	return err
}

func (o *options) migrateWith(ctx context.Context, conn *sql.Conn) error {
	t := &o.tables
	if _, err := conn.ExecContext(ctx, t.beginMigration); err != nil {
		return err
	}
	var locked sql.NullInt64
	if err := conn.QueryRowContext(ctx, t.lockMigration).Scan(&locked); err != nil {
		return err
	}
	if locked.Int64 != 1 {
		return errors.New("another process has been migrating for a minute; wait for it")
	}
	if err := t.applyMigrations(ctx, conn); err != nil {
		return err
	}
	_, err := conn.ExecContext(ctx, t.endMigration)
	return err
}

func (t *tables) applyMigrations(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, t.sql(`CREATE TABLE IF NOT EXISTS {migrations} (
		version INTEGER PRIMARY KEY,
		applied_at BIGINT NOT NULL
	)`))
	if err != nil {
		return err
	}
	version, err := t.version(ctx, conn)
	if err != nil {
		return err
	}
	for ; version < len(migrations); version++ {
		if _, err := conn.ExecContext(ctx, t.sql(migrations[version])); err != nil {
			return fmt.Errorf("version %d: %w", version+1, err)
		}
		applied := t.sql("INSERT INTO {migrations} (version, applied_at) VALUES (?, {now})")
		if _, err := conn.ExecContext(ctx, applied, version+1); err != nil {
			return err
		}
	}
	_, err = conn.ExecContext(ctx, t.sql(`INSERT INTO {journal} (only_one, format, id, commerce, base_url, id_space,
		sequence, hash, forgotten_before) SELECT 1, ?, ?, ?, ?, ?, 0, '', 0
		WHERE NOT EXISTS (SELECT 1 FROM {journal})`), format, rand.Text(), []byte{}, []byte{}, []byte{})
	return err
}

// querier is a *sql.DB or a *sql.Conn.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// version returns the version of the tables.
func (t *tables) version(ctx context.Context, db querier) (version int, err error) {
	err = db.QueryRowContext(ctx, t.sql("SELECT COALESCE(MAX(version), 0) FROM {migrations}")).Scan(&version)
	return version, err
}
