package commerce

// Capabilities says what a client for Commerce reports about an order besides its status,
// and how many calls at once its server takes. Clients and adapters declare it with a method:
//
//	Capabilities() commerce.Capabilities
//
// Programs use it to explain, before any order is read, what the user has to provide
// instead. The zero value reports nothing and has no limit.
type Capabilities struct {
	// Failure is whether [Order.Failure] can be set. Without it every failure is
	// unclassified: only Connect, a rule, or an operator who names the order can say
	// that it is worth another attempt.
	Failure bool
	// Transitions is whether [Order.Transitions] can be set. Without it the user names the
	// status that resubmits an order, and Commerce refuses it if the flow lacks it.
	Transitions bool
	// MaxConcurrency is how many calls, reads and pushes together, may be in flight at
	// once; 0 if the client sets no limit.
	MaxConcurrency int
}

// CapabilitiesOf returns what the first of the clients that has a method Capabilities
// declares. If none has one, it assumes that everything is reported, without a limit.
func CapabilitiesOf(clients ...any) Capabilities {
	for _, client := range clients {
		if c, ok := client.(interface{ Capabilities() Capabilities }); ok {
			return c.Capabilities()
		}
	}
	return Capabilities{Failure: true, Transitions: true}
}
