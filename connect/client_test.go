package connect_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"testing"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/testkit/clientkit"
)

const (
	testBase   = clientkit.ConnectURL
	testSecret = clientkit.ConnectSecret
	testKey    = clientkit.ConnectKey
)

var (
	answer     = clientkit.ConnectAnswer
	clientOver = clientkit.NewConnect
	epoch      = clientkit.Epoch()
	golden     = clientkit.Golden
	responding = clientkit.Responding
)

func TestNewRejects(t *testing.T) {
	t.Parallel()
	good := connect.APIKey(testKey)
	for name, test := range map[string]struct {
		base string
		auth connect.Auth
		opt  connect.Option
		says string
	}{
		"no credentials":            {auth: nil, says: "no credentials"},
		"an empty key":              {auth: connect.APIKey(" "), says: "the API key is empty"},
		"a key that is only a word": {auth: connect.APIKey("ApiKey " + testSecret), says: "does not start with SU-"},
		"a key without a secret":    {auth: connect.APIKey("SU-000-111-222:"), says: "has no secret"},
		"a key without a colon":     {auth: connect.APIKey("SU-000" + testSecret), says: "has no secret"},
		"a key with a line break":   {auth: connect.APIKey("SU-1:" + testSecret + "\nX: y"), says: "unprintable"},
		"a base URL without scheme": {base: "api.example.com/public/v1", auth: good,
			says: "must start with https:// or http://"},
		"a nil HTTP client":   {auth: good, opt: connect.WithHTTPClient(nil), says: "WithHTTPClient"},
		"an empty user agent": {auth: good, opt: connect.WithUserAgent(""), says: "WithUserAgent"},
		"a nil logger":        {auth: good, opt: connect.WithLogger(nil), says: "WithLogger"},
		"no tries": {auth: good, opt: connect.WithMaxTries(0),
			says: "WithMaxTries: 0 is not between 1 and 20"},
		"a page of nothing":          {auth: good, opt: connect.WithPageSize(0), says: "WithPageSize"},
		"a page beyond the maximum":  {auth: good, opt: connect.WithPageSize(1001), says: "WithPageSize"},
		"no bytes":                   {auth: good, opt: connect.WithMaxBody(0), says: "WithMaxBody"},
		"more look-ups than is fair": {auth: good, opt: connect.WithConcurrency(5), says: "WithConcurrency"},
		"no rate":                    {auth: good, opt: connect.WithRateLimit(0), says: "WithRateLimit: 0 is not between"},
		"a rate that is no number": {auth: good, opt: connect.WithRateLimit(math.NaN()),
			says: "WithRateLimit: NaN is not between"},
		"chunks that are too large": {auth: good, opt: connect.WithChunkSize(51), says: "WithChunkSize"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var opts []connect.Option
			if test.opt != nil {
				opts = append(opts, test.opt)
			}
			client, err := connect.New(test.base, test.auth, opts...)
			require.ErrorContains(t, err, test.says)
			require.Nil(t, client)
			require.NotContains(t, err.Error(), testSecret)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestAPIKeyForms(t *testing.T) {
	t.Parallel()
	for _, pasted := range []string{testKey, "ApiKey " + testKey, "apikey  " + testKey + "\n"} {
		transport := httpmock.NewMockTransport()
		transport.RegisterResponder(http.MethodGet, testBase+"/hubs/HB-1",
			func(r *http.Request) (*http.Response, error) {
				require.Equal(t, "ApiKey "+testKey, r.Header.Get("Authorization"))
				require.Equal(t, "billing/2", r.Header.Get("User-Agent"))
				return answer(http.StatusOK, `{"id":"HB-1"}`), nil
			})
		client, err := connect.New(testBase+"/", connect.APIKey(pasted),
			connect.WithHTTPClient(&http.Client{Transport: transport}), connect.WithUserAgent("billing/2"))
		require.NoError(t, err)
		_, err = client.Hub(t.Context(), "HB-1")
		require.NoError(t, err)
	}
}

func TestDefaultBaseURL(t *testing.T) {
	t.Parallel()
	transport := httpmock.NewMockTransport()
	transport.RegisterResponder(http.MethodGet, connect.DefaultBaseURL+"/hubs/HB-1",
		httpmock.NewStringResponder(http.StatusOK, `{"id":"HB-1"}`))
	client, err := connect.New("", connect.APIKey(testKey), connect.WithHTTPClient(&http.Client{Transport: transport}))
	require.NoError(t, err)
	_, err = client.Hub(t.Context(), "HB-1")
	require.NoError(t, err)
}

func TestAPIKeyIsNeverPrinted(t *testing.T) {
	t.Parallel()
	auth := connect.APIKey(testKey)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		require.NotContains(t, fmt.Sprintf(verb, auth), testSecret)
		require.NotContains(t, fmt.Sprintf(verb, struct{ auth connect.Auth }{auth}), testSecret)
		require.NotContains(t, fmt.Sprintf(verb, clientOver(t, nil)), testSecret)
		require.NotContains(t, fmt.Sprintf(verb, *clientOver(t, nil)), testSecret)
	}

	// A server that sends back what it got must not get the key into an error or a log.
	var logged bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	logger.Info("client", "auth", auth)
	for _, form := range []string{
		`{"error_code":"AUTH_001","errors":["bad key %[1]s"],"params":{"key":"%[1]s"}}`,
		`<html>Authorization: %s</html>`,
		`{"key":"%s"`,
	} {
		for _, status := range []int{http.StatusOK, http.StatusUnauthorized, http.StatusBadGateway} {
			transport := httpmock.NewMockTransport()
			transport.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
				return answer(status, fmt.Sprintf(form, r.Header.Get("Authorization"))), nil
			})
			client := clientOver(t, transport, connect.WithLogger(logger))
			_, err := client.Request(t.Context(), "PR-1")
			require.Error(t, err)
			require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), testSecret)
			probe, err := client.Probe(t.Context())
			require.NoError(t, err)
			require.NotContains(t, fmt.Sprintf("%+v", probe), testSecret)
			require.NotContains(t, fmt.Sprintf("%v", client.CheckAccess(t.Context())), testSecret)
		}
	}
	require.Contains(t, logged.String(), "/requests/PR-1")
	require.NotContains(t, logged.String(), testSecret)
}

func TestIDsAreEscapedInPaths(t *testing.T) {
	t.Parallel()
	transport := httpmock.NewMockTransport()
	transport.RegisterResponder(http.MethodGet, testBase+"/requests/a%2F..%2Fb%3Fc",
		httpmock.NewStringResponder(http.StatusOK, `{"id":"a"}`))
	client := clientOver(t, transport)
	_, err := client.Request(t.Context(), "a/../b?c")
	require.NoError(t, err)
	for _, id := range []string{"", ".", ".."} {
		_, err := client.Request(t.Context(), id)
		require.Error(t, err)
		require.NotErrorIs(t, err, connect.ErrUnavailable)
	}
	require.Equal(t, 1, transport.GetTotalCallCount())
}

func TestCallEndsWithContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	client := clientOver(t, responding(func() *http.Response { return answer(http.StatusOK, "{}") }))
	_, err := client.Request(ctx, "PR-1")
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, connect.ErrUnavailable)
	_, err = client.Probe(ctx)
	require.ErrorIs(t, err, context.Canceled)
}
