package audit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Who identifies the writer of a log. Empty fields are taken from the operating system.
type Who struct{ User, Host, Program string }

// String returns "user@host program".
func (w Who) String() string { return w.User + "@" + w.Host + " " + w.Program }

func (w Who) complete() Who {
	if w.User == "" {
		w.User = fmt.Sprintf("uid %d", os.Getuid())
		if u, err := user.Current(); err == nil {
			w.User = u.Username
		}
	}
	if w.Host == "" {
		w.Host, _ = os.Hostname()
		w.Host = cmp.Or(w.Host, "unknown host")
	}
	if w.Program == "" {
		name, _ := os.Executable()
		w.Program = cmp.Or(filepath.Base(name), "unknown program")
	}
	return w
}

// Log is an audit log in a file. Create it with [Open].
type Log struct {
	path     string
	who      string
	sync     time.Duration
	previous *Head

	mu      sync.Mutex
	file    *os.File
	chain   chain
	size    int64
	synced  time.Time
	calls   int
	decided map[string]bool // digests of the plans whose decisions are in the log
	failed  error           // the first write error
	closed  bool
}

// Option is an option of [Open].
type Option func(*Log) error

// WithSyncInterval sets the time between two syncs of the log to disk. Default 1 s; 0
// syncs after each line. Unsynced lines survive a crash of the process, but not of the
// machine.
func WithSyncInterval(d time.Duration) Option {
	return func(l *Log) error {
		if d < 0 {
			return fmt.Errorf("WithSyncInterval: %v is negative; use 0 to sync after each line", d)
		}
		l.sync = d
		return nil
	}
}

// WithPrevious makes a new log begin with the head of the log before it, so that [VerifyFiles] notices a log that was
// removed or replaced. It does not change an existing log. The zero Head is none.
func WithPrevious(h Head) Option {
	return func(l *Log) error {
		if h.Lines > 0 {
			l.previous = &h
		}
		return nil
	}
}

// Open opens or creates the log at path. It verifies an existing log, which takes about a
// second per million lines, and appends to it. The file gets the mode 0600. A log that was
// edited or cut off is an error, and so is a symbolic link. A head that a crash left empty
// is written again.
func Open(path string, who Who, opts ...Option) (*Log, error) {
	l := &Log{path: path, who: text.OneLine(who.complete().String()), sync: time.Second, decided: make(map[string]bool)}
	for _, opt := range opts {
		if err := opt(l); err != nil {
			return nil, l.errorf("%w", err)
		}
	}
	if err := l.open(); err != nil {
		if l.file != nil {
			_ = l.file.Close() // err matters more
		}
		return nil, l.errorf("%w", err)
	}
	return l, nil
}

func (l *Log) open() error {
	var err error
	if l.file, err = durable.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		return err
	}
	if err := l.makePrivate(); err != nil {
		return err
	}
	torn, tornHead, err := l.load()
	if err != nil {
		return err
	}
	opened := Line{Event: EventLogOpened, State: fmt.Sprintf("process %d", os.Getpid())}
	if l.chain.n == 0 {
		opened.Kind, opened.Version, opened.Previous = kind, version, l.previous
	}
	if err := l.write(opened); err != nil {
		return err
	}
	if len(torn) > 0 {
		err = l.write(Line{Event: EventRecovered, Why: fmt.Sprintf(
			"the line after line %d was torn by a crash; its %d bytes were cut off: %q", l.chain.n-1, len(torn),
			text.Clip(string(torn), maxText))})
	}
	if err == nil && tornHead {
		err = l.write(Line{Event: EventRecovered, Why: "the head file was empty or torn, probably by a crash: " +
			"it was written again from the verified log, but lines may have been cut off at the end of the log"})
	}
	if err == nil {
		err = l.syncFiles() // replacing the head also syncs the directory
	}
	return err
}

// makePrivate removes the permissions of other users.
func (l *Log) makePrivate() error {
	info, err := l.file.Stat()
	if err != nil || info.Mode().Perm()&0o077 == 0 || runtime.GOOS == "windows" {
		return err
	}
	if err := l.file.Chmod(0o600); err != nil {
		return fmt.Errorf("restrict its mode %v to the owner: %w", info.Mode().Perm(), err)
	}
	return nil
}

