package filter

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/rql"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// ParseOption supplies [Parse] with a function or classifier that the text refers to.
type ParseOption func(*parser)

// WithFunc defines the function of func(name); see [Func].
func WithFunc(name string, fn func(*commerce.Order) bool) ParseOption {
	return func(p *parser) { p.funcs[name] = fn }
}

// WithClassifier sets the classifier for conditions on class; see [MessageClass]. Default: [failure.DefaultClassifier].
func WithClassifier(c *failure.Classifier) ParseOption {
	return func(p *parser) { p.classifier = c }
}

// WithVerdict sets the function for conditions on verdict; see [Verdicts]. Without it they are errors.
func WithVerdict(cause VerdictFunc) ParseOption {
	return func(p *parser) { p.cause = cause }
}

// WithWindow sets the function for conditions on window, and the ids of the windows that there are; see [CausedBy].
// Without it they are errors, and so is another id.
func WithWindow(cause WindowFunc, known ...string) ParseOption {
	return func(p *parser) { p.window, p.windows = cause, known }
}

// WithClass sets the function for conditions on class, instead of a classifier of failure texts.
func WithClass(of ClassFunc) ParseOption {
	return func(p *parser) { p.class = of }
}

// Parse parses a filter from RQL text, as returned by the method String of a [Filter] or in a shorter form:
//
//	and(in(status,(PF,LO)),ge(placed,2026-11-01T00:00:00Z),ilike(reason,*gateway*))
//	type=SO&channel=reseller
//
// Terms separated by & must all match. A term is and, or, not, everything(), func(name), or one of
//
//   - eq, ne, in, out, like (case-sensitive) and ilike (ignoring case), with * for any text, on id, billingId, number,
//     type, status, provisioningStatus, vendor, channel (direct, reseller or "" for unknown), customer, customerName,
//     subscription, tenant, reason and template (the reason without the parts that vary, see [failure.Template]);
//   - eq, ne, in, out on class (transient, permanent, alreadyProvisioned, unclassified), verdict (caused, likely,
//     unrelated, unknown) and window (the id of the maintenance that caused the failure, certainly or probably);
//   - ge, gt, le, lt on placed and failed, with a time in RFC 3339 or a date (midnight UTC);
//   - eq, ge, gt, le, lt on amount, with a currency: 100.50EUR.
//
// To select every order write everything(); an empty text is an error. For every filter of this package,
// Parse(f.String()) returns the same filter, given the same functions and classifier. An error is one line with the
// byte offset of the mistake.
func Parse(text string, opts ...ParseOption) (Filter, error) {
	p := &parser{text: text, funcs: map[string]func(*commerce.Order) bool{}}
	for _, opt := range opts {
		opt(p)
	}
	if strings.TrimSpace(text) == "" {
		return nil, Validate(nil)
	}
	terms, err := rql.Parse(rql.Text, text)
	if err != nil {
		return nil, fmt.Errorf("filter: %s", strings.TrimPrefix(err.Error(), "rql: "))
	}
	filters, err := p.terms(terms)
	if err != nil {
		return nil, err
	}
	f := And(filters...)
	if err := Validate(f); err != nil {
		return nil, err
	}
	return f, nil
}

type parser struct {
	text       string
	at         int // byte offset at or before the current token
	funcs      map[string]func(*commerce.Order) bool
	classifier *failure.Classifier
	cause      VerdictFunc
	window     WindowFunc
	windows    []string
	class      ClassFunc
}

// errorf returns an error with the offset of the current token.
func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("filter: byte %d: %s", p.at, fmt.Sprintf(format, args...))
}

// seek moves to the next occurrence of a token and returns the offset after it. Expressions are visited in the order of
// the text, so the next occurrence is the right one.
func (p *parser) seek(token string) (after int) {
	written := strings.ReplaceAll(token, `"`, `""`)
	if i := strings.Index(p.text[p.at:], written); i >= 0 {
		p.at += i
		return p.at + len(written)
	}
	return p.at
}

// skipOperator moves to the arguments of an operator in the long form. The short form does not name the operator.
func (p *parser) skipOperator(op string) {
	rest := strings.TrimLeft(p.text[p.at:], " \t\r\n,&|();\"")
	if strings.HasPrefix(rest, op+"(") {
		p.at = len(p.text) - len(rest) + len(op) + len("(")
	}
}

func (p *parser) terms(exprs []rql.Expr) ([]Filter, error) {
	filters := make([]Filter, 0, len(exprs))
	for _, e := range exprs {
		f, err := p.term(e)
		if err != nil {
			return nil, err
		}
		filters = append(filters, f)
	}
	return filters, nil
}

var (
	conditionOperators = []string{"eq", "ne", "in", "out", "like", "ilike", "lt", "le", "gt", "ge"}
	groupOperators     = []string{"and", "or", "not", "everything", "func"}
)

func (p *parser) term(e rql.Expr) (Filter, error) {
	switch {
	case slices.Contains(conditionOperators, e.Op):
		p.skipOperator(e.Op)
		return p.conditionOn(e)
	case slices.Contains(groupOperators, e.Op):
		p.skipOperator(e.Op)
		return p.group(e)
	default:
		p.seek(e.Op)
		known := append(slices.Clone(groupOperators), conditionOperators...)
		return nil, p.errorf("unknown operator %q%s; known are %s", e.Op, text.DidYouMean(e.Op, known),
			strings.Join(known, ", "))
	}
}

