package xmlrpc

import (
	"fmt"
	"io"
	"reflect"
)

// DecodeResponse reads the answer to a call into out, as [Value.Decode] does, or
// only checks it when out is nil. A fault is returned as a [*Fault], all else
// that is wrong as an [*Error]. What out points to is changed only
// when the whole document is good, unless out reads by itself.
func DecodeResponse(r io.Reader, o DecodeOptions, out any) error {
	v := newValue(r, o)
	fault, err := v.response(out)
	if err != nil {
		return v.stop(err)
	}
	if fault != nil {
		return fault
	}
	return nil
}

// Call is a call as a server gets it.
type Call struct {
	Method string
	Params []any // see Value.Any
}

// DecodeCall reads a call. The errors are [*Error].
func DecodeCall(r io.Reader, o DecodeOptions) (Call, error) {
	var c Call
	err := DecodeCallInto(r, o, func(method string) (any, error) {
		c.Method = method
		return &c.Params, nil
	})
	if err != nil {
		return Call{}, err
	}
	return c, nil
}

// DecodeCallInto reads a call whose method tells what its parameters are: choose returns what to
// decode them into, together, as if they were an array. A struct takes them by the order of
// its fields; nil skips them. An error of choose ends the reading, and is wrapped in the [*Error].
func DecodeCallInto(r io.Reader, o DecodeOptions, choose func(method string) (params any, err error)) error {
	v := newValue(r, o)
	v.o.MaxDepth += 2 // the path of a parameter begins with params and its index
	if err := v.methodCall(choose); err != nil {
		return v.stop(err)
	}
	return nil
}

func newValue(r io.Reader, o DecodeOptions) *Value {
	o = o.withDefaults()
	return &Value{scanner: newScanner(r, o), o: o}
}

// root reads up to the outermost element.
func (v *Value) root(el element) error {
	if err := v.prolog(); err != nil {
		return err
	}
	if err := v.space(); err != nil {
		return err
	}
	if v.r < v.w && v.buf[v.r] != '<' {
		return v.fail("the document is not XML: it starts %s", quote(v.buf[v.r:v.w]))
	}
	t, err := v.tag()
	if err != nil {
		return err
	}
	if t.el != el || t.end || t.empty {
		return v.failAt(t.at, "expected %s, found %s: %s", tag{el: el}, t, whichPage)
	}
	return nil
}

func (v *Value) response(out any) (*Fault, error) {
	if err := v.root(elMethodResponse); err != nil {
		return nil, err
	}
	t, err := v.tag()
	if err != nil {
		return nil, err
	}
	if t.end || t.empty || t.el != elParams && t.el != elFault {
		return nil, v.failAt(t.at, "expected <params> or <fault>, found %s", t)
	}
	if t.el == elFault {
		return v.faultResponse()
	}
	if _, err := v.start(elParam); err != nil {
		return nil, err
	}
	commit, err := v.result(out)
	if err != nil {
		return nil, err
	}
	if err := v.ends(elParam, elParams, elMethodResponse); err != nil {
		return nil, err
	}
	commit()
	return nil, nil
}

// ends reads the ends of elements, and that of the document.
func (v *Value) ends(elements ...element) error {
	for _, el := range elements {
		if err := v.end(tag{el: el}); err != nil {
			return err
		}
	}
	return v.finish()
}

// result reads the value of an answer. To commit is to change what out points to.
func (v *Value) result(out any) (commit func(), err error) {
	t, err := v.start(elValue)
	if err != nil {
		return nil, err
	}
	if err := v.begin(t); err != nil {
		return nil, err
	}
	return v.stage(out)
}

// stage decodes what is not to be changed before all is well; commit changes it.
func (v *Value) stage(out any) (commit func(), err error) {
	if out == nil {
		return func() {}, v.Skip()
	}
	in, commit := staged(out)
	return commit, v.Decode(in)
}

// staged makes a second out, for what must not be changed before all is well.
func staged(out any) (in any, commit func()) {
	nothing := func() {}
	switch out.(type) {
	case func(*Value) error, Unmarshaler:
		return out, nothing
	}
	target := reflect.ValueOf(out)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return out, nothing // and Decode says what is wrong
	}
	copied := reflect.New(target.Type().Elem())
	copied.Elem().Set(target.Elem())
	return copied.Interface(), func() { target.Elem().Set(copied.Elem()) }
}

func (v *Value) faultResponse() (*Fault, error) {
	t, err := v.start(elValue)
	if err != nil {
		return nil, err
	}
	if err := v.begin(t); err != nil {
		return nil, err
	}
	var f Fault
	coded, told := false, false
	err = v.Members(func(name string, v *Value) (err error) {
		switch name {
		case "faultCode":
			coded = true
			f.Code, err = v.Int()
		case "faultString":
			told = true
			f.Message, err = v.Text()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if !coded || !told {
		return nil, v.fail("the fault has no faultCode or no faultString")
	}
	return &f, v.ends(elFault, elMethodResponse)
}

func (v *Value) methodCall(choose func(string) (any, error)) error {
	if err := v.root(elMethodCall); err != nil {
		return err
	}
	method, err := v.method()
	if err != nil {
		return err
	}
	out, err := choose(method)
	if err != nil {
		return err
	}
	params, err := v.tag()
	if err != nil {
		return err
	}
	missing := params.end && params.el == elMethodCall
	if !missing && (params.end || params.el != elParams) {
		return v.failAt(params.at, "expected <params>, found %s", params)
	}
	commit, err := v.params(params, missing, out)
	if err != nil {
		return err
	}
	if missing {
		err = v.finish()
	} else {
		err = v.ends(elMethodCall)
	}
	if err == nil {
		commit()
	}
	return err
}

// params reads all parameters as if they were one array.
func (v *Value) params(t tag, missing bool, out any) (commit func(), err error) {
	v.state, v.kind, v.at = known, Array, t.at
	v.typed = tag{el: elParams, empty: t.empty || missing}
	v.path = append(v.path, step{name: elementNames[elParams], index: -1})
	commit, err = v.stage(out)
	v.path = v.path[:0]
	return commit, err
}

func (v *Value) method() (string, error) {
	t, err := v.start(elMethodName)
	if err != nil {
		return "", err
	}
	if t.empty {
		return "", v.failAt(t.at, "the name of the method is missing")
	}
	text, err := v.content()
	if err != nil {
		return "", err
	}
	method := string(text)
	if err := checkMethod(method); err != nil {
		return "", err
	}
	return method, v.end(t)
}

// checkMethod allows what the specification does.
func checkMethod(method string) error {
	const longest = 255
	if method == "" || len(method) > longest {
		return fmt.Errorf("the name of a method must have 1 to %d characters", longest)
	}
	for _, c := range []byte(method) {
		if !nameByte[c] && c != '/' || c == '-' {
			return fmt.Errorf("%s is not the name of a method: only letters, digits and _ . : / are allowed", quote([]byte(method)))
		}
	}
	return nil
}
