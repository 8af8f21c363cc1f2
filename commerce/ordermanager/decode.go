package ordermanager

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/fields"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// decode converts an order as sent (commerce/WIRE.md#2.4). Unknown fields are ignored; a known
// field that has an unknown form becomes one of the order's Problems. vendorAccountId,
// customerId, tenantId and the places of subscription ids are inferred.
func (c *Client) decode(raw json.RawMessage) *commerce.Order {
	r, err := fields.Of(raw)
	if err != nil {
		return &commerce.Order{Problems: []string{err.Error()}, Raw: raw}
	}
	o := &commerce.Order{
		ID:                 text.ID(r.Text("orderId")),
		BillingID:          r.Text("internalId"),
		Number:             r.Text("orderNumber"),
		Type:               commerce.OrderType(r.Text("type")),
		Status:             commerce.Status(r.Text("status")),
		ProvisioningStatus: commerce.ProvisioningStatus(r.Text("provisioningStatus")),
		PlacedAt:           r.ExactTime("orderDate"),
		VendorAccountID:    r.Text("vendorAccountId"),
		CustomerID:         r.Text("customerId"),
		CustomerName:       r.Text("endCustomerName"),
		SubscriptionIDs:    subscriptions(r),
		TenantID:           r.Text("tenantId"),
		Total:              money(r, "total"),
		Failure:            commerce.Failure{Messages: texts(r, "errorDetails")},
		Transitions:        transitions(r, "possiblePushToStatus"),
		Raw:                raw,
	}
	o.Problems = r.Problems()
	if strings.TrimSpace(o.ID) == "" {
		o.ID = ""
		o.Problems = append(o.Problems, "it has no orderId")
	}
	if c.fields != nil {
		if err := c.fields(raw, o); err != nil {
			o.Problems = append(o.Problems, err.Error())
		}
	}
	o.Channel = c.channel(o)
	return o
}

func (c *Client) channel(o *commerce.Order) commerce.Channel {
	switch {
	case o.Channel != commerce.ChannelUnknown || o.VendorAccountID == "":
		return o.Channel
	case o.VendorAccountID == c.provider:
		return commerce.ChannelDirect
	default:
		return commerce.ChannelReseller
	}
}

func money(r *fields.Reader, key string) (m commerce.Money) {
	r.Read(key, func(raw json.RawMessage) error {
		var total struct {
			Code  string          `json:"code"`
			Value json.RawMessage `json:"value"`
		}
		if fields.IsEmpty(raw) {
			return nil
		}
		if json.Unmarshal(raw, &total) != nil {
			return fmt.Errorf("must be an object of code and value, not %s", fields.Excerpt(raw))
		}
		amount, err := fields.Decimal(total.Value)
		if err == nil {
			m = commerce.Money{Amount: amount, Currency: total.Code}
		}
		return err
	})
	return m
}

// texts reads texts by locale; a plain text has locale "".
func texts(r *fields.Reader, key string) (by map[string]string) {
	r.Read(key, func(raw json.RawMessage) (err error) {
		by, err = localised(raw)
		return err
	})
	return by
}

func localised(raw json.RawMessage) (map[string]string, error) {
	if fields.IsNull(raw) || fields.IsEmpty(raw) {
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

// transitions reads the offered transitions, sorted by code. It returns nil if the field is
// absent, and an empty slice if it is empty.
func transitions(r *fields.Reader, key string) (moves []commerce.Transition) {
	r.Read(key, func(raw json.RawMessage) error {
		var labels map[string]json.RawMessage
		if json.Unmarshal(raw, &labels) != nil && !fields.IsEmpty(raw) {
			return fmt.Errorf("must be an object of statuses, not %s", fields.Excerpt(raw))
		}
		offered := make([]commerce.Transition, 0, len(labels))
		for code, raw := range labels {
			label, err := localised(raw)
			if err != nil {
				return fmt.Errorf("of %s %w", fields.Excerpt(json.RawMessage(code)), err)
			}
			offered = append(offered, commerce.Transition{To: commerce.Status(code), Label: label})
		}
		slices.SortFunc(offered, func(a, b commerce.Transition) int { return strings.Compare(string(a.To), string(b.To)) })
		moves = offered
		return nil
	})
	return moves
}

// subscriptions collects the subscriptions of an order from the fields that likely hold them:
// no source names one (commerce/WIRE.md#2.4, inferred).
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
