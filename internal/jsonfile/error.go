package jsonfile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Error is a problem at one place of a file.
type Error struct {
	Line int    // 0 if there is none, such as before the file is written
	Path string // such as rules[2].id; "" is the whole file
	Err  error
}

// Error is one line.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "line %d: ", e.Line)
	}
	if e.Path != "" {
		b.WriteString(text.Excerpt(e.Path, 200) + ": ")
	}
	if e.Err != nil {
		b.WriteString(text.Excerpt(e.Err.Error(), 2000))
	}
	return b.String()
}

// Unwrap returns the problem without its place.
func (e *Error) Unwrap() error { return e.Err }

// VersionError is returned for a file of another version, such as one that a later release wrote.
type VersionError struct {
	Version int // of the file
	reads   int
}

// Error names both versions.
func (e *VersionError) Error() string {
	return fmt.Sprintf("has version %d, this library reads version %d", e.Version, e.reads)
}

// At returns err as the problem at a path, nil for nil. The path of an [Error] is taken
// as relative to path.
func At(path string, err error) error {
	if err == nil {
		return nil
	}
	if inner, ok := errors.AsType[*Error](err); ok {
		return &Error{Line: inner.Line, Path: join(path, inner.Path), Err: inner.Err}
	}
	return &Error{Path: path, Err: err}
}

// Errorf returns a problem at a path.
func Errorf(path, format string, args ...any) error {
	return &Error{Path: path, Err: fmt.Errorf(format, args...)}
}

func join(path, key string) string {
	if path == "" || key == "" || key[0] == '[' {
		return path + key
	}
	return path + "." + key
}
