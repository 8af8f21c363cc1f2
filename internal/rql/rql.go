// Package rql builds and parses RQL, the query language of CloudBlue's APIs.
//
// Three dialects differ in how a value is written, not in structure:
// [APS] (Commerce), [Connect], and [Text], the form in which this library shows
// filters to people and reads them back.
package rql

// Dialect tells how values are written and which short forms are read.
type Dialect int

const (
	// Text is for people: values are quoted where needed, and a double quote
	// inside quotes is doubled, so every value can be written.
	Text Dialect = iota
	// Connect quotes values; a value with both kinds of quotes cannot be written
	// (facts/connect.md 3). The query as a whole is percent-encoded once more.
	Connect
	// APS percent-encodes the reserved characters inside values
	// (facts/commerce.md 2.5).
	APS
)

// Expr is a call: op(arg, …).
type Expr struct {
	Op   string
	Args []Arg
}

// Arg is exactly one of an expression, a value, or a list in brackets.
type Arg struct {
	Expr  *Expr
	Value string
	List  []string // not nil (perhaps empty) for a list
}

// Call makes an expression.
func Call(op string, args ...Arg) Expr { return Expr{Op: op, Args: args} }

// Val is a value as an argument.
func Val(s string) Arg { return Arg{Value: s} }

// Vals is a list as an argument.
func Vals(s ...string) Arg { return Arg{List: append([]string{}, s...)} }

// Sub is an expression as an argument.
func Sub(e Expr) Arg { return Arg{Expr: &e} }

// Format writes the terms joined by sep ("," or "&") in a dialect. For APS the
// result is ready for URL.RawQuery; for Connect it still needs Escape.
func Format(d Dialect, sep string, terms ...Expr) (string, error) { panic("later") }

// Escape percent-encodes a formatted Connect query for URL.RawQuery: the server
// unquotes the whole query string before it parses (facts/connect.md 3).
func Escape(query string) string { panic("later") }

// Parse reads the top-level terms of a query. Short forms (p=v, p=ge=v, a&b,
// (a|b)) become calls. Errors name the byte offset.
func Parse(d Dialect, query string) ([]Expr, error) { panic("later") }

// Like reports whether s matches a pattern, in which * stands for any text and
// \* for a star. Case counts.
func Like(pattern, s string) bool { panic("later") }

// ILike is Like without regard to case.
func ILike(pattern, s string) bool { panic("later") }
