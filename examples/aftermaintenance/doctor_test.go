package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/resubmit/doctor"
)

// deviation is a proxy before a system that makes it differ from the facts.
type deviation struct {
	ask    func(r *http.Request)                             // changes a request; nil for none
	answer func(resp *http.Response, body []byte) []byte     // changes an answer; nil for none
	reply  func(w http.ResponseWriter, r *http.Request) bool // answers instead, or reports false; nil for none

	mu    sync.Mutex
	calls []string
}

// before returns the address of a server that is between callers and the system at an address.
func (d *deviation) before(t *testing.T, address string) string {
	t.Helper()
	system, err := url.Parse(address)
	require.NoError(t, err)
	path := system.Path
	system.Path = ""
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(system)
			r.Out.Header.Del("Accept-Encoding")
			if d.ask != nil {
				d.ask(r.Out)
			}
		},
		ModifyResponse: func(resp *http.Response) error {
			body, err := io.ReadAll(resp.Body)
			if err == nil && d.answer != nil {
				body = d.answer(resp, body)
			}
			resp.Header.Del("Content-Length")
			resp.ContentLength, resp.Body = int64(len(body)), io.NopCloser(bytes.NewReader(body))
			return err
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.calls = append(d.calls, r.Method+" "+r.URL.Path)
		d.mu.Unlock()
		if d.reply == nil || !d.reply(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL + path
}

// renamed renames fields of JSON: old, new, …
func renamed(names ...string) *deviation {
	for i := range names {
		names[i] = `"` + names[i] + `"`
	}
	return &deviation{answer: func(_ *http.Response, body []byte) []byte {
		return []byte(strings.NewReplacer(names...).Replace(string(body)))
	}}
}

// withoutHeader removes a header of answers.
func withoutHeader(name string) *deviation {
	return &deviation{answer: func(resp *http.Response, body []byte) []byte {
		resp.Header.Del(name)
		return body
	}}
}

// asking changes the queries of requests.
func asking(pattern, with string) *deviation {
	return &deviation{ask: func(r *http.Request) {
		r.URL.RawQuery = regexp.MustCompile(pattern).ReplaceAllString(r.URL.RawQuery, with)
	}}
}

// refusing refuses the calls of a path.
func refusing(path string, status int) *deviation {
	return &deviation{reply: func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, path) {
			return false
		}
		w.WriteHeader(status)
		return true
	}}
}

// lateBy makes the clock of a system differ.
func lateBy(d time.Duration) *deviation {
	return &deviation{answer: func(resp *http.Response, body []byte) []byte {
		resp.Header.Set("Date", time.Now().Add(-d).UTC().Format(http.TimeFormat))
		return body
	}}
}

// findingsOf decodes what doctor -json prints.
func findingsOf(t *testing.T, stdout string) []doctor.Finding {
	t.Helper()
	var d struct{ Findings []doctor.Finding }
	require.NoError(t, json.Unmarshal([]byte(stdout), &d), stdout)
	return d.Findings
}

// named returns the findings that are bad, such as "Commerce, sorting".
func named(findings []doctor.Finding) (all []string) {
	for _, f := range findings {
		if f.State == doctor.Differs || f.State == doctor.Broken {
			all = append(all, f.System+", "+f.Check)
		}
	}
	return all
}

func TestDoctorFindsNothingOnTheTestSystems(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	orders, requests := new(deviation), new(deviation)
	args := []string{"-commerce", orders.before(t, w.CommerceURL), "-connect", requests.before(t, w.ConnectURL), "-state",
		stateOf(flags), "doctor", "-detailed-exitcode"}
	stdout, stderr := done(t, env, args...)
	require.Regexp(t, `(?m)^ok +Commerce, sorting\n +the oldest order is the first one$`, stdout)
	require.NotContains(t, stdout, "Differs")
	require.Regexp(t, `Next: aftermaintenance -state \S+ plan\n$`, stderr)
	stdout, _ = done(t, env, with(args, "-json")...)
	findings := findingsOf(t, stdout)
	require.Empty(t, named(findings), stdout)
	var checks []string
	for _, f := range findings {
		checks = append(checks, f.System+" "+f.Check)
	}
	for _, want := range []string{
		"Commerce access", "Commerce filter", "Commerce paging", "Commerce sorting", "Commerce read",
		"Commerce fields", "Commerce reasons", "Commerce transitions", "Commerce clock", "Commerce push", "Connect address",
		"Connect access", "Connect paging", "Connect requests", "Connect subscriptions", "Connect clock",
	} {
		require.Contains(t, checks, want)
	}

	for _, call := range slices.Concat(orders.calls, requests.calls) {
		require.Regexp(t, "^(GET|HEAD) ", call)
	}
	require.Less(t, len(orders.calls)+len(requests.calls), 80, "of two calls")
	require.Empty(t, w.Commerce.Pushes())
	require.NoFileExists(t, stateOf(flags)+"/journal")
}

