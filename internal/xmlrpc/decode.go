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
	target := reflect.ValueOf(out)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return v.refuse("cannot decode into %T: a pointer is needed", out)
	}
	return v.into(target.Elem())
}

// set keeps what was read, unless there was an error.
func set[T any](out *T, read func() (T, error)) error {
	in, err := read()
	if err == nil {
		*out = in
	}
	return err
}

// into reads a value into something that can be set.
func (v *Value) into(target reflect.Value) error {
	switch out := target.Addr().Interface().(type) {
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
	switch kind := target.Kind(); {
	case v.kind == Nil && (kind == reflect.Pointer || kind == reflect.Map || kind == reflect.Slice):
		target.SetZero()
		return v.Nil()
	case kind == reflect.Pointer:
		if err := v.charge(int(target.Type().Elem().Size())); err != nil {
			return err
		}
		target.Set(reflect.New(target.Type().Elem()))
		return v.into(target.Elem())
	case kind == reflect.Map:
		return v.intoMap(target)
	case kind == reflect.Slice:
		return v.intoSlice(target)
	case kind == reflect.Array:
		return v.intoArray(target)
	case kind == reflect.Struct:
		return v.intoStruct(target)
	case target.CanInt(), target.CanUint(), target.CanFloat():
		return v.intoNumber(target)
	case kind == reflect.String:
		in, err := v.Text()
		target.SetString(in)
		return err
	case kind == reflect.Bool:
		in, err := v.Bool()
		target.SetBool(in)
		return err
	default:
		return v.refuse("cannot decode a %s into a %s", v.kind, target.Type())
	}
}

func (v *Value) intoNumber(target reflect.Value) error {
	switch {
	case target.CanFloat():
		in, err := v.Float()
		if err == nil && target.OverflowFloat(in) {
			return v.refuse("the double %g does not fit a %s", in, target.Type())
		}
		target.SetFloat(in)
		return err
	case target.CanInt():
		in, err := v.Int64()
		if err == nil && target.OverflowInt(in) {
			return v.refuse("the integer %d does not fit an %s", in, target.Type())
		}
		target.SetInt(in)
		return err
	}
	in, err := v.BigInt()
	if err != nil {
		return err
	}
	if !in.IsUint64() || target.OverflowUint(in.Uint64()) {
		return v.refuse("the integer %s does not fit an %s", quote(in.String()), target.Type())
	}
	target.SetUint(in.Uint64())
	return nil
}

func (v *Value) intoMap(target reflect.Value) error {
	t := target.Type()
	if t.Key().Kind() != reflect.String {
		return v.refuse("cannot decode into a %s: the keys must be strings", t)
	}
	if err := v.charge(costStruct); err != nil {
		return err
	}
	target.Set(reflect.MakeMap(t))
	return v.Members(func(name string, v *Value) error {
		if err := v.charge(costMember + 2*int(t.Elem().Size())); err != nil {
			return err
		}
		key := reflect.ValueOf(name).Convert(t.Key())
		if target.MapIndex(key).IsValid() {
			return errTwice
		}
		member := reflect.New(t.Elem()).Elem()
		err := v.into(member)
		target.SetMapIndex(key, member)
		return err
	})
}

var errTwice = errors.New("the struct has this member twice")

func (v *Value) intoSlice(target reflect.Value) error {
	of := target.Type().Elem()
	if of.Kind() == reflect.Uint8 {
		in, err := v.Bytes()
		target.SetBytes(in)
		return err
	}
	cost := 2 * int(of.Size())
	if of.Kind() == reflect.Interface {
		cost = 0 // Any counts it
	}
	target.Set(reflect.MakeSlice(target.Type(), 0, 0))
	return v.Each(func(i int, v *Value) error {
		if err := v.charge(cost); err != nil {
			return err
		}
		target.Grow(1)
		target.SetLen(i + 1)
		return v.into(target.Index(i))
	})
}

func (v *Value) intoArray(target reflect.Value) error {
	n := 0
	err := v.Each(func(i int, v *Value) error {
		if n++; n > target.Len() {
			return fmt.Errorf("expected %d values, found more", target.Len())
		}
		return v.into(target.Index(i))
	})
	if err == nil && n < target.Len() {
		err = v.refuse("expected %d values, found %d", target.Len(), n)
	}
	return err
}

func (v *Value) intoStruct(target reflect.Value) error {
	fields, err := fieldsOf(target.Type())
	if err != nil {
		return v.stop(v.at, err)
	}
	if v.kind == Array {
		return v.Each(func(i int, v *Value) error {
			if i >= len(fields.list) {
				return nil
			}
			return v.into(target.Field(fields.list[i].index))
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
		return v.into(target.Field(fields.list[i].index))
	})
}
