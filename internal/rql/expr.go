package rql

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Dialect defines how values are written and which short forms are parsed.
type Dialect int

const (
	// Text is for users: values are quoted if needed, and a double quote inside quotes is
	// doubled, so that every value can be written. Spaces between tokens are ignored.
	Text Dialect = iota
	// Connect quotes values; a value with both kinds of quotes cannot be written
	// (connect/WIRE.md#3). The query as a whole is percent-encoded once more, by [Escape]; undo
	// that with url.PathUnescape before [Parse].
	Connect
	// APS percent-encodes the reserved characters inside values
	// (commerce/WIRE.md#2.5). An empty value cannot be written; there is empty().
	APS
)

// String returns the name of the dialect.
func (d Dialect) String() string {
	switch d {
	case Text:
		return "Text"
	case Connect:
		return "Connect"
	case APS:
		return "APS"
	default:
		return fmt.Sprintf("Dialect(%d)", int(d))
	}
}

// Limits of queries. They are far above those of servers, and prevent a hostile query from
// exhausting stack or memory.
const (
	maxDepth = 64
	maxSize  = 16 << 20
)

// Expr is a call: op(arg, …).
//
// eq, ne, gt, ge, lt, le, like and ilike take a property and a value; in and out
// a property and a list of at least one value; and, or and not take expressions;
// sort, ordering and select take properties with an optional sign. All other
// operators take arguments of any kind.
type Expr struct {
	Op   string
	Args []Arg
}

// Arg is exactly one of an expression, a value, or a list of values in brackets.
type Arg struct {
	Expr *Expr
	// Value is a text, or RQL's constant "null()" or "empty()" if Constant is set.
	Value    string
	Constant bool
	List     []Arg // not nil (perhaps empty) for a list
}

// Call returns the expression op(args, …).
func Call(op string, args ...Arg) Expr { return Expr{Op: op, Args: args} }

// Val returns a value as an argument.
func Val(s string) Arg { return Arg{Value: s} }

// Vals returns a list of texts as an argument.
func Vals(s ...string) Arg {
	list := make([]Arg, len(s))
	for i, v := range s {
		list[i] = Val(v)
	}
	return Arg{List: list}
}

// Null returns the constant null(), which stands for no value.
func Null() Arg { return Arg{Value: "null()", Constant: true} }

// Empty returns the constant empty(), which stands for the empty text.
func Empty() Arg { return Arg{Value: "empty()", Constant: true} }

// Values returns the values of an argument: those of a list, or the one value.
func (a Arg) Values() []Arg {
	if a.List != nil {
		return a.List
	}
	return []Arg{a}
}

// Sub returns an expression as an argument.
func Sub(e Expr) Arg { return Arg{Expr: &e} }

// tuple is a keyword of Connect: it can be neither a property to compare nor a value without quotes
// (connect/WIRE.md#14.2).
const tuple = "t"

var errTuple = errors.New("t is a keyword of Connect: quote it as a value, and do not compare it as a property")

var errQuoted = errors.New("limit and offset take a number without quotes: Connect ignores a quoted one")

// escapes replaces what is no wildcard in a pattern of Connect.
var escapes = strings.NewReplacer(`\\`, "-", `\*`, "-")

func isConstant(s string) bool { return s == "null()" || s == "empty()" }

func isComparison(op string) bool {
	switch op {
	case "eq", "ne", "gt", "ge", "lt", "le", "like", "ilike":
		return true
	default:
		return false
	}
}

func isMembership(op string) bool { return op == "in" || op == "out" }
func isLogical(op string) bool    { return op == "and" || op == "or" || op == "not" }
func isProjection(op string) bool { return op == "sort" || op == "ordering" || op == "select" }

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || isLetter(c)
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// isProperty reports whether s is [A-Za-z][\w.-]* (connect/WIRE.md#3).
func isProperty(s string) bool {
	if s == "" || !isLetter(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isWord(s[i]) && s[i] != '.' && s[i] != '-' {
			return false
		}
	}
	return true
}

func isOperator(s string) bool {
	if s == "" || !isLetter(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isWord(s[i]) {
			return false
		}
	}
	return true
}

func isSignedProperty(s string) bool {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	return isProperty(s)
}

// check validates an expression, without nested expressions. top means that it is a term of the
// query.
func (e *Expr) check(d Dialect, top bool) error {
	for _, a := range e.Args {
		if err := a.check(); err != nil {
			return fmt.Errorf("an argument of %s %w", e.Op, err)
		}
	}
	switch {
	case !isOperator(e.Op):
		return fmt.Errorf("%q is not an operator: it must be a letter and then letters, digits or _", e.Op)
	case isConstant(e.Op + "()"):
		return fmt.Errorf("%s() is a value, not an expression", e.Op)
	case isComparison(e.Op):
		return e.checkComparison(d)
	case isMembership(e.Op):
		return e.checkMembership(d)
	case isLogical(e.Op):
		return e.checkLogical(d)
	case isProjection(e.Op):
		return e.checkProjection(d, top)
	case d == Connect && e.Op == tuple:
		return e.checkTuple()
	default:
		return nil
	}
}

