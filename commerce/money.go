package commerce

import (
	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Money is an exact amount in a currency. The zero value, without a currency, means that the
// amount is unknown, which differs from zero euros.
type Money struct {
	Amount   decimal.Decimal `json:"amount"`
	Currency string          `json:"currency"` // ISO 4217, such as "USD"
}

// IsZero reports whether m is the zero value: the amount is unknown.
func (m Money) IsZero() bool { return m.Currency == "" && m.Amount.IsZero() }

// String returns the amount, with the decimal places that the server sent, and the currency:
// "12.50 USD". It returns "" for the zero value.
func (m Money) String() string {
	if m.IsZero() {
		return ""
	}
	amount := m.Amount.String()
	if places := -m.Amount.Exponent(); places > 0 {
		amount = m.Amount.StringFixed(places) // String would shorten 12.50 to 12.5
	}
	if m.Currency == "" {
		return amount
	}
	return amount + " " + text.OneLine(m.Currency)
}
