package xmlrpc

import (
	"bytes"
	"unicode/utf8"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

// plain is true for the bytes of a text that stand for themselves and for no
// part of anything else.
var plain = func() (is [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		is[c] = c != '<' && c != '&' && c != ']'
	}
	is['\t'], is['\n'] = true, true
	return is
}()

// content reads the text up to the next tag, unescaped. It is valid until the scanner
// goes on behind that tag's first two bytes.
func (s *scanner) content() ([]byte, error) {
	for i := s.r; i < s.w; i++ {
		c := s.buf[i]
		if plain[c] {
			continue
		}
		if c != '<' || i+1 >= s.w || s.buf[i+1] == '!' || i-s.r > s.maxText {
			break
		}
		text := s.buf[s.r:i]
		s.r = i
		return text, nil
	}
	return s.contentInPieces()
}

func (s *scanner) contentInPieces() ([]byte, error) {
	s.text = s.text[:0]
	for {
		if err := s.must(1); err != nil {
			return nil, err
		}
		i := s.r
		for i < s.w && plain[s.buf[i]] {
			i++
		}
		s.text = append(s.text, s.buf[s.r:i]...)
		s.r = i
		if err := s.checkText(); err != nil {
			return nil, err
		}
		if i == s.w {
			continue
		}
		if s.buf[i] == '<' {
			done, err := s.markup()
			if done || err != nil {
				return s.text, err
			}
			continue
		}
		if err := s.special(); err != nil {
			return nil, err
		}
	}
}

func (s *scanner) checkText() error {
	if len(s.text) > s.maxText {
		return s.fail("a text is longer than %d bytes: raise the limit if that is expected", s.maxText)
	}
	return nil
}

// markup reads what begins with < inside a text: it is done at a tag.
func (s *scanner) markup() (done bool, err error) {
	if err := s.must(2); err != nil {
		return false, err
	}
	if s.buf[s.r+1] != '!' {
		return true, nil
	}
	const cdata = "<![CDATA["
	if err := s.need(len(cdata)); err != nil {
		return false, err
	}
	if !s.has(cdata) {
		return false, s.comment()
	}
	s.r += len(cdata)
	for {
		if err := s.must(3); err != nil {
			return false, err
		}
		if s.has("]]>") {
			s.r += 3
			return false, nil
		}
		if err := s.literal(); err != nil {
			return false, err
		}
	}
}

// special reads one character that is not plain.
func (s *scanner) special() error {
	switch s.buf[s.r] {
	case '&':
		return s.reference()
	case ']':
		if err := s.need(3); err != nil {
			return err
		}
		if s.has("]]>") {
			return s.fail("a text must not contain ]]>")
		}
	}
	return s.literal()
}

// literal appends one character. A line ends in \n, however it was written.
func (s *scanner) literal() error {
	c, err := s.char()
	if err != nil {
		return err
	}
	if c == '\r' {
		if err := s.need(1); err != nil {
			return err
		}
		if s.has("\n") {
			return nil
		}
		c = '\n'
	}
	s.text = utf8.AppendRune(s.text, c)
	return s.checkText()
}

// reference reads one of the five named characters or a numbered one.
func (s *scanner) reference() error {
	const longest = len("&#x000010FFFF;")
	if err := s.need(longest); err != nil {
		return err
	}
	end := bytes.IndexByte(s.buf[s.r:min(s.w, s.r+longest)], ';')
	if end < 0 {
		return s.fail("%s is not a reference: an & itself is written &amp;", quote(s.buf[s.r:min(s.w, s.r+longest)]))
	}
	c, ok := referred(s.buf[s.r+1 : s.r+end])
	if !ok {
		return s.fail("the reference %s is not known: entities are refused", quote(s.buf[s.r:s.r+end+1]))
	}
	if !validChar(c) {
		return s.fail("XML cannot carry the character %U", c)
	}
	s.text = utf8.AppendRune(s.text, c)
	s.r += end + 1
	return s.checkText()
}

func referred(name []byte) (rune, bool) {
	switch string(name) {
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "amp":
		return '&', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, ok := bytes.CutPrefix(name, []byte("#"))
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := bytes.CutPrefix(digits, []byte("x")); ok {
		digits, base = hex, 16
	}
	n, err := number.ParseUint(string(digits), base, 21)
	return rune(n), err == nil
}

// atEnd reports whether the next tag ends an element. It follows content, which
// leaves two bytes in the window.
func (s *scanner) atEnd() bool { return s.has("</") }

// finish checks that only white space and comments follow.
func (s *scanner) finish() error {
	if err := s.space(); err != nil {
		return err
	}
	if s.r < s.w {
		return s.fail("something follows the document: %s", quote(s.buf[s.r:s.w]))
	}
	return nil
}
