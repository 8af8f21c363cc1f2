package text

import "strings"

// NoFormula returns s with a ' in front if a spreadsheet would take it for a formula.
func NoFormula(s string) string {
	if strings.IndexAny(s, "=+-@＝＋－＠\t\r\n\x00") == 0 {
		return "'" + s
	}
	return s
}
