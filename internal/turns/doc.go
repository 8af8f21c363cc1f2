// Package turns lets whoever makes a call pace what a client sends for it: tries
// again, further pages, a sign-in, a reading before a push.
//
//	ctx = turns.With(ctx, pacer) // behind the wait for the first turn
//	order, err := client.Order(ctx, id)
//
// A client asks [Take] before each try and tells [Asked] when a server wants to be
// left alone. Without turns in the context both do nothing.
//
// Errors are those of the [Turns]. All functions are safe for concurrent use if the
// Turns are.
package turns
