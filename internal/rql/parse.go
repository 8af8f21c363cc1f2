package rql

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Parse returns the top-level terms of a query; none if it is empty. Errors name the byte offset
// and what was expected there.
//
// Short forms become calls: p=v is eq(p,v), p=ge=v is ge(p,v); terms joined by &
// or "," at the top are separate terms; (a|b) and (a;b) are or(a,b), (a&b) is
// and(a,b). So limit=10&offset=20 becomes eq(limit,10) and eq(offset,20). As on the server, an
// "or" with | must be in brackets.
//
// A query for Connect must be unescaped first (url.PathUnescape); one for APS
// must not, since its values are decoded only after its structure is read.
func Parse(d Dialect, query string) ([]Expr, error) {
	if len(query) > maxSize {
		return nil, fmt.Errorf("rql: the query is %d bytes long, more than %d", len(query), maxSize)
	}
	p := parser{dialect: d, in: query}
	p.blanks()
	if p.pos == len(p.in) {
		return nil, nil
	}
	var terms []Expr
	for {
		start := p.pos
		e, err := p.term(1)
		if err != nil {
			return nil, err
		}
		if err := p.check(&e, start, true); err != nil {
			return nil, err
		}
		terms = append(terms, e)
		switch {
		case p.pos == len(p.in):
			return terms, nil
		case p.take(','), p.take('&'):
		case p.peek() == '|' || p.peek() == ';':
			return nil, p.errorAt(p.pos, "an or must be in brackets: (a|b)")
		default:
			return nil, p.expected(`"," or "&" or the end`)
		}
	}
}

type parser struct {
	dialect Dialect
	in      string
	pos     int
}

// term parses a call, a short form or a group, and the spaces after it. The caller validates the
// result.
func (p *parser) term(depth int) (Expr, error) {
	if depth > maxDepth {
		return Expr{}, p.errorAt(p.pos, fmt.Sprintf("more than %d levels deep", maxDepth))
	}
	p.blanks()
	if p.peek() == '(' {
		return p.group(depth)
	}
	start := p.pos
	name := p.name()
	if name == "" {
		return Expr{}, p.expected("a term such as eq(a,b) or a=b")
	}
	if p.peek() == '(' {
		return p.call(start, name, depth)
	}
	p.blanks()
	if p.take('=') {
		return p.short(name)
	}
	return Expr{}, p.expected(fmt.Sprintf(`"(" or "=" after %q`, name))
}

// nested reads a term inside another one.
func (p *parser) nested(depth int) (Expr, error) {
	p.blanks()
	start := p.pos
	e, err := p.term(depth)
	if err != nil {
		return Expr{}, err
	}
	return e, p.check(&e, start, false)
}

// check validates the term that was read from a byte on.
func (p *parser) check(e *Expr, start int, top bool) error {
	err := e.check(p.dialect, top)
	if err == nil && p.dialect == Connect && e.pages() && strings.ContainsAny(p.in[start:p.pos], `"'`) {
		err = errQuoted
	}
	if err != nil {
		return p.errorAt(start, err.Error())
	}
	return nil
}

func (p *parser) group(depth int) (Expr, error) {
	p.take('(')
	first, err := p.nested(depth + 1)
	if err != nil {
		return Expr{}, err
	}
	joined := Expr{Op: "and", Args: []Arg{Sub(first)}}
	for !p.take(')') {
		op := "and"
		switch {
		case p.take(','), p.take('&'):
		case p.take('|'), p.take(';'):
			op = "or"
		default:
			return Expr{}, p.expected(`"&" or "|" or ")"`)
		}
		if len(joined.Args) > 1 && op != joined.Op {
			return Expr{}, p.errorAt(p.pos-1, "and and or are mixed: put one of them in brackets")
		}
		joined.Op = op
		e, err := p.nested(depth + 1)
		if err != nil {
			return Expr{}, err
		}
		joined.Args = append(joined.Args, Sub(e))
	}
	p.blanks()
	if len(joined.Args) == 1 {
		return first, nil
	}
	return joined, nil
}

// short parses the rest of a short form after "p=".
func (p *parser) short(property string) (Expr, error) {
	p.blanks()
	op, start := "eq", p.pos
	if name := p.name(); (isComparison(name) || isMembership(name)) && p.take('=') {
		op = name
		p.blanks()
	} else {
		p.pos = start
	}
	if isMembership(op) {
		list, err := p.list()
		return Call(op, Val(property), Arg{List: list}), err
	}
	v, err := p.value()
	return Call(op, Val(property), v), err
}

func (p *parser) call(start int, op string, depth int) (Expr, error) {
	e := Expr{Op: op}
	if !isOperator(op) {
		return e, p.errorAt(start, fmt.Sprintf("%q is not an operator", op))
	}
	p.take('(')
	p.blanks()
	if p.take(')') {
		p.blanks()
		return e, nil
	}
	for {
		a, err := p.arg(op, depth)
		if err != nil {
			return e, err
		}
		e.Args = append(e.Args, a)
		p.blanks()
		if p.take(')') {
			p.blanks()
			return e, nil
		}
		if !p.take(',') {
			return e, p.expected(`"," or ")"`)
		}
	}
}

func (p *parser) arg(op string, depth int) (Arg, error) {
	p.blanks()
	switch {
	case isLogical(op):
		e, err := p.nested(depth + 1)
		return Sub(e), err
	case isProjection(op):
		property, err := p.text()
		return Val(property), err
	case p.peek() == '(':
		list, err := p.list()
		return Arg{List: list}, err
	case p.atCall():
		e, err := p.nested(depth + 1)
		return Sub(e), err
	default:
		return p.value()
	}
}

