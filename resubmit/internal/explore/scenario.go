package explore

import "github.com/cloudblue-go/cloudblue/resubmit/protocol"

// Scenario is a configuration with a name.
type Scenario struct {
	Name string
	Config
}

// Scenarios returns what a policy should be explored with: one order to its end; and runs with overlapping filters,
// processes of one plan, restored journals and all faults as far as there is time: the fewer faults, the deeper.
func Scenarios(p protocol.Policy) []Scenario {
	runs := func(orders int, f Faults) Config {
		return Config{Orders: orders, Processes: 2, Filters: [2]uint8{0, 1 << (orders - 1)}, Leases: true, Faults: f}
	}
	sleeping := func(c Config) Config {
		c.Sleep = true
		return c
	}
	onePlan := func(orders int, f Faults) Config {
		return Config{Orders: orders, Processes: 2, SamePlan: true, Leases: true, Sleep: true, Faults: f}
	}
	all := Faults{
		Crashes: 1, Stops: 1, Panel: 1, Outages: 1, Named: 1, Refusals: 1, Resolves: 1, Gateway: 1, NotSent: 1, Releases: 1,
		ReadErrors: 1,
	}
	scenarios := []Scenario{
		{"one order to its end", Config{Ends: true, Faults: Faults{Crashes: 1}}},
		{"one order and a person to its end", Config{Ends: true, Faults: Faults{Panel: 1}}},
		{"one order and all faults", Config{Texts: []int8{0, 1, 2}, Faults: all}},
		{"two orders of one lane", Config{Orders: 2, Faults: Faults{Crashes: 1, Panel: 1, Refusals: 1}}},
		{"two runs of one order", sleeping(runs(1, Faults{Crashes: 1}))},
		{"two runs with overlapping filters", runs(2, Faults{Crashes: 1})},
		{"two runs that are suspended", sleeping(runs(2, Faults{}))},
		{"two runs, a person and the operator", sleeping(runs(2, Faults{Crashes: 1, Panel: 1, Named: 1}))},
		{"two processes of one plan and order", onePlan(1, Faults{Crashes: 1})},
		{"two processes of one plan", onePlan(2, Faults{Panel: 1})},
		{"two orders and the operator", Config{Orders: 2, Faults: Faults{Crashes: 1, Resolves: 1, Outages: 1}}},
		{"two runs and the operator", runs(1, Faults{Crashes: 1, Resolves: 1, Outages: 1})},
		{"a restored journal", Config{Faults: Faults{Crashes: 2, Named: 1, Restores: 1}}},
		{"a restored journal of two runs", runs(1, Faults{Crashes: 1, Named: 1, Restores: 1})},
	}
	for i := range scenarios {
		scenarios[i].Policy = p
	}
	return scenarios
}
