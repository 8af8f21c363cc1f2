package audit

import (
	"errors"
	"sync"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/callback"
)

// anchor is a function that gets the heads of a log.
type anchor struct {
	call func(Head) error
	next *time.Timer // of the next call; the mutex of the log protects it

	mu    sync.Mutex // is held during a call
	lines int        // of the head of the last call
}

// anchorInterval is the time between two calls of an anchor.
const anchorInterval = time.Minute

// WithAnchor calls a function with the head of the log every minute in which lines were written, at the end of each run
// and when the log is closed, so that it can keep heads where writers of the log cannot change them. The lines up to
// the head are synced before. An error or a panic counts as a write error: nothing more is written, and the run ends.
// If that is too strict, return nil and send a later head. The log can be written meanwhile, and calls do not overlap;
// Close waits for the last one.
func WithAnchor(f func(Head) error) Option {
	return func(l *Log) error {
		if f == nil {
			return errors.New("WithAnchor: the function is nil; leave the option out")
		}
		l.anchor = &anchor{call: f}
		return nil
	}
}

// startAnchor begins to call the anchor every minute.
func (l *Log) startAnchor() {
	if l.anchor == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.anchor.next = time.AfterFunc(anchorInterval, func() {
		if l.callAnchor() != nil {
			return // fails the next intent
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.closed {
			l.anchor.next.Reset(anchorInterval)
		}
	})
}

// callAnchor syncs the log and calls the anchor with its head, unless it has that head.
func (l *Log) callAnchor() error {
	if l.anchor == nil {
		return nil
	}
	l.anchor.mu.Lock()
	defer l.anchor.mu.Unlock()
	h, err := l.syncedHead()
	if err != nil || h.Lines == l.anchor.lines {
		return err
	}
	if err := callback.Do(func() error { return l.anchor.call(h) }); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.fail("anchor the head of line %d: %w", h.Lines, err)
	}
	l.anchor.lines = h.Lines
	return nil
}

func (l *Log) syncedHead() (Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return l.head(), l.failed
	}
	return l.head(), l.syncFiles()
}
