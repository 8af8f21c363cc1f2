package rql

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Like reports whether s matches a pattern, in which * stands for any text, \* for a star and \\
// for a backslash; a backslash before any other character stands for itself. It is case
// sensitive, takes at most time proportional to the product of the lengths, and does not
// allocate. A pattern that is not valid UTF-8 may match a part of a letter.
func Like(pattern, s string) bool { return match(pattern, s, false) }

// ILike is [Like], but ignores case. Letters outside ASCII are compared by their lower case.
func ILike(pattern, s string) bool { return match(pattern, s, true) }

// match scans the pattern once and backtracks only to the last star, because the last star can
// match any text that an earlier one would.
func match(p, s string, fold bool) bool {
	i, j := 0, 0
	star, from := -1, 0
	var hint skip
	for j < len(s) {
		if i < len(p) && p[i] == '*' {
			i++
			if i == len(p) {
				return true
			}
			star, from = i, j
			hint = newSkip(p[i:], fold)
			j = hint.next(s, from)
			from = j
			continue
		}
		if pn, sn := step(p[i:], s[j:], fold); pn > 0 {
			i, j = i+pn, j+sn
			continue
		}
		if star < 0 {
			return false
		}
		from = hint.next(s, from+1)
		i, j = star, from
	}
	return strings.Trim(p[i:], "*") == ""
}

// step matches one character of the pattern, which is not a star, with the start of s. It returns
// the bytes matched on each side, or 0.
func step(p, s string, fold bool) (pn, sn int) {
	if p == "" {
		return 0, 0
	}
	escape := 0
	if len(p) > 1 && p[0] == '\\' && (p[1] == '*' || p[1] == '\\') {
		escape = 1
		p = p[1:]
	}
	if !fold || p[0] < utf8.RuneSelf || s[0] < utf8.RuneSelf {
		if p[0] == s[0] || fold && lower(p[0]) == lower(s[0]) {
			return escape + 1, 1
		}
		return 0, 0
	}
	a, an := utf8.DecodeRuneInString(p)
	b, bn := utf8.DecodeRuneInString(s)
	if p[:an] != s[:bn] && (a == utf8.RuneError || unicode.ToLower(a) != unicode.ToLower(b)) {
		return 0, 0
	}
	return escape + an, bn
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// skip finds where the text after a star can begin by searching for its first character, which
// skips most of a long message.
type skip struct {
	a, b         byte // the character, in both cases
	on           bool
	nextA, nextB int // where they were last found; len(s) if nowhere
}

func newSkip(p string, fold bool) skip {
	c := p[0]
	if c == '*' || c == '\\' || fold && c >= utf8.RuneSelf {
		return skip{}
	}
	k := skip{a: c, b: c, on: true, nextA: -1, nextB: -1}
	if fold {
		k.a = lower(c)
		k.b = k.a
		if 'a' <= k.a && k.a <= 'z' {
			k.b = k.a - ('a' - 'A')
		}
	}
	return k
}

func (k *skip) next(s string, from int) int {
	if !k.on {
		return from
	}
	if k.nextA < from {
		k.nextA = find(s, from, k.a)
	}
	if k.a == k.b {
		return k.nextA
	}
	if k.nextB < from {
		k.nextB = find(s, from, k.b)
	}
	return min(k.nextA, k.nextB)
}

func find(s string, from int, c byte) int {
	if from >= len(s) {
		return len(s)
	}
	if n := strings.IndexByte(s[from:], c); n >= 0 {
		return from + n
	}
	return len(s)
}
