package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTableShowsUnreadableOrders(t *testing.T) {
	t.Parallel()
	const rows = `{"orderId":"a","orderNumber":"SO1","status":"PF","possiblePushToStatus":{}},` +
		`{"orderId":"b","orderNumber":"SO2","status":"PF","orderDate":1793527200},null`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := "[" + rows + "]"
		if !strings.Contains(r.URL.RawQuery, "limit(0,") {
			body = "[null]" // behind the last row, with which the page begins
		}
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	var out strings.Builder
	require.NoError(t, run(t.Context(), []string{"-commerce", s.URL, "-text", "internal server"}, "token",
		&out, io.Discard))
	require.NotContains(t, out.String(), "SO1")
	require.Contains(t, out.String(), "SO2")
	require.Contains(t, out.String(), "orderDate must be a time")
	require.Contains(t, out.String(), "unreadable-row:")
	require.Contains(t, out.String(), "2 orders")
}
