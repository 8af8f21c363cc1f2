package commerce

// Capabilities describes what a client for Commerce can report about orders, and how many calls
// it makes at once. Programs use it to explain, before any order is read, what the user has to
// provide instead. The zero value reports nothing and has no limit.
type Capabilities struct {
	// Failure is whether the client reads [Order.Failure]. Without it every failure is
	// unclassified: only Connect, a rule, or an operator who names the order can say
	// that it is worth another attempt.
	Failure bool
	// Transitions is whether the client reads [Order.Transitions]. Without it the user names the
	// status that resubmits an order, and Commerce refuses it if the flow lacks it.
	Transitions bool
	// Lists is whether the client can list orders by status, type and time of placing, many with
	// one call. Without it results are read order by order.
	Lists bool
	// MaxConcurrency is the largest number of calls, reads and pushes together, that the client
	// makes at once; 0 means no limit.
	MaxConcurrency int
	// IDSpace names the ids by which the client knows orders. The same order has different ids in
	// different APIs, so a journal rejects another space than its own. Adapters choose a name of
	// their own; "" is a space, too.
	IDSpace string
}
