package connecttest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAuthorization(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, key, method, path string
		forbid                  []string
		status                  int
		code                    string
	}{
		{name: "the probe needs no key", method: "HEAD", path: "", status: 200},
		{name: "the probe by GET", method: "GET", path: "", status: 200},
		{name: "the probe with a slash", method: "GET", path: "/", status: 200},
		{name: "the key", key: "ApiKey " + connecttest.DefaultKey, method: "GET", path: "/requests", status: 200},
		{name: "no key", method: "GET", path: "/requests", status: 401, code: "AUTH_001"},
		{name: "the key without its word", key: connecttest.DefaultKey, method: "GET", path: "/requests", status: 401,
			code: "AUTH_001"},
		{name: "another key", key: "ApiKey SU-1:x", method: "GET", path: "/requests", status: 401, code: "AUTH_001"},
		{name: "another key on an unknown path", key: "ApiKey SU-1:x", method: "GET", path: "/nothing", status: 401,
			code: "AUTH_001"},
		{name: "a key without permission", key: "ApiKey " + connecttest.DefaultKey, method: "GET", path: "/requests",
			forbid: []string{"/requests"}, status: 403, code: "AUTH_003"},
		{name: "a key without another permission", key: "ApiKey " + connecttest.DefaultKey, method: "GET", path: "/accounts",
			forbid: []string{"/requests", "/assets"}, status: 200},
		{name: "an unknown request", key: "ApiKey " + connecttest.DefaultKey, method: "GET", path: "/requests/PR-0",
			status: 404, code: "VAL_001"},
		{name: "an unknown asset", key: "ApiKey " + connecttest.DefaultKey, method: "GET", path: "/assets/AS-0", status: 404,
			code: "VAL_001"},
		{name: "the requests of an unknown asset", key: "ApiKey " + connecttest.DefaultKey, method: "GET",
			path: "/assets/AS-0/requests", status: 404, code: "VAL_001"},
		{name: "an unknown hub", key: "ApiKey " + connecttest.DefaultKey, method: "GET", path: "/hubs/HB-0", status: 404,
			code: "VAL_001"},
		{name: "an action on an unknown request", key: "ApiKey " + connecttest.DefaultKey, method: "POST",
			path: "/requests/PR-0/approve", status: 404, code: "VAL_001"},
		{name: "an unknown action", key: "ApiKey " + connecttest.DefaultKey, method: "POST", path: "/requests/PR-0/explode",
			status: 404, code: "VAL_001"},
		{name: "a trailing slash", key: "ApiKey " + connecttest.DefaultKey, method: "GET", path: "/requests/", status: 200},
		{name: "an unsupported method", key: "ApiKey " + connecttest.DefaultKey, method: "DELETE", path: "/requests",
			status: 404, code: "VAL_001"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sys := connecttest.New(connecttest.Config{Version: "27.1"})
			sys.DenyPaths(tt.forbid...)
			c := serve(t, sys)
			c.key = tt.key
			r := c.do(tt.method, tt.path, "")
			require.Equal(t, tt.status, r.Status, r.Body)
			require.Equal(t, "27.1", r.Header.Get("Connect-Version"))
			if tt.code != "" {
				require.Equal(t, tt.code, r.object(t)["error_code"])
				require.NotContains(t, r.Body, "SU-", "an error contains no key")
			}
		})
	}
}

func TestKeyWithAndWithoutPrefix(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"SU-1:own", "ApiKey SU-1:own"} {
		c := serve(t, connecttest.New(connecttest.Config{Key: key}))
		c.key = "ApiKey SU-1:own"
		require.Equal(t, http.StatusOK, c.get("/requests").Status)
		r := c.post("/devops/services/SRVC-1/installations/EIN-1/impersonate", "")
		require.Equal(t, "ApiKey SU-1:own", r.object(t)["installation_api_key"])
	}
}

