// Package clientkit has what the tests of several clients share. Only tests import it.
package clientkit

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jarcoal/httpmock"
	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
)

// The Connect of the tests.
const (
	ConnectURL    = "https://connect.example.com/public/v1"
	ConnectSecret = "s3cr3t-0123456789"
	ConnectKey    = "SU-000-111-222:" + ConnectSecret
)

// Epoch is the time at which the tests begin.
func Epoch() time.Time { return time.Date(2026, 1, 10, 2, 0, 0, 0, time.UTC) }

// Golden returns the content of a file in testdata.
func Golden(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name)) //nolint:gosec // named by the test
	require.NoError(t, err)
	return string(data)
}

// CommerceError returns an error as that of a client for Commerce.
func CommerceError(t testing.TB, err error) *commerce.Error {
	t.Helper()
	e, ok := errors.AsType[*commerce.Error](err)
	require.True(t, ok, "%v", err)
	return e
}

// NewConnect returns a client that does not try again unless an option says so.
func NewConnect(t testing.TB, transport http.RoundTripper, opts ...connect.Option) *connect.Client {
	t.Helper()
	opts = append([]connect.Option{
		connect.WithHTTPClient(&http.Client{Transport: transport}), connect.WithMaxTries(1),
	}, opts...)
	client, err := connect.New(ConnectURL, connect.APIKey(ConnectKey), opts...)
	require.NoError(t, err)
	return client
}

// Responding returns a transport that answers every call alike.
func Responding(resp func() *http.Response) *httpmock.MockTransport {
	transport := httpmock.NewMockTransport()
	transport.RegisterNoResponder(func(r *http.Request) (*http.Response, error) {
		made := resp()
		made.Request = r
		return made, nil
	})
	return transport
}

// ConnectAnswer returns an answer of Connect itself.
func ConnectAnswer(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}, "Connect-Version": {"26.0.12-ga"}},
		Body:   io.NopCloser(strings.NewReader(body)),
	}
}
