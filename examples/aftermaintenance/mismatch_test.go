package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// changing returns the URL of a proxy that changes each list of orders. T is the type of the answer.
func changing[T any](t *testing.T, server string, change func(T)) string {
	t.Helper()
	to, err := url.Parse(server)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: to.Scheme, Host: to.Host}) },
		ModifyResponse: func(r *http.Response) error {
			if !strings.HasSuffix(r.Request.URL.Path, "/orders") {
				return nil
			}
			var answer T
			if err := json.NewDecoder(r.Body).Decode(&answer); err != nil {
				return err
			}
			change(answer)
			body, err := json.Marshal(answer)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			r.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return err
		},
	}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	return s.URL + to.Path
}

func TestMismatchedRowsAreCountedAndNamed(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	var numbers []string
	for _, o := range w.Commerce.Orders() {
		if o.Status == "PF" && len(numbers) < 7 {
			numbers = append(numbers, o.Number)
		}
	}
	flags[1] = changing(t, flags[1], func(rows []map[string]any) {
		for _, row := range rows {
			if number, _ := row["orderNumber"].(string); slices.Contains(numbers, number) {
				row["status"] = "CP"
			}
		}
	})
	status, stdout, stderr := do(t, env, with(flags, "plan", "-detailed-exitcode")...)
	require.Equal(t, exitWork, status, stderr)
	text := strings.Join(strings.Fields(stdout), " ")
	require.Contains(t, text, "Left out: 7 rows did not match the query: "+strings.Join(numbers[:5],
		` (status "CP"), `)+` (status "CP") and 2 more`)
	stdout, _ = done(t, env, with(flags, "plan", "-json")...)
	require.Equal(t, 7, decode(t, stdout).Planned.Mismatched)
	stdout, _ = done(t, nil, stateOnly(flags, "show")...)
	require.Contains(t, stdout, "7 rows did not match the query")
	require.Empty(t, w.Commerce.Pushes())
}

func TestWarningsOfClientsArePrinted(t *testing.T) {
	t.Parallel()
	_, env, flags := through(t, viaSimpleAPI)
	flags[1] = changing(t, flags[1], func(answer map[string]any) { answer["pagination"] = map[string]any{"total": 1000} })
	_, stderr := done(t, env, with(flags, "plan")...)
	require.Contains(t, stderr, "level=WARN")
	require.Contains(t, stderr, "the server says that the list has more orders than it showed")
	require.Contains(t, stderr, "total=1000")
}
