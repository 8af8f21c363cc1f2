package jsonfile

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudblue-go/cloudblue/internal/number"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// maxShown is the most bytes of a refused key or value that an error shows.
const maxShown = 40

// decoder decodes valid JSON into Go values. encoding/json cannot be used for all of it:
// it accepts repeated keys and keys in another case, and its errors name no place.
type decoder struct {
	data   []byte
	dec    *json.Decoder
	null   bool
	fields map[reflect.Type][]field
	// find is a path to look for. found is the offset of its value, or of the innermost
	// value around it that exists.
	find  string
	found int
}

// field is a key of an object.
type field struct {
	key   string
	index []int
}

func newDecoder(data []byte, allowNull bool) *decoder {
	return &decoder{
		data: data, dec: json.NewDecoder(bytes.NewReader(data)),
		null: allowNull, fields: make(map[reflect.Type][]field),
	}
}

func (d *decoder) line(offset int) int { return 1 + bytes.Count(d.data[:offset], []byte("\n")) }

func (d *decoder) errorf(offset int, path, format string, args ...any) error {
	return &Error{Line: d.line(offset), Path: path, Err: fmt.Errorf(format, args...)}
}

// start returns the offset of the next value or key.
func (d *decoder) start() int {
	offset := int(d.dec.InputOffset())
	return offset + len(d.data[offset:]) - len(bytes.TrimLeft(d.data[offset:], " \t\r\n,:"))
}

// value decodes the next value into v.
func (d *decoder) value(v reflect.Value, path string) error {
	at := d.start()
	if rest, inside := strings.CutPrefix(d.find, path); inside &&
		(path == "" || rest == "" || rest[0] == '.' || rest[0] == '[') {
		d.found = at
	}
	first := d.data[at]
	switch kind := kindOf(v); {
	case first == 'n' && d.null && path != "":
		var null json.RawMessage
		return d.dec.Decode(&null)
	case first == 'n':
		return d.leaf(v, at, path)
	case kind == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(v.Elem(), path)
	case kind == reflect.Struct && first == '{':
		return d.object(v, path)
	case kind == reflect.Slice && first == '[':
		return d.list(v, path)
	default:
		return d.leaf(v, at, path)
	}
}

// kindOf returns the kind of v if it is decoded part by part, else Invalid.
func kindOf(v reflect.Value) reflect.Kind {
	switch v.Addr().Interface().(type) {
	case json.Unmarshaler, encoding.TextUnmarshaler:
		return reflect.Invalid
	}
	return v.Kind()
}

// leaf decodes a value that is not decoded part by part, or is of the wrong type.
func (d *decoder) leaf(v reflect.Value, at int, path string) error {
	var raw json.RawMessage
	if err := d.dec.Decode(&raw); err != nil {
		return d.errorf(at, path, "%w", err)
	}
	err := checkNumbers(raw)
	if err != nil {
		return d.errorf(at, path, "%w", err)
	}
	if raw[0] == 'n' {
		err = errors.New("must not be null")
	} else {
		err = json.Unmarshal(raw, v.Addr().Interface())
	}
	want := wanted(v)
	switch {
	case err == nil:
		return nil
	case want == "":
		return d.errorf(at, path, "%w", err)
	case path == "":
		path = "the top level"
	}
	return d.errorf(at, path, "must be %s, is %s", want, text.Excerpt(string(raw), maxShown))
}

// checkNumbers refuses long numbers, see [number.Check].
func checkNumbers(raw json.RawMessage) error {
	if c := raw[0]; c == '-' || '0' <= c && c <= '9' {
		return number.Check(raw)
	}
	return number.CheckJSON(raw)
}

// wanted says what is decoded into v; "" if its type has a method for that.
func wanted(v reflect.Value) string {
	if v.Type() == reflect.TypeFor[time.Time]() {
		return "a time with its zone, such as 2026-11-01T00:00:00Z"
	}
	switch kindOf(v) {
	case reflect.Invalid:
		return ""
	case reflect.String:
		return "text in quotes"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list in square brackets"
	case reflect.Struct, reflect.Map:
		return "an object in braces"
	case reflect.Pointer:
		return wanted(reflect.New(v.Type().Elem()).Elem())
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number"
	}
}

func (d *decoder) list(v reflect.Value, path string) error {
	if err := d.delimiter(); err != nil {
		return err
	}
	list := reflect.MakeSlice(v.Type(), 0, 0)
	for i := 0; d.dec.More(); i++ {
		element := reflect.New(v.Type().Elem()).Elem()
		if err := d.value(element, path+"["+strconv.Itoa(i)+"]"); err != nil {
			return err
		}
		list = reflect.Append(list, element)
	}
	v.Set(list)
	return d.delimiter()
}

func (d *decoder) object(v reflect.Value, path string) error {
	if err := d.delimiter(); err != nil {
		return err
	}
	fields := d.fieldsOf(v.Type())
	seen := make([]bool, len(fields))
	for d.dec.More() {
		at := d.start()
		token, err := d.dec.Token()
		if err != nil {
			return d.errorf(at, path, "%w", err)
		}
		key, _ := token.(string) // JSON has no other keys
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
		switch {
		case i < 0:
			return d.errorf(at, path, "unknown key %q%s", text.Excerpt(key, maxShown), hint(key, fields))
		case seen[i]:
			return d.errorf(at, path, "the key %q is there twice: remove one", key)
		}
		seen[i] = true
		if err := d.value(v.FieldByIndex(fields[i].index), join(path, key)); err != nil {
			return err
		}
	}
	return d.delimiter()
}

func hint(key string, fields []field) string {
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.key
	}
	return text.DidYouMean(key, known) + "; known are " + strings.Join(known, ", ")
}

// delimiter reads a bracket or brace.
func (d *decoder) delimiter() error {
	_, err := d.dec.Token()
	return err
}

// fieldsOf lists the keys of a struct, those of embedded structs included.
func (d *decoder) fieldsOf(t reflect.Type) []field {
	if fields, known := d.fields[t]; known {
		return fields
	}
	var fields []field
	for _, f := range reflect.VisibleFields(t) {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous || !f.IsExported() || key == "-" {
			continue
		}
		if key == "" {
			key = f.Name
		}
		fields = append(fields, field{key: key, index: f.Index})
	}
	d.fields[t] = fields
	return fields
}
