package availability_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/internal/testkit/clientkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	answer     = clientkit.ConnectAnswer
	clientOver = clientkit.NewConnect
	epoch      = clientkit.Epoch()
	golden     = clientkit.Golden
	responding = clientkit.Responding
)

// system is a Connect with one failed request, and a client of it.
func system(t testing.TB) (*connecttest.System, *connect.Client) {
	t.Helper()
	sys := connecttest.New(connecttest.Config{Now: func() time.Time { return epoch.AddDate(0, 0, 7) }})
	_, err := sys.AddRequest(connecttest.RequestSpec{
		ExternalUID: "tenant-00", ExternalID: "1000", Type: connect.TypePurchase, Status: connect.StatusFailed,
		Reason: "no, thank you", Created: epoch,
	})
	require.NoError(t, err)
	client, err := connect.New(clientkit.ConnectURL, connect.APIKey(connecttest.DefaultKey),
		connect.WithHTTPClient(&http.Client{Transport: sys.Transport()}))
	require.NoError(t, err)
	return sys, client
}

// steadyAt is the probe as taken at an instant of a clock that nobody sets.
func steadyAt(p connect.Probe, steady time.Time) connect.Probe {
	p.Monotonic = steady
	return p
}
