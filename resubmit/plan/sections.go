package plan

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"runtime"
	"slices"
	"sync"
)

// section is a run of whole lines of a plan, and what was found in it.
type section[T any] struct {
	raw   []byte
	err   error // of reading, behind it
	found T
	seen  chan struct{}
}

// inSections yields what next reads up to an error, in its order. Before that look has
// seen each section, several at the same time: each of the goroutines that do so has a
// look of its own.
func inSections[T any](next func() ([]byte, error), newLook func() func(raw []byte) T) iter.Seq[*section[T]] {
	return func(yield func(*section[T]) bool) {
		workers := runtime.GOMAXPROCS(0)
		inOrder, work := make(chan *section[T], 2*workers), make(chan *section[T])
		over := make(chan struct{})
		var all sync.WaitGroup
		defer all.Wait()
		defer close(over)
		all.Go(func() {
			defer close(inOrder)
			defer close(work)
			readSections(next, over, inOrder, work)
		})
		for range workers {
			all.Go(func() {
				look := newLook()
				for s := range work {
					s.found = look(s.raw)
					close(s.seen)
				}
			})
		}
		for s := range inOrder {
			if <-s.seen; !yield(s) {
				return
			}
		}
	}
}

// readSections sends what next reads up to an error, each section to all, until it is
// over.
func readSections[T any](next func() ([]byte, error), over <-chan struct{}, all ...chan<- *section[T]) {
	for {
		s := &section[T]{seen: make(chan struct{})}
		s.raw, s.err = next()
		for _, to := range all {
			select {
			case to <- s:
			case <-over:
				return
			}
		}
		if s.err != nil {
			return
		}
	}
}

// sectionReader cuts what it reads into runs of whole lines.
type sectionReader struct {
	r    *blockReader
	rest []byte // a line that has begun
}

// next returns the lines up to the last line end of the next block that has one, in
// the memory of old if that is enough. io.ErrUnexpectedEOF means that the end of the
// last line is missing.
func (s *sectionReader) next(old []byte) ([]byte, error) {
	raw := append(old[:0], s.rest...)
	for {
		size := s.r.size()
		raw = slices.Grow(raw, size)
		s.r.buf = raw[len(raw) : len(raw)+size] // so that what is read need not be copied
		block, err := s.r.block()
		switch {
		case errors.Is(err, io.EOF) && len(raw) > 0:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
		if end := bytes.LastIndexByte(block, '\n') + 1; end > 0 {
			s.rest = append(s.rest[:0], block[end:]...)
			return raw[:len(raw)+end], nil
		}
		if raw = raw[:len(raw)+size]; len(raw) > maxLine {
			return nil, errLongLine
		}
	}
}
