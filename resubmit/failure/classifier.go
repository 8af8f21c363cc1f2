package failure

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Classes returns all classes.
func Classes() []Class { return []Class{Transient, Permanent, AlreadyProvisioned, Unclassified} }

// Verdicts returns all verdicts.
func Verdicts() []Verdict { return []Verdict{Caused, Likely, Unrelated, UnknownCause} }

// Pattern recognises failures by their text.
type Pattern struct {
	// ID names the pattern in evidence. Each is used once.
	ID string `json:"id"`
	// Class is what a text that matches means.
	Class Class `json:"class"`
	// Match are texts that all have to occur in the message, in any order and
	// without regard to case. Where a text begins or ends with a digit it has to
	// stand alone there: 502 is not found in 1502 or in 502ab1. One between
	// slashes, "/quota of \d+/", is a regular expression (RE2); it is tried last,
	// so a plain text beside it saves time.
	Match []string `json:"match"`
	// Source tells where the pattern is known from. May be empty.
	Source string `json:"source,omitempty"`
}

// Classifier tells from the text of a failure what it means for sending the
// order again. It tries its patterns in order and the first one that matches
// counts. The built-in ones are about English texts, and take what is permanent
// or already provisioned before what is transient: a "500 Internal Server Error"
// can wrap a refusal.
//
// A Classifier is immutable and safe for concurrent use. Nil and the zero value
// are the default classifier.
type Classifier struct{ compiled []compiledPattern }

type compiledPattern struct {
	pattern Pattern
	plain   [][]byte // in lower case
	pairs   []uint16 // of the plain texts
	regexps []*regexp.Regexp
}

// NewClassifier makes a classifier of the user's patterns, which come first, and
// the built-in ones. To switch a built-in pattern off, put one with the same
// match and the class Unclassified before it.
func NewClassifier(extra ...Pattern) (*Classifier, error) {
	c := &Classifier{}
	taken := map[string]bool{}
	for i, p := range slices.Concat(extra, defaultPatterns()) {
		compiled, err := compilePattern(p)
		switch {
		case err == nil && taken[p.ID] && i < len(extra):
			err = errors.New("an earlier pattern has this id already")
		case err == nil && taken[p.ID]:
			err = errors.New("a built-in pattern has this id; choose another one")
		}
		if err != nil {
			return nil, fmt.Errorf("pattern %q (number %d): %w", p.ID, i+1, err)
		}
		taken[p.ID] = true
		c.compiled = append(c.compiled, compiled)
	}
	return c, nil
}

var defaultClassifier = sync.OnceValue(func() *Classifier {
	c, err := NewClassifier()
	if err != nil {
		// A test compiles the built-in patterns, so this cannot be reached; a
		// classifier without patterns calls everything unclassified, which sends nothing.
		return &Classifier{compiled: []compiledPattern{}}
	}
	return c
})

// DefaultClassifier returns the classifier with the built-in patterns only.
func DefaultClassifier() *Classifier { return defaultClassifier() }

// Patterns returns the patterns in the order in which they are tried.
func (c *Classifier) Patterns() []Pattern {
	compiled := c.patterns()
	patterns := make([]Pattern, len(compiled))
	for i := range compiled {
		patterns[i] = compiled[i].pattern
		patterns[i].Match = slices.Clone(patterns[i].Match)
	}
	return patterns
}

func (c *Classifier) patterns() []compiledPattern {
	if c == nil || c.compiled == nil {
		return defaultClassifier().compiled
	}
	return c.compiled
}

// Classify returns the class of a failure message (see [commerce.Failure.Message],
// which prefers English) and the pattern that said so. A text that no pattern
// knows, an empty one included, is Unclassified with the zero Pattern. Do not
// change the pattern's Match.
func (c *Classifier) Classify(text string) (Class, Pattern) {
	if text == "" {
		return Unclassified, Pattern{}
	}
	var buffer [lowerBuffer]byte
	lower := appendLower(buffer[:0], text)
	var seen pairSet
	seen.addAll(lower)
	patterns := c.patterns()
	for i := range patterns {
		if seen.hasAll(patterns[i].pairs) && patterns[i].matches(lower, text) {
			return patterns[i].pattern.Class, patterns[i].pattern
		}
	}
	return Unclassified, Pattern{}
}

