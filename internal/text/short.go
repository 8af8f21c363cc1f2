package text

import "fmt"

const (
	maxShort    = 200
	maxSentence = 8 << 10
)

// Short is the start of a text on one line, at most 200 bytes, fit to be shown.
func Short(s string) string { return Excerpt(s, maxShort) }

// Sentence is a text that quotes others on one line, at most 8 KiB, fit to be shown and kept.
func Sentence(s string) string { return Excerpt(s, maxSentence) }

// Orders is a number of orders in words: "1 order", "2 orders".
func Orders(n int) string {
	if n == 1 {
		return "1 order"
	}
	return fmt.Sprintf("%d orders", n)
}

// Strings converts values of a string type.
func Strings[S ~string](values []S) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}
