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
)

// start runs the program and returns what it says of itself.
func start(t *testing.T) greeting {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"-seed", "7"}, w, io.Discard) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-ended)
	})
	var g greeting
	require.NoError(t, json.NewDecoder(r).Decode(&g))
	return g
}

// call makes a request and decodes its answer into out.
func call(t *testing.T, method, url, body string, header http.Header, out any) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header = header
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.NoError(t, json.NewDecoder(res.Body).Decode(out))
	return res.StatusCode
}

func TestAnOrderThatRunsIntoAMaintenanceCanBeFollowedByHTTPAlone(t *testing.T) {
	t.Parallel()
	g := start(t)
	var anything any
	require.Equal(t, http.StatusOK, call(t, http.MethodPost, g.Control+"/maintenance", `{"on":true}`, nil, &anything))
	var placed []struct{ ID, Number string }
	require.Equal(t, http.StatusOK, call(t, http.MethodPost, g.Control+"/orders", `{"count":2,"type":"SO"}`, nil, &placed))
	require.Len(t, placed, 2)

	token := http.Header{"Aps-Token": {g.CommerceToken}}
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

func TestAControlCallWithATypoIsRefused(t *testing.T) {
	t.Parallel()
	g := start(t)
	for name, c := range map[string]struct{ path, body, says string }{
		"an unknown key":     {"/maintenance", `{"onn":true}`, "onn"},
		"nothing said":       {"/maintenance", `{}`, `{"on":true}`},
		"an empty body":      {"/maintenance", ``, "empty"},
		"no orders":          {"/orders", `{"count":0}`, "1 to"},
		"a count in words":   {"/orders", `{"count":"two"}`, `"count"`},
		"not an object":      {"/orders", `[1]`, "object"},
		"no fault":           {"/faults", `{"system":"commerce"}`, `"fault" is missing`},
		"no such system":     {"/faults", `{"system":"oracle","fault":{"kind":"reset"}}`, "oracle"},
		"no such fault":      {"/faults", `{"system":"commerce","fault":{"kind":"explode"}}`, "explode"},
		"text after the end": {"/maintenance", `{"on":true} and more`, "goes on"},
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
