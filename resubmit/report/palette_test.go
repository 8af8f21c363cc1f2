package report_test

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/report"
)

// schemes returns the colors of the light, the dark and the print scheme by name.
func schemes(t *testing.T) map[string]map[string]string {
	t.Helper()
	blocks := regexp.MustCompile(`:root \{([^}]*)\}`).FindAllStringSubmatch(report.CSS(), -1)
	require.Len(t, blocks, 3)
	out := map[string]map[string]string{}
	for i, name := range []string{"light", "dark", "print"} {
		out[name] = map[string]string{}
		for _, v := range regexp.MustCompile(`--([A-Za-z-]+): (#[0-9A-F]{6});`).FindAllStringSubmatch(blocks[i][1], -1) {
			out[name][v[1]] = v[2]
		}
	}
	return out
}

// luminance returns the relative luminance of a color, as WCAG 2 defines it.
func luminance(t *testing.T, color string) float64 {
	t.Helper()
	var rgb [3]int
	_, err := fmt.Sscanf(color, "#%02X%02X%02X", &rgb[0], &rgb[1], &rgb[2])
	require.NoError(t, err, color)
	linear := func(v int) float64 {
		c := float64(v) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(rgb[0]) + 0.7152*linear(rgb[1]) + 0.0722*linear(rgb[2])
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// lightness returns L* of CIELAB.
func lightness(t *testing.T, color string) float64 {
	t.Helper()
	return 116*math.Cbrt(luminance(t, color)) - 16
}

var (
	classColors = []string{"transient", "unclassified", "permanent", "alreadyProvisioned"}
	graphics    = []string{"axis", "announced", "observed", "sent", "verified", "again"}
	// texts are what text is drawn in.
	texts = []string{"text", "muted", "link", "announced", "observed", "verified"}
)

func TestPaletteContrast(t *testing.T) {
	t.Parallel()
	for scheme, c := range schemes(t) {
		atLeast := func(least float64, front, back string) {
			require.GreaterOrEqual(t, contrast(t, c[front], c[back]), least, "%s: %s on %s", scheme, front, back)
		}
		for _, front := range classColors {
			for _, back := range []string{"bg", "announced-tint", "observed-tint"} {
				atLeast(3, front, back)
			}
		}
		for _, front := range graphics {
			atLeast(3, front, "bg")
		}
		for _, line := range []string{"announced", "observed"} {
			atLeast(3, line, line+"-tint")
		}
		for _, front := range texts {
			atLeast(4.5, front, "bg")
			atLeast(4.5, front, "panel")
		}
		atLeast(4.5, "bg", "observed") // the label inside
		atLeast(4.5, "muted", "announced-tint")
		atLeast(4.5, "muted", "observed-tint")
	}
}

// Classes differ in lightness, so that they differ in gray print and for every kind of sight, besides their patterns.
func TestPaletteClassesDifferInGray(t *testing.T) {
	t.Parallel()
	for scheme, c := range schemes(t) {
		for i, a := range classColors {
			for _, b := range classColors[i+1:] {
				require.Greater(t, math.Abs(lightness(t, c[a])-lightness(t, c[b])), 10.0, "%s: %s and %s", scheme, a, b)
			}
		}
	}
}

func TestPaletteOfPrintIsTheLightOne(t *testing.T) {
	t.Parallel()
	all := schemes(t)
	require.Equal(t, all["light"], all["print"])
	require.Len(t, all["dark"], len(all["light"]))
}

// Each class of the SVG and of the page has a rule.
func TestStyleHasARuleForEachClass(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	require.NoError(t, sample(t, false).WriteHTML(&b))
	page := b.String()
	style, body, ok := strings.Cut(page, "</style>")
	require.True(t, ok)
	for _, attribute := range regexp.MustCompile(` class="([^"]+)"`).FindAllStringSubmatch(body, -1) {
		for class := range strings.FieldsSeq(attribute[1]) {
			require.Regexp(t, `\.`+regexp.QuoteMeta(class)+`\b`, style, class)
		}
	}
	for _, pattern := range regexp.MustCompile(`url\(#([^)]+)\)`).FindAllStringSubmatch(body, -1) {
		require.Contains(t, body, `<pattern id="`+pattern[1]+`"`)
	}
}
