package text

import (
	"fmt"
	"strings"
)

const (
	maxShort    = 200
	maxSentence = 8 << 10
)

// Short is the start of a text on one line, at most 200 bytes, fit to be shown.
func Short(s string) string { return Excerpt(s, maxShort) }

// Sentence is a text that quotes others on one line, at most 8 KiB, fit to be shown and kept.
func Sentence(s string) string { return Excerpt(s, maxSentence) }

// Orders is a number of orders in words: "1 order", "2 orders".
func Orders(n int) string { return Count(n, "order") }

// Count is a number of things in words: "1 customer", "2 customers".
func Count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Narrow is the space between groups of digits. Lines are not broken at it.
const Narrow = "\u202f"

// Grouped returns a text that begins with a number, with [Narrow] between groups of three digits: "-1 012.40 USD".
func Grouped(s string) string {
	end := strings.IndexAny(s, ". ")
	if end < 0 {
		end = len(s)
	}
	for i := end - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + Narrow + s[i:]
	}
	return s
}

// Strings converts values of a string type.
func Strings[S ~string](values []S) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}
