package connecttest_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
)

func TestVendorDelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sys := connecttest.New(connecttest.Config{Vendor: func(c connecttest.PendingRequest) connecttest.VendorAnswer {
			if c.Request.Asset.ExternalUID == "bad" {
				return connecttest.VendorAnswer{Action: connecttest.VendorReject, After: 2 * time.Hour, Reason: "no credit"}
			}
			return connecttest.VendorAnswer{Action: connecttest.VendorApprove, After: time.Hour}
		}})
		c := inMemory(t, sys)
		start := time.Now().UTC()
		good, bad := c.create("purchase", "good"), c.create("purchase", "bad")

		due, ok := sys.NextDue()
		require.True(t, ok)
		require.Equal(t, start.Add(time.Hour), due)
		wait(t, time.Hour-time.Nanosecond)
		require.Equal(t, "pending", c.get("/requests/" + good).object(t)["status"])
		wait(t, time.Nanosecond)
		require.Equal(t, "approved", c.get("/requests/" + good).object(t)["status"])
		require.Equal(t, "pending", c.get("/requests/" + bad).object(t)["status"])

		wait(t, 5*time.Hour)
		require.Equal(t, 1, sys.Step())
		require.Zero(t, sys.Step())
		last := sys.Requests()[1]
		require.Equal(t, connect.StatusFailed, last.Status)
		require.Equal(t, "no credit", last.Reason)
		require.Equal(t, start.Add(2*time.Hour), last.Updated, "the time is when it was due, not when it was processed")
		_, ok = sys.NextDue()
		require.False(t, ok)
	})
}

// wait lets time pass in a synctest bubble.
func wait(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func TestVendorWaitsDuringMaintenance(t *testing.T) {
	t.Parallel()
	clock := newClock()
	sys := connecttest.New(connecttest.Config{Now: clock.Now, Delay: time.Hour})
	c := serve(t, sys)
	c.create("purchase", "early")
	clock.Add(30 * time.Minute)
	c.create("purchase", "late")
	clock.Add(45 * time.Minute) // early was due 15 minutes ago

	sys.SetMaintenance(true)
	require.Equal(t, connect.StatusApproved, sys.Requests()[0].Status, "events that were due before are processed")
	_, ok := sys.NextDue()
	require.False(t, ok)
	clock.Add(time.Hour)
	require.Zero(t, sys.Step())
	require.Equal(t, connect.StatusPending, sys.Requests()[1].Status)
	require.Error(t, sys.Answer(sys.Requests()[1].ID, connecttest.VendorAnswer{Action: connecttest.VendorApprove}))

	end := clock.Now()
	sys.SetMaintenance(false)
	due, ok := sys.NextDue()
	require.True(t, ok)
	require.Equal(t, end, due)
	clock.Add(time.Minute)
	require.Equal(t, 1, sys.Step())
	require.Equal(t, end, sys.Requests()[1].Updated)
	require.Empty(t, sys.Violations())
}

func TestAnswerReplacesScheduledAnswer(t *testing.T) {
	t.Parallel()
	clock := newClock()
	sys := connecttest.New(connecttest.Config{Now: clock.Now, Delay: time.Hour})
	c := serve(t, sys)
	id := c.create("purchase", "uid-1")
	require.NoError(t, sys.Answer(id, connecttest.VendorAnswer{Action: connecttest.VendorReject}))
	_, ok := sys.NextDue()
	require.False(t, ok, "the approval is no longer scheduled")
	clock.Add(2 * time.Hour)
	r := sys.Requests()[0]
	require.Equal(t, connect.StatusFailed, r.Status)
	require.Equal(t, "Rejected by the vendor.", r.Reason)

	require.ErrorContains(t, sys.Answer(id, connecttest.VendorAnswer{Action: connecttest.VendorApprove}), "it is failed")
	require.ErrorContains(t, sys.Answer("PR-0", connecttest.VendorAnswer{Action: connecttest.VendorApprove}),
		`no request "PR-0"`)
	require.ErrorContains(t, sys.Answer(id, connecttest.VendorAnswer{}), "none of approve, reject, inquire")
}

func TestVendorIsCalledAgainAfterInquiry(t *testing.T) {
	t.Parallel()
	asked := 0
	sys := connecttest.New(connecttest.Config{Vendor: func(connecttest.PendingRequest) connecttest.VendorAnswer {
		asked++
		if asked == 1 {
			return connecttest.VendorAnswer{Action: connecttest.VendorInquire}
		}
		return connecttest.VendorAnswer{Action: connecttest.VendorApprove}
	}})
	c := serve(t, sys)
	id := c.create("purchase", "uid-1")
	require.Equal(t, "inquiring", c.get("/requests/" + id).object(t)["status"])
	require.Equal(t, http.StatusOK, c.post("/requests/"+id+"/pend", "").Status)
	require.Equal(t, "approved", c.get("/requests/" + id).object(t)["status"])
	require.Equal(t, 2, asked)
}
