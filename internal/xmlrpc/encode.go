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
	e := newEncoder(o)
	e.write(declaration + "<methodCall><methodName>" + method + "</methodName><params>")
	e.path = append(e.path, step{name: "params", index: -1}, step{})
	for i, p := range params {
		e.path[1].index = i
		e.write("<param>")
		if err := e.value(p); err != nil {
			return nil, e.located(err)
		}
		e.write("</param>")
	}
	e.write("</params></methodCall>\n")
	return e.buf, nil
}

// EncodeResponse writes the answer to a call.
func EncodeResponse(o EncodeOptions, result any) ([]byte, error) {
	e := newEncoder(o)
	e.write(declaration + "<methodResponse><params><param>")
	if err := e.value(result); err != nil {
		return nil, e.located(err)
	}
	e.write("</param></params></methodResponse>\n")
	return e.buf, nil
}

// EncodeFault writes the answer to a call that is refused.
func EncodeFault(f *Fault) ([]byte, error) {
	e := newEncoder(EncodeOptions{})
	e.write(declaration + "<methodResponse><fault>")
	fault := struct {
		Code    int    `xmlrpc:"faultCode"`
		Message string `xmlrpc:"faultString"`
	}{f.Code, f.Message}
	if err := e.value(fault); err != nil {
		return nil, e.located(err)
	}
	e.write("</fault></methodResponse>\n")
	return e.buf, nil
}

type encoder struct {
	o     EncodeOptions
	buf   []byte
	path  path // where an error is
	depth int
}

func newEncoder(o EncodeOptions) *encoder {
	if o.Location == nil {
		o.Location = time.UTC
	}
	return &encoder{o: o}
}

func (e *encoder) located(err error) error { return located(err, -1, e.path) }

func (e *encoder) write(s string) { e.buf = append(e.buf, s...) }

// element writes a value whose text needs no escaping.
func (e *encoder) element(el element, text string) error {
	name := elementNames[el]
	e.write("<value><" + name + ">" + text + "</" + name + "></value>")
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
	case string:
		return e.text(in)
	case int:
		return e.integer(int64(in))
	case bool:
		return e.boolean(in)
	case float64:
		return e.double(in, 64)
	case []byte:
		return e.element(elBase64, base64.StdEncoding.EncodeToString(in))
	case time.Time:
		return e.time(in)
	case decimal.Decimal:
		return e.decimal(in)
	case big.Int:
		return e.bigInt(&in)
	case []any:
		return e.array(len(in), func(i int) any { return in[i] })
	}
	return e.reflected(reflect.ValueOf(in))
}

func (e *encoder) null() error {
	if !e.o.Nil {
		return errors.New("nil cannot be sent: the specification has no nil, and it is not allowed by option")
	}
	e.write("<value><nil/></value>")
	return nil
}

func (e *encoder) boolean(in bool) error {
	if in {
		return e.element(elBoolean, "1")
	}
	return e.element(elBoolean, "0")
}

func (e *encoder) integer(n int64) error {
	text := strconv.FormatInt(n, 10)
	switch {
	case math.MinInt32 <= n && n <= math.MaxInt32:
		return e.element(elI4, text)
	case e.o.Wide == I8:
		return e.element(elI8, text)
	default:
		return e.wide(text)
	}
}

func (e *encoder) bigInt(n *big.Int) error {
	const bits = number.Most * 4 // more have more digits
	switch {
	case n.IsInt64():
		return e.integer(n.Int64())
	case n.BitLen() > bits:
		return fmt.Errorf("an integer of %d bits cannot be sent", n.BitLen())
	default:
		return e.wide(n.String())
	}
}

func (e *encoder) wide(text string) error {
	switch e.o.Wide {
	case BigInt:
		if err := number.Check(text); err != nil {
			return err
		}
		return e.element(elBigInt, text)
	case I8:
		return fmt.Errorf("the integer %s does not fit an i8", quote([]byte(text)))
	case NoWide:
		return fmt.Errorf("the integer %s does not fit an i4, and wider ones are not allowed by option", quote([]byte(text)))
	default:
		return fmt.Errorf("the option for wide integers is %q: it must be empty, %q or %q", e.o.Wide, I8, BigInt)
	}
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
	return e.element(elDouble, text)
}

func (e *encoder) decimal(d decimal.Decimal) error {
	if err := number.CheckDecimal(d); err != nil {
		return fmt.Errorf("a decimal with the exponent %d cannot be sent as a double: %w", d.Exponent(), err)
	}
	return e.element(elDouble, d.String())
}

