package orders

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
)

// ErrOther means that the order with an id is not the one in the plan.
var ErrOther = errors.New("another order")

// Identity is the part of an order that never changes. "" means that a value is not known.
// The name of a customer may change, so it is compared only where an id is missing.
type Identity struct{ number, kind, vendor, customerID, customer string }

// IdentityOf returns the identity of an order.
func IdentityOf(o *commerce.Order) Identity {
	return Identity{o.Number, string(o.Type), o.VendorAccountID, o.CustomerID, o.CustomerName}
}

// EntryIdentity returns the identity of the order of an entry.
func EntryIdentity(e *plan.Entry) Identity {
	name := e.Customer
	if e.CustomerID != "" {
		if name = strings.TrimSuffix(name, " ("+e.CustomerID+")"); name == e.CustomerID {
			name = ""
		}
	}
	return Identity{e.Number, string(e.Type), e.VendorAccountID, e.CustomerID, name}
}

// Check returns an error that matches ErrOther and names the differences if two identities
// are not those of one order. Only values that both have are compared.
func (i Identity) Check(now Identity) error {
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
	return fmt.Errorf("%w: %s", ErrOther, strings.Join(changes, "; "))
}

func (i Identity) sameCustomer(now Identity) bool {
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
func (i Identity) who() string {
	return Customer(&commerce.Order{CustomerID: i.customerID, CustomerName: i.customer})
}

// Customer returns "name (id)", or the part that is known.
func Customer(o *commerce.Order) string {
	switch {
	case o.CustomerName == "":
		return o.CustomerID
	case o.CustomerID == "":
		return o.CustomerName
	default:
		return o.CustomerName + " (" + o.CustomerID + ")"
	}
}

// AtRest reports whether nothing more happens to an order with a status: it is completed or cancelled.
func AtRest(s commerce.Status) bool {
	return s.Provisioned() || s == commerce.StatusCancelled || s == commerce.StatusFraud
}
