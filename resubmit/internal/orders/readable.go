package orders

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/mismatch"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Limits that keep an entry far below the longest line of a plan, whatever a server sends.
const (
	// MaxField is the most bytes of a text of an order, except the failure.
	MaxField = 4 << 10
	// maxSubscriptions is the most bytes of the ids of all subscriptions of an order.
	maxSubscriptions = 1 << 20
)

// orderTexts are the texts of an order that are written to a plan unchanged.
var orderTexts = []struct {
	name string
	of   func(*commerce.Order) *string
}{
	{"the id", func(o *commerce.Order) *string { return &o.ID }},
	{"the number", func(o *commerce.Order) *string { return &o.Number }},
	{"the type", func(o *commerce.Order) *string { return (*string)(&o.Type) }},
	{"the status", func(o *commerce.Order) *string { return (*string)(&o.Status) }},
	{"the provisioning status", func(o *commerce.Order) *string { return (*string)(&o.ProvisioningStatus) }},
	{"the vendor", func(o *commerce.Order) *string { return &o.VendorAccountID }},
	{"the channel", func(o *commerce.Order) *string { return (*string)(&o.Channel) }},
	{"the customer", func(o *commerce.Order) *string { return &o.CustomerID }},
	{"the customer's name", func(o *commerce.Order) *string { return &o.CustomerName }},
	{"the tenant", func(o *commerce.Order) *string { return &o.TenantID }},
	{"the currency", func(o *commerce.Order) *string { return &o.Total.Currency }},
}

// Readable returns an order that can be written to a plan and read again: a field that cannot, and a
// status that is no status code, such as "pf", becomes zero and a problem. Without such a field it
// returns o itself.
func Readable(o *commerce.Order) *commerce.Order { return withCode(representable(o)) }

func representable(o *commerce.Order) *commerce.Order {
	c := fieldCheck{order: o}
	for i := range orderTexts {
		if of := orderTexts[i].of; !c.text(orderTexts[i].name, *of(o)) {
			*of(c.fixed()) = ""
		}
	}
	if !c.time("the time of placing", o.PlacedAt) {
		c.fixed().PlacedAt = time.Time{}
	}
	if !c.time("the time of the failure", o.FailedAt) {
		c.fixed().FailedAt = time.Time{}
	}
	if err := number.CheckDecimal(o.Total.Amount); err != nil {
		c.problem("the total cannot be written: %v", err)
		c.fixed().Total = commerce.Money{}
	}
	c.subscriptions()
	return c.order
}

func withCode(o *commerce.Order) *commerce.Order {
	problem := mismatch.StatusProblem(string(o.Status))
	if problem == "" || o.Status == "" && len(o.Problems) > 0 {
		return o
	}
	c := fieldCheck{order: o}
	c.problem("%s", problem)
	c.order.Status = ""
	return c.order
}

// Unreadable returns an error if not all of an order could be read, since nothing may be concluded
// from the rest. An unknown status counts as unreadable unless the caller expects it.
func Unreadable(o *commerce.Order, expected ...commerce.Status) error {
	o = Readable(o)
	problems := o.Problems
	if len(problems) == 0 && !o.Status.Known() && !slices.Contains(expected, o.Status) {
		problems = []string{fmt.Sprintf("its status %q is not known", text.Short(string(o.Status)))}
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("not all of the order could be read: %s", text.Short(strings.Join(problems, "; ")))
}

// fieldCheck finds the fields of an order that a plan cannot hold.
type fieldCheck struct {
	order  *commerce.Order
	copied bool
}

// fixed returns a copy of the order for changes.
func (c *fieldCheck) fixed() *commerce.Order {
	if !c.copied {
		o := *c.order
		o.Problems = slices.Clone(o.Problems)
		c.order, c.copied = &o, true
	}
	return c.order
}

func (c *fieldCheck) problem(format string, args ...any) {
	o := c.fixed()
	o.Problems = append(o.Problems, fmt.Sprintf(format, args...))
}

func (c *fieldCheck) text(name, s string) bool {
	switch {
	case len(s) > MaxField:
		c.problem("%s has %d bytes, which cannot be right", name, len(s))
	case !utf8.ValidString(s):
		c.problem("%s is not UTF-8: %q", name, text.Short(s))
	default:
		return true
	}
	return false
}

func (c *fieldCheck) time(name string, t time.Time) bool {
	if year := t.UTC().Year(); year < 1 || year > 9999 {
		c.problem("%s has the year %d, which cannot be right", name, year)
		return false
	}
	return true
}

// subscriptions leaves out the ids that a plan cannot hold.
func (c *fieldCheck) subscriptions() {
	size := 0
	odd := func(id string) bool {
		size += len(id)
		return size > maxSubscriptions || !c.text("a subscription", id)
	}
	ids := c.order.SubscriptionIDs
	first := slices.IndexFunc(ids, odd)
	if first < 0 {
		return
	}
	c.fixed().SubscriptionIDs = append(slices.Clone(ids[:first]), slices.DeleteFunc(slices.Clone(ids[first+1:]), odd)...)
	if size > maxSubscriptions {
		c.problem("the ids of its subscriptions have %d bytes, which cannot be right", size)
	}
}
