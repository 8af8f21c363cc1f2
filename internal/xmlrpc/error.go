package xmlrpc

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Error says what is wrong with a document, or with a value that shall become
// part of one, and where.
type Error struct {
	// Offset is the byte of the document, from 0. It is -1 for a value that cannot be sent.
	Offset int64
	// Path leads to the value, like "Result[0][7]" or "params[1].Name". It is empty
	// for the outermost value and outside of values.
	Path string
	Err  error
}

// maxShown bounds each part of an error text, in bytes.
const maxShown = 2000

// Error is one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("xmlrpc: ")
	if e.Offset >= 0 {
		fmt.Fprintf(&b, "byte %d: ", e.Offset)
	}
	if e.Path != "" {
		b.WriteString(text.Excerpt(e.Path, maxShown) + ": ")
	}
	b.WriteString(text.Excerpt(e.Err.Error(), maxShown))
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fault is the answer of a server that understood the call and refused it.
type Fault struct { //nolint:errname // the specification calls it a fault
	Code    int
	Message string // as sent: whether it is base64 is the caller's to know
}

// Error is one line.
func (f *Fault) Error() string {
	return fmt.Sprintf("fault %d: %s", f.Code, text.Excerpt(f.Message, maxShown))
}

// FaultIn is the fault in the body of an answer; nil if that is anything else.
func FaultIn(body []byte) *Fault {
	err := DecodeResponse(bytes.NewReader(body), DecodeOptions{}, nil)
	f, _ := errors.AsType[*Fault](err)
	return f
}

// IsFault reports whether the body of an answer is a fault.
func IsFault(body []byte) bool { return FaultIn(body) != nil }

// step is one element of a path: an index, or the name of a member.
type step struct {
	name  string
	index int // -1: a name
}

type path []step

func (p path) String() string {
	var b strings.Builder
	for _, s := range p {
		switch {
		case s.index >= 0:
			fmt.Fprintf(&b, "[%d]", s.index)
		case !plainName(s.name):
			fmt.Fprintf(&b, "[%s]", quote([]byte(s.name)))
		case b.Len() > 0:
			b.WriteString("." + s.name)
		default:
			b.WriteString(s.name)
		}
	}
	return b.String()
}

func plainName(s string) bool {
	for _, c := range []byte(s) {
		if !nameByte[c] {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// quote shows the start of a text on one line.
func quote(text []byte) string {
	const most = 40
	if len(text) <= most {
		return strconv.Quote(string(text))
	}
	cut := most
	for !utf8.RuneStart(text[cut]) && cut > most-utf8.UTFMax {
		cut--
	}
	return strconv.Quote(string(text[:cut])) + "…"
}

// located gives an error its place, unless it has one.
func located(err error, offset int64, p path) *Error {
	if e, ok := err.(*Error); ok { //nolint:errorlint // one that is wrapped is of another document
		if e.Path == "" {
			e.Path = p.String()
		}
		return e
	}
	return &Error{Offset: offset, Path: p.String(), Err: err}
}
