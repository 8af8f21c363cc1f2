package durable

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// lockPoll is how often a lock that another process holds is tried.
const lockPoll = 20 * time.Millisecond

// errLocked means that another process holds the lock of a file.
var errLocked = errors.New("locked")

// LockInfo describes the process that holds a lock.
type LockInfo struct {
	User    string    `json:"user"`
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Program string    `json:"program"`
	Since   time.Time `json:"since"`
}

// String describes the process.
func (i LockInfo) String() string {
	return fmt.Sprintf("%s, process %d of %s on %s, since %s", text.Short(i.Program), i.PID,
		text.Short(i.User), text.Short(i.Host), i.Since.UTC().Format(time.RFC3339))
}

// LockedError is returned if another process holds a lock.
type LockedError struct {
	Path   string    // of the lock
	Holder *LockInfo // nil if it is not known
}

// Error names the holder.
func (e *LockedError) Error() string {
	who := "another process"
	if e.Holder != nil {
		who = e.Holder.String()
	}
	return fmt.Sprintf("%s is held by %s; wait until it ends, or stop it", text.Excerpt(e.Path, 4<<10), who)
}

// Lock is an exclusive lock of this process, on a file that describes the holder. The system
// releases it when the process ends. The file stays: whoever removes it makes the lock useless.
type Lock struct{ file *os.File }

// AcquireLock locks the file at path, and creates it with the mode 0600. program describes this
// process; "" is the name of its executable. If another process holds the lock, AcquireLock
// waits at most that long and then returns a *LockedError.
func AcquireLock(path, program string, wait time.Duration) (*Lock, error) {
	for deadline := time.Now().Add(wait); ; {
		f, err := tryLock(path, true)
		if err == nil {
			l := &Lock{f}
			if err = l.describe(program); err != nil {
				_ = l.Release()
				return nil, err
			}
			return l, nil
		}
		if !errors.Is(err, errLocked) {
			return nil, err
		}
		if rest := time.Until(deadline); rest > 0 {
			<-time.After(min(rest, lockPoll))
			continue
		}
		holder, _ := readHolder(path) // for the message only
		return nil, &LockedError{Path: path, Holder: holder}
	}
}

// ThisProcess describes this process. program is its name; "" is that of its executable.
func ThisProcess(program string) LockInfo {
	i := LockInfo{User: "unknown user", Host: "unknown host", PID: os.Getpid(), Program: program, Since: time.Now().UTC()}
	if host, err := os.Hostname(); err == nil {
		i.Host = host
	}
	if u, err := user.Current(); err == nil {
		i.User = u.Username
	}
	if name, err := os.Executable(); err == nil && program == "" {
		i.Program = filepath.Base(name)
	}
	return i
}

// describe writes who holds the lock.
func (l *Lock) describe(program string) error {
	line, err := json.Marshal(ThisProcess(program))
	if err != nil {
		return err
	}
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err = l.file.WriteAt(append(text.EscapeJSON(line), '\n'), 0)
	return err
}

// Release releases the lock.
func (l *Lock) Release() error {
	_ = l.file.Truncate(0) // a description that is left does no harm
	return l.file.Close()
}

// LockHolder reports whether a process holds the lock of the file at path, and who; nil if that is
// not known.
func LockHolder(path string) (holder *LockInfo, locked bool) {
	f, err := tryLock(path, false)
	if err == nil {
		_ = f.Close() // only read
		return nil, false
	}
	if errors.Is(err, errLocked) {
		holder, _ = readHolder(path)
		return holder, true
	}
	return nil, false
}

func readHolder(path string) (*LockInfo, error) {
	f, err := OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	var i LockInfo
	err = json.NewDecoder(io.LimitReader(f, 4<<10)).Decode(&i)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil || i.PID == 0 {
		return nil, err
	}
	return &i, nil
}
