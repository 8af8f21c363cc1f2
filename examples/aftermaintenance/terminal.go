package main

import (
	"io"
	"os"
)

// isTerminal reports whether w is a terminal, or another device of characters.
func isTerminal(w io.Writer) bool {
	if named, ok := w.(flagWriter); ok {
		w = named.to
	}
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
