package connect_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

func TestProbeClass(t *testing.T) {
	t.Parallel()
	unauthorized := golden(t, "error_401.json")
	html := golden(t, "maintenance_502.html")
	plain := func(status int, body string) *http.Response { // Connect without its signature
		resp := answer(status, body)
		resp.Header.Del("Connect-Version")
		return resp
	}
	for name, test := range map[string]struct {
		head, get *http.Response // nil: must not be asked for
		class     connect.ProbeClass
		version   string
	}{
		"a refusal of Connect is up": {answer(401, ""), nil, connect.ClassUp, "26.0.12-ga"},
		"a 404 of Connect is up":     {answer(404, ""), nil, connect.ClassUp, "26.0.12-ga"},
		"a 200 of Connect is up":     {answer(200, ""), nil, connect.ClassUp, "26.0.12-ga"},
		"HEAD not allowed, GET signed is up": {plain(405, ""), answer(401, unauthorized), connect.ClassUp,
			"26.0.12-ga"},
		"GET unsigned with an error of Connect is up": {plain(401, ""), plain(401, unauthorized), connect.ClassUp, ""},
		"GET unsigned with another error is unavailable": {plain(404, ""), plain(404, `{"statusCode":404}`),
			connect.ClassUnavailable, ""},
		"a page with 200 is unavailable":         {page(200, ""), page(200, html), connect.ClassUnavailable, ""},
		"a redirect to a page is unavailable":    {page(302, ""), page(302, html), connect.ClassUnavailable, ""},
		"502 is a suspected maintenance":         {page(502, ""), nil, connect.ClassMaintenanceSuspected, ""},
		"502 that Connect signed is one as well": {answer(502, ""), nil, connect.ClassMaintenanceSuspected, "26.0.12-ga"},
		"503 is unavailable":                     {page(503, ""), nil, connect.ClassUnavailable, ""},
		"504 is unavailable":                     {page(504, ""), nil, connect.ClassUnavailable, ""},
		"500 without a sign is unavailable":      {page(500, ""), page(500, html), connect.ClassUnavailable, ""},
		"500 of Connect is degraded":             {answer(500, ""), nil, connect.ClassDegraded, "26.0.12-ga"},
		"500 unsigned with its error code is degraded": {plain(500, ""), plain(500, `{"error_code":"SYS_000"}`),
			connect.ClassDegraded, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transport := httpmock.NewMockTransport()
			for method, resp := range map[string]*http.Response{http.MethodHead: test.head, http.MethodGet: test.get} {
				if resp == nil {
					continue
				}
				transport.RegisterResponder(method, testBase, func(r *http.Request) (*http.Response, error) {
					require.Empty(t, r.Header.Get("Authorization"))
					resp.Request = r
					return resp, nil
				})
			}
			p, err := clientOver(t, transport, connect.WithMaxTries(3)).Probe(t.Context())
			require.NoError(t, err)
			require.Equal(t, test.class, p.Class)
			require.Equal(t, test.version, p.Version)
			last := test.head
			calls := 1
			if test.get != nil {
				last, calls = test.get, 2
			}
			require.Equal(t, last.StatusCode, p.Status)
			require.Equal(t, calls, transport.GetTotalCallCount())
			require.Equal(t, test.class == connect.ClassUp, p.Err == nil, "%v", p.Err)
		})
	}
}

func TestProbeUnreachable(t *testing.T) {
	t.Parallel()
	transport := httpmock.NewMockTransport()
	transport.RegisterNoResponder(httpmock.NewErrorResponder(io.ErrUnexpectedEOF))
	p, err := clientOver(t, transport, connect.WithMaxTries(3)).Probe(t.Context())
	require.NoError(t, err)
	require.Equal(t, connect.ClassUnreachable, p.Class)
	require.Zero(t, p.Status)
	require.ErrorIs(t, p.Err, connect.ErrUnavailable)
	require.ErrorIs(t, p.Err, io.ErrUnexpectedEOF)
	require.Equal(t, 1, transport.GetTotalCallCount())
}

func TestProbeTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hang := testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		client := clientOver(t, hang)
		began := time.Now()

		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		p, err := client.Probe(ctx)
		require.NoError(t, err)
		require.Equal(t, connect.ClassUnreachable, p.Class)
		require.True(t, began.Equal(p.At))
		require.Equal(t, time.UTC, p.At.Location())
		require.Equal(t, 10*time.Second, p.Elapsed)

		// A caller who gives up has learnt nothing about Connect.
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		p, err = client.Probe(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, connect.Probe{}, p)
	})
}

func TestCredentialsErrorIsNotUnavailable(t *testing.T) {
	t.Parallel()
	transport := httpmock.NewMockTransport()
	transport.RegisterNoResponder(httpmock.NewStringResponder(200, "{}"))
	client, err := connect.New(testBase, sealedVault{}, connect.WithHTTPClient(&http.Client{Transport: transport}))
	require.NoError(t, err)
	_, err = client.Request(t.Context(), "PR-1")
	require.ErrorIs(t, err, errSealed)
	require.NotErrorIs(t, err, connect.ErrUnavailable)
	require.Zero(t, transport.GetTotalCallCount())
}

func TestInvalidHeaderIsNotUnavailable(t *testing.T) {
	t.Parallel()
	transport := httpmock.NewMockTransport()
	transport.RegisterNoResponder(httpmock.NewStringResponder(200, "{}"))
	client, err := connect.New(testBase, brokenVault{}, connect.WithHTTPClient(&http.Client{Transport: transport}))
	require.NoError(t, err)
	_, err = client.Request(t.Context(), "PR-1")
	require.ErrorContains(t, err, "Authorization has a control character")
	require.NotContains(t, err.Error(), testSecret)
	require.NotErrorIs(t, err, connect.ErrUnavailable)
	require.Zero(t, transport.GetTotalCallCount())
}

type brokenVault struct{ sealedVault }

func (brokenVault) Apply(_ context.Context, r *http.Request) error {
	r.Header.Set("Authorization", testSecret+"\n")
	return nil
}

var errSealed = errors.New("the vault is sealed")

type sealedVault struct{}

func (sealedVault) Apply(context.Context, *http.Request) error { return errSealed }
func (sealedVault) Renew(context.Context, *http.Request) bool  { return false }