// lowerBuffer is the length of text that is classified without allocating.
const lowerBuffer = 512

// appendLower appends the text in lower case.
func appendLower(dst []byte, text string) []byte {
	if !isASCII(text) {
		return append(dst, strings.ToLower(text)...)
	}
	dst = append(dst, text...)
	for i, c := range dst {
		if 'A' <= c && c <= 'Z' {
			dst[i] = c + ('a' - 'A')
		}
	}
	return dst
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func (p *compiledPattern) matches(lower []byte, text string) bool {
	for _, plain := range p.plain {
		if !containsWhole(lower, plain) {
			return false
		}
	}
	for _, re := range p.regexps {
		if !re.MatchString(text) {
			return false
		}
	}
	return true
}

// pairSet tells which pairs of neighbouring bytes may occur in a text. Most
// patterns have one that does not, which is much faster to see than to search
// the text for each of them. Pairs can share a bit: the set only ever rules out.
type pairSet [pairBits / 64]uint64

const pairBits = 4096

func pair(a, b byte) uint16 { return (uint16(a)<<5 ^ uint16(b)) % pairBits }

func (s *pairSet) addAll(text []byte) {
	for i := 1; i < len(text); i++ {
		p := pair(text[i-1], text[i])
		s[p/64] |= 1 << (p % 64)
	}
}

func (s *pairSet) hasAll(pairs []uint16) bool {
	for _, p := range pairs {
		if s[p/64]&(1<<(p%64)) == 0 {
			return false
		}
	}
	return true
}

func pairsOf(text []byte) []uint16 {
	var pairs []uint16
	for i := 1; i < len(text); i++ {
		pairs = append(pairs, pair(text[i-1], text[i]))
	}
	return pairs
}

// containsWhole finds a text that does not cut a number or an id in two. Both
// are in lower case.
func containsWhole(s, text []byte) bool {
	for from := 0; ; {
		i := bytes.Index(s[from:], text)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(text)
		cutsStart := isDigit(text[0]) && start > 0 && isAlphanumeric(s[start-1])
		cutsEnd := isDigit(text[len(text)-1]) && end < len(s) && isAlphanumeric(s[end])
		if !cutsStart && !cutsEnd {
			return true
		}
		from = start + 1
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isAlphanumeric(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'z' }

func compilePattern(p Pattern) (compiledPattern, error) {
	switch {
	case p.ID == "":
		return compiledPattern{}, errors.New("it has no id")
	case !slices.Contains(Classes(), p.Class):
		return compiledPattern{}, fmt.Errorf("unknown class %q%s; known are %s", p.Class,
			text.DidYouMean(string(p.Class), text.Strings(Classes())), strings.Join(text.Strings(Classes()), ", "))
	case len(p.Match) == 0:
		return compiledPattern{}, errors.New("match is empty; it takes at least one text")
	}
	p.Match = slices.Clone(p.Match)
	compiled := compiledPattern{pattern: p}
	for _, match := range p.Match {
		expr, isRegexp := regexpIn(match)
		switch {
		case !isRegexp && strings.TrimSpace(match) == "":
			return compiledPattern{}, fmt.Errorf("match has the blank text %q, which would match nearly anything", match)
		case !isRegexp:
			plain := []byte(strings.ToLower(match))
			compiled.plain = append(compiled.plain, plain)
			compiled.pairs = append(compiled.pairs, pairsOf(plain)...)
		default:
			re, err := regexp.Compile("(?i)" + expr)
			if err != nil {
				return compiledPattern{}, fmt.Errorf("match %q: %w", match, err)
			}
			if re.MatchString("") {
				return compiledPattern{}, fmt.Errorf("match %q matches an empty text, and so anything", match)
			}
			compiled.regexps = append(compiled.regexps, re)
		}
	}
	return compiled, nil
}

// regexpIn returns what is between the slashes.
func regexpIn(match string) (string, bool) {
	if len(match) < len("/x/") || match[0] != '/' || match[len(match)-1] != '/' {
		return "", false
	}
	return match[1 : len(match)-1], true
}
