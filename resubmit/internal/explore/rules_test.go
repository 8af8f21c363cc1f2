package explore

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEachRuleIsNeeded(t *testing.T) {
	t.Parallel()
	once := fewTimes()
	once.MaxResubmissions = 1
	soon := fewTimes()
	soon.Retry.Spacing = soon.SettleDelay
	for name, tc := range map[string]struct {
		rule      rule
		cfg       Config
		invariant string
		length    int // of the shortest sequence of events that was found
	}{
		"after a release the version of another run is not adopted": {
			ruleOwnVersion, Config{
				Policy: soon, Processes: 2, Leases: true, Texts: []int8{0}, Faults: Faults{Named: 1, Releases: 1},
			}, "I14", 21,
		},
		"planners read the blockers of their lanes again": {
			ruleBlockers, Config{Orders: 2, Faults: Faults{Crashes: 1, Panel: 1}}, "I20", 8,
		},
		"planners look for older orders of their lanes": {
			ruleOlderOrders, Config{Orders: 2, Filters: [2]uint8{2}}, "I5", 5,
		},
		"lanes keep the newest order": {
			ruleNewest, Config{Orders: 2, Faults: Faults{Panel: 1}}, "I5", 16,
		},
		"reads before a push are recent": {
			ruleReadAge, Config{Faults: Faults{Panel: 1}}, "I13", 7,
		},
		"ages count on both clocks": {
			ruleBothClocks, Config{Processes: 2, Leases: true, Sleep: true}, "I2", 9,
		},
		"a release restores the record": {
			ruleRelease, Config{Faults: Faults{Crashes: 1, Releases: 1}}, "I6", 30,
		},
		"a gateway does not end a push": {
			ruleGatewayEnd, Config{Orders: 2, Faults: Faults{Gateway: 1, Panel: 1}}, "I5", 13,
		},
		"an unanswered push settles before it is read": {
			ruleSettle, Config{Orders: 2, Faults: Faults{Panel: 1}}, "I5", 13,
		},
		"the limit holds for second attempts": {
			ruleLimit, Config{Policy: once}, "I6", 15,
		},
		"each claim counts": {
			ruleCountClaims, Config{Faults: Faults{Outages: 1}}, "I6", 40,
		},
		"a second process waits for the lease of the first": {
			ruleSecondProcess, Config{Processes: 2, SamePlan: true, Leases: true}, "I2", 6,
		},
		"positions have a chain hash": {
			ruleChainHash, Config{Processes: 2, Leases: true, Faults: Faults{Crashes: 1, Restores: 1}}, "I15", 10,
		},
		"the anchor is written early": {
			ruleAnchorEarly, Config{Faults: Faults{Crashes: 1, Restores: 1}}, "I15", 11,
		},
		"a shared journal has a shared anchor": {
			ruleSharedAnchor, Config{Processes: 2, Leases: true, Faults: Faults{Restores: 1}}, "I15", 13,
		},
		"orders before a loss are held": {
			ruleForgotten, Config{Faults: Faults{Crashes: 1, Restores: 1}}, "I15", 13,
		},
		"only orders of the plan are pushed": {
			ruleApproved, Config{Orders: 2, Filters: [2]uint8{1}}, "I12", 12,
		},
		"another order with the same id is recognized": {
			ruleIdentity, Config{Faults: Faults{Panel: 1}}, "I17", 9,
		},
		"an order is settled by hand when its push has settled": {
			ruleResolve, Config{Faults: Faults{Crashes: 1, Resolves: 1, Outages: 1}}, "I6", 17,
		},
		"what was settled as completed is held": {
			ruleSettled, Config{Faults: Faults{Crashes: 1, Resolves: 1, Outages: 1}}, "I14", 18,
		},
		"what failed again is held": {
			ruleHold, Config{}, "hold", 18,
		},
	} {
		if testing.Short() && tc.length > 20 {
			continue // the search takes half a second to four seconds
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := tc.cfg
			if cfg.Policy.SettleDelay == 0 {
				cfg.Policy = fewTimes()
			}
			cfg.Lease = shortLease
			cfg.MaxStates = 2_000_000
			cfg.without = tc.rule
			r, err := Explore(t.Context(), cfg)
			require.NoError(t, err)
			t.Log(r)
			require.NotNil(t, r.Violation, "nothing was found")
			var broken []string
			for _, b := range r.Violation.Broken {
				broken = append(broken, b.Invariant)
			}
			require.Contains(t, broken, tc.invariant)
			require.LessOrEqual(t, r.Violation.Depth, tc.length)
		})
	}
}
