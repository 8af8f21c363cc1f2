package page

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Width is the largest width of tables and paragraphs, in characters.
const Width = 120

const below = "    "

// Table is a table with a head. The last column is wrapped to the width.
type Table struct {
	Head []string
	Rows [][]string
	// Below prints the last column on lines of its own below the row.
	Below bool
}

// Add appends a row with as many cells as the head. Line breaks in cells become spaces, and control and invisible
// characters U+FFFD.
func (t *Table) Add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = text.OneLine(fmt.Sprint(c))
	}
	t.Rows = append(t.Rows, row)
}

// Print prints the table, with numbers aligned right.
func (t *Table) Print(out io.Writer) {
	all := append([][]string{t.Head}, t.Rows...)
	last := len(t.Head) - 1
	widths := make([]int, last)
	indent := 0
	for i := range widths {
		for _, row := range all {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		indent += widths[i] + 2
	}
	if t.Below {
		indent = len(below)
	}
	for n, row := range all {
		var b strings.Builder
		for i, width := range widths {
			space := strings.Repeat(" ", width-utf8.RuneCountInString(row[i]))
			if isNumber(row[i]) || n == 0 && len(t.Rows) > 0 && isNumber(t.Rows[0][i]) {
				b.WriteString(space + row[i] + "  ")
			} else {
				b.WriteString(row[i] + space + "  ")
			}
		}
		lines := Wrap(row[last], max(Width-indent, 20))
		if t.Below && n > 0 {
			lines = append([]string{""}, lines...)
		}
		fmt.Fprintln(out, strings.TrimRight(b.String()+lines[0], " "))
		for _, line := range lines[1:] {
			fmt.Fprintln(out, strings.Repeat(" ", indent)+line)
		}
	}
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// Paragraph prints a text, wrapped to the width.
func Paragraph(out io.Writer, indent, text string) {
	for _, line := range Wrap(text, Width-len(indent)) {
		fmt.Fprintln(out, indent+line)
	}
}

// Wrap breaks a text between words into lines of at most width characters. A longer word gets a line of its own.
func Wrap(s string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text.OneLine(s)) {
		line := &lines[len(lines)-1]
		switch {
		case *line == "":
			*line = word
		case utf8.RuneCountInString(*line)+1+utf8.RuneCountInString(word) <= width:
			*line += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
