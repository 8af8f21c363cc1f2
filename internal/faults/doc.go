// Package faults makes an HTTP handler misbehave on purpose, call by call, for
// the test systems of this module.
//
//	var set faults.Set
//	err := set.Add(faults.Fault{
//		Method: "POST", Path: "*/push", Times: 1,
//		Kind: faults.Reset, After: true, // do it, then lose the answer
//	})
//	server := httptest.NewServer(set.Wrap(handler))
//
// Nothing is random: the faults are tried in the order in which they were added,
// and the first that is due decides what happens to a call. A fault that cannot
// work is refused by [Set.Add] with a one-line error.
//
// [Transport] serves a handler without a socket, so that delays can be tested in
// a bubble of testing/synctest. A Set is safe for concurrent use.
package faults
