package audit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
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

// Who is the one that a log names. Empty fields are taken from the operating system.
type Who struct {
	User, Host, Program string
}

// String is "user@host program".
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

// Log is an audit log in a file. Make it with [Open].
type Log struct {
	path string
	who  string
	sync time.Duration

	mu      sync.Mutex
	file    *os.File
	chain   chain
	size    int64
	synced  time.Time
	calls   int
	decided map[string]bool // plans whose decisions are in the log
	failed  error           // of the first line that could not be written
	logger  *slog.Logger    // may be nil
	closed  bool
}

// An Option changes how a log is written.
type Option func(*Log) error

// WithSyncInterval sets how often lines are brought to the disk itself. Default 1 s; 0 is
// after each line, which costs as much as the disk takes. Lines that were written and
// not synced survive the end of the process, but not that of the machine.
func WithSyncInterval(d time.Duration) Option {
	return func(l *Log) error {
		if d < 0 {
			return fmt.Errorf("SyncEach(%v) is negative; give how often lines are brought to disk, or 0 for each", d)
		}
		l.sync = d
		return nil
	}
}

// Open opens the log at path, verifies it, and goes on behind its last line, or makes
// a new one. It takes about a second for each million lines. The file has the mode
// 0600, and is given it if it has a wider one. A log that was edited or cut off is
// refused, and so is a symbolic link. A head that a crash left empty is made anew.
func Open(path string, who Who, opts ...Option) (*Log, error) {
	l := &Log{path: path, who: text.OneLine(who.complete().String()), sync: time.Second, decided: make(map[string]bool)}
	for _, opt := range opts {
		if err := opt(l); err != nil {
			return nil, l.errorf("%w", err)
		}
	}
	if err := l.open(); err != nil {
		if l.file != nil {
			_ = l.file.Close() // err says more
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
	torn, mended, err := l.load()
	if err != nil {
		return err
	}
	opened := Line{Event: EventOpened, State: fmt.Sprintf("process %d", os.Getpid())}
	if l.chain.n == 0 {
		opened.Kind, opened.Version = kind, version
	}
	if err := l.write(opened); err != nil {
		return err
	}
	if len(torn) > 0 {
		err = l.write(Line{Event: EventRecovered, Why: fmt.Sprintf(
			"a crash tore the line after line %d; its %d bytes were cut off: %q", l.chain.n-1, len(torn),
			text.Clip(string(torn), maxText))})
	}
	if err == nil && mended {
		err = l.write(Line{Event: EventRecovered, Why: "the head beside the log was empty or torn, as a crash leaves it: " +
			"it was made anew from the log, whose lines were verified, but lines may have been cut off at its end"})
	}
	if err == nil {
		err = l.bringToDisk() // which brings the name of the log to disk too
	}
	return err
}

// makePrivate takes the log from others who may read it.
func (l *Log) makePrivate() error {
	info, err := l.file.Stat()
	if err != nil || info.Mode().Perm()&0o077 == 0 || runtime.GOOS == "windows" {
		return err
	}
	if err := l.file.Chmod(0o600); err != nil {
		return fmt.Errorf("its mode is %v, and others may not read it: %w", info.Mode().Perm(), err)
	}
	return nil
}

// load verifies what is there, and cuts off a torn last line. tornHead reports whether
// the head says nothing, so that the log stands for itself.
func (l *Log) load() (torn []byte, tornHead bool, err error) {
	known, err := readHead(l.path)
	tornHead = errors.Is(err, errTornHead)
	if err != nil && !tornHead {
		return nil, false, err
	}
	s := &scan{known: []Head{known}, each: l.remember}
	if err := s.read(l.file); err != nil {
		return nil, false, fmt.Errorf("%w; move it away to begin a new one", err)
	}
	if err := s.missing(); err != nil {
		return nil, false, fmt.Errorf("%w, or move it and %s away to begin a new one", err, headPath(l.path))
	}
	if len(s.torn) > 0 {
		if s.chain.n == 0 && !isPrefix(s.torn) {
			return nil, false, errors.New("this is no audit log; give another path")
		}
		if err := l.file.Truncate(s.size); err != nil {
			return nil, false, err
		}
	}
	l.chain, l.size = s.chain, s.size
	return s.torn, tornHead, nil
}

// isPrefix reports whether a text can be the start of the first line of a log.
func isPrefix(torn []byte) bool {
	const start = `{"n":1,"at":"`
	n := min(len(torn), len(start))
	return string(torn[:n]) == start[:n]
}

// remember takes note of plans whose decisions are all in the log.
func (l *Log) remember(line []byte) error {
	if !isDecided(line) {
		return nil
	}
	var d Line
	if err := number.Unmarshal(line, &d); err != nil {
		return err
	}
	if d.Event == EventDecisionsEnd {
		l.decided[d.Plan] = true
	}
	return nil
}

// Head names the log as it is now. Keep it where nobody can change it who can change
// the log.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return (&scan{chain: l.chain, closed: l.closed}).head()
}

// Err is why lines are missing from the log; nil if none are. Once it is set nothing
// more is written.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// Close writes the last line and brings all to disk. Its error says that the log is
// not whole. Closing twice returns the same again.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return l.failed
	}
	_ = l.write(Line{Event: EventClosed}) // l.failed keeps it
	_ = l.bringToDisk()
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

// write writes a line; l.mu is held, or nobody else knows the log yet.
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
		err = l.alone()
	}
	if err == nil {
		_, err = l.file.Write(text)
	}
	if err != nil {
		return l.fail(err)
	}
	l.chain, l.size = next, l.size+int64(len(text))
	if time.Since(l.synced) >= l.sync {
		return l.bringToDisk()
	}
	return nil
}

// alone sees to it that no other process writes to the same log.
func (l *Log) alone() error {
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() != l.size {
		return fmt.Errorf(
			"it has %d bytes and not the %d that were written to it: another process writes to it, or cut it off", info.Size(),
			l.size)
	}
	return nil
}

// bringToDisk syncs the log and then its head, which must not be ahead.
func (l *Log) bringToDisk() error {
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
	l.failed = l.errorf("line %d could not be written, and nothing more is: %w", l.chain.n+1, err)
	if l.logger != nil {
		l.logger.Error("the audit log is not whole", "error", l.failed)
	}
	return l.failed
}

func (l *Log) errorf(format string, args ...any) error {
	return fmt.Errorf("resubmit/audit: %s: %w", l.path, fmt.Errorf(format, args...))
}
