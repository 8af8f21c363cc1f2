// Package testkit holds what the test systems of this module share: injected
// faults, a transport without a socket, and helpers for tests. commercetest and
// connecttest are built on it.
//
//	var faults testkit.Faults
//	err := faults.Add(testkit.Fault{
//		Method: "POST", Path: "*/push", Times: 1,
//		Kind: testkit.FaultReset, After: true, // perform the call, then lose the answer
//	})
//	server := httptest.NewServer(faults.Wrap(handler))
//	counts := faults.Counts() // how often each fault was applied
//
// Errors are one line and start with the name of the part or of the test system.
// Nothing is random unless it is given a seed. The doc comment of each type says
// whether it is safe for concurrent use.
package testkit
