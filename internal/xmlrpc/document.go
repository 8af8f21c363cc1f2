package xmlrpc

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

// DecodeResponse reads the answer to a call into out, as [Value.Decode] does. With out nil
// the answer may have no value. A fault is returned as a [*Fault], all else
// that is wrong as an [*Error]. What out points to is changed only
// when the whole document is good, unless out reads by itself.
func DecodeResponse(r io.Reader, o DecodeOptions, out any) error {
	v := newValue(o)
	in, commit := Staged(out)
	fault := v.response(r, in)
	switch {
	case v.err != nil:
		return v.err
	case fault != nil:
		return fault
	}
	commit()
	return nil
}

// Staged makes a second out, which becomes the first by commit. What is no pointer is
// left for Decode to read or refuse.
func Staged(out any) (in any, commit func()) {
	target := reflect.ValueOf(out)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return out, func() {}
	}
	second := reflect.New(target.Type().Elem())
	second.Elem().Set(target.Elem())
	return second.Interface(), func() { target.Elem().Set(second.Elem()) }
}

func newValue(o DecodeOptions) *Value {
	return &Value{cursor: cursor{o: o.withDefaults()}, names: make(map[string]string)}
}

// root reads up to the outermost element.
func (v *Value) root(r io.Reader, element string) {
	v.open(r)
	if t := v.tag(); v.err == nil && (t.end || t.name != element) {
		v.failAt(t.at, "expected <%s>, found %s: %s", element, t, whichPage)
	}
}

func (v *Value) response(r io.Reader, out any) (f *Fault) {
	v.root(r, "methodResponse")
	switch t := v.tag(); {
	case !t.end && t.name == "fault":
		f = v.fault()
	case !t.end && t.name == "params":
		v.result(out)
	case v.err == nil:
		v.failAt(t.at, "expected <params> or <fault>, found %s", t)
	}
	v.ends("methodResponse")
	v.finish()
	return f
}

func (v *Value) result(out any) {
	around := ""
	if out == nil {
		around = "params" // a method that returns nothing
	}
	if _, started := v.startOr("param", around); started {
		v.read(v.start("value"), func(v *Value) error { return v.Decode(out) })
		v.ends("param", "params")
	}
}

func (v *Value) fault() *Fault {
	var f Fault
	coded, explained := false, false
	v.read(v.start("value"), func(v *Value) error {
		return v.Members(func(name string, v *Value) (err error) {
			switch name {
			case "faultCode":
				coded, err = f.readCode(v)
			case "faultString":
				explained, err = f.readMessage(v)
			}
			return err
		})
	})
	if !coded && !explained {
		_ = v.refuse("the fault has neither a faultCode nor a faultString")
	}
	v.ends("fault")
	return &f
}

// readCode takes a code that is not an integer as a name.
func (f *Fault) readCode(v *Value) (given bool, err error) {
	given = v.Kind() != Nil
	text, _, err := v.Literal()
	text = strings.Trim(text, blanks)
	code, bad := number.Atoi(text)
	if f.Code, f.Name = code, ""; bad != nil {
		f.Code, f.Name = 0, Display(text)
	}
	return given, err
}

// readMessage takes whatever has a text.
func (f *Fault) readMessage(v *Value) (given bool, err error) {
	kind := v.Kind()
	text, _, err := v.Literal()
	if decoded, bad := parseBase64([]byte(text)); kind == Base64 && bad == nil {
		text = string(decoded)
	}
	f.Message = Display(text)
	return kind != Nil, err
}

// Call is a call as a server gets it.
type Call struct {
	Method string
	Params []any // see Value.Any
}

// DecodeCall reads a call. The errors are [*Error].
func DecodeCall(r io.Reader, o DecodeOptions) (Call, error) {
	v := newValue(o)
	v.root(r, "methodCall")
	v.start("methodName")
	c := Call{Method: string(v.content("methodName"))}
	_ = v.stop(v.src.offset(), checkMethod(c.Method))
	if _, started := v.startOr("params", "methodCall"); started {
		v.step("params", -1, func() { v.params(&c) })
		v.ends("methodCall")
	}
	v.finish()
	if v.err != nil {
		return Call{}, v.err
	}
	return c, nil
}

func (v *Value) params(c *Call) {
	for i, more := 0, true; more && v.err == nil; i++ {
		v.step("", i, func() {
			if _, more = v.startOr("param", "params"); !more {
				return
			}
			v.read(v.start("value"), func(v *Value) error {
				param, err := v.Any()
				c.Params = append(c.Params, param)
				return err
			})
			v.ends("param")
		})
	}
}

// checkMethod allows what the specification does.
func checkMethod(method string) error {
	const longest = 255
	if method == "" || len(method) > longest {
		return fmt.Errorf("the name of a method must have 1 to %d characters", longest)
	}
	if strings.Trim(method, nameBytes+"/") != "" {
		return fmt.Errorf("%s is not the name of a method: only letters, digits and _ . : / are allowed", quote(method))
	}
	return nil
}
