package fields

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/shopspring/decimal"
)

// Reader reads the fields of one object. A field that cannot be read is a problem and
// reads as its zero value; the others are read all the same.
type Reader struct {
	fields   map[string]json.RawMessage
	problems []string
}

// Of reads an object.
func Of(raw json.RawMessage) (*Reader, error) {
	r := &Reader{}
	if err := json.Unmarshal(raw, &r.fields); err != nil || r.fields == nil {
		return nil, errors.New("it is not a JSON object")
	}
	return r, nil
}

// Problems say which fields could not be read and why, one sentence each.
func (r *Reader) Problems() []string { return r.problems }

// Err is the first problem.
func (r *Reader) Err() error {
	if len(r.problems) == 0 {
		return nil
	}
	return errors.New(r.problems[0])
}

// Read gives a field to f; a field that is absent or null is left out.
func (r *Reader) Read(key string, f func(json.RawMessage) error) {
	raw, ok := r.fields[key]
	if !ok || IsNull(raw) {
		return
	}
	if err := f(raw); err != nil {
		r.problems = append(r.problems, key+" "+err.Error())
	}
}

// Each gives the elements of a list to f. All elements are given, and the first error
// is the problem.
func (r *Reader) Each(key string, f func(json.RawMessage) error) {
	r.Read(key, func(raw json.RawMessage) (first error) {
		var elements []json.RawMessage
		if json.Unmarshal(raw, &elements) != nil {
			return fmt.Errorf("must be a list, not %s", Excerpt(raw))
		}
		for i, element := range elements {
			if err := f(element); err != nil && first == nil {
				first = fmt.Errorf("[%d] %w", i, err)
			}
		}
		return first
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
// without a zone is taken for UTC (inferred). A zone must be an offset or UTC: what
// other abbreviations mean is not certain.
var layouts = []string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05",
	"Mon, 2 Jan 2006 15:04:05 GMT", "Mon, 2 Jan 2006 15:04:05 UTC", time.RFC1123Z,
}

// coarse are the layouts without seconds.
var coarse = []string{
	"2006-01-02T15:04Z07:00", "2006-01-02T15:04Z0700", "2006-01-02T15:04", "2006-01-02 15:04Z07:00", "2006-01-02 15:04",
	time.DateOnly,
}

// Time reads a time, in UTC; an empty text is none.
func (r *Reader) Time(key string) (t time.Time) {
	r.Read(key, func(raw json.RawMessage) (err error) {
		t, _, err = parseTime(raw)
		return err
	})
	return t
}

// ExactTime reads a time as [Reader.Time] does. One without seconds is an error, because
// it does not tell which of two rows is the older one.
func (r *Reader) ExactTime(key string) (t time.Time) {
	r.Read(key, func(raw json.RawMessage) error {
		read, exact, err := parseTime(raw)
		if err == nil && !exact {
			err = fmt.Errorf("must be a time with seconds, not %s", Excerpt(raw))
		}
		if err == nil {
			t = read
		}
		return err
	})
	return t
}

// parseTime reads a time and whether it has seconds. The zero time is exact.
func parseTime(raw json.RawMessage) (t time.Time, exact bool, err error) {
	s, err := Scalar(raw)
	if err != nil || s == "" {
		return time.Time{}, true, err
	}
	for i, layout := range slices.Concat(layouts, coarse) {
		read, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		// Others than these cannot be written again.
		if year := read.UTC().Year(); year < 1 || year > 9999 {
			return time.Time{}, false, fmt.Errorf("has the year %d, which cannot be right", year)
		}
		return read.UTC(), i < len(layouts), nil
	}
	return time.Time{}, false, fmt.Errorf("must be a time such as 2026-11-01T10:00:00Z, not %s", Excerpt(raw))
}

// IsCode reports whether s has the form of a code, such as "PF": 1 to 32 letters, digits and
// underscores.
func IsCode(s string) bool {
	for i := range len(s) {
		if (s[i] < 'A' || s[i] > 'Z') && (s[i] < 'a' || s[i] > 'z') && (s[i] < '0' || s[i] > '9') && s[i] != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 32
}

// IsEmpty reports whether a value is an empty object, or the empty list that some
// servers write for one.
func IsEmpty(raw json.RawMessage) bool {
	text := strings.Join(strings.Fields(string(raw[:min(len(raw), 64)])), "")
	return text == "[]" || text == "{}"
}

// IsNull reports whether there is no value.
func IsNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// Scalar reads a text, or a number as it is written, which must not be a long one.
func Scalar(raw json.RawMessage) (string, error) {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s, nil
	}
	var n json.Number
	if json.Unmarshal(raw, &n) != nil {
		return "", fmt.Errorf("must be a text or a number, not %s", Excerpt(raw))
	}
	if err := number.Check(n); err != nil {
		return "", fmt.Errorf("cannot be read: %w", err)
	}
	return n.String(), nil
}

// Decimal reads an exact number, written as a number or as a text, see
// [number.Decimal]. Null and the empty text are zero.
func Decimal(raw json.RawMessage) (decimal.Decimal, error) {
	if IsNull(raw) {
		return decimal.Decimal{}, nil
	}
	s, err := Scalar(raw)
	if err != nil || s == "" {
		return decimal.Decimal{}, err
	}
	d, err := number.Decimal(s)
	if err != nil {
		return decimal.Decimal{}, fmt.Errorf("must have a plain decimal number as value, not %s: %w", Excerpt(raw), err)
	}
	return d, nil
}

// Excerpt shows a value that was refused, on one line.
func Excerpt(raw json.RawMessage) string {
	return text.Excerpt(string(raw), 60)
}
