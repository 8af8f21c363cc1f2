package rql

import (
	"errors"
	"fmt"
	"strings"
)

// Format writes terms in a dialect, joined by sep ("," or "&"). For APS the result is ready for
// URL.RawQuery; for Connect it must be passed to [Escape].
//
// In the Connect dialect the terms eq(limit,n) and eq(offset,n) are written as
// limit=n and offset=n, as its paging expects. "and" and "or" of a single term are an error
// there, because the server rejects them.
func Format(d Dialect, sep string, terms ...Expr) (string, error) {
	if sep != "," && sep != "&" {
		return "", fmt.Errorf("rql: %q does not join terms: use \",\" or \"&\"", sep)
	}
	w := writer{dialect: d}
	for i := range terms {
		if i > 0 {
			w.b.WriteString(sep)
		}
		if err := w.term(&terms[i]); err != nil {
			return "", fmt.Errorf("rql: %w", err)
		}
	}
	if w.b.Len() > maxSize {
		return "", fmt.Errorf("rql: the query is %d bytes long, more than %d", w.b.Len(), maxSize)
	}
	return w.b.String(), nil
}

type writer struct {
	dialect Dialect
	b       strings.Builder
}

func (w *writer) term(e *Expr) error {
	if w.dialect == Connect && e.Op == "eq" && e.pages() {
		if err := e.check(Connect, true); err != nil {
			return err
		}
		w.b.WriteString(e.Args[0].Value + "=")
		return w.value(e.Args[1])
	}
	return w.expr(e, 1)
}

func (w *writer) expr(e *Expr, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("more than %d levels deep", maxDepth)
	}
	if err := e.check(w.dialect, depth == 1); err != nil {
		return err
	}
	w.b.WriteString(e.Op)
	w.b.WriteByte('(')
	for i, a := range e.Args {
		if i > 0 {
			w.b.WriteByte(',')
		}
		if err := w.arg(e.Op, a, depth); err != nil {
			return err
		}
	}
	w.b.WriteByte(')')
	return nil
}

func (w *writer) arg(op string, a Arg, depth int) error {
	switch {
	case a.Expr != nil:
		return w.expr(a.Expr, depth+1)
	case a.List != nil:
		return w.list(a.List)
	case isProjection(op):
		// A plus sign is structure here: sort(+orderDate).
		w.b.WriteString(a.Value)
		return nil
	default:
		return w.value(a)
	}
}

func (w *writer) list(values []Arg) error {
	w.b.WriteByte('(')
	for i, v := range values {
		if i > 0 {
			w.b.WriteByte(',')
		}
		if err := w.value(v); err != nil {
			return err
		}
	}
	w.b.WriteByte(')')
	return nil
}

func (w *writer) value(a Arg) error {
	s := a.Value
	if a.Constant {
		w.b.WriteString(s)
		return nil
	}
	switch w.dialect {
	case Connect:
		return w.connectValue(s)
	case APS:
		return w.apsValue(s)
	default:
		w.textValue(s)
		return nil
	}
}

func (w *writer) textValue(s string) {
	if isBareText(s) {
		w.b.WriteString(s)
		return
	}
	w.b.WriteByte('"')
	w.b.WriteString(strings.ReplaceAll(s, `"`, `""`))
	w.b.WriteByte('"')
}

// isBareText reports whether a value needs no quotes. It is stricter than the parser, which
// accepts "a b" without quotes.
func isBareText(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f || isTextStructure(s[i]) {
			return false
		}
	}
	return true
}

func isTextStructure(c byte) bool { return strings.IndexByte(`(),=&|;"`, c) >= 0 }

func (w *writer) connectValue(s string) error {
	quote := `"`
	switch {
	case isBareConnect(s):
		quote = ""
	case !strings.Contains(s, `"`):
	case !strings.Contains(s, `'`):
		quote = `'`
	default:
		return fmt.Errorf("the value %q has both kinds of quotes: the Connect dialect cannot write it", s)
	}
	w.b.WriteString(quote + s + quote)
	return nil
}

// isBareConnect is ^[\w\-*+\\][\w.\-:+@*\\]*$ with an ASCII \w: the server reads
// more without quotes, but all of this for sure (connect/WIRE.md#3).
func isBareConnect(s string) bool {
	if s == "" || s == tuple || !isWord(s[0]) && !strings.ContainsRune(`-*+\`, rune(s[0])) {
		return false
	}
	for i := range len(s) {
		if !isWord(s[i]) && strings.IndexByte(`.-:+@*\`, s[i]) < 0 {
			return false
		}
	}
	return true
}

func (w *writer) apsValue(s string) error {
	if s == "" {
		return errors.New("the APS dialect cannot write an empty value: use empty()")
	}
	for i := range len(s) {
		// A plus is encoded too, because a server that parses the query as a form reads it as
		// a space; so are : / and ~, which some parsers read as operators (commerce/WIRE.md#7.2).
		if isUnreserved(s[i]) && s[i] != '~' || s[i] == '*' {
			w.b.WriteByte(s[i])
			continue
		}
		writePercent(&w.b, s[i])
	}
	return nil
}

// Escape percent-encodes a formatted Connect query for URL.RawQuery: the server
// unquotes the whole query string before it parses (connect/WIRE.md#3). A blank becomes %20, never
// a plus sign. Inside quotes the characters that join and nest terms are encoded as well, so that
// nothing on the way splits them.
func Escape(query string) string {
	var b strings.Builder
	b.Grow(len(query) + len(query)/4)
	var quote byte
	for i := range len(query) {
		c := query[i]
		switch {
		case isUnreserved(c), c == '*', c == ':', quote == 0 && strings.IndexByte("(),=&", c) >= 0:
			b.WriteByte(c)
		default:
			writePercent(&b, c)
		}
		switch {
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote:
			quote = 0
		}
	}
	return b.String()
}

func isUnreserved(c byte) bool { return isWord(c) || c == '-' || c == '.' || c == '~' }

func writePercent(b *strings.Builder, c byte) {
	const hex = "0123456789ABCDEF"
	b.WriteByte('%')
	b.WriteByte(hex[c>>4])
	b.WriteByte(hex[c&15])
}
