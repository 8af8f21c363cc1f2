package xmlrpc

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

const declaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// EncodeCall writes a call. A parameter is anything that [Value.Decode] can read into, or a pointer
// to it; a struct becomes a struct (fields tagged `xmlrpc:"Name,omitempty"` are left out when zero), an
// array is best given as []any. The members of a map come in the order of their names. What the wire cannot
// carry is an [*Error] that tells where it is.
func EncodeCall(o EncodeOptions, method string, params ...any) ([]byte, error) {
	if err := checkMethod(method); err != nil {
		return nil, &Error{Offset: -1, Err: err}
	}
	e := encoder{o: o}
	e.write(declaration, "<methodCall><methodName>", method, "</methodName><params>")
	for i, p := range params {
		e.write("<param>")
		if err := e.value(p); err != nil {
			return nil, within(within(err, -1, "", i), -1, "params", -1)
		}
		e.write("</param>")
	}
	e.write("</params></methodCall>\n")
	return e.buf, nil
}

// EncodeResponse writes the answer to a call.
func EncodeResponse(o EncodeOptions, result any) ([]byte, error) {
	return encodeAnswer(o, "<params><param>", result, "</param></params>")
}

// EncodeFault writes the answer to a call that is refused.
func EncodeFault(f *Fault) ([]byte, error) {
	fault := struct {
		Code    int    `xmlrpc:"faultCode"`
		Message string `xmlrpc:"faultString"`
	}{f.Code, f.Message}
	return encodeAnswer(EncodeOptions{}, "<fault>", fault, "</fault>")
}

func encodeAnswer(o EncodeOptions, start string, result any, end string) ([]byte, error) {
	e := encoder{o: o}
	e.write(declaration, "<methodResponse>", start)
	if err := e.value(result); err != nil {
		if _, ok := err.(*Error); !ok { //nolint:errorlint // it is given its place just once
			err = &Error{Offset: -1, Err: err}
		}
		return nil, err
	}
	e.write(end, "</methodResponse>\n")
	return e.buf, nil
}

type encoder struct {
	o     EncodeOptions
	buf   []byte
	depth int
}

func (e *encoder) write(texts ...string) {
	for _, s := range texts {
		e.buf = append(e.buf, s...)
	}
}

// scalar writes a value whose text needs no escaping.
func (e *encoder) scalar(element, text string) error {
	e.write("<value><", element, ">", text, "</", element, "></value>")
	return nil
}

func (e *encoder) value(in any) error {
	const deepest = 64 // as deep as is read, counting pointers, so that circles end
	e.depth++
	defer func() { e.depth-- }()
	if e.depth > deepest {
		return fmt.Errorf("values are nested more than %d deep", deepest)
	}
	switch in := in.(type) {
	case nil:
		return e.null()
	case time.Time:
		return e.time(in)
	case decimal.Decimal:
		if err := number.CheckDecimal(in); err != nil {
			return fmt.Errorf("a decimal with the exponent %d cannot be sent as a double: %w", in.Exponent(), err)
		}
		return e.scalar("double", in.String())
	case big.Int:
		return e.integer(&in)
	}
	v := reflect.ValueOf(in)
	switch kind := v.Kind(); {
	case v.CanInt():
		return e.integer(big.NewInt(v.Int()))
	case v.CanUint():
		return e.integer(new(big.Int).SetUint64(v.Uint()))
	case v.CanFloat():
		return e.double(v.Float(), v.Type().Bits())
	case kind == reflect.Bool && v.Bool():
		return e.scalar("boolean", "1")
	case kind == reflect.Bool:
		return e.scalar("boolean", "0")
	case kind == reflect.String:
		return e.text("<value><string>", v.String(), "</string></value>")
	case kind == reflect.Pointer && v.IsNil():
		return e.null()
	case kind == reflect.Pointer:
		return e.value(v.Elem().Interface())
	case kind == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		return e.scalar("base64", base64.StdEncoding.EncodeToString(v.Bytes()))
	case kind == reflect.Slice, kind == reflect.Array:
		return e.array(v)
	case kind == reflect.Map, kind == reflect.Struct:
		return e.members(v)
	default:
		return fmt.Errorf("a %s cannot be sent", v.Type())
	}
}

func (e *encoder) null() error {
	if !e.o.Nil {
		return errors.New("nil cannot be sent: the specification has no nil, and it is not allowed by option")
	}
	e.write("<value><nil/></value>")
	return nil
}

