package main

import (
	"cmp"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/term"
)

// screen is standard error: text, and on a terminal a line below it that is redrawn. Names of the library in the text
// become those of flags and settings. It is safe for concurrent use.
type screen struct {
	out      io.Writer
	terminal bool

	mu    sync.Mutex
	line  string // "" if none is shown
	plain bool   // the last text ended a line
}

func newScreen(out io.Writer) *screen {
	return &screen{out: out, terminal: isTerminal(out), plain: true}
}

// output is standard output. It drops what nobody reads, since a reader such as head may have enough.
type output struct{ file *os.File }

func (o output) Write(text []byte) (int, error) {
	n, err := o.file.Write(text)
	if errors.Is(err, syscall.EPIPE) {
		return len(text), nil
	}
	return n, err
}

// Fd is for isTerminal.
func (o output) Fd() uintptr { return o.file.Fd() }

// descriptor is a file or standard output.
type descriptor interface{ Fd() uintptr }

// isTerminal reports whether w is a terminal that understands escape sequences.
func isTerminal(w any) bool {
	f, ok := w.(descriptor)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// Write prints text above the line.
func (s *screen) Write(text []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	if _, err := settingNames.WriteString(s.out, string(text)); err != nil {
		return 0, err
	}
	s.plain = len(text) == 0 || text[len(text)-1] == '\n'
	if s.line != "" && s.plain {
		s.draw(s.line)
	}
	return len(text), nil
}

// show replaces the line. Only for a terminal.
func (s *screen) show(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.line == line {
		return
	}
	s.erase()
	s.line = line
	s.draw(line)
}

// clear removes the line.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	s.line = ""
}

func (s *screen) erase() {
	if s.line != "" {
		_, _ = io.WriteString(s.out, "\r\x1b[K") // there is no place to report an error
	}
}

func (s *screen) draw(line string) { _, _ = io.WriteString(s.out, line) }

// plainWriter writes results, in which names of the library become those of flags and settings.
type plainWriter struct{ to io.Writer }

func (w plainWriter) Write(text []byte) (int, error) {
	if _, err := settingNames.WriteString(w.to, string(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// The widths of a page.
const (
	defaultWidth = 120 // without a terminal
	minWidth     = 40
)

// width returns the number of columns: those of COLUMNS, or else of the terminal.
func (p *program) width() int {
	if n, err := strconv.Atoi(p.getenv("COLUMNS")); err == nil && n > 0 { //nolint:forbidigo // a few digits
		return max(n, minWidth)
	}
	for _, w := range []any{p.stdout, p.stderr.out} {
		if f, ok := w.(descriptor); ok {
			if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
				return max(n, minWidth)
			}
		}
	}
	return defaultWidth
}

// colors reports whether results on a writer may have color.
func (p *program) colors(w any) bool {
	switch p.options.color {
	case "always":
		return true
	case "never":
		return false
	default:
		return isTerminal(w) && p.getenv("NO_COLOR") == ""
	}
}

// The colors of a terminal.
const (
	green = "32"
	red   = "31"
	bold  = "1"
)

// paint gives a text on a writer a color, if that may have colors.
func (p *program) paint(to any, color, text string) string {
	if !p.colors(to) {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// asksPeople reports whether questions can be asked and answered.
func (p *program) asksPeople() bool { return p.stderr.terminal && isTerminal(p.stdin) }

// unicode reports whether the terminal shows more than ASCII.
func (p *program) unicode() bool {
	locale := cmp.Or(p.getenv("LC_ALL"), p.getenv("LC_CTYPE"), p.getenv("LANG"))
	utf8 := strings.Contains(strings.ToUpper(strings.ReplaceAll(locale, "-", "")), "UTF8")
	return (utf8 || locale == "") && p.getenv("TERM") != "dumb"
}
