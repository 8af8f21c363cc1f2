// Package testkit holds what the test systems of this module share: injected
// faults, a loopback server, a ledger with violations, a scheduler, RQL lists,
// and a few helpers for tests. commercetest and connecttest are built on it.
//
//	var faults testkit.Faults
//	err := faults.Add(testkit.Fault{
//		Method: "POST", Path: "*/push", Times: 1,
//		Kind: testkit.FaultReset, After: true, // perform the call, then lose the answer
//	})
//	server := testkit.Server{Name: "example", Handler: faults.Wrap(handler)}
//	baseURL, err := server.Start() // or an http.Client with testkit.Transport(server.Handler)
//	defer server.Close()
//	counts := faults.Counts() // how often each fault was applied
//
// Errors are one line and start with the name of the part or of the test system.
// Nothing is random unless it is given a seed. The doc comment of each type says
// whether it is safe for concurrent use.
package testkit
