package commercetest

import (
	"crypto/md5" //nolint:gosec // Billing signs with it
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/shopspring/decimal"
)

// signature is the proof for OrderStatusChange_API that the caller has read the order
// (commerce/WIRE.md#1.5): the MD5 of id, number, time of creation, currency, a space,
// total and comments, without trailing spaces.
func signature(o *Order, digits int32) string {
	var b strings.Builder
	b.WriteString(o.BillingID)
	b.WriteString(o.Number)
	b.WriteString(strconv.FormatInt(o.PlacedAt.Unix(), 10))
	b.WriteString(o.Total.Currency)
	b.WriteByte(' ')
	b.WriteString(plainAmount(o.Total.Amount, digits))
	b.WriteString(o.Comments)
	text := strings.TrimRightFunc(b.String(), unicode.IsSpace)
	return fmt.Sprintf("%x", md5.Sum([]byte(text))) //nolint:gosec // Billing signs with it
}

// plainAmount formats an amount with exactly digits decimal places, truncated or filled
// with zeros, and without thousands separators (inferred).
func plainAmount(d decimal.Decimal, digits int32) string {
	return d.Truncate(digits).StringFixed(digits)
}

// precisions are the decimal places of currencies that do not have two, by ISO 4217, in
// place of column 3 of currencies.txt (commerce/WIRE.md#1.5).
var precisions = func() map[string]int {
	m := map[string]int{"CLF": 4, "UYW": 4}
	for _, code := range strings.Fields("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF") {
		m[code] = 0
	}
	for _, code := range strings.Fields("BHD IQD JOD KWD LYD OMR TND") {
		m[code] = 3
	}
	return m
}()

const usualPrecision = 2

// digits is the precision of a currency.
func (c *Config) digits(currency string) int32 {
	for _, known := range []map[string]int{c.Precision, precisions} {
		if n, ok := known[currency]; ok {
			return int32(n) //nolint:gosec // checked to be small
		}
	}
	return usualPrecision
}
