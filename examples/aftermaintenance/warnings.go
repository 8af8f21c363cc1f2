package main

import (
	"bytes"
	"io"
	"sync"
)

// warnings keeps what the clients log, which they do while the progress is shown. Safe for
// concurrent use.
type warnings struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *warnings) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(line)
}

// show prints what was logged.
func (w *warnings) show(to io.Writer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.text.WriteTo(to) // to a terminal: there is nobody left to tell
}
