package filter

import (
	"fmt"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Explanation says why a filter matches an order or not.
type Explanation struct {
	// Match is the result of the filter.
	Match bool
	// Path leads from the filter to Term: "and[2]" is the second term of an and. Empty if Term is the whole filter.
	Path []string
	// Term is the text form of the term that decided.
	Term string
	// Actual is the order's value, such as `status is "CP"`. Empty if it has no short form.
	Actual string
	// Alternatives explains each term if Term is an or that does not match.
	Alternatives []Explanation
}

// String returns the explanation on one line.
func (e Explanation) String() string {
	var b strings.Builder
	if e.Match {
		b.WriteString("matches ")
	} else {
		b.WriteString("does not match ")
	}
	b.WriteString(e.Term)
	if len(e.Path) > 0 {
		b.WriteString(" at " + strings.Join(e.Path, "."))
	}
	if e.Actual != "" {
		b.WriteString(": " + e.Actual)
	}
	for i, alternative := range e.Alternatives {
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		b.WriteString(separator + alternative.String())
	}
	return text.OneLine(b.String())
}

// Explain says which term of a filter decided whether it matches an order, and by which value.
func Explain(f Filter, o *commerce.Order) Explanation {
	if err := Validate(f); err != nil {
		return Explanation{Term: "invalid()", Actual: err.Error()}
	}
	switch f := f.(type) {
	case *all:
		return explainAll(f, o)
	case *anyOf:
		return explainAny(f, o)
	case *not:
		return explainNot(f, o)
	default:
		return Explanation{Match: f.Match(o), Term: f.String(), Actual: actual(f, o)}
	}
}

func explainAll(f *all, o *commerce.Order) Explanation {
	for i, term := range f.terms {
		if term.Match(o) {
			continue
		}
		e := Explain(term, o)
		e.Path = append([]string{fmt.Sprintf("and[%d]", i+1)}, e.Path...)
		return e
	}
	return Explanation{Match: true, Term: f.String()}
}

func explainAny(f *anyOf, o *commerce.Order) Explanation {
	mismatch := Explanation{Term: f.String()}
	for i, term := range f.terms {
		e := Explain(term, o)
		e.Path = append([]string{fmt.Sprintf("or[%d]", i+1)}, e.Path...)
		if e.Match {
			return e
		}
		mismatch.Alternatives = append(mismatch.Alternatives, e)
	}
	return mismatch
}

// explainNot reports the whole term, because the inner one has the opposite result.
func explainNot(f *not, o *commerce.Order) Explanation {
	inner := Explain(f.term, o)
	value := inner.Actual
	if len(inner.Path) > 0 && value != "" {
		value = inner.Term + ": " + value
	}
	return Explanation{Match: !inner.Match, Term: f.String(), Actual: value}
}

func actual(f Filter, o *commerce.Order) string {
	switch f := f.(type) {
	case *derived:
		return fmt.Sprintf("%s is %q", f.prop, f.of(o))
	case *reasonClass:
		class, pattern := f.classifier.Classify(o.Failure.Message())
		if pattern.ID == "" {
			return fmt.Sprintf("class is %q, %s", class, propReason.describe(o))
		}
		return fmt.Sprintf("class is %q by pattern %s, %s", class, pattern.ID, propReason.describe(o))
	case condition:
		return f.property().describe(o)
	default:
		return ""
	}
}
