package xmlrpc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// The scanner reads the part of XML that XML-RPC needs: elements, attributes
// (only name space declarations mean anything), text, references to characters,
// CDATA and comments. All else is refused: DOCTYPE and with it entities, processing instructions,
// and every encoding but UTF-8. encoding/xml would spend more than half of what
// a whole call may cost (see the benchmarks), and keeps texts of any size in memory.

const (
	window = 16 << 10
	maxTag = 2 << 10 // bytes of one tag with its attributes
)

type scanner struct {
	src  io.Reader
	buf  []byte // buf[r:w] is read from src and not scanned
	r, w int
	base int64 // offset of buf[0]
	left int64 // what may still be read
	max  int64

	text    []byte // a text that is not in one piece in buf
	maxText int

	depth int // of open elements
	known []binding
}

// binding is a name space prefix.
type binding struct {
	prefix     string
	extensions bool // stands for extensionsURI
	depth      int  // of the element that declared it
}

const extensionsURI = "http://ws.apache.org/xmlrpc/namespaces/extensions"

func newScanner(src io.Reader, o DecodeOptions) scanner {
	return scanner{src: src, buf: make([]byte, window), left: o.MaxBytes, max: o.MaxBytes, maxText: o.MaxText}
}

func (s *scanner) offset() int64 { return s.base + int64(s.r) }

func (s *scanner) fail(format string, args ...any) error {
	return s.failAt(s.offset(), format, args...)
}

func (s *scanner) failAt(offset int64, format string, args ...any) error {
	return &Error{Offset: offset, Err: fmt.Errorf(format, args...)}
}

// more reads further bytes behind the unread ones, which move to the start of
// the window. It returns io.EOF at the end of the document.
func (s *scanner) more() error {
	if s.r > 0 {
		s.base += int64(s.r)
		s.w = copy(s.buf, s.buf[s.r:s.w])
		s.r = 0
	}
	const patience = 100 // a Reader may return nothing for a while, but not forever
	for range patience {
		space := s.buf[s.w:]
		n, err := s.src.Read(space[:min(int64(len(space)), s.left+1)])
		s.w += n
		s.left -= int64(n)
		switch {
		case s.left < 0:
			return s.failAt(s.max, "the document is longer than %d bytes: ask for less at once, or raise the limit", s.max)
		case n > 0:
			return nil
		case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			return io.EOF
		case err != nil:
			return s.failAt(s.base+int64(s.w), "the document cannot be read on: %w", err)
		}
	}
	return s.failAt(s.base+int64(s.w), "the document cannot be read on: %w", io.ErrNoProgress)
}