// check validates an argument, without its expression.
func (a Arg) check() error {
	switch {
	case a.Expr != nil && (a.Value != "" || a.List != nil), a.List != nil && a.Value != "":
		return errors.New("is more than one of expression, value and list")
	case a.Constant && !isConstant(a.Value):
		return fmt.Errorf("is %q, which is not a constant", a.Value)
	}
	for _, v := range a.List {
		if v.Expr != nil || v.List != nil {
			return errors.New("is a list of something else than values")
		}
		if err := v.check(); err != nil {
			return err
		}
	}
	return nil
}

func (e *Expr) checkProperty(d Dialect) error {
	if len(e.Args) != 2 {
		return fmt.Errorf("%s takes a property and a value or list, not %d arguments", e.Op, len(e.Args))
	}
	if p := e.Args[0]; p.Expr != nil || p.List != nil || !isProperty(p.Value) {
		return fmt.Errorf("%q in %s is not a property: it must be a letter and then letters, digits, _ . or -", p.Value, e.Op)
	}
	if d == Connect && e.Args[0].Value == tuple {
		return errTuple
	}
	return nil
}

func (e *Expr) checkComparison(d Dialect) error {
	if err := e.checkProperty(d); err != nil {
		return err
	}
	v := e.Args[1]
	switch {
	case v.Expr != nil || v.List != nil:
		return fmt.Errorf("%s(%s,…) takes a value", e.Op, e.Args[0].Value)
	case d == Connect && e.pages() && !isBareConnect(v.Value):
		return errQuoted
	case d == Connect && (e.Op == "like" || e.Op == "ilike") && strings.Contains(escapes.Replace(v.Value), "**"):
		return fmt.Errorf("%s takes no ** in the Connect dialect: * stands for any text", e.Op)
	default:
		return nil
	}
}

// pages reports whether a comparison is about the part of a list that is read (connect/WIRE.md#14.5).
func (e *Expr) pages() bool {
	return isComparison(e.Op) && len(e.Args) == 2 && (e.Args[0].Value == "limit" || e.Args[0].Value == "offset")
}

func (e *Expr) checkMembership(d Dialect) error {
	if err := e.checkProperty(d); err != nil {
		return err
	}
	if len(e.Args[1].List) == 0 {
		return fmt.Errorf("%s(%s,…) takes a list of at least one value, such as (a,b)", e.Op, e.Args[0].Value)
	}
	return nil
}

func (e *Expr) checkLogical(d Dialect) error {
	if slices.ContainsFunc(e.Args, func(a Arg) bool { return a.Expr == nil }) {
		return fmt.Errorf("%s takes expressions such as eq(a,b)", e.Op)
	}
	switch {
	case e.Op == "not" && len(e.Args) != 1:
		return fmt.Errorf("not takes one expression, not %d", len(e.Args))
	case e.Op == "not" && d == Connect && isLogical(e.Args[0].Expr.Op):
		// The grammar of lib-rql has not( expr_term ), and a term is no logic.
		return errors.New("not takes one plain expression in the Connect dialect: push the negation down (ne, out)")
	case len(e.Args) == 0:
		return fmt.Errorf("%s needs a term", e.Op)
	case e.Op != "not" && d == Connect && len(e.Args) < 2:
		return fmt.Errorf("%s needs two terms in the Connect dialect: write the one term by itself", e.Op)
	default:
		return nil
	}
}

func (e *Expr) checkTuple() error {
	comparison := func(a Arg) bool { return a.Expr != nil && isComparison(a.Expr.Op) }
	if len(e.Args) == 0 || slices.ContainsFunc(e.Args, func(a Arg) bool { return !comparison(a) }) {
		return fmt.Errorf("%s takes comparisons such as eq(a,b)", tuple)
	}
	return nil
}

func (e *Expr) checkProjection(d Dialect, top bool) error {
	if d == Connect && !top {
		return fmt.Errorf("%s must be a term of its own in the Connect dialect", e.Op)
	}
	for _, a := range e.Args {
		if a.Expr != nil || a.List != nil || !isSignedProperty(a.Value) {
			return fmt.Errorf("%s takes properties with an optional + or -, such as -created; not %q", e.Op, a.Value)
		}
	}
	return nil
}
