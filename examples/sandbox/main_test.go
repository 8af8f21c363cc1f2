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
	for path, body := range map[string]string{
		"/maintenance": `{"onn":true}`,
		"/orders":      `{"count":0}`,
		"/faults":      `{"system":"commerce","fault":{"kind":"explode"}}`,
	} {
		var answer struct{ Error string }
		require.Equal(t, http.StatusBadRequest, call(t, http.MethodPost, g.Control+path, body, nil, &answer), path)
		require.NotEmpty(t, answer.Error, path)
	}
}
