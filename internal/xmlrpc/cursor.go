package xmlrpc

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"

	"golang.org/x/text/encoding/charmap"
)

// cursor reads tags and texts. It refuses what XML-RPC does not need: DOCTYPE and with it entities,
// and processing instructions. The first error stays; after it nothing is read.
type cursor struct {
	src source
	xml *xml.Decoder
	o   DecodeOptions
	err error

	opened     bool // the decoder has read the < of the next tag
	selfClosed bool // the decoder will make the end of the element that was just read
	buf        []byte

	charset *charmap.Charmap // nil for UTF-8
	legacy  bool             // the document is in charset for sure
}

// tag is a tag of an element, with the prefix as written.
type tag struct {
	name string
	end  bool
	at   int64
}

func (t tag) String() string {
	if t.end {
		return "</" + t.name + ">"
	}
	return "<" + t.name + ">"
}

// stop keeps the first error.
func (c *cursor) stop(at int64, err error) error {
	if c.err == nil && err != nil {
		if _, ok := err.(*Error); !ok { //nolint:errorlint // one that is wrapped is of another document
			err = &Error{Offset: at, Err: err}
		}
		c.err = err
	}
	return c.err
}

func (c *cursor) failAt(at int64, format string, args ...any) {
	_ = c.stop(at, fmt.Errorf(format, args...))
}

// open begins a document.
func (c *cursor) open(r io.Reader) {
	c.src = newSource(r, c.o)
	c.xml = xml.NewDecoder(&c.src)
	c.xml.CharsetReader = func(name string, r io.Reader) (io.Reader, error) { return r, c.declared(name) }
	c.charset = mediaCharset(c.o.ContentType)
	_ = c.stop(0, c.src.start())
	const start = "<?xml"
	if ahead, err := c.src.peek(len(start) + 1); err == nil && len(ahead) > len(start) &&
		string(ahead[:len(start)]) == start &&
		isSpace(ahead[len(start)]) {
		c.token()
	}
	if c.charset != nil && c.err == nil {
		_ = c.stop(0, c.detect())
	}
}

// token reads the next token, nil after an error. Its bytes are good until the one after it is read.
func (c *cursor) token() xml.Token {
	if c.stop(0, c.src.token(c.opened, c.o.MaxText)) != nil {
		return nil
	}
	at := c.src.offset()
	t, err := c.xml.RawToken()
	c.opened, c.selfClosed = false, false
	switch t.(type) {
	case xml.CharData:
		c.opened = !c.src.cdata
	case xml.StartElement:
		c.selfClosed = c.src.atSelfClosing()
	}
	if err != nil {
		c.broken(at, err)
		return nil
	}
	return t
}

// broken says why a token cannot be read.
func (c *cursor) broken(at int64, err error) {
	ahead, _ := c.src.peek(1)
	syntax, ok := errors.AsType[*xml.SyntaxError](err)
	switch {
	case c.src.err != nil:
		_ = c.stop(at, c.src.err)
	case len(ahead) == 0:
		c.failAt(c.src.offset(), "the document ends too early: was it cut off?")
	case ok:
		c.failAt(at, "the document is not well-formed XML: %s", syntax.Msg)
	default:
		_ = c.stop(at, err)
	}
}

// between reports whether the source stands where the last token ended.
func (c *cursor) between() bool { return c.err == nil && !c.opened && !c.selfClosed }

// skipSpace also reports whether there may be a tag in the source.
func (c *cursor) skipSpace() bool { return c.between() && c.stop(0, c.src.skipSpace()) == nil }

// tag reads the next tag. Only white space and comments may stand before it.
func (c *cursor) tag() tag {
	c.skipSpace()
	text, t := c.next()
	if len(bytes.TrimLeft(text, blanks)) > 0 {
		c.failAt(t.at, "found the text %s where a tag is expected", quote(text))
	}
	return t
}

// next reads a text, and the tag behind it. The text is good until the one after it is read.
func (c *cursor) next() ([]byte, tag) {
	c.buf = c.buf[:0]
	for c.err == nil {
		at := c.src.offset()
		if c.opened {
			at--
		}
		switch token := c.token().(type) {
		case xml.CharData:
			if c.buf = append(c.buf, token...); len(c.buf) > c.o.MaxText {
				c.failAt(at, "a text is longer than %d bytes", c.o.MaxText)
			}
		case xml.StartElement:
			return c.buf, tag{name: fullName(token.Name), at: at}
		case xml.EndElement:
			return c.buf, tag{name: fullName(token.Name), end: true, at: at}
		case xml.ProcInst:
			c.failAt(at, "a processing instruction is not allowed here")
		case xml.Directive:
			_ = c.stop(at, directive(token))
		}
	}
	return nil, tag{}
}

func fullName(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return n.Space + ":" + n.Local
}

const whichPage = "is the URL right, or is a maintenance page being served?"

func directive(text []byte) error {
	const html = "doctype html"
	switch {
	case bytes.EqualFold(text[:min(len(text), len(html))], []byte(html)):
		return errors.New("the document is an HTML page: " + whichPage)
	case bytes.HasPrefix(text, []byte("DOCTYPE")):
		return errors.New("a DOCTYPE is refused: XML-RPC has none, and its entities can grow without end")
	default:
		return fmt.Errorf("%s is not allowed here", quote("<!"+string(text)))
	}
}

// textOrTag reads the text in an element, and its end or the start of another element.
func (c *cursor) textOrTag(element string) ([]byte, tag) {
	if c.between() && !c.legacy {
		if text, ok := c.src.text(element, c.o.MaxText); ok {
			return text, tag{name: element, end: true}
		}
	}
	text, t := c.next()
	if c.err == nil && t.end && t.name != element {
		c.failAt(t.at, "expected </%s>, found %s", element, t)
	}
	return c.decoded(text), t
}

// content reads the rest of an element that has nothing but text.
func (c *cursor) content(element string) []byte {
	text, t := c.textOrTag(element)
	if c.err == nil && !t.end {
		c.failAt(t.at, "expected </%s>, found %s", element, t)
	}
	return text
}

// start reads the start of an element.
func (c *cursor) start(element string) tag {
	t, _ := c.startOr(element, "")
	return t
}

// startOr reads the start of an element, or the end of the one around it.
func (c *cursor) startOr(element, around string) (t tag, started bool) {
	if c.skipSpace() {
		if at := c.src.offset(); c.src.tag("<", element) {
			return tag{name: element, at: at}, true
		}
	}
	t = c.tag()
	if c.err == nil && (!t.end || t.name != around) && (t.end || t.name != element) {
		c.failAt(t.at, "expected <%s>, found %s", element, t)
	}
	return t, c.err == nil && !t.end
}

// ends reads the ends of elements.
func (c *cursor) ends(elements ...string) {
	for _, element := range elements {
		if c.skipSpace() && c.src.tag("</", element) {
			continue
		}
		if t := c.tag(); c.err == nil && (!t.end || t.name != element) {
			c.failAt(t.at, "expected </%s>, found %s", element, t)
		}
	}
}

// finish checks that only white space and comments follow.
func (c *cursor) finish() {
	for c.skipSpace() {
		ahead, err := c.src.peek(len("<!--"))
		if err != nil || len(ahead) == 0 {
			_ = c.stop(0, err)
			return
		}
		if string(ahead) != "<!--" {
			c.failAt(c.src.offset(), "something follows the document: %s", quote(c.src.buf[c.src.pos:c.src.end]))
		}
		c.token()
	}
}
