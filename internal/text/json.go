package text

import (
	"encoding/json"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// AppendJSON appends s as a JSON string. It escapes runes that are not [Shown], so
// that the text can be printed, and reading it yields s again. Invalid UTF-8 becomes
// U+FFFD. Unlike encoding/json it leaves <, > and & as they are.
func AppendJSON(b []byte, s string) []byte {
	b = append(b, '"')
	if IsPlain(s) {
		return append(append(b, s...), '"') // nearly always, and for a million orders
	}
	start := 0 // of what is not yet appended
	for i := 0; i < len(s); {
		if c := s[i]; c >= ' ' && c <= '~' && c != '"' && c != '\\' {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if needsEscape(r, size) {
			b = appendEscape(append(b, s[start:i]...), r)
			start = i + size
		}
		i += size
	}
	return append(append(b, s[start:]...), '"')
}

// IsPlain reports whether s has only printable ASCII without quotation marks and backslashes: it is
// the same in JSON. It checks eight bytes at once.
func IsPlain(s string) bool {
	const each = 0x0101010101010101
	for ; len(s) >= 8; s = s[8:] {
		x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		quote, backslash, del := x^'"'*each, x^'\\'*each, x^'\x7F'*each
		// The first byte that is not ASCII, below a space, or one of these sets its highest bit in one of the terms.
		if (x|(x-' '*each)|(quote-each)|(backslash-each)|(del-each))&(0x80*each) != 0 {
			return false
		}
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// EscapeJSON returns a JSON text with the escapes of [AppendJSON] in its strings.
func EscapeJSON(text []byte) []byte {
	var out []byte // nil while nothing is escaped
	start := 0     // of what is not yet appended
	for i := 0; i < len(text); {
		if text[i] <= '~' { // what has to be escaped of these is already, but for DEL
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if needsEscape(r, size) {
			out = appendEscape(append(out, text[start:i]...), r)
			start = i + size
		}
		i += size
	}
	if start == 0 {
		return text
	}
	return append(out, text[start:]...)
}

// JSONEncoder returns an encoder whose strings have the escapes of [AppendJSON].
func JSONEncoder(w io.Writer) *json.Encoder {
	enc := json.NewEncoder(escaper{w})
	enc.SetEscapeHTML(false)
	return enc
}

// escaper is given whole JSON texts by an encoder.
type escaper struct{ to io.Writer }

func (e escaper) Write(text []byte) (int, error) {
	if _, err := e.to.Write(EscapeJSON(text)); err != nil {
		return 0, err
	}
	return len(text), nil
}

// needsEscape reports whether a rune that was decoded from size bytes is escaped.
func needsEscape(r rune, size int) bool {
	return r == '"' || r == '\\' || !Shown(r) || r == utf8.RuneError && size == 1
}

func appendEscape(b []byte, r rune) []byte {
	switch r {
	case '"', '\\':
		return append(b, '\\', byte(r))
	case '\b':
		return append(b, `\b`...)
	case '\f':
		return append(b, `\f`...)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return appendUnit(appendUnit(b, high), low)
	}
	return appendUnit(b, r)
}

// appendUnit appends the escape of one unit of UTF-16.
func appendUnit(b []byte, r rune) []byte {
	const hex = "0123456789abcdef"
	return append(b, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}
