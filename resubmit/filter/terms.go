package filter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// PlacedBetween matches orders placed at or after from and before to; a zero time means no limit. An empty
// interval, or two open ends, are invalid. An order whose time of placing is unknown never matches.
func PlacedBetween(from, to time.Time) Filter { return between(propPlaced, from, to) }

// FailedBetween matches orders that failed at or after from and before to; a zero time means no limit. If
// the time of the failure is unknown, as always with Order Management, the time of placing is used: an order that was
// placed earlier and failed while it waited does not match, so start the interval early enough.
func FailedBetween(from, to time.Time) Filter { return between(propFailed, from, to) }

// FailedDuring matches orders that failed in at least one of the windows. If the time of the failure is unknown, as
// always with Order Management, it uses the time of placing, as [FailedBetween] does: an order that was placed before
// a window and failed in it does not match then, but does with [AffectedBy].
//
// FailedDuring uses the actual times of a window ([maintenance.Window.Span]), which is open if its end is unknown.
// Cancelled windows are ignored; without any other window the filter is invalid. The text form contains the times, not
// the windows.
func FailedDuring(windows ...maintenance.Window) Filter {
	var spans []Filter
	for _, w := range windows {
		if w.Cancelled {
			continue
		}
		span := w.Span()
		if span.Start.IsZero() {
			return reject("the window %q has no start", w.ID)
		}
		f := between(propFailed, span.Start, span.End)
		if err := Validate(f); err != nil {
			return reject("the window %q: %w", w.ID, err)
		}
		spans = append(spans, f)
	}
	if len(spans) == 0 {
		return reject("FailedDuring has no window that is not cancelled")
	}
	return Or(spans...)
}

// AffectedBy matches orders that [FailedDuring] matches, and those that were placed at most cfg.Margins.Before() before
// a window and whose failure that window has probably caused (see [failure.Attributor]). It is for clients that do not
// tell when an order failed, such as that of Order Management: an order that waits for Connect when a maintenance
// begins may fail in it. Orders without a reason, or with one that is unclassified, only match as they do with
// FailedDuring.
//
// cfg.Calendar has the other maintenance that is known: an order that was affected by an earlier one does not match,
// because it was decided about after that. cfg.Baseline is not used. The text form is that of the conditions; [Parse]
// it [WithVerdict].
func AffectedBy(cfg failure.AttributorConfig, windows ...maintenance.Window) Filter {
	during := FailedDuring(windows...)
	if err := Validate(during); err != nil {
		return during
	}
	before, tail := max(0, cfg.Margins.Before()), max(0, cfg.Margins.Tail)
	var spans []Filter
	var all []maintenance.Window
	var first time.Time
	add := func(id string, s maintenance.Span) { // without planned times and what else does not matter here
		if s.End.IsZero() {
			s.End = s.Start.AddDate(100, 0, 0)
		}
		all = append(all, maintenance.Window{ID: id + strconv.Itoa(len(all)), Start: s.Start, End: s.End})
	}
	for _, w := range windows {
		if w.Cancelled {
			continue
		}
		s := w.Span()
		if add(affected, s); first.IsZero() || s.Start.Before(first) {
			first = s.Start
		}
		to := s.End
		if !to.IsZero() {
			to = to.Add(tail)
		}
		spans = append(spans, FailedBetween(s.Start.Add(-before), to))
	}
	for w := range cfg.Calendar.OverlappingSeq(first.Add(-before), first) {
		if s := w.Span(); s.Start.Before(first) {
			add("", s)
		}
	}
	calendar, err := maintenance.NewCalendar(all)
	if err != nil {
		return reject("AffectedBy: %w", err)
	}
	attributor := failure.NewAttributor(failure.AttributorConfig{
		Calendar: calendar, Classifier: cfg.Classifier, Margins: cfg.Margins,
	})
	verdict := func(o *commerce.Order) failure.Verdict {
		found := attributor.Attribute(o)
		if !strings.HasPrefix(found.WindowID, affected) {
			return failure.UnknownCause
		}
		return found.Verdict
	}
	// The spans spare the planner from reading all other orders in full.
	return Or(during, And(Or(spans...), Verdicts(verdict, failure.Caused, failure.Likely)))
}

const affected = "affected-" // begins the ids of the windows of AffectedBy

// Types matches orders with any of the given types.
func Types(types ...commerce.OrderType) Filter { return newOneOf(propType, text.Strings(types)) }

// Statuses matches orders with any of the given statuses.
func Statuses(statuses ...commerce.Status) Filter {
	return newOneOf(propStatus, text.Strings(statuses))
}

// Customers matches orders of the customer accounts with the given ids.
func Customers(ids ...string) Filter { return newOneOf(propCustomer, ids) }

// CustomerLike matches the customer's name against a pattern, ignoring case; * matches any text.
func CustomerLike(pattern string) Filter { return newLike(propCustomerName, pattern, true) }

// VendorAccounts matches orders sold by the accounts with the given ids: the provider's own account or a reseller's.
func VendorAccounts(ids ...string) Filter { return newOneOf(propVendor, ids) }

