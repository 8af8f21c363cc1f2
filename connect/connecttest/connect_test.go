package connecttest_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
)

// The client of this module and the System must agree on the wire.
func TestClientReadsSystem(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{MaxPageSize: 20, Delay: time.Hour, Vendor: leave})
	base := time.Date(2026, 1, 10, 2, 0, 0, 500_000_000, time.UTC)
	const assets = 60
	keys := []connect.RequestKey{}
	for i := range assets {
		uid := fmt.Sprintf("uid-%02d", i)
		for n := range 1 + i%4 {
			_, err := sys.AddRequest(connecttest.RequestSpec{
				ExternalUID: uid, ExternalID: fmt.Sprint(1000 + i), Type: connect.TypeCancel, Status: connect.StatusFailed,
				Reason: "no", Created: base.Add(time.Duration(n) * time.Hour),
			})
			require.NoError(t, err)
		}
		keys = append(keys, connect.RequestKey{TenantID: uid, Type: connect.TypeCancel})
	}
	c := serve(t, sys)
	client, err := connect.New(c.base, connect.APIKey(connecttest.DefaultKey), connect.WithHTTPClient(c.http))
	require.NoError(t, err)
	require.NoError(t, client.CheckAccess(t.Context()))

	all := sys.Requests()
	n, err := client.CountRequests(t.Context(), connect.RequestQuery{})
	require.NoError(t, err)
	require.Equal(t, len(all), n)
	n = 0
	for r, err := range client.Requests(t.Context(), connect.RequestQuery{CreatedFrom: base,
		CreatedTo: base.Add(time.Minute)}) {
		require.NoError(t, err)
		require.True(t, r.Created.Equal(base), "microseconds survive")
		n++
	}
	require.Equal(t, assets, n)

	one, err := client.Request(t.Context(), all[5].ID)
	require.NoError(t, err)
	one.Raw = nil
	require.Equal(t, all[5], *one)
	_, err = client.Request(t.Context(), "PR-0")
	require.ErrorIs(t, err, connect.ErrNotFound)

	newest, err := client.LatestRequests(t.Context(), append(keys,
		connect.RequestKey{SubscriptionID: "1003", Type: connect.TypeCancel},
		connect.RequestKey{TenantID: "nobody", Type: connect.TypePurchase}))
	require.NoError(t, err)
	for i, key := range keys {
		require.Len(t, newest[key], 1)
		require.Equal(t, 1+i%4, newest[key][0].FailedInRow)
	}
	require.Equal(t, "uid-03", newest[connect.RequestKey{SubscriptionID: "1003",
		Type: connect.TypeCancel}][0].Request.Asset.ExternalUID)
	require.Empty(t, newest[connect.RequestKey{TenantID: "nobody", Type: connect.TypePurchase}])

	sys.SetHealthCheck(base.Truncate(time.Second))
	hub, err := client.Hub(t.Context(), connecttest.DefaultHubID)
	require.NoError(t, err)
	require.True(t, hub.LastHealthCheck.Equal(base.Truncate(time.Second)), "without a zone it means UTC")
}

func TestClientReportsErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sys := connecttest.New(connecttest.Config{})
		client, err := connect.New("https://connect.test/public/v1", connect.APIKey(connecttest.DefaultKey),
			connect.WithHTTPClient(&http.Client{Transport: sys.Transport()}), connect.WithMaxTries(1))
		require.NoError(t, err)
		probe := func() connect.Probe {
			p, err := client.Probe(t.Context())
			require.NoError(t, err)
			return p
		}
		require.Equal(t, connect.ClassUp, probe().Class)
		require.Equal(t, connecttest.DefaultVersion, probe().Version)
		sys.SetMaintenance(true)
		require.Equal(t, connect.ClassMaintenanceSuspected, probe().Class)
		require.ErrorIs(t, client.CheckAccess(t.Context()), connect.ErrUnavailable)
		sys.SetMaintenance(false)

		for _, tt := range []struct {
			fault connecttest.Fault
			want  connect.ProbeClass
		}{
			{connecttest.Fault{Kind: connecttest.FaultStatus, Status: 503}, connect.ClassUnavailable},
			{connecttest.Fault{Kind: connecttest.FaultStatus, Status: 500}, connect.ClassDegraded},
			{connecttest.Fault{Kind: connecttest.FaultReset}, connect.ClassUnreachable},
			{connecttest.Fault{Kind: connecttest.FaultHTML}, connect.ClassUnavailable},
		} {
			require.NoError(t, sys.AddFault(tt.fault))
			require.Equal(t, tt.want, probe().Class, "%+v", tt.fault)
			sys.ClearFaults()
		}

		sys.DenyPaths("/requests")
		require.ErrorIs(t, client.CheckAccess(t.Context()), connect.ErrForbidden)
		sys.DenyPaths()
		require.NoError(t, client.CheckAccess(t.Context()))
		other, err := connect.New("https://connect.test/public/v1", connect.APIKey("SU-9:other"),
			connect.WithHTTPClient(&http.Client{Transport: sys.Transport()}))
		require.NoError(t, err)
		require.ErrorIs(t, other.CheckAccess(t.Context()), connect.ErrUnauthorized)
	})
}
