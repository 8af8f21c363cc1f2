package xmlrpc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

const (
	window = 16 << 10
	maxTag = 2 << 10 // bytes of one tag with its attributes
)

// source is the document on its way to [xml.Decoder], within the limits. What XML cannot carry is escaped:
// a control character and each byte of anything that is not UTF-8 become one of the characters U+10FF00 to
// U+10FFFF, which [unescape] reverses. Such a character of the document itself is escaped byte by byte.
//
// It implements [io.ByteReader], so that the decoder reads no further than it has to.
type source struct {
	in    io.Reader
	buf   []byte
	pos   int   // buf[pos:end] is to be read
	ready int   // buf[pos:ready] can be read at once: it is clean and within the limit of the token
	clean int   // buf[pos:clean] needs no escape
	end   int   // of what was read from in
	base  int64 // offset of buf[0]
	left  int64 // what in may still have
	max   int64

	what   string // the current token is
	limit  int    // of it, in bytes
	stop   int64  // the offset where the token is longer than that
	cdata  bool   // & means itself in it
	escape []byte // the rest of an escape
	err    error  // the first one, but io.EOF
}

func newSource(in io.Reader, o DecodeOptions) source {
	return source{in: in, buf: make([]byte, window), left: o.MaxBytes, max: o.MaxBytes}
}

func (s *source) offset() int64 { return s.base + int64(s.pos) }

func (s *source) fail(offset int64, format string, args ...any) error {
	if s.err == nil {
		s.err = &Error{Offset: offset, Err: fmt.Errorf(format, args...)}
	}
	return s.err
}

// more reads further bytes behind the unread ones, which move to the start of the
// window. It returns io.EOF at the end of the document.
func (s *source) more() error {
	const tries = 100 // a Reader may return nothing for a while, but not forever
	s.base += int64(s.pos)
	s.end = copy(s.buf, s.buf[s.pos:s.end])
	s.ready, s.clean, s.pos = max(s.ready-s.pos, 0), max(s.clean-s.pos, 0), 0
	for range tries {
		space := s.buf[s.end:]
		n, err := s.in.Read(space[:min(int64(len(space)), s.left+1)])
		s.end += n
		s.left -= int64(n)
		switch {
		case s.left < 0:
			return s.fail(s.max, "the document is longer than %d bytes: ask for less at once, or raise the limit", s.max)
		case n > 0:
			return nil
		case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			return io.EOF
		case err != nil:
			return s.fail(s.base+int64(s.end), "the document cannot be read on: %w", err)
		}
	}
	return s.fail(s.base+int64(s.end), "the document cannot be read on: %w", io.ErrNoProgress)
}

