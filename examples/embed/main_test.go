package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect/maintenance/ical"
	"github.com/cloudblue-go/cloudblue/examples/internal/web/webtest"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/filter"
	"github.com/cloudblue-go/cloudblue/resubmit/plan"
	"github.com/cloudblue-go/cloudblue/resubmit/watch"
)

func TestRunResubmitsTheTicketsOfTheMaintenance(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	require.Contains(t, out.String(), "T-1: caused, resubmit")
	require.Contains(t, out.String(), "T-2: unrelated, quarantine")
	require.NotContains(t, out.String(), "T-3", "it failed before the window")
	require.NotContains(t, out.String(), "T-4", "it has not failed")
	require.Contains(t, out.String(), "T-5: caused, resubmit")
	require.Contains(t, out.String(), "is not decided yet: waiting for a person at /plan")
	require.Contains(t, out.String(), "2 orders resubmitted: 2 completed")
}

func TestApproverRejectsAnotherDigest(t *testing.T) {
	t.Parallel()
	d := &approver{digest: "sha256:new", wake: func() { t.Error("the watcher was woken") }}
	base := serve(t, d)
	for _, digest := range []string{"", "sha256:old"} {
		res, _ := webtest.Call{Method: http.MethodPost, Path: "/approve?plan=" + digest}.Do(t, base)
		require.Equal(t, http.StatusConflict, res.StatusCode)
		require.Empty(t, d.approved)
	}
}

// serve serves an approver and returns its base URL.
func serve(t *testing.T, d *approver) string {
	t.Helper()
	server := httptest.NewServer(d.routes())
	t.Cleanup(server.Close)
	return server.URL
}

const script = "<script>fetch('/approve')</script>"

// hostile returns an approver with a plan and a calendar in which every text contains a script.
func hostile(t *testing.T) (*approver, *plan.Plan) {
	t.Helper()
	ics := filepath.Join(t.TempDir(), "team.ics")
	require.NoError(t, os.WriteFile(ics,
		[]byte("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:"+script+
			"\r\nDTSTAMP:20261121T020000Z\r\nDTSTART:20261121T020000Z\r\nDURATION:PT3H\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"),
		0o600))
	source, err := ical.NewFile(ics)
	require.NoError(t, err)
	night := time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)
	windows, err := source.Windows(t.Context(), night.AddDate(0, 0, -1), night.AddDate(0, 0, 1))
	require.NoError(t, err)
	require.Len(t, windows, 1)
	require.Contains(t, windows[0].String(), "<script>")
	windows = append(windows, windows[0]) // one with a title of two lines, one without a title
	windows[1].Title = "done\nT-9: caused, resubmit: " + script

	s := newTicketSystem(night)
	for i := range s.tickets {
		s.tickets[i].number += script + "\nT-8: caused, resubmit"
		s.tickets[i].reason += script
	}
	plan, err := resubmit.BuildPlan(t.Context(), resubmit.PlanConfig{
		Systems: resubmit.SystemsOf(s, s), Journal: new(resubmit.MemoryJournal), IgnoreConnect: true,
		View: commerce.FailedOrdersView(), Filter: filter.Everything(),
	})
	require.NoError(t, err)
	d := &approver{wake: func() {}}
	answer, err := d.Approve(t.Context(), watch.Episode{ID: script, Windows: windows, Note: script}, plan)
	require.NoError(t, err)
	require.Zero(t, answer.State)
	return d, plan
}

func TestApprover(t *testing.T) {
	t.Parallel()
	d, plan := hostile(t)
	base := serve(t, d)
	t.Run("shows the plan as plain text", func(t *testing.T) {
		res, body := webtest.RequireGuarded(t, base, webtest.Call{Method: http.MethodGet, Path: "/plan"})
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, "text/plain; charset=utf-8", res.Header.Get("Content-Type"))
		require.Equal(t, plan.Digest(), res.Header.Get("Plan"))
		require.Contains(t, body, "<script>", "as text")
		require.Equal(t, 1+plan.Counts().Total, strings.Count(body, "\n"), "no text adds a line: %s", body)
	})
	t.Run("rejects pages of other origins", func(t *testing.T) {
		approve := webtest.Call{Method: http.MethodPost, Path: "/approve?plan=" + url.PathEscape(plan.Digest())}
		for _, header := range []http.Header{
			{"Origin": {"https://evil.example"}},
			{"Origin": {"null"}},
			{"Sec-Fetch-Site": {"cross-site"}},
			{"Sec-Fetch-Site": {"same-site"}, "Sec-Fetch-Mode": {"navigate"}},
		} {
			approve.Header = header
			res, _ := approve.Do(t, base)
			require.Equal(t, http.StatusForbidden, res.StatusCode, header)
			require.Empty(t, d.approved, header)
		}
		approve.Header = nil
		res, _ := webtest.RequireGuarded(t, base, approve)
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, plan.Digest(), d.approved)
	})
	t.Run("protects its errors", func(t *testing.T) {
		for call, status := range map[[2]string]int{
			{http.MethodGet, "/" + script}:                     http.StatusNotFound,
			{http.MethodGet, "/approve?plan=" + plan.Digest()}: http.StatusMethodNotAllowed,
			{http.MethodPost, "/plan"}:                         http.StatusMethodNotAllowed,
			{http.MethodPost, "/approve?plan=" + script}:       http.StatusConflict,
		} {
			res, _ := webtest.Call{Method: call[0], Path: call[1]}.Do(t, base)
			require.Equal(t, status, res.StatusCode, call)
		}
	})
	t.Run("limits the form", func(t *testing.T) {
		form := webtest.Call{Method: http.MethodPost, Path: "/approve", Body: "plan=" + strings.Repeat("x", 2*maxForm),
			Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}
		res, _ := form.Do(t, base)
		require.Equal(t, http.StatusConflict, res.StatusCode)
	})
}
