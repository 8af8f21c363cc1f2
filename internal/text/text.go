// Package text makes text that others wrote fit to be shown: without characters
// that a terminal acts on or that hide or reorder text, on one line, and not too long.
// It also says how far a word is from the one that was meant. Everything in it is pure.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Shown reports whether a rune is shown as it is: a letter, mark, number, punctuation
// mark, symbol or space. Control characters (C0, DEL, C1), format characters
// (bidirectional, zero-width), line separators, and code points that are private or
// not assigned are not, nor are invalid UTF-8 and surrogates.
func Shown(r rune) bool { return unicode.IsGraphic(r) }

// Clean replaces every rune that is not [Shown], line ends included, by U+FFFD.
func Clean(s string) string { return clean(s, "") }

// Lines is [Clean] for text of several lines: it keeps line feeds.
func Lines(s string) string { return clean(s, "\n") }

// OneLine replaces white space by single blanks, and is [Clean] for the rest.
func OneLine(s string) string {
	if isPrintableASCII(s) && !strings.Contains(s, "  ") && strings.TrimSpace(s) == s {
		return s // nearly always, and for a million orders
	}
	return Clean(strings.Join(strings.Fields(s), " "))
}

func clean(s, keep string) string {
	if isPrintableASCII(s) {
		return s
	}
	return strings.Map(func(r rune) rune { // which makes U+FFFD of invalid UTF-8
		if Shown(r) || strings.ContainsRune(keep, r) {
			return r
		}
		return utf8.RuneError
	}, s)
}

func isPrintableASCII(s string) bool {
	if IsPlain(s) {
		return true // fast
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Clip cuts a text to at most n bytes of whole letters, and says so by "…".
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// Excerpt is the start of s on one line, of at most n bytes.
func Excerpt(s string, n int) string {
	return Clip(OneLine(Clip(s, 4*n)), n) // a body may be long, and little of it is shown
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