func TestDoctorNamesEachDeviation(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	for name, c := range map[string]struct {
		commerce, connect *deviation
		finds, says       string
	}{
		"filters are ignored":    {commerce: asking(`in\(status,\([A-Z,]*\)\),?`, ""), finds: "Commerce, filter", says: "another status"},
		"lists are not sorted":   {commerce: asking(`sort\([^)]*\)`, "sort(-orderDate)"), finds: "Commerce, sorting", says: "sortLists"},
		"small pages":            {commerce: asking(`limit\((\d+),\d+\)`, "limit($1,5)"), finds: "Commerce, paging", says: "more than 5 rows"},
		"large pages":            {commerce: asking(`limit\((\d+),\d+\)`, "limit($1,40)"), finds: "Commerce, paging", says: "rows, although 20"},
		"another name":           {commerce: renamed("orderNumber", "displayNumber"), finds: "Commerce, fields", says: "displayNumber"},
		"no subscription":        {commerce: renamed("subscriptionId", "agreement", "tenantId", "resource"), finds: "Commerce, fields", says: "no order has: subscription"},
		"no reason":              {commerce: renamed("errorDetails", "failure"), finds: "Commerce, reasons", says: "unclassified"},
		"another transition":     {commerce: renamed("PD", "X1"), finds: "Commerce, transitions", says: "X1"},
		"no single order":        {commerce: refusing("/orders/", 403), finds: "Commerce, read", says: "403"},
		"the clock of Commerce":  {commerce: lateBy(5 * time.Minute), finds: "Commerce, clock", says: "5m0s ahead"},
		"a forbidden list":       {commerce: refusing("/orders", 403), finds: "Commerce, permissions", says: "permission to read"},
		"the clock of Connect":   {connect: lateBy(-time.Hour), finds: "Connect, clock", says: " behind"},
		"no version":             {connect: withoutHeader("Connect-Version"), finds: "Connect, address", says: "Connect-Version"},
		"no totals":              {connect: withoutHeader("Content-Range"), finds: "Connect, totals", says: "Content-Range"},
		"requests not sorted":    {connect: asking(`ordering\(created\)`, "ordering(-created)"), finds: "Connect, sorting", says: "not sorted"},
		"filters of Connect":     {connect: asking(`(in|eq)\(type,[^&]*\)&`, ""), finds: "Connect, filter", says: "other requests"},
		"small pages of Connect": {connect: asking(`limit=\d+`, "limit=3"), finds: "Connect, paging", says: "more than 3 rows"},
		"no external ids":        {connect: renamed("external_id", "a", "external_uid", "b"), finds: "Connect, fields", says: "external_id"},
		"another account":        {connect: asking(`(in|eq)\(asset.external_id,[^&]*\)`, "eq(asset.external_id,1)"), finds: "Connect, subscriptions", says: "no request for any"},
		"a key without a right":  {connect: refusing("/requests", 403), finds: "Connect, permissions", says: "Subscriptions"},
		"Connect in maintenance": {connect: refusing("", 502), finds: "Connect, address", says: "maintenance"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			orders, requests := w.CommerceURL, w.ConnectURL
			if c.commerce != nil {
				orders = c.commerce.before(t, orders)
			}
			if c.connect != nil {
				requests = c.connect.before(t, requests)
			}
			status, stdout, stderr := do(t, env, "-commerce", orders, "-connect", requests, "-state", stateOf(flags), "doctor",
				"-json", "-detailed-exitcode")
			findings := findingsOf(t, stdout)
			i := slices.IndexFunc(findings, func(f doctor.Finding) bool {
				return f.System+", "+f.Check == c.finds && f.State != doctor.OK && f.State != doctor.Note
			})
			require.GreaterOrEqual(t, i, 0, "%s\n%s", stdout, stderr)
			f := findings[i]
			require.Contains(t, f.Text+"; "+f.Do, c.says)
			require.NotEmpty(t, f.Do)
			require.Regexp(t, `^((commerce|connect)/WIRE|resubmit/SAFETY)\.md#[\d.i]+$`, f.Fact)
			want := exitLeft
			if f.State == doctor.Broken {
				want = exitError
				require.Contains(t, errorLine(t, stderr), "1 part of the installation cannot be used like this")
			}
			require.Equal(t, want, status, stderr)
			if !slices.Contains([]string{"Commerce, fields", "Commerce, transitions"}, c.finds) {
				require.Equal(t, []string{c.finds}, named(findings), "one deviation has one name: %s", stdout)
			}
		})
	}
	t.Cleanup(func() { require.Empty(t, w.Commerce.Pushes()) })
}

