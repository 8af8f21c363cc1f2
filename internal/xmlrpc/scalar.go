package xmlrpc

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

const blanks = " \t\r\n"

// scalar reads a value of one kind, without the white space around it.
func scalar[T any](v *Value, k Kind, parse func(text string) (T, error)) (T, error) {
	if err := v.want(k); err != nil {
		return *new(T), err
	}
	out, err := parse(string(bytes.Trim(v.text, blanks)))
	return out, v.stop(v.at, err)
}

// Int64 reads an integer, whatever its element.
func (v *Value) Int64() (int64, error) {
	return scalar(v, Int, func(text string) (int64, error) { return parseInt(text, 64) })
}

// Int reads an integer, whatever its element.
func (v *Value) Int() (int, error) {
	n, err := scalar(v, Int, func(text string) (int64, error) { return parseInt(text, strconv.IntSize) })
	return int(n), err
}

func parseInt(text string, bits int) (int64, error) {
	n, err := number.ParseInt(text, 10, bits)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("the integer %s does not fit %d bits", quote(text), bits)
	}
	return n, badNumber(err, text, "an integer")
}

func badNumber(err error, text, kind string) error {
	if errors.Is(err, strconv.ErrSyntax) {
		return fmt.Errorf("%s is not %s", quote(text), kind)
	}
	return err
}

// BigInt reads an integer of any size.
func (v *Value) BigInt() (*big.Int, error) { return scalar(v, Int, v.parseBigInt) }

func (v *Value) parseBigInt(text string) (*big.Int, error) {
	if err := v.charge(32 + len(text)/2); err != nil {
		return nil, err
	}
	if err := number.Check(text); err != nil {
		return nil, err
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return nil, fmt.Errorf("%s is not an integer", quote(text))
	}
	return n, nil
}

// Float reads a double. Money is better read as Decimal.
func (v *Value) Float() (float64, error) { return scalar(v, Double, parseFloat) }

func parseFloat(text string) (float64, error) {
	if strings.Trim(text, "0123456789+-.eE") != "" { // as in NaN, inf and 0x1
		return 0, fmt.Errorf("%s is not a double", quote(text))
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		exponent, err := number.Atoi(text[i+1:])
		if errors.Is(err, strconv.ErrRange) || exponent > maxExponent || exponent < -maxExponent {
			return 0, fmt.Errorf("the exponent of the double %s is out of range", quote(text))
		}
	}
	f, err := number.ParseFloat(text, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("the double %s is out of range", quote(text))
	}
	return f, badNumber(err, text, "a double")
}

// maxExponent bounds that of a double, up and down: below it ParseFloat returns 0 without an error.
const maxExponent = 400

// Decimal reads a double or an integer exactly as it is written.
func (v *Value) Decimal() (decimal.Decimal, error) {
	kind := Double
	if v.Kind() == Int {
		kind = Int
	}
	return scalar(v, kind, func(text string) (decimal.Decimal, error) {
		if err := v.charge(32 + len(text)/2); err != nil {
			return decimal.Decimal{}, err
		}
		return number.Decimal(text)
	})
}

// Bool reads a boolean.
func (v *Value) Bool() (bool, error) {
	return scalar(v, Boolean, func(text string) (bool, error) {
		if text != "0" && text != "1" {
			return false, fmt.Errorf("%s is not a boolean: it must be 0 or 1", quote(text))
		}
		return text == "1", nil
	})
}

// Text reads a string, with or without its element. It is fit for [Display].
func (v *Value) Text() (string, error) {
	text, err := v.literal(String)
	return Display(text), err
}

// Literal reads a value of any kind as the text that it is written as, with the control characters and the bytes
// that are no UTF-8; a nil is "". An array or a struct has none: it is skipped, and ok is false.
func (v *Value) Literal() (text string, ok bool, err error) {
	if v.kind == Array || v.kind == Struct {
		return "", false, v.Skip()
	}
	text, err = v.literal(v.kind)
	return text, err == nil, err
}

func (v *Value) literal(k Kind) (string, error) {
	if err := v.want(k); err != nil {
		return "", err
	}
	return string(v.text), v.charge(len(v.text))
}

// Bytes reads base64.
func (v *Value) Bytes() ([]byte, error) {
	text, err := v.literal(Base64)
	if err != nil {
		return nil, err
	}
	content, err := parseBase64([]byte(text))
	return content, v.stop(v.at, err)
}

func parseBase64(text []byte) ([]byte, error) {
	text = bytes.Join(bytes.Fields(text), nil)
	n, err := base64.StdEncoding.Strict().Decode(text, text)
	if err != nil {
		return nil, fmt.Errorf("the text is not base64: %w", err)
	}
	return text[:n:n], nil
}

// Time reads a dateTime.iso8601, with or without dashes, colons, a fraction of a second, and a zone.
func (v *Value) Time() (time.Time, error) {
	return scalar(v, DateTime, func(text string) (time.Time, error) { return parseTime(text, v.o.Location) })
}

func parseTime(text string, where *time.Location) (time.Time, error) {
	date, clock, _ := strings.Cut(text, "T")
	zone := ""
	if i := strings.IndexAny(clock, "Z+-"); i >= 0 {
		clock, zone = clock[:i], clock[i:]
	}
	layout := "20060102T"
	if strings.Contains(date, "-") {
		layout = "2006-01-02T"
	}
	if strings.Contains(clock, ":") {
		layout += "15:04:05" // a fraction may follow
	} else {
		layout += "150405"
	}
	layout += map[int]string{1: "Z07", 3: "Z07", 5: "Z0700", 6: "Z07:00"}[len(zone)]
	t, err := time.ParseInLocation(layout, text, where)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s is not a dateTime: it must look like 19980717T14:08:55 or 1998-07-17T14:08:55",
			quote(text))
	}
	t = t.In(where)
	if t.Year() < 0 || t.Year() > 9999 {
		return time.Time{}, fmt.Errorf("the year of %s is out of range", quote(text))
	}
	return t, nil
}
