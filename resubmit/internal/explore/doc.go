// Package explore is a model checker for package protocol: it tries every order of events, up to a depth, and checks
// each push against the invariants (resubmit/SAFETY.md#invariants).
//
//	for _, s := range explore.Scenarios(policy) {
//		s.MaxStates = 1_000_000
//		result, err := explore.Explore(ctx, s.Config)
//		// result.Violation is a shortest sequence of events that breaks an invariant.
//	}
//
// The machines, the holds and the policy are those of package protocol. Around them is a model of Commerce and Connect,
// of a journal with leases, and of planners and runs that keep the rules of this library. Processes are killed and
// suspended; pushes are lost, late, refused or answered by a gateway; orders fail again with the same or another text;
// people resubmit, complete and cancel orders; journals are replaced by older copies. Time passes to the next deadline
// only. States that differ only in what cannot matter any more are one.
//
// It checks I1–I3, I5, I6, I10, I12–I15, I17, I19, I20 and the holds of repeated failures against a ledger of what the
// modelled server saw. That every state has a next step, and leads to an end, is checked too (see [Config.Ends]).
//
// The model assumes what the rules assume: a push acts within a settle delay after its deadline, an order that Commerce
// moves leads to a request in Connect while that is up, and no Runner works while a journal is restored within the time
// in which leases are renewed.
package explore
