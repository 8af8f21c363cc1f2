package resubmit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cloudblue-go/cloudblue/internal/number"
)

type patternFile struct {
	Patterns []Pattern `json:"patterns"`
}

// LoadPatterns reads patterns for [NewClassifier] from JSON:
//
//	{"patterns": [{
//	  "id": "acme-quota", "class": "permanent",
//	  "match": ["quota exceeded"], "source": "ticket 4711"
//	}]}
//
// Unknown keys, an unknown class, an empty match, a regular expression that does
// not compile and an id that is there twice are errors that say which and where.
func LoadPatterns(r io.Reader) ([]Pattern, error) {
	data, err := io.ReadAll(r)
	if err == nil {
		err = number.CheckJSON(data)
	}
	if err != nil {
		return nil, fmt.Errorf("load patterns: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var file patternFile
	if err := decoder.Decode(&file); err != nil {
		return nil, loadError(decoder, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, loadError(decoder, errors.New("something follows the end of the document"))
	}
	if len(file.Patterns) == 0 {
		return nil, loadError(decoder, errors.New(`there are no patterns; write {"patterns": [...]}`))
	}
	if _, err := NewClassifier(file.Patterns...); err != nil {
		return nil, fmt.Errorf("load patterns: %w", err)
	}
	return file.Patterns, nil
}

// LoadPatternsFile is [LoadPatterns] for a file.
func LoadPatternsFile(path string) ([]Pattern, error) {
	f, err := os.Open(path) //nolint:gosec // which file to open is the caller's choice
	if err != nil {
		return nil, fmt.Errorf("load patterns: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	patterns, err := LoadPatterns(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return patterns, nil
}

func loadError(decoder *json.Decoder, err error) error {
	// The decoder does not say how far it got before the end.
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("load patterns: the file is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("load patterns: the file is cut off: its JSON does not end")
	}
	at := decoder.InputOffset()
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		at = syntax.Offset
	}
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		at = kind.Offset
	}
	return fmt.Errorf("load patterns: byte %d: %w", at, err)
}

// SavePatterns writes patterns so that LoadPatterns reads them back. Patterns that
// it would refuse are an error, and nothing is written.
func SavePatterns(w io.Writer, patterns []Pattern) error {
	if len(patterns) == 0 {
		return errors.New("save patterns: there are none")
	}
	if _, err := NewClassifier(patterns...); err != nil {
		return fmt.Errorf("save patterns: %w", err)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(patternFile{patterns}); err != nil {
		return fmt.Errorf("save patterns: %w", err)
	}
	return nil
}
