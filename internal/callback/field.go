package callback

import (
	"errors"
	"fmt"
)

// Field is what a field of a configuration holds, for errors.
type Field struct {
	Name  string
	Value any
}

// RejectNil returns an error for each field that is not nil itself and holds a nil pointer,
// function or map: the call of a method would panic.
func RejectNil(fields ...Field) error {
	var errs []error
	for _, f := range fields {
		if f.Value != nil && Nil(f.Value) {
			errs = append(errs, fmt.Errorf("%s holds a nil %T; leave the field out or give a value that can be used", f.Name,
				f.Value))
		}
	}
	return errors.Join(errs...)
}
