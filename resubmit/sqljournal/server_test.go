//go:build unix

package sqljournal_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/cloudblue-go/cloudblue/resubmit/sqljournal"
)

func TestMain(m *testing.M) {
	if settings := os.Getenv(programVariable); settings != "" {
		os.Exit(runProgram(settings))
	}
	status := m.Run()
	for _, s := range servers {
		s.remove()
	}
	os.Exit(status)
}

// server is a database server that the tests start when they need it.
type server struct {
	dialect sqljournal.Dialect
	driver  string
	account string // runs it if the tests run as root
	pkg     string // of Debian
	// init and run return the commands that make the files in a directory, and that serve them on a socket in it.
	init, run func(dir, account string) *exec.Cmd
	// dsn is the data source of a user of a database, "" for the server's own. root is who may do everything.
	dsn    func(dir, user, database string) string
	root   string
	socket string // its name in the directory

	mu      sync.Mutex
	dir     string
	process *exec.Cmd
	err     error
}

var servers = map[sqljournal.Dialect]*server{
	sqljournal.PostgreSQL: {
		dialect: sqljournal.PostgreSQL, driver: "pgx", account: "postgres", pkg: "postgresql",
		init: func(dir, _ string) *exec.Cmd {
			return exec.Command(postgres("initdb"), "-A", "trust", "-U", "postgres", "--no-sync", "--locale=C.UTF-8",
				"-E", "UTF8", "--wal-segsize=1", "-D", filepath.Join(dir, "data"))
		},
		run: func(dir, _ string) *exec.Cmd {
			return exec.Command(postgres("postgres"), "-D", filepath.Join(dir, "data"), "-k", dir, "-c", "listen_addresses=",
				"-c", "max_connections=300")
		},
		dsn: func(dir, user, database string) string {
			return fmt.Sprintf("host=%s user=%s dbname=%s", dir, user, orDefault(database, "postgres"))
		},
		root: "postgres", socket: ".s.PGSQL.5432",
	},
	sqljournal.MariaDB: {
		dialect: sqljournal.MariaDB, driver: "mysql", account: "mysql", pkg: "mariadb-server",
		init: func(dir, account string) *exec.Cmd {
			return exec.Command("mariadb-install-db", "--no-defaults", "--skip-test-db", "--tmpdir="+dir,
				"--innodb-log-file-size=8M", "--auth-root-authentication-method=normal", "--user="+account, "--datadir="+filepath.Join(dir, "data"))
		},
		run: func(dir, account string) *exec.Cmd {
			return exec.Command(mariadbd, "--no-defaults", "--skip-networking", "--user="+account,
				"--datadir="+filepath.Join(dir, "data"), "--socket="+filepath.Join(dir, "socket"), "--max-connections=300",
				"--innodb-buffer-pool-size=64M", "--innodb-log-file-size=8M", "--tmpdir="+dir)
		},
		dsn: func(dir, user, database string) string {
			return fmt.Sprintf("%s@unix(%s)/%s?timeout=5s&readTimeout=10s&writeTimeout=10s&interpolateParams=true",
				user, filepath.Join(dir, "socket"), database)
		},
		root: "root", socket: "socket",
	},
}

const mariadbd = "/usr/sbin/mariadbd" // not in the path of everybody

// postgres returns the path of a program of the newest PostgreSQL, where Debian has them.
func postgres(program string) string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
	if len(found) == 0 {
		return program
	}
	return found[len(found)-1]
}

func orDefault(s, standard string) string {
	if s == "" {
		return standard
	}
	return s
}

// start starts the server, unless it runs, and returns its directory.
func (s *server) start(t testing.TB) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == "" && s.err == nil {
		s.err = s.initialize()
	}
	if s.err == nil && s.process == nil {
		s.err = s.launch()
	}
	require.NoError(t, s.err, "%s could not be started; on Debian, install the package %s", s.dialect, s.pkg)
	return s.dir
}

func (s *server) initialize() (err error) {
	s.dir, err = os.MkdirTemp("", "sqljournal")
	if err != nil {
		return err
	}
	if id := s.credential(); id != nil {
		err = os.Chown(s.dir, int(id.Uid), int(id.Gid))
	}
	if err != nil {
		return err
	}
	return s.combined(s.init(s.dir, s.accountName()))
}

// credential returns the account that runs the server; nil for that of the tests.
func (s *server) credential() *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	u, err := user.Lookup(s.account)
	if err != nil {
		return nil
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (s *server) accountName() string {
	if s.credential() != nil {
		return s.account
	}
	u, err := user.Current()
	if err != nil {
		return s.account
	}
	return u.Username
}

// as has a command run by the account of the server, and end with the tests.
func (s *server) as(c *exec.Cmd) *exec.Cmd {
	c.Dir = s.dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.credential()}
	endWithTests(c.SysProcAttr)
	return c
}

