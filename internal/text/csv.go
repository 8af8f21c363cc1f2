package text

import (
	"bufio"
	"strings"
	"time"
)

// WriteCSV writes a line of a CSV file as RFC 4180 has it: each field in quotes, and CR LF at the end. The error is the
// first one of w.
func WriteCSV(w *bufio.Writer, fields ...string) error {
	for i, field := range fields {
		if i > 0 {
			_ = w.WriteByte(',')
		}
		_ = w.WriteByte('"')
		_, _ = w.WriteString(strings.ReplaceAll(field, `"`, `""`))
		_ = w.WriteByte('"')
	}
	_, err := w.WriteString("\r\n")
	return err
}

// Stamp is a time for machines: in UTC, as RFC 3339 has it; "" if it is unknown.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// NoFormula returns s with a ' in front if a spreadsheet would take it for a formula.
func NoFormula(s string) string {
	if strings.IndexAny(s, "=+-@＝＋－＠\t\r\n\x00") == 0 {
		return "'" + s
	}
	return s
}
