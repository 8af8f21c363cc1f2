// Package callback calls code that the user of the library supplies, so that a panic
// in it is an error of that call and not the end of the process.
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

// Nil reports whether v is nil or holds a nil pointer, function, map or channel. A type
// that is one of these and is meant to be used while it is nil counts as nil too.
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

// PanicError is a call that panicked, or that ended its goroutine with runtime.Goexit.
type PanicError struct {
	// Value is what was passed to panic, on one line.
	Value string
	// Where is the function, file and line that panicked; "" if that is not known.
	Where string
	// Stack is for the log.
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

// maxValue is the most bytes of a panic value that an error shows.
const maxValue = 300

// Recovered makes an error of what recover returned; nil stands for runtime.Goexit. It
// has to be called by the deferred function that called recover.
func Recovered(value any) error {
	e := &PanicError{Value: "runtime.Goexit was called", Stack: debug.Stack()}
	if value != nil {
		e.Value = text.Clip(text.OneLine(fmt.Sprint(value)), maxValue)
		e.Where = where()
	}
	return e
}

// where is the first frame below the panic that is not of the runtime.
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

// Recover turns a panic into *err. It has to be deferred directly.
func Recover(err *error) {
	if value := recover(); value != nil {
		*err = Recovered(value)
	}
}

// Call calls f on a goroutine of its own and waits for it. The error is a *PanicError if f
// panics or calls runtime.Goexit.
func Call[T any](f func() (T, error)) (value T, err error) {
	done := make(chan struct{})
	go func() {
		returned := false
		defer func() {
			if !returned {
				err = Recovered(recover())
			}
			close(done)
		}()
		value, err = f()
		returned = true
	}()
	<-done
	return value, err
}

// Do is [Call] for a function without a result.
func Do(f func() error) error {
	_, err := Call(func() (struct{}, error) { return struct{}{}, f() })
	return err
}

// Log writes the stack of a panic at level Error. Other errors are not logged.
func Log(to *slog.Logger, err error) {
	if e, ok := errors.AsType[*PanicError](err); ok {
		to.Error("a callback panicked", "error", e.Error(), "stack", string(e.Stack))
	}
}
