package xmlrpc

import (
	"bytes"
	"cmp"
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

// within puts a step before the path of an error: an index, or else the name of a member.
func within(err error, offset int64, name string, index int) error {
	e, ok := err.(*Error) //nolint:errorlint // one that is wrapped is of another document
	if !ok {
		e = &Error{Offset: offset, Err: err}
	}
	switch {
	case index >= 0:
		name = "[" + strconv.Itoa(index) + "]"
	case name == "" || len(name) > 64 || strings.Trim(name, nameBytes) != "":
		name = "[" + quote(name) + "]"
	}
	if e.Path != "" && e.Path[0] != '[' {
		name += "."
	}
	e.Path = name + e.Path
	return e
}

// nameBytes are those of a name that this package can know.
const nameBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:"

// quote shows the start of a text on one line.
func quote[T ~string | ~[]byte](text T) string {
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

// Fault is the answer of a server that understood the call and refused it.
type Fault struct { //nolint:errname // the specification calls it a fault
	Code    int
	Name    string // the code, where it is not an integer
	Message string // "" if there is none; whether its text is base64 is for the caller to know
}

// Error is one line.
func (f *Fault) Error() string {
	return "fault " + text.Excerpt(f.CodeText(), maxShown) + ": " + text.Excerpt(f.Message, maxShown)
}

// CodeText is the code as it was sent.
func (f *Fault) CodeText() string { return cmp.Or(f.Name, strconv.Itoa(f.Code)) }

// FaultIn is the fault in the body of an answer; nil if that is anything else.
func FaultIn(contentType string, body []byte) *Fault {
	err := DecodeResponse(bytes.NewReader(body), DecodeOptions{ContentType: contentType}, nil)
	f, _ := errors.AsType[*Fault](err)
	return f
}

// IsFault reports whether the body of an answer is a fault.
func IsFault(body []byte) bool { return FaultIn("", body) != nil }
