// Package commerce defines the data model of CloudBlue Commerce: orders, their statuses and
// types, views of failed orders, queries and errors. It makes no network calls; its
// subpackages are clients, one for each API of Commerce.
//
//	view := FailedOrdersView()
//	view.PlacedFrom = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
//	for order, err := range client.Orders(ctx, view.Query()) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(order.Number, order.Status, order.Failure.Reason())
//	}
//
// Statuses and types are open string types, because providers customize order flows: a code
// without a constant is valid.
//
// A push is the call of a client that asks Commerce to move an order along one of its manual
// transitions, such as "Resubmit for Provisioning".
//
// A failed call is an [*Error]. It matches sentinels such as [ErrNotFound] with errors.Is, and
// its Delivery says whether the server may have acted. Values may be read concurrently; a
// client does not change an [Order] after it returned it.
package commerce
