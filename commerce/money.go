package commerce

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Money is an exact amount in a currency. The zero value, without a currency, means that the
// amount is unknown, which differs from zero euros.
type Money struct {
	Amount   decimal.Decimal `json:"amount"`
	Currency string          `json:"currency"` // ISO 4217, such as "USD"
}

// moneyForm has no exponent, because a large one would exhaust memory when written out.
var moneyForm = regexp.MustCompile(`^(-?[0-9]{1,30}(?:\.[0-9]{1,30})?) ?([A-Za-z]{3})$`)

// ParseMoney parses an amount and a currency of three letters, as [Money.String] writes them: "12.50 USD",
// or "12.50usd". An amount has a point and at most 30 digits on each side of it.
func ParseMoney(s string) (Money, error) {
	m := moneyForm.FindStringSubmatch(s)
	if m == nil {
		return Money{}, fmt.Errorf("%q is not an amount with a currency; write 100.50EUR", text.Short(s))
	}
	amount, err := number.Decimal(m[1])
	if err != nil {
		return Money{}, fmt.Errorf("%q: %w", s, err)
	}
	return Money{Amount: amount, Currency: strings.ToUpper(m[2])}, nil
}

// IsZero reports whether m is the zero value: the amount is unknown.
func (m Money) IsZero() bool { return m.Currency == "" && m.Amount.IsZero() }

// String returns the amount, with the decimal places that the server sent, and the currency:
// "12.50 USD". It returns "" for the zero value.
func (m Money) String() string {
	if m.IsZero() {
		return ""
	}
	if m.Currency == "" {
		return m.amount()
	}
	return m.amount() + " " + text.OneLine(m.Currency)
}

// amount returns the amount with all of its decimal places.
func (m Money) amount() string {
	if places := -m.Amount.Exponent(); places > 0 {
		return m.Amount.StringFixed(places) // String would shorten 12.50 to 12.5
	}
	return m.Amount.String()
}

// MarshalJSON writes the amount as text with all of its decimal places: {"amount":"12.50","currency":"USD"}.
func (m Money) MarshalJSON() ([]byte, error) {
	b := text.AppendJSON([]byte(`{"amount":`), m.amount())
	return append(text.AppendJSON(append(b, `,"currency":`...), m.Currency), '}'), nil
}

// UnmarshalJSON reads what MarshalJSON writes. It rejects an amount of more than 64 characters: one with a large
// exponent would exhaust memory when it is written out.
func (m *Money) UnmarshalJSON(data []byte) error {
	type plain Money
	var p plain
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	if err := number.CheckDecimal(p.Amount); err != nil {
		return err
	}
	*m = Money(p)
	return nil
}
