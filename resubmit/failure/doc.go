// Package failure determines why orders failed and whether a maintenance of Connect is the cause.
//
// A [Classifier] assigns a failure text to a class: transient, permanent, already provisioned or unclassified.
// An [Attributor] compares an order with the maintenance windows and returns a verdict with its evidence:
//
//	a := failure.NewAttributor(failure.AttributorConfig{Calendar: calendar})
//	finding := a.Attribute(order)
//	finding.ApplyRequests(requests) // optional: the order's latest requests in Connect
//	fmt.Println(finding.Verdict, finding.WindowID)
//	for _, e := range finding.Evidence {
//		fmt.Println(e.Kind, e.Text)
//	}
//
// A [Baseline] counts failures over time, so that an Attributor can recognize products that fail at any time.
// [GroupOrders] groups failed orders by what their texts have in common.
//
// # Errors and concurrency
//
// Only constructors and loaders return errors: one line that names the pattern, key or argument to correct.
// Classifiers and Attributors are immutable and safe for concurrent use. A [Baseline] that is still being filled,
// a [Grouper] and a [Finding] belong to one goroutine.
package failure
