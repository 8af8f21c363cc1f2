package failure

import (
	"errors"
	"fmt"
	"io"

	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
)

type patternFile struct {
	Patterns []Pattern `json:"patterns"`
}

var patternFormat = jsonfile.Format[patternFile]{
	Name: "failure: patterns", MaxBytes: 8 << 20, Check: (*patternFile).check,
}

func (f *patternFile) check() error {
	if len(f.Patterns) == 0 {
		return errors.New(`has no patterns: write {"patterns":[…]}`)
	}
	for i, p := range f.Patterns {
		if _, err := compilePattern(p); err != nil {
			return jsonfile.At(fmt.Sprintf("patterns[%d]", i), err)
		}
	}
	_, err := newClassifier(f.Patterns)
	return err
}

// LoadPatterns reads patterns for [NewClassifier] from JSON:
//
//	{"patterns": [{
//	  "id": "acme-quota", "class": "permanent",
//	  "match": ["quota exceeded"], "source": "ticket 4711"
//	}]}
//
// It rejects unknown keys, unknown classes, empty matches, invalid regular expressions and duplicate ids; the error
// names the line and the key.
func LoadPatterns(r io.Reader) ([]Pattern, error) {
	f, err := patternFormat.Read(r)
	return f.Patterns, err
}

// LoadPatternsFile reads patterns from a file; see [LoadPatterns].
func LoadPatternsFile(path string) ([]Pattern, error) {
	f, err := patternFormat.ReadFile(path)
	return f.Patterns, err
}

// SavePatterns writes patterns in the format of [LoadPatterns]. If a pattern is invalid it returns an error and
// writes nothing.
func SavePatterns(w io.Writer, patterns []Pattern) error {
	return patternFormat.Write(w, patternFile{patterns})
}
