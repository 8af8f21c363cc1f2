package resubmit_test

import (
	"cmp"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/maintenance"
	"github.com/cloudblue-go/cloudblue/resubmit"
	"github.com/cloudblue-go/cloudblue/resubmit/failure"
	"github.com/cloudblue-go/cloudblue/resubmit/rules"
)

// Defaults of a Config.
const (
	defaultSettle       = 240 * time.Second
	defaultGuard        = 5 * time.Minute
	defaultRate         = 5
	defaultMaxDeferrals = 3
)

// One failure text of each class.
const (
	textTransient   = "APS Application Error:\n'500 Internal Server Error' received from 'POST http://connector/tenants'"
	textPermanent   = "Vendor has failed request PR-1-001 with following reason: no credit"
	textProvisioned = "#2007 Subscription already exists"
	textOther       = "the moon is in the wrong phase"
)

// failed is a failure with a text, or without one.
func failed(text string) commerce.Failure {
	if text == "" {
		return commerce.Failure{}
	}
	return commerce.Failure{Messages: map[string]string{"en_US": text}}
}

// at is a time in November 2026.
func at(clock string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", "2026-11-"+clock)
	if err != nil {
		panic(err)
	}
	return t
}

// nights are two maintenances of Connect: 22nd and 24th, 02:00 to 04:00.
func nights(t testing.TB) *maintenance.Calendar {
	t.Helper()
	cal, err := maintenance.NewCalendar([]maintenance.Window{
		{ID: "first", Start: at("22 02:00"), End: at("22 04:00")},
		{ID: "second", Start: at("24 02:00"), End: at("24 04:00")},
	})
	require.NoError(t, err)
	return cal
}

var decideNow = at("22 08:00")

// newest is a request that changed last before decideNow.
func newest(kind connect.RequestType, status connect.RequestStatus, age time.Duration,
	failedInRow int) connect.LatestRequest {
	return connect.LatestRequest{
		Request:     connect.Request{ID: "PR-1", Type: kind, Status: status, Updated: decideNow.Add(-age)},
		FailedInRow: failedInRow,
	}
}

func someRules() []rules.Rule {
	return []rules.Rule{
		{ID: "autodesk", Message: "*Autodesk error 7?*", Action: rules.Quarantine, Why: "cancel and order anew <now>"},
		{
			ID: "all", Types: []commerce.OrderType{"SO"}, Classes: []failure.Class{failure.Unclassified},
			Verdicts: []failure.Verdict{failure.Caused}, Requests: []connect.RequestStatus{rules.NoRequest},
			VendorAccounts: []string{"7"}, Channels: []commerce.Channel{commerce.ChannelDirect},
			Action: rules.Resubmit, Why: "it is ours",
		},
	}
}

// reason is a failure text and what it means.
type reason struct {
	Name, Text, Pattern string
	Class               failure.Class
}

func reasons(t testing.TB) []reason {
	raw, err := os.ReadFile("failure/testdata/reasons.json")
	require.NoError(t, err)
	var all []reason
	require.NoError(t, json.Unmarshal(raw, &all))
	return all
}

const testSystem = "test shop"

// systemsOf completes systems with a name and all capabilities.
func systemsOf(s resubmit.Systems) resubmit.Systems {
	s.Name = cmp.Or(s.Name, testSystem)
	s.Capabilities = cmp.Or(s.Capabilities, commerce.Capabilities{Failure: true, Transitions: true, Lists: true})
	return s
}
