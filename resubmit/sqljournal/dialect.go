package sqljournal

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Dialect is the kind of the database.
type Dialect string

// The dialects.
const (
	// PostgreSQL is PostgreSQL 15 or later.
	PostgreSQL Dialect = "postgresql"
	// MariaDB is MariaDB 10.11 or later.
	MariaDB Dialect = "mariadb"
	// MySQL is MySQL 8.0 or later. It follows its documentation; the tests run on MariaDB.
	MySQL Dialect = "mysql"
	// SQLite is SQLite 3.42 or later, for several processes of one machine.
	SQLite Dialect = "sqlite"
)

// dialect is what differs between the databases.
type dialect struct {
	begin    []string // begins a transaction that writes, and that a suspended client does not keep open forever
	lock     string   // ends a SELECT, to lock its rows until the transaction ends
	now      string   // microseconds since 1970 by the clock of the server, when it is evaluated
	unsafe   string   // why a commit may not be durable, or what is read may be old; '' if neither
	quote    string   // encloses the name of a schema
	numbered bool     // parameters are $1, $2 and so on
	types    []string // the names of the types in migrations
	start    string   // like now, but the same in all of a statement
	max, min string   // the functions for the larger and the smaller of two numbers
	// insertID is a function whose value LastInsertId returns; "" if UPDATE can return values.
	insertID string
	// final matches errors that another attempt does not change, such as a missing privilege. A text that it does not know
	// costs time, nothing else.
	final *regexp.Regexp

	// Migrations run between beginMigration and endMigration, while no other process does; lockMigration returns 1.
	beginMigration, lockMigration, endMigration string
}

// closed is an error of database/sql.
const closed = "sql: database is closed"

var dialects = map[Dialect]dialect{
	PostgreSQL: {
		begin: []string{
			"BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = '10s'",
		},
		lock:  " FOR UPDATE",
		now:   "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)",
		start: "CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS bigint)",
		max:   "GREATEST", min: "LEAST",
		unsafe: "CASE WHEN pg_is_in_recovery() THEN 'the server is a replica'" +
			" WHEN current_setting('synchronous_commit') = 'off' THEN 'synchronous_commit is off'" +
			" WHEN current_setting('fsync') = 'off' THEN 'fsync is off' ELSE '' END",
		quote: `"`, numbered: true,
		final:          regexp.MustCompile(`\((SQLSTATE )?(22|28|3D|42)\w{3}\)|` + closed),
		types:          []string{"HASH", "bytea", "BYTES", "bytea"},
		beginMigration: "BEGIN ISOLATION LEVEL READ COMMITTED", // to see what others did before the lock
		lockMigration:  "SELECT count(*) FROM pg_advisory_xact_lock(4242150615)",
		endMigration:   "COMMIT",
	},
	MariaDB: mysql("SET SESSION idle_transaction_timeout = 10", "START TRANSACTION"),
	MySQL:   mysql("START TRANSACTION"),
	SQLite: {
		begin: []string{"BEGIN IMMEDIATE"},
		now:   "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
		start: "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
		max:   "MAX", min: "MIN",
		unsafe: "CASE WHEN (SELECT synchronous FROM pragma_synchronous) < 2 THEN 'the pragma synchronous is not full'" +
			" WHEN (SELECT journal_mode FROM pragma_journal_mode) <> 'wal' THEN 'the pragma journal_mode is not wal'" +
			" ELSE '' END",
		quote:          `"`,
		final:          regexp.MustCompile(`no such|readonly|read-only|malformed|not a database|is full|` + closed),
		types:          []string{"HASH", "BLOB", "BYTES", "BLOB"},
		beginMigration: "BEGIN IMMEDIATE", lockMigration: "SELECT 1", endMigration: "COMMIT",
	},
}

const mysqlNow = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))"

// mysql returns the dialect of MySQL and MariaDB. The default isolation level is sufficient, since the first statement
// of a transaction that reads without a lock follows the one that has waited for the lock.
func mysql(begin ...string) dialect {
	return dialect{
		begin: begin,
		lock:  " FOR UPDATE",
		now:   mysqlNow,
		start: mysqlNow,
		max:   "GREATEST", min: "LEAST", insertID: "LAST_INSERT_ID",
		unsafe: "CASE WHEN @@read_only THEN 'the server is read-only'" +
			" WHEN @@innodb_flush_log_at_trx_commit <> 1 THEN 'innodb_flush_log_at_trx_commit is not 1' ELSE '' END",
		quote:          "`",
		final:          regexp.MustCompile(`\((22|28|42)\w{3}\)|` + closed),
		types:          []string{"HASH", "BINARY(32)", "BYTES", "MEDIUMBLOB"},
		beginMigration: "SET SESSION default_storage_engine = InnoDB",
		lockMigration:  "SELECT GET_LOCK('cloudblue-resubmit', 60)",
		endMigration:   "DO RELEASE_LOCK('cloudblue-resubmit')",
	}
}

// tables makes statements for the tables with a prefix.
type tables struct {
	dialect

	prefix string // quoted as needed
}

// prefixPattern matches a prefix: lower case, so that it means the same to all databases.
var prefixPattern = regexp.MustCompile(`^([a-z_][a-z0-9_]{0,62}\.)?[a-z_][a-z0-9_]{0,39}$`)

func newTables(d Dialect, prefix string) (tables, error) {
	known, ok := dialects[d]
	if !ok {
		return tables{}, fmt.Errorf("the dialect %q is none of %q", d, slices.Sorted(maps.Keys(dialects)))
	}
	if !prefixPattern.MatchString(prefix) {
		return tables{}, fmt.Errorf("WithPrefix: %q is not a prefix; give up to 40 characters of a to z, 0 to 9 and _, "+
			"with or without a schema and a dot before them", prefix)
	}
	schema, name, found := strings.Cut(prefix, ".")
	if found {
		prefix = known.quote + schema + known.quote + "." + name
	}
	return tables{dialect: known, prefix: prefix}, nil
}

// sql returns a statement of this dialect: with its types, and {records} and the like replaced by the names of tables.
func (t *tables) sql(statement string) string {
	statement = strings.NewReplacer("{now}", t.now, "{start}", t.start, "{max}", t.max, "{min}", t.min,
		"{insertID}", t.insertID, "{unsafe}", t.unsafe).Replace(statement)
	statement = strings.NewReplacer(slices.Concat([]string{"{", t.prefix, "}", ""}, t.types)...).Replace(statement)
	if !t.numbered {
		return statement
	}
	var b strings.Builder
	for i, part := range strings.Split(statement, "?") {
		if i > 0 {
			b.WriteString("$" + strconv.Itoa(i))
		}
		b.WriteString(part)
	}
	return b.String()
}