func TestDoctorOnAnotherServer(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>Welcome to nginx!</title>")
	}))
	defer other.Close()
	env := map[string]string{"COMMERCE_TOKEN": "s3cret", "CONNECT_API_KEY": "SU-1:s3cret", "TZ": "UTC"}
	dir := t.TempDir() + "/state"
	for _, via := range []string{viaOrderManager, viaSimpleAPI} {
		env["COMMERCE_KEY"] = map[string]string{viaSimpleAPI: "s3cret"}[via]
		status, stdout, stderr := do(t, env, "-via", via, "-commerce", other.URL, "-connect", other.URL+"/public/v1",
			"-state", dir, "doctor")
		require.Equal(t, exitError, status, stderr)
		require.Regexp(t, `(?m)^broken +Commerce, address\n +an HTML page answers instead`, stdout)
		require.Regexp(t, `(?m)^broken +Connect, address\n +something else answers than Connect`, stdout)
		require.Less(t, strings.Count(stdout, "\n"), 16, stdout)
		require.Contains(t, errorLine(t, stderr), "2 parts of the installation cannot be used like this")
		require.NotContains(t, stdout+stderr, "s3cret")
	}
	require.NoDirExists(t, dir)

	const nothing = "http://127.0.0.1:1"
	status, stdout, _ := do(t, env, "-commerce", nothing, "-connect", nothing+"/public/v1", "-state", dir, "doctor")
	require.Equal(t, exitError, status)
	require.Equal(t, 2, strings.Count(stdout, "nothing answers"), stdout)
}

func TestDoctorWithWrongCredentials(t *testing.T) {
	t.Parallel()
	_, _, flags := live(t)
	env := map[string]string{"COMMERCE_TOKEN": "wrong", "CONNECT_API_KEY": "SU-1:wrong", "TZ": "UTC"}
	status, stdout, stderr := do(t, env, with(flags, "doctor")...)
	require.Equal(t, exitError, status, stderr)
	require.Regexp(t, `(?m)^broken +Commerce, credentials\n`, stdout)
	require.Regexp(t, `(?m)^broken +Connect, credentials\n`, stdout)
	require.Contains(t, stdout, "Do: check CONNECT_API_KEY.")
}

// Billing cannot list orders, so it looks at those of -ids.
func TestDoctorVisitsEachAPI(t *testing.T) {
	t.Parallel()
	for _, via := range []string{viaBilling, viaSimpleAPI} {
		w, env, flags := through(t, via)
		args := with(flags, "doctor", "-json", "-detailed-exitcode")
		if via == viaBilling {
			args = append(args, "-ids", export(t, w))
		}
		stdout, _ := done(t, env, args...)
		findings := findingsOf(t, stdout)
		require.Empty(t, named(findings), stdout)
		require.Greater(t, len(findings), 10)
		require.Empty(t, w.Commerce.Pushes())
	}
}
