package resubmit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// ErrSystemMismatch says that a plan was made for another system than the one it was to
// be used with. Nothing was sent. Ids of orders mean something in one system only.
var ErrSystemMismatch = errors.New("the plan is for another system")

// part is what a configuration field holds, for errors.
type part struct {
	field string
	value any
}

// systemOf returns the system that the parts of a configuration name by a method
// System() string, as the clients do; "" when none does. Parts that name different
// systems are an error. A system that was given comes before what the parts name.
func systemOf(given string, parts ...part) (string, error) {
	if given != "" {
		return given, nil
	}
	first := part{}
	for _, p := range parts {
		s, ok := p.value.(interface{ System() string })
		if !ok || s.System() == "" {
			continue
		}
		if given == "" {
			first, given = p, s.System()
		}
		if s.System() != given {
			return "", fmt.Errorf("%s is a client of %s and %s one of %s; give clients of one system",
				first.field, given, p.field, s.System())
		}
	}
	return given, nil
}

// checkSystem says why a plan must not be used with a system, "" being one without a name.
func (p *Plan) checkSystem(system string) error {
	made := p.header.System
	switch {
	case made == system:
		return nil
	case made == "":
		return fmt.Errorf("resubmit: %w: it does not say which, as plans of older versions do not, and this is %s; make the plan anew",
			ErrSystemMismatch, system)
	case system == "":
		return fmt.Errorf("resubmit: %w: it was made for %s, and this configuration does not say which system it is of; set System in it",
			ErrSystemMismatch, excerpt(made))
	default:
		return fmt.Errorf("resubmit: %w: it was made for %s, and this is %s; use the clients of that system, or make the plan anew",
			ErrSystemMismatch, excerpt(made), system)
	}
}

// errOtherOrder says that the order with an id is not the one that the plan means.
var errOtherOrder = errors.New("another order")

// identity is what of an order never changes, "" where it is not told. Only the name of
// a customer may change, so that it counts only where no id is known.
type identity struct{ number, kind, vendor, customerID, customer string }

func identityOf(o *commerce.Order) identity {
	return identity{o.Number, string(o.Type), o.VendorID, o.CustomerID, o.CustomerName}
}

func (e *Entry) identity() identity {
	name := e.Customer
	if e.CustomerID != "" {
		if name = strings.TrimSuffix(name, " ("+e.CustomerID+")"); name == e.CustomerID {
			name = ""
		}
	}
	return identity{e.Number, string(e.Type), e.VendorID, e.CustomerID, name}
}

// check returns an error that matches errOtherOrder and says what differs when two
// identities are not of the same order. Only what both tell counts.
func (i identity) check(now identity) error {
	var changes []string
	for _, f := range []struct{ name, was, now string }{
		{"number", i.number, now.number}, {"type", i.kind, now.kind}, {"vendor", i.vendor, now.vendor},
	} {
		if f.was != "" && f.now != "" && f.was != f.now {
			changes = append(changes, fmt.Sprintf("%s %s → %s", f.name, excerpt(f.was), excerpt(f.now)))
		}
	}
	if !i.sameCustomer(now) {
		changes = append(changes, fmt.Sprintf("customer %s → %s", excerpt(i.who()), excerpt(now.who())))
	}
	if len(changes) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", errOtherOrder, strings.Join(changes, "; "))
}

func (i identity) sameCustomer(now identity) bool {
	if i.customerID != "" && now.customerID != "" {
		return i.customerID == now.customerID
	}
	if i.customer == "" || now.customer == "" {
		return true
	}
	// Plans of version 1 have name and id in one text.
	return i.customer == now.customer || i.customer == now.customerID ||
		strings.HasPrefix(i.customer, now.customer+" (") && now.customerID == "" ||
		strings.HasSuffix(i.customer, " ("+now.customerID+")") && now.customerID != ""
}

// who is the customer as an entry shows it.
func (i identity) who() string {
	return customer(&commerce.Order{CustomerID: i.customerID, CustomerName: i.customer})
}
