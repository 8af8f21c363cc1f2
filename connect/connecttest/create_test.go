package connecttest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
)

func TestPurchaseCreatesAsset(t *testing.T) {
	t.Parallel()
	clock := newClock()
	sys := connecttest.New(connecttest.Config{Now: clock.Now, Seed: 7, Delay: time.Minute})
	c := serve(t, sys)
	r := c.post("/requests", `{"type":"purchase","note":null,"unknown":{"deep":[1]},
		"asset":{"external_uid":"uid-1","external_id":1000042,
		"product":{"id":"PRD-1","name":"Demo"},"connection":{"id":"CT-1","type":"test"},
		"items":[{"id":"I1","mpn":"M1","quantity":5},{"id":"I2","quantity":"unlimited"}],
		"params":[{"id":"p","value":"v"}],"tiers":{"customer":{"id":"TA-1","external_id":12}}},
		"marketplace":{"id":"MP-91673","name":"EU"}}`)
	require.Equal(t, http.StatusCreated, r.Status, r.Body)
	require.Equal(t, connecttest.DefaultVersion, r.Header.Get("Connect-Version"))
	created := r.object(t)
	require.Regexp(t, `^PR-\d{4}-\d{4}-\d{4}-001$`, created["id"])
	require.Equal(t, "pending", created["status"])
	require.Equal(t, "2026-01-10T02:00:00+00:00", created["created"])
	asset, ok := created["asset"].(map[string]any)
	require.True(t, ok)
	require.Equal(t, "processing", asset["status"])
	require.Equal(t, "1000042", asset["external_id"], "a number is kept as text")
	require.Equal(t, []any{
		map[string]any{"id": "I1", "mpn": "M1", "quantity": "5", "old_quantity": "0"},
		map[string]any{"id": "I2", "quantity": "unlimited", "old_quantity": "0"},
	}, asset["items"])

	for _, query := range []string{"asset.connection.type=test", "asset.params.id=p&asset.params.value=v",
		"asset.tiers.customer.id=TA-1", "marketplace.id=MP-91673"} {
		require.Len(t, c.find("/requests", query).ids(t), 1, query)
	}
	clock.Add(time.Minute)
	id, ok := created["id"].(string)
	require.True(t, ok)
	require.Equal(t, "approved", c.get("/requests/" + id).object(t)["status"])
}

func TestIDsDependOnSeedAndExternalUID(t *testing.T) {
	t.Parallel()
	ids := func(seed uint64, uids ...string) map[string]string {
		sys := connecttest.New(connecttest.Config{Seed: seed})
		c := inMemory(t, sys)
		got := map[string]string{}
		for _, uid := range uids {
			got[uid] = c.create("purchase", uid)
		}
		return got
	}
	require.Equal(t, ids(1, "a", "b", "c"), ids(1, "c", "a", "b"))
	require.NotEqual(t, ids(1, "a"), ids(2, "a"))
}

func TestRepeatedPurchaseConflicts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		answer        connecttest.VendorAnswer
		status, asset string
		failMessage   string
	}{
		{"while the vendor has not answered", connecttest.VendorAnswer{}, "pending", "processing", ""},
		{"after approval", connecttest.VendorAnswer{Action: connecttest.VendorApprove}, "approved", "active", ""},
		{"after rejection", connecttest.VendorAnswer{Action: connecttest.VendorReject, Reason: "no credit"}, "failed",
			"terminated",
			"no credit"},
		{"during an inquiry", connecttest.VendorAnswer{Action: connecttest.VendorInquire}, "inquiring", "processing", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sys := connecttest.New(
				connecttest.Config{Vendor: func(connecttest.PendingRequest) connecttest.VendorAnswer { return tt.answer }})
			c := serve(t, sys)
			id := c.create("purchase", "uid-1")
			r := c.post("/requests", order("purchase", "uid-1"))
			c.requireProblem(r, http.StatusConflict, "VAL_001", "exists already")
			asset, _ := sys.Asset("uid-1")
			require.Equal(t, map[string]any{
				"request_id": id, "request_status": tt.status,
				"asset_id": asset.ID, "asset_status": tt.asset, "fail_message": tt.failMessage,
				"template": map[string]any{}, "params_form_url": nil,
			}, r.object(t)["params"])
			require.Len(t, sys.Requests(), 1)
			require.Empty(t, sys.Violations())
		})
	}
}

