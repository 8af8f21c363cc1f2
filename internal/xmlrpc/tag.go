package xmlrpc

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"
)

// element is the name of an element of XML-RPC.
type element uint8

const (
	otherElement element = iota
	elMethodCall
	elMethodName
	elMethodResponse
	elParams
	elParam
	elFault
	elValue
	elStruct
	elMember
	elName
	elArray
	elData
	elI4
	elInt
	elI8
	elBigInt
	elDouble
	elBoolean
	elString
	elDateTime
	elBase64
	elNil
	numElements
)

var elementNames = [numElements]string{
	"", "methodCall", "methodName", "methodResponse", "params", "param", "fault", "value",
	"struct", "member", "name", "array", "data", "i4", "int", "i8", "bigint", "double", "boolean", "string",
	"dateTime.iso8601", "base64", "nil",
}

// valueEnds are what follows the text of a value that is written without spaces.
var valueEnds = func() (ends [numElements]string) {
	for el, name := range elementNames {
		ends[el] = "</" + name + "></value>"
	}
	return ends
}()

func elementOf(name []byte) element {
	switch string(name) {
	case "value":
		return elValue
	case "i4":
		return elI4
	case "string":
		return elString
	case "double":
		return elDouble
	case "name":
		return elName
	case "member":
		return elMember
	}
	for el := elMethodCall; el < numElements; el++ {
		if elementNames[el] == string(name) {
			return el
		}
	}
	return otherElement
}

// tag is a tag of an element. A tag like <nil/> is empty: its end will not come.
type tag struct {
	el     element
	end    bool
	empty  bool
	prefix string // as written: its end must have the same
	name   string // of another element
	at     int64
}

func (t tag) String() string {
	name := t.name
	if t.el != otherElement {
		name = elementNames[t.el]
	}
	if t.prefix != "" {
		name = t.prefix + ":" + name
	}
	if t.end {
		return "</" + name + ">"
	}
	return "<" + name + ">"
}

// nameByte is true for the bytes of a name of an element or attribute that this
// package can know, with its prefix.
var nameByte = func() (is [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:") {
		is[c] = true
	}
	return is
}()

// tag reads the next tag. Only white space and comments may stand before it.
func (s *scanner) tag() (tag, error) {
	if s.r >= s.w || s.buf[s.r] != '<' || s.r+1 >= s.w || s.buf[s.r+1] == '!' {
		if err := s.space(); err != nil {
			return tag{}, err
		}
		if err := s.must(2); err != nil {
			return tag{}, err
		}
	}
	if s.buf[s.r] != '<' {
		return tag{}, s.fail("found the text %s where a tag is expected", quote(s.textAhead()))
	}
	if s.buf[s.r+1] == '?' {
		return tag{}, s.fail("a processing instruction is not allowed here")
	}
	end, err := s.find('>')
	if err != nil {
		return tag{}, err
	}
	t, err := s.parseTag(s.buf[s.r+1 : end])
	s.r = end + 1
	return t, err
}

// textAhead is some of the text that begins here, for an error.
func (s *scanner) textAhead() []byte {
	ahead := s.buf[s.r:s.w]
	if i := bytes.IndexByte(ahead, '<'); i >= 0 {
		ahead = ahead[:i]
	}
	return ahead
}

// find returns where c is in the window. It must not be far away.
func (s *scanner) find(c byte) (int, error) {
	seen := 0
	for {
		if i := bytes.IndexByte(s.buf[s.r+seen:s.w], c); i >= 0 && seen+i <= maxTag {
			return s.r + seen + i, nil
		}
		seen = s.w - s.r
		if seen > maxTag {
			return 0, s.fail("a tag is longer than %d bytes", maxTag)
		}
		if err := s.more(); errors.Is(err, io.EOF) {
			return 0, s.failAt(s.base+int64(s.w), "the document ends in the middle of a tag: was it cut off?")
		} else if err != nil {
			return 0, err
		}
	}
}

