package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/examples/internal/cli"
	"github.com/cloudblue-go/cloudblue/examples/internal/web/webtest"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// start runs the program and returns what it says of itself.
func start(t *testing.T, args ...string) greeting {
	t.Helper()
	g, _ := startWith(t, args...)
	return g
}

// startWith is start, and also returns what is printed to stderr until the greeting.
func startWith(t *testing.T, args ...string) (greeting, string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	var stderr strings.Builder
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"-seed", "7"}, args...), w, &stderr)
		_ = w.CloseWithError(err) // before the greeting, it ends the test
		ended <- err
	}()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	var g greeting
	require.NoError(t, json.NewDecoder(r).Decode(&g))
	return g, stderr.String()
}

// call makes a request and decodes its answer into out.
func call(t *testing.T, method, url, body string, header map[string]string, out any) int {
	t.Helper()
	res, err := testkit.Send(t.Context(), http.DefaultClient, method, url, body, header)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(res.Body), out))
	return res.Status
}

func TestSandboxFailsAnOrderDuringMaintenance(t *testing.T) {
	t.Parallel()
	g := start(t)
	var anything any
	require.Equal(t, http.StatusOK, call(t, http.MethodPost, g.Control+"/maintenance", `{"on":true}`, nil, &anything))
	var placed []struct{ ID, Number string }
	require.Equal(t, http.StatusOK, call(t, http.MethodPost, g.Control+"/orders", `{"count":2,"type":"SO"}`, nil, &placed))
	require.Len(t, placed, 2)

	token := map[string]string{"Aps-Token": g.CommerceToken}
	var order struct {
		Status               string
		PossiblePushToStatus map[string]any
	}
	require.Eventually(t, func() bool {
		call(t, http.MethodGet, g.Commerce+"/aps/2/services/order-manager/orders/"+placed[0].ID, "", token, &order)
		return order.Status == "PF"
	}, 10*time.Second, 10*time.Millisecond)
	require.Contains(t, order.PossiblePushToStatus, "PD")

	require.Equal(t, http.StatusOK, call(t, http.MethodPost, g.Control+"/maintenance", `{"on":false}`, nil, &anything))
	var ledger calls
	require.Equal(t, http.StatusOK, call(t, http.MethodGet, g.Control+"/ledger", "", nil, &ledger))
	require.Empty(t, ledger.Commerce)
	var violations []string
	require.Equal(t, http.StatusOK, call(t, http.MethodGet, g.Control+"/violations", "", nil, &violations))
	require.Empty(t, violations)
}

func TestControlRejectsMistakes(t *testing.T) {
	t.Parallel()
	g := start(t)
	for name, c := range map[string]struct{ path, body, says string }{
		"an unknown key":     {"/maintenance", `{"onn":true}`, "onn"},
		"nothing said":       {"/maintenance", `{}`, `{"on":true}`},
		"an empty body":      {"/maintenance", ``, "empty"},
		"no orders":          {"/orders", `{"count":0}`, "1 to"},
		"a count in words":   {"/orders", `{"count":"two"}`, `count: must be a whole number`},
		"not an object":      {"/orders", `[1]`, "object"},
		"no fault":           {"/faults", `{"system":"commerce"}`, `"fault" is missing`},
		"no such system":     {"/faults", `{"system":"oracle","fault":{"kind":"reset"}}`, "oracle"},
		"no such fault":      {"/faults", `{"system":"commerce","fault":{"kind":"explode"}}`, "explode"},
		"text after the end": {"/maintenance", `{"on":true} and more`, "after top-level value"},
	} {
		var answer struct{ Error string }
		require.Equal(t, http.StatusBadRequest, call(t, http.MethodPost, g.Control+c.path, c.body, nil, &answer), name)
		require.Contains(t, answer.Error, c.says, name)
		require.NotContains(t, answer.Error, "struct {", "%s: the types of Go are no concern of other languages", name)
	}
	var answer struct{ Error string }
	require.Equal(t, http.StatusNotFound, call(t, http.MethodPost, g.Control+"/ledgers", "", nil, &answer))
	require.Contains(t, answer.Error, "GET ledger")
}

