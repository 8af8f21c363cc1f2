package browsertest

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/console"
)

func TestAFormOfAnotherOriginIsRejected(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 24)
	address := w.serve(t, "")
	b := newTab(t)
	b.allowErrors()
	b.open(address)
	b.press("Plan all failed orders")
	status, err := w.dir.Status()
	require.NoError(t, err)
	foreign := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(rw, `<main><form method="post" action="%sapprove"><input name="plan" value="%s">`+
			`<input name="typed" value="21"><button>Win a prize</button></form></main><footer></footer>`, address, html.EscapeString(status.Run.Digest))
	}))
	t.Cleanup(foreign.Close)
	for _, origin := range []string{foreign.URL, strings.Replace(foreign.URL, "127.0.0.1", "console.test", 1)} {
		b.open(origin)
		b.press("Win a prize")
		require.Contains(t, b.text("main"), "comes from a page of another site")
	}
	after, err := w.dir.Status()
	require.NoError(t, err)
	require.Equal(t, status.Run, after.Run)
}

func TestAReboundHostIsRejected(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 6)
	address := w.serve(t, "", func(c *console.Config) { c.Hosts = []string{"console.example.net"} })
	b := newTab(t)
	b.allowErrors()
	b.open(strings.Replace(address, "127.0.0.1", "console.test", 1))
	require.Contains(t, b.text("main"), "does not answer for this host name")
}

func TestPlainHTTPOffLoopbackWorks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 24)
	b := newTab(t) // without Sec-Fetch-Site, because the origin is not trustworthy
	b.allowErrors()
	b.open(strings.Replace(w.serve(t, ""), "127.0.0.1", "console.test", 1))
	b.press("Read again")
	b.press("Plan all")
	require.Contains(t, b.text("main"), "Review and approve 21 orders")
}

func TestAStandaloneConsole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 24)
	s, err := console.Listen(t.Context(), "127.0.0.1:0", console.Config{State: w.dir})
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- s.Serve(t.Context()) }()
	b := newTab(t)
	b.allowErrors()
	b.open(s.URL())
	require.NotContains(t, b.address(), "token", "it is not in the history")
	b.press("Plan all failed orders")
	require.Contains(t, b.text("main"), "Review and approve")
	b.script(`document.querySelector('form[action="discard"] [name=token]').value = "wrong"`)
	b.press("Discard the plan")
	require.Contains(t, b.text("main"), "not of this session")
	b.shot("forbidden")
	second := newTab(t)
	second.allowErrors()
	second.open(s.URL())
	require.Contains(t, second.text("body"), "This link was used")
}

func TestAStalePlanIsNotApproved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 24)
	address := w.serve(t, "")
	b, other := newTab(t), newTab(t)
	b.allowErrors()
	b.open(address)
	b.press("Plan all failed orders")
	b.press("Review and approve")
	other.open(address)
	other.press("Plan all failed orders")
	b.fill("#typed", "21")
	b.press("Resubmit 21 orders")
	require.Contains(t, b.text("main"), "This is out of date")
	require.Contains(t, b.text("main"), "see what has changed")
	b.shot("stale")
	status, err := w.dir.Status()
	require.NoError(t, err)
	require.True(t, status.Run.StartedAt.IsZero())
}

func TestScriptInEveryTextField(t *testing.T) {
	t.Parallel()
	const attack = `"><script>window.attacked = true</script><img src=x onerror="window.attacked = true">`
	w := newWorld(t, 24)
	address := w.serve(t, "")
	b := newTab(t)
	b.allowErrors() // answers other than 200 are errors of the console
	b.open(address)
	b.press("Read again")
	q := url.QueryEscape(attack)
	for _, page := range []string{
		"", "orders?q=" + q, "orders?tab=" + q, "orders?window=" + q, "orders?from=" + q, "plan?run=" + q, "run?run=" + q,
		"order?order=" + q, "history?first=" + q, "confirm?action=" + q, "approve?plan=" + q, "run?did=" + q,
	} {
		b.open(address + page)
		require.False(t, b.is(`!!window.attacked`), page)
	}
	for page, fields := range map[string][]string{"": {"#q", "#numbers"}, "orders": {"#q"}, "order": {"#order"}} {
		for _, field := range fields {
			b.open(address + page)
			b.fill(field, attack)
			b.submit(field)
			require.False(t, b.is(`!!window.attacked`), page+field)
		}
	}
	b.open(address + "orders")
	require.Contains(t, b.text("main"), `<script>alert("x")</script>`, "names are shown as they are")
	require.Contains(t, b.text("main"), `\u202e`)
}
