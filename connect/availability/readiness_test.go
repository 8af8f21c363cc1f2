package availability_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/connect"
	"github.com/cloudblue-go/cloudblue/connect/availability"
	"github.com/cloudblue-go/cloudblue/connect/connecttest"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
)

// states are those of the parts of a readiness.
func states(r availability.Readiness) map[string]availability.CheckState {
	all := make(map[string]availability.CheckState, len(r.Checks))
	for _, p := range r.Checks {
		all[p.Name] = p.State
	}
	return all
}

const ready, missing, unknown = availability.StateReady, availability.StateNotReady, availability.StateUnknown

func TestCheckReadiness(t *testing.T) {
	t.Parallel()
	hub := connecttest.DefaultHubID
	for name, test := range map[string]struct {
		arrange func(t *testing.T, sys *connecttest.System)
		query   availability.ReadinessConfig
		want    map[string]availability.CheckState
		says    string
	}{
		"all is well without a hub": {
			want: map[string]availability.CheckState{"key": ready, "answer": ready, "requests": ready},
			says: "Ready. The API key may read requests. Connect itself answers, version 26.0.12-test. Connect counts 1 " +
				"requests.",
		},
		"all is well with one": {
			arrange: func(_ *testing.T, sys *connecttest.System) { sys.SetHealthCheck(time.Now().Add(-time.Minute)) },
			query:   availability.ReadinessConfig{Hub: hub},
			want:    map[string]availability.CheckState{"key": ready, "answer": ready, "requests": ready, "hub": ready},
			says:    "Commerce reports to Connect: hub HB-0000-0001 reported 1m0s ago.",
		},
		"a maintenance": {
			arrange: func(_ *testing.T, sys *connecttest.System) { sys.SetMaintenance(true) },
			query:   availability.ReadinessConfig{Hub: hub},
			want:    map[string]availability.CheckState{"key": unknown, "answer": missing, "requests": missing, "hub": unknown},
			says:    "Connect itself does not answer (maintenance suspected): ",
		},
		"a network that is gone": {
			arrange: func(t *testing.T, sys *connecttest.System) {
				require.NoError(t, sys.AddFault(connecttest.Fault{Kind: connecttest.FaultReset}))
			},
			want: map[string]availability.CheckState{"key": unknown, "answer": unknown, "requests": missing},
			says: "Connect is unreachable: ",
		},
		"a key without permission": {
			arrange: func(_ *testing.T, sys *connecttest.System) { sys.DenyPaths("/requests") },
			want:    map[string]availability.CheckState{"key": missing, "answer": ready, "requests": unknown},
			says:    "The API key may not read requests: connect: check access: HTTP 403 Forbidden: AUTH_003",
		},
		"a hub that never reported": {
			arrange: func(_ *testing.T, sys *connecttest.System) { sys.SetHealthCheck(time.Time{}) },
			query:   availability.ReadinessConfig{Hub: hub},
			want:    map[string]availability.CheckState{"key": ready, "answer": ready, "requests": ready, "hub": missing},
			says:    "hub HB-0000-0001 never reported.",
		},
		"a hub that reported long ago": {
			arrange: func(_ *testing.T, sys *connecttest.System) { sys.SetHealthCheck(time.Now().Add(-11 * time.Minute)) },
			query:   availability.ReadinessConfig{Hub: hub},
			want:    map[string]availability.CheckState{"key": ready, "answer": ready, "requests": ready, "hub": missing},
			says:    "last reported 11m0s ago, more than 10m10s",
		},
		"a hub that may report seldom": {
			arrange: func(_ *testing.T, sys *connecttest.System) { sys.SetHealthCheck(time.Now().Add(-11 * time.Minute)) },
			query:   availability.ReadinessConfig{Hub: hub, MaxHealthAge: time.Hour},
			want:    map[string]availability.CheckState{"key": ready, "answer": ready, "requests": ready, "hub": ready},
			says:    "Ready.",
		},
		"a hub that reported before the end only": {
			arrange: func(_ *testing.T, sys *connecttest.System) { sys.SetHealthCheck(time.Now().Add(-time.Minute)) },
			// when bubbles begin
			query: availability.ReadinessConfig{Hub: hub, Since: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)},
			want:  map[string]availability.CheckState{"key": ready, "answer": ready, "requests": ready, "hub": missing},
			says:  "before the maintenance ended: it reports about every 305 s",
		},
		"a hub with another clock": {
			arrange: func(_ *testing.T, sys *connecttest.System) { sys.SetHealthCheck(time.Now().Add(time.Hour)) },
			query:   availability.ReadinessConfig{Hub: hub},
			want:    map[string]availability.CheckState{"key": ready, "answer": ready, "requests": ready, "hub": unknown},
			says:    "is 1h0m0s in the future: compare the clocks",
		},
		"a hub that is none": {
			query: availability.ReadinessConfig{Hub: "HB-9"},
			want:  map[string]availability.CheckState{"key": ready, "answer": ready, "requests": ready, "hub": unknown},
			says:  "Whether Commerce reports to Connect is unknown: connect: read hub: HTTP 404",
		},
		"a release": {
			query: availability.ReadinessConfig{VersionBefore: "25.9"},
			want:  map[string]availability.CheckState{"key": ready, "answer": ready, "requests": ready},
			says:  "Connect-Version changed from 25.9 to 26.0.12-test: there was a release.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sys, client := system(t)
				if test.arrange != nil {
					test.arrange(t, sys)
				}
				r := availability.CheckReadiness(t.Context(), client, test.query)
				require.Equal(t, test.want, states(r))
				require.Contains(t, r.String(), test.says)
				require.NotContains(t, r.String(), "\n")
				require.NotContains(t, r.String(), connecttest.DefaultKey)
				require.Equal(t, len(r.NotReady()) == 0, r.Ready())
				require.Equal(t, name == "a release", r.VersionChanged())
				for _, p := range r.Checks {
					require.Equal(t, p.State == ready, p.Err == nil, p.Name)
				}
			})
		})
	}
}

func TestCheckReadinessSkipsCallsAfterARefusedKey(t *testing.T) {
	t.Parallel()
	var paths []string
	client := clientOver(t, testkit.RoundTripFunc(func(r *http.Request) (*http.Response, error) {
		paths = append(paths, r.Method+" "+r.URL.Path)
		return answer(http.StatusUnauthorized, golden(t, "error_401.json")), nil
	}))
	r := availability.CheckReadiness(t.Context(), client, availability.ReadinessConfig{})
	require.Equal(t, map[string]availability.CheckState{"key": missing, "answer": ready, "requests": unknown}, states(r))
	require.ErrorIs(t, r.NotReady()[0].Err, connect.ErrUnauthorized)
	require.Equal(t, []string{"GET /public/v1/accounts", "HEAD /public/v1"}, paths, "what is refused is not asked again")
}

func TestCheckReadinessIsUnknownForACancelledContext(t *testing.T) {
	t.Parallel()
	_, client := system(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := availability.CheckReadiness(ctx, client, availability.ReadinessConfig{Hub: connecttest.DefaultHubID})
	require.False(t, r.Ready())
	require.Len(t, r.NotReady(), 4)
	require.False(t, availability.Readiness{}.Ready(), "nothing was looked at")
}
