package failure

import (
	"errors"
	"fmt"
	"io"

	"github.com/cloudblue-go/cloudblue/internal/jsonfile"
)

// patternFile is a file of patterns.
type patternFile struct {
	Patterns []Pattern `json:"patterns"`
}

var patternFormat = jsonfile.Format[patternFile]{Name: "resubmit: patterns", MaxBytes: 8 << 20,
	Check: (*patternFile).check}

func (f *patternFile) check() error {
	if len(f.Patterns) == 0 {
		return errors.New(`has no patterns: write {"patterns":[…]}`)
	}
	for i, p := range f.Patterns {
		if _, err := compilePattern(p); err != nil {
			return jsonfile.At(fmt.Sprintf("patterns[%d]", i), err)
		}
	}
	_, err := NewClassifier(f.Patterns...)
	return err
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
	f, err := patternFormat.Read(r)
	return f.Patterns, err
}

// LoadPatternFile is [LoadPatterns] for a file.
func LoadPatternFile(path string) ([]Pattern, error) {
	f, err := patternFormat.ReadFile(path)
	return f.Patterns, err
}

// SavePatterns writes patterns so that LoadPatterns reads them back. Patterns that
// it would refuse are an error, and nothing is written.
func SavePatterns(w io.Writer, patterns []Pattern) error {
	return patternFormat.Write(w, patternFile{patterns})
}
