package connect_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
)

var sentinels = []error{
	connect.ErrNotFound, connect.ErrUnauthorized, connect.ErrForbidden,
	connect.ErrConflict, connect.ErrRateLimited, connect.ErrUnavailable,
}

func TestErrorMatchesOneSentinel(t *testing.T) {
	t.Parallel()
	html := golden(t, "maintenance_502.html")
	for name, test := range map[string]struct {
		from   func(status int, body string) *http.Response
		status int
		body   string
		is     error // nil: none
	}{
		"401 is unauthorized":          {answer, 401, golden(t, "error_401.json"), connect.ErrUnauthorized},
		"403 is forbidden":             {answer, 403, golden(t, "error_403.json"), connect.ErrForbidden},
		"403 with a page is forbidden": {page, 403, html, connect.ErrForbidden},
		"404 is not found": {answer, 404, `{"error_code":"SYS_404","errors":["Not found."]}`,
			connect.ErrNotFound},
		"404 with a page of Connect is not found":   {answer, 404, html, connect.ErrNotFound},
		"404 with a page of a gateway says nothing": {page, 404, html, connect.ErrUnavailable},
		"404 with a text of a gateway says nothing": {page, 404, "404 page not found", connect.ErrUnavailable},
		"404 without a body is not found":           {page, 404, "", connect.ErrNotFound},
		"400 with a page is none":                   {page, 400, html, nil},
		"409 is a conflict":                         {answer, 409, golden(t, "error_409.json"), connect.ErrConflict},
		"429 is rate limited":                       {answer, 429, `{}`, connect.ErrRateLimited},
		"400 is none":                               {answer, 400, golden(t, "error_400.json"), nil},
		"500 of Connect is none":                    {answer, 500, `{"error_code":"SYS_000","errors":["boom"]}`, nil},
		"500 without a sign of Connect":             {page, 500, "", connect.ErrUnavailable},
		"502 is unavailable":                        {page, 502, html, connect.ErrUnavailable},
		"502 in JSON is unavailable":                {answer, 502, `{}`, connect.ErrUnavailable},
		"503 is unavailable":                        {page, 503, "busy", connect.ErrUnavailable},
		"504 is unavailable":                        {page, 504, "", connect.ErrUnavailable},
		"200 with a page is unavailable":            {page, 200, html, connect.ErrUnavailable},
		"200 with half of an answer is unavailable": {answer, 200, `{"id":"PR-1","asset":{`, connect.ErrUnavailable},
		"200 with a list for one object is none":    {answer, 200, `[]`, nil},
		"200 with an object without an id is none":  {answer, 200, `{}`, nil},
		"200 with a time that is none is none":      {answer, 200, `{"id":"PR-1","created":"soon"}`, nil},
		"302 to a page for signing in is none":      {answer, 302, ``, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := clientOver(t, responding(func() *http.Response { return test.from(test.status, test.body) }))
			_, err := client.Request(t.Context(), "PR-1")
			e, ok := errors.AsType[*connect.Error](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, "read request", e.Op)
			require.Equal(t, test.status, e.HTTPStatus)
			require.Equal(t, testBase+"/requests/PR-1", e.URL)
			require.NotContains(t, err.Error(), "\n")
			for _, sentinel := range sentinels {
				require.Equal(t, errors.Is(test.is, sentinel), errors.Is(err, sentinel), "%v: %v", sentinel, err)
			}
		})
	}
}

func TestNetworkErrorIsUnavailable(t *testing.T) {
	t.Parallel()
	transport := httpmock.NewMockTransport()
	cause := errors.New("connection reset by peer")
	transport.RegisterNoResponder(httpmock.NewErrorResponder(cause))
	_, err := clientOver(t, transport).Request(t.Context(), "PR-1")
	require.ErrorIs(t, err, connect.ErrUnavailable)
	require.ErrorIs(t, err, cause)
}

func TestErrorHasServerDetails(t *testing.T) {
	t.Parallel()
	resp := answer(409, golden(t, "error_409.json"))
	resp.Header.Set("Retry-After", "7")
	client := clientOver(t, responding(func() *http.Response { return resp }))
	_, err := client.Request(t.Context(), "PR-1")
	e, ok := errors.AsType[*connect.Error](err)
	require.True(t, ok)
	require.Equal(t, "REQ_005", e.Code)
	require.Equal(t, []string{"Such a request exists."}, e.Messages)
	require.Equal(t, "pending", e.Params["request_status"])
	require.Equal(t, 7*time.Second, e.RetryAfter)
	require.Equal(t, "26.0.12-ga", e.ConnectVersion)
	require.Equal(t, "connect: read request: HTTP 409 Conflict: REQ_005: Such a request exists. (GET "+testBase+
		"/requests/PR-1)", err.Error())
}

func TestErrorHasStartOfUnknownBody(t *testing.T) {
	t.Parallel()
	client := clientOver(t, responding(func() *http.Response { return page(502, strings.Repeat("<p>down</p>\n", 9999)) }))
	_, err := client.Request(t.Context(), "PR-1")
	e, ok := errors.AsType[*connect.Error](err)
	require.True(t, ok)
	require.Len(t, e.Body, 1024)
	require.Less(t, len(err.Error()), 300)
	require.NotContains(t, err.Error(), "\n")
}

func TestErrorMessagesThatAreNoList(t *testing.T) {
	t.Parallel()
	client := clientOver(t, responding(func() *http.Response {
		return answer(400, `{"error_code":"VAL_001","errors":{"type":["unknown"]}}`)
	}))
	_, err := client.Request(t.Context(), "PR-1")
	require.ErrorContains(t, err, `VAL_001: {"type":["unknown"]}`)
}

func TestWithMaxBody(t *testing.T) {
	t.Parallel()
	client := clientOver(t, responding(func() *http.Response {
		return answer(200, `{"id":"`+strings.Repeat("x", 4096)+`"}`)
	}), connect.WithMaxBody(1024))
	_, err := client.Request(t.Context(), "PR-1")
	require.Error(t, err)
	require.NotErrorIs(t, err, connect.ErrUnavailable)
}
