package orderlist

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// column sets a field of an order to a value that is not empty.
type column func(o *commerce.Order, value any, opts *options) error

// columns are those that a table may have.
var columns = map[string]column{
	"id":                textColumn(func(o *commerce.Order) *string { return &o.ID }),
	"billing_id":        textColumn(func(o *commerce.Order) *string { return &o.BillingID }),
	"number":            textColumn(func(o *commerce.Order) *string { return &o.Number }),
	"type":              textColumn(func(o *commerce.Order) *commerce.OrderType { return &o.Type }),
	"status":            textColumn(func(o *commerce.Order) *commerce.Status { return &o.Status }),
	"placed_at":         timeColumn(func(o *commerce.Order) *time.Time { return &o.PlacedAt }),
	"failed_at":         timeColumn(func(o *commerce.Order) *time.Time { return &o.FailedAt }),
	"vendor_account_id": textColumn(func(o *commerce.Order) *string { return &o.VendorAccountID }),
	"channel":           channelColumn,
	"customer_id":       textColumn(func(o *commerce.Order) *string { return &o.CustomerID }),
	"customer_name":     textColumn(func(o *commerce.Order) *string { return &o.CustomerName }),
	"tenant_id":         textColumn(func(o *commerce.Order) *string { return &o.TenantID }),
	"currency":          textColumn(func(o *commerce.Order) *string { return &o.Total.Currency }),
	"amount":            amountColumn,
	"subscription_ids":  subscriptionsColumn,
	"failure":           failureColumn,
}

// unknown says that there is no such column.
func unknown(name string) string {
	names := slices.Sorted(maps.Keys(columns))
	return fmt.Sprintf("the column %q is unknown%s; the columns are %s", text.Short(name),
		text.DidYouMean(name, names), strings.Join(names, ", "))
}

// fields returns the column of each value, from the names in the table; "" if it is ignored.
func (o *options) fields(names []any) ([]string, error) {
	fields := make([]string, len(names))
	for i, value := range names {
		name, _ := value.(string)
		if o.ignored[name] {
			continue
		}
		field, renamed := o.names[name]
		if !renamed {
			field = name
		}
		if _, ok := columns[field]; !ok {
			return nil, fmt.Errorf("%s; rename it with WithColumn, or leave it out with WithIgnored", unknown(name))
		}
		if slices.Contains(fields, field) {
			return nil, fmt.Errorf("the table has two columns %s", field)
		}
		fields[i] = field
	}
	for name, field := range o.names {
		if !slices.Contains(fields, field) {
			return nil, fmt.Errorf("the table has no column %q, which WithColumn names", text.Short(name))
		}
	}
	if !slices.Contains(fields, "id") {
		return nil, errors.New("the table has no column id; rename one with WithColumn")
	}
	if o.status == "" && !slices.Contains(fields, "status") {
		return nil, errors.New("the table has no column status; rename one with WithColumn, or use WithStatus")
	}
	return fields, nil
}

// order returns the order of a row.
func (o *options) order(fields []string, values []any) (*commerce.Order, error) {
	order := &commerce.Order{Status: o.status}
	for i, field := range fields {
		if value := values[i]; field != "" && value != nil && value != "" {
			if err := columns[field](order, value, o); err != nil {
				return nil, fmt.Errorf("column %s: %w", field, err)
			}
		}
	}
	switch {
	case order.ID == "":
		return nil, errors.New("column id: it is empty")
	case order.Status == "":
		return nil, errors.New("column status: it is empty")
	case !order.Total.Amount.IsZero() && order.Total.Currency == "":
		return nil, errors.New("column currency: it is empty, but there is an amount")
	}
	return order, nil
}

// textColumn is a text without blanks around it.
func textColumn[T ~string](field func(*commerce.Order) *T) column {
	return func(o *commerce.Order, value any, _ *options) error {
		s, err := textOf(value)
		if err == nil && s != strings.TrimSpace(s) {
			err = fmt.Errorf("%q has blanks around it", text.Short(s))
		}
		*field(o) = T(s)
		return err
	}
}

func textOf(value any) (string, error) {
	s, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("it has the type %T instead of a text", value)
	}
	if s != text.Clean(s) {
		return "", fmt.Errorf("%q has characters that cannot be printed", text.Short(s))
	}
	return s, nil
}

// timeColumn is a time, or a text in the layout of the options.
func timeColumn(field func(*commerce.Order) *time.Time) column {
	return func(o *commerce.Order, value any, opts *options) error {
		if t, ok := value.(time.Time); ok {
			*field(o) = t
			return nil
		}
		s, err := textOf(value)
		if err != nil {
			return err
		}
		t, err := time.ParseInLocation(opts.layout, s, opts.zone)
		if err != nil {
			return fmt.Errorf("%q is not a time such as %q; set another layout with WithTimeLayout", text.Short(s),
				time.Date(2026, 3, 7, 14, 5, 9, 0, opts.zone).Format(opts.layout))
		}
		*field(o) = t
		return nil
	}
}

func amountColumn(o *commerce.Order, value any, _ *options) error {
	s, err := textOf(value)
	if err != nil {
		return err
	}
	if o.Total.Amount, err = number.Decimal(s); err != nil {
		return fmt.Errorf("%q is not an amount such as 12.50", text.Short(s))
	}
	return nil
}

func channelColumn(o *commerce.Order, value any, _ *options) error {
	s, err := textOf(value)
	if o.Channel = commerce.Channel(s); err == nil && o.Channel != commerce.ChannelDirect &&
		o.Channel != commerce.ChannelReseller {
		err = fmt.Errorf("%q is neither %q nor %q", text.Short(s), commerce.ChannelDirect, commerce.ChannelReseller)
	}
	return err
}

func subscriptionsColumn(o *commerce.Order, value any, _ *options) error {
	s, err := textOf(value)
	o.SubscriptionIDs = strings.Fields(s)
	return err
}

// failureColumn is a text that may have several lines.
func failureColumn(o *commerce.Order, value any, _ *options) error {
	s, ok := value.(string)
	if !ok {
		return fmt.Errorf("it has the type %T instead of a text", value)
	}
	o.Failure.Messages = map[string]string{"en_US": text.Lines(s)}
	return nil
}
