// Package commercetest is an in-process CloudBlue Commerce for tests and sandboxes. It
// does not return canned answers: it has a store of orders, the documented
// provisioning part of the default order flow (commerce/WIRE.md#5.4), and a provisioning
// that calls Connect over HTTP as the Connect extension does (commerce/WIRE.md#6). Orders
// fail because those calls fail.
//
//	sys, err := commercetest.New(commercetest.Config{ConnectURL: connectURL, ConnectKey: connecttest.DefaultKey})
//	if err != nil { … }
//	base, err := sys.Start() // on loopback; see also Transport
//	if err != nil { … }
//	defer sys.Close()
//	order := sys.Place(commercetest.OrderSpec{Type: commerce.TypeSales, Customer: "1002"})
//	err = sys.Step(ctx) // process what is due: here the first call to Connect
//	// … run the code under test with base and commercetest.DefaultToken …
//	order, _ = sys.Order(order.ID)
//	violations := sys.Violations() // what a resubmission must never do
//
// As in the real systems, Connect accepts a change or a cancellation only of a known
// subscription: place the sales order first, or add its history to the Connect.
//
// # APIs
//
// All APIs serve the same orders: the Order Management REST API, with an APS token
// or OAuth 1.0a, [System.Billing], [System.Operations], which issues APS tokens, and
// [System.SimpleAPI]. Each can be mounted alone; [System.Start] and the System as
// a handler serve all of them, at the addresses that [URLsAt] returns.
//
// # Wire formats
//
// Tests check the requests and answers of Order Management and Simple API against the OpenAPI
// documents in testdata, which are written from commerce/WIRE.md. OpenAPI does not fit XML-RPC,
// whose methods share one path and whose rows are positional, so the answers of Billing and
// Operations are compared with files instead (TestBillingRow, TestBillingAcceptsKnownSignatures,
// TestBillingFaults, TestOperationsTokenExpires and TestOperationsRefusals), as are the requests of
// the billing client (TestPushReadsTheOrderAndSendsOnce).
//
// # Time
//
// Events happen when they are due by [Config.Now]. Either the test sets the clock and
// calls [System.Step], which is deterministic for a seed, or [System.Run] processes
// events in real time. The times of orders are whole seconds, so let maintenance windows begin at
// one: time.Now().Truncate(time.Second).
//
// In real time a resubmission takes minutes by default. A quick test gives the Runner a short
// Policy.SettleDelay, Verify.InitialInterval and a RateLimit of -1, and the System a StaleEventFor
// that is shorter than the settle delay, and a short PollInterval.
//
// # Ledger, violations and failures
//
// [System.Pushes] returns all attempted pushes, [System.Violations] the broken rules.
// Both record what the server did, whatever the client believes. [System.AddFault] and
// [Config.StaleReadsFor] make the APIs misbehave; [OrderSpec.FailWith] makes an order fail.
//
// # Errors and concurrency
//
// Errors name the order or the setting. A [System] is safe for concurrent use.
package commercetest
