package commerce

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// View is a named selection of orders, as the views and queues of the Provider
// Control Panel are. Where an installation lacks the view of failed orders, make
// one in code, or let the operator write it to a file ([LoadViewsFile]).
type View struct {
	Name string `json:"name"`
	// Statuses is never empty: a view says what it is of.
	Statuses []Status `json:"statuses"`
	// Types empty means all of them.
	Types []OrderType `json:"types,omitempty"`
	// PlacedFrom and PlacedTo bound the time of placing, half-open; zero is no bound.
	PlacedFrom time.Time `json:"placedFrom,omitzero"`
	PlacedTo   time.Time `json:"placedTo,omitzero"`
	// Sort is OldestFirst by default: it is what resubmission needs. The panel
	// shows the newest first; set the Sort of the query for display.
	Sort Sort `json:"sort,omitempty"`
}

// FailedOrders is the built-in view: all orders whose provisioning failed, of
// every type and time. A function, so that nobody can change it for others.
func FailedOrders() View {
	return View{Name: "Failed Orders", Statuses: []Status{StatusProvisioningFailed}}
}

// Query asks a client for the orders of the view.
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

// Validate says what is wrong with a view; nil when it can be used.
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

// checkCodes finds slips such as "pf" or "PF,LO". The codes of all known flows
// are two capitals or digits; longer ones are allowed, because flows are open.
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
