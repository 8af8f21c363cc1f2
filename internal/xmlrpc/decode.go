package xmlrpc

import (
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"time"

	"github.com/shopspring/decimal"
)

// Decode reads a value into what out points to:
//
//   - *any: see [Value.Any];
//   - integers of all sizes, *big.Int; floats; *decimal.Decimal from doubles and integers;
//     *bool, *string, *[]byte, *time.Time;
//   - a struct: from a struct by the names of its fields or their tags
//     (`xmlrpc:"Name"`, "-" for none), from an array by the order of its fields. Members and cells without a field
//     are skipped, fields without one are left as they are;
//   - map[string]T, []T, and [n]T for arrays of just n values;
//   - a pointer, which nil makes nil; so it does with maps, slices and any. Nil for anything else is an error;
//   - a func(*Value) error, which is called; nil skips the value.
func (v *Value) Decode(out any) error {
	if out == nil {
		return v.Skip()
	}
	if read, ok := out.(func(*Value) error); ok {
		return v.whole(read)
	}
	to := reflect.ValueOf(out)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return v.refuse("cannot decode into %T: a pointer is needed", out)
	}
	return target{to.Elem()}.decode(v)
}

// set keeps what was read, unless there was an error.
func set[T any](out *T, read func() (T, error)) error {
	in, err := read()
	if err == nil {
		*out = in
	}
	return err
}

// target is what a value is decoded into. It can be set.
type target struct{ reflect.Value }

func (t target) decode(v *Value) error {
	switch out := t.Addr().Interface().(type) {
	case *any:
		return set(out, v.Any)
	case *decimal.Decimal:
		return set(out, v.Decimal)
	case *time.Time:
		return set(out, v.Time)
	case *big.Int:
		in, err := v.BigInt()
		if err == nil {
			out.Set(in)
		}
		return err
	}
	switch kind := t.Kind(); {
	case v.kind == Nil && (kind == reflect.Pointer || kind == reflect.Map || kind == reflect.Slice):
		t.SetZero()
		return v.Nil()
	case kind == reflect.Pointer:
		if err := v.charge(int(t.Type().Elem().Size())); err != nil {
			return err
		}
		t.Set(reflect.New(t.Type().Elem()))
		return target{t.Elem()}.decode(v)
	case kind == reflect.Map:
		return t.decodeMap(v)
	case kind == reflect.Slice:
		return t.decodeSlice(v)
	case kind == reflect.Array:
		return t.decodeArray(v)
	case kind == reflect.Struct:
		return t.decodeStruct(v)
	case t.CanInt(), t.CanUint(), t.CanFloat():
		return t.decodeNumber(v)
	case kind == reflect.String:
		in, err := v.Text()
		t.SetString(in)
		return err
	case kind == reflect.Bool:
		in, err := v.Bool()
		t.SetBool(in)
		return err
	default:
		return v.refuse("cannot decode a %s into a %s", v.kind, t.Type())
	}
}

func (t target) decodeNumber(v *Value) error {
	switch {
	case t.CanFloat():
		in, err := v.Float()
		if err == nil && t.OverflowFloat(in) {
			return v.refuse("the double %g does not fit a %s", in, t.Type())
		}
		t.SetFloat(in)
		return err
	case t.CanInt():
		in, err := v.Int64()
		if err == nil && t.OverflowInt(in) {
			return v.refuse("the integer %d does not fit an %s", in, t.Type())
		}
		t.SetInt(in)
		return err
	}
	in, err := v.BigInt()
	if err != nil {
		return err
	}
	if !in.IsUint64() || t.OverflowUint(in.Uint64()) {
		return v.refuse("the integer %s does not fit an %s", quote(in.String()), t.Type())
	}
	t.SetUint(in.Uint64())
	return nil
}

func (t target) decodeMap(v *Value) error {
	of := t.Type()
	if of.Key().Kind() != reflect.String {
		return v.refuse("cannot decode into a %s: the keys must be strings", of)
	}
	if err := v.charge(costStruct); err != nil {
		return err
	}
	t.Set(reflect.MakeMap(of))
	return v.Members(func(name string, v *Value) error {
		if err := v.charge(costMember + 2*int(of.Elem().Size())); err != nil {
			return err
		}
		key := reflect.ValueOf(name).Convert(of.Key())
		if t.MapIndex(key).IsValid() {
			return errTwice
		}
		member := reflect.New(of.Elem()).Elem()
		err := target{member}.decode(v)
		t.SetMapIndex(key, member)
		return err
	})
}

var errTwice = errors.New("the struct has this member twice")

func (t target) decodeSlice(v *Value) error {
	of := t.Type().Elem()
	if of.Kind() == reflect.Uint8 {
		in, err := v.Bytes()
		t.SetBytes(in)
		return err
	}
	cost := 2 * int(of.Size())
	if of.Kind() == reflect.Interface {
		cost = 0 // Any counts it
	}
	t.Set(reflect.MakeSlice(t.Type(), 0, 0))
	return v.Each(func(i int, v *Value) error {
		if err := v.charge(cost); err != nil {
			return err
		}
		t.Grow(1)
		t.SetLen(i + 1)
		return target{t.Index(i)}.decode(v)
	})
}

func (t target) decodeArray(v *Value) error {
	n := 0
	err := v.Each(func(i int, v *Value) error {
		if n++; n > t.Len() {
			return fmt.Errorf("expected %d values, found more", t.Len())
		}
		return target{t.Index(i)}.decode(v)
	})
	if err == nil && n < t.Len() {
		err = v.refuse("expected %d values, found %d", t.Len(), n)
	}
	return err
}

func (t target) decodeStruct(v *Value) error {
	fields, err := fieldsOf(t.Type())
	if err != nil {
		return v.stop(v.at, err)
	}
	if v.kind == Array {
		return v.Each(func(i int, v *Value) error {
			if i >= len(fields.list) {
				return nil
			}
			return target{t.Field(fields.list[i].index)}.decode(v)
		})
	}
	seen := make([]bool, len(fields.list))
	return v.Members(func(name string, v *Value) error {
		i, ok := fields.byName[name]
		if !ok {
			return nil
		}
		if seen[i] {
			return errTwice
		}
		seen[i] = true
		return target{t.Field(fields.list[i].index)}.decode(v)
	})
}
