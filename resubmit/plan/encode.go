package plan

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// Entries are encoded and decoded by hand, because encoding/json would take several times as long as the rest of
// planning a million orders. The output is that of encoding/json without HTML escaping, with two differences: an amount
// keeps its trailing zeros (12.50), and control and invisible characters are escaped.

// AppendJSON appends the entry as one JSON object, as in a plan file, without the end of the line.
func (e *Entry) AppendJSON(b []byte) []byte {
	b = text.AppendJSON(append(b, `{"id":`...), e.OrderID)
	b = text.AppendJSON(append(b, `,"number":`...), e.Number)
	b = text.AppendJSON(append(b, `,"type":`...), string(e.Type))
	b = appendField(b, `,"vendor":`, e.VendorAccountID)
	b = appendField(b, `,"channel":`, string(e.Channel))
	b = appendField(b, `,"customer":`, e.Customer)
	b = appendField(b, `,"customerId":`, e.CustomerID)
	if len(e.Subscriptions) > 0 {
		b = append(b, `,"subscriptions":`...)
		for i, id := range e.Subscriptions {
			b = text.AppendJSON(append(b, "[,"[min(i, 1)]), id)
		}
		b = append(b, ']')
	}
	b = appendField(b, `,"tenant":`, e.TenantID)
	if !e.Total.IsZero() {
		b = text.AppendJSON(append(b, `,"total":{"amount":`...), amountText(e.Total.Amount))
		b = text.AppendJSON(append(b, `,"currency":`...), e.Total.Currency)
		b = append(b, '}')
	}
	b = text.AppendJSON(append(b, `,"before":{"status":`...), string(e.Before.Status))
	b = appendField(b, `,"provisioningStatus":`, string(e.Before.ProvisioningStatus))
	b = appendField(b, `,"reason":`, e.Before.Message)
	b = appendTime(b, `,"placedAt":"`, e.Before.PlacedAt)
	b = appendTime(b, `,"failedAt":"`, e.Before.FailedAt)
	b = text.AppendJSON(append(b, `},"fingerprint":`...), e.Fingerprint)
	b = appendAttribution(append(b, `,"attribution":`...), &e.Attribution)
	b = text.AppendJSON(append(b, `,"decision":{"action":`...), string(e.Decision.Action))
	b = text.AppendJSON(append(b, `,"rule":`...), e.Decision.RuleID)
	b = text.AppendJSON(append(b, `,"why":`...), e.Decision.Why)
	if e.Decision.Flagged {
		b = append(b, `,"flagged":true`...)
	}
	b = append(b, '}')
	b = appendField(b, `,"target":`, string(e.Target))
	if e.Version != 0 {
		b = strconv.AppendUint(append(b, `,"version":`...), e.Version, 10)
	}
	if e.Named {
		b = append(b, `,"named":true`...)
	}
	return append(appendTime(b, `,"due":"`, e.Due), '}')
}

// MarshalJSON returns what [Entry.AppendJSON] appends, so that an amount keeps its trailing zeros. It returns an error
// for an entry that a plan cannot have, such as one with a year of five digits.
func (e Entry) MarshalJSON() ([]byte, error) {
	if err := checkWritable(&e); err != nil {
		return nil, fmt.Errorf("plan: order %s: %w", text.Short(e.OrderID), err)
	}
	return e.AppendJSON(nil), nil
}

// UnmarshalJSON reads an entry. It returns an error for one that a plan cannot have.
func (e *Entry) UnmarshalJSON(b []byte) error {
	type fields Entry // without this method
	if err := json.Unmarshal(b, (*fields)(e)); err != nil {
		return err
	}
	if err := checkWritable(e); err != nil {
		return fmt.Errorf("plan: order %s: %w", text.Short(e.OrderID), err)
	}
	return nil
}

func appendAttribution(b []byte, a *failure.Attribution) []byte {
	b = text.AppendJSON(append(b, `{"verdict":`...), string(a.Verdict))
	b = text.AppendJSON(append(b, `,"class":`...), string(a.Class))
	b = appendField(b, `,"window":`, a.WindowID)
	if len(a.Evidence) > 0 {
		b = append(b, `,"evidence":`...)
		for i := range a.Evidence {
			ev := &a.Evidence[i]
			b = text.AppendJSON(append(append(b, "[,"[min(i, 1)]), `{"kind":`...), ev.Kind)
			b = text.AppendJSON(append(b, `,"text":`...), ev.Text)
			b = appendField(b, `,"ref":`, ev.Ref)
			b = append(appendTime(b, `,"at":"`, ev.At), '}')
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

// appendField appends a key and a text, or nothing if the text is empty.
func appendField(b []byte, key, s string) []byte {
	if s == "" {
		return b
	}
	return text.AppendJSON(append(b, key...), s)
}

// appendTime appends a key, including the opening quote, and a time in UTC, or nothing if the time is zero.
func appendTime(b []byte, key string, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return append(t.UTC().AppendFormat(append(b, key...), time.RFC3339Nano), '"')
}

// amountText formats an amount with its trailing zeros.
func amountText(d decimal.Decimal) string {
	if places := -d.Exponent(); places > 0 {
		return d.StringFixed(places)
	}
	return d.String()
}
