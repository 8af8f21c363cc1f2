package browsertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/state"
)

// ended is a condition of a page that shows a run that has ended.
const ended = `document.querySelector('[data-text="state"]')?.textContent === "Ended"`

// requireVerified requires that the newest run has verified n orders.
func (w *world) requireVerified(t *testing.T, n int) {
	t.Helper()
	status, err := w.dir.Status()
	require.NoError(t, err)
	require.Equal(t, state.EndFinished, status.Run.End)
	require.Equal(t, n, status.Run.Result.Completed)
	require.Empty(t, w.commerce.Violations())
}

func TestFromFailedOrdersToAVerifiedRunByClicks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60)
	b := newTab(t)
	b.open(w.serve(t, "/ops/recovery"))
	b.shot("overview-empty")
	b.press("Read again")
	b.shot("overview")
	b.press("Plan all")
	b.shot("plan")
	b.press("Review and approve")
	b.shot("approve")
	b.fill("#typed", "53")
	b.press("Resubmit 53 orders")
	b.waitFor(ended)
	b.press("The run has ended")
	b.shot("run")
	require.Contains(t, b.text("main"), "53 orders")
	w.requireVerified(t, 53)
	b.click(`nav a[href="history"]`)
	b.shot("history")
	b.click(`tbody a`)
	b.click(`tbody td a[href^="order?"]`)
	b.shot("order")
	require.Contains(t, b.text("main"), "Nothing: it is verified.")
}

func TestPauseResumeAndASecondTab(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, func(c *state.Config) { c.Runner.RateLimit = 25 })
	url := w.serve(t, "")
	b := newTab(t)
	b.open(url)
	b.press("Plan all failed orders")
	b.press("Review and approve")
	b.fill("#typed", "53")
	b.press("Resubmit 53 orders")
	second := newTab(t)
	second.open(url + "run")
	const done = `parseInt(document.querySelector('[data-text="n-completed"]').textContent) > 0`
	second.waitFor(done)
	b.waitFor(done)
	b.shot("run-live")
	b.press("Pause")
	b.waitFor(`document.querySelector('[data-text="state"]').textContent === "Paused"`)
	second.waitFor(`document.querySelector('[data-text="state"]').textContent === "Paused"`)
	b.shot("run-paused")
	require.Contains(t, second.text(".badge"), "live ")
	second.do(click("[data-stop]"))
	require.Contains(t, second.text(".badge"), "stopped")
	require.Equal(t, "Update this page again", second.text("[data-stop]"))
	second.do(click("[data-stop]"))
	b.open(url + "run")
	b.fill("#rate", "\b\b\b\b25")
	b.press("Resume")
	second.waitFor(ended)
	b.waitFor(ended)
	w.requireVerified(t, 53)
}

func TestLiveUpdatesSurviveAShortWriteTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 24, func(c *state.Config) { c.Runner.RateLimit = 6 })
	b := newTab(t)
	b.open(w.serve(t, "")) // its WriteTimeout is a second
	b.press("Plan all failed orders")
	b.press("Review and approve")
	b.fill("#typed", "21")
	b.press("Resubmit 21 orders")
	begin := time.Now()
	b.waitFor(ended)
	require.Greater(t, time.Since(begin), 3*time.Second)
	w.requireVerified(t, 21)
}

func TestWithoutJavaScript(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 24)
	b := newTab(t)
	b.scripts(false)
	b.open(w.serve(t, "/ops"))
	b.press("Read again")
	b.press("Plan all")
	b.press("Review and approve")
	b.fill("#typed", "21")
	b.press("Resubmit 21 orders")
	b.eventually(func() bool { return b.text(".state strong") == "Ended" }, func() { b.click(`nav a[href="run"]`) })
	b.shot("run-without-javascript")
	w.requireVerified(t, 21)
}