// peek returns the next n bytes, or fewer at the end of the document.
func (s *source) peek(n int) ([]byte, error) {
	for s.end-s.pos < n {
		if err := s.more(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
	}
	return s.buf[s.pos:min(s.end, s.pos+n)], nil
}

func (s *source) skip(n int) {
	s.pos += n
	s.clean = max(s.clean, s.pos)
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// skipSpace stops before what is no white space, and at the end of the document.
func (s *source) skipSpace() error {
	for {
		for s.pos < s.end && isSpace(s.buf[s.pos]) {
			s.pos++
		}
		s.skip(0)
		if s.pos < s.end {
			return nil
		}
		if err := s.more(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// start skips what may stand before the XML declaration.
func (s *source) start() error {
	for {
		if err := s.skipSpace(); err != nil {
			return err
		}
		bom, err := s.peek(len("\ufeff"))
		if err != nil {
			return err
		}
		switch {
		case string(bom) == "\ufeff":
			s.skip(len(bom))
		case len(bom) == 0:
			return s.fail(s.offset(), "the document is empty")
		case bytes.HasPrefix(bom, []byte("\xfe\xff")), bytes.HasPrefix(bom, []byte("\xff\xfe")):
			return s.fail(s.offset(), "the document is in UTF-16: %s", knownCharsets)
		case bom[0] != '<':
			return s.fail(s.offset(), "the document is not XML: it starts %s", quote(s.buf[s.pos:s.end]))
		default:
			return nil
		}
	}
}

// token prepares for one token. With opened the decoder has read its < already.
func (s *source) token(opened bool, maxText int) error {
	const cdata = "<![CDATA["
	ahead, err := s.peek(len(cdata))
	if err != nil {
		return err
	}
	if !opened && len(ahead) > 0 && ahead[0] == '<' {
		opened, ahead = true, ahead[1:]
	}
	s.what, s.limit, s.cdata = "text", maxText, opened && bytes.HasPrefix(ahead, []byte(cdata[1:]))
	if opened && len(ahead) > 0 && ahead[0] != '!' {
		s.what, s.limit = "tag", maxTag
	}
	s.stop = s.offset() + int64(s.limit+len(cdata+"]]>"))
	s.setReady()
	return nil
}

func (s *source) setReady() { s.ready = min(s.clean, s.pos+int(s.stop-s.offset())) }

// ReadByte implements [io.ByteReader].
func (s *source) ReadByte() (byte, error) {
	if s.pos < s.ready {
		c := s.buf[s.pos]
		s.pos++
		return c, nil
	}
	return s.readSlowly()
}

func (s *source) readSlowly() (byte, error) {
	if len(s.escape) == 0 {
		if err := s.prepare(); err != nil {
			return 0, err
		}
	}
	if len(s.escape) > 0 {
		c := s.escape[0]
		s.escape = s.escape[1:]
		return c, nil
	}
	s.pos++
	return s.buf[s.pos-1], nil
}

// prepare makes at least one byte ready, or an escape.
func (s *source) prepare() error {
	if s.offset() >= s.stop {
		return s.fail(s.offset(), "a %s is longer than %d bytes", s.what, s.limit)
	}
	if ahead, err := s.peek(1); err != nil {
		return err
	} else if len(ahead) == 0 {
		return io.EOF
	}
	s.clean = s.pos + cleanLen(s.buf[s.pos:s.end])
	if s.clean == s.pos {
		if err := s.prepareSpecial(); err != nil {
			return err
		}
	}
	s.setReady()
	return nil
}

// prepareSpecial decides about one character that cleanLen stops at.
func (s *source) prepareSpecial() error {
	const longest = len("&#x000010FFFF;")
	ahead, err := s.peek(longest)
	if err != nil {
		return err
	}
	c, n := utf8.DecodeRune(ahead)
	is := ahead[:n]
	switch {
	case c == '&' && s.cdata:
		s.clean = s.pos + n
		return nil
	case c == '&':
		if c, n = reference(ahead); n == 0 || carried(c) {
			s.clean = s.pos + 1
			return nil
		}
		is = utf8.AppendRune(nil, c)
	case (c != utf8.RuneError || n > 1) && carried(c):
		s.clean = s.pos + n
		return nil
	}
	s.escape = s.escape[:0]
	for _, b := range is {
		s.escape = utf8.AppendRune(s.escape, firstEscape+rune(b))
	}
	s.skip(n)
	s.stop -= int64(len(s.escape) - n) // an escape is longer, in memory
	return nil
}

const firstEscape = 0x10FF00

// carried reports whether XML can carry a character, and it is no escape.
func carried(c rune) bool { return validChar(c) && c < firstEscape }

// validChar is the production Char of XML 1.0.
func validChar(c rune) bool {
	return c == '\t' || c == '\n' || c == '\r' || 0x20 <= c && c <= 0xD7FF ||
		0xE000 <= c && c <= 0xFFFD || 0x10000 <= c && c <= 0x10FFFF
}

// cleanLen is how many bytes of a text need no escape for sure.
func cleanLen(text []byte) int {
	for i := 0; i < len(text); {
		c := rune(text[i])
		switch {
		case c == '&' && (i+1 == len(text) || text[i+1] == '#'):
			return i
		case c < utf8.RuneSelf && validChar(c):
			i++
			continue
		}
		c, n := utf8.DecodeRune(text[i:])
		if n == 1 || !carried(c) {
			return i
		}
		i += n
	}
	return len(text)
}

// reference reads a reference to a character by its number; n is 0 for anything else.
func reference(text []byte) (c rune, n int) {
	digits, ok := bytes.CutPrefix(text, []byte("&#"))
	end := bytes.IndexByte(digits, ';')
	if !ok || end < 0 {
		return 0, 0
	}
	base := 10
	if digits = digits[:end]; bytes.HasPrefix(digits, []byte("x")) {
		digits, base = digits[1:], 16
	}
	code, err := number.ParseUint(string(digits), base, 21)
	if err != nil || code > utf8.MaxRune {
		return 0, 0
	}
	return rune(code), end + len("&#;")
}

// unescape reverses what the source did to a text, in place.
func unescape(text []byte) []byte {
	const start = "\xf4\x8f" // of all escapes in UTF-8
	i := bytes.Index(text, []byte(start))
	if i < 0 {
		return text
	}
	out := text[:i]
	for len(text) > i {
		c, n := utf8.DecodeRune(text[i:])
		if c >= firstEscape {
			out = append(out, byte(c-firstEscape)) //nolint:gosec // below 256
		} else {
			out = append(out, text[i:i+n]...)
		}
		i += n
	}
	return out
}

// Read implements [io.Reader] for [xml.NewDecoder], which reads by ReadByte instead.
func (s *source) Read([]byte) (int, error) { return 0, errors.ErrUnsupported }

// atSelfClosing reports whether the tag that was just read ends in />, or that it is not known.
func (s *source) atSelfClosing() bool { return s.pos < 2 || s.buf[s.pos-2] == '/' }

// text takes a plain text and the end of its element, if both lie ahead just so. The decoder would allocate
// for each token, which doubles what an answer costs.
func (s *source) text(element string, most int) (text []byte, ok bool) {
	ahead := s.buf[s.pos:s.clean]
	i := 0
	for i < len(ahead) && i <= most && !special[ahead[i]] {
		i++
	}
	n := tagLen(ahead[i:], "</", element)
	if n == 0 || i > most {
		return nil, false
	}
	s.pos += i + n
	return ahead[:i], true
}

// special are the bytes of a text that may mean something else.
var special = [256]bool{'<': true, '&': true, ']': true, '\r': true}

// tag takes a tag, if it lies ahead just so: after < or </.
func (s *source) tag(start, element string) bool {
	n := tagLen(s.buf[s.pos:s.clean], start, element)
	s.pos += n
	return n > 0
}

// tagLen is the length of the tag that a text starts with, or 0.
func tagLen(text []byte, start, element string) int {
	n := len(start) + len(element)
	if len(text) <= n || string(text[:len(start)]) != start || string(text[len(start):n]) != element || text[n] != '>' {
		return 0
	}
	return n + 1
}
