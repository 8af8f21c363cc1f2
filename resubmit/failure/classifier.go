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

// Pattern assigns a class to failure texts.
type Pattern struct {
	// ID names the pattern in evidence. It must be unique.
	ID string `json:"id"`
	// Class is the class of the texts that match.
	Class Class `json:"class"`
	// Match lists texts that must all occur in the failure text, in any order and ignoring case. A text that starts or
	// ends with a digit matches whole numbers only: 502 does not match 1502 or 502ab1. A text between slashes,
	// "/quota of \d+/", is a regular expression (RE2); a plain text beside it makes matching faster.
	Match []string `json:"match"`
	// Source says where the pattern is known from. Optional.
	Source string `json:"source,omitempty"`
}

// Classifier assigns a class to failure texts. The first matching pattern decides. The built-in patterns match
// English texts; permanent and already provisioned ones come before transient ones, because a
// "500 Internal Server Error" can contain a refusal.
//
// A Classifier is immutable and safe for concurrent use. Nil and the zero value are [DefaultClassifier].
type Classifier struct{ compiled []compiledPattern }

type compiledPattern struct {
	pattern Pattern
	plain   [][]byte // in lower case
	pairs   []uint16 // of the plain texts
	regexps []*regexp.Regexp
}

// NewClassifier returns a classifier with your patterns followed by the built-in ones. To disable a built-in pattern,
// pass one with the same Match and the class [Unclassified]. It returns an error for an invalid pattern or an id that
// is used twice or is built in.
func NewClassifier(extra ...Pattern) (*Classifier, error) {
	c, err := newClassifier(extra)
	if err != nil {
		return nil, fmt.Errorf("failure: %w", err)
	}
	return c, nil
}

func newClassifier(extra []Pattern) (*Classifier, error) {
	c := &Classifier{}
	taken := map[string]bool{}
	for i, p := range slices.Concat(extra, defaultPatterns()) {
		compiled, err := compilePattern(p)
		switch {
		case err == nil && taken[p.ID] && i < len(extra):
			err = errors.New("an earlier pattern has this id")
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
	c, err := newClassifier(nil)
	if err != nil {
		// Unreachable, because a test compiles the built-in patterns. Without patterns every text is unclassified, and
		// nothing is sent.
		return &Classifier{compiled: []compiledPattern{}}
	}
	return c
})

// DefaultClassifier returns the classifier with the built-in patterns only.
func DefaultClassifier() *Classifier { return defaultClassifier() }

// Patterns returns all patterns in the order in which they are tried.
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

// Classify returns the class of a failure text (see [commerce.Failure.Message], which prefers English) and the pattern
// that matched. If none matches, or the text is empty, it returns [Unclassified] and the zero Pattern. Do not modify
// the pattern's Match.
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

// lowerBuffer is the largest length of a text that is classified without allocating.
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

// pairSet is a Bloom filter of the pairs of adjacent bytes in a text. It rules out most patterns faster than a search
// for their texts would.
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

// containsWhole reports whether s contains text without cutting a number or an id in two. Both are in lower case.
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
		return compiledPattern{}, errors.New("the id is empty")
	case !slices.Contains(Classes(), p.Class):
		return compiledPattern{}, fmt.Errorf("unknown class %q%s; known are %s", p.Class,
			text.DidYouMean(string(p.Class), text.Strings(Classes())), strings.Join(text.Strings(Classes()), ", "))
	case len(p.Match) == 0:
		return compiledPattern{}, errors.New("match is empty; give at least one text")
	}
	p.Match = slices.Clone(p.Match)
	compiled := compiledPattern{pattern: p}
	for _, match := range p.Match {
		expr, isRegexp := regexpIn(match)
		switch {
		case !isRegexp && strings.TrimSpace(match) == "":
			return compiledPattern{}, fmt.Errorf("match has the blank text %q, which would match almost anything", match)
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
				return compiledPattern{}, fmt.Errorf("match %q matches the empty text and so everything", match)
			}
			compiled.regexps = append(compiled.regexps, re)
		}
	}
	return compiled, nil
}

// regexpIn returns the regular expression between slashes.
func regexpIn(match string) (string, bool) {
	if len(match) < len("/x/") || match[0] != '/' || match[len(match)-1] != '/' {
		return "", false
	}
	return match[1 : len(match)-1], true
}
