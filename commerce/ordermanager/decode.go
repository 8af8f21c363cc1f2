package ordermanager

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/fields"
)

// decode reads an order as it was sent (facts/commerce.md 2.4). What is not known
// is ignored; what is known must have one of the shapes that are known for it.
// vendorAccountId, customerId, tenantId and the places of subscription ids are
// inferred.
func (c *Client) decode(raw json.RawMessage) (*commerce.Order, error) {
	r, err := fields.Of(raw)
	if err != nil {
		return nil, err
	}
	o := &commerce.Order{
		ID:                 r.Text("orderId"),
		BillingID:          r.Text("internalId"),
		Number:             r.Text("orderNumber"),
		Type:               commerce.OrderType(r.Text("type")),
		Status:             commerce.Status(r.Text("status")),
		ProvisioningStatus: commerce.ProvisioningStatus(r.Text("provisioningStatus")),
		PlacedAt:           r.Time("orderDate"),
		VendorID:           r.Text("vendorAccountId"),
		CustomerID:         r.Text("customerId"),
		CustomerName:       r.Text("endCustomerName"),
		SubscriptionIDs:    subscriptions(r),
		TenantID:           r.Text("tenantId"),
		Total:              money(r, "total"),
		Failure:            commerce.Failure{Text: texts(r, "errorDetails")},
		Transitions:        transitions(r, "possiblePushToStatus"),
		Raw:                raw,
	}
	err = r.Err()
	if err == nil && o.ID == "" {
		err = errors.New("it has no orderId")
	}
	if err == nil && c.fields != nil {
		err = c.fields(raw, o)
	}
	if err != nil {
		return nil, err
	}
	o.Channel = c.channel(o)
	return o, nil
}

func (c *Client) channel(o *commerce.Order) commerce.Channel {
	switch {
	case o.Channel != commerce.ChannelUnknown || o.VendorID == "":
		return o.Channel
	case o.VendorID == c.provider:
		return commerce.ChannelDirect
	default:
		return commerce.ChannelReseller
	}
}

// named is what an error calls a row: its id or number, if they can be read.
func named(raw json.RawMessage) string {
	for _, key := range []string{"orderId", "orderNumber"} {
		r, err := fields.Of(raw)
		if err != nil {
			return ""
		}
		if s := r.Text(key); s != "" {
			return fmt.Sprintf(" (%s %q)", key, s)
		}
	}
	return ""
}

func money(r *fields.Reader, key string) (m commerce.Money) {
	r.Read(key, func(raw json.RawMessage) (err error) {
		var total struct {
			Code  string          `json:"code"`
			Value json.RawMessage `json:"value"`
		}
		if json.Unmarshal(raw, &total) != nil {
			return fmt.Errorf("must be an object of code and value, not %s", fields.Excerpt(raw))
		}
		m.Currency = total.Code
		m.Amount, err = fields.Decimal(total.Value)
		return err
	})
	return m
}

// texts reads a text by locale; a plain text has the locale "".
func texts(r *fields.Reader, key string) (by map[string]string) {
	r.Read(key, func(raw json.RawMessage) (err error) {
		by, err = localised(raw)
		return err
	})
	return by
}

func localised(raw json.RawMessage) (map[string]string, error) {
	if fields.IsNull(raw) {
		return nil, nil
	}
	var plain string
	if json.Unmarshal(raw, &plain) == nil {
		if plain == "" {
			return nil, nil
		}
		return map[string]string{"": plain}, nil
	}
	var by map[string]*string
	if json.Unmarshal(raw, &by) != nil {
		return nil, fmt.Errorf("must be a text, or texts by locale, not %s", fields.Excerpt(raw))
	}
	var texts map[string]string
	for locale, text := range by {
		if text != nil {
			if texts == nil {
				texts = make(map[string]string, len(by))
			}
			texts[locale] = *text
		}
	}
	return texts, nil
}

// transitions reads the moves on offer, by code. An absent field tells nothing;
// an empty one tells that there are none.
func transitions(r *fields.Reader, key string) (moves []commerce.Transition) {
	r.Read(key, func(raw json.RawMessage) error {
		var labels map[string]json.RawMessage
		if json.Unmarshal(raw, &labels) != nil {
			return fmt.Errorf("must be an object of statuses, not %s", fields.Excerpt(raw))
		}
		moves = make([]commerce.Transition, 0, len(labels))
		for code, raw := range labels {
			label, err := localised(raw)
			if err != nil {
				return fmt.Errorf("of %s %w", code, err)
			}
			moves = append(moves, commerce.Transition{To: commerce.Status(code), Label: label})
		}
		slices.SortFunc(moves, func(a, b commerce.Transition) int { return strings.Compare(string(a.To), string(b.To)) })
		return nil
	})
	return moves
}

// subscriptions collects the subscriptions of an order from where they are likely
// to be: no source names the field (facts/commerce.md 2.4, inferred).
func subscriptions(r *fields.Reader) []string {
	var ids []string
	add := func(id string) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	add(r.Text("subscriptionId"))
	collect := func(keys ...string) func(json.RawMessage) error {
		return func(element json.RawMessage) error {
			id, err := subscription(element, keys)
			add(id)
			return err
		}
	}
	r.Each("subscriptions", collect("subscriptionId", "id"))
	r.Each("orderDetails", collect("subscriptionId"))
	return ids
}

func subscription(element json.RawMessage, keys []string) (string, error) {
	r, err := fields.Of(element)
	if err != nil {
		return fields.Scalar(element)
	}
	for _, key := range keys {
		if id := r.Text(key); id != "" || r.Err() != nil {
			return id, r.Err()
		}
	}
	return "", nil
}
