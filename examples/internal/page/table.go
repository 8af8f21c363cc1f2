package page

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/cloudblue-go/cloudblue/internal/text"
)

// Page is where tables and paragraphs are printed.
type Page struct {
	Out io.Writer
	// Width is the largest width, in characters. 0: 120.
	Width int
}

const (
	defaultWidth = 120
	below        = "    "
	minCell      = 6  // a column is not made narrower than this, or than its longest word
	minLast      = 28 // if the last column would be narrower, it is printed below the row
)

func (p Page) width() int {
	if p.Width <= 0 {
		return defaultWidth
	}
	return p.Width
}

// Table is a table with a head, which may be nil. Cells are wrapped so that the table fits.
type Table struct {
	Head []string
	Rows [][]string
	// Below prints the last column on lines of its own below the row. So does a narrow page.
	Below bool
}

// Add appends a row with as many cells as the head. Line breaks in cells become spaces, and control and invisible
// characters U+FFFD.
func (t *Table) Add(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = clean(fmt.Sprint(c))
	}
	t.Rows = append(t.Rows, row)
}

// clean is text.OneLine that keeps leading spaces.
func clean(s string) string {
	rest := strings.TrimLeft(s, " ")
	return s[:len(s)-len(rest)] + text.OneLine(rest)
}

// Print prints a table, with numbers aligned right.
func (p Page) Print(t *Table) {
	all := t.Rows
	if t.Head != nil {
		all = append([][]string{t.Head}, t.Rows...)
	}
	if len(all) == 0 {
		return
	}
	last := len(all[0]) - 1
	widths := natural(all)
	under := t.Below
	if !under && last > 0 && widths[last] > minLast {
		rest := p.width()
		for _, w := range widths[:last] {
			rest -= w + 2
		}
		under = t.Head != nil && rest < minLast
	}
	shown := widths
	if under {
		shown = widths[:last]
	}
	fit(shown, all, p.width())
	right := numeric(t.Rows, len(widths))
	for n, row := range all {
		switch {
		case under && n == 0 && t.Head != nil:
			p.row(row, append(shown[:last:last], len(row[last])), right)
		case under:
			p.row(row[:last], shown, right)
			p.Paragraph(below, row[last])
		default:
			p.row(row, shown, right)
		}
	}
}

// natural returns the widths of the columns without wrapping.
func natural(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

// fit makes the widest columns narrower until the table fits, if its words allow it.
func fit(widths []int, rows [][]string, width int) {
	least := make([]int, len(widths))
	sum := 2 * (len(widths) - 1)
	for i := range widths {
		for _, row := range rows {
			for word := range strings.FieldsSeq(row[i]) {
				least[i] = max(least[i], utf8.RuneCountInString(word))
			}
		}
		least[i] = min(max(least[i], minCell), widths[i])
		sum += widths[i]
	}
	for ; sum > width; sum-- {
		widest := -1
		for i, w := range widths {
			if w > least[i] && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

// numeric returns which columns have only numbers.
func numeric(rows [][]string, columns int) []bool {
	right := make([]bool, columns)
	for i := range right {
		for n, row := range rows {
			right[i] = (n == 0 || right[i]) && isNumber(row[i])
		}
	}
	return right
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// row prints one row on as many lines as its cells need.
func (p Page) row(row []string, widths []int, right []bool) {
	cells := make([][]string, len(row))
	height := 1
	for i, cell := range row {
		if cells[i] = []string{cell}; utf8.RuneCountInString(cell) > widths[i] {
			cells[i] = Wrap(cell, widths[i])
		}
		height = max(height, len(cells[i]))
	}
	for n := range height {
		var b strings.Builder
		for i, lines := range cells {
			line := ""
			if n < len(lines) {
				line = lines[n]
			}
			space := strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(line)))
			if right[i] {
				b.WriteString(space + line + "  ")
			} else {
				b.WriteString(line + space + "  ")
			}
		}
		fmt.Fprintln(p.Out, strings.TrimRight(b.String(), " "))
	}
}

// Paragraph prints a text, wrapped to the width.
func (p Page) Paragraph(indent, text string) {
	for _, line := range Wrap(text, p.width()-len(indent)) {
		fmt.Fprintln(p.Out, indent+line)
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