func TestBrowsers(t *testing.T) {
	t.Parallel()
	g := start(t)
	const script = "<script>alert(1)</script>"
	order, err := json.Marshal(map[string]string{"type": "SO", "comments": script, "vendor": script,
		"subscription": script, "product": script, "failWith": script})
	require.NoError(t, err)
	token, key := http.Header{"Aps-Token": {g.CommerceToken}}, http.Header{"Authorization": {"ApiKey " + g.ConnectKey}}
	const orders, requests = "/aps/2/services/order-manager/orders", "/public/v1/requests"
	for _, c := range []struct {
		status int
		call   webtest.Call
	}{
		{http.StatusOK, webtest.Call{Method: http.MethodPost, Path: "/_sandbox/maintenance", Body: `{"on":false}`}},
		{http.StatusOK, webtest.Call{Method: http.MethodPost, Path: "/_sandbox/orders", Body: string(order)}},
		{http.StatusOK, webtest.Call{Method: http.MethodGet, Path: "/_sandbox/orders"}},
		{http.StatusOK, webtest.Call{Method: http.MethodPost, Path: "/_sandbox/faults",
			Body: `{"system":"commerce","fault":{"path":"` + script + `","kind":"reset"}}`}},
		{http.StatusOK, webtest.Call{Method: http.MethodGet, Path: "/_sandbox/faults"}},
		{http.StatusOK, webtest.Call{Method: http.MethodDelete, Path: "/_sandbox/faults"}},
		{http.StatusOK, webtest.Call{Method: http.MethodGet, Path: "/_sandbox/ledger"}},
		{http.StatusOK, webtest.Call{Method: http.MethodGet, Path: "/_sandbox/violations"}},
		{http.StatusBadRequest, webtest.Call{Method: http.MethodPost, Path: "/_sandbox/maintenance",
			Body: `{"` + script + `":1}`}},
		{http.StatusNotFound, webtest.Call{Method: http.MethodGet, Path: "/_sandbox/" + script}},
		{http.StatusNotFound, webtest.Call{Method: http.MethodPut, Path: "/_sandbox/orders"}},
		{http.StatusOK, webtest.Call{Method: http.MethodGet, Path: orders, Header: token}},
		{http.StatusUnauthorized, webtest.Call{Method: http.MethodGet, Path: orders}},
		{http.StatusNotFound, webtest.Call{Method: http.MethodGet, Path: orders + "/" + script, Header: token}},
		{http.StatusNotFound, webtest.Call{Method: http.MethodPost, Path: orders + "/" + script + "/push",
			Body: `{"ofStatus":"PD"}`, Header: token}},
		{http.StatusNotFound, webtest.Call{Method: http.MethodGet, Path: "/" + script, Header: token}},
		{http.StatusOK, webtest.Call{Method: http.MethodGet, Path: requests + "?limit=1", Header: key}},
		{http.StatusUnauthorized, webtest.Call{Method: http.MethodGet, Path: requests}},
		{http.StatusOK, webtest.Call{Method: http.MethodPost, Path: "/billing/RPC2", Body: script}},
		{http.StatusMethodNotAllowed, webtest.Call{Method: http.MethodGet, Path: "/billing/RPC2"}},
		{http.StatusMethodNotAllowed, webtest.Call{Method: http.MethodGet, Path: "/operations/RPC2"}},
		{http.StatusUnauthorized, webtest.Call{Method: http.MethodGet, Path: "/simple/orders"}},
		{http.StatusUnauthorized, webtest.Call{Method: http.MethodPost, Path: "/simple/token"}},
	} {
		res, body := webtest.RequireGuarded(t, g.Commerce, c.call)
		require.Equal(t, c.status, res.StatusCode, "%s %s: %s", c.call.Method, c.call.Path, body)
	}
	require.Empty(t, violations(t, g))
}

func violations(t *testing.T, g greeting) (lines []string) {
	t.Helper()
	call(t, http.MethodGet, g.Control+"/violations", "", nil, &lines)
	return lines
}

func TestListen(t *testing.T) {
	t.Parallel()
	t.Run("loopback prints no warning", func(t *testing.T) {
		t.Parallel()
		_, stderr := startWith(t)
		require.Empty(t, stderr)
	})
	t.Run("other addresses print a warning and accept -host", func(t *testing.T) {
		t.Parallel()
		g, stderr := startWith(t, "-listen", "0.0.0.0:0", "-host", "sandbox.test")
		require.Equal(t, 1, strings.Count(stderr, "\n"))
		for _, part := range []string{"-listen 0.0.0.0:0", "both test systems", "credentials", g.Control} {
			require.Contains(t, stderr, part)
		}
		for host, status := range map[string]int{
			"": http.StatusOK, "203.0.113.7:8080": http.StatusOK, "[2001:db8::1]:8080": http.StatusOK,
			"localhost":    http.StatusOK,
			"sandbox.test": http.StatusOK, "SANDBOX.test:8080": http.StatusOK,
			"evil.example": http.StatusMisdirectedRequest, "sandbox.test.evil.example": http.StatusMisdirectedRequest,
		} {
			_, port, _ := strings.Cut(strings.TrimPrefix(g.Commerce, "http://"), "]:")
			res, _ := webtest.Call{Method: http.MethodGet, Path: "/_sandbox/violations", Host: host}.Do(t,
				"http://127.0.0.1:"+port)
			require.Equal(t, status, res.StatusCode, host)
		}
	})
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-lisetn", "x"}, {"-listen", ""}, {"-host", ""}, {"-host", "a:1"}, {"now"}} {
		require.Equal(t, cli.ExitUsage,
			cli.Status("sandbox", run(t.Context(), args, io.Discard, io.Discard), io.Discard), args)
	}
	var stdout, stderr strings.Builder
	require.Equal(t, cli.ExitDone, cli.Status("sandbox", run(t.Context(), []string{"-help"}, &stdout, &stderr), &stderr))
	require.Contains(t, stdout.String(), "usage: sandbox [flags]")
	require.Empty(t, stderr.String())
}

func TestSandboxServesBillingAndOperationsOnPortsOfTheirOwn(t *testing.T) {
	t.Parallel()
	g := start(t, "-billing", "127.0.0.1:0", "-operations", "127.0.0.1:0")
	const billing = `<?xml version="1.0" encoding="iso-8859-1"?><methodCall><methodName>Execute</methodName>` +
		`<params><param><value><struct><member><name>Server</name><value>BM</value></member><member><name>Method</name><value>GetOrder_API</value>` +
		`</member><member><name>Params</name><value><array><data><value><i4>1</i4></value></data></array></value></member>` +
		`</struct></value></param></params></methodCall>`
	for url, body := range map[string]string{
		g.Billing: billing, g.Operations: `<methodCall><methodName>pem.none</methodName></methodCall>`,
	} {
		require.NotContains(t, url, g.Commerce)
		for _, path := range []string{"/RPC2", "/"} {
			res, err := testkit.Send(t.Context(), http.DefaultClient, http.MethodPost, url+path, body,
				map[string]string{"Content-Type": "text/xml"})
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, res.Status, res.Body)
			require.Contains(t, res.Body, "<methodResponse>")
		}
	}
	err := run(t.Context(), []string{"-billing", "nowhere:x"}, io.Discard, io.Discard)
	require.ErrorContains(t, err, "-billing nowhere:x: ")
}
