package xmlrpc

import (
	"bytes"
	"fmt"
	"strings"
)

// Kind is the type of a value on the wire.
type Kind uint8

// The kinds of values. All integers are Int, whatever their element.
const (
	Invalid Kind = iota // the document is not good; the next call returns the error
	Nil
	Int
	Double
	Boolean
	String
	DateTime
	Base64
	Array
	Struct
)

var kindNames = [...]string{"nothing", "nil", "int", "double", "boolean", "string", "dateTime", "base64", "array",
	"struct"}

func (k Kind) String() string { return kindNames[k] }

// kinds are those of the elements.
var kinds = map[string]Kind{
	"nil": Nil, "i4": Int, "int": Int, "i8": Int, "bigint": Int, "double": Double, "boolean": Boolean,
	"string": String, "dateTime.iso8601": DateTime, "base64": Base64, "array": Array, "struct": Struct,
}

// Value is one value of a document that is being read. It is a cursor: it is good
// only inside of the call it was given to, and is read once, by one of its
// methods. A value that was not read is skipped.
//
// The first error stays: all further calls return it, and so does the function
// that reads the document.
type Value struct {
	cursor

	kind Kind
	text []byte // of a scalar
	done bool   // read, or about to be
	at   int64  // offset of the value

	depth  int
	values int
	memory int64
	names  map[string]string
}

func (v *Value) refuse(format string, args ...any) error {
	return v.stop(v.at, fmt.Errorf(format, args...))
}

// read reads the value whose <value> was just read.
func (v *Value) read(t tag, read func(*Value) error) {
	v.depth++
	v.begin(t)
	_ = v.whole(read)
	v.depth--
}

// whole skips what read leaves of a value.
func (v *Value) whole(read func(*Value) error) error {
	if v.err == nil && v.stop(v.at, read(v)) == nil && !v.done {
		return v.Skip()
	}
	return v.err
}

// begin reads the start of a value, and all of a scalar.
func (v *Value) begin(t tag) {
	v.at, v.kind, v.done = t.at, String, false
	switch v.values++; {
	case v.err != nil:
		return
	case v.values > v.o.MaxValues:
		v.failAt(t.at, "the document has more than %d values: ask for less at once, or raise the limit", v.o.MaxValues)
		return
	case v.depth > v.o.MaxDepth+1:
		v.failAt(t.at, "values are nested more than %d deep", v.o.MaxDepth)
		return
	}
	text, t := v.textOrTag("value")
	if v.err == nil && !t.end {
		v.typed(t, text)
		return
	}
	v.text = append(v.text[:0], text...)
}

// typed reads the start of an array or a struct, and all of any other value.
func (v *Value) typed(t tag, before []byte) {
	if len(bytes.TrimLeft(before, blanks)) > 0 {
		v.failAt(t.at, "found the text %s before the type of a value", quote(before))
	}
	name := t.name
	if _, local, ok := strings.Cut(name, ":"); ok && (local == "i8" || local == "nil") {
		name = local // an extension of Apache, whatever its prefix
	}
	switch v.kind = kinds[name]; v.kind {
	case Invalid:
		v.failAt(t.at, "%s is not a type of XML-RPC", t)
	case Array, Struct:
	default:
		v.text = append(v.text[:0], v.content(t.name)...)
		v.ends("value")
	}
}

// step is a part of the path of an error.
func (v *Value) step(name string, index int, read func()) {
	read()
	if v.err != nil {
		v.err = within(v.err, v.at, name, index)
	}
}

// Kind returns what the value is.
func (v *Value) Kind() Kind {
	if v.err != nil {
		return Invalid
	}
	return v.kind
}

// want starts to read a value of one kind.
func (v *Value) want(k Kind) error {
	switch {
	case v.err != nil:
		return v.err
	case v.done:
		return v.refuse("the value was read already")
	case v.kind == k:
		v.done = true
		return nil
	case v.kind == Array || v.kind == Struct || v.kind == Nil:
		return v.refuse("expected %s, found %s", k, v.kind)
	default:
		return v.refuse("expected %s, found %s %s", k, v.kind, quote(v.text))
	}
}

// Skip reads over the value.
func (v *Value) Skip() error {
	switch kind := v.Kind(); kind {
	case Array:
		return v.Each(func(int, *Value) error { return nil })
	case Struct:
		return v.Members(func(string, *Value) error { return nil })
	default:
		return v.want(kind)
	}
}

// Each reads an array: cell is called for each of its values, with the index
// from 0. An error of cell ends it.
func (v *Value) Each(cell func(i int, v *Value) error) error {
	if err := v.want(Array); err != nil {
		return err
	}
	v.start("data")
	for i, more := 0, true; more && v.err == nil; i++ {
		v.step("", i, func() {
			var t tag
			if t, more = v.startOr("value", "data"); more {
				v.read(t, func(v *Value) error { return cell(i, v) })
			}
		})
	}
	v.ends("array", "value")
	v.done = true
	return v.err
}

// Members reads a struct: member is called for each, in the order of the
// document. An error of member ends it. Names may come twice.
func (v *Value) Members(member func(name string, v *Value) error) error {
	if err := v.want(Struct); err != nil {
		return err
	}
	for {
		if _, more := v.startOr("member", "struct"); !more {
			break
		}
		v.start("name")
		name := v.name(v.content("name"))
		t := v.start("value")
		v.step(name, -1, func() {
			v.read(t, func(v *Value) error { return member(name, v) })
			v.ends("member")
		})
	}
	v.ends("value")
	v.done = true
	return v.err
}

// name is the name of a member. Few names come often, so they are kept.
func (v *Value) name(text []byte) string {
	name, ok := v.names[string(text)]
	if ok {
		return name
	}
	const most = 256
	name = Display(string(text))
	if len(v.names) < most {
		v.names[string(text)] = name
	}
	_ = v.charge(len(text))
	return name
}

// charge counts n bytes of memory against the limit.
func (v *Value) charge(n int) error {
	if v.memory += int64(n); v.memory > v.o.MaxMemory {
		return v.refuse("the values of the document take more than %d bytes of memory: ask for less at once, "+
			"or raise the limit", v.o.MaxMemory)
	}
	return v.err
}