// Channel matches orders from a sales channel: direct customers, or resellers.
func Channel(channel commerce.Channel) Filter {
	return newOneOf(propChannel, []string{string(channel)})
}

// Subscriptions matches orders that create or change a subscription with one of the given ids.
func Subscriptions(ids ...string) Filter { return newOneOf(propSubscription, ids) }

// IDs matches orders by [commerce.Order.ID], which API calls use.
func IDs(ids ...string) Filter { return newOneOf(propID, ids) }

// Numbers matches orders by their number, such as "SO000027".
func Numbers(numbers ...string) Filter { return newOneOf(propNumber, numbers) }

// NumberLike matches the number against a pattern; * matches any text. It is case-sensitive, as servers are.
func NumberLike(pattern string) Filter { return newLike(propNumber, pattern, false) }

// MessageLike matches the whole failure text ([commerce.Failure.Message]) against a pattern, ignoring case; * matches
// any text, so put one on each side to search anywhere in the text.
func MessageLike(pattern string) Filter { return newLike(propReason, pattern, true) }

// Templates matches orders whose failure text has one of the templates, see [failure.Template].
func Templates(templates ...string) Filter { return newOneOf(propTemplate, templates) }

// MessageClass matches orders whose failure text ([commerce.Failure.Message]) has one of the classes. A nil
// classifier means [failure.DefaultClassifier]. The text form does not name the classifier: pass another one to
// [Parse] by [WithClassifier].
func MessageClass(c *failure.Classifier, classes ...failure.Class) Filter {
	values, on, err := derivedValues(propClass, text.Strings(classes), text.Strings(failure.Classes()))
	if err != nil {
		return reject("%w", err)
	}
	return &reasonClass{onProperty: on, classifier: c, classes: values}
}

// derivedValues checks the values of a property that is not part of an order, and returns them without duplicates and
// with what the condition has in common with others.
func derivedValues(prop property, values, known []string) (distinct []string, on onProperty, err error) {
	if len(values) == 0 {
		return nil, on, fmt.Errorf("the list for %s is empty", prop)
	}
	for _, v := range values {
		if !slices.Contains(known, v) {
			return nil, on, fmt.Errorf("unknown %s %q%s; known are %s", prop, v, text.DidYouMean(v, known),
				strings.Join(known, ", "))
		}
	}
	distinct = unique(values)
	on.prop = prop
	on.text, err = listText(prop, distinct)
	return distinct, on, err
}

type reasonClass struct {
	onProperty

	classifier *failure.Classifier
	classes    []string
}

func (f *reasonClass) Match(o *commerce.Order) bool {
	class, _ := f.classifier.Classify(o.Failure.Message())
	return slices.Contains(f.classes, string(class))
}

// VerdictFunc returns the probable cause of an order's failure: usually
// func(o *commerce.Order) failure.Verdict { return attributor.Attribute(o).Verdict }, with a [failure.Attributor].
type VerdictFunc func(*commerce.Order) failure.Verdict

// Verdicts matches orders whose failure has one of the verdicts, such as those that a maintenance has [failure.Caused].
// Make the attributor of cause with the calendar, classifier and margins of the plan; requests in Connect, which a plan
// considers in addition, are not known here. The text form does not name the function: pass it to [Parse] by
// [WithVerdict].
func Verdicts(cause VerdictFunc, verdicts ...failure.Verdict) Filter {
	if cause == nil {
		return reject("verdict: there are no windows to compare with; pass the function of a failure.Attributor")
	}
	verdict := func(o *commerce.Order) string { return string(cause(o)) }
	return newDerived(propVerdict, verdict, text.Strings(verdicts), text.Strings(failure.Verdicts()))
}

// WindowFunc returns the id of the maintenance window that has caused an order's failure, certainly or probably; "" if
// none has: usually func(o *commerce.Order) string { return attributor.Attribute(o).WindowID }.
type WindowFunc func(*commerce.Order) string

// CausedBy matches orders whose failure was caused, certainly or probably, by one of the windows with some ids, see
// [Verdicts]. Unlike [FailedDuring] it also finds orders without a time of their failure. The text form does not name
// the function: pass it to [Parse] by [WithWindow].
func CausedBy(cause WindowFunc, ids ...string) Filter {
	if cause == nil {
		return reject("window: there are no windows to compare with; pass the function of a failure.Attributor")
	}
	if slices.Contains(ids, "") {
		return reject("window: an id is empty; to select what no maintenance has caused, use the verdicts")
	}
	return newDerived(propWindow, cause, ids, ids)
}

// ClassFunc returns the class of an order's failure, see [WithClass].
type ClassFunc func(*commerce.Order) failure.Class

func classes(of ClassFunc, values []string) Filter {
	class := func(o *commerce.Order) string { return string(of(o)) }
	return newDerived(propClass, class, values, text.Strings(failure.Classes()))
}

// onProperty is what all conditions on one property have in common.
type onProperty struct {
	prop property
	text string
}

func (c onProperty) String() string { return c.text }

func (c onProperty) property() property { return c.prop }

