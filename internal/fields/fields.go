package fields

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/wording"
	"github.com/shopspring/decimal"
)

// Reader reads the fields of one object.
type Reader struct {
	fields map[string]json.RawMessage
	err    error
}

// Of reads an object.
func Of(raw json.RawMessage) (*Reader, error) {
	r := &Reader{}
	if err := json.Unmarshal(raw, &r.fields); err != nil || r.fields == nil {
		return nil, errors.New("it is not a JSON object")
	}
	return r, nil
}

// Err is the first error, which names its field.
func (r *Reader) Err() error { return r.err }

// Read gives a field to f; a field that is absent or null is left out.
func (r *Reader) Read(key string, f func(json.RawMessage) error) {
	raw, ok := r.fields[key]
	if !ok || IsNull(raw) || r.err != nil {
		return
	}
	if err := f(raw); err != nil {
		r.err = fmt.Errorf("%s %w", key, err)
	}
}

// Each gives the elements of a list to f.
func (r *Reader) Each(key string, f func(json.RawMessage) error) {
	r.Read(key, func(raw json.RawMessage) error {
		var elements []json.RawMessage
		if json.Unmarshal(raw, &elements) != nil {
			return fmt.Errorf("must be a list, not %s", Excerpt(raw))
		}
		for i, element := range elements {
			if err := f(element); err != nil {
				return fmt.Errorf("[%d] %w", i, err)
			}
		}
		return nil
	})
}

// Text reads a text, or a number as it is written.
func (r *Reader) Text(key string) (s string) {
	r.Read(key, func(raw json.RawMessage) (err error) {
		s, err = Scalar(raw)
		return err
	})
	return s
}

// layouts are the times that were seen (RFC 3339) and their likely kin. A time
// without a zone is taken for UTC (inferred).
var layouts = []string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", time.DateOnly,
}

// Time reads a time, in UTC; an empty text is none.
func (r *Reader) Time(key string) (t time.Time) {
	r.Read(key, func(raw json.RawMessage) error {
		s, err := Scalar(raw)
		if err != nil || s == "" {
			return err
		}
		for _, layout := range layouts {
			if t, err = time.Parse(layout, s); err == nil {
				t = t.UTC()
				return nil
			}
		}
		return fmt.Errorf("must be a time such as 2026-11-01T10:00:00Z, not %s", Excerpt(raw))
	})
	return t
}

// IsNull reports whether there is no value.
func IsNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// Scalar reads a text, or a number as it is written.
func Scalar(raw json.RawMessage) (string, error) {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, nil
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String(), nil
	}
	return "", fmt.Errorf("must be a text or a number, not %s", Excerpt(raw))
}

// Decimal reads an exact number, written as a number or as a text. Null and the
// empty text are zero.
func Decimal(raw json.RawMessage) (decimal.Decimal, error) {
	if IsNull(raw) {
		return decimal.Decimal{}, nil
	}
	s, err := Scalar(raw)
	if err != nil || s == "" {
		return decimal.Decimal{}, err
	}
	// Digits only, never by way of a float; and no exponent that would make
	// a number of gigabytes when printed.
	d, err := decimal.NewFromString(s)
	if e := d.Exponent(); err != nil || e < -100 || e > 100 {
		return decimal.Decimal{}, fmt.Errorf("must have a plain decimal number as value, not %s", Excerpt(raw))
	}
	return d, nil
}

// Excerpt shows a value that was refused, on one line.
func Excerpt(raw json.RawMessage) string {
	return wording.Clip(wording.OneLine(string(raw)), 60)
}
