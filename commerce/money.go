package commerce

import (
	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Money is an exact amount in a currency. The zero value is no amount at all
// (no currency), which is different from zero euros.
type Money struct {
	Amount   decimal.Decimal `json:"amount"`
	Currency string          `json:"currency"` // ISO 4217, for instance "USD"
}

// IsZero reports whether m is the zero value: the system told no amount.
func (m Money) IsZero() bool { return m.Currency == "" && m.Amount.IsZero() }

// String prints the amount as the system gave it, then the currency:
// "12.50 USD". It is empty for the zero value.
func (m Money) String() string {
	if m.IsZero() {
		return ""
	}
	amount := m.Amount.String()
	if places := -m.Amount.Exponent(); places > 0 {
		amount = m.Amount.StringFixed(places) // String would cut 12.50 to 12.5
	}
	if m.Currency == "" {
		return amount
	}
	return amount + " " + text.OneLine(m.Currency)
}
