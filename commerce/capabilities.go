package commerce

// Capabilities describes what a client for Commerce can report about orders, and how many calls
// it makes at once. Programs use it to explain, before any order is read, what the user has to
// provide instead. The zero value reports nothing and has no limit.
type Capabilities struct {
	// Failure is whether [Order.Failure] can be set. Without it every failure is
	// unclassified: only Connect, a rule, or an operator who names the order can say
	// that it is worth another attempt.
	Failure bool
	// Transitions is whether [Order.Transitions] can be set. Without it the user names the
	// status that resubmits an order, and Commerce refuses it if the flow lacks it.
	Transitions bool
	// Lists is whether orders can be listed by status, type and time of placing, with a call
	// for many of them. Without it results are read order by order.
	Lists bool
	// MaxConcurrency is how many calls, reads and pushes together, may be in flight at
	// once; 0 if the client sets no limit.
	MaxConcurrency int
}
