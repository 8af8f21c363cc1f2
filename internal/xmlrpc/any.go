package xmlrpc

import "strconv"

// What the parts of an any take, in about bytes, with what a slice or map keeps
// in reserve and what is copied as it grows.
const (
	costCell    = 56 // in a slice, with a scalar behind it
	costStruct  = 400
	costMember  = 100
	costedFirst = 8 // members that the cost of a struct contains
)

// Any reads a value as nil, int, *big.Int (when int is too small), float64,
// bool, string, time.Time, []byte, []any or map[string]any.
func (v *Value) Any() (any, error) {
	if err := v.charge(costCell); err != nil {
		return nil, err
	}
	switch v.kind {
	case Nil:
		return nil, v.Nil()
	case Int:
		return scalar(v, Int, func(text string) (any, error) {
			if n, err := parseInt(text, strconv.IntSize); err == nil {
				return int(n), nil
			}
			return v.parseBigInt(text)
		})
	case Double:
		return v.Float()
	case Boolean:
		return v.Bool()
	case DateTime:
		return v.Time()
	case Base64:
		return v.Bytes()
	case Array:
		return v.anyArray()
	case Struct:
		return v.anyStruct()
	case String:
		return v.Text()
	default:
		return nil, v.err
	}
}

// Nil reads a nil. What else a value may be is asked with Kind before.
func (v *Value) Nil() error {
	if err := v.want(Nil); err != nil {
		return err
	}
	if len(v.text) > 0 {
		return v.refuse("nil must be empty, but holds %s", quote(v.text))
	}
	return nil
}

func (v *Value) anyArray() (any, error) {
	array := []any{}
	err := v.Each(func(_ int, v *Value) error {
		cell, err := v.Any()
		array = append(array, cell)
		return err
	})
	return array, err
}

func (v *Value) anyStruct() (any, error) {
	if err := v.charge(costStruct); err != nil {
		return nil, err
	}
	members := make(map[string]any)
	err := v.Members(func(name string, v *Value) error {
		if len(members) >= costedFirst {
			if err := v.charge(costMember); err != nil {
				return err
			}
		}
		if _, twice := members[name]; twice {
			return errTwice
		}
		member, err := v.Any()
		members[name] = member
		return err
	})
	return members, err
}
