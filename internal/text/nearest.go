package text

import (
	"fmt"
	"strings"
)

// Nearest returns the name that a mistyped word most likely stands for, "" if none is
// similar. Case does not count; of equally similar names it is the first.
func Nearest(word string, names []string) string {
	const longest = 64 // a longer one is no typing error, and comparing takes long
	if len(word) > longest {
		return ""
	}
	word = strings.ToLower(word)
	best, distance := "", len(word)/2+1
	for _, name := range names {
		if d := Distance(word, strings.ToLower(name)); d < distance && name != "" {
			best, distance = name, d
		}
	}
	for _, name := range names {
		if best == "" && len(word) > 2 && strings.Contains(strings.ToLower(name), word) {
			best = name
		}
	}
	return best
}

// DidYouMean returns the [Nearest] name as a hint for an error: ` (did you mean "x"?)`,
// or "" if there is none.
func DidYouMean(word string, names []string) string {
	name := Nearest(word, names)
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", name)
}
