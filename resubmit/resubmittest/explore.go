package resubmittest

import (
	"testing"

	"github.com/cloudblue-go/cloudblue/resubmit/internal/explore"
	"github.com/cloudblue-go/cloudblue/resubmit/protocol"
)

// Explore is a model checker: it tries every possible sequence of events for a policy, with the state machine of
// package protocol and a model of the systems, the journal and the planners: two processes with leases and overlapping
// filters on two orders of one lane, crashes, suspension, older copies of the journal, pushes that are lost, late or
// refused, and people who act meanwhile. Each push is checked against the invariants (resubmit/SAFETY.md#invariants).
// It fails t with a shortest sequence of events that breaks one. states is how many states of each scenario are
// explored at most; 100 000 take about ten seconds each.
func Explore(t *testing.T, policy protocol.Policy, states int) {
	t.Helper()
	for _, s := range explore.Scenarios(policy) {
		s.MaxStates = states
		r, err := explore.Explore(t.Context(), s.Config)
		switch {
		case err != nil:
			t.Errorf("%s: %v", s.Name, err)
		case r.Violation != nil:
			t.Errorf("%s: %v", s.Name, r.Violation)
		default:
			t.Logf("%s: %v", s.Name, r)
		}
	}
}
