// Package orders checks orders that a client listed or read, before anything is concluded from them.
//
//	o = orders.Readable(o) // fields that a plan cannot hold are problems
//	if err := orders.EntryIdentity(entry).Check(orders.IdentityOf(o)); err != nil {
//		return err // it is another order
//	}
//
// All functions are safe for concurrent use. They return a changed copy, never change their argument.
package orders
