package xmlrpc

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/big"
	"strconv"
	"time"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

// maxExponent is the largest exponent of a double, up and down. A decimal with it is
// written out in full.
const maxExponent = 400

// take reads the text of a value of one kind and gives it to parse while it is good.
func take[T any](v *Value, k Kind, parse func(text []byte) (T, error)) (T, error) {
	var zero T
	if err := v.want(k); err != nil {
		return zero, err
	}
	text, err := v.scalar()
	if err != nil {
		return zero, v.stop(err)
	}
	out, err := parse(text)
	if err != nil {
		return zero, v.refuse("%w", err)
	}
	if err := v.close(); err != nil {
		return zero, v.stop(err)
	}
	return out, nil
}

// Int64 reads an integer, whatever its element.
func (v *Value) Int64() (int64, error) { return take(v, Int, parseInt64) }

// Int reads an integer, whatever its element.
func (v *Value) Int() (int, error) { return take(v, Int, parseInt) }

func parseInt(text []byte) (int, error) {
	n, err := parseInt64(text)
	if err == nil && int64(int(n)) != n {
		err = fmt.Errorf("the integer %d does not fit %d bits", n, strconv.IntSize)
	}
	return int(n), err
}

func parseInt64(text []byte) (int64, error) {
	text = bytes.Trim(text, " \t\r\n")
	if n, ok := smallInt(text); ok {
		return n, nil
	}
	if err := checkInt(text); err != nil {
		return 0, err
	}
	n, err := number.ParseInt(string(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the integer %s does not fit 64 bits", quote(text))
	}
	return n, nil
}

// smallInt reads the integers that cannot overflow.
func smallInt(text []byte) (n int64, ok bool) {
	digits := text
	if len(digits) > 0 && (digits[0] == '-' || digits[0] == '+') {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if text[0] == '-' {
		n = -n
	}
	return n, true
}

func checkInt(text []byte) error {
	if err := number.Check(text); err != nil {
		return err
	}
	digits := unsigned(text)
	if len(digits) == 0 || countDigits(digits) != len(digits) {
		return fmt.Errorf("%s is not an integer", quote(text))
	}
	return nil
}

func unsigned(text []byte) []byte {
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		return text[1:]
	}
	return text
}

// countDigits is how many digits a text starts with.
func countDigits(text []byte) int {
	for i, c := range text {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(text)
}

// BigInt reads an integer of any size.
func (v *Value) BigInt() (*big.Int, error) { return take(v, Int, v.parseBigInt) }

func (v *Value) parseBigInt(text []byte) (*big.Int, error) {
	if err := v.charge(32 + len(text)/2); err != nil {
		return nil, err
	}
	text = bytes.Trim(text, " \t\r\n")
	if err := checkInt(text); err != nil {
		return nil, err
	}
	n, ok := new(big.Int).SetString(string(text), 10)
	if !ok {
		return nil, fmt.Errorf("%s is not an integer", quote(text))
	}
	return n, nil
}

// Float reads a double. Money is better read as Decimal.
func (v *Value) Float() (float64, error) { return take(v, Double, parseFloat) }

func parseFloat(text []byte) (float64, error) {
	text = bytes.Trim(text, " \t\r\n")
	if err := checkDouble(text); err != nil {
		return 0, err
	}
	f, err := number.ParseFloat(string(text), 64)
	if err != nil {
		return 0, fmt.Errorf("the double %s is out of range", quote(text))
	}
	return f, nil
}

// Decimal reads a double or an integer exactly as it is written.
func (v *Value) Decimal() (decimal.Decimal, error) {
	kind := Double
	if v.Kind() == Int {
		kind = Int
	}
	return take(v, kind, func(text []byte) (decimal.Decimal, error) {
		if err := v.charge(32 + len(text)/2); err != nil {
			return decimal.Decimal{}, err
		}
		return parseDecimal(text)
	})
}

func parseDecimal(text []byte) (decimal.Decimal, error) {
	text = bytes.Trim(text, " \t\r\n")
	if d, ok := smallDecimal(text); ok {
		return d, nil
	}
	if err := checkDouble(text); err != nil {
		return decimal.Decimal{}, err
	}
	d, err := decimal.NewFromString(string(text)) //nolint:forbidigo // checkDouble bounds it
	if err != nil {
		return decimal.Decimal{}, fmt.Errorf("%s is not a double", quote(text))
	}
	return d, nil
}

// smallDecimal reads what most amounts look like: some digits with a point in between.
func smallDecimal(text []byte) (decimal.Decimal, bool) {
	point := bytes.IndexByte(text, '.')
	var flat [20]byte
	if point < 1 || len(text) > len(flat) {
		return decimal.Decimal{}, false
	}
	n := copy(flat[:], text[:point])
	n += copy(flat[n:], text[point+1:])
	coefficient, ok := smallInt(flat[:n])
	if !ok || countDigits(text[point+1:]) != len(text)-point-1 {
		return decimal.Decimal{}, false
	}
	return decimal.New(coefficient, -int32(len(text)-point-1)), true //nolint:gosec // at most 18
}

// checkDouble checks what ParseFloat and decimal take for a number. The
// specification has no exponents, but many servers write them.
func checkDouble(text []byte) error {
	if err := number.Check(text); err != nil {
		return err
	}
	rest := unsigned(text)
	digits := countDigits(rest)
	rest = rest[digits:]
	if len(rest) > 0 && rest[0] == '.' {
		n := countDigits(rest[1:])
		digits += n
		rest = rest[1+n:]
	}
	if digits == 0 {
		return fmt.Errorf("%s is not a double", quote(text))
	}
	if len(rest) == 0 {
		return nil
	}
	power := unsigned(rest[1:])
	if rest[0] != 'e' && rest[0] != 'E' || len(power) == 0 || countDigits(power) != len(power) {
		return fmt.Errorf("%s is not a double", quote(text))
	}
	exponent, err := number.Atoi(string(power))
	if err != nil || exponent > maxExponent || exponent < -maxExponent {
		return fmt.Errorf("the exponent of the double %s is out of range", quote(text))
	}
	return nil
}

// Bool reads a boolean.
func (v *Value) Bool() (bool, error) { return take(v, Boolean, parseBool) }

func parseBool(text []byte) (bool, error) {
	switch string(bytes.Trim(text, " \t\r\n")) {
	case "0":
		return false, nil
	case "1":
		return true, nil
	default:
		return false, fmt.Errorf("%s is not a boolean: it must be 0 or 1", quote(text))
	}
}

// Literal reads a value of any kind as the text that it is written as; a nil is "". An
// array or a struct has none: it is skipped, and ok is false.
func (v *Value) Literal() (text string, ok bool, err error) {
	kind := v.Kind()
	if kind == Array || kind == Struct {
		return "", false, v.Skip()
	}
	text, err = take(v, kind, func(text []byte) (string, error) {
		if err := v.charge(len(text)); err != nil {
			return "", err
		}
		return string(text), nil
	})
	return text, err == nil, err
}

// Text reads a string, with or without its element.
func (v *Value) Text() (string, error) {
	return take(v, String, func(text []byte) (string, error) {
		if err := v.charge(len(text)); err != nil {
			return "", err
		}
		return string(text), nil
	})
}

// Bytes reads base64.
func (v *Value) Bytes() ([]byte, error) {
	return take(v, Base64, func(text []byte) ([]byte, error) {
		if err := v.charge(len(text)); err != nil {
			return nil, err
		}
		return parseBase64(text)
	})
}

func parseBase64(text []byte) ([]byte, error) {
	compact := make([]byte, 0, len(text))
	for _, c := range text {
		if !isSpace(c) {
			compact = append(compact, c)
		}
	}
	n, err := base64.StdEncoding.Strict().Decode(compact, compact)
	if err != nil {
		return nil, fmt.Errorf("the text is not base64: %w", err)
	}
	return compact[:n:n], nil
}

// Time reads a dateTime.iso8601, with or without dashes, with or without a zone.
func (v *Value) Time() (time.Time, error) {
	return take(v, DateTime, func(text []byte) (time.Time, error) { return parseTime(text, v.o.Location) })
}

func parseTime(text []byte, where *time.Location) (time.Time, error) {
	const compact, dashed = "20060102T15:04:05", "2006-01-02T15:04:05"
	text = bytes.Trim(text, " \t\r\n")
	layout := compact
	if len(text) > 4 && text[4] == '-' {
		layout = dashed
	}
	if len(text) < len(layout) {
		return time.Time{}, notATime(text)
	}
	zone, ok := parseZone(text[len(layout):], where)
	if !ok {
		return time.Time{}, notATime(text)
	}
	t, err := time.ParseInLocation(layout, string(text[:len(layout)]), zone)
	if err != nil {
		return time.Time{}, notATime(text)
	}
	t = t.In(where)
	if t.Year() < 0 || t.Year() > 9999 {
		return time.Time{}, fmt.Errorf("the year of %s is out of range", quote(text))
	}
	return t, nil
}

func notATime(text []byte) error {
	return fmt.Errorf("%s is not a dateTime: it must look like 19980717T14:08:55 or 1998-07-17T14:08:55", quote(text))
}

// parseZone reads Z, +hh, +hhmm, +hh:mm, or nothing.
func parseZone(text []byte, none *time.Location) (*time.Location, bool) {
	if len(text) == 0 {
		return none, true
	}
	if string(text) == "Z" {
		return time.UTC, true
	}
	digits := text[1:]
	if len(digits) == 5 && digits[2] == ':' {
		digits = append(digits[:2:2], digits[3:]...)
	}
	if text[0] != '+' && text[0] != '-' || countDigits(digits) != len(digits) || len(digits) != 2 && len(digits) != 4 {
		return nil, false
	}
	hours := int(digits[0]-'0')*10 + int(digits[1]-'0')
	minutes := 0
	if len(digits) == 4 {
		minutes = int(digits[2]-'0')*10 + int(digits[3]-'0')
	}
	if hours > 23 || minutes > 59 {
		return nil, false
	}
	seconds := hours*3600 + minutes*60
	if text[0] == '-' {
		seconds = -seconds
	}
	return time.FixedZone("", seconds), true
}
