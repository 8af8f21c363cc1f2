package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// completing says of some orders that they are completed, in each list of a server.
func completing(t *testing.T, server string, numbers []string) string {
	t.Helper()
	to, err := url.Parse(server)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: to.Scheme, Host: to.Host}) },
		ModifyResponse: func(r *http.Response) error {
			var rows []map[string]any
			if !strings.HasSuffix(r.Request.URL.Path, "/orders") {
				return nil
			}
			if err := json.NewDecoder(r.Body).Decode(&rows); err != nil {
				return err
			}
			for _, row := range rows {
				if number, _ := row["orderNumber"].(string); slices.Contains(numbers, number) {
					row["status"] = "CP"
				}
			}
			body, err := json.Marshal(rows)
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			r.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return err
		},
	}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	return s.URL + to.Path
}

func TestMismatchedRows_are_counted_and_named(t *testing.T) {
	t.Parallel()
	w, env, flags := live(t)
	var numbers []string
	for _, o := range w.Commerce.Orders() {
		if o.Status == "PF" && len(numbers) < 7 {
			numbers = append(numbers, o.Number)
		}
	}
	flags[1] = completing(t, flags[1], numbers)
	flags = append(flags, "-plan", filepath.Join(t.TempDir(), "plan.jsonl"))
	for range 2 { // when the plan is made, and when it is opened later
		status, stdout, stderr := do(t, env, append(flags, "-detailed-exitcode")...)
		require.Equal(t, exitLeft, status, stderr)
		text := strings.Join(strings.Fields(stdout), " ")
		require.Contains(t, text, "Left out: 7 rows did not match the query: "+strings.Join(numbers[:5], ` (status "CP"), `)+` (status "CP") and 2 more`)
		require.Contains(t, text, "7 to check, since Commerce listed them although they do not match: named above")
	}
	status, stdout, stderr := do(t, env, append(flags, "-json")...)
	require.Equal(t, exitDone, status, stderr)
	require.Equal(t, 7, decode(t, stdout).Plan.Mismatched)
	require.Contains(t, stderr, "7 rows did not match the query")
	require.Empty(t, w.Commerce.Ledger())
}
