package fields

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
	"github.com/shopspring/decimal"
)

// Reader reads the fields of one object. A field that cannot be read becomes a problem and its
// zero value; other fields are not affected.
type Reader struct {
	fields   map[string]json.RawMessage
	problems []string
}

// Of returns a Reader for a JSON object.
func Of(raw json.RawMessage) (*Reader, error) {
	r := &Reader{}
	if err := json.Unmarshal(raw, &r.fields); err != nil || r.fields == nil {
		return nil, errors.New("it is not a JSON object")
	}
	return r, nil
}

// Problems returns which fields could not be read and why, one sentence each.
func (r *Reader) Problems() []string { return r.problems }

// Err returns the first problem as an error, or nil.
func (r *Reader) Err() error {
	if len(r.problems) == 0 {
		return nil
	}
	return errors.New(r.problems[0])
}

// Read calls f with a field, unless it is absent or null. An error of f becomes a problem.
func (r *Reader) Read(key string, f func(json.RawMessage) error) {
	raw, ok := r.fields[key]
	if !ok || IsNull(raw) {
		return
	}
	if err := f(raw); err != nil {
		r.problems = append(r.problems, key+" "+err.Error())
	}
}

// Has reports whether the object has a field, even if it is null.
func (r *Reader) Has(key string) bool {
	_, ok := r.fields[key]
	return ok
}

// Each calls f with each element of a list. The first error becomes a problem.
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

// Text reads a string, or a number as written.
func (r *Reader) Text(key string) (s string) {
	r.Read(key, func(raw json.RawMessage) (err error) {
		s, err = Scalar(raw)
		return err
	})
	return s
}

// Time reads a time and converts it to UTC. An empty string is the zero time.
func (r *Reader) Time(key string) (t time.Time) {
	r.Read(key, func(raw json.RawMessage) (err error) {
		t, _, err = ParseTime(raw)
		return err
	})
	return t
}

// ExactTime is [Reader.Time], but a time without seconds is a problem, because it does not order
// rows of the same minute.
func (r *Reader) ExactTime(key string) (t time.Time) {
	r.Read(key, func(raw json.RawMessage) error {
		read, exact, err := ParseTime(raw)
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

// IsEmpty reports whether a value is an empty object, or the empty list that some servers send
// instead.
func IsEmpty(raw json.RawMessage) bool {
	text := strings.Join(strings.Fields(string(raw[:min(len(raw), 64)])), "")
	return text == "[]" || text == "{}"
}

// IsNull reports whether a value is null or absent.
func IsNull(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// Scalar reads a string, or a number as written, which must not be longer than [number.Most].
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

// Decimal reads an exact number, sent as a number or a string, see [number.Decimal]. Null and the
// empty string are zero.
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

// Excerpt returns a short excerpt of a value for an error, on one line.
func Excerpt(raw json.RawMessage) string {
	return text.Excerpt(string(raw), 60)
}
