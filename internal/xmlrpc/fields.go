package xmlrpc

import (
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// field is a field of a struct that goes over the wire.
type field struct {
	name      string
	index     int
	omitEmpty bool
}

type fields struct {
	list   []field
	byName map[string]int // in list
}

var knownFields sync.Map // of reflect.Type to fields

// fieldsOf reads the tags of a struct.
func fieldsOf(t reflect.Type) (fields, error) {
	if known, ok := knownFields.Load(t); ok {
		if f, ok := known.(fields); ok {
			return f, nil
		}
	}
	f := fields{byName: make(map[string]int)}
	for i := range t.NumField() {
		one := t.Field(i)
		name, options, _ := strings.Cut(one.Tag.Get("xmlrpc"), ",")
		if !one.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = one.Name
		}
		if options != "" && options != "omitempty" {
			return f, fmt.Errorf("the tag of %s.%s has an unknown option %q", t, one.Name, options)
		}
		if _, twice := f.byName[name]; twice {
			return f, fmt.Errorf("%s has two fields named %q", t, name)
		}
		f.byName[name] = len(f.list)
		f.list = append(f.list, field{name, i, options != ""})
	}
	knownFields.Store(t, f)
	return f, nil
}