// condition is a filter with onProperty.
type condition interface{ property() property }

// derived is the condition that what a function returns is one of the values.
type derived struct {
	onProperty

	of     func(*commerce.Order) string
	values []string
}

func newDerived(prop property, of func(*commerce.Order) string, values, known []string) Filter {
	values, on, err := derivedValues(prop, values, known)
	if err != nil {
		return reject("%w", err)
	}
	return &derived{onProperty: on, of: of, values: values}
}

func (f *derived) Match(o *commerce.Order) bool { return slices.Contains(f.values, f.of(o)) }

// oneOf is the condition that a text property has one of the values.
type oneOf struct {
	onProperty

	values []string
	set    map[string]struct{} // nil for few values
}

// manyValues is the number of values above which a map is faster than a list.
const manyValues = 8

func newOneOf(prop property, values []string) Filter {
	if len(values) == 0 {
		return reject("the list for %s is empty", prop)
	}
	values = slices.Clone(values)
	for i, v := range values {
		values[i] = prop.comparable(v)
	}
	values = unique(values)
	for _, v := range values {
		if err := checkValue(prop, v); err != nil {
			return reject("%w", err)
		}
	}
	text, err := listText(prop, values)
	if err != nil {
		return reject("%s: %w", prop, err)
	}
	f := &oneOf{onProperty: onProperty{prop, text}, values: values}
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
	return f.has(f.prop.comparable(f.prop.value(o)))
}

func (f *oneOf) has(value string) bool {
	if f.set != nil {
		_, ok := f.set[value]
		return ok
	}
	return slices.Contains(f.values, value)
}

// timeBound is the condition that a time is on one side of an instant.
type timeBound struct {
	onProperty

	op Comparison
	at time.Time // UTC
}

func newTimeBound(prop property, op Comparison, at time.Time) Filter {
	at = at.UTC()
	if at.IsZero() || at.Year() < 1 || at.Year() > 9999 {
		return reject("%s: the time %s is out of range", prop, at)
	}
	text, err := callText(string(op), prop.String(), at.Format(time.RFC3339Nano))
	if err != nil {
		return reject("%s: %w", prop, err)
	}
	return &timeBound{onProperty: onProperty{prop, text}, op: op, at: at.Round(0)}
}

func between(prop property, from, to time.Time) Filter {
	switch {
	case from.IsZero() && to.IsZero():
		return reject("%s: both ends are open; to select every order use everything()", prop)
	case from.IsZero():
		return newTimeBound(prop, Less, to)
	case to.IsZero():
		return newTimeBound(prop, GreaterOrEqual, from)
	case !from.Before(to):
		return reject("%s: the interval is empty: it ends at %s and starts at %s", prop,
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

// Comparison is a comparison operator for [Total]. Its values are RQL operators.
type Comparison string

// The comparisons, as "the total of the order is … than the given amount".
const (
	Less           Comparison = "lt"
	LessOrEqual    Comparison = "le"
	Equal          Comparison = "eq"
	GreaterOrEqual Comparison = "ge"
	Greater        Comparison = "gt"
)

// holds reports whether the result of a comparison, -1, 0 or 1, satisfies the operator.
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

// amount is a condition on the total of an order.
type amount struct {
	onProperty

	op       Comparison
	value    decimal.Decimal
	currency string
}

// maxExponent is the most digits of an amount on each side of the decimal point.
const maxExponent = 30

// Total compares the total of an order with the amount m, such as the result of [commerce.ParseMoney]. An order in
// another currency, or without a total, never matches. The filter is invalid if m has no three-letter currency or more
// than 30 digits on one side of the decimal point.
func Total(op Comparison, m commerce.Money) Filter {
	currency := strings.ToUpper(m.Currency)
	if !isCurrency(currency) {
		return reject("amount: %q is not a currency; use three letters, as in 100EUR", m.Currency)
	}
	if !slices.Contains([]Comparison{Less, LessOrEqual, Equal, GreaterOrEqual, Greater}, op) {
		return reject("amount: unknown comparison %q", op)
	}
	if err := number.CheckDecimal(m.Amount); err != nil {
		return reject("amount: %w", err)
	}
	if exp := m.Amount.Exponent(); exp < -maxExponent || exp > maxExponent {
		return reject("amount: more than %d digits before or after the point", maxExponent)
	}
	digits := m.Amount.String() // the same for 12.50 and 12.5
	same, err := commerce.ParseMoney(digits + currency)
	if err != nil {
		return reject("amount: more than %d digits before or after the point", maxExponent)
	}
	text, err := callText(string(op), propAmount.String(), digits+currency)
	if err != nil {
		return reject("amount: %w", err)
	}
	return &amount{onProperty: onProperty{propAmount, text}, op: op, value: same.Amount, currency: currency}
}

func (f *amount) Match(o *commerce.Order) bool {
	return o.Total.Currency == f.currency && f.op.holds(o.Total.Amount.Cmp(f.value))
}

func isCurrency(s string) bool {
	return len(s) == 3 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// unique returns values without duplicates, in order.
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