func (e *encoder) time(t time.Time) error {
	t = t.In(e.o.Location)
	if t.Year() < 0 || t.Year() > 9999 {
		return fmt.Errorf("the year %d cannot be sent", t.Year())
	}
	if t.Nanosecond() != 0 {
		return errors.New("the time has a fraction of a second, which XML-RPC cannot carry: use Truncate(time.Second)")
	}
	return e.element(elDateTime, t.Format("20060102T15:04:05"))
}

func (e *encoder) text(s string) error {
	e.write("<value><string>")
	if err := e.escape(s); err != nil {
		return err
	}
	e.write("</string></value>")
	return nil
}

func (e *encoder) escape(s string) error {
	for i, c := range s {
		switch {
		case c == utf8.RuneError && invalidAt(s[i:]):
			return fmt.Errorf("the text is not UTF-8 (byte %d, 0x%02x): send it as []byte", i, s[i])
		case !validChar(c):
			return fmt.Errorf("XML cannot carry the character %U at byte %d of the text: send it as []byte", c, i)
		case c == '<':
			e.write("&lt;")
		case c == '>':
			e.write("&gt;")
		case c == '&':
			e.write("&amp;")
		case c == '\r':
			e.write("&#13;") // alone it would be read as \n
		default:
			e.buf = utf8.AppendRune(e.buf, c)
		}
	}
	return nil
}

func invalidAt(s string) bool {
	_, size := utf8.DecodeRuneInString(s)
	return size == 1
}

func (e *encoder) array(n int, at func(int) any) error {
	e.write("<value><array><data>")
	e.path = append(e.path, step{})
	for i := range n {
		e.path[len(e.path)-1] = step{index: i}
		if err := e.value(at(i)); err != nil {
			return err
		}
	}
	e.path = e.path[:len(e.path)-1]
	e.write("</data></array></value>")
	return nil
}

func (e *encoder) member(name string, in any) error {
	e.path = append(e.path, step{name: name, index: -1})
	e.write("<member><name>")
	if err := e.escape(name); err != nil {
		return fmt.Errorf("the name of the member: %w", err)
	}
	e.write("</name>")
	if err := e.value(in); err != nil {
		return err
	}
	e.write("</member>")
	e.path = e.path[:len(e.path)-1]
	return nil
}

func (e *encoder) reflected(in reflect.Value) error {
	switch {
	case in.CanInt():
		return e.integer(in.Int())
	case in.CanUint():
		return e.bigInt(new(big.Int).SetUint64(in.Uint()))
	case in.CanFloat():
		return e.double(in.Float(), in.Type().Bits())
	}
	switch in.Kind() {
	case reflect.String:
		return e.text(in.String())
	case reflect.Bool:
		return e.boolean(in.Bool())
	case reflect.Pointer:
		return e.pointer(in)
	case reflect.Slice, reflect.Array:
		if in.Kind() == reflect.Slice && in.Type().Elem().Kind() == reflect.Uint8 {
			return e.element(elBase64, base64.StdEncoding.EncodeToString(in.Bytes()))
		}
		return e.array(in.Len(), func(i int) any { return in.Index(i).Interface() })
	case reflect.Map:
		return e.mapping(in)
	case reflect.Struct:
		return e.structure(in)
	default:
		return fmt.Errorf("a %s cannot be sent", in.Type())
	}
}

func (e *encoder) pointer(in reflect.Value) error {
	if in.IsNil() {
		return e.null()
	}
	return e.value(in.Elem().Interface())
}

func (e *encoder) mapping(in reflect.Value) error {
	if in.Type().Key().Kind() != reflect.String {
		return fmt.Errorf("a %s cannot be sent: the keys must be strings", in.Type())
	}
	keys := in.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		switch {
		case a.String() < b.String():
			return -1
		case a.String() > b.String():
			return 1
		default:
			return 0
		}
	})
	e.write("<value><struct>")
	for _, key := range keys {
		if err := e.member(key.String(), in.MapIndex(key).Interface()); err != nil {
			return err
		}
	}
	e.write("</struct></value>")
	return nil
}

func (e *encoder) structure(in reflect.Value) error {
	fields, err := fieldsOf(in.Type())
	if err != nil {
		return err
	}
	e.write("<value><struct>")
	for _, f := range fields.list {
		value := in.Field(f.index)
		if f.omitEmpty && value.IsZero() {
			continue
		}
		if err := e.member(f.name, value.Interface()); err != nil {
			return err
		}
	}
	e.write("</struct></value>")
	return nil
}
