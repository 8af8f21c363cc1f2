package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
)

const (
	errorBody = 64 << 10  // bytes of an answer that an Error keeps
	drain     = 256 << 10 // bytes read to keep a connection; for more, closing it is cheaper
)

// body is the body of an accepted answer. It limits the size, wraps read errors in *Error, and
// cancels the context of its try when it is closed.
type body struct {
	io.ReadCloser
	left   int64
	wrap   func(error) *Error
	cancel context.CancelFunc
	limit  int64
}

func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// Reading one more byte distinguishes an answer that just fits from a longer one.
		var one [1]byte
		n, err := b.ReadCloser.Read(one[:])
		if n > 0 {
			return 0, b.wrap(&tooLongError{b.limit})
		}
		return 0, b.wrapped(err)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, b.wrapped(err)
}

func (b *body) wrapped(err error) error {
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return b.wrap(fmt.Errorf("the answer broke off: %w", err))
}

func (b *body) Close() error {
	_, _ = io.CopyN(io.Discard, b.ReadCloser, drain)
	err := b.ReadCloser.Close()
	b.cancel()
	return err
}

type tooLongError struct{ limit int64 }

func (e *tooLongError) Error() string {
	return fmt.Sprintf("the answer is longer than %d bytes: ask for less at once, or raise the limit", e.limit)
}
