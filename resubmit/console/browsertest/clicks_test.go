package browsertest

import "testing"

func TestFromFailedOrdersToAVerifiedRunByClicks(t *testing.T) {
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
	b.shot("run-begun")
	defer b.shot("run-end")
	b.waitFor(`document.querySelector('[data-text="state"]').textContent === "Ended"`)
	b.shot("run-live-ended")
	b.press("Reload")
	b.shot("run")
}