// parseTag reads what stands between < and >.
func (s *scanner) parseTag(inner []byte) (tag, error) {
	t := tag{at: s.offset()}
	if len(inner) == 0 {
		return t, s.fail("a tag without a name")
	}
	if inner[0] == '/' {
		t.end = true
		inner = inner[1:]
	} else if inner[len(inner)-1] == '/' {
		t.empty = true
		inner = inner[:len(inner)-1]
	}
	n := 0
	for n < len(inner) && nameByte[inner[n]] {
		n++
	}
	name, rest := inner[:n], inner[n:]
	if !validName(name) {
		return t, s.fail("%s is not a tag of XML-RPC", quote(append([]byte("<"), inner...)))
	}
	if !t.end {
		s.depth++
	}
	if len(rest) > 0 {
		if err := s.afterName(t, rest); err != nil {
			return t, err
		}
	}
	s.identify(&t, name)
	if t.end || t.empty {
		s.closed(1)
	}
	return t, nil
}

func (s *scanner) afterName(t tag, rest []byte) error {
	if t.end {
		if len(bytes.TrimLeft(rest, " \t\r\n")) > 0 {
			return s.fail("the end of an element cannot have attributes")
		}
		return nil
	}
	n := 0
	return s.attributes(rest, func(name, value string) error {
		const most = 16
		if n++; n > most {
			return s.fail("a tag has more than %d attributes", most)
		}
		if prefix, ok := cutPrefix(name, "xmlns:"); ok {
			s.known = append(s.known, binding{prefix, value == extensionsURI, s.depth})
		}
		return nil
	})
}

func cutPrefix(s, prefix string) (string, bool) {
	if len(s) <= len(prefix) || s[:len(prefix)] != prefix {
		return "", false
	}
	return s[len(prefix):], true
}

// closed takes note of the end of n elements.
func (s *scanner) closed(n int) {
	s.depth -= n
	for len(s.known) > 0 && s.known[len(s.known)-1].depth > s.depth {
		s.known = s.known[:len(s.known)-1]
	}
}

// identify finds the element of a tag. Only the extensions of Apache have a
// prefix; without a declaration, "ex" is taken for theirs.
func (s *scanner) identify(t *tag, name []byte) {
	colon := bytes.IndexByte(name, ':')
	if colon < 0 {
		if t.el = elementOf(name); t.el == otherElement {
			t.name = string(name)
		}
		return
	}
	t.prefix, t.name = string(name[:colon]), string(name[colon+1:])
	if s.isExtension(t.prefix) {
		switch t.name {
		case "i8":
			t.el = elI8
		case "nil":
			t.el = elNil
		}
	}
}

func (s *scanner) isExtension(prefix string) bool {
	for i := len(s.known) - 1; i >= 0; i-- {
		if s.known[i].prefix == prefix {
			return s.known[i].extensions
		}
	}
	return prefix == "ex"
}

func validName(name []byte) bool {
	if len(name) == 0 || name[0] == '-' || name[0] == '.' || '0' <= name[0] && name[0] <= '9' {
		return false
	}
	colon := bytes.IndexByte(name, ':')
	return colon < 0 || colon > 0 && validName(name[colon+1:]) && bytes.IndexByte(name[colon+1:], ':') < 0
}

// attributes reads name="value" pairs. References are not understood in values.
func (s *scanner) attributes(text []byte, yield func(name, value string) error) error {
	for {
		trimmed := bytes.TrimLeft(text, " \t\r\n")
		if len(trimmed) == 0 {
			return nil
		}
		name, after, ok := bytes.Cut(trimmed, []byte("="))
		name = bytes.TrimRight(name, " \t\r\n")
		after = bytes.TrimLeft(after, " \t\r\n")
		if !ok || len(trimmed) == len(text) || !validName(name) || !plainName(string(name)) ||
			len(after) < 2 || after[0] != '"' && after[0] != '\'' {
			return s.fail("attributes are not well formed at %s", quote(trimmed))
		}
		length := bytes.IndexByte(after[1:], after[0])
		if length < 0 {
			return s.fail("the attribute %s has no closing quote", quote(name))
		}
		value := after[1 : 1+length]
		if !plainAttribute(value) {
			return s.fail("the value of the attribute %s is not plain text", quote(name))
		}
		if err := yield(string(name), string(value)); err != nil {
			return err
		}
		text = after[length+2:]
	}
}

func plainAttribute(value []byte) bool {
	if !utf8.Valid(value) {
		return false
	}
	for _, c := range string(value) {
		if c == '<' || c == '&' || c == '\r' || !validChar(c) {
			return false
		}
	}
	return true
}
