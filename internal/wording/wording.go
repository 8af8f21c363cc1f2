// Package wording has what error texts of several packages need: foreign text on
// one line and not too long, and how far a word is from the one that was meant.
// Everything in it is pure.
package wording

import "strings"

// OneLine puts single blanks in the place of all white space.
func OneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Clip cuts a text to at most n bytes of whole letters, and says so by "…".
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// Distance counts the bytes to add, drop or replace between two words
// (Levenshtein). It takes time in len(a)·len(b).
func Distance(a, b string) int {
	row := make([]int, len(b)+1) // distances of what a has so far to the beginnings of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
