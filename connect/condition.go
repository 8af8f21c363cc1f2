package connect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/fields"
	"github.com/cloudblue-go/cloudblue/internal/rql"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// filterFields are the fields by which Connect filters requests (connect/WIRE.md#2.3).
var filterFields = []string{
	"id", "created", "updated", "status", "type", "assignee", "marketplace.id", "contract.id", "sli.days", "sli.zone",
	"asset.id", "asset.status", "asset.external_id", "asset.external_uid", "asset.product.id", "asset.marketplace.id",
	"asset.connection.id", "asset.connection.type", "asset.connection.environment", "asset.connection.hub.id",
	"asset.connection.provider.id", "asset.connection.vendor.id", "asset.params.id", "asset.params.value",
	"asset.tiers.customer.id", "asset.tiers.tier1.id", "asset.tiers.tier2.id",
}

// WithFilterFields allows conditions on more fields in [RequestQuery].RQL, such as those of a newer
// Connect. Default: only the documented fields (connect/WIRE.md#2.3), because Connect ignores a
// condition on a field that it does not know, and returns everything (connect/WIRE.md#14.3).
func WithFilterFields(fields ...string) Option {
	return func(c *config) error {
		if slices.Contains(fields, "") {
			return fmt.Errorf("WithFilterFields: the field %d is empty", slices.Index(fields, "")+1)
		}
		c.filterFields = append(slices.Clone(filterFields), fields...)
		return nil
	}
}

// condition parses RQL of the user. Every field must be one of fields.
func condition(query string, fields []string) ([]rql.Expr, error) {
	terms, err := rql.Parse(rql.Connect, query)
	for i := 0; err == nil && i < len(terms); i++ {
		err = checkTerm(&terms[i], fields)
	}
	if err != nil {
		return nil, fmt.Errorf("RQL %q: %w", text.Clip(query, 80), err)
	}
	return terms, nil
}

func checkTerm(e *rql.Expr, fields []string) error {
	switch e.Op {
	case "and", "or", "not":
		for _, arg := range e.Args {
			if err := checkTerm(arg.Expr, fields); err != nil {
				return err
			}
		}
		return nil
	case "eq", "ne", "gt", "ge", "lt", "le", "like", "ilike", "in", "out":
	default:
		return fmt.Errorf("%s is not a condition; use the fields of RequestQuery", e.Op)
	}
	switch name := e.Args[0].Value; {
	case name == "limit" || name == "offset":
		return fmt.Errorf("%s is not a condition; use the fields of RequestQuery", name)
	case !slices.Contains(fields, name) && !slices.Contains(fields, dotted(name)):
		return fmt.Errorf("no filter on %q is documented%s: Connect would ignore it and return everything; allow other "+
			"fields with WithFilterFields", text.Clip(name, 40), text.DidYouMean(name, fields))
	default:
		return nil
	}
}

// dotted returns a field in the current notation; the old one is asset__id.
func dotted(field string) string { return strings.ReplaceAll(field, "__", ".") }

// verdict is whether a condition holds for a row. Min is "and", max is "or", minus is "not".
type verdict int

const (
	fails   verdict = -1
	unclear verdict = 0 // the row does not have the field, or servers differ in how they compare
	holds   verdict = 1
)

// violated returns the first term that certainly does not hold for a row, or "".
func violated(terms []rql.Expr, raw json.RawMessage) string {
	if len(terms) == 0 {
		return ""
	}
	var row any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&row) != nil {
		return ""
	}
	for i := range terms {
		if evaluate(&terms[i], row) == fails {
			term, _ := rql.Format(rql.Connect, "&", terms[i])
			return "not " + text.Clip(term, 80)
		}
	}
	return ""
}

func evaluate(e *rql.Expr, row any) verdict {
	switch e.Op {
	case "not":
		return -evaluate(e.Args[0].Expr, row)
	case "and":
		all := holds
		for _, arg := range e.Args {
			all = min(all, evaluate(arg.Expr, row))
		}
		return all
	case "or":
		one := fails
		for _, arg := range e.Args {
			one = max(one, evaluate(arg.Expr, row))
		}
		return one
	case "ne", "out":
		return -compareField(e, row)
	default:
		return compareField(e, row)
	}
}

// compareField compares each value of a field with each operand.
func compareField(e *rql.Expr, row any) verdict {
	values := lookup(row, strings.Split(dotted(e.Args[0].Value), "."))
	if len(values) == 0 {
		return unclear
	}
	found := fails
	for _, value := range values {
		for _, operand := range e.Args[1].Values() {
			found = max(found, compare(e.Op, value, operand))
		}
	}
	return found
}

// lookup returns the values at a path, of each element of the lists on it.
func lookup(row any, path []string) []any {
	switch row := row.(type) {
	case []any:
		var all []any
		for _, element := range row {
			all = append(all, lookup(element, path)...)
		}
		return all
	case map[string]any:
		if inner, ok := row[path[0]]; ok && len(path) > 1 {
			return lookup(inner, path[1:])
		} else if ok {
			return []any{inner}
		}
	}
	return nil
}

func compare(op string, value any, operand rql.Arg) verdict {
	var v string
	switch value := value.(type) {
	case string:
		v = value
	case json.Number:
		v = value.String()
	default: // null, for instance, of an external_id that the asset keeps (connect/WIRE.md#8)
		return unclear
	}
	switch {
	case v == "": // it may stand for null
		return unclear
	case operand.Constant:
		return fails
	case op == "gt" || op == "ge" || op == "lt" || op == "le":
		return compareTimes(op, v, operand.Value)
	case op == "like":
		return textVerdict(rql.Like(operand.Value, v), rql.ILike(operand.Value, v))
	case op == "ilike":
		return textVerdict(rql.ILike(operand.Value, v), false)
	}
	_, err := parseTime(operand.Value)
	return textVerdict(operand.Value == v, strings.EqualFold(operand.Value, v) || err == nil)
}

func textVerdict(same, similar bool) verdict {
	switch {
	case same:
		return holds
	case similar:
		return unclear
	default:
		return fails
	}
}

// compareTimes is unclear for times within a day of each other, because servers round times, and
// read dates in their own zone.
func compareTimes(op, value, operand string) verdict {
	v, err := parseTime(value)
	if err != nil {
		return unclear
	}
	o, err := parseTime(operand)
	difference := v.Sub(o)
	switch {
	case err != nil || difference.Abs() < 24*time.Hour:
		return unclear
	case difference > 0 == strings.HasPrefix(op, "g"):
		return holds
	default:
		return fails
	}
}

func parseTime(s string) (time.Time, error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return time.Time{}, err
	}
	t, _, err := fields.ParseTime(raw)
	return t, err
}