// load verifies the log and cuts off a torn last line. tornHead reports an empty or torn
// head file, which is ignored.
func (l *Log) load() (torn []byte, tornHead bool, err error) {
	known, err := readHead(l.path)
	tornHead = errors.Is(err, errTornHead)
	if err != nil && !tornHead {
		return nil, false, err
	}
	s := &scan{known: []Head{known}, each: l.remember}
	if err := s.read(l.file); err != nil {
		return nil, false, fmt.Errorf("%w; move the log away to begin a new one", err)
	}
	if err := s.missing(); err != nil {
		return nil, false, fmt.Errorf("%w, or move it and %s away to begin a new one", err, headPath(l.path))
	}
	if len(s.torn) > 0 {
		if s.chain.n == 0 && !isPrefix(s.torn) {
			return nil, false, errors.New("not an audit log; use another path")
		}
		if err := l.file.Truncate(s.size); err != nil {
			return nil, false, err
		}
	}
	l.chain, l.size = s.chain, s.size
	return s.torn, tornHead, nil
}

// isPrefix reports whether torn can be the start of the first line of a log.
func isPrefix(torn []byte) bool {
	const start = `{"n":1,"at":"`
	n := min(len(torn), len(start))
	return string(torn[:n]) == start[:n]
}

// remember notes the plans whose decisions are all in the log.
func (l *Log) remember(line []byte) error {
	if !isDecided(line) {
		return nil
	}
	var d Line
	if err := number.Unmarshal(line, &d); err != nil {
		return err
	}
	if d.Event == EventDecisionsRecorded {
		l.decided[d.Plan] = true
	}
	return nil
}

// Head returns the current head. Keep it where writers of the log cannot change it.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return (&scan{chain: l.chain, closed: l.closed}).head()
}

// Err returns the first write error; nil if the log is complete. After an error nothing
// more is written.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// Close writes the last line and syncs the log. An error means that the log is incomplete.
// Closing it again returns the same.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return l.failed
	}
	_ = l.write(Line{Event: EventLogClosed}) // l.failed has the error
	_ = l.syncFiles()
	l.closed = true
	if err := l.file.Close(); l.failed == nil && err != nil {
		l.failed = l.errorf("close: %w", err)
	}
	return l.failed
}

// add writes a line.
func (l *Log) add(line Line) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write(line)
}

// write writes a line. Called with l.mu held, or by Open.
func (l *Log) write(line Line) error {
	switch {
	case l.failed != nil:
		return l.failed
	case l.closed:
		return l.errorf("%w", os.ErrClosed)
	}
	line.At, line.Who = time.Now().UTC(), l.who
	next := l.chain
	text, err := next.append(line)
	if err == nil {
		err = l.checkSize()
	}
	if err == nil {
		_, err = l.file.Write(text)
	}
	if err != nil {
		return l.fail(err)
	}
	l.chain, l.size = next, l.size+int64(len(text))
	if time.Since(l.synced) >= l.sync {
		return l.syncFiles()
	}
	return nil
}

// checkSize returns an error if another process changed the log.
func (l *Log) checkSize() error {
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != l.size {
		return fmt.Errorf("has %d bytes, want %d: another process writes to it or truncated it", info.Size(), l.size)
	}
	return nil
}

// syncFiles syncs the log and then its head, which must not be ahead of it.
func (l *Log) syncFiles() error {
	if l.failed != nil {
		return l.failed
	}
	err := l.file.Sync()
	if err == nil {
		var text []byte
		if text, err = json.Marshal((&scan{chain: l.chain}).head()); err == nil {
			err = durable.Replace(headPath(l.path), append(text, '\n'), 0o600)
		}
	}
	if err != nil {
		return l.fail(err)
	}
	l.synced = time.Now()
	return nil
}

func (l *Log) fail(err error) error {
	l.failed = l.errorf("write line %d: %w; nothing more is written", l.chain.n+1, err)
	return l.failed
}

func (l *Log) errorf(format string, args ...any) error {
	return fmt.Errorf("resubmit/audit: %s: %w", l.path, fmt.Errorf(format, args...))
}
