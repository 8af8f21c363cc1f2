package simpleapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/fields"
)

// decode converts an order as sent (commerce/WIRE.md#3). Unknown fields are ignored; a known
// field that has an unknown form becomes one of the order's Problems. Failure, Transitions,
// VendorID and FailedAt stay zero, because the API does not have them.
func (c *Client) decode(raw json.RawMessage) *commerce.Order {
	r, err := fields.Of(raw)
	if err != nil {
		return &commerce.Order{Problems: []string{err.Error()}, Raw: raw}
	}
	o := &commerce.Order{
		ID:              r.Text("id"),
		Number:          r.Text("orderNumber"),
		Type:            orderType(r.Text("type")),
		Status:          c.status(r.Text("statusCode"), r.Text("status")),
		PlacedAt:        r.ExactTime("creationDate"),
		CustomerID:      r.Text("customerId"),
		SubscriptionIDs: subscriptions(r),
		Total:           total(r),
		Raw:             raw,
	}
	o.Problems = r.Problems()
	if strings.TrimSpace(o.ID) == "" {
		o.ID = ""
		o.Problems = append(o.Problems, "it has no id")
	}
	o.BillingID = o.ID // the same number as in Billing
	if c.fields != nil {
		if err := c.fields(raw, o); err != nil {
			o.Problems = append(o.Problems, err.Error())
		}
	}
	return o
}

// orderType converts the word of a type. "migration" and "unknown" have no known code, so they
// stay as they are. "cancellation" may also be CF in Billing; resubmission treats both alike.
func orderType(word string) commerce.OrderType {
	switch word {
	case "sales":
		return commerce.TypeSales
	case "change":
		return commerce.TypeChange
	case "renewal":
		return commerce.TypeRenewal
	case "cancellation":
		return commerce.TypeCancellation
	default:
		return commerce.OrderType(word)
	}
}

func (c *Client) status(code, word string) commerce.Status {
	if code != "" {
		return commerce.Status(code)
	}
	if known, ok := c.codes[word]; ok {
		return known
	}
	return commerce.Status(word)
}

// total reads {"currency":"USD","amount":"70.5"}, or an amount alone, without currency.
func total(r *fields.Reader) (m commerce.Money) {
	r.Read("total", func(raw json.RawMessage) error {
		if fields.IsEmpty(raw) {
			return nil
		}
		amount, currency := raw, ""
		if total, err := fields.Of(raw); err == nil {
			currency = total.Text("currency")
			amount = nil
			total.Read("amount", func(raw json.RawMessage) error { amount = raw; return nil })
			if total.Err() != nil {
				return total.Err()
			}
		}
		d, err := fields.Decimal(amount)
		if err == nil {
			m = commerce.Money{Amount: d, Currency: currency}
		}
		return err
	})
	return m
}

// subscriptions collects the subscriptions that an order creates or changes, which lists leave
// out. The target of a move is not included.
func subscriptions(r *fields.Reader) []string {
	var ids []string
	add := func(id string) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	add(r.Text("subscriptionId"))
	r.Each("subscriptions", func(raw json.RawMessage) error {
		element, err := fields.Of(raw)
		if err != nil {
			id, err := fields.Scalar(raw)
			add(id)
			return err
		}
		id := element.Text("subscriptionId")
		if id == "" {
			id = element.Text("id")
		}
		add(id)
		return element.Err()
	})
	for _, key := range []string{"products", "details"} { // the id of these is not a subscription's
		r.Each(key, func(raw json.RawMessage) error {
			element, err := fields.Of(raw)
			if err != nil {
				return fmt.Errorf("must be an object, not %s", fields.Excerpt(raw))
			}
			add(element.Text("subscriptionId"))
			return element.Err()
		})
	}
	return ids
}
