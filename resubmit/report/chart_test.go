package report_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/report"
)

func TestSVGIsNamedForScreenReaders(t *testing.T) {
	t.Parallel()
	c := sample(t, false).Chart()
	svg := string(c.SVG(report.ChartOptions{ID: "main"}))
	require.Contains(t, svg, `role="img" aria-labelledby="main-title main-desc"`)
	require.Contains(t, svg, `<title id="main-title">`+c.Title()+`</title>`)
	require.Contains(t, svg, `<desc id="main-desc">`+c.Description()+`</desc>`)
	figure := string(c.Figure(report.ChartOptions{}))
	require.Contains(t, figure, "<figcaption>"+c.Description()+"</figcaption>")
	require.Contains(t, figure, `<th scope="row">2026-11-21 02:00 CET</th>`)
}

func TestSVGLinks(t *testing.T) {
	t.Parallel()
	svg := string(sample(t, false).Chart().SVG(report.ChartOptions{
		ClassLink:  func(c failure.Class) string { return "plan?class=" + string(c) },
		WindowLink: func(id string) string { return "javascript:" + id },
	}))
	require.Contains(t, svg, `role="group"`, "the links of an image are not reachable")
	require.Contains(t, svg, `<a href="plan?class=transient">`)
	require.NotContains(t, svg, "javascript:")
}

// Each segment is as high as its number of orders.
func TestSVGStacks(t *testing.T) {
	t.Parallel()
	entries := []plan.Entry{
		entryAt(1, at("01:00:00"), failure.Transient), entryAt(2, at("01:00:01"), failure.Transient),
		entryAt(3, at("01:00:02"), failure.Permanent), entryAt(4, at("01:00:03"), failure.AlreadyProvisioned),
	}
	d := documentOf(t, report.Input{Plan: planOf(t, plan.Header{}, entries...), Now: at("02:00:00")})
	svg := string(d.Chart().SVG(report.ChartOptions{}))
	bars := regexp.MustCompile(`<g><title>.*</g>`).FindAllString(svg, -1)
	require.Len(t, bars, 1)
	require.Contains(t, bars[0], "2026-11-21 01:00–01:01 UTC: 2 transient, 1 permanent, 1 already provisioned")
	heights := regexp.MustCompile(`class="chart-(\w+)" x="[\d.]+" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"`).
		FindAllStringSubmatch(bars[0], -1)
	want := [][]string{{"transient", "170", "60"}, {"permanent", "140", "29"}, {"alreadyProvisioned", "110", "29"}}
	got := [][]string{heights[0][1:], heights[1][1:], heights[2][1:]}
	require.Equal(t, want, got, "from the base line up, with a gap of one")
	require.Contains(t, bars[0], `fill="url(#chart-dots)"`)
}

func TestLine(t *testing.T) {
	t.Parallel()
	c := sample(t, true).Chart()
	full := c.Line(200, false)
	require.Equal(t, 1, strings.Count(full, "("))
	require.Less(t, strings.Index(full, "("), strings.Index(full, "["))
	require.Less(t, strings.Index(full, ")"), strings.Index(full, "]"))
	require.True(t, strings.HasPrefix(full, "01:30 ") && strings.HasSuffix(full, " 05:50 CET  max 3 per 5 min"), full)
	for _, width := range []int{80, 60, 30, 10, 1} {
		require.LessOrEqual(t, len([]rune(c.Line(width, false))), width)
		require.NotRegexp(t, `[^ -~]`, c.Line(width, true))
		require.NotEmpty(t, c.Line(width, true))
	}
	require.Empty(t, c.Line(0, false))
}

func TestChartWithManyWindowsNumbersThem(t *testing.T) {
	t.Parallel()
	h := plan.Header{CreatedAt: at("09:00:00")}
	var entries []plan.Entry
	for n := range 5 {
		start := at("01:00:00").Add(time.Duration(n) * time.Hour)
		w := maintenance.Window{ID: string(rune('a' + n)), Start: start, End: start.Add(20 * time.Minute)}
		h.Windows = append(h.Windows, w)
		entries = append(entries, entryAt(n, start.Add(time.Minute), failure.Transient))
	}
	d := documentOf(t, report.Input{Plan: planOf(t, h, entries...), Now: at("09:00:00")})
	svg := string(d.Chart().SVG(report.ChartOptions{}))
	require.Contains(t, svg, ">5</text></g>")
	require.NotContains(t, svg, ">announced ")
	require.NotContains(t, d.Chart().Line(100, false), "(", "they would hide the line")
	require.Contains(t, d.Chart().Description(), "5 of them are within 5 maintenance windows.")
}
