package resubmit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// errOtherOrder means that the order with an id is not the one in the plan.
var errOtherOrder = errors.New("another order")

// identity is the part of an order that never changes. "" means that a value is not known.
// The name of a customer may change, so it is compared only where an id is missing.
type identity struct{ number, kind, vendor, customerID, customer string }

func identityOf(o *commerce.Order) identity {
	return identity{o.Number, string(o.Type), o.VendorAccountID, o.CustomerID, o.CustomerName}
}

func entryIdentity(e *plan.Entry) identity {
	name := e.Customer
	if e.CustomerID != "" {
		if name = strings.TrimSuffix(name, " ("+e.CustomerID+")"); name == e.CustomerID {
			name = ""
		}
	}
	return identity{e.Number, string(e.Type), e.VendorAccountID, e.CustomerID, name}
}

// check returns an error that matches errOtherOrder and names the differences if two identities
// are not those of one order. Only values that both have are compared.
func (i identity) check(now identity) error {
	var changes []string
	for _, f := range []struct{ name, was, now string }{
		{"number", i.number, now.number}, {"type", i.kind, now.kind}, {"vendor", i.vendor, now.vendor},
	} {
		if f.was != "" && f.now != "" && f.was != f.now {
			changes = append(changes, fmt.Sprintf("%s %s → %s", f.name, text.Short(f.was), text.Short(f.now)))
		}
	}
	if !i.sameCustomer(now) {
		changes = append(changes, fmt.Sprintf("customer %s → %s", text.Short(i.who()), text.Short(now.who())))
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
	// Plans of version 1 have the name and the id in one text.
	return i.customer == now.customer || i.customer == now.customerID ||
		strings.HasPrefix(i.customer, now.customer+" (") && now.customerID == "" ||
		strings.HasSuffix(i.customer, " ("+now.customerID+")") && now.customerID != ""
}

// who returns the customer as an entry shows it.
func (i identity) who() string {
	return customer(&commerce.Order{CustomerID: i.customerID, CustomerName: i.customer})
}