func (s *server) combined(c *exec.Cmd) error {
	out, err := s.as(c).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", c.Path, err, out)
	}
	return err
}

// launch starts the process and waits until it answers.
func (s *server) launch() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	c := s.as(s.run(s.dir, s.accountName()))
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		return err
	}
	s.process = c
	db, err := sql.Open(s.driver, s.dsn(s.dir, s.root, ""))
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for tick := time.Tick(50 * time.Millisecond); ; {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("it does not answer: %w\n%s", err, text)
		case <-tick:
		}
	}
}

// kill ends the process as a crash does.
func (s *server) kill(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	signal := syscall.SIGKILL
	if s.dialect == sqljournal.PostgreSQL {
		signal = syscall.SIGQUIT // its children end too, without a checkpoint
	}
	require.NoError(t, s.process.Process.Signal(signal))
	_ = s.process.Wait()
	s.process = nil
}

// own starts a server that only this test uses.
func (s *server) own(t *testing.T) *server {
	t.Helper()
	o := &server{
		dialect: s.dialect, driver: s.driver, account: s.account, pkg: s.pkg,
		init: s.init, run: s.run, dsn: s.dsn, root: s.root, socket: s.socket,
	}
	t.Cleanup(o.remove)
	o.start(t)
	return o
}

func (s *server) remove() {
	if s.process != nil {
		_ = s.process.Process.Signal(syscall.SIGQUIT)
		_ = s.process.Wait()
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// place is where a journal is.
type place struct {
	Dialect     sqljournal.Dialect
	Driver, DSN string
	Prefix      string
}

func (p place) open(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open(p.Driver, p.DSN)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() }) // its server may have been killed
	return db
}

// journal opens the journal, and makes it if needed.
func (p place) journal(t testing.TB, opts ...sqljournal.Option) *sqljournal.Journal {
	t.Helper()
	return p.journalOf(t, p.open(t), opts...)
}

func (p place) journalOf(t testing.TB, db *sql.DB, opts ...sqljournal.Option) *sqljournal.Journal {
	t.Helper()
	require.NoError(t, sqljournal.Migrate(t.Context(), db, p.Dialect, sqljournal.WithPrefix(p.Prefix)))
	return p.opened(t, db, opts...)
}

// opened opens the journal, which must exist.
func (p place) opened(t testing.TB, db *sql.DB, opts ...sqljournal.Option) *sqljournal.Journal {
	t.Helper()
	opts = append([]sqljournal.Option{sqljournal.WithPrefix(p.Prefix)}, opts...)
	j, err := sqljournal.Open(t.Context(), db, p.Dialect, opts...)
	require.NoError(t, err)
	return j
}

// placeFor returns the place that belongs to a directory.
func placeFor(t testing.TB, d sqljournal.Dialect, dir string) place {
	t.Helper()
	if d == sqljournal.SQLite {
		return place{d, "sqlite", sqliteDSN(filepath.Join(dir, "journal")), "cloudblue_"}
	}
	name := sha256.Sum256([]byte(dir))
	s := servers[d]
	return place{d, s.driver, s.dsn(s.start(t), s.root, s.database(t)), "j" + hex.EncodeToString(name[:8]) + "_"}
}

func sqliteDSN(path string) string {
	return "file:" + path + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)"
}

// database returns the name of a database for all tests.
func (s *server) database(t testing.TB) string {
	t.Helper()
	const name = "tests"
	db := place{s.dialect, s.driver, s.dsn(s.dir, s.root, ""), ""}.open(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	var there int
	query := "SELECT count(*) FROM information_schema.schemata WHERE schema_name = '" + name + "'"
	if s.dialect == sqljournal.PostgreSQL {
		query = "SELECT count(*) FROM pg_database WHERE datname = '" + name + "'"
	}
	require.NoError(t, db.QueryRowContext(t.Context(), query).Scan(&there))
	if there == 0 {
		_, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name)
		require.NoError(t, err)
	}
	return name
}

// everyDialect runs a test for each database. With -short it is only SQLite, which needs no server.
func everyDialect(t *testing.T, test func(t *testing.T, p place)) {
	t.Helper()
	for _, d := range dialects() {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			test(t, placeFor(t, d, t.TempDir()))
		})
	}
}

func dialects() []sqljournal.Dialect {
	if testing.Short() {
		return []sqljournal.Dialect{sqljournal.SQLite}
	}
	return []sqljournal.Dialect{sqljournal.SQLite, sqljournal.PostgreSQL, sqljournal.MariaDB}
}