func TestRequestsForExistingAsset(t *testing.T) {
	t.Parallel()
	// each step is a type, and what it must get: created, conflict, state.
	type step struct{ kind, want string }
	approve := connecttest.VendorAnswer{Action: connecttest.VendorApprove}
	reject := connecttest.VendorAnswer{Action: connecttest.VendorReject}
	tests := []struct {
		name   string
		vendor func(connecttest.PendingRequest) connecttest.VendorAnswer
		steps  []step
		asset  string
	}{
		{"a life cycle", func(connecttest.PendingRequest) connecttest.VendorAnswer { return approve },
			[]step{{"change", "created"}, {"suspend", "created"}, {"change", "state"}, {"resume", "created"},
				{"suspend", "created"}, {"cancel", "created"}, {"change", "state"}}, "terminated"},
		{"a repeated request is a conflict", func(connecttest.PendingRequest) connecttest.VendorAnswer { return approve },
			[]step{{"suspend", "created"}, {"suspend", "conflict"}, {"cancel", "created"}, {"cancel", "conflict"}},
			"terminated"},
		{"a first request is not a conflict", func(connecttest.PendingRequest) connecttest.VendorAnswer { return approve },
			[]step{{"resume", "state"}}, "active"},
		{"an open request of the same type is a conflict, of another a wrong state",
			func(c connecttest.PendingRequest) connecttest.VendorAnswer {
				if c.Request.Type == connect.TypePurchase {
					return approve
				}
				return connecttest.VendorAnswer{}
			}, []step{{"change", "created"}, {"change", "conflict"}, {"cancel", "state"}}, "active"},
		{"a rejected request may be repeated", func(c connecttest.PendingRequest) connecttest.VendorAnswer {
			if c.Request.Type == connect.TypePurchase || c.Earlier == 2 {
				return approve
			}
			return reject
		}, []step{{"cancel", "created"}, {"cancel", "created"}, {"cancel", "created"}}, "terminated"},
		{"a rejected suspend leaves the asset active", func(c connecttest.PendingRequest) connecttest.VendorAnswer {
			if c.Request.Type == connect.TypePurchase {
				return approve
			}
			return reject
		}, []step{{"suspend", "created"}}, "active"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sys := connecttest.New(connecttest.Config{Vendor: tt.vendor})
			c := serve(t, sys)
			c.create("purchase", "uid-1")
			for i, s := range tt.steps {
				r := c.post("/requests", order(s.kind, "uid-1"))
				switch s.want {
				case "created":
					require.Equal(t, http.StatusCreated, r.Status, "step %d: %s", i, r.Body)
				case "conflict":
					c.requireProblem(r, http.StatusConflict, "VAL_001", "exists")
				default:
					c.requireProblem(r, http.StatusBadRequest, "REQ_001", "Asset AS-")
				}
			}
			asset, ok := sys.Asset("uid-1")
			require.True(t, ok)
			require.Equal(t, tt.asset, asset.Status)
			require.Empty(t, sys.Violations())
		})
	}
}

func TestCancelTerminatesAsset(t *testing.T) {
	t.Parallel()
	clock := newClock()
	sys := connecttest.New(connecttest.Config{Now: clock.Now, Delay: time.Minute})
	c := serve(t, sys)
	c.create("purchase", "uid-1")
	clock.Add(time.Minute)
	asset, _ := sys.Asset("uid-1")
	require.Equal(t, "active", asset.Status)
	c.create("cancel", "uid-1")
	asset, _ = sys.Asset("uid-1")
	require.Equal(t, "terminating", asset.Status)
	clock.Add(time.Minute)
	asset, _ = sys.Asset("uid-1")
	require.Equal(t, "terminated", asset.Status)
}

func TestChangeHasOldQuantity(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{})
	c := serve(t, sys)
	c.create("purchase", "uid-1")
	asset, _ := sys.Asset("uid-1")
	r := c.post("/requests", `{"type":"change","asset":{"id":"`+asset.ID+
		`","external_id":null,"items":[{"id":"PRD-403-038-754-0001","quantity":"9"}]}}`)
	require.Equal(t, http.StatusCreated, r.Status, r.Body)
	require.Contains(t, r.Body, `"quantity":"9","old_quantity":"5"`)
	require.Contains(t, c.get("/assets/"+asset.ID).Body, `"quantity":"9"`, "the vendor approved it")
	require.Equal(t, "1000042", sys.Requests()[1].Asset.ExternalID, "the asset keeps its external_id")
}

func TestInvalidRequest(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, body, want string }{
		{"no JSON", `type=purchase`, "not a valid request"},
		{"cut JSON", `{"type":"purchase"`, "not a valid request"},
		{"no type", `{"asset":{"external_uid":"u"}}`, `type: "" is not one of`},
		{"an unknown type", `{"type":"gift","asset":{"external_uid":"u"}}`, `type: "gift" is not one of`},
		{"a purchase without external_uid", `{"type":"purchase","asset":{}}`, "asset.external_uid: This field is required."},
		{"a status that is not initial", `{"type":"purchase","status":"approved","asset":{"external_uid":"u"}}`,
			`status: "approved" is not a status to begin with`},
		{"an unknown asset", `{"type":"cancel","asset":{"id":"AS-1","external_uid":"u"}}`, `no asset with id "AS-1"`},
		{"a quantity that is a list", `{"type":"purchase","asset":{"external_uid":"u","items":[{"id":"I","quantity":[1]}]}}`,
			"want a string or a number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sys := connecttest.New(connecttest.Config{})
			c := serve(t, sys)
			c.requireProblem(c.post("/requests", tt.body), http.StatusBadRequest, "VAL_001", tt.want)
			require.Empty(t, sys.Requests())
			require.Empty(t, sys.Changes())
		})
	}
}

func FuzzCreateRequest(f *testing.F) {
	f.Add(order("purchase", "uid-1"))
	f.Add(`{"type":"cancel","asset":{"id":null}}`)
	f.Add(`{"type":"purchase","status":"draft","asset":{"external_uid":7,"items":[{"quantity":null}]}}`)
	f.Fuzz(func(t *testing.T, body string) {
		sys := connecttest.New(connecttest.Config{})
		c := inMemory(t, sys)
		r, err := c.try(http.MethodPost, "/requests", body)
		require.NoError(t, err)
		require.Contains(t, []int{http.StatusCreated, http.StatusBadRequest}, r.Status)
		require.Equal(t, r.Status == http.StatusCreated, len(sys.Changes()) == 1)
	})
}