func TestMaintenanceAnswersGatewayPage(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{})
	c := serve(t, sys)
	id := c.create("purchase", "uid-1")
	sys.SetMaintenance(true)
	before := sys.Changes()
	require.True(t, sys.InMaintenance())
	for _, call := range []string{"GET ", "HEAD ", "GET /requests", "GET /requests/" + id, "POST /requests",
		"POST /requests/" + id + "/approve",
		"GET /hubs", "GET /nothing", "POST /devops/services/a/installations/b/impersonate"} {
		method, path, _ := strings.Cut(call, " ")
		r := c.do(method, path, order("purchase", "uid-2"))
		require.Equal(t, http.StatusBadGateway, r.Status, call)
		require.Empty(t, r.Header.Get("Connect-Version"), call)
		require.Equal(t, "text/html", r.Header.Get("Content-Type"), call)
		if method != http.MethodHead {
			require.Contains(t, r.Body, "<h1>502 Bad Gateway</h1>", call)
		}
	}
	require.Equal(t, before, sys.Changes())
	sys.SetMaintenance(false)
	require.False(t, sys.InMaintenance())
	require.Equal(t, http.StatusOK, c.get("/requests/"+id).Status)
	require.Len(t, sys.Requests(), 1)
}

func TestFaultsHaveTheFormatOfConnectOrGateway(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		fault   connecttest.Fault
		status  int // 0: no answer
		version bool
		text    string
		created int // requests that exist after the call
	}{
		{"a key refused once", connecttest.Fault{Kind: connecttest.FaultStatus, Status: 401}, 401, true, "AUTH_001", 0},
		{"too many calls", connecttest.Fault{Kind: connecttest.FaultStatus, Status: 429, RetryAfter: 3 * time.Second}, 429,
			true, "SYS_000", 0},
		{"an error of Connect itself", connecttest.Fault{Kind: connecttest.FaultStatus, Status: 500}, 500, true, "SYS_000",
			0},
		{"500 after it was done", connecttest.Fault{Kind: connecttest.FaultStatus, Status: 500, After: true}, 500, true,
			"SYS_000", 1},
		{"502 from the gateway", connecttest.Fault{Kind: connecttest.FaultStatus, Status: 502}, 502, false, "502 Bad Gateway",
			0},
		{"503 from the gateway", connecttest.Fault{Kind: connecttest.FaultStatus, Status: 503}, 503, false,
			"503 Service Unavailable", 0},
		{"an HTML page with 200", connecttest.Fault{Kind: connecttest.FaultHTML}, 200, false, "<html>", 0},
		{"a lost call", connecttest.Fault{Kind: connecttest.FaultReset}, 0, false, "", 0},
		{"a lost answer", connecttest.Fault{Kind: connecttest.FaultReset, After: true}, 0, false, "", 1},
		{"half an answer", connecttest.Fault{Kind: connecttest.FaultTruncate}, 0, false, "", 1},
		{"a slow answer", connecttest.Fault{Kind: connecttest.FaultDelay, Delay: time.Millisecond, After: true}, 201, true,
			`"pending"`, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sys := connecttest.New(connecttest.Config{})
			tt.fault.Method, tt.fault.Path, tt.fault.Times = "POST", "*/requests", 1
			require.NoError(t, sys.AddFault(tt.fault))
			c := serve(t, sys)
			require.Equal(t, http.StatusOK, c.get("/requests").Status, "other calls are not affected")
			r, err := c.try(http.MethodPost, "/requests", order("purchase", "uid-1"))
			if tt.status == 0 {
				require.Error(t, err)
			} else {
				require.NoError(t, err)
				require.Equal(t, tt.status, r.Status)
				require.Equal(t, tt.version, r.Header.Get("Connect-Version") != "")
				require.Contains(t, r.Body, tt.text)
			}
			require.Len(t, sys.Changes(), tt.created)
			require.Equal(t, 1, sys.FaultCounts()[0].Hits)

			again := c.post("/requests", order("purchase", "uid-1"))
			want := http.StatusCreated
			if tt.created == 1 {
				want = http.StatusConflict // nothing is created twice
			}
			require.Equal(t, want, again.Status, "the fault applied once")
			require.Len(t, sys.Requests(), 1)
		})
	}
}

func TestAddAndClearFaults(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{})
	require.ErrorContains(t, sys.AddFault(connecttest.Fault{Kind: "explode"}), "explode")
	require.NoError(t, sys.AddFault(connecttest.Fault{Kind: connecttest.FaultStatus, Status: 503}))
	c := serve(t, sys)
	require.Equal(t, http.StatusServiceUnavailable, c.get("/requests").Status)
	sys.ClearFaults()
	require.Equal(t, http.StatusOK, c.get("/requests").Status)
}

