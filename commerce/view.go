package commerce

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// View is a named selection of orders, like the views and queues of the Provider Control
// Panel. Use [FailedOrdersView], create one in code, or load it from a file ([LoadViewsFile]).
type View struct {
	Name string `json:"name"`
	// Statuses must not be empty.
	Statuses []Status `json:"statuses"`
	// Types selects orders with any of them; empty selects all.
	Types []OrderType `json:"types,omitempty"`
	// PlacedFrom and PlacedTo limit when the order was placed: from ≤ t < to. A zero time
	// is no limit.
	PlacedFrom time.Time `json:"placedFrom,omitzero"`
	PlacedTo   time.Time `json:"placedTo,omitzero"`
	// Sort is OldestFirst by default, which resubmission needs. The panel shows the
	// newest first.
	Sort Sort `json:"sort,omitempty"`
}

// FailedOrdersView returns the built-in view of all orders whose provisioning failed.
func FailedOrdersView() View {
	return View{Name: "Failed Orders", Statuses: []Status{StatusProvisioningFailed}}
}

// Query returns the query for the orders of the view.
func (v View) Query() Query {
	return Query{
		Statuses:   slices.Clone(v.Statuses),
		Types:      slices.Clone(v.Types),
		PlacedFrom: v.PlacedFrom,
		PlacedTo:   v.PlacedTo,
		Sort:       v.Sort,
	}
}

// Match reports whether an order belongs to the view.
func (v View) Match(o *Order) bool {
	q := v.Query()
	return q.Match(o)
}

// Validate returns an error if the view cannot be used.
func (v View) Validate() error {
	switch {
	case strings.TrimSpace(v.Name) == "":
		return errors.New("the name is empty")
	case strings.ContainsFunc(v.Name, unicode.IsControl):
		return errors.New("the name has control characters: write it on one line")
	case len(v.Statuses) == 0:
		return errors.New(`statuses is empty: name at least one, such as "PF"`)
	case v.Sort != OldestFirst && v.Sort != NewestFirst:
		return fmt.Errorf("sort is %q: it can be %q, or left out for the oldest first", v.Sort, NewestFirst)
	case !v.PlacedFrom.IsZero() && !v.PlacedTo.IsZero() && !v.PlacedFrom.Before(v.PlacedTo):
		return fmt.Errorf("placedFrom %s is not before placedTo %s",
			v.PlacedFrom.Format(time.RFC3339), v.PlacedTo.Format(time.RFC3339))
	}
	if err := checkCodes("statuses", v.Statuses); err != nil {
		return err
	}
	return checkCodes("types", v.Types)
}

// checkCodes finds mistakes such as "pf" or "PF,LO". All known codes have two capitals or
// digits; longer ones are allowed, because flows are customized.
func checkCodes[T ~string](field string, codes []T) error {
	for i, code := range codes {
		if !isCode(string(code)) {
			return fmt.Errorf("%s[%d] is %q: a code is made of capital letters and digits, such as %q", field, i, code, "PF")
		}
		if slices.Contains(codes[:i], code) {
			return fmt.Errorf("%s names %q twice", field, code)
		}
	}
	return nil
}

func isCode(s string) bool {
	for i := range len(s) {
		if (s[i] < 'A' || s[i] > 'Z') && (s[i] < '0' || s[i] > '9') && s[i] != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 32
}
