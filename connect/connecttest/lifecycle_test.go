package connecttest_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
)

func TestRequestLifeCycle(t *testing.T) {
	t.Parallel()
	allowed := map[connect.RequestStatus]map[string]connect.RequestStatus{
		"draft": {"pend": "pending", "submit": "pending", "purchase": "pending", "inquire": "inquiring"},
		"tiers_setup": {"pend": "pending", "submit": "pending", "purchase": "pending", "inquire": "inquiring",
			"fail": "failed"},
		"pending":   {"approve": "approved", "fail": "failed", "inquire": "inquiring", "schedule": "scheduled"},
		"inquiring": {"pend": "pending", "submit": "pending", "purchase": "pending"},
		"scheduled": {"pend": "pending", "submit": "pending", "purchase": "pending", "revoke": "revoking"},
		"revoking":  {"confirm": "revoked"},
		"approved":  {},
		"failed":    {},
		"revoked":   {},
	}
	calls := []string{"approve", "fail", "inquire", "pend", "purchase", "submit", "schedule", "revoke", "confirm"}
	for from, targets := range allowed {
		for _, call := range calls {
			t.Run(string(from)+" "+call, func(t *testing.T) {
				t.Parallel()
				clock := newClock()
				sys := connecttest.New(connecttest.Config{Now: clock.Now, Vendor: leave})
				seed, err := sys.AddRequest(connecttest.RequestSpec{ExternalUID: "u", Type: connect.TypePurchase, Status: from})
				require.NoError(t, err)
				c := serve(t, sys)
				r := c.post("/requests/"+seed.ID+"/"+call, `{"reason":"no credit","planned_date":"2026-02-01T00:00:00+00:00"}`)
				want, ok := targets[call]
				if !ok {
					c.requireProblem(r, http.StatusBadRequest, "REQ_001", "it is "+string(from))
					require.Equal(t, from, sys.Requests()[0].Status)
					require.Empty(t, sys.Changes())
					return
				}
				require.Equal(t, http.StatusOK, r.Status, r.Body)
				require.Equal(t, string(want), r.object(t)["status"])
				require.Len(t, sys.Changes(), 1)
			})
		}
	}
}

func TestFailedPurchaseTerminatesAsset(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{Vendor: leave})
	c := serve(t, sys)
	id := c.create("purchase", "uid-1")
	c.requireProblem(c.post("/requests/"+id+"/fail", `{}`), http.StatusBadRequest, "VAL_001",
		"reason: This field is required.")
	r := c.post("/requests/"+id+"/fail", `{"reason":"no credit"}`)
	require.Equal(t, "no credit", r.object(t)["reason"])
	asset, _ := sys.Asset("uid-1")
	require.Equal(t, "terminated", asset.Status)
}

func TestScheduledRequestBecomesPending(t *testing.T) {
	t.Parallel()
	clock := newClock()
	sys := connecttest.New(connecttest.Config{Now: clock.Now, Vendor: leave})
	c := serve(t, sys)
	id := c.create("purchase", "uid-1")
	c.requireProblem(c.post("/requests/"+id+"/schedule", `{}`), http.StatusBadRequest, "VAL_001", "planned_date")
	r := c.post("/requests/"+id+"/schedule", `{"planned_date":"2026-01-11T00:00:00Z"}`)
	require.Equal(t, http.StatusOK, r.Status, r.Body)
	due, ok := sys.NextDue()
	require.True(t, ok)
	require.Equal(t, time.Date(2026, 1, 11, 0, 0, 0, 0, time.UTC), due)
	require.Equal(t, "scheduled", c.get("/requests/" + id).object(t)["status"])
	clock.Add(24 * time.Hour)
	require.Equal(t, "pending", c.get("/requests/" + id).object(t)["status"])
	approved := c.post("/requests/"+id+"/approve", "").object(t)
	require.Equal(t, "2026-01-11T00:00:00+00:00", approved["planned_date"])
	require.Equal(t, "2026-01-11T02:00:00+00:00", approved["effective_date"])
	ledger := sys.Changes()
	ledger = ledger[:len(ledger)-1]
	require.Equal(t, connecttest.OriginClock, ledger[len(ledger)-1].Origin)
}

func TestRevokedRequestIsNotScheduled(t *testing.T) {
	t.Parallel()
	clock := newClock()
	sys := connecttest.New(connecttest.Config{Now: clock.Now, Vendor: leave})
	c := serve(t, sys)
	id := c.create("purchase", "uid-1")
	c.post("/requests/"+id+"/schedule", `{"planned_date":"2026-01-11T00:00:00Z"}`)
	c.post("/requests/"+id+"/revoke", "")
	require.Equal(t, http.StatusOK, c.post("/requests/"+id+"/confirm", "").Status)
	_, ok := sys.NextDue()
	require.False(t, ok)
	clock.Add(48 * time.Hour)
	require.Equal(t, connect.StatusRevoked, sys.Requests()[0].Status)
	asset, _ := sys.Asset("uid-1")
	require.Equal(t, "terminated", asset.Status)
}

func TestDraftStaysDraft(t *testing.T) {
	t.Parallel()
	sys := connecttest.New(connecttest.Config{})
	c := serve(t, sys)
	r := c.post("/requests", `{"type":"purchase","status":"draft","asset":{"external_uid":"uid-1"}}`)
	require.Equal(t, http.StatusCreated, r.Status)
	require.Zero(t, sys.Step(), "the vendor does not see a draft")
	asset, _ := sys.Asset("uid-1")
	require.Equal(t, "draft", asset.Status)
	id, ok := r.object(t)["id"].(string)
	require.True(t, ok)
	c.post("/requests/"+id+"/submit", "")
	require.Equal(t, connect.StatusApproved, sys.Requests()[0].Status)
}
