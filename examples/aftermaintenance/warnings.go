package main

import (
	"bytes"
	"io"
	"sync"
)

// warnings buffers what the clients log while the progress is shown. Safe for concurrent use.
type warnings struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *warnings) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(line)
}

// show prints and discards the buffered text.
func (w *warnings) show(to io.Writer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = w.text.WriteTo(to) // there is no place to report an error
}
