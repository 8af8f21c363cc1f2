//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// ptyProcess is a pseudo-terminal on which a process of the program runs.
type ptyProcess struct {
	master *os.File
	cmd    *exec.Cmd
	ended  chan struct{}

	mu  sync.Mutex
	out bytes.Buffer
}

// openPTY opens a pseudo-terminal with a number of columns.
func openPTY(t *testing.T, columns int) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	fd := int(master.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: uint16(columns)}))
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	require.NoError(t, err)
	return master, slave
}

// onTerminal starts the program on a terminal.
func (h *outage) onTerminal(t *testing.T, columns int, args ...string) *ptyProcess {
	t.Helper()
	master, slave := openPTY(t, columns)
	term := &ptyProcess{master: master, ended: make(chan struct{})}
	term.cmd = exec.CommandContext(t.Context(), os.Args[0], append(h.flags(), args...)...)
	term.cmd.Env = append(h.env, "TERM=xterm", "LANG=C.UTF-8", "TZ=UTC", "NO_COLOR=1", "COLUMNS=")
	term.cmd.Stdin, term.cmd.Stdout, term.cmd.Stderr = slave, slave, slave
	term.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, term.cmd.Start())
	require.NoError(t, slave.Close())
	read := make(chan struct{})
	go func() {
		defer close(read)
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			term.mu.Lock()
			term.out.Write(b[:n])
			term.mu.Unlock()
			if err != nil {
				return // the program has ended
			}
		}
	}()
	go func() {
		defer close(term.ended)
		_ = term.cmd.Wait()
		<-read
		_ = master.Close()
	}()
	return term
}

func (term *ptyProcess) text() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return term.out.String()
}

// await waits until the program has printed something.
func (term *ptyProcess) await(t *testing.T, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	require.Eventually(t, func() bool { return re.MatchString(term.text()) }, time.Minute, 10*time.Millisecond,
		"%s in %q", pattern, term)
}

// String returns what the program has printed.
func (term *ptyProcess) String() string { return term.text() }

// enter types text.
func (term *ptyProcess) enter(t *testing.T, text string) {
	t.Helper()
	_, err := term.master.WriteString(text)
	require.NoError(t, err)
}

const ctrlC = "\x03"

// end waits until the program ends, and returns its status and what the terminal shows then, line by line.
func (term *ptyProcess) end(t *testing.T) (status int, shown string) {
	t.Helper()
	select {
	case <-term.ended:
	case <-time.After(2 * time.Minute):
		require.Fail(t, "the program does not end", "%s", term)
	}
	return term.cmd.ProcessState.ExitCode(), screenText(term.text())
}

// screenText returns what a terminal shows: a carriage return with ESC [K erases the line.
func screenText(raw string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.ReplaceAll(raw, "\r\n", "\n"), "\n") {
		if i := strings.LastIndex(line, "\r\x1b[K"); i >= 0 {
			line = line[i+len("\r\x1b[K"):]
		}
		b.WriteString(line + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// requireFits checks that no line is wider than the terminal, but for words that are.
func requireFits(t *testing.T, shown string, columns int) {
	t.Helper()
	for line := range strings.Lines(shown) {
		line = strings.TrimRight(line, "\n")
		if fields := strings.Fields(line); len([]rune(line)) > columns && len(fields) > 1 &&
			!strings.Contains(line, os.TempDir()) { // a path is one word
			require.Failf(t, "a line is too wide", "%d characters: %s", len([]rune(line)), line)
		}
	}
}
