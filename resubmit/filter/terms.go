package filter

import (
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// PlacedBetween matches orders placed at or after from and before to. A zero
// time leaves that end open; both open, or an interval without an instant in
// it, is an error. An order that does not tell when it was placed never matches.
func PlacedBetween(from, to time.Time) Filter { return between(propPlaced, from, to) }

// FailedBetween matches orders that failed at or after from and before to, with
// open ends as for [PlacedBetween]. Where an order does not tell when it failed,
// and Order Management never does, the time of placing takes its place: an order
// that was placed earlier and failed while it waited is then not found, so let
// the interval begin early enough.
func FailedBetween(from, to time.Time) Filter { return between(propFailed, from, to) }

// FailedDuring matches orders that failed in at least one of the windows, by the
// time that [FailedBetween] goes by, and by when a window really held
// ([maintenance.Window.Span]): one that has begun and has no known end is still
// open. Cancelled windows are left out, and it is an error when none remains.
// The text form has the times, not the names of the windows.
func FailedDuring(windows ...maintenance.Window) Filter {
	var spans []Filter
	for _, w := range windows {
		if w.Cancelled {
			continue
		}
		span := w.Span()
		if span.Start.IsZero() {
			return refuse("the window %q has no start", w.ID)
		}
		f := between(propFailed, span.Start, span.End)
		if err := Validate(f); err != nil {
			return refuse("the window %q: %w", w.ID, err)
		}
		spans = append(spans, f)
	}
	if len(spans) == 0 {
		return refuse("FailedDuring got no window that takes place")
	}
	return Or(spans...)
}

// Types matches orders of any of these types.
func Types(types ...commerce.OrderType) Filter { return newOneOf(propType, text.Strings(types)) }

// Statuses matches orders in any of these statuses.
func Statuses(statuses ...commerce.Status) Filter {
	return newOneOf(propStatus, text.Strings(statuses))
}

// Customer matches orders of any of these customer accounts, by id.
func Customer(ids ...string) Filter { return newOneOf(propCustomer, ids) }

// CustomerLike matches the customer's name against a pattern with * for any
// text, without regard to case.
func CustomerLike(pattern string) Filter { return newLike(propCustomerName, pattern, true) }

// Vendor matches orders that any of these accounts sold, by id: the provider's
// own account or a reseller's.
func Vendor(ids ...string) Filter { return newOneOf(propVendor, ids) }

// Via matches orders that came through a channel: of direct customers, or of
// resellers'.
func Channel(channel commerce.Channel) Filter {
	return newOneOf(propChannel, []string{string(channel)})
}

// Subscription matches orders that make or change any of these subscriptions.
func Subscription(ids ...string) Filter { return newOneOf(propSubscription, ids) }

// IDs matches orders by the id for calls ([commerce.Order.ID]).
func IDs(ids ...string) Filter { return newOneOf(propID, ids) }

// Number matches orders by number, as people say it: "SO000027".
func Number(numbers ...string) Filter { return newOneOf(propNumber, numbers) }

// NumberLike matches the number against a pattern with * for any text. Case
// counts, so that a server can answer it.
func NumberLike(pattern string) Filter { return newLike(propNumber, pattern, false) }

// ReasonLike matches the whole failure message ([commerce.Failure.Message])
// against a pattern with * for any text, without regard to case: a pattern to be
// found anywhere begins and ends with a star.
func ReasonLike(pattern string) Filter { return newLike(propReason, pattern, true) }

// ReasonClass matches orders whose failure message a classifier puts into any
// of these classes. A nil classifier is the default one; Parse is told of
// another one with [WithClassifier], as the text form does not name it.
func ReasonClass(c *failure.Classifier, classes ...failure.Class) Filter {
	if len(classes) == 0 {
		return refuse("the list for class is empty")
	}
	for _, class := range classes {
		if !slices.Contains(failure.Classes(), class) {
			return refuse("unknown class %q%s; known are %s", class,
				text.DidYouMean(string(class), text.Strings(failure.Classes())),
				strings.Join(text.Strings(failure.Classes()), ", "))
		}
	}
	values := unique(text.Strings(classes))
	text, err := listText(propClass, values)
	if err != nil {
		return refuse("class: %w", err)
	}
	return &reasonClass{classifier: c, classes: values, text: text}
}

type reasonClass struct {
	classifier *failure.Classifier
	classes    []string
	text       string
}

func (f *reasonClass) Match(o *commerce.Order) bool {
	class, _ := f.classifier.Classify(o.Failure.Message())
	return slices.Contains(f.classes, string(class))
}

func (f *reasonClass) String() string { return f.text }

func (f *reasonClass) NeedsFullOrder() bool { return true }

// oneOf matches a text property that has one of the values.
type oneOf struct {
	prop   property
	values []string
	set    map[string]struct{} // only for many values
	text   string
}

// manyValues is where a map overtakes looking through a list.
const manyValues = 8

func newOneOf(prop property, values []string) Filter {
	if len(values) == 0 {
		return refuse("the list for %s is empty", prop)
	}
	values = unique(values)
	for _, v := range values {
		if err := checkValue(prop, v); err != nil {
			return refuse("%w", err)
		}
	}
	text, err := listText(prop, values)
	if err != nil {
		return refuse("%s: %w", prop, err)
	}
	f := &oneOf{prop: prop, values: values, text: text}
	if len(values) > manyValues {
		f.set = make(map[string]struct{}, len(values))
		for _, v := range values {
			f.set[v] = struct{}{}
		}
	}
	return f
}

func (f *oneOf) Match(o *commerce.Order) bool {
	if f.prop == propSubscription {
		return slices.ContainsFunc(o.SubscriptionIDs, f.has)
	}
	return f.has(f.prop.value(o))
}

func (f *oneOf) has(value string) bool {
	if f.set != nil {
		_, ok := f.set[value]
		return ok
	}
	return slices.Contains(f.values, value)
}

func (f *oneOf) String() string { return f.text }

// timeBound matches a time on one side of an instant.
type timeBound struct {
	prop property
	op   Comparison
	at   time.Time // UTC
	text string
}

func newTimeBound(prop property, op Comparison, at time.Time) Filter {
	at = at.UTC()
	if at.IsZero() || at.Year() < 1 || at.Year() > 9999 {
		return refuse("%s: the year of %s cannot be right", prop, at)
	}
	text, err := callText(string(op), prop.String(), at.Format(time.RFC3339Nano))
	if err != nil {
		return refuse("%s: %w", prop, err)
	}
	return &timeBound{prop: prop, op: op, at: at.Round(0), text: text}
}

func between(prop property, from, to time.Time) Filter {
	switch {
	case from.IsZero() && to.IsZero():
		return refuse("%s: both ends are open; to select every order say everything()", prop)
	case from.IsZero():
		return newTimeBound(prop, Less, to)
	case to.IsZero():
		return newTimeBound(prop, GreaterOrEqual, from)
	case !from.Before(to):
		return refuse("%s: the interval ends at %s, not after its start at %s", prop,
			to.UTC().Format(time.RFC3339Nano), from.UTC().Format(time.RFC3339Nano))
	default:
		return And(newTimeBound(prop, GreaterOrEqual, from), newTimeBound(prop, Less, to))
	}
}

func (f *timeBound) Match(o *commerce.Order) bool {
	t := f.prop.time(o)
	if t.IsZero() {
		return false
	}
	return f.op.holds(t.Compare(f.at))
}

func (f *timeBound) String() string { return f.text }

// Comparison is how an amount is compared. The values are operators of RQL.
type Comparison string

// The comparisons.
const (
	Less           Comparison = "lt"
	LessOrEqual    Comparison = "le"
	Equal          Comparison = "eq"
	GreaterOrEqual Comparison = "ge"
	Greater        Comparison = "gt"
)

// holds tells whether the sign of a comparison, -1, 0 or 1, is as asked for.
func (c Comparison) holds(sign int) bool {
	switch c {
	case Less:
		return sign < 0
	case LessOrEqual:
		return sign <= 0
	case Equal:
		return sign == 0
	case GreaterOrEqual:
		return sign >= 0
	case Greater:
		return sign > 0
	default:
		return false
	}
}

// amount compares the total of an order.
type amount struct {
	op       Comparison
	value    decimal.Decimal
	currency string
	text     string
}

// maxExponent bounds amounts on both sides of the point: far beyond any price,
// and small enough to be written out.
const maxExponent = 30

// Amount compares the total of an order with an amount of the same currency. An
// order in another currency, or without a total, never matches.
func Amount(op Comparison, m commerce.Money) Filter {
	currency := strings.ToUpper(m.Currency)
	if !isCurrency(currency) {
		return refuse("amount: %q is no currency; it takes three letters, as in 100EUR", m.Currency)
	}
	if !slices.Contains([]Comparison{Less, LessOrEqual, Equal, GreaterOrEqual, Greater}, op) {
		return refuse("amount: unknown comparison %q", op)
	}
	if err := number.CheckDecimal(m.Amount); err != nil {
		return refuse("amount: %w", err)
	}
	if exp := m.Amount.Exponent(); exp < -maxExponent || exp > maxExponent {
		return refuse("amount: more than %d digits before or after the point", maxExponent)
	}
	// 12.50 and 12.5 are the same filter.
	digits := m.Amount.String()
	if !moneyForm.MatchString(digits + currency) { // it could not be read back
		return refuse("amount: more than %d digits before or after the point", maxExponent)
	}
	value, err := number.Decimal(digits)
	if err != nil {
		return refuse("amount: %w", err)
	}
	text, err := callText(string(op), propAmount.String(), digits+currency)
	if err != nil {
		return refuse("amount: %w", err)
	}
	return &amount{op: op, value: value, currency: currency, text: text}
}

func (f *amount) Match(o *commerce.Order) bool {
	return o.Total.Currency == f.currency && f.op.holds(o.Total.Amount.Cmp(f.value))
}

func (f *amount) String() string { return f.text }

func isCurrency(s string) bool {
	return len(s) == 3 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// unique drops repeated values and keeps the order.
func unique(values []string) []string {
	seen := make(map[string]struct{}, len(values))
	out := make([]string, 0, len(values))
	for _, v := range values {
		if _, dup := seen[v]; !dup {
			seen[v] = struct{}{}
			out = append(out, v)
		}
	}
	return out
}
