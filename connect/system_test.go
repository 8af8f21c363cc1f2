package connect_test

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

// system is a Connect of its own with n failed purchases, an hour apart.
func system(t testing.TB, n int) (*connecttest.System, *connect.Client) {
	t.Helper()
	sys := connecttest.New(connecttest.Config{Now: func() time.Time { return epoch.AddDate(0, 0, 7) }, MaxPageSize: 7})
	for i := range n {
		_, err := sys.AddRequest(connecttest.RequestSpec{
			ExternalUID: fmt.Sprintf("tenant-%02d", i), ExternalID: fmt.Sprint(1000 + i),
			Type: connect.TypePurchase, Status: connect.StatusFailed, Reason: "no, thank you",
			Created: epoch.Add(time.Duration(i) * time.Hour),
		})
		require.NoError(t, err)
	}
	client, err := connect.New(testBase, connect.APIKey(connecttest.DefaultKey),
		connect.WithHTTPClient(&http.Client{Transport: sys.Transport()}))
	require.NoError(t, err)
	return sys, client
}

func TestClientWithTestSystem(t *testing.T) {
	t.Parallel()
	sys, client := system(t, 20)
	require.NoError(t, client.CheckAccess(t.Context()))

	all, err := listed(t, client, connect.RequestQuery{NewestFirst: true})
	require.NoError(t, err)
	require.Len(t, all, 20)
	first, err := client.Request(t.Context(), all[0])
	require.NoError(t, err)
	require.Equal(t, "1019", first.Asset.ExternalID)
	_, err = client.Request(t.Context(), "PR-0000-0000-0000-000")
	require.ErrorIs(t, err, connect.ErrNotFound)

	precise := connect.RequestQuery{
		Types:    []connect.RequestType{connect.TypePurchase, connect.TypeChange},
		Statuses: []connect.RequestStatus{connect.StatusFailed},
		Tenants:  []string{"tenant-03", "tenant-04"}, Subscriptions: []string{"1003", "1004"},
		Products: []string{first.Asset.ProductID}, Hubs: []string{connecttest.DefaultHubID},
		CreatedFrom: epoch, CreatedTo: epoch.Add(4 * time.Hour), RQL: "(type=purchase|type=cancel)",
	}
	found, err := listed(t, client, precise)
	require.NoError(t, err)
	require.Len(t, found, 1)
	n, err := client.CountRequests(t.Context(), precise)
	require.NoError(t, err)
	require.Equal(t, 1, n)

	newest, ok, err := client.LatestRequest(t.Context(), tenantKey("tenant-07"))
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, 1, newest.FailedInRow)
	require.Equal(t, "no, thank you", newest.Request.Reason)

	sys.SetHealthCheck(epoch)
	for hub, err := range client.Hubs(t.Context(), connecttest.DefaultInstanceID) {
		require.NoError(t, err)
		require.Equal(t, connecttest.DefaultHubID, hub.ID)
		require.True(t, epoch.Equal(hub.LastHealthCheck))
	}
	hub, err := client.Hub(t.Context(), connecttest.DefaultHubID)
	require.NoError(t, err)
	require.Equal(t, connecttest.DefaultInstanceID, hub.InstanceID)

	require.Empty(t, sys.Changes(), "reading changes nothing")
}

func TestClientDuringMaintenance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sys, client := system(t, 3)
		before, err := client.Probe(t.Context())
		require.NoError(t, err)
		require.Equal(t, connect.ClassUp, before.Class)
		require.Equal(t, connecttest.DefaultVersion, before.Version)

		sys.SetMaintenance(true)
		during, err := client.Probe(t.Context())
		require.NoError(t, err)
		require.Equal(t, connect.ClassMaintenanceSuspected, during.Class)
		require.ErrorIs(t, during.Err, connect.ErrUnavailable)
		found, err := client.LatestRequests(t.Context(), []connect.RequestKey{tenantKey("tenant-01")})
		require.ErrorIs(t, err, connect.ErrUnavailable)
		require.Empty(t, found)

		sys.SetMaintenance(false)
		found, err = client.LatestRequests(t.Context(), []connect.RequestKey{tenantKey("tenant-01")})
		require.NoError(t, err)
		require.Len(t, found[tenantKey("tenant-01")], 1)
	})
}

func TestMissingPermissionIsForbidden(t *testing.T) {
	t.Parallel()
	sys, client := system(t, 1)
	sys.DenyPaths("/requests")
	require.ErrorContains(t, client.CheckAccess(t.Context()), "lacks the permission Subscriptions")
	found, err := client.LatestRequests(t.Context(), []connect.RequestKey{tenantKey("tenant-00")})
	require.ErrorIs(t, err, connect.ErrForbidden)
	require.Empty(t, found)
}

func TestClientRetriesBrokenAnswer(t *testing.T) {
	t.Parallel()
	for _, fault := range []connecttest.Fault{
		{Kind: connecttest.FaultReset, Times: 1},
		{Kind: connecttest.FaultTruncate, Times: 1},
		{Kind: connecttest.FaultStatus, Status: http.StatusTooManyRequests, Times: 2},
		{Kind: connecttest.FaultStatus, Status: http.StatusBadGateway, Times: 2},
	} {
		t.Run(fmt.Sprint(fault.Kind, fault.Status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sys, client := system(t, 10)
				require.NoError(t, sys.AddFault(fault))
				all, err := listed(t, client, connect.RequestQuery{})
				require.NoError(t, err)
				require.Len(t, all, 10)
			})
		})
	}
}