func (p *parser) group(e rql.Expr) (Filter, error) {
	switch e.Op {
	case "everything":
		if len(e.Args) > 0 {
			return nil, p.errorf("everything() takes no arguments")
		}
		return Everything(), nil
	case "func":
		return p.fn(e)
	}
	// rql.Parse has checked the number and kind of the arguments.
	exprs := make([]rql.Expr, 0, len(e.Args))
	for _, arg := range e.Args {
		exprs = append(exprs, *arg.Expr)
	}
	filters, err := p.terms(exprs)
	switch {
	case err != nil:
		return nil, err
	case e.Op == "and":
		return p.checked(And(filters...))
	case e.Op == "or":
		return p.checked(Or(filters...))
	default:
		return p.checked(Not(filters[0]))
	}
}

func (p *parser) fn(e rql.Expr) (Filter, error) {
	if len(e.Args) != 1 || e.Args[0].Expr != nil || e.Args[0].List != nil || e.Args[0].Constant {
		return nil, p.errorf("func takes the name of one function")
	}
	name := e.Args[0].Value
	p.seek(name)
	fn := p.funcs[name]
	if fn == nil {
		return nil, p.errorf("unknown function %q; define it with WithFunc", name)
	}
	return p.checked(Func(name, fn))
}

func (p *parser) conditionOn(e rql.Expr) (Filter, error) {
	name := e.Args[0].Value
	after := p.seek(name)
	prop, ok := propertyByName(name)
	if !ok {
		return nil, p.errorf("unknown property %q%s; known are %s", name, text.DidYouMean(name, propertyNames),
			strings.Join(propertyNames, ", "))
	}
	if known := prop.operators(); !slices.Contains(known, e.Op) {
		return nil, p.errorf("%s does not work on %s; use %s", e.Op, prop, strings.Join(known, ", "))
	}
	p.at = after
	var values []string
	for _, v := range e.Args[1].Values() {
		if v.Constant {
			p.seek(v.Value)
			return nil, p.errorf("%s: %s is not supported; write \"\" for an unknown value", prop, v.Value)
		}
		values = append(values, v.Value)
	}
	if e.Op == "in" || e.Op == "out" {
		return p.list(e.Op, prop, values)
	}
	return p.value(e.Op, prop, values[0])
}

var (
	textOperators  = []string{"eq", "ne", "in", "out", "like", "ilike"}
	classOperators = []string{"eq", "ne", "in", "out"}
	timeOperators  = []string{"ge", "gt", "le", "lt"}
	// Not ne, which would also match orders in other currencies.
	amountOperators = []string{"eq", "ge", "gt", "le", "lt"}
)

func (p property) operators() []string {
	switch p {
	case propClass, propVerdict, propWindow:
		return classOperators
	case propPlaced, propFailed:
		return timeOperators
	case propAmount:
		return amountOperators
	default:
		return textOperators
	}
}

func (p *parser) list(op string, prop property, values []string) (Filter, error) {
	f, err := p.checked(p.oneOf(prop, values))
	if err != nil {
		return nil, err
	}
	for _, v := range values {
		p.at = p.seek(v)
	}
	if op == "out" {
		f = Not(f)
	}
	return f, nil
}

func (p *parser) value(op string, prop property, value string) (Filter, error) {
	after := p.seek(value)
	f, err := p.condition(op, prop, value)
	if err != nil {
		return nil, p.errorf("%s", strings.TrimPrefix(err.Error(), "filter: "))
	}
	p.at = after
	return f, nil
}

// condition returns the condition on one value.
func (p *parser) condition(op string, prop property, value string) (Filter, error) {
	var f Filter
	switch {
	case prop == propPlaced || prop == propFailed:
		at, err := parseInstant(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", prop, err)
		}
		f = newTimeBound(prop, Comparison(op), at)
	case prop == propAmount:
		m, err := commerce.ParseMoney(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", prop, err)
		}
		f = Total(Comparison(op), m)
	case op == "like" || op == "ilike":
		f = newLike(prop, value, op == "ilike")
	case op == "ne":
		f = Not(p.oneOf(prop, []string{value}))
	default:
		f = p.oneOf(prop, []string{value})
	}
	return f, Validate(f)
}

func (p *parser) oneOf(prop property, values []string) Filter {
	switch prop {
	case propClass:
		if p.class != nil {
			return classes(p.class, values)
		}
		return MessageClass(p.classifier, converted[failure.Class](values)...)
	case propVerdict:
		return Verdicts(p.cause, converted[failure.Verdict](values)...)
	case propWindow:
		return p.causedBy(values)
	default:
		return newOneOf(prop, values)
	}
}

// causedBy returns the condition on the windows with some ids, which must exist.
func (p *parser) causedBy(ids []string) Filter {
	if p.window != nil {
		for _, id := range ids {
			if !slices.Contains(p.windows, id) {
				return reject("there is no maintenance window %q%s", id, text.DidYouMean(id, p.windows))
			}
		}
	}
	return CausedBy(p.window, ids...)
}

func converted[T ~string](values []string) []T {
	out := make([]T, len(values))
	for i, v := range values {
		out[i] = T(v)
	}
	return out
}

// checked adds the position to the error of a constructor.
func (p *parser) checked(f Filter) (Filter, error) {
	if err := Validate(f); err != nil {
		return nil, p.errorf("%s", strings.TrimPrefix(err.Error(), "filter: "))
	}
	return f, nil
}

func parseInstant(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time; write 2026-11-01T22:00:00Z or a date, 2026-11-01", s)
}

// callText returns op(arg,…).
func callText(op string, args ...string) (string, error) {
	values := make([]rql.Arg, len(args))
	for i, arg := range args {
		values[i] = rql.Val(arg)
	}
	return rql.Format(rql.Text, ",", rql.Call(op, values...))
}

// listText returns the text of a condition on one or several values.
func listText(prop property, values []string) (string, error) {
	if len(values) == 1 {
		return callText("eq", prop.String(), values[0])
	}
	return rql.Format(rql.Text, ",", rql.Call("in", rql.Val(prop.String()), rql.Vals(values...)))
}
