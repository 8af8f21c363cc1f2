package jsonfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"unicode/utf8"

	"github.com/cloudblue-go/cloudblue/internal/durable"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Format describes JSON files that hold a T, which is a struct with json tags.
type Format[T any] struct {
	// Name starts each error, such as "resubmit: rules". Optional.
	Name string
	// MaxBytes is the size limit of a file. Zero allows no content.
	MaxBytes int64
	// Kind and Version, if Kind is not empty, must be the values of the keys "kind" and
	// "version" of the file. They are checked first, because files of a later version may
	// have keys that this version does not know. T has fields for them.
	Kind    string
	Version int
	// AllowNull treats null like a missing key. Otherwise null is an error.
	AllowNull bool
	// Check validates what was read, and what is to be written. Optional. It reports a
	// problem with [At] or [Errorf], so that the error can name the line.
	Check func(*T) error
}

// Read reads one JSON value and nothing after it.
func (f Format[T]) Read(r io.Reader) (T, error) {
	v, err := f.read(r)
	if err != nil {
		var none T
		return none, f.named(err)
	}
	return v, nil
}

// ReadFile is [Format.Read] for a file. Its errors contain the path.
func (f Format[T]) ReadFile(path string) (T, error) {
	var none T
	file, err := os.Open(filepath.Clean(path))
	if err != nil {
		return none, f.named(err)
	}
	defer func() { _ = file.Close() }() // only read
	v, err := f.read(file)
	if err != nil {
		return none, f.named(fmt.Errorf("%s: %w", path, err))
	}
	return v, nil
}

// Unmarshal is [Format.Read] for data of any size.
func (f Format[T]) Unmarshal(data []byte) (T, error) {
	v, err := f.decode(data)
	return v, f.named(err)
}

// Write writes v, indented, unless Check refuses it: then nothing is written. A nil slice
// is written as null, which [Format.Read] refuses without AllowNull, or left out with
// omitempty.
func (f Format[T]) Write(w io.Writer, v T) error {
	data, err := f.encode(v)
	if err == nil {
		_, err = w.Write(data)
	}
	return f.named(err)
}

// WriteFile is [Format.Write] to a file, which is replaced as a whole or not at all.
func (f Format[T]) WriteFile(path string, v T, mode os.FileMode) error {
	data, err := f.encode(v)
	if err == nil {
		err = durable.Replace(path, data, mode)
	}
	return f.named(err)
}

func (f Format[T]) named(err error) error {
	if err == nil || f.Name == "" {
		return err
	}
	return fmt.Errorf("%s: %w", f.Name, err)
}

func (f Format[T]) encode(v T) ([]byte, error) {
	if f.Check != nil {
		if err := f.Check(&v); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	enc := text.JSONEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	if int64(b.Len()) > f.MaxBytes {
		return nil, f.tooLarge()
	}
	return b.Bytes(), nil
}

func (f Format[T]) tooLarge() error {
	return fmt.Errorf("is larger than the limit of %d bytes: split it", f.MaxBytes)
}

func (f Format[T]) read(r io.Reader) (v T, err error) {
	data, err := io.ReadAll(io.LimitReader(r, f.MaxBytes+1))
	if err != nil {
		return v, err
	}
	if int64(len(data)) > f.MaxBytes {
		return v, f.tooLarge()
	}
	return f.decode(data)
}

func (f Format[T]) decode(data []byte) (v T, err error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // editors on Windows write it
	if err := checkSyntax(data); err != nil {
		return v, err
	}
	if f.Kind != "" {
		if err := checkHeader(data, f.Kind, f.Version); err != nil {
			return v, err
		}
	}
	if err := newDecoder(data, f.AllowNull).value(reflect.ValueOf(&v).Elem(), ""); err != nil {
		return v, err
	}
	if f.Check == nil {
		return v, nil
	}
	err = f.Check(&v)
	if place, ok := errors.AsType[*Error](err); ok && place.Line == 0 && place.Path != "" {
		again := newDecoder(data, f.AllowNull)
		again.find = place.Path
		_ = again.value(reflect.New(reflect.TypeFor[T]()).Elem(), "") // did not fail before
		place.Line = again.line(again.found)
	}
	return v, err
}

func checkSyntax(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("is not UTF-8: save it in that encoding")
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return errors.New("is empty")
	}
	var value json.RawMessage
	err := json.Unmarshal(data, &value)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		before := data[:min(int(syntax.Offset), len(data))]
		line := 1 + bytes.Count(before, []byte("\n"))
		column := len(before) - (bytes.LastIndexByte(before, '\n') + 1)
		return fmt.Errorf("line %d, column %d: is not JSON: %w", line, column, err)
	}
	return err
}

func checkHeader(data []byte, kind string, version int) error {
	var header struct {
		Kind    string `json:"kind"`
		Version int    `json:"version"`
	}
	err := json.Unmarshal(data, &header)
	switch {
	case header.Kind != kind:
		return fmt.Errorf(`is another kind of file: "kind" is %q, not %q`, text.Excerpt(header.Kind, maxShown), kind)
	case err != nil || header.Version != version:
		return &VersionError{Version: header.Version, reads: version}
	}
	return nil
}
