package connect_test

import (
	"net/http"
	"testing"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
)

func TestCheckAccess(t *testing.T) {
	t.Parallel()
	ok := func() *http.Response {
		resp := answer(200, "[]")
		resp.Header.Set("Content-Range", "items 0-0/7")
		return resp
	}
	refused := func() *http.Response { return answer(401, golden(t, "error_401.json")) }
	forbidden := func() *http.Response { return answer(403, golden(t, "error_403.json")) }
	down := func() *http.Response { return page(502, golden(t, "maintenance_502.html")) }
	for name, test := range map[string]struct {
		accounts, requests func() *http.Response
		is                 error
		says               string
	}{
		"all is well": {ok, ok, nil, ""},
		"a key that is unknown": {refused, refused, connect.ErrUnauthorized,
			"the API key is wrong, revoked or disabled"},
		"a key for too little":         {ok, forbidden, connect.ErrForbidden, "lacks the permission Subscriptions"},
		"a key for subscriptions only": {forbidden, ok, nil, ""},
		"a key for nothing": {forbidden, forbidden, connect.ErrForbidden,
			"lacks the permission Subscriptions"},
		"a maintenance":                      {down, down, connect.ErrUnavailable, "502 Bad Gateway"},
		"a maintenance that begins just now": {ok, down, connect.ErrUnavailable, "502 Bad Gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transport := httpmock.NewMockTransport()
			transport.RegisterResponder(http.MethodGet, testBase+"/accounts?limit=1&offset=0",
				func(*http.Request) (*http.Response, error) { return test.accounts(), nil })
			transport.RegisterResponder(http.MethodGet, testBase+"/requests?limit=0&offset=0",
				func(*http.Request) (*http.Response, error) { return test.requests(), nil })
			err := clientOver(t, transport).CheckAccess(t.Context())
			if test.is == nil {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, test.is)
			require.ErrorContains(t, err, test.says)
			require.ErrorContains(t, err, "connect: check access: HTTP")
		})
	}
}
