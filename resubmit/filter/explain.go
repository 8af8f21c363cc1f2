package filter

import (
	"fmt"
	"strings"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Explanation says why a filter matches an order or refuses it.
type Explanation struct {
	// Match is what the filter's Match says.
	Match bool
	// Path leads from the filter to Term: "and[2]" is the second term of an and.
	// Empty when Term is the whole filter.
	Path []string
	// Term is the text form of the term that decided.
	Term string
	// Saw is what the order has there: `status is "CP"`. Empty where that cannot
	// be said in a few words.
	Actual string
	// Alternatives are set when Term is an or that refused: each of its terms did.
	Alternatives []Explanation
}

// String is the explanation in one line.
func (e Explanation) String() string {
	var b strings.Builder
	if e.Match {
		b.WriteString("matches ")
	} else {
		b.WriteString("refused by ")
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

// Explain says which term of a filter decided about an order, and what it saw.
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
		return Explanation{Match: f.Match(o), Term: f.String(), Actual: sawIn(f, o)}
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
	refused := Explanation{Term: f.String()}
	for i, term := range f.terms {
		e := Explain(term, o)
		e.Path = append([]string{fmt.Sprintf("or[%d]", i+1)}, e.Path...)
		if e.Match {
			return e
		}
		refused.Alternatives = append(refused.Alternatives, e)
	}
	return refused
}

// explainNot names the whole term, as the one inside did the opposite.
func explainNot(f *not, o *commerce.Order) Explanation {
	inner := Explain(f.term, o)
	saw := inner.Actual
	if len(inner.Path) > 0 && saw != "" {
		saw = inner.Term + ": " + saw
	}
	return Explanation{Match: !inner.Match, Term: f.String(), Actual: saw}
}

func sawIn(f Filter, o *commerce.Order) string {
	switch f := f.(type) {
	case *oneOf:
		return f.prop.saw(o)
	case *like:
		return f.prop.saw(o)
	case *timeBound:
		return f.prop.saw(o)
	case *amount:
		return propAmount.saw(o)
	case *reasonClass:
		class, pattern := f.classifier.Classify(o.Failure.Message())
		if pattern.ID == "" {
			return fmt.Sprintf("class is %q, %s", class, propReason.saw(o))
		}
		return fmt.Sprintf("class is %q by pattern %s, %s", class, pattern.ID, propReason.saw(o))
	default:
		return ""
	}
}
