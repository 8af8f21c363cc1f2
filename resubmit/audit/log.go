package audit

import (
	"cmp"
	"crypto/ed25519"
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
	key      ed25519.PrivateKey // nil: heads are not signed
	anchor   *anchor            // nil for none

	mu      sync.Mutex
	file    *os.File
	chain   chain
	size    int64
	synced  time.Time
	late    *time.Timer // syncs lines that no other line follows; nil if all are synced
	calls   int
	decided map[string]bool // digests of the plans whose decisions are in the log
	failed  error           // the first error
	closed  bool
}

// Option is an option of [Open].
type Option func(*Log) error

// WithSyncInterval sets how long a line may wait until the log is synced to disk and its head
// written. Default 1 s; 0 syncs after each line. Unsynced lines survive a crash of the process,
// but not of the machine.
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

// WithKey signs the heads of the log: that in the head file, that of [Log.Head] and those of [WithAnchor]. Then only
// who has the key can write a log that [VerifySigned] accepts. An older copy of the log and its head is still accepted:
// only heads that were kept elsewhere show that. An existing log must have been written with the same key. Load it with
// [plan.LoadSigningKey].
func WithKey(key ed25519.PrivateKey) Option {
	return func(l *Log) error {
		if len(key) != ed25519.PrivateKeySize {
			return errors.New("WithKey: this is not an Ed25519 private key; load one with plan.LoadSigningKey")
		}
		l.key = key
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
	l.startAnchor()
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
	repaired, err := l.load()
	if err != nil {
		return err
	}
	opened := Line{Event: EventLogOpened, State: fmt.Sprintf("process %d", os.Getpid())}
	if l.chain.n == 0 {
		opened.Kind, opened.Version, opened.Previous = kind, version, l.previous
	}
	err = l.write(opened)
	for _, why := range repaired {
		if err == nil {
			err = l.write(Line{Event: EventRecovered, Why: why})
		}
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

// load verifies the log, cuts off a torn last line, and says what it repaired.
func (l *Log) load() (repaired []string, err error) {
	known, err := readHead(l.path)
	tornHead := l.key == nil && errors.Is(err, errTornHead)
	if err != nil && !tornHead {
		return nil, err
	}
	s := &scan{known: []Head{known}, each: l.remember}
	if err := s.read(l.file); err != nil {
		return nil, fmt.Errorf("%w; move the log away to begin a new one", err)
	}
	if err := cmp.Or(s.missing(), l.checkKey(known, s.chain.n)); err != nil {
		return nil, fmt.Errorf("%w, or move it and %s away to begin a new one", err, headPath(l.path))
	}
	if len(s.torn) > 0 {
		if s.chain.n == 0 && !isPrefix(s.torn) {
			return nil, errors.New("not an audit log; use another path")
		}
		if err := l.file.Truncate(s.size); err != nil {
			return nil, err
		}
		repaired = append(repaired, fmt.Sprintf("the line after line %d was torn by a crash; its %d bytes were cut off: %q",
			s.chain.n, len(s.torn), text.Clip(string(s.torn), maxText)))
	}
	if tornHead {
		repaired = append(repaired, "the head file was empty or torn, probably by a crash: "+
			"it was written again from the verified log, but lines may have been cut off at the end of the log")
	}
	if l.key != nil && s.chain.n > known.Lines {
		repaired = append(repaired, fmt.Sprintf("lines %d to %d were not covered by the signed head: the writer crashed "+
			"before it signed them, or somebody else wrote them", known.Lines+1, s.chain.n))
	}
	l.chain, l.size = s.chain, s.size
	return repaired, nil
}

// checkKey returns an error if the head of a log with n lines was not signed as WithKey says. A crash can leave one
// line without a head.
func (l *Log) checkKey(known Head, n int) error {
	switch {
	case l.key == nil && known.Signature != "":
		return errors.New("its head is signed: open it with its key (WithKey)")
	case l.key == nil, known.Lines == 0 && n <= 1:
		return nil
	default:
		return known.CheckSignature(ed25519.PublicKey(l.key[ed25519.SeedSize:]))
	}
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

// Head returns the head of all lines, also of those that are not synced yet. Keep it where writers of the log cannot
// change it.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head()
}

// head returns the current head. Called with l.mu held, or by Open.
func (l *Log) head() Head {
	h := (&scan{chain: l.chain, closed: l.closed}).head()
	if l.key != nil {
		h = h.sign(l.key)
	}
	return h
}

// Err returns the first write error; nil if the log is complete. After an error nothing
// more is written.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// Close writes the last line, syncs the log, and calls the function of [WithAnchor]. An error means that the log is
// incomplete. Closing it again returns the same.
func (l *Log) Close() error {
	l.close()
	_ = l.callAnchor() // l.failed has the error
	return l.Err()
}

func (l *Log) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	_ = l.write(Line{Event: EventLogClosed}) // l.failed has the error
	_ = l.syncFiles()
	l.closed = true
	stop(l.late)
	if l.anchor != nil {
		stop(l.anchor.next)
	}
	if err := l.file.Close(); err != nil {
		_ = l.fail("close: %w", err)
	}
}

func stop(t *time.Timer) {
	if t != nil {
		t.Stop()
	}
}

// add writes a line.
func (l *Log) add(line Line) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.write(line)
}

// Act records what a person is about to do, before it is done: State says what, By who, and Why, Plan, Order and others
// as it needs. The line is on disk when Act returns. Do nothing after an error.
func (l *Log) Act(line Line) error {
	line.Event = EventAct
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.write(line); err != nil {
		return err
	}
	return l.syncFiles()
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
		return l.fail("write line %d: %w", l.chain.n+1, err)
	}
	l.chain, l.size = next, l.size+int64(len(text))
	wait := l.sync - time.Since(l.synced)
	if wait <= 0 {
		return l.syncFiles()
	}
	if l.late == nil {
		l.late = time.AfterFunc(wait, l.syncLate)
	}
	return nil
}

// syncLate syncs lines that no other line followed.
func (l *Log) syncLate() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		_ = l.syncFiles() // fails the next intent
	}
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
	stop(l.late)
	l.late = nil
	err := l.file.Sync()
	if err == nil {
		var text []byte
		if text, err = json.Marshal(l.head()); err == nil {
			err = durable.Replace(headPath(l.path), append(text, '\n'), 0o600)
		}
	}
	if err != nil {
		return l.fail("sync line %d: %w", l.chain.n, err)
	}
	l.synced = time.Now()
	return nil
}

// fail records the first error. Called with l.mu held.
func (l *Log) fail(format string, args ...any) error {
	if l.failed == nil {
		l.failed = l.errorf("%w; nothing more is written", fmt.Errorf(format, args...))
	}
	return l.failed
}

func (l *Log) errorf(format string, args ...any) error {
	return fmt.Errorf("resubmit/audit: %s: %w", l.path, fmt.Errorf(format, args...))
}
