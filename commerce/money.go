package commerce

import "github.com/shopspring/decimal"

// Money is an exact amount in a currency. The zero value is no amount at all
// (no currency), which is different from zero euros.
type Money struct {
	Amount   decimal.Decimal `json:"amount"`
	Currency string          `json:"currency"` // ISO 4217, for instance "USD"
}

// IsZero reports whether m is the zero value: the system told no amount.
func (m Money) IsZero() bool { return m.Currency == "" && m.Amount.IsZero() }

// String prints the amount as the system gave it, then the currency: "12.5 USD".
func (m Money) String() string {
	if m.IsZero() {
		return ""
	}
	if m.Currency == "" {
		return m.Amount.String()
	}
	return m.Amount.String() + " " + m.Currency
}
