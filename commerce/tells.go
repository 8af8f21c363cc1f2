package commerce

// Tells is what a way into Commerce can tell about an order, besides its status.
// The zero value tells the least. A client shows it by a method:
//
//	Tells() commerce.Tells
//
// It explains, before a single order is read, what Order.Failure and
// Order.Transitions will look like, and so what the user of the client has to
// bring instead.
type Tells struct {
	// Failure: why an order failed. Without it every failure is unclassified, so
	// that only Connect, a rule, or the operator who names the order can say that
	// it is worth another try.
	Failure bool
	// Transitions: which moves an order offers. Without it the user has to say
	// which status resubmits an order, and Commerce refuses what the flow lacks.
	Transitions bool
}
