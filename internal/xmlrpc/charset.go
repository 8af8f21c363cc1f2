package xmlrpc

import (
	"fmt"
	"mime"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

const knownCharsets = "only UTF-8, US-ASCII, ISO-8859-x, windows-125x and other encodings of one byte are understood"

// charsets are those of one byte, by their names without punctuation. All of them have ASCII in common.
var charsets = func() map[string]*charmap.Charmap {
	known := map[string]*charmap.Charmap{"utf8": nil}
	for _, c := range charmap.All {
		if c, ok := c.(*charmap.Charmap); ok && c != charmap.CodePage037 && c != charmap.CodePage1047 &&
			c != charmap.CodePage1140 { // EBCDIC
			known[charsetKey(c.String())] = c
		}
	}
	// As browsers read them: nobody means the control characters of ISO 8859-1.
	for _, name := range []string{"usascii", "ascii", "iso88591", "latin1"} {
		known[name] = charmap.Windows1252
	}
	for _, n := range []string{"1250", "1251", "1252", "1253", "1254", "1255", "1256", "1257", "1258"} {
		known["cp"+n] = known["windows"+n]
	}
	return known
}()

func charsetKey(name string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return -1
		}
		return unicode.ToLower(c)
	}, name)
}

// declared takes note of the encoding in the XML declaration.
func (c *cursor) declared(name string) error {
	charset, ok := charsets[charsetKey(name)]
	if !ok {
		return fmt.Errorf("the document is declared to be in %q: %s", name, knownCharsets)
	}
	if charset != nil {
		c.charset = charset
	}
	return nil
}

// mediaCharset is the encoding that a Content-Type declares; nil if it is UTF-8 or not known.
func mediaCharset(contentType string) *charmap.Charmap {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil
	}
	return charsets[charsetKey(params["charset"])]
}

// detect decides by the start of the document whether it is in the encoding that it declares. It may be UTF-8 all the
// same, but a single text can look like UTF-8 by chance.
func (c *cursor) detect() error {
	start, err := c.src.peek(window)
	for cut := range min(utf8.UTFMax, len(start)) { // the last character may be
		if utf8.Valid(start[:len(start)-cut]) {
			return err
		}
	}
	c.legacy = true
	return err
}

// decoded is a text as it was sent, in UTF-8 if its encoding is known: it may have control
// characters, and bytes that are no UTF-8.
func (c *cursor) decoded(text []byte) []byte {
	text = unescape(text)
	if c.charset == nil || !c.legacy && utf8.Valid(text) {
		return text
	}
	text, err := c.charset.NewDecoder().Bytes(text)
	_ = c.stop(c.src.offset(), err)
	return text
}

// Display is a text without the characters and bytes that XML, JSON and terminals cannot carry: each becomes U+FFFD.
func Display(text string) string {
	return strings.Map(func(c rune) rune { // which makes U+FFFD of invalid bytes
		if !validChar(c) {
			return utf8.RuneError
		}
		return c
	}, text)
}