func TestStartAndClose(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{})
	base, err := sys.Start()
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(base, "/public/v1"), base)
	_, err = sys.Start()
	require.ErrorContains(t, err, "started already")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c := caller{t: t, base: base, key: "ApiKey " + connecttest.DefaultKey, http: &http.Client{Transport: transport}}
	c.create("purchase", "uid-1")
	require.NoError(t, sys.Close())
	require.NoError(t, sys.Close())
	_, err = c.try(http.MethodGet, "/requests", "")
	require.Error(t, err)

	c.base, err = sys.Start()
	require.NoError(t, err)
	defer func() { require.NoError(t, sys.Close()) }()
	require.Len(t, c.get("/requests").ids(t), 1, "the requests are still there")
}

func TestConcurrentPurchases(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{Seed: 3})
	require.NoError(t, sys.AddFault(connecttest.Fault{Method: "POST", Path: "*/requests", Every: 5,
		Kind: connecttest.FaultReset, After: true}))
	c := serve(t, sys)
	const clients, purchases = 8, 25
	var mu sync.Mutex
	statuses := map[int]int{}
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			for i := range purchases {
				r, err := c.try(http.MethodPost, "/requests", order("purchase", fmt.Sprint((i+client)%purchases)))
				if err == nil && i%5 == 0 {
					_, err = c.try(http.MethodGet, "/requests?ordering(-created)&limit=3", "")
				}
				mu.Lock()
				if err == nil {
					statuses[r.Status]++
				}
				mu.Unlock()
			}
		})
	}
	for range 20 {
		sys.SetMaintenance(true)
		_ = sys.Changes()
		sys.SetMaintenance(false)
		sys.Step()
	}
	wg.Wait()
	for i := range purchases { // for those that only met maintenances
		_, _ = c.try(http.MethodPost, "/requests", order("purchase", fmt.Sprint(i)))
		_, _ = c.try(http.MethodPost, "/requests", order("purchase", fmt.Sprint(i)))
	}
	require.Len(t, sys.Requests(), purchases)
	created := 0
	for _, call := range sys.Changes() {
		if call.IsNew {
			created++
		}
	}
	require.Equal(t, purchases, created)
	require.Empty(t, sys.Violations())
	require.NotZero(t, statuses[http.StatusConflict])
}

func TestLedger(t *testing.T) {
	t.Parallel()
	clock := newClock()
	sys := connecttest.New(connecttest.Config{Now: clock.Now, Seed: 1, Delay: time.Minute})
	c := serve(t, sys)
	id := c.create("purchase", "uid-1")
	c.get("/requests")
	c.post("/requests", order("purchase", "uid-1")) // 409
	clock.Add(time.Hour)
	sys.Step()
	asset, _ := sys.Asset("uid-1")
	data, err := json.Marshal(sys.Changes())
	require.NoError(t, err)
	require.JSONEq(t, fmt.Sprintf(`[
		{"seq":1,"at":"2026-01-10T02:00:00Z","origin":"http","method":"POST","path":"/public/v1/requests","request":%q,"type":"purchase",
		 "asset":%q,"externalId":"1000042","externalUid":"uid-1","created":true,"status":"pending"},
		{"seq":2,"at":"2026-01-10T02:01:00Z","origin":"vendor","request":%q,"type":"purchase",
		 "asset":%q,"externalId":"1000042","externalUid":"uid-1","status":"approved"}]`, id, asset.ID, id, asset.ID), string(data))
}

func TestRuleFifthCancel(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{Vendor: func(c connecttest.PendingRequest) connecttest.VendorAnswer {
		if c.Request.Type == connect.TypeCancel {
			return connecttest.VendorAnswer{Action: connecttest.VendorReject}
		}
		return connecttest.VendorAnswer{Action: connecttest.VendorApprove}
	}})
	c := serve(t, sys)
	c.create("purchase", "uid-1")
	for range 4 {
		c.create("cancel", "uid-1")
		c.create("suspend", "uid-1") // other types do not interrupt the sequence
		c.create("resume", "uid-1")
	}
	require.Empty(t, sys.Violations())
	fifth := c.create("cancel", "uid-1")
	got := sys.Violations()
	require.Len(t, got, 1)
	require.Equal(t, connecttest.RuleFourCancels, got[0].Rule)
	require.Equal(t, fifth, got[0].ID)
	require.Contains(t, got[0].String(), "F6: "+fifth+": 4 cancels of asset AS-")
}

