// Package terminal is what the program is started on: a terminal, or files and pipes.
package terminal

import (
	"cmp"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"
)

// Terminal has the standard files and the environment.
type Terminal struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr *Screen
	Getenv func(string) string
	Color  string // "always", "never", or else where a terminal shows it and NO_COLOR is not set
}

// descriptor is a file or standard output.
type descriptor interface{ Fd() uintptr }

// isTerminal reports whether w is a terminal that understands escape sequences.
func isTerminal(w any) bool {
	f, ok := w.(descriptor)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// The widths of a page.
const (
	defaultWidth = 120 // without a terminal
	minWidth     = 40
)

// Width returns the number of columns: those of COLUMNS, or else of the terminal.
func (t *Terminal) Width() int {
	if n, err := strconv.Atoi(t.Getenv("COLUMNS")); err == nil && n > 0 { //nolint:forbidigo // a few digits
		return max(n, minWidth)
	}
	for _, w := range []any{t.Stdout, t.Stderr.Out} {
		if f, ok := w.(descriptor); ok {
			if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
				return max(n, minWidth)
			}
		}
	}
	return defaultWidth
}

// colors reports whether results on a writer may have color.
func (t *Terminal) colors(w any) bool {
	switch t.Color {
	case "always":
		return true
	case "never":
		return false
	default:
		return isTerminal(w) && t.Getenv("NO_COLOR") == ""
	}
}

// The colors of a terminal.
const (
	Green = "32"
	Red   = "31"
	Bold  = "1"
)

// Paint gives a text on a writer a color, if that may have colors.
func (t *Terminal) Paint(to any, color, text string) string {
	if !t.colors(to) {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// AsksPeople reports whether questions can be asked and answered.
func (t *Terminal) AsksPeople() bool { return t.Stderr.Terminal && isTerminal(t.Stdin) }

// Unicode reports whether the terminal shows more than ASCII.
func (t *Terminal) Unicode() bool {
	locale := cmp.Or(t.Getenv("LC_ALL"), t.Getenv("LC_CTYPE"), t.Getenv("LANG"))
	utf8 := strings.Contains(strings.ToUpper(strings.ReplaceAll(locale, "-", "")), "UTF8")
	return (utf8 || locale == "") && t.Getenv("TERM") != "dumb"
}
