// Package callback calls functions that the user of the library supplies, and turns their panics
// into errors, so that they do not end the process.
//
//	order, err := callback.Call(func() (*commerce.Order, error) { return reader.Order(ctx, id) })
//
// The error of a panic is a [*PanicError]; [Log] logs its stack. All functions are safe for
// concurrent use.
package callback

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Nil reports whether v is nil or holds a nil pointer, function, map or channel.
func Nil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() { //nolint:exhaustive // a nil slice is an empty list
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Chan:
		return r.IsNil()
	default:
		return false
	}
}

// PanicError is the error of a call that panicked or called runtime.Goexit.
type PanicError struct {
	// Value is the argument of panic, on one line.
	Value string
	// Where is the function, file and line that panicked; "" if unknown.
	Where string
	// Stack is the stack trace.
	Stack []byte
}

// Error is one line.
func (e *PanicError) Error() string {
	s := "a callback panicked: " + text.Excerpt(e.Value, maxValue)
	if e.Where != "" {
		s += " (at " + text.Excerpt(e.Where, 1000) + ")"
	}
	return s
}

// maxValue is how many bytes of a panic value an error shows.
const maxValue = 300

// Recovered converts the result of recover to a *PanicError; nil means runtime.Goexit. It must be
// called by the deferred function that called recover.
func Recovered(value any) error {
	e := &PanicError{Value: "runtime.Goexit was called", Stack: debug.Stack()}
	if value != nil {
		e.Value = text.Clip(text.OneLine(fmt.Sprint(value)), maxValue)
		e.Where = where()
	}
	return e
}

// where returns the first frame below the panic outside of the runtime.
func where() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	for panicking, more := false, true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicking = true
		case panicking && !strings.HasPrefix(f.Function, "runtime."):
			return fmt.Sprintf("%s, %s:%d", f.Function[strings.LastIndexByte(f.Function, '/')+1:], filepath.Base(f.File), f.Line)
		}
	}
	return ""
}

// Recover converts a panic to *err. It must be deferred directly.
func Recover(err *error) {
	if value := recover(); value != nil {
		*err = Recovered(value)
	}
}

// Result is what a function returned.
type Result[T any] struct {
	Value T
	Err   error
}

// Start calls f in a new goroutine and sends its result on the returned channel, which never blocks
// the goroutine. The error is a *PanicError if f panics or calls runtime.Goexit.
func Start[T any](f func() (T, error)) <-chan Result[T] {
	done := make(chan Result[T], 1)
	go func() {
		var r Result[T]
		returned := false
		defer func() {
			if !returned {
				r.Err = Recovered(recover())
			}
			done <- r
		}()
		r.Value, r.Err = f()
		returned = true
	}()
	return done
}

// Call is [Start] and waits for the result.
func Call[T any](f func() (T, error)) (T, error) {
	r := <-Start(f)
	return r.Value, r.Err
}

// Do is [Call] for a function without a result.
func Do(f func() error) error {
	_, err := Call(func() (struct{}, error) { return struct{}{}, f() })
	return err
}

// Log logs a *PanicError with its stack at level Error. It ignores other errors.
func Log(to *slog.Logger, err error) {
	if e, ok := errors.AsType[*PanicError](err); ok {
		to.Error("a callback panicked", "error", e.Error(), "stack", string(e.Stack))
	}
}