func TestRuleFifthCancelCountsHistory(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{Vendor: leave})
	for range 6 {
		_, err := sys.AddRequest(connecttest.RequestSpec{ExternalUID: "uid-1", Type: connect.TypeCancel,
			Status: connect.StatusFailed})
		require.NoError(t, err)
	}
	require.Empty(t, sys.Violations(), "a history is not a violation")
	serve(t, sys).create("cancel", "uid-1")
	require.Len(t, sys.Violations(), 1)
}

func TestRulePurchasedTwice(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{})
	add := func(status connect.RequestStatus) {
		_, err := sys.AddRequest(connecttest.RequestSpec{ExternalUID: "uid-1", Type: connect.TypePurchase, Status: status})
		require.NoError(t, err)
	}
	add(connect.StatusFailed)
	add(connect.StatusApproved)
	require.Empty(t, sys.Violations())
	add(connect.StatusPending)
	require.Len(t, sys.Violations(), 1)
	require.Equal(t, connecttest.RulePurchasedOnce, sys.Violations()[0].Rule)
}

func TestAddRequestErrors(t *testing.T) {
	t.Parallel()
	now := newClock().Now()
	tests := []struct {
		name string
		seed connecttest.RequestSpec
		want string
	}{
		{"no external_uid", connecttest.RequestSpec{Type: "purchase", Status: "failed"}, "ExternalUID is empty"},
		{"no type", connecttest.RequestSpec{ExternalUID: "u", Status: "failed"}, "both are required"},
		{"no status", connecttest.RequestSpec{ExternalUID: "u", Type: "purchase"}, "both are required"},
		{"updated before created", connecttest.RequestSpec{ExternalUID: "u", Type: "purchase", Status: "failed", Created: now,
			Updated: now.Add(-time.Second)}, "is before Created"},
		{"older than an existing request", connecttest.RequestSpec{ExternalUID: "old", Type: "cancel", Status: "failed",
			Created: now.Add(-time.Second)}, "add the oldest first"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sys := connecttest.New(connecttest.Config{})
			_, err := sys.AddRequest(connecttest.RequestSpec{ExternalUID: "old", Type: "purchase", Status: "approved",
				Created: now})
			require.NoError(t, err)
			_, err = sys.AddRequest(tt.seed)
			require.ErrorContains(t, err, tt.want)
			require.Len(t, sys.Requests(), 1)
		})
	}
}

func TestAddRequestSetsAssetStatus(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{})
	add := func(kind connect.RequestType, status connect.RequestStatus, override string) string {
		_, err := sys.AddRequest(connecttest.RequestSpec{ExternalUID: "u", Type: kind, Status: status, AssetStatus: override})
		require.NoError(t, err)
		asset, _ := sys.Asset("u")
		return asset.Status
	}
	require.Equal(t, "active", add("purchase", "approved", ""))
	require.Equal(t, "active", add("change", "failed", ""))
	require.Equal(t, "active", add("renew", "approved", ""))
	require.Equal(t, "suspended", add("suspend", "approved", ""))
	require.Equal(t, "suspended", add("cancel", "failed", ""))
	require.Equal(t, "terminating", add("cancel", "pending", ""))
	require.Equal(t, "active", add("adjustment", "approved", "active"))
	require.Empty(t, sys.Changes())
}

func TestBodyTooLarge(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{})
	c := inMemory(t, sys)
	r := c.post("/requests", `{"note":"`+strings.Repeat("x", 2<<20)+`"}`)
	c.requireProblem(r, http.StatusBadRequest, "VAL_001", "could not be read")
}

func TestTransportTruncatesAnswers(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{})
	require.NoError(t, sys.AddFault(connecttest.Fault{Kind: connecttest.FaultTruncate}))
	_, err := inMemory(t, sys).try(http.MethodGet, "/requests", "")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}
