package xmlrpc

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"
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

var kindNames = [...]string{"nothing", "nil", "int", "double", "boolean", "string", "dateTime", "base64", "array", "struct"}

func (k Kind) String() string { return kindNames[k] }

var kinds = [numElements]Kind{
	elNil: Nil, elI4: Int, elInt: Int, elI8: Int, elBigInt: Int, elDouble: Double, elBoolean: Boolean,
	elString: String, elDateTime: DateTime, elBase64: Base64, elArray: Array, elStruct: Struct,
}

// Value is one value of a document that is being read. It is a cursor: it is good
// only inside of the call it was given to, and is read once, by one of its
// methods. A value that was not read is skipped.
//
// The first error stays: all further calls return it, and so does the function
// that reads the document.
type Value struct {
	scanner
	o    DecodeOptions
	path path
	err  error

	state   state
	kind    Kind
	typed   tag    // the element of the type; no element for a string without one
	empty   bool   // <value/>: nothing is left to read
	pending []byte // the text of a string without an element
	at      int64  // offset of the value

	values int
	memory int64
	names  map[string]string
}

type state uint8

const (
	unread state = iota // behind <value>
	known               // behind the tag of the type
	done                // behind </value>
)

// stop keeps the first error and its place.
func (v *Value) stop(err error) error {
	if v.err == nil {
		v.err = located(err, v.at, v.path)
	}
	return v.err
}

func (v *Value) refuse(format string, args ...any) error {
	return v.stop(&Error{Offset: v.at, Err: fmt.Errorf(format, args...)})
}

// begin prepares for the value whose <value> was just read.
func (v *Value) begin(t tag) error {
	v.state, v.at, v.empty, v.pending = unread, t.at, t.empty, nil
	if v.values++; v.values > v.o.MaxValues {
		return v.refuse("the document has more than %d values: ask for less at once, or raise the limit", v.o.MaxValues)
	}
	if len(v.path) > v.o.MaxDepth {
		return v.refuse("values are nested more than %d deep", v.o.MaxDepth)
	}
	return nil
}

// Kind tells what the value is.
func (v *Value) Kind() Kind {
	if v.err == nil && v.state == unread {
		if err := v.identifyKind(); err != nil {
			_ = v.stop(err)
		}
	}
	if v.err != nil {
		return Invalid
	}
	return v.kind
}

func (v *Value) identifyKind() error {
	v.state, v.typed, v.kind = known, tag{}, String
	if v.empty {
		return nil
	}
	text, err := v.content()
	if err != nil {
		return err
	}
	if v.atEnd() {
		v.pending = text
		return nil
	}
	if len(bytes.TrimLeft(text, " \t\r\n")) > 0 {
		return v.fail("found the text %s before the type of a value", quote(text))
	}
	t, err := v.tag()
	if err != nil {
		return err
	}
	if v.kind = kinds[t.el]; v.kind == Invalid || t.prefix != "" && t.el == otherElement {
		return v.failAt(t.at, "%s is not a type of XML-RPC", t)
	}
	v.typed = t
	return nil
}

// ready is the start of each method that reads the value.
func (v *Value) ready() error {
	if v.Kind() == Invalid {
		return v.err
	}
	if v.state == done {
		return v.refuse("the value was read already")
	}
	return nil
}

// want starts to read a value of one kind.
func (v *Value) want(k Kind) error {
	if err := v.ready(); err != nil {
		return err
	}
	if v.kind != k {
		return v.mismatch(k.String())
	}
	return nil
}

func (v *Value) mismatch(expected string) error {
	found := v.kind.String()
	if v.kind != Array && v.kind != Struct && v.kind != Nil {
		text, err := v.scalar()
		if err != nil {
			return v.stop(err)
		}
		found += " " + quote(text)
	}
	return v.refuse("expected %s, found %s", expected, found)
}

// scalar is the text of the value. Before it is overwritten, it must be used,
// and then close be called.
func (v *Value) scalar() ([]byte, error) {
	if v.typed.el == otherElement {
		return v.pending, nil
	}
	if v.typed.empty {
		return nil, nil
	}
	return v.content()
}

// close reads the ends of the type and of the value.
func (v *Value) close() error {
	v.state = done
	if v.empty {
		return nil
	}
	if ends := valueEnds[v.typed.el]; v.typed.prefix == "" && !v.typed.empty && v.typed.el != otherElement && v.has(ends) {
		v.r += len(ends)
		v.closed(2)
		return nil
	}
	if v.typed.el != otherElement && !v.typed.empty {
		if err := v.end(v.typed); err != nil {
			return err
		}
	}
	return v.end(tag{el: elValue})
}

// end reads the end of an element.
func (v *Value) end(open tag) error {
	t, err := v.tag()
	if err != nil {
		return err
	}
	if !t.end || t.el != open.el || t.prefix != open.prefix || t.name != open.name && t.el == otherElement {
		return v.failAt(t.at, "expected %s, found %s", tag{el: open.el, prefix: open.prefix, end: true}, t)
	}
	return nil
}

// start reads the start of an element.
func (v *Value) start(el element) (tag, error) {
	t, err := v.tag()
	if err != nil {
		return t, err
	}
	if t.end || t.el != el {
		return t, v.failAt(t.at, "expected %s, found %s", tag{el: el}, t)
	}
	return t, nil
}

// Skip reads over the value.
func (v *Value) Skip() error {
	if err := v.ready(); err != nil {
		return err
	}
	switch v.kind {
	case Array:
		return v.Each(nil)
	case Struct:
		return v.Members(nil)
	}
	_, err := v.scalar()
	if err == nil {
		err = v.close()
	}
	if err != nil {
		return v.stop(err)
	}
	return nil
}