func (e *encoder) integer(n *big.Int) error {
	const bits = number.Most * 4 // more have more digits
	if n.BitLen() > bits {
		return fmt.Errorf("an integer of %d bits cannot be sent", n.BitLen())
	}
	text := n.String()
	switch {
	case n.IsInt64() && math.MinInt32 <= n.Int64() && n.Int64() <= math.MaxInt32:
		return e.scalar("i4", text)
	case e.o.Wide == I8 && n.IsInt64():
		return e.scalar("i8", text)
	case e.o.Wide == I8:
		return fmt.Errorf("the integer %s does not fit an i8", quote(text))
	case e.o.Wide == NoWide:
		return fmt.Errorf("the integer %s does not fit an i4, and wider ones are not allowed by option", quote(text))
	case e.o.Wide != BigInt:
		return fmt.Errorf("the option for wide integers is %q: it must be empty, %q or %q", e.o.Wide, I8, BigInt)
	}
	if err := number.Check(text); err != nil {
		return err
	}
	return e.scalar("bigint", text)
}

func (e *encoder) double(f float64, bits int) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("%g cannot be sent: XML-RPC has only finite doubles", f)
	}
	// The specification has no exponents, but without one few would read a number of
	// hundreds of digits.
	text := strconv.FormatFloat(f, 'f', -1, bits)
	if len(text) > number.Most {
		text = strconv.FormatFloat(f, 'e', -1, bits)
	}
	return e.scalar("double", text)
}

func (e *encoder) time(t time.Time) error {
	if e.o.Location == nil {
		e.o.Location = time.UTC
	}
	t = t.In(e.o.Location)
	if t.Year() < 0 || t.Year() > 9999 {
		return fmt.Errorf("the year %d cannot be sent", t.Year())
	}
	if t.Nanosecond() != 0 {
		return errors.New("the time has a fraction of a second, which XML-RPC cannot carry: use Truncate(time.Second)")
	}
	return e.scalar("dateTime.iso8601", t.Format("20060102T15:04:05"))
}

// text writes an escaped text between tags.
func (e *encoder) text(start, text, end string) error {
	e.write(start)
	for i, c := range text {
		if _, size := utf8.DecodeRuneInString(text[i:]); c == utf8.RuneError && size == 1 {
			return fmt.Errorf("the text is not UTF-8 (byte %d, 0x%02x): send it as []byte", i, text[i])
		}
		if !validChar(c) {
			return fmt.Errorf("XML cannot carry the character %U at byte %d of the text: send it as []byte", c, i)
		}
	}
	e.write(escaper.Replace(text), end)
	return nil
}

// escaper also escapes \r, which alone would be read as \n.
var escaper = strings.NewReplacer("<", "&lt;", ">", "&gt;", "&", "&amp;", "\r", "&#13;")

func (e *encoder) array(in reflect.Value) error {
	e.write("<value><array><data>")
	for i := range in.Len() {
		if err := e.value(in.Index(i).Interface()); err != nil {
			return within(err, -1, "", i)
		}
	}
	e.write("</data></array></value>")
	return nil
}

// members writes a map, in the order of its names, or a struct.
func (e *encoder) members(in reflect.Value) error {
	e.write("<value><struct>")
	if in.Kind() == reflect.Struct {
		fields, err := fieldsOf(in.Type())
		if err != nil {
			return err
		}
		for _, f := range fields.list {
			if field := in.Field(f.index); !f.omitEmpty || !field.IsZero() {
				if err := e.member(f.name, field); err != nil {
					return err
				}
			}
		}
	} else {
		if in.Type().Key().Kind() != reflect.String {
			return fmt.Errorf("a %s cannot be sent: the keys must be strings", in.Type())
		}
		keys := in.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			if err := e.member(key.String(), in.MapIndex(key)); err != nil {
				return err
			}
		}
	}
	e.write("</struct></value>")
	return nil
}

func (e *encoder) member(name string, in reflect.Value) error {
	if err := e.text("<member><name>", name, "</name>"); err != nil {
		return within(fmt.Errorf("the name of the member: %w", err), -1, name, -1)
	}
	if err := e.value(in.Interface()); err != nil {
		return within(err, -1, name, -1)
	}
	e.write("</member>")
	return nil
}
