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
	d := newDocument(o)
	in, commit := Staged(out)
	fault := d.response(r, in)
	switch {
	case d.err != nil:
		return d.err
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

// document is a document that is being read, and the value that the reading has come to.
type document struct{ Value }

func newDocument(o DecodeOptions) *document {
	return &document{Value{cursor: cursor{o: o.withDefaults()}, names: make(map[string]string)}}
}

// root reads up to the outermost element.
func (d *document) root(r io.Reader, element string) {
	d.open(r)
	if t := d.tag(); d.err == nil && (t.end || t.name != element) {
		d.failAt(t.at, "expected <%s>, found %s: %s", element, t, whichPage)
	}
}

func (d *document) response(r io.Reader, out any) (f *Fault) {
	d.root(r, "methodResponse")
	switch t := d.tag(); {
	case !t.end && t.name == "fault":
		f = d.fault()
	case !t.end && t.name == "params":
		d.result(out)
	case d.err == nil:
		d.failAt(t.at, "expected <params> or <fault>, found %s", t)
	}
	d.ends("methodResponse")
	d.finish()
	return f
}

func (d *document) result(out any) {
	around := ""
	if out == nil {
		around = "params" // a method that returns nothing
	}
	if _, started := d.startOr("param", around); started {
		d.read(d.start("value"), func(v *Value) error { return v.Decode(out) })
		d.ends("param", "params")
	}
}

func (d *document) fault() *Fault {
	var f Fault
	coded, explained := false, false
	d.read(d.start("value"), func(v *Value) error {
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
		_ = d.refuse("the fault has neither a faultCode nor a faultString")
	}
	d.ends("fault")
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
	d := newDocument(o)
	d.root(r, "methodCall")
	d.start("methodName")
	c := Call{Method: string(d.content("methodName"))}
	_ = d.stop(d.src.offset(), checkMethod(c.Method))
	if _, started := d.startOr("params", "methodCall"); started {
		d.step("params", -1, func() { d.params(&c) })
		d.ends("methodCall")
	}
	d.finish()
	if d.err != nil {
		return Call{}, d.err
	}
	return c, nil
}

func (d *document) params(c *Call) {
	for i, more := 0, true; more && d.err == nil; i++ {
		d.step("", i, func() {
			if _, more = d.startOr("param", "params"); !more {
				return
			}
			d.read(d.start("value"), func(v *Value) error {
				param, err := v.Any()
				c.Params = append(c.Params, param)
				return err
			})
			d.ends("param")
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