// atCall reports whether a call follows: a name and an opening bracket, but not a constant.
func (p *parser) atCall() bool {
	start := p.pos
	name := p.name()
	call := name != "" && p.peek() == '(' && !p.constant(start)
	p.pos = start
	return call
}

func (p *parser) constant(at int) bool {
	rest := p.in[at:]
	return strings.HasPrefix(rest, "null()") || strings.HasPrefix(rest, "empty()")
}

func (p *parser) list() ([]Arg, error) {
	if !p.take('(') {
		return nil, p.expected("a list such as (a,b)")
	}
	list := []Arg{}
	p.blanks()
	if p.take(')') {
		return list, nil
	}
	for {
		p.blanks()
		v, err := p.value()
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		p.blanks()
		if p.take(')') {
			return list, nil
		}
		if !p.take(',') {
			return nil, p.expected(`"," or ")"`)
		}
	}
}

func (p *parser) value() (Arg, error) {
	if p.constant(p.pos) {
		start := p.pos
		p.pos += strings.IndexByte(p.in[start:], ')') + 1
		v := Arg{Value: p.in[start:p.pos], Constant: true}
		p.blanks()
		return v, nil
	}
	start := p.pos
	v, err := p.text()
	if err == nil && p.dialect == Connect && p.in[start:p.pos] == tuple {
		err = p.errorAt(start, errTuple.Error())
	}
	return Val(v), err
}

func (p *parser) text() (string, error) {
	switch p.dialect {
	case Connect:
		return p.connectValue()
	case APS:
		return p.apsValue()
	default:
		return p.textValue()
	}
}

func (p *parser) textValue() (string, error) {
	start := p.pos
	if !p.take('"') {
		for p.pos < len(p.in) && !isTextStructure(p.in[p.pos]) {
			p.pos++
		}
		v := strings.TrimRight(p.in[start:p.pos], blanks)
		if v == "" {
			return "", p.expected("a value")
		}
		return v, nil
	}
	var b strings.Builder
	for {
		end := strings.IndexByte(p.in[p.pos:], '"')
		if end < 0 {
			return "", p.errorAt(start, `the quote is not closed`)
		}
		b.WriteString(p.in[p.pos : p.pos+end])
		p.pos += end + 1
		if !p.take('"') {
			p.blanks()
			return b.String(), nil
		}
		b.WriteByte('"')
	}
}

func (p *parser) connectValue() (string, error) {
	start := p.pos
	if q := p.peek(); q == '"' || q == '\'' {
		end := strings.IndexByte(p.in[start+1:], q)
		if end < 0 {
			return "", p.errorAt(start, "the quote is not closed")
		}
		p.pos = start + 1 + end + 1
		return p.in[start+1 : p.pos-1], nil
	}
	for p.pos < len(p.in) {
		r, size := utf8.DecodeRuneInString(p.in[p.pos:])
		if !isConnectRune(r, size, p.pos == start) {
			break
		}
		p.pos += size
	}
	if p.pos == start {
		return "", p.expected("a value (one that starts with another character than a letter, digit or - * + \\ " +
			"must be quoted)")
	}
	return p.in[start:p.pos], nil
}

// isConnectRune reports whether lib-rql accepts a character without quotes (connect/WIRE.md#3).
func isConnectRune(r rune, size int, first bool) bool {
	switch {
	case r == utf8.RuneError && size <= 1:
		return false
	case r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune(`-*+\`, r):
		return true
	default:
		return !first && (unicode.IsSpace(r) || strings.ContainsRune(`.:@`, r))
	}
}

// apsReserved must be percent-encoded inside values (commerce/WIRE.md#2.5); | joins terms, and " <
// > cannot stand in a URL.
const apsReserved = " !#&'(),=;[]|\"<>"

func (p *parser) apsValue() (string, error) {
	start := p.pos
	for p.pos < len(p.in) && strings.IndexByte(apsReserved, p.in[p.pos]) < 0 {
		p.pos++
	}
	if p.pos == start {
		return "", p.expected("a value (reserved characters must be percent-encoded)")
	}
	v, err := url.PathUnescape(p.in[start:p.pos])
	if err != nil {
		return "", p.errorAt(start, err.Error())
	}
	return v, nil
}

// name parses [A-Za-z][\w.-]*, or nothing.
func (p *parser) name() string {
	start := p.pos
	if !isLetter(p.peek()) {
		return ""
	}
	for c := p.peek(); isWord(c) || c == '.' || c == '-'; c = p.peek() {
		p.pos++
	}
	return p.in[start:p.pos]
}

const blanks = " \t\r\n"

// blanks skips spaces in the Text dialect.
func (p *parser) blanks() {
	for p.dialect == Text && p.pos < len(p.in) && strings.IndexByte(blanks, p.in[p.pos]) >= 0 {
		p.pos++
	}
}

// peek returns the next byte, or 0 at the end.
func (p *parser) peek() byte {
	if p.pos == len(p.in) {
		return 0
	}
	return p.in[p.pos]
}

func (p *parser) take(c byte) bool {
	if p.pos == len(p.in) || p.in[p.pos] != c {
		return false
	}
	p.pos++
	return true
}

func (p *parser) expected(what string) error {
	found := "the end"
	if rest := p.in[p.pos:]; rest != "" {
		// Whole runes only, so that the message stays readable.
		_, size := utf8.DecodeRuneInString(rest)
		found = fmt.Sprintf("%q", rest[:size])
	}
	return p.errorAt(p.pos, "expected "+what+", found "+found)
}

func (p *parser) errorAt(pos int, what string) error {
	return fmt.Errorf("rql: byte %d: %s", pos, what)
}
