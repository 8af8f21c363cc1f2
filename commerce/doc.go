// Package commerce is the model of CloudBlue Commerce: the order, its statuses
// and types, views of failed orders, queries, and errors. It does no network
// calls; the packages below it do, one for each way into Commerce.
//
//	view := commerce.FailedOrders()
//	view.PlacedFrom = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
//	for order, err := range client.Orders(ctx, view.Query()) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(order.Number, order.Status, order.Failure.Reason())
//	}
//
// Codes of statuses and types are open string types, because providers customise
// order flows: a code without a constant is valid.
//
// Failed calls are an [*Error], which matches the sentinels ([ErrNotFound], …)
// through errors.Is and tells in Delivery whether the server can have acted.
// Values of this package hold no locks; they may be read concurrently, and an
// [Order] that a client returned is never changed by it afterwards.
package commerce
