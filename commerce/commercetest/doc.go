// Package commercetest is a small CloudBlue Commerce that runs inside a test or
// a sandbox. It is no mock with canned answers: there is one order store, the
// documented provisioning part of the default order flow (commerce/WIRE.md#5.4), and provisioning
// that really calls Connect over HTTP, the way the Connect extension does (commerce/WIRE.md#6).
// Orders fail because those calls fail.
//
//	sys, err := commercetest.New(commercetest.Config{ConnectURL: connectURL, Poll: time.Second})
//	if err != nil { … }
//	base, err := sys.Start() // on loopback
//	if err != nil { … }
//	defer sys.Close()
//	order := sys.Place(commercetest.NewOrder{Type: commerce.TypeSales, Customer: "1002"})
//	err = sys.Step(ctx) // all that is due by now: here the first call to Connect
//	// … let the code under test work against base with commercetest.DefaultToken …
//	order, _ = sys.Order(order.ID)
//	wrong := sys.Violations() // what the code under test must never do, as the server saw it
//
// As with the real systems, Connect takes a change or a cancellation only of a
// subscription that it knows: let the sales order come first, or put its history
// into the Connect of the test.
//
// # The ways in
//
// All APIs serve the same orders: the Order Management REST API, with an APS token
// or by OAuth 1.0a, [System.Billing], [System.Operations], which gives APS tokens,
// and [System.SimpleAPI]. Each can be mounted alone; [System.Start] and the System as
// a handler serve all at once, where [URLsAt] tells. Each keeps the same books.
//
// # Time
//
// Events happen when they are due by [Config.Now]. Either the test moves the
// clock and calls [System.Step], which is deterministic for a seed, or
// [System.Run] drives the system in real time.
//
// # The books
//
// [System.Ledger] lists every push that was tried, [System.Violations] what a
// resubmission must never do. Both see what the server did, not what a client
// believes. [System.AddFault] and [Config.StaleReads] make it misbehave.
//
// # Errors and concurrency
//
// Errors name the order or the setting. A [System] is safe for concurrent use.
package commercetest
