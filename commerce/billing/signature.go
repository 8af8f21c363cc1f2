package billing

import (
	"crypto/md5" //nolint:gosec // it is what Billing checks
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/shopspring/decimal"
)

// SignatureRule defines the text whose MD5 signs a push. Public programs agree on the parts of
// the text but not on their format, and no document was found (commerce/WIRE.md#1.5,
// commerce/WIRE.md#8.1). The zero value is what most of them do.
type SignatureRule struct {
	// Precision is the number of decimal places of the total by currency. Other currencies
	// use that of ISO 4217, mostly 2. It must agree with column 3 of the server's
	// /usr/local/stellart/share/currencies.txt.
	Precision map[string]int
	// ThousandsSeparator groups the digits of the total: "," makes 1,234.00. Default:
	// none, inferred.
	ThousandsSeparator string
	// RoundHalfAwayFromZero rounds a total with too many decimal places. Default: they are cut off.
	RoundHalfAwayFromZero bool
	// TrimFields trims white space from both ends of OrderNumber and Comments. Default: only
	// the end of the whole text is trimmed.
	TrimFields bool
}

const mostDigits = 10

func (r SignatureRule) check() error {
	for currency, digits := range r.Precision {
		if digits < 0 || digits > mostDigits {
			return fmt.Errorf("the precision of %q is %d: it must be 0 to %d", currency, digits, mostDigits)
		}
	}
	if strings.ContainsFunc(r.ThousandsSeparator, unicode.IsDigit) || strings.Contains(r.ThousandsSeparator, "-") {
		return fmt.Errorf("the thousands separator is %q: it must not be part of a number", r.ThousandsSeparator)
	}
	return nil
}

// SignedText returns the text whose MD5 signs a push of the order, to check a signature by hand. If
// Billing refuses
// signatures, compare it with the text that the script of kb.cloudblue.com/116492 builds for
// the same order, and adjust it with [WithSignatureRule].
func (c *Client) SignedText(row *OrderRow) (string, error) {
	currency := c.currencyOf(row)
	switch {
	case row.CreationTime == Null:
		return "", errors.New("it has no CreationTime")
	case currency == "":
		return "", errors.New("its currency is unknown, because old versions of Billing do not send it: use " +
			"WithDefaultCurrency")
	}
	number, comments := row.OrderNumber, row.Comments
	if c.rule.TrimFields {
		number, comments = strings.TrimSpace(number), strings.TrimSpace(comments)
	}
	text := row.OrderID.String() + number + row.CreationTime.String() + currency + " " + c.rule.total(row.Total,
		currency) + comments
	return strings.TrimRightFunc(text, unicode.IsSpace), nil
}

func sign(text string) string {
	sum := md5.Sum([]byte(text)) //nolint:gosec // it is what Billing checks
	return hex.EncodeToString(sum[:])
}

func (r SignatureRule) total(d decimal.Decimal, currency string) string {
	digits := r.precision(currency)
	if -d.Exponent() > digits {
		d = r.shorten(asDouble(d), digits)
	}
	text := d.StringFixed(digits)
	if r.ThousandsSeparator == "" {
		return text
	}
	return separate(text, r.ThousandsSeparator)
}

func (r SignatureRule) shorten(d decimal.Decimal, digits int32) decimal.Decimal {
	if r.RoundHalfAwayFromZero {
		return d.Round(digits)
	}
	return d.Truncate(digits)
}

func (r SignatureRule) precision(currency string) int32 {
	if digits, ok := r.Precision[currency]; ok {
		return int32(digits) //nolint:gosec // checked to be small
	}
	return minorDigits(currency)
}

// asDouble removes digits beyond the precision of a double: 12.499999999999999999 is 12.5 and
// must not be cut to 12.49.
func asDouble(d decimal.Decimal) decimal.Decimal {
	f, _ := d.Float64()
	short, err := decimal.NewFromString(strconv.FormatFloat(f, 'f', -1, 64)) //nolint:forbidigo // of a float64
	if err != nil {
		return d
	}
	return short
}

// separate groups the digits of a plain number by thousands.
func separate(number, separator string) string {
	digits, negative := strings.CutPrefix(number, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	var b strings.Builder
	if negative {
		b.WriteByte('-')
	}
	for i := range len(whole) {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(separator)
		}
		b.WriteByte(whole[i])
	}
	if point {
		b.WriteString("." + fraction)
	}
	return b.String()
}
