package availability_test

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testBase = "https://connect.example.com/public/v1"

var epoch = time.Date(2026, 1, 10, 2, 0, 0, 0, time.UTC)

// golden is the content of a file in testdata.
func golden(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return string(data)
}

// clientOver is a client without retries on a transport.
func clientOver(t testing.TB, transport http.RoundTripper) *connect.Client {
	t.Helper()
	client, err := connect.New(testBase, connect.APIKey("SU-000-111-222:s3cr3t-0123456789"),
		connect.WithHTTPClient(&http.Client{Transport: transport}), connect.WithMaxTries(1))
	require.NoError(t, err)
	return client
}

// responding answers every call alike.
func responding(resp func() *http.Response) http.RoundTripper {
	return testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
		made := resp()
		made.Request = r
		return made, nil
	})
}

func answer(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}, "Connect-Version": {"26.0.12-ga"}},
		Body:   io.NopCloser(strings.NewReader(body)),
	}
}

// system is a Connect with one failed request, and a client of it.
func system(t testing.TB) (*connecttest.System, *connect.Client) {
	t.Helper()
	sys := connecttest.New(connecttest.Config{Now: func() time.Time { return epoch.AddDate(0, 0, 7) }})
	_, err := sys.AddRequest(connecttest.RequestSpec{
		ExternalUID: "tenant-00", ExternalID: "1000", Type: connect.TypePurchase, Status: connect.StatusFailed,
		Reason: "no, thank you", Created: epoch,
	})
	require.NoError(t, err)
	client, err := connect.New(testBase, connect.APIKey(connecttest.DefaultKey),
		connect.WithHTTPClient(&http.Client{Transport: sys.Transport()}))
	require.NoError(t, err)
	return sys, client
}

// steadyAt is the probe as taken at an instant of a clock that nobody sets.
func steadyAt(p connect.Probe, steady time.Time) connect.Probe {
	p.Monotonic = steady
	return p
}
