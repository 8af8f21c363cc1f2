package ical

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// maxParams bounds the name and parameters of a line.
const maxParams = 2048

// line is an unfolded content line with the number of its first physical line.
type line struct {
	number int
	topic  string // its name, if wanted
	text   string
}

// name returns the property name in capitals; "" if there is none.
func (l line) name() string {
	end := strings.IndexFunc(l.text, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	if end < 0 {
		end = len(l.text)
	}
	return strings.ToUpper(l.text[:end])
}

// plainValue returns the value of a line without parameters, in capitals.
func (l line) plainValue() string {
	_, value, _ := strings.Cut(l.text, ":")
	return strings.ToUpper(strings.TrimSpace(value))
}

// unfold iterates over the content lines. Physical lines end in CRLF, LF or CR; one that
// starts with a space or a tab continues the one before, even inside a UTF-8 sequence
// (RFC 5545 3.1).
func unfold(data []byte) iter.Seq[line] {
	data = bytes.ReplaceAll(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	return func(yield func(line) bool) {
		var current line
		var more [][]byte
		number := 0
		emit := func() bool {
			l := current
			if len(more) > 1 {
				l.text = string(bytes.Join(more, nil))
			} else if len(more) == 1 {
				l.text = string(more[0])
			}
			more = more[:0]
			return l.text == "" || yield(l)
		}
		for physical := range bytes.SplitSeq(data, []byte("\n")) {
			number++
			if len(physical) > 0 && (physical[0] == ' ' || physical[0] == '\t') {
				more = append(more, physical[1:])
				continue
			}
			if !emit() {
				return
			}
			current = line{number: number}
			more = append(more, physical)
		}
		emit()
	}
}

func shown(s string) string { return text.Excerpt(s, 80) }

// property is a parsed content line.
type property struct {
	name   string
	params map[string]string // by name in capitals
	value  string
}

// times are the properties whose values are times, which have no colons.
var times = map[string]bool{"DTSTART": true, "DTEND": true, "RDATE": true, "EXDATE": true, "RECURRENCE-ID": true}

// property parses the line (RFC 5545 3.1) and unescapes its text.
func (l line) property() (property, error) {
	p := property{name: l.topic}
	head, value, found := cutUnquoted(l.text, ':')
	if !found {
		return p, fmt.Errorf("line %d: %s has no colon before its value", l.number, p.name)
	}
	if i := strings.LastIndexByte(value, ':'); i >= 0 && times[p.name] && len(value)-i > len(dateLayout) {
		// A TZID has a colon and no quotes.
		head, value = head+":"+value[:i], value[i+1:]
	}
	if len(head) >= maxParams {
		return p, fmt.Errorf("line %d: %s has more than %d bytes of parameters", l.number, p.name, maxParams)
	}
	name, params, _ := strings.Cut(head, ";")
	var ok bool
	if p.params, ok = parseParams(params); !ok || !strings.EqualFold(name, p.name) {
		return p, fmt.Errorf("line %d: %s cannot be read: it must look like %s;PARAMETER=…:value", l.number, p.name, p.name)
	}
	p.value = decode(value)
	return p, nil
}

// readable returns the value of a property that is only displayed or filtered by, even if its
// parameters cannot be read.
func (l line) readable() string {
	if p, err := l.property(); err == nil {
		return p.value
	}
	if _, value, found := strings.Cut(l.text, ":"); found {
		return decode(value)
	}
	return decode(l.text)
}

func decode(value string) string {
	return strings.TrimSpace(strings.ToValidUTF8(unescape.Replace(value), "\ufffd"))
}

// parseParams reads KEY=value;KEY="value". Of a repeated parameter the first counts.
func parseParams(text string) (params map[string]string, ok bool) {
	for more := text != ""; more; {
		var param string
		param, text, more = cutUnquoted(text, ';')
		key, value, found := strings.Cut(param, "=")
		if key == "" || !found {
			return nil, false
		}
		if params == nil {
			params = make(map[string]string)
		}
		key = strings.ToUpper(key)
		params[key] = cmp.Or(params[key], unescape.Replace(strings.ReplaceAll(value, `"`, "")))
	}
	return params, true
}

// unescape decodes TEXT (RFC 5545 3.3.11). Values of other types have no backslashes.
var unescape = strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\N`, "\n", `\;`, `;`, `\,`, `,`)

// cutUnquoted is strings.Cut at the first sep that is not in quotes.
func cutUnquoted(s string, sep byte) (before, after string, found bool) {
	quoted := false
	for i := range len(s) {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == sep && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