// Each reads an array: cell is called for each of its values, with the index
// from 0. An error of cell ends it.
func (v *Value) Each(cell func(i int, v *Value) error) error {
	if err := v.want(Array); err != nil {
		return err
	}
	if err := v.each(cell); err != nil {
		return v.stop(err)
	}
	return nil
}

func (v *Value) each(cell func(i int, v *Value) error) error {
	array := v.typed
	if array.el == elParams {
		v.state = done
		if array.empty {
			return nil
		}
		return v.cells(elParams, cell)
	}
	if array.empty {
		return v.failAt(array.at, "expected <data> in an array, found <array/>")
	}
	data, err := v.start(elData)
	if err != nil {
		return err
	}
	if !data.empty {
		if err := v.cells(elData, cell); err != nil {
			return err
		}
	}
	v.typed, v.empty = array, false
	return v.close()
}

// cells reads values up to the end of the element around them. Those of a call are in
// <param> each.
func (v *Value) cells(around element, cell func(i int, v *Value) error) error {
	depth := len(v.path)
	v.path = append(v.path, step{})
	for i := 0; ; i++ {
		t, err := v.tag()
		if err != nil {
			return err
		}
		if t.end && t.el == around {
			v.path = v.path[:depth]
			v.state = done
			return nil
		}
		v.path[depth] = step{index: i}
		if around == elParams {
			err = v.param(t, cell, i)
		} else {
			err = v.cell(t, cell, i)
		}
		if err != nil {
			return err
		}
	}
}

func (v *Value) cell(t tag, cell func(i int, v *Value) error, i int) error {
	if t.end || t.el != elValue {
		return v.failAt(t.at, "expected <value>, found %s", t)
	}
	return v.inner(t, cell, i)
}

func (v *Value) param(t tag, cell func(i int, v *Value) error, i int) error {
	if t.end || t.empty || t.el != elParam {
		return v.failAt(t.at, "expected <param>, found %s", t)
	}
	t, err := v.start(elValue)
	if err != nil {
		return err
	}
	if err := v.inner(t, cell, i); err != nil {
		return err
	}
	return v.end(tag{el: elParam})
}

func (v *Value) inner(t tag, cell func(i int, v *Value) error, i int) error {
	if err := v.begin(t); err != nil {
		return err
	}
	if cell != nil {
		if err := cell(i, v); err != nil {
			return v.stop(err)
		}
	}
	return v.complete()
}

// complete skips what was not read of the value.
func (v *Value) complete() error {
	if v.err != nil {
		return v.err
	}
	if v.state != done {
		return v.Skip()
	}
	return nil
}

// Members reads a struct: member is called for each, in the order of the
// document. An error of member ends it. Names may come twice.
func (v *Value) Members(member func(name string, v *Value) error) error {
	if err := v.want(Struct); err != nil {
		return err
	}
	if err := v.members(member); err != nil {
		return v.stop(err)
	}
	return nil
}

func (v *Value) members(member func(name string, v *Value) error) error {
	typed := v.typed
	depth := len(v.path)
	v.path = append(v.path, step{index: -1})
	for !typed.empty {
		t, err := v.tag()
		if err != nil {
			return err
		}
		if t.end && t.el == elStruct {
			break
		}
		if t.end || t.empty || t.el != elMember {
			return v.failAt(t.at, "expected <member>, found %s", t)
		}
		if err := v.member(depth, member); err != nil {
			return err
		}
	}
	v.path = v.path[:depth]
	// The end of the struct has been read.
	v.typed, v.empty = tag{}, false
	return v.close()
}

func (v *Value) member(depth int, member func(name string, v *Value) error) error {
	name, err := v.name()
	if err != nil {
		return err
	}
	v.path[depth] = step{name: name, index: -1}
	t, err := v.start(elValue)
	if err != nil {
		return err
	}
	err = v.inner(t, func(_ int, v *Value) error {
		if member == nil {
			return nil
		}
		return member(name, v)
	}, 0)
	if err != nil {
		return err
	}
	return v.end(tag{el: elMember})
}

// name reads the name of a member. Few names come often, so they are kept.
func (v *Value) name() (string, error) {
	t, err := v.start(elName)
	if err != nil || t.empty {
		return "", err
	}
	text, err := v.content()
	if err != nil {
		return "", err
	}
	name, ok := v.names[string(text)]
	if !ok {
		if err := v.charge(len(text)); err != nil {
			return "", err
		}
		name = string(text)
		const most = 256
		if v.names == nil {
			v.names = make(map[string]string)
		}
		if len(v.names) < most {
			v.names[name] = name
		}
	}
	return name, v.end(tag{el: elName})
}

// Rows reads an array of arrays: each inner array becomes one T, and cell is called for each of its
// values, with the index from 0. Cells that it does not read are skipped. Nothing is
// done by reflection.
func Rows[T any](v *Value, cell func(row *T, i int, v *Value) error) ([]T, error) {
	var rows []T
	err := v.Each(func(_ int, v *Value) error {
		var row T
		if err := v.charge(2 * int(unsafe.Sizeof(row))); err != nil { // twice, as the rows move when they grow
			return err
		}
		rows = append(rows, row)
		return v.Each(func(i int, v *Value) error { return cell(&rows[len(rows)-1], i, v) })
	})
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// charge counts n bytes of memory against the limit.
func (v *Value) charge(n int) error {
	if v.memory += int64(n); v.memory > v.o.MaxMemory {
		return v.stop(errors.New("the values of the document take more than " +
			fmt.Sprint(v.o.MaxMemory) + " bytes of memory: ask for less at once, or raise the limit"))
	}
	return nil
}
