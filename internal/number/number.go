package number

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/shopspring/decimal"
)

// Most is the largest number of characters of a number.
const Most = 64

// Check returns an error if text has more than [Most] characters. The error does not contain text.
func Check[T ~string | ~[]byte](text T) error {
	if len(text) > Most {
		return fmt.Errorf("a number must have at most %d characters, not %d", Most, len(text))
	}
	return nil
}

// Atoi is [strconv.Atoi] within the limit.
func Atoi(s string) (int, error) {
	if err := Check(s); err != nil {
		return 0, err
	}
	return strconv.Atoi(s)
}

// ParseInt is [strconv.ParseInt] within the limit.
func ParseInt(s string, base, bits int) (int64, error) {
	if err := Check(s); err != nil {
		return 0, err
	}
	return strconv.ParseInt(s, base, bits)
}

// ParseUint is [strconv.ParseUint] within the limit.
func ParseUint(s string, base, bits int) (uint64, error) {
	if err := Check(s); err != nil {
		return 0, err
	}
	return strconv.ParseUint(s, base, bits)
}

// ParseFloat is [strconv.ParseFloat] within the limit.
func ParseFloat(s string, bits int) (float64, error) {
	if err := Check(s); err != nil {
		return 0, err
	}
	return strconv.ParseFloat(s, bits)
}

// Decimal parses an exact number. It rejects 1e70 and 1e-70, which have more than [Most]
// characters without an exponent.
func Decimal(s string) (decimal.Decimal, error) {
	if err := Check(s); err != nil {
		return decimal.Decimal{}, err
	}
	d, err := decimal.NewFromString(s)
	if err != nil {
		return decimal.Decimal{}, fmt.Errorf("%q is not a decimal number", s)
	}
	if _, err := Text(d); err != nil {
		return decimal.Decimal{}, err
	}
	return d, nil
}

// Text formats a number without an exponent and with all of its decimal places: 12.50. It
// returns an error for more than [Most] characters, before it formats them.
func Text(d decimal.Decimal) (string, error) {
	exponent := d.Exponent()
	if exponent > Most || exponent < -Most || d.Coefficient().BitLen() > Most*4 {
		return "", fmt.Errorf("a number must have at most %d characters when it is written without an exponent", Most)
	}
	text := d.String()
	if exponent < 0 {
		text = d.StringFixed(-exponent) // String would shorten 12.50 to 12.5
	}
	if err := Check(text); err != nil {
		return "", err
	}
	return text, nil
}

// CheckDecimal returns an error if [Text] would. It is fast for ordinary numbers.
func CheckDecimal(d decimal.Decimal) error {
	const safe = 20
	if e := d.Exponent(); e <= safe && e >= -safe && d.NumDigits() <= safe {
		return nil
	}
	_, err := Text(d)
	return err
}

// CheckJSON returns an error, with the byte position, if a JSON text has a number of more than
// [Most] characters. It does not check whether the text is valid JSON.
func CheckJSON(data []byte) error {
	for i := 0; i < len(data); {
		switch c := data[i]; {
		case c == '"':
			i = endOfString(data, i)
		case c == '-' || '0' <= c && c <= '9':
			end := endOfNumber(data, i)
			if err := Check(data[i:end]); err != nil {
				return fmt.Errorf("byte %d: %w", i+1, err)
			}
			i = end
		default:
			i++
		}
	}
	return nil
}

// Unmarshal is [json.Unmarshal] of a text without long numbers, see [CheckJSON].
func Unmarshal(data []byte, v any) error {
	if err := CheckJSON(data); err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// endOfString returns the position after the string that starts at i.
func endOfString(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}

// endOfNumber returns the position after the number that starts at i.
func endOfNumber(data []byte, i int) int {
	for ; i < len(data); i++ {
		switch c := data[i]; {
		case '0' <= c && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
		default:
			return i
		}
	}
	return i
}
