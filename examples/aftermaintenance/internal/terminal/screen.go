package terminal

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
)

// Screen is standard error: text, and on a terminal a line below it that is redrawn. Names of the library in the text
// become those of flags and settings. It is safe for concurrent use.
type Screen struct {
	Out      io.Writer
	Terminal bool

	mu    sync.Mutex
	line  string // "" if none is shown
	plain bool   // the last text ended a line
}

// NewScreen returns a screen that writes to out.
func NewScreen(out io.Writer) *Screen {
	return &Screen{Out: out, Terminal: isTerminal(out), plain: true}
}

// Output is standard output. It drops what nobody reads, since a reader such as head may have enough.
type Output struct{ File *os.File }

// Write writes text.
func (o Output) Write(text []byte) (int, error) {
	n, err := o.File.Write(text)
	if errors.Is(err, syscall.EPIPE) {
		return len(text), nil
	}
	return n, err
}

// Fd is for isTerminal.
func (o Output) Fd() uintptr { return o.File.Fd() }

// Write prints text above the line.
func (s *Screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	if _, err := settingNames.WriteString(s.Out, string(text)); err != nil {
		return 0, err
	}
	s.plain = len(text) == 0 || text[len(text)-1] == '\n'
	if s.line != "" && s.plain {
		s.draw(s.line)
	}
	return len(text), nil
}

// Show replaces the line. Only for a terminal.
func (s *Screen) Show(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line == line {
		return
	}
	s.erase()
	s.line = line
	s.draw(line)
}

// Clear removes the line.
func (s *Screen) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	s.line = ""
}

func (s *Screen) erase() {
	if s.line != "" {
		_, _ = io.WriteString(s.Out, "\r\x1b[K") // there is no place to report an error
	}
}

func (s *Screen) draw(line string) { _, _ = io.WriteString(s.Out, line) }
