package browsertest

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// violation is what axe found.
type violation struct {
	ID    string
	Help  string
	Nodes []struct {
		HTML           string
		FailureSummary string
	}
}

const runAxe = `axe.run(document, {runOnly: {type: "tag", values: [
	"wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice",
]}}).then(r => JSON.stringify(r.violations))`

// requireAccessible requires that axe finds nothing on the page.
func (b *tab) requireAccessible(name string) {
	b.t.Helper()
	axe, err := os.ReadFile(os.Getenv("AXE"))
	require.NoError(b.t, err, "AXE is the path of axe.min.js; .ci/browser sets it")
	b.do(chromedp.Evaluate[chromedp.Void](string(axe)))
	result, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](runAxe, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err)
	var found []violation
	require.NoError(b.t, json.Unmarshal([]byte(result), &found))
	for _, v := range found {
		for _, n := range v.Nodes {
			b.t.Errorf("%s: %s: %s\n%s\n%s", name, v.ID, v.Help, n.HTML, n.FailureSummary)
		}
	}
}

// contrasts returns the parts of the chart with too little contrast to the background: 3:1 for what is drawn, 4.5:1 for
// text. axe does not see them.
const contrasts = `(() => {
	const parse = c => (c.match(/[\d.]+/g) || []).map(Number);
	const linear = v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
	const light = ([r, g, b]) => [r, g, b].map(v => linear(v / 255))
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
	const background = parse(getComputedStyle(document.body).backgroundColor);
	const bad = [];
	let parts = 0;
	for (const node of document.querySelectorAll("figure svg *")) {
		if (node.closest("defs, title, desc") || /tint|grid|window-band/.test(node.getAttribute("class") || "")) continue;
		const style = getComputedStyle(node), text = node.tagName === "text";
		if (!["text", "rect", "path", "line", "polyline", "circle", "polygon"].includes(node.tagName)) continue;
		for (const property of text ? ["fill"] : /line/.test(node.tagName) ? ["stroke"] : ["fill", "stroke"]) {
			const color = style[property];
			if (!color.startsWith("rgb")) continue;
			const rgba = parse(color);
			if (rgba[3] === 0 || !text && ratio(rgba, background) === 1) continue; // a gap
			parts++;
			let behind = background;
			if (style.getPropertyValue("fill") && /inside/.test(node.getAttribute("class") || "")) { // a label in a bar
				const before = n => n.previousElementSibling || n.parentElement;
				let bar = node;
				while (bar.tagName !== "rect") bar = before(bar);
				behind = parse(getComputedStyle(bar).fill);
			}
			const r = ratio(rgba, behind);
			if (r < (text ? 4.5 : 3)) bad.push(node.tagName + "." + (node.getAttribute("class") || "") + " " + property + " " +
				color + " " + r.toFixed(2));
		}
	}
	return JSON.stringify({parts, bad: [...new Set(bad)]});
})()`

func TestEveryPageIsAccessible(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 48)
	address := w.serve(t, "")
	b := newTab(t)
	b.allowErrors() // some pages are not found
	b.open(address)
	b.press("Read again")
	b.press("Plan all")
	pages := map[string]string{
		"overview": "", "orders": "orders", "plan": "plan?tab=resubmit", "approve": "approve", "run-not-approved": "run",
		"order": "order?order=SO000020", "order-empty": "order", "history": "history", "wrong-filter": "plan?q=eq(color,red)",
		"not-found": "run?run=nothing", "confirm": "confirm?action=cancel", "changes": "changes",
	}
	b.check(address, pages)
	b.open(address + "approve")
	b.fill("#typed", "42")
	b.press("Resubmit 42 orders")
	b.waitFor(ended)
	b.check(address, map[string]string{"run": "run", "order-verified": "order?order=SO000001", "history-done": "history"})
	status, err := w.dir.Status()
	require.NoError(t, err)
	b.check("file://", map[string]string{"report-file": w.dir.Path(status.Run, "report.html")})
}

// check checks pages in both color schemes and on a phone.
func (b *tab) check(address string, pages map[string]string) {
	b.t.Helper()
	for name, page := range pages {
		for _, look := range []struct {
			name          string
			dark          bool
			width, height int64
		}{{"light", false, 1100, 900}, {"dark", true, 1100, 900}, {"phone", false, 320, 640}} {
			b.dark(look.dark)
			b.size(look.width, look.height)
			b.open(address + page)
			b.script(`document.querySelectorAll("details").forEach(d => d.open = true)`)
			b.requireAccessible(name + " " + look.name)
			require.True(b.t, b.is(`document.documentElement.scrollWidth <= innerWidth`), "%s %s scrolls sideways", name,
				look.name)
			if look.width > 320 {
				b.requireContrast(name + " " + look.name)
			}
			b.shot(name + "-" + look.name)
		}
	}
	b.dark(false)
	b.size(1100, 900)
}

// requireContrast requires enough contrast in the chart, if the page has one.
func (b *tab) requireContrast(name string) {
	b.t.Helper()
	if !b.is(`!!document.querySelector("figure svg")`) {
		return
	}
	result, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](contrasts))
	require.NoError(b.t, err)
	var found struct {
		Parts int
		Bad   []string
	}
	require.NoError(b.t, json.Unmarshal([]byte(result), &found))
	require.Greater(b.t, found.Parts, 10, "%s: the chart is empty", name)
	require.Empty(b.t, found.Bad, "%s: contrast of the chart", name)
}

// keyboard moves the focus with Tab until a selector has it, and requires that the focus is visible.
func (b *tab) keyboard(selector string) {
	b.t.Helper()
	for range 200 {
		b.do(chromedp.KeyEvent(kb.Tab))
		if b.is(fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
			require.True(b.t, b.is(`(() => { const s = getComputedStyle(document.activeElement);
				return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2; })()`), "no visible focus on %s", selector)
			return
		}
	}
	require.Fail(b.t, "the keyboard does not reach "+selector)
}

func TestTheKeyboardAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 24)
	b := newTab(t)
	b.open(w.serve(t, ""))
	b.keyboard(".skip")
	b.keyboard(`form[action="read"] button`)
	b.follow(chromedp.KeyEvent(kb.Enter))
	b.keyboard(`input[name="group"]`)
	b.do(chromedp.KeyEvent(" "))
	require.True(t, b.is(`document.activeElement.checked`))
	b.keyboard(`form[action="plan"] button.primary`)
	b.follow(chromedp.KeyEvent(kb.Enter))
	b.keyboard(`a[href^="approve"]`)
	b.follow(chromedp.KeyEvent(kb.Enter))
	b.keyboard("#typed")
	b.do(chromedp.KeyEvent("21"))
	b.keyboard("button.danger")
	b.follow(chromedp.KeyEvent(kb.Enter))
	b.waitFor(ended)
	w.requireVerified(t, 21)
}