// need makes n bytes available. At the end of the document there may be fewer.
func (s *scanner) need(n int) error {
	for s.w-s.r < n {
		if err := s.more(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// must makes n bytes available, or fails.
func (s *scanner) must(n int) error {
	if err := s.need(n); err != nil {
		return err
	}
	if s.w-s.r < n {
		return s.failAt(s.base+int64(s.w), "the document ends too early: was it cut off?")
	}
	return nil
}

func (s *scanner) has(prefix string) bool {
	return s.w-s.r >= len(prefix) && string(s.buf[s.r:s.r+len(prefix)]) == prefix
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// space skips white space and comments. At the end of the document nothing is left.
func (s *scanner) space() error {
	for {
		for s.r < s.w && isSpace(s.buf[s.r]) {
			s.r++
		}
		if s.r < s.w && s.buf[s.r] != '<' {
			return nil
		}
		if err := s.need(2); err != nil {
			return err
		}
		if s.r < s.w && isSpace(s.buf[s.r]) {
			continue
		}
		if !s.has("<!") {
			return nil
		}
		if err := s.comment(); err != nil {
			return err
		}
	}
}

// comment skips one. Nothing else may begin with "<!" here.
func (s *scanner) comment() error {
	const opening = "<!--"
	if err := s.need(len("<!DOCTYPE html")); err != nil {
		return err
	}
	if !s.has(opening) {
		return s.declaration()
	}
	s.r += len(opening)
	for {
		for s.r < s.w && plain[s.buf[s.r]] && s.buf[s.r] != '-' {
			s.r++
		}
		if err := s.must(3); err != nil {
			return err
		}
		if s.has("--") {
			if s.buf[s.r+2] != '>' {
				return s.fail("a comment must not contain --")
			}
			s.r += 3
			return nil
		}
		if _, err := s.char(); err != nil {
			return err
		}
	}
}

func (s *scanner) declaration() error {
	start := s.buf[s.r:min(s.w, s.r+len("<!DOCTYPE html"))]
	switch {
	case bytes.EqualFold(start, []byte("<!DOCTYPE html")):
		return s.fail("the document is an HTML page: %s", whichPage)
	case s.has("<!DOCTYPE"):
		return s.fail("a DOCTYPE is refused: XML-RPC has none, and its entities can grow without end")
	default:
		return s.fail("%s is not allowed here", quote(start))
	}
}

const whichPage = "is the URL right, or is a maintenance page being served?"

// char reads one character as it stands, and checks that XML allows it.
func (s *scanner) char() (rune, error) {
	if err := s.must(1); err != nil {
		return 0, err
	}
	if c := s.buf[s.r]; c < utf8.RuneSelf {
		if !validChar(rune(c)) {
			return 0, s.fail("XML cannot carry the control character %U", rune(c))
		}
		s.r++
		return rune(c), nil
	}
	if !utf8.FullRune(s.buf[s.r:s.w]) {
		if err := s.need(utf8.UTFMax); err != nil {
			return 0, err
		}
	}
	c, size := utf8.DecodeRune(s.buf[s.r:s.w])
	if c == utf8.RuneError && size <= 1 {
		return 0, s.fail("the text is not UTF-8 (byte 0x%02x)", s.buf[s.r])
	}
	if !validChar(c) {
		return 0, s.fail("XML cannot carry the character %U", c)
	}
	s.r += size
	return c, nil
}

// validChar is the production Char of XML 1.0.
func validChar(c rune) bool {
	return c == '\t' || c == '\n' || c == '\r' || 0x20 <= c && c <= 0xD7FF ||
		0xE000 <= c && c <= 0xFFFD || 0x10000 <= c && c <= 0x10FFFF
}

// prolog skips a byte order mark and the XML declaration.
func (s *scanner) prolog() error {
	if err := s.need(len("<?xml ")); err != nil {
		return err
	}
	if s.has("\xfe\xff") || s.has("\xff\xfe") {
		return s.fail("the document is in UTF-16: only UTF-8 is understood")
	}
	if s.has("\ufeff") {
		s.r += len("\ufeff")
		if err := s.need(len("<?xml ")); err != nil {
			return err
		}
	}
	if s.w == s.r {
		return s.fail("the document is empty")
	}
	if !s.has("<?xml") || s.w-s.r < 6 || !isSpace(s.buf[s.r+5]) {
		return nil
	}
	end, err := s.find('>')
	if err != nil {
		return err
	}
	inner, ok := bytes.CutSuffix(s.buf[s.r+len("<?xml"):end], []byte("?"))
	if !ok {
		return s.fail("the XML declaration does not end in ?>")
	}
	if err := s.checkDeclaration(inner); err != nil {
		return err
	}
	s.r = end + 1
	return nil
}

func (s *scanner) checkDeclaration(inner []byte) error {
	n := 0
	err := s.attributes(inner, func(name, value string) error {
		n++
		switch {
		case (name == "version") != (n == 1):
			return s.fail("the XML declaration must begin with the version")
		case name == "version" && value != "1.0":
			return s.fail("XML version %q is not understood, only 1.0", value)
		case name == "encoding" && !strings.EqualFold(value, "UTF-8"):
			return s.fail("the document is declared to be in %q: only UTF-8 is understood", value)
		case name == "version" || name == "encoding" || name == "standalone":
			return nil
		default:
			return s.fail("the XML declaration has an unknown part %q", name)
		}
	})
	if err == nil && n == 0 {
		err = s.fail("the XML declaration must begin with the version")
	}
	return err
}
