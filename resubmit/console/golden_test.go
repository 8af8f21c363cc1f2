package console_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

var process = regexp.MustCompile(`process \d+( on [^<]*)?`)

// golden compares a page with its golden file. What differs from run to run is replaced.
func (s *site) golden(name, target string) {
	s.t.Helper()
	_, body := read(s.t, s.serve(s.request(http.MethodGet, target, nil)))
	runs, err := s.dir.Runs()
	require.NoError(s.t, err)
	for i, run := range runs {
		digits := strings.TrimPrefix(run.Digest, "sha256:")
		for _, old := range []string{run.ID, url.QueryEscape(run.Digest), run.Digest, digits[:12], digits[:7]} {
			body = strings.ReplaceAll(body, old, fmt.Sprintf("RUN-%d", i+1))
		}
	}
	body = regexp.MustCompile(`sha256:[0-9a-f]{64}`).ReplaceAllString(body, "sha256:…")
	body = process.ReplaceAllString(body, "process N")
	body = regexp.MustCompile(`[^ ">(]+@[^ <]+ nightly`).ReplaceAllString(body, "USER nightly")
	body = regexp.MustCompile(`\n\s*\n`).ReplaceAllString(body, "\n")
	body = sortEvents(body)
	path := filepath.Join("testdata", name+".html")
	if *update {
		require.NoError(s.t, os.MkdirAll("testdata", 0o755))
		require.NoError(s.t, os.WriteFile(path, []byte(body), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(s.t, err)
	require.Equal(s.t, string(want), body, "%s; if that is right, run go test -update", target)
}

// sortEvents sorts the events of a run, since orders are sent at the same time.
func sortEvents(body string) string {
	before, rest, found := strings.Cut(body, `id="events-h"`)
	if !found {
		return body
	}
	rows, after, _ := strings.Cut(rest, "\n</tbody>")
	lines := strings.Split(rows, "\n<tr>")
	slices.Sort(lines[1:])
	return before + `id="events-h"` + strings.Join(lines, "\n<tr>") + "\n</tbody>" + after
}

func TestGoldenPages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 10)
		s.shop.again["id-3"] = "order 3: 504 Gateway Timeout"
		s.golden("overview-empty", "")
		s.golden("history-empty", "history")
		s.golden("order-search", "order")
		s.see("read")
		time.Sleep(20 * time.Minute)
		s.golden("overview", "")
		s.golden("orders", "orders?q=eq(class,permanent)")
		run := s.plan()
		s.golden("plan", "plan")
		s.golden("plan-wrong-filter", "plan?q=eq(color,red)")
		s.golden("approve", "approve?plan="+url.QueryEscape(run.Digest))
		s.golden("run-not-approved", "run")
		s.see("control", "run", run.Digest, "action", "pause", "why", "wait for the vendor")
		time.Sleep(2 * time.Second)
		s.golden("run-paused", "run?did=pause")
		s.golden("confirm", "confirm?action=cancel")
		s.see("control", "run", run.Digest, "action", "resume")
		time.Sleep(time.Second)
		s.see("approve", "plan", run.Digest)
		s.wait()
		s.golden("run", "run")
		s.golden("order", "order?order=SO000003")
		s.golden("history", "history")
		s.shop.orders[2].FailedAt = time.Date(2000, 1, 1, 0, 20, 0, 0, time.UTC) // and not when it was sent
		s.plan()
		s.golden("changes", "changes")
		s.golden("approve-out-of-date", "approve?plan="+url.QueryEscape(run.Digest))
		s.golden("not-found", "run?run=nothing")
	})
}
