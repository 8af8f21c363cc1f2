package report

import (
	"html/template"

	"github.com/cloudblue-go/cloudblue/resubmit/failure"
)

// Chart shows the failed orders over time, by class, together with the maintenance as announced and as observed, and
// with what the runs sent and verified.
type Chart struct{ doc *Document }

// Chart returns the chart of the document.
func (d *Document) Chart() *Chart { return &Chart{d} }

// ChartOptions are the options of [Chart.SVG]. The zero value is useful.
type ChartOptions struct {
	// ID starts the ids in the SVG, so that a page can have several charts. Empty: "chart".
	ID string
	// ClassLink and WindowLink return the address of the page about a class of failures, and about a window, by its id.
	// Nil: no links.
	ClassLink  func(failure.Class) string
	WindowLink func(id string) string
}

// SVG returns the chart as an SVG element for an HTML page that has the style of [CSS].
func (c *Chart) SVG(o ChartOptions) template.HTML { return "" }

// Line returns the chart as one line of at most width columns, for a terminal. With ascii it has only ASCII characters.
func (c *Chart) Line(width int, ascii bool) string { return "" }

// Description describes the chart in a few sentences.
func (c *Chart) Description() string { return "" }

// Table returns what the chart shows as a table.
func (c *Chart) Table() []ChartRow { return nil }

// ChartRow is one bin of the chart.
type ChartRow struct {
	// Time is when the bin starts, in the zone of the document.
	Time string
	Bin
	Sent, Verified, FailedAgain int
	// Notes are the windows that start or end, and the marks.
	Notes []string
}
