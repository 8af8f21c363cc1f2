package ordermanager

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/commerce"
)

// decode reads an order as it was sent (facts/commerce.md 2.4). What is not known
// is ignored; what is known must have one of the shapes that are known for it.
// vendorAccountId, customerId, tenantId and the places of subscription ids are
// inferred.
func (c *Client) decode(raw json.RawMessage) (*commerce.Order, error) {
	d := decoder{}
	if err := json.Unmarshal(raw, &d.fields); err != nil || d.fields == nil {
		return nil, errors.New("it is not a JSON object")
	}
	o := &commerce.Order{
		ID:                 d.text("orderId"),
		BillingID:          d.text("internalId"),
		Number:             d.text("orderNumber"),
		Type:               commerce.OrderType(d.text("type")),
		Status:             commerce.Status(d.text("status")),
		ProvisioningStatus: commerce.ProvisioningStatus(d.text("provisioningStatus")),
		PlacedAt:           d.time("orderDate"),
		VendorID:           d.text("vendorAccountId"),
		CustomerID:         d.text("customerId"),
		CustomerName:       d.text("endCustomerName"),
		SubscriptionIDs:    d.subscriptions(),
		TenantID:           d.text("tenantId"),
		Total:              d.money("total"),
		Failure:            commerce.Failure{Text: d.texts("errorDetails")},
		Transitions:        d.transitions("possiblePushToStatus"),
		Raw:                raw,
	}
	if d.err == nil && o.ID == "" {
		d.err = errors.New("it has no orderId")
	}
	if d.err == nil && c.fields != nil {
		d.err = c.fields(raw, o)
	}
	if d.err != nil {
		return nil, d.err
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
	d := decoder{}
	if json.Unmarshal(raw, &d.fields) != nil {
		return ""
	}
	for _, key := range []string{"orderId", "orderNumber"} {
		d.err = nil
		if s := d.text(key); s != "" {
			return fmt.Sprintf(" (%s %q)", key, s)
		}
	}
	return ""
}

// decoder reads the fields of one order and keeps the first error.
type decoder struct {
	fields map[string]json.RawMessage
	err    error
}

// read gives a field to f; a field that is absent or null is left out.
func (d *decoder) read(key string, f func(json.RawMessage) error) {
	raw, ok := d.fields[key]
	if !ok || isNull(raw) || d.err != nil {
		return
	}
	if err := f(raw); err != nil {
		d.err = fmt.Errorf("%s %w", key, err)
	}
}

func isNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

func (d *decoder) text(key string) (s string) {
	d.read(key, func(raw json.RawMessage) (err error) {
		s, err = scalar(raw)
		return err
	})
	return s
}

// scalar reads a text, or a number as it is written: ids come as both.
func scalar(raw json.RawMessage) (string, error) {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, nil
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String(), nil
	}
	return "", fmt.Errorf("must be a text or a number, not %s", excerpt(raw))
}

// layouts are the times that were seen (RFC 3339) and their likely kin. A time
// without a zone is taken for UTC (inferred).
var layouts = []string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", time.DateOnly,
}

func (d *decoder) time(key string) (t time.Time) {
	d.read(key, func(raw json.RawMessage) error {
		s, err := scalar(raw)
		if err != nil || s == "" {
			return err
		}
		for _, layout := range layouts {
			if t, err = time.Parse(layout, s); err == nil {
				t = t.UTC()
				return nil
			}
		}
		return fmt.Errorf("must be a time such as 2026-11-01T10:00:00Z, not %s", excerpt(raw))
	})
	return t
}

func (d *decoder) money(key string) (m commerce.Money) {
	d.read(key, func(raw json.RawMessage) error {
		var total struct {
			Code  string          `json:"code"`
			Value json.RawMessage `json:"value"`
		}
		if json.Unmarshal(raw, &total) != nil {
			return fmt.Errorf("must be an object of code and value, not %s", excerpt(raw))
		}
		m.Currency = total.Code
		if isNull(total.Value) {
			return nil
		}
		s, err := scalar(total.Value)
		if err != nil || s == "" {
			return err
		}
		// Digits only, never by way of a float; and no exponent that would make
		// a number of gigabytes when printed.
		m.Amount, err = decimal.NewFromString(s)
		if e := m.Amount.Exponent(); err != nil || e < -100 || e > 100 {
			return fmt.Errorf("must have a plain decimal number as value, not %s", excerpt(total.Value))
		}
		return nil
	})
	return m
}

// texts reads a text by locale; a plain text has the locale "".
func (d *decoder) texts(key string) (texts map[string]string) {
	d.read(key, func(raw json.RawMessage) (err error) {
		texts, err = localised(raw)
		return err
	})
	return texts
}

func localised(raw json.RawMessage) (map[string]string, error) {
	if isNull(raw) {
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
		return nil, fmt.Errorf("must be a text, or texts by locale, not %s", excerpt(raw))
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
func (d *decoder) transitions(key string) (moves []commerce.Transition) {
	d.read(key, func(raw json.RawMessage) error {
		var labels map[string]json.RawMessage
		if json.Unmarshal(raw, &labels) != nil {
			return fmt.Errorf("must be an object of statuses, not %s", excerpt(raw))
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
func (d *decoder) subscriptions() []string {
	var ids []string
	add := func(id string) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	add(d.text("subscriptionId"))
	collect := func(fields ...string) func(json.RawMessage) error {
		return func(raw json.RawMessage) error {
			var elements []json.RawMessage
			if json.Unmarshal(raw, &elements) != nil {
				return fmt.Errorf("must be a list, not %s", excerpt(raw))
			}
			for i, element := range elements {
				id, err := subscription(element, fields)
				if err != nil {
					return fmt.Errorf("[%d] %w", i, err)
				}
				add(id)
			}
			return nil
		}
	}
	d.read("subscriptions", collect("subscriptionId", "id"))
	d.read("orderDetails", collect("subscriptionId"))
	return ids
}

func subscription(element json.RawMessage, fields []string) (string, error) {
	d := decoder{}
	if json.Unmarshal(element, &d.fields) != nil {
		return scalar(element)
	}
	for _, field := range fields {
		if id := d.text(field); id != "" || d.err != nil {
			return id, d.err
		}
	}
	return "", nil
}

// excerpt shows a value that was refused, on one line.
func excerpt(raw json.RawMessage) string {
	s := strings.Join(strings.Fields(string(raw)), " ")
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}
