package explore

import (
	"cmp"
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cloudblue-go/cloudblue/commerce"
	"github.com/cloudblue-go/cloudblue/internal/testkit"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

var states = flag.Int("states", 0, "how many states of each scenario are explored (default 10 000, 300 with -short)")

// fewTimes is a policy with few different times, which has fewer states than the default one.
func fewTimes() protocol.Policy {
	return protocol.Policy{
		SettleDelay: 18 * time.Second, PushTimeout: 6 * time.Second, MaxClaimAge: 6 * time.Second,
		Retry: protocol.RetryPolicy{Spacing: 42 * time.Second},
	}
}

const shortLease = 12 * time.Second

// TestExplore explores all scenarios with a small policy. It does not run in parallel, so that its time counts.
func TestExplore(t *testing.T) { //nolint:paralleltest // measures time
	most := cmp.Or(*states, testkit.Scale(10_000, 300))
	for _, s := range Scenarios(fewTimes()) {
		t.Run(s.Name, func(t *testing.T) {
			s.Lease, s.MaxStates = shortLease, most
			r, err := Explore(t.Context(), s.Config)
			require.NoError(t, err)
			t.Log(r)
			require.Nil(t, r.Violation)
			require.True(t, r.Complete || r.States >= most)
		})
	}
}

func TestExploreOtherPolicies(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{
		"default": {},
		"of cancellations": {
			OrderType: commerce.TypeCancellation,
			Policy:    protocol.Policy{Retry: protocol.RetryPolicy{MaxAttempts: 9, Spacing: -1}},
		},
		"by type": {Policy: protocol.Policy{Retry: protocol.RetryPolicy{
			ByType: map[commerce.OrderType]protocol.RetryPolicy{commerce.TypeSales: {MaxAttempts: 1, Spacing: -1}},
		}}},
		"with a short spacing": {Policy: protocol.Policy{Retry: protocol.RetryPolicy{Spacing: time.Second}}},
		"with tiny times":      {Policy: protocol.Policy{SettleDelay: 8 * time.Millisecond}, Lease: 10 * time.Second},
		"with one target":      {Policy: protocol.Policy{Targets: []commerce.Status{"RB"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.Ends = true
			r, err := Explore(t.Context(), cfg)
			require.NoError(t, err)
			t.Log(r)
			require.Nil(t, r.Violation)
			require.True(t, r.Complete)
		})
	}
}

func TestExploreRejectsBadConfigurations(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg  Config
		want string
	}{
		"policy":    {Config{Policy: protocol.Policy{MaxResubmissions: -1}}, "explore: policy: MaxResubmissions is -1"},
		"orders":    {Config{Orders: 3}, "explore: 3 orders"},
		"processes": {Config{Processes: -1}, "explore: -1 orders or processes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Explore(t.Context(), tc.cfg)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// TestCrashesAddNoEnds checks I10: with crashes there are no other ends than without.
func TestCrashesAddNoEnds(t *testing.T) {
	t.Parallel()
	ends := func(cfg Config) []string {
		cfg.Policy, cfg.Ends = fewTimes(), true
		r, err := Explore(t.Context(), cfg)
		require.NoError(t, err)
		require.True(t, r.Complete, r)
		return r.Ends
	}
	without := ends(Config{})
	require.NotEmpty(t, without)
	require.Subset(t, without, ends(Config{Faults: Faults{Crashes: 2}}))
	require.NotSubset(t, without, ends(Config{Faults: Faults{Crashes: 1}, without: ruleLanes}))
}

// TestReplay checks that states are found again if there is no memory for them.
func TestReplay(t *testing.T) {
	t.Parallel()
	explore := func(worlds int) Result {
		cfg := Config{Policy: fewTimes(), Orders: 2, Faults: Faults{Crashes: 1}, MaxDepth: 12, maxWorlds: worlds}
		r, err := Explore(t.Context(), cfg)
		require.NoError(t, err)
		require.Equal(t, 12, r.Depth)
		return r
	}
	require.Equal(t, explore(0).States, explore(1).States)
}
